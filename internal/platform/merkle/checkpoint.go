package merkle

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// maxNoteSize bounds a signed checkpoint, in bytes. The note specification wants
// at least 16 signatures accepted, each up to about 7 KiB of text.
const maxNoteSize = 256 << 10

// Checkpoint is the head of a log at one size: the text that is signed
// (c2sp.org/tlog-checkpoint).
type Checkpoint struct {
	// Origin identifies the log; one line, not empty.
	Origin string
	Size   uint64
	Root   Hash
	// Extensions are opaque further lines, none empty. Belfry writes none.
	Extensions []string
}

// Text returns the body of the checkpoint, without signatures.
func (c Checkpoint) Text() (string, error) {
	if !isLine(c.Origin) {
		return "", fmt.Errorf("merkle: checkpoint origin %q is not one line of text", c.Origin)
	}
	if c.Size > MaxSize {
		return "", fmt.Errorf("merkle: checkpoint size = %d is above the maximum of %d", c.Size, uint64(MaxSize))
	}
	b := append(make([]byte, 0, len(c.Origin)+len("\n9223372036854775807\n\n")+hashTextSize), c.Origin...)
	b = append(b, '\n')
	b = strconv.AppendUint(b, c.Size, 10)
	b = append(b, '\n')
	b, _ = c.Root.AppendText(b)
	b = append(b, '\n')
	for _, line := range c.Extensions {
		if !isLine(line) {
			return "", fmt.Errorf("merkle: checkpoint extension %q is not one line of text", line)
		}
		b = append(append(b, line...), '\n')
	}
	return string(b), nil
}

// ParseCheckpoint reads the body of a checkpoint, exactly as Text writes it.
func ParseCheckpoint(text string) (Checkpoint, error) {
	body, ok := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	if !ok || len(lines) < 3 {
		return Checkpoint{}, fmt.Errorf("%w: a checkpoint is at least three lines: origin, size and root", ErrFormat)
	}
	for i, line := range lines {
		if !isLine(line) {
			return Checkpoint{}, fmt.Errorf("%w: line %d of a checkpoint is empty or not plain text", ErrFormat, i+1)
		}
	}
	c := Checkpoint{Origin: lines[0]}
	if c.Size, ok = parseDecimal(lines[1]); !ok {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint size %q: expected a decimal up to %d without leading zeroes",
			ErrFormat, lines[1], uint64(MaxSize))
	}
	if err := c.Root.UnmarshalText([]byte(lines[2])); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint root: %w", err)
	}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	return c, nil
}

// SignCheckpoint returns the checkpoint as a signed note, with one signature
// line for each signer.
func SignCheckpoint(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, errors.New("merkle: a checkpoint needs a signer")
	}
	text, err := c.Text()
	if err != nil {
		return nil, err
	}
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of %s: %w", c.Origin, err)
	}
	return msg, nil
}

// OpenCheckpoint reads a signed checkpoint of the log with this origin. One
// signature by a key in logKeys is enough, so logKeys must hold only keys that
// are trusted to sign for that log; a bad signature by one of them refuses the
// whole note. Signatures by other keys, such as witnesses, are ignored.
func OpenCheckpoint(msg []byte, origin string, logKeys note.Verifiers) (Checkpoint, error) {
	if err := checkNoteSize(msg); err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(msg, logKeys)
	if err != nil {
		kind := ErrFormat
		if errors.As(err, new(*note.UnverifiedNoteError)) || errors.As(err, new(*note.InvalidSignatureError)) {
			kind = ErrProof
		}
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: %w", kind, err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != origin {
		return Checkpoint{}, fmt.Errorf("%w: a checkpoint of %q, not of %q", ErrProof, c.Origin, origin)
	}
	return c, nil
}

// UnverifiedCheckpoint reads the body of a signed checkpoint without looking at
// its signatures: to learn which log it speaks of before OpenCheckpoint, never
// instead of it.
func UnverifiedCheckpoint(msg []byte) (Checkpoint, error) {
	if err := checkNoteSize(msg); err != nil {
		return Checkpoint{}, err
	}
	split := bytes.LastIndex(msg, []byte("\n\n"))
	if split < 0 || !bytes.HasPrefix(msg[split+2:], []byte("— ")) || msg[len(msg)-1] != '\n' {
		return Checkpoint{}, fmt.Errorf("%w: a signed checkpoint is a text, an empty line and signature lines", ErrFormat)
	}
	return ParseCheckpoint(string(msg[:split+1]))
}

func checkNoteSize(msg []byte) error {
	if len(msg) > maxNoteSize {
		return fmt.Errorf("%w: a signed checkpoint of %d bytes is above the maximum of %d", ErrFormat, len(msg), maxNoteSize)
	}
	return nil
}

// isLine reports whether s can be a line of a note: not empty, valid UTF-8, no
// ASCII control characters.
func isLine(s string) bool {
	return s != "" && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return r < 0x20 }) < 0
}

// parseDecimal reads an ASCII decimal of at most MaxSize without leading zeroes.
func parseDecimal(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return n, err == nil && (s == "0" || s[0] != '0')
}
