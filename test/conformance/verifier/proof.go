package verifier

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A Proof is a parsed C2SP tlog-proof whose checkpoint's signature was verified.
type Proof struct {
	Index      int64
	Hashes     []tlog.Hash // from the leaf's sibling up
	Checkpoint Checkpoint
}

// OpenProof reads a C2SP tlog-proof and verifies the signature of its checkpoint.
func OpenProof(text, vkey string) (Proof, error) {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	if !found {
		return Proof{}, errors.New("proof: no empty line before the checkpoint")
	}
	lines := strings.Split(head, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return Proof{}, fmt.Errorf("proof: the first line is %q", lines[0])
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if _, err := parseBase64(strings.TrimPrefix(lines[0], "extra ")); err != nil {
			return Proof{}, fmt.Errorf("proof: extra: %w", err)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return Proof{}, errors.New("proof: no line with the index")
	}
	p := Proof{}
	var err error
	if p.Index, err = parseDecimal(strings.TrimPrefix(lines[0], "index ")); err != nil {
		return p, fmt.Errorf("proof: index: %w", err)
	}
	if p.Hashes, err = parseHashes(lines[1:]); err != nil {
		return p, fmt.Errorf("proof: %w", err)
	}
	p.Checkpoint, err = OpenCheckpoint([]byte(checkpoint), vkey)
	return p, err
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(lines))
	for i, line := range lines {
		var err error
		if hashes[i], err = parseHash(line); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// CheckInclusion proves that leaf is in the checkpoint's tree at the proof's index.
func CheckInclusion(p Proof, leaf tlog.Hash) error {
	if p.Index >= p.Checkpoint.Size {
		return fmt.Errorf("index %d is not in a tree of size %d", p.Index, p.Checkpoint.Size)
	}
	return tlog.CheckRecord(p.Hashes, p.Checkpoint.Size, p.Checkpoint.Root, p.Index, leaf)
}

// CheckConsistency verifies an RFC 6962 consistency proof between two checkpoints.
func CheckConsistency(older, newer Checkpoint, proof []tlog.Hash) error {
	return tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root)
}

// CheckBundle verifies the proof file of one event with the key it is given; the key
// inside the bundle proves nothing, it must only be the same.
func CheckBundle(text []byte, vkey string) error {
	v, err := parseJSON(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	if len(v.members) != 7 {
		return errors.New("a bundle has seven members")
	}
	head, _ := v.get("bundle")
	if version, _ := head.get("v"); version.compact() != "1" {
		return errors.New("no bundle of version 1")
	}
	field := func(name string, kind byte) value {
		found, _ := v.get(name)
		if found.kind != kind && err == nil {
			err = fmt.Errorf("the bundle has no proper %s", name)
		}
		return found
	}
	seqField, envelopeField := field("seq", '#'), field("envelope", '"')
	event, openings := field("event", '{'), field("openings", '{')
	proofField, keyField := field("proof", '"'), field("vkey", '"')
	if err != nil {
		return err
	}
	if strings.TrimSpace(keyField.text) != strings.TrimSpace(vkey) {
		return errors.New("the bundle names another key")
	}
	seq, err := parseDecimal(seqField.text)
	if err != nil {
		return fmt.Errorf("seq: %w", err)
	}
	raw, err := parseBase64(envelopeField.text)
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	leaf, e, _, err := checkRecord(seq, raw, event, openings)
	if err != nil {
		return err
	}
	proof, err := OpenProof(proofField.text, vkey)
	if err != nil {
		return err
	}
	if proof.Index != seq {
		return fmt.Errorf("the proof is of index %d, the event has seq %d", proof.Index, seq)
	}
	if !strings.HasSuffix(proof.Checkpoint.Origin, "/"+e.account) {
		return fmt.Errorf("the checkpoint of %s does not speak of account %s", proof.Checkpoint.Origin, e.account)
	}
	return CheckInclusion(proof, leaf)
}

// CheckReceipt verifies the signed receipt of an accepted event: an inclusion proof in the
// tree of the batch that was committed with it. leaf is the hash of the event's envelope;
// the one inside the receipt proves nothing, it must only be the same.
func CheckReceipt(text []byte, leaf tlog.Hash, vkey string) error {
	v, err := parseJSON(string(text))
	if err != nil {
		return err
	}
	signed, _ := v.get("checkpoint")
	checkpoint, err := OpenCheckpoint([]byte(signed.text), vkey)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(checkpoint.Origin, "/receipts") {
		return fmt.Errorf("a receipt with a checkpoint of %q", checkpoint.Origin)
	}
	if own, _ := v.get("leaf"); own.text != leaf.String() {
		return fmt.Errorf("the receipt is of leaf %s, not of %s", own.text, leaf)
	}
	indexField, _ := v.get("index")
	index, err := parseDecimal(indexField.text)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	list, _ := v.get("hashes")
	proof, err := hashesIn(v, "hashes", len(list.items))
	if err != nil {
		return err
	}
	return CheckInclusion(Proof{Index: index, Hashes: proof, Checkpoint: checkpoint}, leaf)
}
