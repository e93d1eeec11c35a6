// Package verifier checks what Belfry claims about its record, and shares no code with
// Belfry: only the standard library and the hashes and signed notes of golang.org/x/mod.
// It is written from the published formats (C2SP tlog-checkpoint, tlog-tiles, tlog-proof,
// RFC 6962, RFC 8785) and the description of the record's envelope, so that an error of
// Belfry's own verifier cannot hide an error of its log.
package verifier

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint is the verified content of a C2SP tlog-checkpoint.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// OpenCheckpoint verifies the signature of a checkpoint with a key in note format
// ("name+hash+base64") and reads its body.
func OpenCheckpoint(text []byte, vkey string) (Checkpoint, error) {
	key, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("key: %w", err)
	}
	signed, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	// note decodes base64 leniently: the unused bits of the last character could be any.
	for _, s := range signed.Sigs {
		if _, err := parseBase64(s.Base64); err != nil {
			return Checkpoint{}, fmt.Errorf("checkpoint: signature: %w", err)
		}
	}
	return parseCheckpoint(signed.Text)
}

func parseCheckpoint(text string) (Checkpoint, error) {
	body, ended := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	if !ended || len(lines) < 3 {
		return Checkpoint{}, errors.New("checkpoint: want the lines origin, size and root")
	}
	for _, line := range lines {
		if line == "" {
			return Checkpoint{}, errors.New("checkpoint: an empty line in its body")
		}
	}
	size, err := parseDecimal(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint size: %w", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint root: %w", err)
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// parseDecimal reads an unsigned number without sign or leading zeroes.
func parseDecimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%q is not a plain decimal number", s)
	}
	return n, nil
}

// parseBase64 accepts standard padded base64 and, other than encoding/base64, neither line
// breaks nor bits that decoding would ignore.
func parseBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("%.40q is not strict base64", s)
	}
	return b, nil
}

func parseHash(s string) (tlog.Hash, error) {
	b, err := parseBase64(s)
	if err != nil {
		return tlog.Hash{}, err
	}
	if len(b) != tlog.HashSize {
		return tlog.Hash{}, fmt.Errorf("a hash of %d bytes", len(b))
	}
	return tlog.Hash(b), nil
}
