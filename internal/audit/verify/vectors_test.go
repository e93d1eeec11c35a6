package verify_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/verify"
	"github.com/belfryhq/belfry/internal/event"
)

var updateVectors = flag.Bool("update-vectors", false,
	"make new vectors of the proof's format; logs out in the world keep the old ones valid")

// proofVectors is the folder with the files that every verifier must accept.
const proofVectors = "../../../sdk/vectors/proof"

// difficultMembers are open data that careless readers change: numbers that no
// float holds, names whose order differs between UTF-8 and UTF-16, characters
// that must be escaped, and those that must not.
const difficultMembers = `{"z":1.50,"int":12345678901234567890,"exp":1e21,"tiny":0.000001,"minus":-0,` +
	`"€":1,"😀":2,"\ufb33":3,"Z":[{"b":null,"a":true},[]],` +
	`"text":"\u0001\u001f\b\f\n\r\t\"\\\/ \u007f\u2028é😀","pin":{"b":1.10,"a":"x"},"":""}`

// The vectors are files that other programs verify too (test/conformance/verify).
func TestTheVectorsOfTheFormatVerify(t *testing.T) {
	if *updateVectors {
		writeVectors(t)
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(proofVectors, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := string(read("key"))
	report, err := verify.Export(bytes.NewReader(read("export.ndjson")), read("checkpoint"), key,
		read("older-checkpoint"), nil)
	if err != nil || report.From != 0 || report.To != 11 || report.Erased != 2 || !report.Consistent {
		t.Errorf("%v %+v", err, report)
	}
	if report, err = verify.Export(bytes.NewReader(read("range.ndjson")), read("checkpoint"), key, nil,
		nil); err != nil || report.From != 3 || report.To != 6 {
		t.Errorf("%v %+v", err, report)
	}
	if _, err := verify.Bundle(read("bundle.json"), key); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(read("export.ndjson"), []byte("\u2028")) {
		t.Error("no line of the export holds a line separator that is not \\n")
	}
	var pairs []struct{ Text, Canonical string }
	if err := json.Unmarshal(read("canonical.json"), &pairs); err != nil || len(pairs) < 10 {
		t.Fatal(err, len(pairs))
	}
	for _, p := range pairs {
		v := jsontext.Value(p.Text)
		if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil ||
			string(v) != p.Canonical {
			t.Errorf("%s became %s, want %s (%v)", p.Text, v, p.Canonical, err)
		}
	}
}

// writeVectors makes a small log with everything that the format has.
func writeVectors(t *testing.T) {
	w := newWorld(t, "")
	w.Personal = event.ParseFields([]string{"/metadata/text", "/after/pin", "/reason/text"})
	signer := w.Signer(w.DB, w.Memory())
	open := map[string]any{
		"before":   json.RawMessage(`{"ttl":300}`),
		"after":    json.RawMessage(difficultMembers),
		"metadata": json.RawMessage(difficultMembers),
	}
	var older []byte
	for i := range 11 {
		id := "v-" + string(rune('a'+i))
		if i%3 == 0 {
			w.Append(accountA, complete(id, open))
		} else {
			w.Append(accountA, minimal(members{"id": id}))
		}
		if i == 4 {
			_, older = w.Checkpoint(signer, accountA)
		}
	}
	if n, err := w.Erase(accountA, []int64{6}, []string{"/actor/email", "/before"}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	_, checkpoint := w.Checkpoint(signer, accountA)
	x := &exported{W: w.World, Signer: signer, Checkpoint: checkpoint, VKey: signer.Keys()[0].VKey}
	bundle := bundleOf(t, x, "v-d", 11)
	var pairs []map[string]string
	for _, text := range []string{difficultMembers, `{ "b" : 1.0 , "a" : [ 1 , 1.00 , 1e2, 1E+2 ] }`,
		`"\u00e9\ud83d\ude00"`, `"\u2028\u2029\u007f\/"`, `"\u0000\u001F"`, `-0`, `1.50`, `12345678901234567890`,
		`1e400`, `0.000001`, `null`, `true`, `[ ]`, `{ }`, `{"\ud83d\ude00":1,"\ufb33":2,"a":3,"A":4,"":5}`} {
		v := jsontext.Value(text)
		if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, map[string]string{"text": text, "canonical": string(v)})
	}
	table, err := json.MarshalIndent(pairs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(proofVectors, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"export.ndjson":    x.Range(t, 0, 11, 11),
		"range.ndjson":     x.Range(t, 3, 6, 11),
		"checkpoint":       checkpoint,
		"older-checkpoint": older,
		"key":              []byte(strings.TrimSpace(x.VKey) + "\n"),
		"bundle.json":      append(bundle, '\n'),
		"canonical.json":   append(table, '\n'),
	} {
		if err := os.WriteFile(filepath.Join(proofVectors, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
