package record

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// The tests of this file are internal: they see the envelope before it is stored.

const testAccount = "0192f7c417d170008000000000000001"

var (
	testNow  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	testBy   = Submitter{Type: "token", ID: "0192f7c417d17000800000000000aaaa"}
	testSeed = sha256.Sum256([]byte("a seed of the tests"))
)

// rules are the fields that a catalogue protects.
type rules struct{ Personal, Secret event.Fields }

// sealedTest is an event as the intake seals it.
type sealedTest struct {
	*Sealed
	Event     *Event
	committed []string
}

// sealTest seals one event under a catalogue's rules.
func sealTest(t testing.TB, text string, catalogue *rules) *sealedTest {
	t.Helper()
	e, err := Decode([]byte(text), testNow)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if e.Zone.Name == "known.example" {
		e.Zone.ID = "0192f7c417d1700080000000000000ff"
	}
	p := &sealedTest{Event: e}
	if catalogue != nil {
		if p.committed, err = Protect(e, catalogue.Personal, catalogue.Secret); err != nil {
			t.Fatal(err)
		}
	}
	e.Fill(testNow, "API")
	p.seal(t)
	return p
}

func (p *sealedTest) seal(t testing.TB) {
	t.Helper()
	var err error
	if p.Sealed, err = Seal(testAccount, testBy, p.Event, p.committed, testSeed); err != nil {
		t.Fatal(err)
	}
}

// goldenEvent has every field, the difficult values of JSON in the open ones, a
// personal member inside before, a catalogue's personal field.
//
//go:embed testdata/event_v1.json
var goldenEvent string

// goldenLeaf is the leaf of testdata/envelope_v1.json, which was written from the
// format's description by another program. Neither can ever change: logs out in
// the world are made of such bytes.
const goldenLeaf = "eb7a709a92d6e235e56cda258eeed9dd964b592a2be18a892d4a3bca1ab5ef1f"

func TestTheEnvelopeOfVersion1IsWhatItAlwaysWas(t *testing.T) {
	want, err := os.ReadFile("testdata/envelope_v1.json")
	if err != nil {
		t.Fatal(err)
	}
	p := sealTest(t, goldenEvent, &rules{Personal: event.ParseFields([]string{"/before/a/pin", "/reason/text"})})
	// The intake once took control characters in every text; envelopes of that time stay valid.
	p.Event.Action.Description += "\x01"
	p.seal(t)
	p.Sealed.Stamp(testNow.UnixMicro() + 1)
	if !bytes.Equal(p.Sealed.Envelope, want) {
		t.Errorf("the envelope is\n%s\nand must be\n%s", p.Sealed.Envelope, want)
	}
	leaf := merkle.LeafHash(want)
	if hex.EncodeToString(leaf[:]) != goldenLeaf {
		t.Errorf("the leaf of the golden file is %x", leaf)
	}
	if len(FormatTime(0)) != timeWidth || timeWidth != 27 {
		t.Errorf("the time is not 27 characters wide")
	}
}

// memberOf returns the exact bytes of one member of an envelope.
func memberOf(t testing.TB, envelope []byte, name string) jsontext.Value {
	t.Helper()
	var m map[string]jsontext.Value
	if err := json.Unmarshal(envelope, &m); err != nil {
		t.Fatal(err)
	}
	return m[name]
}

// difficult returns random JSON values with numbers and texts that a careless
// reader changes.
func difficult(r *rand.Rand, depth int) string {
	atoms := []string{`1.0`, `1`, `-0`, `1e400`, `12345678901234567890`, `0.1000`, `true`, `null`, `""`,
		`"a\u00e9\ud83d\ude00"`, `"\u0000\n\"\\\/"`, `"<&>"`}
	switch n := r.IntN(8); {
	case n == 0 && depth > 0:
		list := make([]string, r.IntN(4))
		for i := range list {
			list[i] = difficult(r, depth-1)
		}
		return "[" + strings.Join(list, " , ") + "]"
	case n < 4 && depth > 0:
		return difficultObject(r, depth)
	default:
		return atoms[r.IntN(len(atoms))]
	}
}

var difficultKeys = []string{"a", "b", "a~b", "a/b", "é", "\U0001f600", "\ufb33", "A", "a b", `q"`}

