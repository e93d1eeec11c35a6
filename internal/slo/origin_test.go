package slo_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/slo"
)

const badOrigin = "203.0.113.7:443"

// answers are counts of the origin, and of another one that works, a record a tick: of the origin's 100 requests a
// tick, unreachable ones did not reach it and failed ones were answered with an error. The other origin has others.
func answers(from, until, unreachable, failed, others int64) (list []event.Traffic) {
	for at := from; at < until; at += 10 {
		list = append(list, count(shop, fmt.Sprint("origin-", at),
			event.Count{At: at, Seconds: 10, Origin: badOrigin, Total: 100, Bad: unreachable + failed, Unreachable: unreachable},
			event.Count{At: at, Seconds: 10, Origin: "203.0.113.8:443", Total: others}))
	}
	return list
}

// originAlerts are the alerts of passive monitoring as "event time-after-epoch".
func (w *world) originAlerts() (list []string) {
	w.t.Helper()
	for _, a := range w.alerts() {
		if a.Type != slo.OriginAlertType {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, a.OccurredAt)
		if err != nil || a.Resource.ID != badOrigin || a.Zone != shop || a.Account != acme {
			w.t.Fatalf("%v %+v", err, a)
		}
		list = append(list, fmt.Sprint(a.Event, " ", at.Unix()-epoch))
	}
	return list
}

