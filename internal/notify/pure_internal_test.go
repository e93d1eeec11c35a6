package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

func TestTheTableOfAnswers(t *testing.T) {
	hour := 2 * time.Hour
	for _, c := range []struct {
		name     string
		r        Result
		failures int
		age      time.Duration
		want     verdict
		why      string
	}{
		{"2xx", Result{Status: 204}, 3, 0, verdict{state: stateDelivered, mark: destinationOK}, ""},
		{"3xx", Result{Status: 302}, 0, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Second}, "redirects are not followed; update the URL"},
		{"3xx with a place", Result{Status: 308, Response: []Header{{"Location", "https://example.com/hook/"}}}, 0, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Second}, "update the URL to https://example.com/hook/"},
		{"400", Result{Status: 400}, 0, 0, verdict{state: stateFailed}, "400 Bad Request"},
		{"413", Result{Status: 413}, 0, 0, verdict{state: stateFailed}, "replayed"},
		{"415", Result{Status: 415}, 0, 0, verdict{state: stateFailed}, ""},
		{"422", Result{Status: 422}, 0, 0, verdict{state: stateFailed}, ""},
		{"401, first", Result{Status: 401}, 0, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Second}, "refuses the credential"},
		{"403, third", Result{Status: 403}, 2, 0, verdict{state: stateFailed, counts: true, mark: destinationBroken}, "given up after 3"},
		{"404", Result{Status: 404}, 1, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Minute}, ""},
		{"408", Result{Status: 408}, 4, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Hour}, ""},
		{"410", Result{Status: 410}, 0, 0, verdict{state: stateFailed, mark: destinationDisabled}, "disabled"},
		{"429, new", Result{Status: 429, RetryAfter: time.Minute}, 0, 0, verdict{state: stateWaiting, wait: time.Minute, pause: time.Minute}, "patience"},
		{"429, never below the schedule", Result{Status: 429, RetryAfter: time.Second}, 2, 0, verdict{state: stateWaiting, wait: 30 * time.Minute, pause: 30 * time.Minute}, ""},
		{"429, capped", Result{Status: 429, RetryAfter: 999 * time.Hour}, 0, hour, verdict{state: stateWaiting, counts: true, wait: 24 * time.Hour, pause: 24 * time.Hour}, ""},
		{"503 with Retry-After", Result{Status: 503, RetryAfter: time.Hour}, 0, 0, verdict{state: stateWaiting, wait: time.Hour, pause: time.Hour}, ""},
		{"503", Result{Status: 503}, 0, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Second}, ""},
		{"504", Result{Status: 504}, 0, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Second, slow: true}, ""},
		{"timeout", Result{Fault: Timeout, Error: "late"}, 0, 0, verdict{state: stateWaiting, counts: true, wait: 5 * time.Second, slow: true}, "late"},
		{"blocked", Result{Fault: Blocked, Error: "BELFRY_ALLOW_NETWORKS"}, 0, 0, verdict{state: stateFailed}, "BELFRY_ALLOW_NETWORKS"},
		{"kept", Result{Fault: Kept, Error: "no server"}, 0, 0, verdict{state: stateKept}, "no server"},
		{"the last", Result{Status: 500}, 9, 0, verdict{state: stateFailed, counts: true}, "given up after 10"},
	} {
		got := judge(c.r, c.failures, c.age, schedule, 0)
		if !strings.Contains(got.why, c.why) {
			t.Errorf("%s: why is %q", c.name, got.why)
		}
		if got.why = ""; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := judge(Result{Status: 500}, 0, 0, schedule, 0.999); got.wait <= 5*time.Second || got.wait > 6*time.Second {
		t.Errorf("with jitter %v", got.wait)
	}
}

func TestTheScheduleIsTheSpecifications(t *testing.T) {
	var sum time.Duration
	for _, d := range schedule {
		sum += d
	}
	if want := 75*time.Hour + 35*time.Minute + 5*time.Second; sum != want || len(schedule) != 10 {
		t.Errorf("%d attempts over %v, want %v", len(schedule), sum, want)
	}
}