func difficultObject(r *rand.Rand, depth int) string {
	keys := slices.Clone(difficultKeys)
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var list []string
	for _, k := range keys[:r.IntN(5)] {
		quoted, _ := jsontext.AppendQuote(nil, k)
		list = append(list, string(quoted)+" : "+difficult(r, depth-1))
	}
	return "{" + strings.Join(list, ",") + "}"
}

// randomEvent is a valid event in no order, with the members that are shown.
func randomEvent(r *rand.Rand) (text string, shown map[string]string) {
	shown = map[string]string{}
	maybe := func(list *[]string, key string, value string) {
		if r.IntN(2) == 0 {
			*list = append(*list, fmt.Sprintf("%q:%s", key, value))
		}
	}
	object := func(list []string) string {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return "{" + strings.Join(list, ", ") + "}"
	}
	word := func() string { return fmt.Sprintf(`"w\u00e9-%d"`, r.IntN(1000)) }
	action := []string{`"type":"update"`, `"result":"success"`}
	maybe(&action, "description", word())
	actor := []string{`"type":"staff"`, `"id":` + word()}
	for _, k := range []string{"email", "name", "token_id", "token_name"} {
		maybe(&actor, k, word())
	}
	maybe(&actor, "ip_address", `"2001:db8::7"`)
	behalf := []string{`"type":"user"`, `"id":` + word()}
	maybe(&behalf, "email", word())
	maybe(&actor, "on_behalf_of", object(behalf))
	resource := []string{`"product":"dns"`, `"type":"record"`, `"id":` + word()}
	maybe(&resource, "name", word())
	maybe(&resource, "scope", word())
	request := []string{`"status_code":204`}
	for _, k := range []string{"id", "method", "uri", "user_agent"} {
		maybe(&request, k, word())
	}
	shown["id"] = fmt.Sprintf(`"id-%d"`, r.IntN(1e9))
	shown["occurred_at"], shown["interface"] = `"2026-11-22T09:00:00.000000Z"`, `"CLI"`
	shown["action"] = object(action)
	shown["actor"] = object(actor)
	shown["resource"] = object(resource)
	for key, value := range map[string]string{
		"before":     difficultObject(r, 3),
		"after":      difficult(r, 3),
		"metadata":   difficultObject(r, 3),
		"request":    object(request),
		"change_set": word(),
		"reason":     `{"url":"https://x.example","text":` + word() + `}`,
		"related":    `[{"type":"a","id":"b","name":"c"},{"id":"d","type":"e"}]`,
	} {
		if r.IntN(3) > 0 && (key != "after" || value != "null") { // null is the same as nothing there
			shown[key] = value
		}
	}
	var list []string
	for _, key := range slices.Sorted(maps.Keys(shown)) {
		list = append(list, fmt.Sprintf("%q: %s", key, shown[key]))
	}
	return object(list), shown
}

