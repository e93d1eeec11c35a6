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

// Passwords are kept as Argon2id (RFC 9106) with the smaller of the parameter
// sets that OWASP names: 19 MiB, 2 passes, 1 lane. They stand in the stored
// value, in the PHC string format, so that stronger ones may come later.
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

// hashing bounds how many passwords are hashed at once: each takes 19 MiB and
// a core for some ten milliseconds.
type hashing chan struct{}

func newHashing() hashing { return make(hashing, 2) }

func (h hashing) slot(ctx context.Context) (func(), error) {
	select {
	case h <- struct{}{}:
		return func() { <-h }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash encodes a new password.
func (h hashing) hash(ctx context.Context, password string) (string, error) {
	free, err := h.slot(ctx)
	if err != nil {
		return "", err
	}
	defer free()
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails (crypto/rand)
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// verify compares a password with its stored form. It takes the same time when
// there is none to compare with.
func (h hashing) verify(ctx context.Context, encoded, password string) (bool, error) {
	free, err := h.slot(ctx)
	if err != nil {
		return false, err
	}
	defer free()
	if encoded == "" {
		argon2.IDKey([]byte(password), make([]byte, argonSalt), argonPasses, argonMemory, argonLanes, argonKey)
		return false, nil
	}
	fields := strings.Split(encoded, "$")
	var version int
	var memory, passes uint32
	var lanes uint8
	if len(fields) != 6 || fields[1] != "argon2id" {
		return false, errs.New(errs.CodeInternal, "a stored password has an unknown form")
	}
	if _, err := fmt.Sscanf(fields[2]+" "+fields[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil || version != argon2.Version {
		return false, errs.New(errs.CodeInternal, "a stored password has unknown parameters")
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(fields[4])
	want, err2 := base64.RawStdEncoding.DecodeString(fields[5])
	if err1 != nil || err2 != nil || len(want) == 0 {
		return false, errs.New(errs.CodeInternal, "a stored password is damaged")
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// checkPassword says whether a new password may be one. Length is what counts
// (NIST SP 800-63B): there are no rules of composition.
func checkPassword(password, email string) error {
	switch {
	case len(password) < MinPassword || len(password) > MaxPassword:
		return errs.At(errs.CodeOutOfRange, "/password", "a password has %d to %d bytes", MinPassword, MaxPassword)
	case strings.EqualFold(password, email):
		return errs.At(errs.CodeInvalid, "/password", "the password is the address")
	}
	return nil
}
