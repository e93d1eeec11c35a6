package demo

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/examples/shop"
)

// TestThePastHasNoGapAndNoEffectBeforeItsCause generates the past at several times of the day and the week, because
// they shift its days differently.
func TestThePastHasNoGapAndNoEffectBeforeItsCause(t *testing.T) {
	start := time.Date(2026, 11, 22, 0, 0, 5, 0, time.UTC)
	for hours := range 24 * 7 {
		now := start.Add(time.Duration(hours) * time.Hour)
		p := pastChanges(now, rand.New(rand.NewPCG(seed, uint64(hours))))
		held := map[string]string{} // by resource, its present value
		last := ""
		for _, e := range p.events {
			at := e["occurred_at"].(string)
			if at < last {
				t.Fatalf("%v: %s is told after %s", now, at, last)
			}
			last = at
			r := e["resource"].(map[string]any)
			name := r["product"].(string) + " " + r["id"].(string)
			before := asJSON(t, e["before"])
			after := asJSON(t, e["after"])
			if known, ok := held[name]; ok && before != "null" && known != before {
				t.Fatalf("%v: %s was %s, and its next change begins with %s", now, name, known, before)
			}
			held[name] = after
			direction := e["action"].(map[string]any)["type"]
			if direction == "lower" || direction == "raise" {
				from := e["before"].(map[string]any)["value"].(int)
				to := e["after"].(map[string]any)["value"].(int)
				if (to < from) != (direction == "lower") {
					t.Errorf("%v: from %d to %d is called %s", now, from, to, direction)
				}
			}
		}
		if got := held["shop payment_timeout"]; got != `{"unit":"ms","value":3000}` {
			t.Errorf("%v: the timeout ends at %s, and the story begins at 3000", now, got)
		}
		if last >= now.UTC().Format("2006-01-02T15:04:05.000000Z") {
			t.Errorf("%v: the past ends at %s", now, last)
		}
		if err := shop.Restore(t.TempDir(), p.shop); err != nil {
			t.Errorf("%v: %v", now, err)
		}
		if hours%24 > 2 { // the counts are the same at any hour
			continue
		}
		began := lastIncident.began(now)
		for _, c := range requestsOf(checkout, checkouts, now, &lastIncident, rand.New(rand.NewPCG(seed, 0))) {
			if c.Bad > c.Total/10 && c.TS < began.Unix() {
				t.Fatalf("%v: requests fail at %d, before the deployment's effect at %v", now, c.TS, began)
			}
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryKnobsReasonsFollowEachOther(t *testing.T) {
	for _, k := range knobs {
		if k.turns[len(k.turns)-1].to != k.start {
			t.Errorf("the last turn of %s does not lead back to %v", k.id, k.start)
		}
		before := k.start
		for _, turn := range k.turns {
			if turn.to == before || strings.TrimSpace(turn.reason) == "" {
				t.Errorf("%s: a turn from %v to %v with the reason %q", k.id, before, turn.to, turn.reason)
			}
			before = turn.to
		}
	}
}

func TestSettingsOfAnInstallationAreNoneOfTheDemo(t *testing.T) {
	got := settingsOfOthers([]string{"PATH=/bin", "BELFRY_DATABASE_URL=postgres://real", "BELFRY_DATA_DIR=/srv/belfry",
		"MY_BELFRY_X=1"})
	if strings.Join(got, " ") != "BELFRY_DATABASE_URL BELFRY_DATA_DIR" {
		t.Errorf("%v", got)
	}
}
