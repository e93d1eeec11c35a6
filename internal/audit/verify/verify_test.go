package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/audit/verify"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestEveryRangeOfAnExportVerifies(t *testing.T) {
	x := newExported(t)
	for from := range uint64(exportedEvents + 1) {
		for to := from; to <= exportedEvents; to++ {
			export := x.Range(t, from, to, exportedEvents)
			report, err := x.Verify(export, nil)
			if err != nil || report.From != from || report.To != to || report.Size != exportedEvents ||
				report.NotCovered != 0 || report.Erased != 0 || report.Account != accountA {
				t.Fatalf("[%d, %d): %v %+v", from, to, err, report)
			}
			// The older checkpoint is of size 5.
			report, err = x.Verify(export, x.Older)
			if inside := from <= 5 && 5 <= to; inside != (err == nil) || inside && !report.Consistent {
				t.Errorf("[%d, %d) with the older checkpoint: %v %+v", from, to, err, report)
			}
		}
	}
}

func TestLinesPastTheCheckpointAreNotCovered(t *testing.T) {
	x := newExported(t)
	x.W.Append(accountA, complete("late-1", nil), complete("late-2", nil))
	report, err := x.Verify(x.Range(t, 0, exportedEvents+2, exportedEvents+2), x.Older)
	if err != nil || report.NotCovered != 2 || report.To != exportedEvents || !report.Consistent {
		t.Fatalf("%v %+v", err, report)
	}
	if report, err = x.Verify(x.Range(t, 3, exportedEvents+1, exportedEvents+2),
		nil); err != nil || report.NotCovered != 1 || report.From != 3 {
		t.Fatalf("%v %+v", err, report)
	}
	// The lines that are covered are still checked, and the others against themselves.
	lines := bytes.SplitAfter(x.Range(t, 0, exportedEvents+2, exportedEvents+2), []byte("\n"))
	for _, i := range []int{1, exportedEvents + 1} {
		changed := slices.Clone(lines)
		changed[i] = edit(t, changed[i], func(m map[string]any) { m["event"].(map[string]any)["change_set"] = "another" })
		if _, err := x.Verify(bytes.Join(changed, nil), nil); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("event %d", i-1)) {
			t.Errorf("line %d changed: %v", i, err)
		}
	}
	// An export of nothing that the checkpoint covers proves nothing, and says so.
	if report, err := x.Verify(x.Range(t, exportedEvents+1, exportedEvents+2, exportedEvents+2), nil); err == nil ||
		!strings.Contains(err.Error(), "newer checkpoint") {
		t.Errorf("%v %+v", err, report)
	}
	// An export that was made before the checkpoint has not the hashes for it.
	if _, err := x.Verify(x.Range(t, 0, 8, 10), nil); err == nil || !strings.Contains(err.Error(), "size 10") {
		t.Error(err)
	}
}

// sameLine reports whether two texts say the same JSON, so that a changed byte
// need not be noticed.
func sameLine(a, b []byte) bool {
	x := jsontext.Value(bytes.Clone(a))
	y := jsontext.Value(bytes.Clone(b))
	raw := []jsontext.Options{jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)}
	return x.Canonicalize(raw...) == nil && y.Canonicalize(raw...) == nil && bytes.Equal(x, y)
}

func sameLines(a, b []byte) bool {
	x := bytes.Split(a, []byte("\n"))
	y := bytes.Split(b, []byte("\n"))
	return slices.EqualFunc(x, y, func(a, b []byte) bool { return bytes.Equal(a, b) || sameLine(a, b) })
}

