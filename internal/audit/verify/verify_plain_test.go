package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

const plainAccount = "0192f7c417d170008000000000000001"

var (
	plainNow  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	plainSeed = sha256.Sum256([]byte("a seed of the tests"))
)

// everyField reads the event of the record's golden file.
func everyField(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../record/testdata/event_v1.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// storedEvent is a publisher's event as the tables would give it.
func storedEvent(t testing.TB, text string, personal event.Fields) *record.Stored {
	t.Helper()
	e, err := record.Decode([]byte(text), plainNow)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if e.Zone.Name == "known.example" {
		e.Zone.ID = "0192f7c417d1700080000000000000ff"
	}
	committed, err := record.Protect(e, personal, event.Fields{})
	if err != nil {
		t.Fatal(err)
	}
	e.Fill(plainNow, "API")
	s, err := record.Seal(plainAccount, record.Submitter{Type: "token", ID: "0192f7c417d17000800000000000aaaa"}, e,
		committed, plainSeed)
	if err != nil {
		t.Fatal(err)
	}
	s.Stamp(plainNow.UnixMicro())
	return &record.Stored{At: e.Micros(), Envelope: s.Envelope, Seed: s.Seed[:], Openings: s.Openings()}
}

// exportedLine is the line of an export that a publisher's event becomes.
func exportedLine(t testing.TB, text string, personal event.Fields) ([]byte, merkle.Hash) {
	t.Helper()
	rec, err := storedEvent(t, text, personal).Open()
	if err != nil {
		t.Fatal(err)
	}
	line, err := rec.ExportLine()
	if err != nil {
		t.Fatal(err)
	}
	return line, rec.Leaf()
}

// agree fails the test when a plain yes is not the yes of the decoding verifier.
func agree(t testing.TB, line []byte, account string, seq uint64) (isPlain bool) {
	t.Helper()
	var p plain
	leaf, erased, ok := p.verify(line, account, seq)
	if !ok {
		return false
	}
	if l, err := verifyAnyLine(line, account, seq); err != nil || l.leaf != leaf || l.erased != erased {
		t.Fatalf("plain says yes (%d erased), the decoder %v (%d erased):\n%s", erased, err, l.erased, line)
	}
	return true
}

func TestLinesAsTheyAreUsuallyExportedAreVerifiedWithoutDecoding(t *testing.T) {
	plainGolden := strings.NewReplacer(`,"\u20ac":1,"\ud83d\ude00":2,"\ufb33":3`, "").Replace(everyField(t))
	personal := event.ParseFields([]string{"/before/a/pin", "/reason/text"})
	for name, c := range map[string]struct {
		text     string
		personal event.Fields
	}{
		"every field":      {plainGolden, event.Fields{}},
		"personal members": {plainGolden, personal},
		"the least": {`{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"u"},
			"resource":{"product":"p","type":"t","id":"r"}}`,
			event.Fields{}},
		"other alphabets, quotes and line breaks": {`{"id":"i",
			"action":{"type":"a","description":"„größer“ \"als\"\\ zuvor\n"},
			"actor":{"type":"user","id":"Ана","name":"李"},
			"resource":{"product":"p","type":"t","id":"r","name":"a b"},"reason":{"text":"a\tb"},
			"before":{"n":[1.0,-2e3,true,null,"é",{}]},"after":[],"metadata":{"a":{"z":1,"b":2}},
			"related":[{"type":"t","id":"1","name":"n"},{"type":"t","id":"2"}],"request":{"id":"x","status_code":204}}`,
			event.Fields{}},
	} {
		line, leaf := exportedLine(t, c.text, c.personal)
		var p plain
		if got, _, ok := p.verify(line, plainAccount, 0); !ok || got != leaf {
			t.Errorf("%s: not plain: %s", name, line)
		}
		agree(t, line, plainAccount, 0)
	}
}

func TestAPlainYesIsNeverTheDecodersNo(t *testing.T) {
	line, _ := exportedLine(t, everyField(t), event.ParseFields([]string{"/before/a/pin"}))
	yes := 0
	for i := range line {
		for _, change := range []func([]byte) []byte{
			func(b []byte) []byte { b[i] ^= 1; return b },
			func(b []byte) []byte { b[i] ^= 4; return b },
			func(b []byte) []byte { b[i] = ' '; return b },
			func(b []byte) []byte { return append(b[:i], b[i+1:]...) },
			func(b []byte) []byte { return append(b[:i+1], b[i:]...) },
			func(b []byte) []byte { return append(b[:i], append([]byte(`,"openings":{`), b[i:]...)...) },
		} {
			if agree(t, change(bytes.Clone(line)), plainAccount, 0) {
				yes++
			}
		}
	}
	if yes > 2*len(line)/100 {
		t.Errorf("%d changed lines were verified", yes)
	}
	for _, other := range []string{strings.ToUpper(plainAccount), plainAccount[1:], ""} {
		if agree(t, line, other, 0) {
			t.Errorf("verified for account %q", other)
		}
	}
	if agree(t, line, plainAccount, 1) {
		t.Error("verified at another seq")
	}
}

// madeLine is a line whose commitments hold, whatever it says: what an operator
// could write who does not keep to the format.
func madeLine(own, path, value, more string) []byte {
	salt := [32]byte{1, 2, 3}
	encode := base64.StdEncoding.EncodeToString
	commitments, openings := "", ""
	for _, at := range []string{path, more} {
		if at == "" {
			continue
		}
		sum := record.Commit(&salt, []byte(value))
		commitments += `,"` + at + `":"` + encode(sum[:]) + `"`
		openings += `,"` + at + `":{"salt":"` + encode(salt[:]) + `","value":` + value + `}`
	}
	commitments = strings.TrimPrefix(commitments, ",")
	openings = strings.TrimPrefix(openings, ",")
	envelope := `{"v":1,"recorded_at":"2026-11-22T10:00:00.000000Z","account":"` + plainAccount +
		`","submitted_by":{"type":"t","id":"i"},"event":` + own + `,"commitments":{` + commitments + `}}`
	var p plain
	r := plainReader{b: []byte(openings + `}}`)}
	if !p.decode([]byte(encode([]byte(envelope)))) || !p.readOpenings(&r) {
		return nil
	}
	if _, ok := p.open(plainAccount, 7); !ok {
		return nil
	}
	return []byte(`{"seq":7,"envelope":"` + encode([]byte(envelope)) + `","event":` + string(p.shown) + `,"openings":{` +
		openings + `}}`)
}

var madeLines = [][4]string{
	{`{"id":"i"}`, "/actor/id", `"u"`, "/actor/name"},
	{`{"actor":{"type":"user"},"id":"i"}`, "/actor/id", `{"a":1}`, "/metadata"},
	{`{"id":"i"}`, "/metadata", `{"a":{"b":1}}`, "/metadata/a/c"},
	{`{"id":"i"}`, "/metadata", `{"a":1}`, "/metadata/a"},
	{`{"id":"i"}`, "/account", `"x"`, "/seq"},
	{`{"id":"i"}`, "/id", `"j"`, "/id/"},
	{`{"id":"i","zzz":1}`, "/a", `1`, ""},
	{`{"id":"i","id":"j"}`, "/a-b", `[1,{"b":1,"a":2}]`, "/a/c"},
	{`{"request":{"status_code":1e3}}`, "/a", `01`, "/b"},
	{`{"related":[{"type":"t","id":"1","x":2}]}`, "/a~1b", `-`, "//"},
	{`{"related":[]}`, "/a", `1.`, "/b/c"},
}

func TestAPlainYesToALineOfAnotherFormatIsTheDecodersToo(t *testing.T) {
	made := 0
	for _, c := range madeLines {
		if line := madeLine(c[0], c[1], c[2], c[3]); line != nil && agree(t, line, plainAccount, 7) {
			made++
		}
	}
	if made < 3 {
		t.Errorf("only %d of the lines are plain", made)
	}
}

func FuzzPlainLine(f *testing.F) {
	line, _ := exportedLine(f, everyField(f), event.Fields{})
	for _, c := range madeLines {
		f.Add(line, c[0], c[1], c[2], c[3])
	}
	f.Fuzz(func(t *testing.T, line []byte, own, path, value, more string) {
		agree(t, line, plainAccount, 0)
		if made := madeLine(own, path, value, more); made != nil {
			agree(t, made, plainAccount, 7)
		}
	})
}

func BenchmarkVerifyLine(b *testing.B) {
	line, _ := exportedLine(b, `{"id":"0192f0a0-1111-7000-8000-000000000001",
		"occurred_at":"2026-11-22T10:00:00.000000Z","action":{"type":"update","result":"success"},
		"actor":{"type":"user","id":"user-12","email":"person12@customer.example","ip_address":"203.0.113.7"},
		"interface":"UI","resource":{"product":"product3","type":"setting","id":"setting-00123"},
		"before":{"value":12,"mode":"strict"},"after":{"value":13,"mode":"strict"},
		"metadata":{"ticket":"OPS-1234"}}`, event.Fields{})
	b.Run("plain", func(b *testing.B) {
		var p plain
		b.SetBytes(int64(len(line)))
		for b.Loop() {
			if _, err := verifyLine(&p, line, plainAccount, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("any", func(b *testing.B) {
		for b.Loop() {
			if _, err := verifyAnyLine(line, plainAccount, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestAnErasedFieldIsAbsentAndTheRestStillOpens(t *testing.T) {
	s := storedEvent(t, everyField(t), event.ParseFields([]string{"/before/a/pin", "/reason/text"}))
	whole := s.OpeningList()
	for _, gone := range whole {
		rest, err := s.Without([]string{gone.Path})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := rest.Open()
		if err != nil || !slices.Equal(rec.Erased, []string{gone.Path}) {
			t.Fatalf("without %s: %v, erased %v", gone.Path, err, rec.Erased)
		}
		line, err := rec.ExportLine()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(line, gone.Value) {
			t.Errorf("%s is still in the export's line", gone.Path)
		}
		if bytes.Contains(line, []byte(base64.StdEncoding.EncodeToString(gone.Salt[:]))) {
			t.Errorf("the salt of %s is still there: its value can be guessed", gone.Path)
		}
		l, err := verifyLine(&plain{}, line, plainAccount, 0)
		if err != nil || l.erased != 1 || l.leaf != rec.Leaf() {
			t.Errorf("without %s: %v, %d erased", gone.Path, err, l.erased)
		}
	}
	if len(whole) != 13 {
		t.Errorf("the golden event has %d committed fields", len(whole))
	}
}
