package jobs_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
)

func TestJobsAreListedForThoseWhoMayReadTheirKind(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		q := leasing(d, time.Minute, func(context.Context, *jobs.Job) (any, error) { return nil, nil })
		var started []string
		for range 3 {
			job, err := q.Start(t.Context(), ours, "audit.export", map[string]string{})
			if err != nil {
				t.Fatal(err)
			}
			started = append(started, job.ID)
		}
		if _, err := q.Start(t.Context(), foreign, "audit.export", map[string]string{}); err != nil {
			t.Fatal(err)
		}
		a := newAPI(t, q)
		list := func(who, account, more string) (ids []string) {
			var answer struct {
				Result []jobs.Info
				Info   struct{ Cursor string } `json:"result_info"`
			}
			w := ask(t, a, "GET /client/v4/accounts/"+account+"/jobs?limit=2"+more, who)
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%s %v", w.Body, err)
			}
			for _, job := range answer.Result {
				ids = append(ids, job.ID)
			}
			if answer.Info.Cursor != "" {
				ids = append(ids, answer.Info.Cursor)
			}
			return ids
		}
		first := list("exporter", ours, "&kind=audit.export")
		if len(first) != 3 || first[0] != started[2] || first[1] != started[1] {
			t.Fatalf("%v of %v", first, started)
		}
		if rest := list("exporter", ours, "&kind=audit.export&cursor="+first[2]); len(rest) != 1 || rest[0] != started[0] {
			t.Errorf("the rest is %v", rest)
		}
		for name, got := range map[string][]string{
			"without the kind's permission": list("reader", ours, ""),
			"another account":               list("stranger", ours, ""),
			"another kind":                  list("owner", ours, "&kind=audit.erase"),
		} {
			if len(got) != 0 {
				t.Errorf("%s: %v", name, got)
			}
		}
		if mine := list("stranger", foreign, ""); len(mine) != 1 {
			t.Errorf("the other account's own: %v", mine)
		}
	})
}
