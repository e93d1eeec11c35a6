package account

import (
	"crypto/sha256"
	"hash/crc32"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// A token's value is PREFIX, 52 random characters (260 bits) and 7 characters
// of CRC-32 over both, in Crockford's base 32 in lower case. The prefix lets
// secret scanners find it; the checksum distinguishes a typo from a revoked token
// without a query.
const (
	// TokenPrefix begins an account's API token.
	TokenPrefix = "blf_"

	secretBytes = 33 // of id.Secret: 52 characters
	secretLen   = secretBytes * 8 / 5
	checksumLen = 7
	alphabet    = "0123456789abcdefghjkmnpqrstvwxyz"
)

// Hash is the SHA-256 of a secret value, stored instead of the value. Secrets are
// random, so a plain hash is enough.
type Hash [sha256.Size]byte

// HashOf is the hash of a secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// NewToken makes a token with the prefix, and its hash. The value is shown once
// and never stored.
func NewToken(prefix string) (value string, hash Hash) {
	value = prefix + id.Secret(secretBytes)
	value += checksum(value)
	return value, HashOf(value)
}

// ParseToken returns the hash of a token's value. CodeAuthentication if the value
// does not have the form of a token with the prefix, with the reason.
func ParseToken(prefix, value string) (Hash, error) {
	rest, ok := strings.CutPrefix(value, prefix)
	if !ok {
		return Hash{}, errs.New(errs.CodeAuthentication, "the token does not begin with %s", prefix)
	}
	if len(rest) != secretLen+checksumLen {
		return Hash{}, errs.New(errs.CodeAuthentication,
			"the token has %d characters instead of %d: it was not copied completely",
			len(value), len(prefix)+secretLen+checksumLen)
	}
	for i := range len(rest) {
		if strings.IndexByte(alphabet, rest[i]) < 0 {
			return Hash{}, errs.New(errs.CodeAuthentication,
				"the token has a typo: its character %d cannot be in a token", len(prefix)+i+1)
		}
	}
	body := value[:len(value)-checksumLen]
	if checksum(body) != value[len(body):] {
		return Hash{}, errs.New(errs.CodeAuthentication, "the token has a typo: its checksum does not match")
	}
	return HashOf(value), nil
}

// checksum is the CRC-32 (IEEE) of s in 7 characters.
func checksum(s string) string {
	sum := uint64(crc32.ChecksumIEEE([]byte(s)))
	var out [checksumLen]byte
	for i := range out {
		out[i] = alphabet[sum>>(5*(checksumLen-1-i))&31]
	}
	return string(out[:])
}
