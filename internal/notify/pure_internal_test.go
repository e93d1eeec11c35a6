package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/id"
)

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
	s := &attributes{
		kind:     "down",
		severity: "error",
		zones:    []Zone{shop},
		zoneRef:  "www.shop.example",
		filters:  map[string][]string{"pool": {"a", "b"}},
		subject:  "x",
	}
	test := Zone{"z2", "try.example", "test"}
	with2 := func(zones ...Zone) *attributes {
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
		p        *Policy
		s        *attributes
		notified time.Time
		want     string // "" = matched
	}{
		{&base, s, time.Time{}, ""},
		{with(func(p *Policy) { p.AlertType = "up" }), s, time.Time{}, "type up"},
		{with(func(p *Policy) { p.Enabled = false }), s, time.Time{}, "disabled"},
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
		{
			with(filter("zones.not", "alias.example")),
			with2(Zone{Name: "b.example"}, shop),
			time.Time{},
			"excludes b.example, shop.example",
		},
		{&base, with2(test, Zone{Name: "b.example"}), time.Time{}, "try.example is a test environment"},
		{&base, with2(test, Zone{"z3", "stage.example", "test"}), time.Time{}, "names none of them"},
		{&base, with2(test, shop), time.Time{}, ""},
		{with(filter("zones", "try.example")), with2(test, Zone{Name: "b.example"}), time.Time{}, ""},
	} {
		matched, why, hold := evaluate(c.p, c.s, c.notified, now)
		if !hold.IsZero() {
			t.Errorf("%+v: a notice is held back until %v", c.p, hold)
		}
		if matched != (c.want == "") || !strings.Contains(why, c.want) {
			t.Errorf("%+v: %v %q, want %q", c.p, matched, why, c.want)
		}
	}
	hourly := with(func(p *Policy) { p.AlertInterval = "1h" })
	matched, why, hold := evaluate(hourly, &lasting, now.Add(-10*time.Minute), now)
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
		if items, err := alertFormat.Split(data, ""); err == nil && len(items.Values) == 0 {
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
		{ID: "1", Event: "start", State: delivery.StateDelivered, Mechanism: "On-call hook", EndedAt: moment(at(61))},
		{
			ID:        "2",
			Event:     "start",
			State:     delivery.StateDelivered,
			Mechanism: "On-call hook",
			EndedAt:   moment(at(200)),
			ReplayOf:  "1",
		},
		{ID: "3", Event: "end", State: delivery.StateDelivered, Mechanism: "On-call hook", EndedAt: moment(at(601))},
		{ID: "4", Event: "start", State: delivery.StateKept, Mechanism: "ana@acme.example", EndedAt: moment(at(61))},
	}
	d.Related = []Part{{ID: "e", Event: "end", OccurredAt: moment(at(600))}}
	lines := func(since ...Change) string {
		var list []string
		for i, line := range timeline("acme", nil, d, since) {
			list = append(list, line.Sentence)
			if i > 0 && line.At.Before(timeline("acme", nil, d, since)[i-1].At) {
				t.Errorf("%s stands behind its time", line.Sentence)
			}
		}
		return strings.Join(list, "; ")
	}
	want := "Ana lowered the payment timeout; What it reports had begun; Alert started; " +
		"Delivered to On-call hook; Not sent to ana@acme.example; " +
		"Re-sent to On-call hook; Ana set it back; Alert ended; End delivered to On-call hook"
	if got := lines(Change{EventID: "undo", At: at(300), Summary: "Ana set it back"}); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	d.Changes[0].At = at(-20)
	if got := lines(); !strings.HasPrefix(got, "Ana lowered the payment timeout; What it reports began; Alert started") {
		t.Error(got)
	}
}
