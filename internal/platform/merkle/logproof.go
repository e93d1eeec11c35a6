package merkle

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	logProofHeader = "c2sp.org/tlog-proof@v1"
	// maxExtraSize bounds the extra data of a LogProof, in bytes.
	maxExtraSize = 64 << 10
)

// LogProof is a proof that can be kept in a file and verified offline: where a
// leaf is in a log, its inclusion proof and the signed checkpoint that it leads
// to (c2sp.org/tlog-proof@v1). It does not name the leaf itself.
type LogProof struct {
	// Extra is opaque and not authenticated; the line is left out when empty.
	Extra []byte
	// Index of the leaf, from 0.
	Index uint64
	// Hashes are the inclusion proof, from the leaf's sibling up; at most 63.
	Hashes []Hash
	// Checkpoint is the signed note, verbatim.
	Checkpoint []byte
}

// Format returns the text of the proof.
func (p LogProof) Format() ([]byte, error) {
	if p.Index >= MaxSize {
		return nil, fmt.Errorf("merkle: proof index = %d is not below the maximum size", p.Index)
	}
	if len(p.Hashes) > maxLevels {
		return nil, fmt.Errorf("merkle: a proof has at most %d hashes, not %d", maxLevels, len(p.Hashes))
	}
	if len(p.Extra) > maxExtraSize {
		return nil, fmt.Errorf("merkle: extra data of %d bytes is above the maximum of %d", len(p.Extra), maxExtraSize)
	}
	if _, err := UnverifiedCheckpoint(p.Checkpoint); err != nil {
		return nil, err
	}
	head := len(logProofHeader) + len("\nextra \nindex 9223372036854775807\n\n")
	b := make([]byte, 0, head+base64.StdEncoding.EncodedLen(len(p.Extra))+len(p.Hashes)*(hashTextSize+1)+len(p.Checkpoint))
	b = append(b, logProofHeader+"\n"...)
	if len(p.Extra) > 0 {
		b = append(b, "extra "...)
		b = base64.StdEncoding.AppendEncode(b, p.Extra)
		b = append(b, '\n')
	}
	b = append(b, "index "...)
	b = strconv.AppendUint(b, p.Index, 10)
	b = append(b, '\n')
	for _, h := range p.Hashes {
		b, _ = h.AppendText(b)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, p.Checkpoint...), nil
}

// ParseLogProof reads what Format writes and nothing else. It verifies nothing:
// see Verify.
func ParseLogProof(text []byte) (LogProof, error) {
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		return LogProof{}, fmt.Errorf("%w: a proof has an empty line before its checkpoint", ErrFormat)
	}
	if longest := len(logProofHeader) + 64 + base64.StdEncoding.EncodedLen(maxExtraSize) +
		maxLevels*(hashTextSize+1); len(head) > longest {
		return LogProof{}, fmt.Errorf("%w: a proof of %d bytes before its checkpoint is above the maximum of %d",
			ErrFormat, len(head), longest)
	}
	lines := strings.Split(string(head), "\n")
	if lines[0] != logProofHeader {
		return LogProof{}, fmt.Errorf("%w: the first line of a proof is %s", ErrFormat, logProofHeader)
	}
	lines = lines[1:]

	var p LogProof
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		extra := strings.TrimPrefix(lines[0], "extra ")
		b, err := strictBase64.DecodeString(extra)
		// Decoding skips carriage returns, so compare with what would be written.
		if err != nil || len(b) == 0 || len(b) > maxExtraSize || base64.StdEncoding.EncodeToString(b) != extra {
			return LogProof{}, fmt.Errorf("%w: the extra line of a proof is 1 to %d bytes in padded standard base64",
				ErrFormat, maxExtraSize)
		}
		p.Extra = b
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return LogProof{}, fmt.Errorf("%w: a proof has a line with its index", ErrFormat)
	}
	index, ok := parseDecimal(strings.TrimPrefix(lines[0], "index "))
	if !ok || index == MaxSize {
		return LogProof{}, fmt.Errorf("%w: proof %q: expected a decimal below %d without leading zeroes",
			ErrFormat, lines[0], uint64(MaxSize))
	}
	p.Index = index
	lines = lines[1:]
	if len(lines) > maxLevels {
		return LogProof{}, fmt.Errorf("%w: a proof has at most %d hashes, not %d", ErrFormat, maxLevels, len(lines))
	}
	p.Hashes = make([]Hash, len(lines))
	for i, line := range lines {
		if err := p.Hashes[i].UnmarshalText([]byte(line)); err != nil {
			return LogProof{}, fmt.Errorf("proof hash %d: %w", i, err)
		}
	}
	if _, err := UnverifiedCheckpoint(checkpoint); err != nil {
		return LogProof{}, err
	}
	p.Checkpoint = bytes.Clone(checkpoint)
	return p, nil
}

// Verify checks that the leaf is in the log with this origin and returns the
// checkpoint that says so. For origin and logKeys see OpenCheckpoint.
func (p LogProof) Verify(leaf Hash, origin string, logKeys note.Verifiers) (Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, origin, logKeys)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := VerifyInclusion(leaf, p.Index, c.Size, p.Hashes, c.Root); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}
