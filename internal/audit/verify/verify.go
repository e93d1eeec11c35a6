// Package verify checks exports, bundles and checkpoints offline. It trusts only the
// verifier key that the customer gives, and names the first event that does not hold.
//
//	export: lines -> leaves -> root = the checkpoint's -> signature
//	bundle: event -> leaf -> inclusion proof -> checkpoint -> signature
package verify

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Unreadable is the error of a file that is none of those which a verification
// takes, such as a filtered export: that says nothing about the record.
type Unreadable struct{ Why string }

func (e *Unreadable) Error() string { return e.Why }

func unreadable(format string, args ...any) error { return &Unreadable{fmt.Sprintf(format, args...)} }

// onlyKnown refuses members that the formats do not have.
var onlyKnown = json.RejectUnknownMembers(true)

// Report is the result of a verification.
type Report struct {
	Origin     string
	Account    string
	From, To   uint64 // events that were verified
	Size       uint64 // of the checkpoint
	NotCovered uint64 // lines after the checkpoint's size: not proved yet
	Erased     int    // committed fields that are not opened
	Consistent bool   // with the older checkpoint, when one was given
}

// Export checks a provable export against a checkpoint signed by vkey:
// every leaf, the root, the completeness of the range, every shown event
// against its envelope and openings, and, when old is not nil, that the log
// still begins with what old says. progress may be nil.
func Export(export io.Reader, checkpoint []byte, vkey string, old []byte, progress func(done uint64)) (*Report, error) {
	lines := bufio.NewScanner(export)
	lines.Buffer(make([]byte, 0, 1<<16), 8*record.MaxEvent)
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return nil, err
		}
		return nil, unreadable("not an export: the file is empty")
	}
	var header record.ExportHeader
	if err := json.Unmarshal(lines.Bytes(), &header, onlyKnown); err != nil {
		return nil, notAnExport(lines.Bytes(), err)
	}
	x := header.Export
	if x.V != 1 || x.From > x.To || x.To > x.Size {
		return nil, fmt.Errorf("line 1: version %d, range [%d, %d) of %d: not one this verifies", x.V, x.From, x.To, x.Size)
	}
	left := merkle.CoverLen(0, x.From)
	right := merkle.CoverLen(x.To, x.Size)
	if len(x.Left) != left || len(x.Right) != right {
		return nil, fmt.Errorf("line 1: %d hashes to the left and %d to the right; the range [%d, %d) of %d has %d and %d",
			len(x.Left), len(x.Right), x.From, x.To, x.Size, left, right)
	}
	cp, err := OpenCheckpoint(checkpoint, vkey, x.Account)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if x.From > cp.Size {
		return nil, fmt.Errorf("the export begins at event %d, and the checkpoint is of size %d: it takes a newer "+
			"checkpoint", x.From, cp.Size)
	}
	report := &Report{Origin: cp.Origin, Account: x.Account, From: x.From, To: min(x.To, cp.Size), Size: cp.Size}
	if x.Size < cp.Size {
		return nil, fmt.Errorf("the export was made for size %d, the checkpoint is of size %d: ask for the export "+
			"again, or use the checkpoint of its size", x.Size, cp.Size)
	}
	if x.Size > cp.Size && x.To < cp.Size {
		return nil, fmt.Errorf("the export's hashes are for size %d, the checkpoint is of size %d", x.Size, cp.Size)
	}
	var older *merkle.Checkpoint
	if old != nil {
		o, err := OpenCheckpoint(old, vkey, x.Account)
		if err != nil {
			return nil, fmt.Errorf("older checkpoint: %w", err)
		}
		older = &o
	}
	c := rangeCheck{export: x, checkpoint: cp, older: older, report: report, progress: progress}
	if err := c.run(lines); err != nil {
		return nil, err
	}
	return report, nil
}

// notAnExport says what a first line is that is not the header of an export.
func notAnExport(line []byte, err error) error {
	var filtered struct {
		Export *struct {
			Complete *bool `json:"complete"`
		} `json:"export"`
	}
	switch {
	case json.Unmarshal(line, &filtered) != nil || filtered.Export == nil:
		return unreadable("not an export: the first line must begin with {\"export\": (%v)", err)
	case filtered.Export.Complete != nil && !*filtered.Export.Complete:
		return unreadable("a filtered export, which proves nothing: export without since, before and filters (from " +
			"and to are fine)")
	default:
		return fmt.Errorf("line 1: not the header of an export: %w", err)
	}
}

