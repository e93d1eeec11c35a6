// Package seal keeps secrets in databases: signing keys, webhook secrets,
// headers. A secret is sealed with AES-256-GCM under the installation's master
// key, bound to its purpose, so that a sealed value moved to another row
// does not open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// KeySize is the master key's length in bytes.
const KeySize = 32

// Box seals under one master key. Safe for concurrent use.
type Box struct {
	aead cipher.AEAD
	key  []byte
}

// New makes a Box from the base64 text of a master key.
func New(masterKey string) (*Box, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(masterKey))
	if err != nil || len(key) != KeySize {
		return nil, fmt.Errorf("the master key must be %d bytes in base64; make one with: openssl rand -base64 %d",
			KeySize, KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Box{aead, key}, nil
}

// Load reads a master key from a file.
func Load(file string) (*Box, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return New(string(text))
}

// LoadOrCreate reads the key from the file, or makes one there (mode 0600).
func LoadOrCreate(file string) (*Box, error) {
	box, err := Load(file)
	if !errors.Is(err, os.ErrNotExist) {
		return box, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, KeySize)
	rand.Read(key)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return Load(file)
}

// Seal encrypts a secret; Open needs the same purpose.
func (b *Box) Seal(secret []byte, purpose string) []byte {
	nonce := make([]byte, b.aead.NonceSize(), b.aead.NonceSize()+len(secret)+b.aead.Overhead())
	rand.Read(nonce)
	return b.aead.Seal(nonce, nonce, secret, []byte(purpose))
}

// Open decrypts what Seal made for the same purpose.
func (b *Box) Open(sealed []byte, purpose string) ([]byte, error) {
	n := b.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("the sealed value is too short")
	}
	secret, err := b.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("the sealed %s does not open: it was sealed under another master key, or changed", purpose)
	}
	return secret, nil
}

// Derive makes a 32-byte key for another use from the master key.
func (b *Box) Derive(use string) ([]byte, error) {
	return hkdf.Key(sha256.New, b.key, nil, use, KeySize)
}
