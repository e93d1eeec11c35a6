package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
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
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// The tests of this file are internal: they see the envelope before it is stored.

const testAccount = "0192f7c417d170008000000000000001"

var (
	testNow  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	testBy   = Submitter{Type: "token", ID: "0192f7c417d17000800000000000aaaa"}
	testSeed = sha256.Sum256([]byte("a seed of the tests"))
)

// sealTest prepares one event under a catalogue's rules.
func sealTest(t testing.TB, text string, rules *Rules) *Pending {
	t.Helper()
	p := intakeTest(t, text, rules)
	if p.Status == Rejected {
		t.Fatalf("%s: %+v", text, []*errs.Error(p.Faults))
	}
	return p
}

func intakeTest(t testing.TB, text string, rules *Rules) *Pending {
	t.Helper()
	in := NewIntake(Sources{
		Rules: func(_ context.Context, product, _ string) (*Rules, error) { return rules, nil },
		Zone: func(_ context.Context, _, ref string) (string, string, error) {
			if ref == "known.example" {
				return "0192f7c417d1700080000000000000ff", ref, nil
			}
			return "", "", nil
		},
	}, func() time.Time { return testNow })
	p, err := in.Prepare(t.Context(), Origin{Account: testAccount, By: testBy, Interface: "API"}, []byte(text), testSeed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The event of the golden file: every field, what JSON has of difficulties in
// the open ones, a personal member inside before, a catalogue's personal field.
const goldenEvent = `{"v":1,"id":"0192f0c1-a2b3-7c4d-8e5f-60718293a4b5","occurred_at":"2026-11-22T11:59:59.1234567+02:00",
 "action":{"type":"update","description":"lower \u0074he \"minimum\" \/ \u00e9 \ud83d\ude00","result":"failure"},
 "actor":{"type":"staff","id":"s-7","email":"ana@example.com","name":"Ana","ip_address":"2001:db8::7","token_id":"t-1","token_name":"laptop","on_behalf_of":{"type":"user","id":"u-9","email":"bo@example.com"}},
 "interface":"UI","resource":{"product":"tls","type":"setting","id":"min_version","name":"Minimum TLS","scope":"zones"},"zone":"known.example",
 "before":{"z":1.0,"a":{"pin":"1234","n":12345678901234567890},"\u20ac":1,"\ud83d\ude00":2,"\ufb33":3},"after":[1e400,-0,{"b":null,"a":true}],
 "reason":{"text":"an old terminal","url":"https://tickets.example/214"},"change_set":"apply-31",
 "related":[{"type":"zone","id":"z-1","name":"shop"},{"type":"zone","id":"z-2"}],
 "request":{"id":"8f0","method":"PATCH","uri":"/zones/z-1","status_code":200,"user_agent":"terraform/1.9"},"metadata":{"k":[ ]}}`

// goldenLeaf is the leaf of testdata/envelope_v1.json, which was written from the
// format's description by another program. Neither can ever change: logs out in
// the world are made of such bytes.
const goldenLeaf = "eb7a709a92d6e235e56cda258eeed9dd964b592a2be18a892d4a3bca1ab5ef1f"

func TestTheEnvelopeOfVersion1IsWhatItAlwaysWas(t *testing.T) {
	want, err := os.ReadFile("testdata/envelope_v1.json")
	if err != nil {
		t.Fatal(err)
	}
	p := sealTest(t, goldenEvent, &Rules{Personal: event.ParseFields([]string{"/before/a/pin", "/reason/text"})})
	// The intake once took control characters in every text; envelopes of that time stay valid.
	p.Event.Action.Description += "\x01"
	if p.sealed, err = sealEnvelope(p.Account, p.By, p.Event, p.extra, testSeed); err != nil {
		t.Fatal(err)
	}
	stamp(p.sealed.envelope, testNow.UnixMicro()+1)
	if !bytes.Equal(p.sealed.envelope, want) {
		t.Errorf("the envelope is\n%s\nand must be\n%s", p.sealed.envelope, want)
	}
	leaf := merkle.LeafHash(want)
	if hex.EncodeToString(leaf[:]) != goldenLeaf {
		t.Errorf("the leaf of the golden file is %x", leaf)
	}
	if len(FormatTime(0)) != timeWidth || timeWidth != 27 {
		t.Errorf("the time is not 27 characters wide")
	}
}

// member reads one member of an envelope as it stands there.
func member(t testing.TB, envelope []byte, name string) jsontext.Value {
	t.Helper()
	var m map[string]jsontext.Value
	if err := json.Unmarshal(envelope, &m); err != nil {
		t.Fatal(err)
	}
	return m[name]
}

// difficult gives random JSON values with numbers and texts that a careless
// reader changes.
func difficult(r *rand.Rand, depth int) string {
	atoms := []string{`1.0`, `1`, `-0`, `1e400`, `12345678901234567890`, `0.1000`, `true`, `null`, `""`, `"a\u00e9\ud83d\ude00"`, `"\u0000\n\"\\\/"`, `"<&>"`}
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
	shown["action"], shown["actor"], shown["resource"] = object(action), object(actor), object(resource)
	for key, value := range map[string]string{
		"before": difficultObject(r, 3), "after": difficult(r, 3), "metadata": difficultObject(r, 3), "request": object(request),
		"change_set": word(), "reason": `{"url":"https://x.example","text":` + word() + `}`, "related": `[{"type":"a","id":"b","name":"c"},{"id":"d","type":"e"}]`,
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
	personal := []string{"/before/a", "/before/a/b", "/before/a~1b/a~0b", "/before/é", "/metadata/b", "/metadata/\U0001f600/q\"", "/after/a", "/after/A/a",
		"/reason/text", "/resource/name", "/resource/id", "/request/id", "/actor/token_name", "/action/description"}
	committed := 0
	for range 2000 {
		text, members := randomEvent(r)
		r.Shuffle(len(personal), func(i, j int) { personal[i], personal[j] = personal[j], personal[i] })
		p := sealTest(t, text, &Rules{Personal: event.ParseFields(personal[:r.IntN(len(personal))])})
		stamp(p.sealed.envelope, testNow.UnixMicro())
		env, err := parseEnvelope(p.sealed.envelope)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if clear, err := canonical(member(t, p.sealed.envelope, "event")); err != nil || !bytes.Contains(p.sealed.envelope, append([]byte(`"event":`), clear...)) {
			t.Fatalf("not canonical (%v):\n%s", err, p.sealed.envelope)
		}
		if len(env.Commitments) != len(p.sealed.openings) || !slices.IsSortedFunc(p.sealed.openings, func(a, b opening) int { return strings.Compare(a.path, b.path) }) {
			t.Fatalf("%d commitments, %v", len(env.Commitments), p.sealed.openings)
		}
		committed += len(env.Commitments)
		s := storedOf(p)
		list := s.openingList()
		for _, o := range list {
			if sum := sha256.Sum256(append(bytes.Clone(o.salt[:]), o.value...)); !bytes.Equal(sum[:], env.Commitments[o.path]) {
				t.Fatalf("%s does not open:\n%s", o.path, text)
			}
		}
		got, err := shownEvent(env, 7, list)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		members["account"], members["seq"], members["recorded_at"] = `"`+testAccount+`"`, "7", `"2026-11-22T10:00:00.000000Z"`
		members["submitted_by"] = `{"type":"token","id":"` + testBy.ID + `"}`
		var want []string
		for k, v := range members {
			want = append(want, fmt.Sprintf("%q:%s", k, v))
		}
		canon, err := canonical(jsontext.Value("{" + strings.Join(want, ",") + "}"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, canon) {
			t.Fatalf("shown\n%s\nwant\n%s", got, canon)
		}
		// The record's Go form says the same.
		rec, err := s.decode()
		if err != nil || len(rec.Erased) > 0 {
			t.Fatalf("%s: %v %v", text, err, rec)
		}
		again, err := sealEnvelope(testAccount, testBy, &rec.Event, p.extra, testSeed)
		if err != nil {
			t.Fatal(err)
		}
		stamp(again.envelope, testNow.UnixMicro())
		if !bytes.Equal(again.envelope, p.sealed.envelope) {
			t.Fatalf("sealed again\n%s\nwant\n%s", again.envelope, p.sealed.envelope)
		}
	}
	if committed < 10_000 {
		t.Fatalf("only %d commitments were looked at", committed)
	}
}

// storedOf is the event as the tables would give it.
func storedOf(p *Pending) *stored {
	stamp(p.sealed.envelope, testNow.UnixMicro())
	return &stored{seq: p.Seq, at: p.Event.at, envelope: p.sealed.envelope, seed: p.sealed.seed[:], openings: encodeOpenings(p.sealed.openings)}
}

func TestAnErasedFieldIsAbsentAndTheRestStillOpens(t *testing.T) {
	p := sealTest(t, goldenEvent, &Rules{Personal: event.ParseFields([]string{"/before/a/pin", "/reason/text"})})
	whole := storedOf(p).openingList()
	for _, gone := range whole {
		kept := slices.DeleteFunc(slices.Clone(whole), func(o saltedOpening) bool { return o.path == gone.path })
		s := storedOf(p)
		s.seed, s.salts = nil, encodeSalts(kept)
		var values []opening
		for _, o := range kept {
			values = append(values, opening{o.path, o.value})
		}
		s.openings = encodeOpenings(values)
		rec, err := s.decode()
		if err != nil || !slices.Equal(rec.Erased, []string{gone.path}) {
			t.Fatalf("without %s: %v, erased %v", gone.path, err, rec.Erased)
		}
		line, err := rec.exportLine()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(line, gone.value) {
			t.Errorf("%s is still in the export's line", gone.path)
		}
		if bytes.Contains(line, []byte(base64.StdEncoding.EncodeToString(gone.salt[:]))) {
			t.Errorf("the salt of %s is still there: its value can be guessed", gone.path)
		}
		l, err := verifyLine(&plain{}, line, testAccount, 0)
		if err != nil || l.erased != 1 || l.leaf != merkle.LeafHash(p.sealed.envelope) {
			t.Errorf("without %s: %v, %d erased", gone.path, err, l.erased)
		}
	}
	if len(whole) != 13 {
		t.Errorf("the golden event has %d committed fields", len(whole))
	}
}

func TestNoCommittedValueStandsInTheEnvelope(t *testing.T) {
	text := `{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"MARK","email":"MARK","name":"MARK","ip_address":"203.0.113.77","on_behalf_of":{"type":"user","id":"MARK","email":"MARK"}},
		"resource":{"product":"p","type":"t","id":"r"},"before":{"MARK":"MARK"},"after":"MARK","metadata":{"x":"MARK"},"request":{"uri":"MARK","user_agent":"MARK"}}`
	p := sealTest(t, text, nil)
	if bytes.Contains(p.sealed.envelope, []byte("MARK")) || bytes.Contains(p.sealed.envelope, []byte("203.0.113.77")) {
		t.Fatalf("%s", p.sealed.envelope)
	}
	if got := len(p.sealed.openings); got != len(alwaysCommitted) {
		t.Fatalf("%d commitments, want %d", got, len(alwaysCommitted))
	}
}

func TestPersonalMembersAreCutOutAtAnyDepthAndInAnyOrder(t *testing.T) {
	text := strings.Replace(goldenEvent, `"metadata":{"k":[ ]}`, `"metadata":{"user":{"mail":"m@x.example","deep":{"pin":1.0,"x":{}}},"list":[{"mail":"in a list"}]}`, 1)
	pointers := []string{"/metadata/user/mail", "/metadata/user/deep", "/metadata/user/deep/pin", "/metadata/list/0/mail", "/metadata/nobody"}
	for range 10 {
		pointers = append(pointers[1:], pointers[0])
		p := sealTest(t, text, &Rules{Personal: event.ParseFields(pointers)})
		got := map[string]string{}
		for _, o := range p.sealed.openings {
			got[o.path] = string(o.value)
		}
		want := map[string]string{"/metadata/user/mail": `"m@x.example"`, "/metadata": `{"user":{}}`, "/metadata/user/deep": `{"x":{}}`,
			"/metadata/user/deep/pin": "1.0", "/metadata/list": `[{"mail":"in a list"}]`}
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

func TestAPointerThatCannotBeProtectedRefusesTheEvent(t *testing.T) {
	for _, pointer := range []string{"/zone/name", "/related", "/action/type", "/before/", "before/x", "/nothing"} {
		p := intakeTest(t, goldenEvent, &Rules{Personal: event.ParseFields([]string{pointer})})
		if p.Status != Rejected || p.Faults[0].Code != errs.CodeCatalogueInvalid {
			t.Errorf("%s: %q %v: stored, it would be in clear or could not be read again", pointer, p.Status, []*errs.Error(p.Faults))
		}
	}
	for _, pointer := range []string{"/metadata", "/request/uri", "/before", "metadata/x"} {
		p := intakeTest(t, goldenEvent, &Rules{Secret: event.ParseFields([]string{pointer})})
		if p.Status != Rejected || p.Faults[0].Code != errs.CodeCatalogueInvalid {
			t.Errorf("secret %s: %q %v", pointer, p.Status, []*errs.Error(p.Faults))
		}
	}
}

func TestSecretsReachNeitherEnvelopeNorOpenings(t *testing.T) {
	for _, c := range []struct{ name, before, after, secret, wantBefore, wantAfter string }{
		{"changed", `{"pw":"s3cret-1","x":1}`, `{"pw":"s3cret-2","x":1}`, "pw", `{"pw":"[redacted]","x":1}`, `{"pw":"[redacted, changed]","x":1}`},
		{"the same", `{"pw":"s3cret-1"}`, `{"pw":"s3cret-1"}`, "pw", `{"pw":"[redacted]"}`, `{"pw":"[redacted]"}`},
		{"new", `{}`, `{"pw":"s3cret-1"}`, "pw", `{}`, `{"pw":"[redacted]"}`},
		{"of any type", `{"pw":{"s3cret-1":1}}`, `{"pw":["s3cret-1"]}`, "pw", `{"pw":"[redacted]"}`, `{"pw":"[redacted, changed]"}`},
		{"deep", `{"a":{"pw":"s3cret-1"}}`, `{"a":{"pw":"s3cret-2"}}`, "a/pw", `{"a":{"pw":"[redacted]"}}`, `{"a":{"pw":"[redacted, changed]"}}`},
		{"not there", `{"a":1}`, `{"a":2}`, "a/pw", `{"a":1}`, `{"a":2}`},
		{"key with escapes", `{"a/b~c":"s3cret-1"}`, `{"a/b~c":"s3cret-2"}`, "a~1b~0c", `{"a/b~c":"[redacted]"}`, `{"a/b~c":"[redacted, changed]"}`},
		{"the same in other words", `{"pw":"s3cret"}`, `{"pw":"s\u0033cret"}`, "pw", `{"pw":"[redacted]"}`, `{"pw":"[redacted]"}`},
	} {
		text := fmt.Sprintf(`{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"u"},"resource":{"product":"p","type":"t","id":"r"},"before":%s,"after":%s,"metadata":%s}`, c.before, c.after, c.after)
		rules := &Rules{Secret: event.ParseFields([]string{"/metadata/" + c.secret, "/before/" + c.secret, "/after/" + c.secret}), Personal: event.ParseFields([]string{"/after/pw"})}
		p := sealTest(t, text, rules)
		all := string(p.sealed.envelope) + string(encodeOpenings(p.sealed.openings)) + string(p.Event.Before) + string(p.Event.After) + string(p.Event.Metadata)
		if strings.Contains(all, "s3cret") {
			t.Errorf("%s: %s", c.name, all)
		}
		rec, err := storedOf(p).decode()
		if err != nil {
			t.Fatal(err)
		}
		before, _ := canonical(rec.Event.Before)
		after, _ := canonical(rec.Event.After)
		if string(before) != c.wantBefore || string(after) != c.wantAfter {
			t.Errorf("%s: %s and %s, want %s and %s", c.name, before, after, c.wantBefore, c.wantAfter)
		}
	}
}

func TestAnEnvelopeLargerThanATileEntryIsRefused(t *testing.T) {
	event := func(related int) string {
		var list []string
		for i := range related {
			list = append(list, fmt.Sprintf(`{"type":"t","id":"%0*d"}`, 1000, i))
		}
		return `{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"u"},"resource":{"product":"p","type":"t","id":"r"},"related":[` + strings.Join(list, ",") + `]}`
	}
	if p := sealTest(t, event(60), nil); len(p.sealed.envelope) > merkle.MaxEntrySize || len(p.sealed.envelope) < 60_000 {
		t.Fatalf("%d bytes", len(p.sealed.envelope))
	}
	// An event just below the limit, whose envelope is above it.
	big := event(64)
	room := MaxEvent - len(big) - len(`,"change_set":"","reason":{"text":"","url":"https://"}`)
	if room > 0 {
		big = big[:len(big)-1] + `,"reason":{"text":"` + strings.Repeat("x", min(room, 1000)) + `"}}`
	}
	if len(big) > MaxEvent {
		t.Fatalf("the test's event has %d bytes", len(big))
	}
	p := intakeTest(t, big, nil)
	if p.Status != Rejected || p.Faults[0].Code != errs.CodeTooLarge {
		t.Fatalf("%s %v, an event of %d bytes", p.Status, []*errs.Error(p.Faults), len(big))
	}
}

func FuzzParseEnvelope(f *testing.F) {
	p := sealTest(f, goldenEvent, &Rules{Personal: event.ParseFields([]string{"/before/a/pin"})})
	stamp(p.sealed.envelope, testNow.UnixMicro())
	f.Add(p.sealed.envelope, encodeOpenings(p.sealed.openings))
	f.Add([]byte(`{"v":1,"recorded_at":"2026-11-22T10:00:00.000000Z","account":"a","submitted_by":{},"event":{},"commitments":{"/a/b":""}}`), []byte(`{"/a/b":1}`))
	f.Fuzz(func(t *testing.T, envelope, openings []byte) {
		s := &stored{envelope: envelope, seed: testSeed[:], openings: openings}
		s.recordedAt()
		rec, err := s.decode()
		if err != nil {
			return
		}
		rec.Sentence("")
		if _, err := rec.Shown(); err != nil {
			return
		}
		if line, err := rec.exportLine(); err != nil || len(line) == 0 {
			t.Fatal(err)
		}
	})
}
