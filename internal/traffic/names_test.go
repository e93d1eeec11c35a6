package traffic_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/traffic"
)

// fromOrigins is a request with a count of one request for each origin.
func fromOrigins(first, n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"zone":"shop.example","ts":%d,"total":2,"origin":"o%d"}`, start.Unix(), first+i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

// originsOf are the requests by origin in messages.
func originsOf(list []event.Traffic) map[string]int64 {
	out := map[string]int64{}
	for _, m := range list {
		for _, c := range m.Counts {
			out[c.Origin] += c.Total
		}
	}
	return out
}

func TestAFloodOfOriginsIsCountedUnderOneNameAndReported(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.f.SetMaxNames(100)
		w.took(w.counts(fromOrigins(0, 90)), 90, 0)
		flood := w.took(w.counts(fromOrigins(50, 500)), 500, 0)
		if flood.Result.RenamedRequests != 2*450 {
			t.Errorf("%s", flood.Text)
		}
		got := originsOf(w.sharded(2))
		if len(got) != 101 || got["other"] != 2*450 || got["o99"] != 2 || got["o100"] != 0 || got["o50"] != 4 {
			t.Errorf("%d origins: %v", len(got), got)
		}
		if n := w.number(`SELECT count(*) FROM traffic_name`); n != 100 {
			t.Errorf("%d names are stored", n)
		}

		// It is told once, to the account's readers and in the audit log.
		w.Pass(2 * time.Minute)
		w.took(w.counts(fromOrigins(1000, 10)), 10, 0)
		names := decodeResult[traffic.TrafficNames](t, w.call("reader", "GET", "/traffic/names", ""))
		over := names.Kinds[0].Over
		if names.Limit != 100 || names.Kinds[0].Names != 100 || over == nil || over.Requests != 2*460 ||
			over.Example != "o1009" || names.Kinds[1].Over != nil {
			t.Errorf("%+v %+v", names, over)
		}
		if events := w.delivered(event.TopicAuditSelf, 1); !strings.Contains(string(events[0].Value), `"traffic_names"`) {
			t.Errorf("%s", events[0].Value)
		}
		if r := w.call("other", "GET", "/traffic/names", ""); r.Status != 404 && r.Status != 403 {
			t.Errorf("another account: %d", r.Status)
		}
		// Another account has room of its own.
		body := strings.ReplaceAll(fromOrigins(2000, 10), `{"zone"`, `{"account_id":"`+w.b+`","zone"`)
		if a := w.post("root", "/traffic/counts", body); a.Status != 200 || a.Result.RenamedRequests != 0 {
			t.Errorf("%d %s", a.Status, a.Text)
		}
	})
}

func TestANameThatIsNotSeenForTwoDaysMakesRoom(t *testing.T) {
	w := newWorld(t, "", 1)
	w.f.SetMaxNames(10)
	w.took(w.counts(fromOrigins(0, 10)), 10, 0)
	w.Pass(30 * time.Hour)
	if a := w.took(w.counts(fromOrigins(5, 10)), 10, 0); a.Result.RenamedRequests != 10 {
		t.Errorf("full: %s", a.Text)
	}
	w.Pass(30 * time.Hour) // o0 to o4 are forgotten
	if a := w.took(w.counts(fromOrigins(5, 10)), 10, 0); a.Result.RenamedRequests != 0 {
		t.Errorf("after two days: %s", a.Text)
	}
}

func decodeResult[T any](t *testing.T, r reply) (out T) {
	t.Helper()
	if err := json.Unmarshal(r.Result, &out); err != nil {
		t.Fatalf("%v: %s", err, r.Text)
	}
	return out
}