// Every bit of an export of one event out of the middle, and one bit of every
// third byte of a whole export, whose lines are all made alike.
func TestEveryFlippedBitOfAnExportIsNoticed(t *testing.T) {
	x := newExported(t)
	small := newExportedOf(t, func(i int) string { return minimal(members{"id": fmt.Sprint("e-", i), "before": i}) })
	for _, c := range []struct {
		x        *exported
		from, to uint64
		bits     int // of each byte
		step     int
	}{{small, 0, exportedEvents, 1, thorough(1, 11)}, {x, 3, 4, thorough(8, 2), 1}} {
		export := c.x.Range(t, c.from, c.to, exportedEvents)
		original := bytes.Clone(export)
		for i := 0; i < len(export); i += c.step {
			for k := range c.bits {
				export[i] ^= 1 << ((i + k) % 8)
				if report, err := c.x.Verify(export, nil); err == nil && !sameLines(export, original) {
					t.Fatalf("byte %d: %+v\n…%s…", i, report, export[max(0, i-60):min(len(export), i+60)])
				}
				export[i] = original[i]
			}
		}
		if _, err := c.x.Verify(export, nil); err != nil || len(export) < 3000 {
			t.Fatalf("%v, %d bytes", err, len(export))
		}
	}
}

// sameNote reports whether two signed notes differ in nothing but idle bits of
// a signature's base64, which note.Open does not look at.
func sameNote(a, b []byte) bool {
	x := strings.Split(string(a), "\n")
	y := strings.Split(string(b), "\n")
	return slices.EqualFunc(x, y, func(a, b string) bool {
		if a == b {
			return true
		}
		nameA, textA, _ := cutLast(a)
		nameB, textB, isSignature := cutLast(b)
		x, err := base64.StdEncoding.DecodeString(textA)
		y, err2 := base64.StdEncoding.DecodeString(textB)
		return isSignature && nameA == nameB && err == nil && err2 == nil && bytes.Equal(x, y)
	})
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 || !strings.HasPrefix(s, "— ") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// sameBundle is sameLine, with the checkpoint inside compared by sameNote.
func sameBundle(a, b []byte) bool {
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil || len(x) != len(y) {
		return false
	}
	proofA, okA := x["proof"].(string)
	proofB, okB := y["proof"].(string)
	if !okA || !okB || !sameNote([]byte(proofA), []byte(proofB)) {
		return false
	}
	return proofA == proofB && sameLine(a, b) || proofA != proofB && asJSON(withProof(x)) == asJSON(withProof(y))
}

func withProof(m map[string]any) map[string]any { m["proof"] = ""; return m }

func TestEveryFlippedBitOfACheckpointIsNoticed(t *testing.T) {
	x := newExported(t)
	export := x.Range(t, 0, exportedEvents, exportedEvents)
	for i := range x.Checkpoint {
		for bit := byte(1); bit != 0; bit <<= 1 {
			x.Checkpoint[i] ^= bit
			changed := bytes.Clone(x.Checkpoint)
			_, err := x.Verify(export, nil)
			if x.Checkpoint[i] ^= bit; err == nil && !sameNote(changed, x.Checkpoint) {
				t.Errorf("bit %d of byte %d: %q", bit, i, changed)
			}
		}
	}
	other := newExported(t)
	if _, err := verify.Export(bytes.NewReader(export), x.Checkpoint, other.VKey, nil, nil); err == nil {
		t.Error("another key verified")
	}
	if _, err := verify.Export(bytes.NewReader(export), other.Checkpoint, x.VKey, nil, nil); err == nil {
		t.Error("another log's checkpoint verified")
	}
}

func TestEveryFlippedBitOfABundleIsNoticed(t *testing.T) {
	x := newExported(t)
	bundle := x.Bundle(t, "e-7")
	report, err := verify.Bundle(bundle, x.VKey)
	if err != nil || report.Seq != 7 || !report.KeyGiven || report.Size != exportedEvents || report.Erased != 0 ||
		!strings.Contains(report.Sentence, "Ana on behalf of") {
		t.Fatalf("%v %+v", err, report)
	}
	if report, err = verify.Bundle(bundle, ""); err != nil || report.KeyGiven || report.VKey != x.VKey {
		t.Fatalf("%v %+v", err, report)
	}
	if _, err := verify.Bundle(bundle, newExported(t).VKey); err == nil {
		t.Error("another key verified")
	}
	original := bytes.Clone(bundle)
	for i := range bundle {
		for k := range thorough(8, 2) {
			bit := byte(1) << ((i + k) % 8)
			bundle[i] ^= bit
			if _, err := verify.Bundle(bundle, x.VKey); err == nil && !sameBundle(bundle, original) {
				t.Fatalf("bit %d of byte %d: …%s…", bit, i, bundle[max(0, i-60):min(len(bundle), i+60)])
			}
			bundle[i] ^= bit
		}
	}
}

// Base64 has idle bits in its last character and decoders skip line breaks: the
// same bytes in another text are a changed byte.
func TestBase64IsReadStrictly(t *testing.T) {
	x := newExported(t)
	export := string(x.Range(t, 0, exportedEvents, exportedEvents))
	line := strings.SplitN(export, "\n", 3)[1]
	field := func(name string) string {
		_, rest, _ := strings.Cut(line, `"`+name+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	salt := field("salt")
	loose := salt[:42] + string(salt[42]+1) + "="
	if a, err := base64.StdEncoding.DecodeString(loose); err != nil || base64.StdEncoding.EncodeToString(a) != salt {
		t.Fatalf("the test's text says something else: %s %s", salt, loose)
	}
	for name, changed := range map[string]string{
		"idle bits":     strings.Replace(export, salt, loose, 1),
		"a line break":  strings.Replace(export, salt, salt[:10]+`\n`+salt[10:], 1),
		"no padding":    strings.Replace(export, salt, salt[:43], 1),
		"envelope":      strings.Replace(export, field("envelope"), field("envelope")[:12]+`\r\n`+field("envelope")[12:], 1),
		"in the header": strings.Replace(export, `"right":[]`, `"right":["\n"]`, 1),
	} {
		if changed == export {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := x.Verify([]byte(changed), nil); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

// Whoever opens fewer fields shows fewer, and the proof still holds.
func TestAnExportThatOpensLessVerifiesAndSaysSo(t *testing.T) {
	x := newExported(t)
	lines := bytes.SplitAfter(x.Range(t, 0, exportedEvents, exportedEvents), []byte("\n"))
	hide := func(line []byte, fields ...string) []byte {
		return edit(t, line, func(m map[string]any) {
			for _, f := range fields {
				delete(m["openings"].(map[string]any), f)
				path := strings.Split(f[1:], "/")
				delete(within(m["event"].(map[string]any), path), path[len(path)-1])
			}
		})
	}
	lines[3] = hide(lines[3], "/actor/email", "/before")
	lines[5] = hide(lines[5], "/request/uri")
	report, err := x.Verify(bytes.Join(lines, nil), x.Older)
	if err != nil || report.Erased != 3 || !report.Consistent {
		t.Fatalf("%v %+v", err, report)
	}
	bundle := edit(t, x.Bundle(t, "e-2"), func(m map[string]any) {
		m["openings"] = members{}
		e := m["event"].(map[string]any)
		for _, k := range []string{"before", "after", "metadata"} {
			delete(e, k)
		}
		for _, k := range []string{"id", "email", "name", "ip_address"} {
			delete(e["actor"].(map[string]any), k)
		}
		delete(e["actor"].(map[string]any)["on_behalf_of"].(map[string]any), "id")
		delete(e["actor"].(map[string]any)["on_behalf_of"].(map[string]any), "email")
		delete(e["request"].(map[string]any), "uri")
		delete(e["request"].(map[string]any), "user_agent")
	})
	if report, err := verify.Bundle(bundle, x.VKey); err != nil || report.Erased != 11 ||
		!strings.HasPrefix(report.Sentence, "laptop ") {
		t.Fatalf("%v %+v", err, report)
	}
}

func TestAnErasureKeepsEveryProof(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		s := w.Signer(w.DB, w.Memory())
		w.FillTo(accountA, 250)
		var list []string
		for i := range 10 {
			list = append(list, complete(fmt.Sprint("e-", i), nil))
		}
		w.Append(accountA, list...)
		_, checkpoint := w.Checkpoint(s, accountA)
		n, err := w.Erase(accountA, []int64{251, 252, 259}, []string{"/actor/id", "/actor/email"})
		if err != nil || n != 3 {
			t.Fatal(n, err)
		}
		if n, err = w.Erase(accountA, []int64{251, 252}, []string{"/actor/id", "/before"}); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		var b bytes.Buffer
		if err := w.Reader.ExportRange(t.Context(), &b, accountA, ledger.LogRange{To: 260, Size: 260}, nil); err != nil {
			t.Fatal(err)
		}
		report, err := verify.Export(&b, checkpoint, s.Keys()[0].VKey, nil, nil)
		if err != nil || report.Erased != 8 {
			t.Fatalf("%v %+v", err, report)
		}
		w.CheckDigests(accountA)
		if page, err := w.Reader.List(t.Context(), accountA, ledger.Query{
			Limit:   100,
			Filters: []record.Filter{{Field: "actor_id", Values: []string{"s-7"}}},
		}); err != nil || len(page.Records) != 7 {
			t.Errorf("%v: %d events of the erased actor are found", err, len(page.Records))
		}
		// Nothing is left to compare with: the same id is a duplicate.
		if p := w.Append(accountA, complete("e-1", members{"reason": nil}))[0]; p.Status != ledger.Duplicate || p.Seq != 251 {
			t.Errorf("%s at %d", p.Status, p.Seq)
		}
		if n := w.Count(`SELECT COUNT(*) FROM reading WHERE seed IS NULL`); n != 3 {
			t.Errorf("%d seeds are gone", n)
		}
	})
}

func TestAnExportThatCannotBeMadeIsRefused(t *testing.T) {
	x := newExported(t)
	for _, c := range [][3]uint64{{3, 2, 12}, {0, 13, 12}, {0, 12, 13}} {
		asked := ledger.LogRange{From: c[0], To: c[1], Size: c[2]}
		err := x.W.Reader.ExportRange(t.Context(), &bytes.Buffer{}, accountA, asked, nil)
		if !errs.Is(err, errs.CodeOutOfRange) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func FuzzVerifyExport(f *testing.F) {
	x := newExported(f)
	f.Add(x.Range(f, 0, 2, exportedEvents))
	f.Add(x.Range(f, 3, 4, exportedEvents))
	f.Add([]byte(`{"export":{"v":1,"account":"",` +
		`"from":18446744073709551615,"to":18446744073709551615,"size":18446744073709551615}}`))
	original := [][]byte{x.Range(f, 0, 2, exportedEvents), x.Range(f, 3, 4, exportedEvents)}
	f.Fuzz(func(t *testing.T, data []byte) {
		if report, err := x.Verify(data, nil); err == nil && report.To > report.From {
			for _, o := range original {
				if sameLines(bytes.TrimSuffix(data, []byte("\n")), bytes.TrimSuffix(o, []byte("\n"))) {
					return
				}
			}
			if report.Erased == 0 {
				t.Fatalf("verified: %+v\n%s", report, data)
			}
		}
	})
}

func FuzzVerifyBundle(f *testing.F) {
	x := newExported(f)
	original := x.Bundle(f, "e-1")
	f.Add(original)
	f.Add([]byte(`{"bundle":{"v":1},"seq":0,"envelope":"","event":{},"openings":{},"proof":"","vkey":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if report, err := verify.Bundle(data, x.VKey); err == nil && report.Erased == 0 && !sameBundle(data, original) {
			t.Fatalf("verified: %+v\n%s", report, data)
		}
		verify.Bundle(data, "")
	})
}