// TestOriginsThatCannotBeReached has the three conditions of an alert, each of them missing once, and its end.
func TestOriginsThatCannotBeReached(t *testing.T) {
	type part struct{ until, unreachable, failed, others int64 }
	for _, c := range []struct {
		name  string
		parts []part
		want  string
	}{
		{"down for ten minutes", []part{{3600, 0, 0, 100}, {4200, 100, 0, 100}, {4800, 0, 0, 100}}, "start 3900, end 4210"},
		{"it answers with errors again", []part{{3600, 0, 0, 100}, {4200, 100, 0, 100}, {4800, 0, 100, 100}},
			"start 3900, end 4210"},
		{"one request in a hundred was answered", []part{{3600, 0, 0, 100}, {4200, 99, 1, 100}}, ""},
		{"five minutes less a tick", []part{{3600, 0, 0, 100}, {3890, 100, 0, 100}, {4800, 0, 0, 100}}, ""},
		{"never answered", []part{{4200, 100, 0, 100}}, ""},
		{"only answered with errors", []part{{3600, 0, 100, 100}, {4200, 100, 0, 100}}, ""},
		{"less than a tenth of the property", []part{{3600, 0, 0, 1000}, {4200, 100, 0, 1000}}, ""},
		{"the answer is a day old", []part{{3600, 0, 0, 100}, {3600 + 86_400 + 3700, 99, 1, 100}, {95_000, 100, 0, 100}}, ""},
	} {
		w := newWorld(t, "")
		from := int64(0)
		for _, p := range c.parts {
			w.handle(answers(epoch+from, epoch+p.until, p.unreachable, p.failed, p.others)...)
			from = p.until
		}
		if got := strings.Join(w.originAlerts(), ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAnOriginWithoutRequestsNeitherGoesDownNorUp(t *testing.T) {
	w := newWorld(t, "")
	w.handle(answers(epoch, epoch+3600, 0, 0, 100)...)
	w.handle(answers(epoch+3600, epoch+3700, 100, 0, 100)...)
	quiet := func(from, until int64) {
		w.handle(count(shop, fmt.Sprint("quiet", from), event.Count{At: epoch + from, Seconds: until - from, Total: 100}))
	}
	quiet(3700, 4500)
	if got := w.originAlerts(); got != nil {
		t.Errorf("it went down in silence: %v", got)
	}
	w.handle(answers(epoch+4500, epoch+4900, 100, 0, 100)...)
	quiet(4900, 8000)
	if got := strings.Join(w.originAlerts(), ", "); got != "start 4510" {
		t.Errorf("%s", got)
	}
	down, err := w.f.DownOrigins(t.Context(), acme, shop)
	if err != nil || len(down) != 1 || down[0].Origin != badOrigin || down[0].Since.Unix() != epoch+3600 ||
		down[0].FoundOn.Unix() != epoch+4510 || !down[0].Alerted {
		t.Errorf("%v %+v", err, down)
	}
	if other, err := w.f.DownOrigins(t.Context(), otherAccount, shop); err != nil || len(other) != 0 {
		t.Errorf("another account: %v %+v", err, other)
	}
}

// TestAnOriginThatGoesUpAndDownAlertsThreeTimes has an origin that is down for 15 minutes of every 30.
func TestAnOriginThatGoesUpAndDownAlertsThreeTimes(t *testing.T) {
	w := newWorld(t, "")
	flap := func(from, until int64) {
		for at := from; at < until; at += 1800 {
			w.handle(append(answers(epoch+at, epoch+at+900, 0, 0, 100), answers(epoch+at+900, epoch+at+1800, 100, 0, 100)...)...)
		}
	}
	flap(0, 36*3600)
	want := []string{"start 1200", "end 1810", "start 30000", "end 30610", "start 58800", "end 59410"}
	if got := w.originAlerts(); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("%v, want %v", got, want)
	}
	// A day without failures ends the issue.
	w.handle(answers(epoch+36*3600, epoch+61*3600, 0, 0, 100)...)
	flap(61*3600, 62*3600)
	if got := w.originAlerts(); len(got) != len(want)+2 || got[len(want)] != fmt.Sprint("start ", 61*3600+1200) {
		t.Errorf("after a day: %v", got)
	}
}

func TestAnOriginWithAnObjectiveIsMonitoredByItsSeries(t *testing.T) {
	w := newWorld(t, "")
	w.create(slo.ObjectiveSpec{Name: "origin", Match: slo.Match{Zone: "shop", Origin: badOrigin}, Target: 99})
	w.handle(answers(epoch, epoch+3600, 0, 0, 100)...)
	w.handle(answers(epoch+3600, epoch+4200, 100, 0, 100)...)
	if got := strings.Join(w.originAlerts(), ", "); got != "start 3900" {
		t.Errorf("%s", got)
	}
	var list []event.Alert
	for _, a := range w.alerts() {
		if a.Type == slo.OriginAlertType {
			list = append(list, a)
		}
	}
	var data struct {
		Unreachable  uint64  `json:"unreachable"`
		ZoneRequests uint64  `json:"zone_requests"`
		Share        float64 `json:"share"`
	}
	if err := json.Unmarshal(list[0].Data, &data); err != nil || data.Unreachable != 3000 || data.ZoneRequests != 6000 ||
		data.Share != 0.5 || !strings.Contains(list[0].Summary, "50 % of the property's requests") {
		t.Errorf("%v %+v %q", err, data, list[0].Summary)
	}
}

// TestOriginsAreTheSameAfterCrashes compares an uninterrupted run with one in which every batch fails once, and another
// process continues.
func TestOriginsAreTheSameAfterCrashes(t *testing.T) {
	both(t, func(t *testing.T, database func() string) {
		list := answers(epoch, epoch+1800, 0, 0, 100)
		for at := int64(epoch + 1800); at < epoch+10*3600; at += 3600 {
			list = append(list, answers(at, at+1200, 100, 0, 100)...)
			list = append(list, answers(at+1200, at+3600, 0, 7, 100)...)
		}
		run := func(size int, crash bool) string {
			w := newWorld(t, database())
			for i := 0; i*size < len(list); i++ {
				b := w.batch(list[i*size : min(len(list), (i+1)*size)]...)
				if crash {
					w.f = w.another(nil)
				}
				if err := w.f.Handle(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			return w.dump()
		}
		want := run(200, false)
		if !strings.Contains(want, slo.OriginAlertType) {
			t.Fatal("nothing was down")
		}
		for _, size := range []int{200, 61} {
			if got := run(size, true); got != want {
				t.Errorf("batches of %d records", size)
				report(t, want, got)
			}
		}
	})
}
