package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Passwords are stored as Argon2id (RFC 9106) with the smaller of the parameter
// sets that OWASP recommends: 19 MiB, 2 passes, 1 lane. The parameters are part of
// the stored value, in the PHC string format, so that they can be raised later.
const (
	argonMemory = 19 * 1024 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32

	// MinPassword and MaxPassword are the lengths of a password in bytes.
	MinPassword = 10
	MaxPassword = 256
)

// hash encodes a new password. like is a stored password whose salt is reused,
// because all passwords of one address share a salt; "" = a new salt.
func (h *hashing) hash(ctx context.Context, client, password, like string) (string, error) {
	free, err := h.slot(ctx, client)
	if err != nil {
		return "", err
	}
	defer free()
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails (crypto/rand)
	if like != "" {
		if known, err := decodeStored(like); err == nil && known.hashParameters == currentParameters {
			salt = known.salt
		}
	}
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// hashParameters are the parameters of Argon2id.
type hashParameters struct {
	version        int
	memory, passes uint32
	lanes          uint8
	length         int
}

// currentParameters are those of new passwords.
var currentParameters = hashParameters{
	version: argon2.Version,
	memory:  argonMemory,
	passes:  argonPasses,
	lanes:   argonLanes,
	length:  argonKey,
}

// storedPassword is the stored form of a password, decoded.
type storedPassword struct {
	hashParameters
	salt, key []byte
}

func decodeStored(encoded string) (p storedPassword, err error) {
	fields := strings.Split(encoded, "$")
	if len(fields) != 6 || fields[1] != "argon2id" {
		return p, errs.New(errs.CodeInternal, "a stored password has an unknown form")
	}
	_, err = fmt.Sscanf(fields[2]+" "+fields[3], "v=%d m=%d,t=%d,p=%d", &p.version, &p.memory, &p.passes, &p.lanes)
	if err != nil || p.version != argon2.Version {
		return p, errs.New(errs.CodeInternal, "a stored password has unknown parameters")
	}
	var saltErr, keyErr error
	p.salt, saltErr = base64.RawStdEncoding.DecodeString(fields[4])
	p.key, keyErr = base64.RawStdEncoding.DecodeString(fields[5])
	if saltErr != nil || keyErr != nil || len(p.key) == 0 {
		return p, errs.New(errs.CodeInternal, "a stored password is damaged")
	}
	p.length = len(p.key)
	return p, nil
}

// verifyAny returns the indexes of the stored passwords that match, of persons
// who share an address. It hashes once if they share a salt, and once if there is
// no stored password, so that the time reveals nothing.
func (h *hashing) verifyAny(
	ctx context.Context, client string, stored []string, password string,
) (right []int, err error) {
	free, err := h.slot(ctx, client)
	if err != nil {
		return nil, err
	}
	defer free()
	hashed := map[string][]byte{} // by parameters and salt
	for i, encoded := range stored {
		if encoded == "" {
			continue
		}
		p, err := decodeStored(encoded)
		if err != nil {
			return nil, err
		}
		key := fmt.Sprint(p.hashParameters, p.salt)
		got, done := hashed[key]
		if !done {
			if len(hashed) == maxSalts {
				continue
			}
			got = argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(p.length))
			hashed[key] = got
		}
		if subtle.ConstantTimeCompare(got, p.key) == 1 {
			right = append(right, i)
		}
	}
	if len(hashed) == 0 {
		argon2.IDKey([]byte(password), make([]byte, argonSalt), argonPasses, argonMemory, argonLanes, argonKey)
	}
	return right, nil
}

// maxSalts limits the hashes of one attempt. Two persons with one address who set
// their first passwords in the same moment have different salts.
const maxSalts = 4

// checkPassword checks the length of a new password. There are no rules of
// composition (NIST SP 800-63B).
func checkPassword(password, email string) error {
	switch {
	case len(password) < MinPassword || len(password) > MaxPassword:
		return errs.At(errs.CodeOutOfRange, "/password", "a password has %d to %d bytes", MinPassword, MaxPassword)
	case strings.EqualFold(password, email):
		return errs.At(errs.CodeInvalid, "/password", "the password is the address")
	}
	return nil
}