func TestEveryReasonNotToTellIsASentence(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	hook := Mechanisms{Webhooks: []Mechanism{{"h"}}}
	base := Policy{Enabled: true, AlertType: "down", Mechanisms: hook}
	with := func(f func(*Policy)) *Policy {
		p := base
		f(&p)
		return &p
	}
	shop := Zone{"z1", "shop.example", "production"}
	s := &subject{kind: "down", severity: "error", zones: []Zone{shop}, zoneRef: "www.shop.example", filters: map[string][]string{"pool": {"a", "b"}}, about: "x"}
	test := Zone{"z2", "try.example", "test"}
	with2 := func(zones ...Zone) *subject {
		out := *s
		out.zones, out.zoneRef = zones, ""
		return &out
	}
	trial := with2(Zone{"z1", "shop.example", "test"})
	lasting := *s
	lasting.lasts = true
	filter := func(key string, values ...string) func(*Policy) {
		return func(p *Policy) {
			p.Filters = map[string][]string{key: values}
			p.zones = map[string]string{"alias.example": "z1"}
		}
	}
	for _, c := range []struct {
		p    *Policy
		s    *subject
		told time.Time
		want string // "" = matched
	}{
		{&base, s, time.Time{}, ""},
		{with(func(p *Policy) { p.AlertType = "up" }), s, time.Time{}, "type up"},
		{with(func(p *Policy) { p.Enabled = false }), s, time.Time{}, "switched off"},
		{with(filter("zones", "Shop.Example")), s, time.Time{}, ""},
		{with(filter("zones", "alias.example")), s, time.Time{}, ""},
		{with(filter("zones", "other.example")), s, time.Time{}, "the alert has shop.example"},
		{with(filter("zones.not", "alias.example")), s, time.Time{}, "excludes shop.example"},
		{with(filter("zones.not", "other.example")), s, time.Time{}, ""},
		{with(filter("pool", "b")), s, time.Time{}, ""},
		{with(filter("pool.not", "b")), s, time.Time{}, "pool.not excludes a, b"},
		{with(filter("region", "eu")), s, time.Time{}, "has no value there"},
		{with(filter("severity", "critical", "error")), s, time.Time{}, ""},
		{with(filter("pool")), s, time.Time{}, ""},
		{&base, trial, time.Time{}, "test environment"},
		{with(filter("zones", "alias.example")), trial, time.Time{}, ""},
		{with(filter("zones.not", "other.example")), trial, time.Time{}, "test environment"},
		{with(func(p *Policy) { p.AlertInterval = "1h" }), s, now.Add(-10 * time.Minute), "10 min before"},
		{with(func(p *Policy) { p.AlertInterval = "1h" }), s, now.Add(-time.Hour), ""},
		{with(filter("zones", "alias.example")), with2(Zone{Name: "b.example"}, shop), time.Time{}, ""},
		{with(filter("zones", "b.example")), with2(shop, Zone{Name: "b.example"}), time.Time{}, ""},
		{with(filter("zones.not", "alias.example")), with2(Zone{Name: "b.example"}, shop), time.Time{}, "excludes b.example, shop.example"},
		{&base, with2(test, Zone{Name: "b.example"}), time.Time{}, "try.example is a test environment"},
		{&base, with2(test, Zone{"z3", "stage.example", "test"}), time.Time{}, "names none of them"},
		{&base, with2(test, shop), time.Time{}, ""},
		{with(filter("zones", "try.example")), with2(test, Zone{Name: "b.example"}), time.Time{}, ""},
	} {
		matched, why, hold := decide(c.p, c.s, c.told, now)
		if !hold.IsZero() {
			t.Errorf("%+v: a notice is held back until %v", c.p, hold)
		}
		if matched != (c.want == "") || !strings.Contains(why, c.want) {
			t.Errorf("%+v: %v %q, want %q", c.p, matched, why, c.want)
		}
	}
	hourly := with(func(p *Policy) { p.AlertInterval = "1h" })
	matched, why, hold := decide(hourly, &lasting, now.Add(-10*time.Minute), now)
	if !matched || !hold.Equal(now.Add(50*time.Minute)) || !strings.Contains(why, "held back") {
		t.Errorf("what lasts is dropped by an interval: %v %v %q", matched, hold, why)
	}
}

