package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/test/poll"
)

// TestABurnIsSeenFromTheBusToThePage plays the middle of the story: a change, an
// outage, the alert on its topic, the page with the change as a mark.
func TestABurnIsSeenFromTheBusToThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.account("Acme")
	v := s.member(id, "ana@acme.example", "owner")
	var zone struct{ ID string }
	s.decode(s.call("POST", "/accounts/"+id+"/zones", object{"name": "shop.example"}), &zone)
	var objective struct{ ID string }
	s.decode(s.call("POST", "/accounts/"+id+"/slos", object{
		"name":   "checkout",
		"match":  object{"zone": "shop.example"},
		"target": 99.95,
	}), &objective)
	now := time.Now().Unix() / 10 * 10
	s.append(id, auditEvent("timeout", "ana", object{
		"occurred_at": time.Unix(now-123, 0).UTC().Format(time.RFC3339Nano),
		"zone":        "shop.example",
	}))
	var msgs []bus.Message
	for at := now - 3600; at < now; at += 10 {
		bad := int64(0)
		if at >= now-80 {
			bad = 60
		}
		value, err := json.Marshal(event.Traffic{
			Account: id,
			Zone:    zone.ID,
			ID:      fmt.Sprint(at),
			Counts:  []event.Count{{At: at, Seconds: 10, Total: 100, Bad: bad}},
		})
		if err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, bus.Message{Topic: event.TopicTrafficSharded, Key: []byte(zone.ID), Value: value})
	}
	if err := s.app.Publish(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	metric := func(line string) bool {
		res, err := http.Get(s.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), "\n"+line+"\n")
	}
	poll.Until(t, "the objective burns and its alert is sent", func() bool {
		var status struct {
			State  string
			Budget struct{ Bad uint64 }
		}
		s.decode(s.call("GET", "/accounts/"+id+"/slos/"+objective.ID+"/status", nil), &status)
		// The relay has sent the event of the objective's creation, and the alert.
		return status.State == "burning" && status.Budget.Bad == 480 &&
			metric(`belfry_outbox_relayed_total{outbox="slo",outcome="ok"} 2`)
	})
	base := "/accounts/" + id + "/objectives"
	v.Get(base).Says("1 objective is burning its budget too fast.", "checkout", "shop.example")
	v.Get(base+"/"+objective.ID).Says("checkout is burning its budget", "wwwtimeout.shop.example",
		"/audit?event=timeout", `<span>1h/5m fired</span>`) // the mark; the level says "1h/5m fires at 14.4×"
	v.Get("/accounts/" + id + "/audit").Says("created the objective")
	// Overview, list and objective have the same sentence: the current one, not that
	// of the alert's start.
	var status struct{ Sentence string }
	s.decode(s.call("GET", "/accounts/"+id+"/slos/"+objective.ID+"/status", nil), &status)
	poll.Until(t, "the overview shows the alert with the change that preceded it", func() bool {
		return strings.Contains(v.Get("/accounts/"+id).Body, "Preceded by:")
	})
	v.Get("/accounts/" + id).Says(status.Sentence)
	v.Get(base).Says(status.Sentence)
	s.member(id, "bo@acme.example", "auditor").Get(base).Lacks("checkout")
}
