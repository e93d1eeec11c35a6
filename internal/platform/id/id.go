// Package id makes the ids of Belfry: UUIDv7 (RFC 9562, 5.7) written as 32
// lower-case hex characters without hyphens, everywhere the same. They sort by
// the time in which they were made, so that a table of them grows at its end;
// those that one process makes for one moment sort in the order in which they
// were made.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// Len is the number of characters of an id.
const Len = 32

// New makes an id for the present moment.
func New() string { return At(time.Now()) }

// last is the time part of the id that was made last: milliseconds, and their
// fraction in 12 bits.
var last struct {
	mu    sync.Mutex // guards stamp
	stamp uint64
}

// At makes an id whose time part is t: 48 bits of Unix milliseconds, and 12 bits
// of their fraction (RFC 9562, 6.2, method 3). A second id for the same moment
// takes the next fraction, as long as the millisecond has one. The other 62 bits
// are random.
func At(t time.Time) string {
	ms := t.UnixMilli()
	fraction := t.Sub(time.UnixMilli(ms)) * (maxFraction + 1) / time.Millisecond
	stamp := uint64(ms)<<12 | uint64(fraction)&maxFraction
	last.mu.Lock()
	if stamp <= last.stamp && stamp>>12 == last.stamp>>12 && last.stamp&maxFraction < maxFraction {
		stamp = last.stamp + 1
	}
	last.stamp = stamp
	last.mu.Unlock()
	var b [16]byte
	rand.Read(b[8:]) // never fails (crypto/rand)
	binary.BigEndian.PutUint64(b[:8], stamp>>12<<16|0x7000|stamp&maxFraction)
	b[8] = b[8]&0x3f | 0x80
	return hex.EncodeToString(b[:])
}

const maxFraction = 1<<12 - 1

// Lowest is the least id of a moment's millisecond, for conditions on ids; it is
// not an id itself.
func Lowest(t time.Time) string { return fmt.Sprintf("%012x", max(0, t.UnixMilli())) }

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
