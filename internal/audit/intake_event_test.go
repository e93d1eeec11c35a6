package audit_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/go-json-experiment/json/jsontext"
)

// vector is one entry of the list "events" that all SDKs and the server share.
type vector struct {
	Name     string          `json:"name"`
	Event    json.RawMessage `json:"event"`
	Text     *string         `json:"text"`
	Base64   *string         `json:"base64"`
	PadTo    int             `json:"pad_to"`
	PadWith  string          `json:"pad_with"`
	NestTo   int             `json:"nest_to"`
	Endpoint string          `json:"endpoint"`
	Valid    bool            `json:"valid"`
	Pointer  *string         `json:"pointer"`
}

func (v *vector) bytes(t *testing.T) []byte {
	switch {
	case v.Text != nil:
		return []byte(*v.Text)
	case v.Base64 != nil:
		b, err := base64.StdEncoding.DecodeString(*v.Base64)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	value := jsontext.Value(v.Event).Clone()
	if err := value.Compact(); err != nil {
		t.Fatal(err)
	}
	open := string(value[:len(value)-1])
	switch {
	case v.PadTo > 0:
		if v.PadWith == "" {
			v.PadWith = "x"
		}
		pad := v.PadTo - len(open) - len(`,"metadata":{"pad":""}}`)
		// A character of two bytes fills every even number of them.
		return []byte(open + `,"metadata":{"pad":"` + strings.Repeat(v.PadWith, pad/len(v.PadWith)) + `"}}`)
	case v.NestTo > 0:
		return []byte(open + `,"before":` + strings.Repeat("[", v.NestTo-1) + strings.Repeat("]", v.NestTo-1) + "}")
	}
	return value
}

func TestTheServerAgreesWithTheSharedVectors(t *testing.T) {
	text, err := os.ReadFile("../../sdk/vectors/audit.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Now    time.Time `json:"now"`
		Events []*vector `json:"events"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Events) < 100 {
		t.Fatalf("only %d vectors", len(file.Events))
	}
	in := audit.NewIntake(plainSources(), func() time.Time { return file.Now })
	for _, v := range file.Events {
		from := audit.Origin{Account: accountA, By: token, Interface: "API"}
		if v.Endpoint == "producer" {
			from.Account = ""
		}
		p, err := in.Prepare(t.Context(), from, v.bytes(t), [32]byte{})
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if valid := p.Status != ledger.Rejected; valid != v.Valid {
			t.Errorf("%s: valid %v, want %v: %+v", v.Name, valid, v.Valid, []*errs.Error(p.Faults))
			continue
		}
		named := v.Valid || v.Pointer == nil
		for _, f := range p.Faults {
			named = named || f.Pointer == *v.Pointer
		}
		if !named {
			t.Errorf("%s: want a fault at %q, got %v", v.Name, *v.Pointer, p.Faults)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{minimal(nil), complete("id-1", nil), `{"zone":{"id":"z"}}`, `{"metadata":null}`,
		`{"occurred_at":"2026-11-22T10:00:00Z"}`} {
		f.Add([]byte(seed))
	}
	in := audit.NewIntake(plainSources(), func() time.Time { return start })
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := record.Decode(data, start)
		if e == nil {
			t.Fatal("no event beside the error")
		}
		p, prepErr := in.Prepare(t.Context(), audit.Origin{Account: accountA, By: token, Interface: "API"}, data, [32]byte{1})
		if prepErr != nil {
			t.Fatal(prepErr)
		}
		if err != nil {
			for _, one := range errs.All(err) {
				if one.Kind() != errs.Invalid && one.Kind() != errs.TooLarge || one.Message == "" {
					t.Fatalf("%d %s", one.Code, one.Message)
				}
			}
			if p.Status != ledger.Rejected {
				t.Fatal("a faulty event was prepared")
			}
		} else if p.Status != ledger.Rejected && !record.ValidID(p.Event.ID) {
			t.Fatalf("prepared without an id: %q", p.Event.ID)
		}
	})
}

// Every text of the event is tried with characters that forge lines or hide
// words: a text of one line is refused by its field, one of several lines keeps
// its line ends, and what strangers to the product chose is repaired.
func TestNoTextOfAnEventForgesALine(t *testing.T) {
	whole := func(path []string, value string) string {
		e := members{}
		if err := json.Unmarshal([]byte(complete("e-1", nil)), &e); err != nil {
			t.Fatal(err)
		}
		delete(e, "before") // open data
		delete(e, "after")
		delete(e, "metadata")
		var at any = map[string]any(e)
		for _, name := range path[:len(path)-1] {
			if list, ok := at.([]any); ok {
				at = list[0]
				continue
			}
			at = at.(map[string]any)[name]
		}
		at.(map[string]any)[path[len(path)-1]] = value
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var paths [][]string
	var walk func(at reflect.Type, path []string)
	walk = func(at reflect.Type, path []string) {
		switch at.Kind() {
		case reflect.Pointer:
			walk(at.Elem(), path)
		case reflect.String:
			paths = append(paths, slices.Clone(path))
		case reflect.Slice:
			if at.Elem().Kind() == reflect.Struct {
				walk(at.Elem(), append(path, "0"))
			}
		case reflect.Struct:
			if at == reflect.TypeFor[record.ZoneRef]() { // a publisher writes a string
				paths = append(paths, slices.Clone(path))
				return
			}
			for f := range at.Fields() {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if f.IsExported() && name != "account_id" {
					walk(f.Type, append(path, name))
				}
			}
		}
	}
	walk(reflect.TypeFor[record.Event](), nil)
	if len(paths) < 30 {
		t.Fatalf("only %d texts: %v", len(paths), paths)
	}
	several := []string{"/action/description", "/reason/text"}
	repaired := []string{"/request/id", "/request/method", "/request/uri", "/request/user_agent"}
	in := audit.NewIntake(plainSources(), func() time.Time { return start })
	for _, path := range paths {
		pointer := "/" + strings.Join(path, "/")
		for _, bad := range []string{"\x1b[1A", "\x00", "\u202e", "\u2066", "\r", "\n", "\t", "\x7f"} {
			value := "https://a.example/" + bad + "OK    key         the one you gave"
			p, err := in.Prepare(t.Context(), audit.Origin{Account: accountA, By: token, Interface: "API"},
				[]byte(whole(path, value)), [32]byte{})
			if err != nil {
				t.Fatal(err)
			}
			good := slices.Contains(several, pointer) && (bad == "\n" || bad == "\t" || bad == "\u202e" || bad == "\u2066")
			if slices.Contains(repaired, pointer) {
				r := p.Event.Request
				texts := r.ID + r.Method + r.URI + r.UserAgent
				if p.Status == ledger.Rejected || strings.Contains(texts, bad) || !strings.Contains(texts, "\ufffd") {
					t.Errorf("%s with %q: %s %q", pointer, bad, p.Status, texts)
				}
				continue
			}
			if refused := p.Status == ledger.Rejected; refused == good {
				t.Errorf("%s with %q: refused %v", pointer, bad, refused)
			} else if refused && !slices.ContainsFunc(p.Faults, func(e *errs.Error) bool { return e.Pointer == pointer }) {
				t.Errorf("%s with %q: the faults are at %v", pointer, bad, p.Faults)
			}
		}
	}
}

// Belfry's own events repeat names that people chose; a change is recorded
// whatever its resource is called.
func TestBelfrysOwnEventsAreStoredWhateverNamesTheyRepeat(t *testing.T) {
	in := audit.NewIntake(plainSources(), func() time.Time { return start })
	e := minimal(members{
		"account_id": accountA,
		"resource":   members{"product": "belfry", "type": "policy", "id": "p-1", "name": "a\n\x1bb\u202ec"},
		"reason":     members{"text": "one\n\x1btwo"},
		"action":     members{"type": "update", "description": "one\ntwo"},
	})
	p, err := in.Prepare(t.Context(), audit.Origin{By: token, Belfry: true, Interface: "SYSTEM"}, []byte(e), [32]byte{})
	if err != nil || p.Status == ledger.Rejected || p.Event.Resource.Name != "a\ufffd\ufffdb\ufffdc" ||
		p.Event.Reason.Text != "one\ufffd\ufffdtwo" || p.Event.Action.Description != "one\ntwo" {
		t.Fatalf("%v %s %v %q", err, p.Status, p.Faults, p.Event.Resource.Name)
	}
}

func BenchmarkPrepare(b *testing.B) {
	w := newWorld(b, "")
	text := []byte(complete("0192f0c1a2b37c4d8e5f60718293a4b5", nil))
	in := w.intake()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if p, err := in.Prepare(b.Context(), audit.Origin{Account: accountA, By: token, Interface: "API"}, text,
			[32]byte{1}); err != nil || p.Status == ledger.Rejected {
			b.Fatal(err)
		}
	}
}
