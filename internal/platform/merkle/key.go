package merkle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/mod/sumdb/note"
)

// SeedSize is the length of an Ed25519 seed in bytes (RFC 8032): the secret that
// is sealed and stored.
const SeedSize = ed25519.SeedSize

// algEd25519 is the signature type byte of c2sp.org/signed-note.
const algEd25519 = 0x01

// EncodeKey returns the signer key (secret) and the verifier key (public) of an
// Ed25519 seed. The name is not empty and has no spaces, pluses or control
// characters.
func EncodeKey(name string, seed []byte) (skey, vkey string, err error) {
	if !isLine(name) || strings.IndexFunc(name, unicode.IsSpace) >= 0 || strings.Contains(name, "+") {
		return "", "", fmt.Errorf("merkle: key name %q must not be empty or contain spaces, pluses or control characters",
			name)
	}
	if len(seed) != SeedSize {
		return "", "", fmt.Errorf("merkle: an Ed25519 seed has %d bytes, not %d", SeedSize, len(seed))
	}
	private := append([]byte{algEd25519}, seed...)
	public := append([]byte{algEd25519}, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)...)
	id := sha256.Sum256(append([]byte(name+"\n"), public...))
	skey = fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(private))
	vkey = fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(public))
	return skey, vkey, nil
}

// NewSigner returns the signer of an Ed25519 seed under this name, with the key
// ID that c2sp.org/signed-note recommends.
func NewSigner(name string, seed []byte) (note.Signer, error) {
	skey, _, err := EncodeKey(name, seed)
	if err != nil {
		return nil, err
	}
	return note.NewSigner(skey)
}