func TestIDsOfOneMomentSortInTheOrderInWhichTheyWereMade(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s := &sequence{}
	last := s.next(now)
	for i := range 10_000 {
		made := s.next(now)
		if made <= last || !id.Valid(made) || made[:12] != last[:12] {
			t.Fatalf("id %d is %s, after %s", i, made, last)
		}
		last = made
	}
	ahead := id.At(now.Add(time.Hour))[:20] + strings.Repeat("f", 12)
	if got := s.after(ahead, now); got <= ahead || !id.Valid(got) {
		t.Errorf("%s does not sort behind %s", got, ahead)
	}
}

func FuzzAlertsAreDecodedStrictly(f *testing.F) {
	f.Add([]byte(`{"id":"a","alert_type":"x","event":"start","data":{"a":[1,{"b":null}]},"filters":{"zones":["z"]}}`))
	f.Add([]byte(`[{"id":"a"},{"id":1}]`))
	f.Add([]byte(`{"id":"a","id":"b"}`))
	f.Add([]byte(strings.Repeat("[", 100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, whole, faults := decodeAlert(data)
		if whole && len(data) > maxAlert {
			t.Fatal("too large, and taken")
		}
		if !whole && len(faults) == 0 {
			t.Fatal("refused without a fault")
		}
		for _, fault := range faults {
			if fault.Message == "" {
				t.Fatal("a fault without words")
			}
		}
		p := &prepared{alert: a}
		p.checkShape(sender{}, time.Now())
		if values, _, err := split(data); err == nil && len(values) == 0 {
			t.Fatal("no alert and no error")
		}
	})
}

func FuzzURLsOfWebhooks(f *testing.F) {
	f.Add("https://user:pass@host/")
	f.Add("http:\\\\127.0.0.1")
	f.Fuzz(func(t *testing.T, s string) {
		if checkURL(s) == "" && strings.ContainsAny(s, "\\ ") {
			t.Fatalf("%q is taken", s)
		}
		typeOf(s)
	})
}

// TestTheOrderOfAnAlertHasItsCauseBeforeItsEffectAndTheUndoBeforeTheEnd has a
// beginning that counts know to 30 s, and a change within these.
func TestTheOrderOfAnAlertHasItsCauseBeforeItsEffectAndTheUndoBeforeTheEnd(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 11, 28, 4, 45, 30+s, 0, time.UTC) }
	began := moment(at(0))
	d := &Decision{Alert: Alert{
		State:      stateEnded,
		BeganAt:    began,
		OccurredAt: moment(at(60)),
		EndedAt:    moment(at(600)),
		Changes:    []Change{{EventID: "lowered", At: at(6), Summary: "Ana lowered the payment timeout"}},
	}}
	d.Deliveries = []Delivery{
		{ID: "1", Event: "start", State: stateDelivered, Mechanism: "On-call hook", EndedAt: moment(at(61))},
		{ID: "2", Event: "start", State: stateDelivered, Mechanism: "On-call hook", EndedAt: moment(at(200)), ReplayOf: "1"},
		{ID: "3", Event: "end", State: stateDelivered, Mechanism: "On-call hook", EndedAt: moment(at(601))},
		{ID: "4", Event: "start", State: stateKept, Mechanism: "ana@acme.example", EndedAt: moment(at(61))},
	}
	d.Related = []Part{{ID: "e", Event: "end", OccurredAt: moment(at(600))}}
	lines := func(since ...Change) string {
		var list []string
		for i, line := range timeline("acme", d, since) {
			list = append(list, line.Sentence)
			if i > 0 && line.At.Before(timeline("acme", d, since)[i-1].At) {
				t.Errorf("%s stands behind its time", line.Sentence)
			}
		}
		return strings.Join(list, "; ")
	}
	want := "Ana lowered the payment timeout; What it reports had begun; Alert started; Delivered to On-call hook; Not sent to ana@acme.example; " +
		"Re-sent to On-call hook; Ana set it back; Alert ended; End delivered to On-call hook"
	if got := lines(Change{EventID: "undo", At: at(300), Summary: "Ana set it back"}); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	d.Changes[0].At = at(-20)
	if got := lines(); !strings.HasPrefix(got, "Ana lowered the payment timeout; What it reports began; Alert started") {
		t.Error(got)
	}
}