// rangeCheck verifies the lines of an export against a checkpoint.
type rangeCheck struct {
	export     record.ExportRange
	checkpoint merkle.Checkpoint
	older      *merkle.Checkpoint // nil = none was given
	report     *Report
	progress   func(uint64) // nil = none
}

func (c *rangeCheck) run(lines *bufio.Scanner) error {
	x := c.export
	cp := c.checkpoint
	older := c.older
	report := c.report
	right := x.Right
	if x.Size > cp.Size {
		right = nil // lines past the checkpoint's size are read, and not covered
	}
	to := min(x.To, cp.Size)
	v, err := merkle.NewRangeVerifier(x.From, to, cp.Size, x.Left)
	if err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	check := func() error {
		if older == nil || v.Next() != older.Size {
			return nil
		}
		if root := v.Root(); root != older.Root {
			return fmt.Errorf("the log does not begin with what the older checkpoint signed: at size %d the roots differ",
				older.Size)
		}
		report.Consistent = true
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	seq := x.From
	end, err := verifyLines(lines, x, func(l *verifiedLine) error {
		report.Erased += l.erased
		if seq++; seq > cp.Size {
			report.NotCovered++
			return nil
		}
		if err := v.Append(l.leaf); err != nil {
			return fmt.Errorf("event %d: %w", seq-1, err)
		}
		if c.progress != nil && seq%1000 == 0 {
			c.progress(seq - x.From)
		}
		return check()
	})
	if err != nil {
		return err
	}
	if end {
		return fmt.Errorf("the export has more lines than its header promises (%d events)", x.To-x.From)
	}
	root, err := v.Finish(right)
	if err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	if root != cp.Root {
		return fmt.Errorf("the events do not give the root that was signed: one of the events %d to %d, or a hash of "+
			"line 1, was changed, left out or added", x.From, to-1)
	}
	if older != nil && !report.Consistent {
		return fmt.Errorf("the older checkpoint is of size %d, outside the export's range [%d, %d]: export from "+
			"there, or everything", older.Size, x.From, to)
	}
	return nil
}

// exportedEvent holds the members that a line of an export and a bundle share.
type exportedEvent struct {
	Seq      uint64                     `json:"seq"`
	Envelope string                     `json:"envelope"`
	Event    jsontext.Value             `json:"event"`
	Openings map[string]exportedOpening `json:"openings"`
}

type exportedOpening struct {
	Salt  string         `json:"salt"`
	Value jsontext.Value `json:"value"`
}

// verify checks commitments, rebuilds the shown event and compares it.
func (e *exportedEvent) verify(account string) (leaf merkle.Hash, erased int, err error) {
	envelope, err := strictBase64(e.Envelope)
	if err != nil {
		return leaf, 0, fmt.Errorf("envelope: %w", err)
	}
	env, err := record.ParseEnvelope(envelope)
	if err != nil {
		return leaf, 0, err
	}
	if env.Account != account {
		return leaf, 0, fmt.Errorf("the envelope belongs to account %s", env.Account)
	}
	list := make([]record.Opening, 0, len(e.Openings))
	for path, o := range e.Openings {
		committed, ok := env.Commitments[path]
		if !ok {
			return leaf, 0, fmt.Errorf("%s is opened, and the envelope has no commitment for it", path)
		}
		s, err := strictBase64(o.Salt)
		if err != nil || len(s) != 32 {
			return leaf, 0, fmt.Errorf("%s: the salt is not 32 bytes in base64", path)
		}
		value, err := record.Canonical(o.Value)
		if err != nil {
			return leaf, 0, fmt.Errorf("%s: %w", path, err)
		}
		if sum := record.Commit((*[32]byte)(s), value); !bytes.Equal(sum[:], committed) {
			return leaf, 0, fmt.Errorf("%s: the value is not the one that was committed to", path)
		}
		list = append(list, record.Opening{Path: path, Salt: [32]byte(s), Value: value})
	}
	slices.SortFunc(list, func(a, b record.Opening) int { return strings.Compare(a.Path, b.Path) })
	want, err := env.Shown(int64(e.Seq), list)
	if err != nil {
		return leaf, 0, err
	}
	shown, err := record.Canonical(e.Event)
	if err != nil {
		return leaf, 0, fmt.Errorf("event: %w", err)
	}
	if !bytes.Equal(want, shown) {
		return leaf, 0, fmt.Errorf("the event that is shown is not the one in the envelope%s", firstDifference(want, shown))
	}
	return merkle.LeafHash(envelope), len(env.Commitments) - len(list), nil
}

func firstDifference(want, shown jsontext.Value) string {
	if d := record.Diff(want, shown); len(d) > 0 {
		return ": " + cmp.Or(d[0].Path, "/") + " was " + d[0].Op
	}
	return ""
}

// strictBase64 refuses what a lenient decoder reads as the same bytes: line
// breaks, and bits after the last byte.
func strictBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("base64 with line breaks")
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// OpenCheckpoint checks that a checkpoint is signed by vkey, for this account's log.
func OpenCheckpoint(checkpoint []byte, vkey, account string) (merkle.Checkpoint, error) {
	verifier, err := newVerifier(vkey)
	if err != nil {
		return merkle.Checkpoint{}, err
	}
	checkpoint = asSigned(checkpoint)
	if !bytes.Contains(checkpoint, []byte("\n\n")) {
		return merkle.Checkpoint{}, unreadable("not a checkpoint: it must have three lines, an empty line, and the " +
			"signatures")
	}
	return merkle.OpenCheckpoint(checkpoint, verifier.Name()+"/"+account, note.VerifierList(verifier))
}

func newVerifier(vkey string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return nil, unreadable("the key is not a verifier key (NAME+HASH+KEY): %v", err)
	}
	return v, nil
}

