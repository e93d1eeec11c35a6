package verifier_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/belfryhq/belfry/test/conformance/verifier"
)

func TestAWholeExportHoldsAgainstItsCheckpoint(t *testing.T) {
	l := newLog(t, 70)
	for size := range 71 {
		report, err := verifier.CheckExport(strings.NewReader(l.export(0, size, size)), l.checkpoint(size))
		if err != nil || len(report.Leaves) != size || report.Uncovered != 0 || report.Erased != 0 {
			t.Errorf("size %d: %+v, %v", size, report, err)
		}
	}
}

func TestEveryRangeHoldsAgainstTheCheckpointOfItsTree(t *testing.T) {
	const size = 13
	l := newLog(t, size)
	for from := range size + 1 {
		for to := from; to <= size; to++ {
			if _, err := verifier.CheckExport(strings.NewReader(l.export(from, to, size)), l.checkpoint(size)); err != nil {
				t.Errorf("[%d, %d): %v", from, to, err)
			}
		}
	}
}

func TestLinesPastTheCheckpointAreReportedAsNotCovered(t *testing.T) {
	l := newLog(t, 9)
	report, err := verifier.CheckExport(strings.NewReader(l.export(0, 9, 9)), l.checkpoint(6))
	if err != nil || report.Uncovered != 3 {
		t.Errorf("%+v, %v, want 3 events not covered", report, err)
	}
	if _, err := verifier.CheckExport(strings.NewReader(l.export(0, 6, 6)), l.checkpoint(9)); err == nil {
		t.Error("an export of 6 events holds against a checkpoint of 9")
	}
}

func TestAnOlderCheckpointMustBeAPrefix(t *testing.T) {
	l, other := newLog(t, 20), newLog(t, 20)
	for size := range 21 {
		if _, err := verifier.CheckExport(strings.NewReader(l.export(0, 20, 20)), l.checkpoint(20),
			l.checkpoint(size)); err != nil {
			t.Errorf("since %d: %v", size, err)
		}
	}
	other.envelopes = nil
	other.stored = nil
	for _, envelope := range l.envelopes[:19] {
		other.append(strings.Replace(envelope, `"UI"`, `"CLI"`, 1), "{}", "{}")
	}
	if _, err := verifier.CheckExport(strings.NewReader(l.export(0, 20, 20)), l.checkpoint(20),
		other.checkpoint(19)); err == nil {
		t.Error("a checkpoint of another history holds")
	}
}

// TestAChangedByteAnywhereIsNoticed changes every byte of an export in two ways.
func TestAChangedByteAnywhereIsNoticed(t *testing.T) {
	l := newLog(t, 3)
	good, checkpoint := l.export(0, 3, 3), l.checkpoint(3)
	for i := range len(good) {
		for _, flip := range []byte{0x01, 0x20} {
			bad := []byte(good)
			bad[i] ^= flip
			if _, err := verifier.CheckExport(bytes.NewReader(bad), checkpoint); err == nil && !sameDecoded(good, bad, i) {
				t.Errorf("byte %d: %q for %q is not noticed, near %q", i, bad[i], good[i], good[max(0, i-20):min(len(good), i+20)])
			}
		}
	}
}

// sameDecoded tells whether the change only wrote the same text in another way: the hex
// digits and the letter case of an escape.
func sameDecoded(good string, bad []byte, i int) bool {
	return strings.EqualFold(good, string(bad)) && strings.Contains(good[max(0, i-5):i], `\u`)
}

