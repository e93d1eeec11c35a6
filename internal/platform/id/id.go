// Package id makes the ids of Belfry: UUIDv7 (RFC 9562, 5.7) written as 32
// lower-case hex characters without hyphens, everywhere the same. They sort by
// the millisecond in which they were made, so that a table of them grows at
// its end.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Len is the number of characters of an id.
const Len = 32

// New makes an id for the present moment.
func New() string { return At(time.Now()) }

// At makes an id whose time part is t (48 bits of Unix milliseconds); the
// other 74 bits are random.
func At(t time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(t.UnixMilli())<<16)
	rand.Read(b[6:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return hex.EncodeToString(b[:])
}

// Valid reports whether s has the form of an id: 32 lower-case hex characters.
// Ids of other systems (Cloudflare's are random 128-bit numbers) are valid too.
func Valid(s string) bool {
	if len(s) != Len {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Secret makes a random secret of n bytes as base32-like text without
// ambiguous characters (Crockford's alphabet, lower case): 5 bits a character.
func Secret(n int) string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	b := make([]byte, n*8/5)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b)
}