func TestWhatIsShownIsWhatWasPublished(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	personal := []string{"/before/a", "/before/a/b", "/before/a~1b/a~0b", "/before/é", "/metadata/b",
		"/metadata/\U0001f600/q\"", "/after/a", "/after/A/a",
		"/reason/text", "/resource/name", "/resource/id", "/request/id", "/actor/token_name", "/action/description"}
	committed := 0
	for range 2000 {
		text, members := randomEvent(r)
		r.Shuffle(len(personal), func(i, j int) { personal[i], personal[j] = personal[j], personal[i] })
		p := sealTest(t, text, &rules{Personal: event.ParseFields(personal[:r.IntN(len(personal))])})
		p.Sealed.Stamp(testNow.UnixMicro())
		env, err := ParseEnvelope(p.Sealed.Envelope)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if plain, err := Canonical(memberOf(t, p.Sealed.Envelope, "event")); err != nil ||
			!bytes.Contains(p.Sealed.Envelope, append([]byte(`"event":`), plain...)) {
			t.Fatalf("not canonical (%v):\n%s", err, p.Sealed.Envelope)
		}
		if len(env.Commitments) != len(p.Sealed.openings) ||
			!slices.IsSortedFunc(p.Sealed.openings, func(a, b opening) int { return strings.Compare(a.path, b.path) }) {
			t.Fatalf("%d commitments, %v", len(env.Commitments), p.Sealed.openings)
		}
		committed += len(env.Commitments)
		s := storedOf(p)
		list := s.OpeningList()
		for _, o := range list {
			if sum := sha256.Sum256(append(bytes.Clone(o.Salt[:]), o.Value...)); !bytes.Equal(sum[:], env.Commitments[o.Path]) {
				t.Fatalf("%s does not open:\n%s", o.Path, text)
			}
		}
		got, err := env.Shown(7, list)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		members["account"] = `"` + testAccount + `"`
		members["seq"] = "7"
		members["recorded_at"] = `"2026-11-22T10:00:00.000000Z"`
		members["submitted_by"] = `{"type":"token","id":"` + testBy.ID + `"}`
		var want []string
		for k, v := range members {
			want = append(want, fmt.Sprintf("%q:%s", k, v))
		}
		canon, err := Canonical(jsontext.Value("{" + strings.Join(want, ",") + "}"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, canon) {
			t.Fatalf("shown\n%s\nwant\n%s", got, canon)
		}
		// The record's Go form says the same.
		rec, err := s.Open()
		if err != nil || len(rec.Erased) > 0 {
			t.Fatalf("%s: %v %v", text, err, rec)
		}
		again, err := Seal(testAccount, testBy, &rec.Event, p.committed, testSeed)
		if err != nil {
			t.Fatal(err)
		}
		again.Stamp(testNow.UnixMicro())
		if !bytes.Equal(again.Envelope, p.Sealed.Envelope) {
			t.Fatalf("sealed again\n%s\nwant\n%s", again.Envelope, p.Sealed.Envelope)
		}
	}
	if committed < 10_000 {
		t.Fatalf("only %d commitments were looked at", committed)
	}
}

// storedOf is the event as the tables would give it.
func storedOf(p *sealedTest) *Stored {
	p.Sealed.Stamp(testNow.UnixMicro())
	return &Stored{At: p.Event.at, Envelope: p.Sealed.Envelope, Seed: p.Sealed.Seed[:], Openings: p.Sealed.Openings()}
}

func TestNoCommittedValueStandsInTheEnvelope(t *testing.T) {
	text := `{"id":"i","action":{"type":"a"},
		"actor":{"type":"user","id":"MARK","email":"MARK","name":"MARK","ip_address":"203.0.113.77",
			"on_behalf_of":{"type":"user","id":"MARK","email":"MARK"}},
		"resource":{"product":"p","type":"t","id":"r"},
		"before":{"MARK":"MARK"},"after":"MARK","metadata":{"x":"MARK"},
		"request":{"uri":"MARK","user_agent":"MARK"}}`
	p := sealTest(t, text, nil)
	if bytes.Contains(p.Sealed.Envelope, []byte("MARK")) || bytes.Contains(p.Sealed.Envelope, []byte("203.0.113.77")) {
		t.Fatalf("%s", p.Sealed.Envelope)
	}
	if got := len(p.Sealed.openings); got != len(alwaysCommitted) {
		t.Fatalf("%d commitments, want %d", got, len(alwaysCommitted))
	}
}

func TestPersonalMembersAreCutOutAtAnyDepthAndInAnyOrder(t *testing.T) {
	text := strings.Replace(goldenEvent, `"metadata":{"k":[ ]}`,
		`"metadata":{"user":{"mail":"m@x.example","deep":{"pin":1.0,"x":{}}},"list":[{"mail":"in a list"}]}`, 1)
	pointers := []string{"/metadata/user/mail", "/metadata/user/deep", "/metadata/user/deep/pin", "/metadata/list/0/mail",
		"/metadata/nobody"}
	for range 10 {
		pointers = append(pointers[1:], pointers[0])
		p := sealTest(t, text, &rules{Personal: event.ParseFields(pointers)})
		got := map[string]string{}
		for _, o := range p.Sealed.openings {
			got[o.path] = string(o.value)
		}
		want := map[string]string{
			"/metadata/user/mail":     `"m@x.example"`,
			"/metadata":               `{"user":{}}`,
			"/metadata/user/deep":     `{"x":{}}`,
			"/metadata/user/deep/pin": "1.0",
			"/metadata/list":          `[{"mail":"in a list"}]`,
		}
		for path := range want {
			if got[path] != want[path] {
				t.Fatalf("with %v: %s is %s, want %s", pointers, path, got[path], want[path])
			}
		}
		if _, ok := got["/metadata/nobody"]; ok {
			t.Fatal("a member that is not there was committed")
		}
	}
}

func TestSecretsReachNeitherEnvelopeNorOpenings(t *testing.T) {
	for _, c := range []struct{ name, before, after, secret, wantBefore, wantAfter string }{
		{"changed", `{"pw":"s3cret-1","x":1}`, `{"pw":"s3cret-2","x":1}`, "pw", `{"pw":"[redacted]","x":1}`,
			`{"pw":"[redacted, changed]","x":1}`},
		{"the same", `{"pw":"s3cret-1"}`, `{"pw":"s3cret-1"}`, "pw", `{"pw":"[redacted]"}`, `{"pw":"[redacted]"}`},
		{"new", `{}`, `{"pw":"s3cret-1"}`, "pw", `{}`, `{"pw":"[redacted]"}`},
		{"of any type", `{"pw":{"s3cret-1":1}}`, `{"pw":["s3cret-1"]}`, "pw", `{"pw":"[redacted]"}`,
			`{"pw":"[redacted, changed]"}`},
		{"deep", `{"a":{"pw":"s3cret-1"}}`, `{"a":{"pw":"s3cret-2"}}`, "a/pw", `{"a":{"pw":"[redacted]"}}`,
			`{"a":{"pw":"[redacted, changed]"}}`},
		{"not there", `{"a":1}`, `{"a":2}`, "a/pw", `{"a":1}`, `{"a":2}`},
		{"key with escapes", `{"a/b~c":"s3cret-1"}`, `{"a/b~c":"s3cret-2"}`, "a~1b~0c", `{"a/b~c":"[redacted]"}`,
			`{"a/b~c":"[redacted, changed]"}`},
		{"the same in other words", `{"pw":"s3cret"}`, `{"pw":"s\u0033cret"}`, "pw", `{"pw":"[redacted]"}`,
			`{"pw":"[redacted]"}`},
	} {
		text := fmt.Sprintf(bare, fmt.Sprintf(`,"before":%s,"after":%s,"metadata":%s`, c.before, c.after, c.after))
		catalogue := &rules{
			Secret:   event.ParseFields([]string{"/metadata/" + c.secret, "/before/" + c.secret, "/after/" + c.secret}),
			Personal: event.ParseFields([]string{"/after/pw"}),
		}
		p := sealTest(t, text, catalogue)
		all := string(p.Sealed.Envelope) + string(p.Sealed.Openings()) + string(p.Event.Before) + string(p.Event.After) +
			string(p.Event.Metadata)
		if strings.Contains(all, "s3cret") {
			t.Errorf("%s: %s", c.name, all)
		}
		rec, err := storedOf(p).Open()
		if err != nil {
			t.Fatal(err)
		}
		before, _ := Canonical(rec.Event.Before)
		after, _ := Canonical(rec.Event.After)
		if string(before) != c.wantBefore || string(after) != c.wantAfter {
			t.Errorf("%s: %s and %s, want %s and %s", c.name, before, after, c.wantBefore, c.wantAfter)
		}
	}
}

func FuzzParseEnvelope(f *testing.F) {
	p := sealTest(f, goldenEvent, &rules{Personal: event.ParseFields([]string{"/before/a/pin"})})
	p.Sealed.Stamp(testNow.UnixMicro())
	f.Add(p.Sealed.Envelope, p.Sealed.Openings())
	f.Add([]byte(`{"v":1,"recorded_at":"2026-11-22T10:00:00.000000Z","account":"a","submitted_by":{},`+
		`"event":{},"commitments":{"/a/b":""}}`), []byte(`{"/a/b":1}`))
	f.Fuzz(func(t *testing.T, envelope, openings []byte) {
		s := &Stored{Envelope: envelope, Seed: testSeed[:], Openings: openings}
		s.RecordedAt()
		rec, err := s.Open()
		if err != nil {
			return
		}
		rec.Sentence("")
		if _, err := rec.Shown(); err != nil {
			return
		}
		if line, err := rec.ExportLine(); err != nil || len(line) == 0 {
			t.Fatal(err)
		}
	})
}