func TestAMissingRepeatedOrSwappedEventIsNoticed(t *testing.T) {
	l := newLog(t, 4)
	lines := strings.SplitAfter(l.export(0, 4, 4), "\n")
	for name, order := range map[string][]int{
		"first missing": {0, 2, 3, 4},
		"last missing":  {0, 1, 2, 3},
		"repeated":      {0, 1, 1, 2, 3, 4},
		"swapped":       {0, 2, 1, 3, 4},
		"one too many":  {0, 1, 2, 3, 4, 4},
	} {
		var b strings.Builder
		for _, line := range order {
			b.WriteString(lines[line])
		}
		if _, err := verifier.CheckExport(strings.NewReader(b.String()), l.checkpoint(4)); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestAnErasedFieldIsCountedAndItsEventStillHolds(t *testing.T) {
	l := newLog(t, 2)
	l.openings[1] = "{" + l.openings[1][strings.Index(l.openings[1], `"/after"`):]
	l.shown[1] = strings.Replace(l.shown[1], `"id":"u1",`, "", 1)
	report, err := verifier.CheckExport(strings.NewReader(l.export(0, 2, 2)), l.checkpoint(2))
	if err != nil || report.Erased != 1 {
		t.Errorf("%+v, %v, want one erased field", report, err)
	}
}

func TestAnEnvelopeOutsideTheFormatIsRefused(t *testing.T) {
	for name, change := range map[string][2]string{
		"white space":     {`"v":1,`, `"v":1, `},
		"another version": {`"v":1,`, `"v":2,`},
		"short time":      {`.000000Z`, `.000Z`},
		"members of event not sorted": {`"action":{"type":"update"},"actor":{"type":"user"}`,
			`"actor":{"type":"user"},"action":{"type":"update"}`},
		"duplicate name":         {`"type":"update"`, `"type":"update","type":"update"`},
		"personal data in clear": {`"actor":{"type":"user"}`, `"actor":{"email":"a@b.example","type":"user"}`},
		"committed and shown":    {`"action":{`, `"after":{"secret":1},"action":{`},
		"another account":        {account, strings.Repeat("1", 32)},
		"needless escape":        {`"update"`, `"\u0075pdate"`},
	} {
		l := newLog(t, 1)
		changed := strings.Replace(l.envelopes[0], change[0], change[1], 1)
		if changed == l.envelopes[0] {
			t.Fatalf("%s: nothing to change", name)
		}
		shown, openings := l.shown[0], l.openings[0]
		l.envelopes = nil
		l.shown = nil
		l.openings = nil
		l.stored = nil
		l.append(changed, shown, openings)
		if _, err := verifier.CheckExport(strings.NewReader(l.export(0, 1, 1)), l.checkpoint(1)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTilesOfEverySizeHold(t *testing.T) {
	l := newLog(t, 600)
	for _, size := range []int{0, 1, 2, 255, 256, 257, 511, 512, 513, 600} {
		leaves, err := verifier.CheckTiles(l.tile, l.checkpoint(size))
		if err != nil || len(leaves) != size {
			t.Errorf("size %d: %d leaves, %v", size, len(leaves), err)
		}
		if err := verifier.CheckPrefix(leaves, l.checkpoint(size/2)); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func TestAWrongTileIsNamed(t *testing.T) {
	l := newLog(t, 300)
	for _, path := range []string{"tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000",
		"tile/entries/001.p/44"} {
		for name, spoil := range map[string]func([]byte) []byte{
			"changed": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"short":   func(b []byte) []byte { return b[:len(b)-1] },
			"long":    func(b []byte) []byte { return append(b, 0) },
		} {
			fetched := false
			_, err := verifier.CheckTiles(func(p string) ([]byte, error) {
				b, err := l.tile(p)
				if p == path {
					fetched = true
					b = spoil(b)
				}
				return b, err
			}, l.checkpoint(300))
			if !fetched || err == nil {
				t.Errorf("%s %s: fetched %v, error %v", path, name, fetched, err)
			}
		}
	}
}

func TestAnInclusionProofHoldsForItsLeafOnly(t *testing.T) {
	l := newLog(t, 11)
	for index := range 11 {
		proof, err := verifier.OpenProof(l.proof(index, 11), l.vkey)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.CheckInclusion(proof, tlog.RecordHash([]byte(l.envelopes[index]))); err != nil {
			t.Errorf("index %d: %v", index, err)
		}
		if err := verifier.CheckInclusion(proof, tlog.RecordHash([]byte(l.envelopes[(index+1)%11]))); err == nil {
			t.Errorf("index %d: the proof holds for another event", index)
		}
	}
	if _, err := verifier.OpenProof(strings.Replace(l.proof(3, 11), "index 3", "index 03", 1), l.vkey); err == nil {
		t.Error("a leading zero is accepted")
	}
	if _, err := verifier.OpenProof(l.proof(3, 11), newLog(t, 0).vkey); err == nil {
		t.Error("another key verifies the checkpoint")
	}
}

func TestAConsistencyProofHoldsForItsTreesOnly(t *testing.T) {
	l := newLog(t, 11)
	for size := 1; size < 11; size++ {
		proof, err := tlog.ProveTree(11, int64(size), l.stored)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.CheckConsistency(l.checkpoint(size), l.checkpoint(11), proof); err != nil {
			t.Errorf("from %d: %v", size, err)
		}
		older := l.checkpoint(size)
		older.Root[0] ^= 1
		if err := verifier.CheckConsistency(older, l.checkpoint(11), proof); err == nil {
			t.Errorf("from %d: another root is consistent", size)
		}
	}
}

func TestABundleHoldsAndAChangedByteIsNoticed(t *testing.T) {
	l := newLog(t, 5)
	good := l.bundle(3, 5)
	if err := verifier.CheckBundle([]byte(good), l.vkey); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) {
		bad := []byte(good)
		bad[i] ^= 1
		if err := verifier.CheckBundle(bad, l.vkey); err == nil {
			t.Errorf("byte %d: %q for %q is not noticed, near %q", i, bad[i], good[i], good[max(0, i-20):min(len(good), i+20)])
		}
	}
	if err := verifier.CheckBundle([]byte(good), newLog(t, 0).vkey); err == nil {
		t.Error("the bundle holds with the key of somebody else")
	}
}

func TestAReceiptHoldsForItsEventOnly(t *testing.T) {
	l := newLog(t, 4)
	hashes, err := tlog.ProveRecord(4, 2, l.stored)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, hash := range hashes {
		list = append(list, `"`+b64(hash[:])+`"`)
	}
	receipt := fmt.Sprintf(`{"leaf":%q,"checkpoint":%q,"index":2,"hashes":[%s]}`,
		tlog.RecordHash([]byte(l.envelopes[2])).String(), l.signed("audit.example/receipts", 4), strings.Join(list, ","))
	if err := verifier.CheckReceipt([]byte(receipt), tlog.RecordHash([]byte(l.envelopes[2])), l.vkey); err != nil {
		t.Error(err)
	}
	if err := verifier.CheckReceipt([]byte(receipt), tlog.RecordHash([]byte(l.envelopes[1])), l.vkey); err == nil {
		t.Error("the receipt holds for another event")
	}
	if err := verifier.CheckReceipt([]byte(strings.Replace(receipt, `"index":2`, `"index":1`, 1)),
		tlog.RecordHash([]byte(l.envelopes[2])), l.vkey); err == nil {
		t.Error("the receipt holds for another index")
	}
}

// TestTheVerifierSharesNothingWithBelfry holds what its name promises.
func TestTheVerifierSharesNothingWithBelfry(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		"{{if not .Standard}}{{.ImportPath}}{{end}}", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range strings.Fields(string(out)) {
		if !strings.HasPrefix(path, "golang.org/x/mod/") && !strings.HasSuffix(path, "/test/conformance/verifier") {
			t.Errorf("the verifier imports %s", path)
		}
	}
}