// asSigned undoes what mail and editors do to the text of a checkpoint: line
// ends of two characters, and more or fewer line ends after the signatures.
func asSigned(checkpoint []byte) []byte {
	text := bytes.TrimRight(bytes.ReplaceAll(checkpoint, []byte("\r\n"), []byte("\n")), "\n")
	return append(text, '\n')
}

// bundleFile is one event's proof in one file.
type bundleFile struct {
	Bundle struct {
		V int `json:"v"`
	} `json:"bundle"`
	exportedEvent
	Proof string `json:"proof"`
	VKey  string `json:"vkey"`
}

// BundleReport is the result of the verification of one event.
type BundleReport struct {
	Report
	Seq      uint64
	Sentence string
	VKey     string // the bundle's own key, which the customer compares with a known one
	KeyGiven bool
}

// Bundle checks one event: leaf, inclusion, checkpoint and signature.
// vkey is a key that the customer knows; empty = the one in the bundle, which
// then has to be compared by other means.
func Bundle(data []byte, vkey string) (*BundleReport, error) {
	var b bundleFile
	if err := json.Unmarshal(data, &b, onlyKnown); err != nil {
		return nil, unreadable("not an event's bundle: %v", err)
	}
	if b.Bundle.V != 1 {
		return nil, fmt.Errorf("a bundle of version %d; this verifies version 1", b.Bundle.V)
	}
	given := vkey != ""
	if !given {
		vkey = b.VKey
	} else if strings.TrimSpace(vkey) != b.VKey {
		return nil, errors.New("the bundle names another key than the one given")
	}
	envelope, err := strictBase64(b.Envelope)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	env, err := record.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	leaf, erased, err := b.verify(env.Account)
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", b.Seq, err)
	}
	proof, err := merkle.ParseLogProof([]byte(b.Proof))
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	if proof.Index != b.Seq {
		return nil, fmt.Errorf("the proof is for leaf %d, the event is %d", proof.Index, b.Seq)
	}
	verifier, err := newVerifier(vkey)
	if err != nil {
		return nil, err
	}
	cp, err := proof.Verify(leaf, verifier.Name()+"/"+env.Account, note.VerifierList(verifier))
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	values := map[string]jsontext.Value{}
	for path, o := range b.Openings {
		values[path] = o.Value
	}
	rec, err := env.Open(int64(b.Seq), values)
	if err != nil {
		return nil, err
	}
	return &BundleReport{
		Report:   Report{Origin: cp.Origin, Account: env.Account, From: b.Seq, To: b.Seq + 1, Size: cp.Size, Erased: erased},
		Seq:      b.Seq,
		Sentence: rec.Sentence(""),
		VKey:     b.VKey,
		KeyGiven: given,
	}, nil
}

// SignatureHolds reports whether the bundle's checkpoint is signed by the key.
func SignatureHolds(data []byte, vkey string) bool {
	var b bundleFile
	if json.Unmarshal(data, &b) != nil {
		return false
	}
	envelope, err := strictBase64(b.Envelope)
	if err != nil {
		return false
	}
	env, err := record.ParseEnvelope(envelope)
	if err != nil {
		return false
	}
	proof, err := merkle.ParseLogProof([]byte(b.Proof))
	if err != nil {
		return false
	}
	_, err = OpenCheckpoint(proof.Checkpoint, vkey, env.Account)
	return err == nil
}
