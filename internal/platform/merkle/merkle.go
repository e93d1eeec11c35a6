// Package merkle is the arithmetic of an append-only log: the Merkle tree of
// RFC 6962 over SHA-256, its proofs, and the C2SP text and tile formats around
// it. Values go in and values come out; nothing here does I/O, starts a
// goroutine or keeps state between calls, so a server and an offline verifier
// run the same code.
//
//	leaves -> Frontier -> root -> Checkpoint -> signed note
//	       \> tiles -> TileReader -> HashReader -> inclusion and consistency proofs
//	       \> Batch -> root and a proof of every leaf (receipts)
//	export: LeftHashes + leaves + RightHashes -> RangeVerifier -> root
//
// Specifications followed, to the letter:
//
//   - RFC 6962 section 2.1: leaf and node hashes, roots, audit paths.
//   - RFC 9162 sections 2.1.3.2 and 2.1.4.2: verification of inclusion and
//     consistency.
//   - c2sp.org/tlog-tiles: tile geometry, paths and entry bundles, height 8.
//   - c2sp.org/tlog-checkpoint and c2sp.org/signed-note, Ed25519 (type 0x01).
//   - c2sp.org/tlog-proof@v1.
//
// Parsers accept exactly what the formatters write: formatting a parsed value
// gives back the same bytes. Sizes and indexes are uint64 and at most [MaxSize],
// so that they also fit the signed integers of databases and other tools.
//
// A subtree is named by its level and its index in that level: (level, index)
// covers the leaves [index<<level, (index+1)<<level), so (0, i) is leaf i.
package merkle

import (
	"errors"
	"math"
)

// MaxSize is the largest tree size this package handles.
const MaxSize = math.MaxInt64

// maxLevels bounds the length of every proof and of every frontier: a tree of
// MaxSize leaves has 63 levels above its leaves.
const maxLevels = 63

// ErrProof is wrapped by every error that says a proof, a range or a signature
// does not hold, as opposed to input that is out of bounds or malformed.
var ErrProof = errors.New("merkle: proof does not hold")

// ErrFormat is wrapped by every error of a parser in this package.
var ErrFormat = errors.New("merkle: malformed input")
