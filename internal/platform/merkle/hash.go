package merkle

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// HashSize is the length of a Hash in bytes.
const HashSize = sha256.Size

// hashTextSize is the length of a Hash in padded standard base64.
const hashTextSize = (HashSize + 2) / 3 * 4

// Domain separation of RFC 6962 section 2.1: no leaf hashes like a node.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// Strict decoding refuses non-zero trailing bits, so that a value has one text.
var strictBase64 = base64.StdEncoding.Strict()

// Hash is a SHA-256 Merkle tree hash. Its text form is padded standard base64,
// 44 characters, as in checkpoints, proofs and exports.
type Hash [HashSize]byte

// EmptyRoot returns the root of the tree without leaves: SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// LeafHash returns SHA-256(0x00 || data), the hash of a leaf. It does not
// allocate and does not copy data.
func LeafHash(data []byte) (h Hash) {
	d := sha256.New()
	d.Write([]byte{leafPrefix})
	d.Write(data)
	d.Sum(h[:0])
	return h
}

// NodeHash returns SHA-256(0x01 || left || right), the hash of an interior
// node. It does not allocate.
func NodeHash(left, right Hash) Hash {
	var b [1 + 2*HashSize]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[1+HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// hashPairs hashes a level of a tree: dst[i] becomes the parent of src[2i] and
// src[2i+1], for all of dst, which may begin where src does. Keeping the digest
// and its input from one node to the next is about a tenth faster than NodeHash.
func hashPairs(dst, src []Hash) {
	d := sha256.New()
	var b [1 + 2*HashSize]byte
	b[0] = nodePrefix
	for i := range dst {
		copy(b[1:], src[2*i][:])
		copy(b[1+HashSize:], src[2*i+1][:])
		d.Reset()
		d.Write(b[:])
		d.Sum(dst[i][:0])
	}
}

// String returns the hash in base64.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// AppendText appends the hash in base64.
func (h Hash) AppendText(b []byte) ([]byte, error) {
	return base64.StdEncoding.AppendEncode(b, h[:]), nil
}

// MarshalText returns the hash in base64.
func (h Hash) MarshalText() ([]byte, error) { return h.AppendText(nil) }

// UnmarshalText reads what MarshalText writes and nothing else: 44 characters
// of padded standard base64 with zero trailing bits.
func (h *Hash) UnmarshalText(text []byte) error {
	// The length check also keeps out the line breaks that base64 would skip:
	// 44 characters with one of them cannot hold 32 bytes.
	var b [HashSize + 1]byte
	if len(text) != hashTextSize {
		return fmt.Errorf("%w: a hash is %d base64 characters, not %d", ErrFormat, hashTextSize, len(text))
	}
	n, err := strictBase64.Decode(b[:], text)
	if err != nil || n != HashSize {
		return fmt.Errorf("%w: a hash is %d bytes in padded standard base64", ErrFormat, HashSize)
	}
	*h = Hash(b[:HashSize])
	return nil
}
