package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
)

// Only an attempt after one that had begun to change something is resumed: not
// one after a pause, and not one after a drain before the beginning.
func TestAnAttemptKnowsWhetherAnEarlierOneHadBegun(t *testing.T) {
	d := openDB(t)
	q := jobs.New(d, jobs.Config{Lease: time.Minute, Poll: 5 * time.Millisecond, Pause: time.Millisecond}, quiet)
	seen := ""
	q.Register(jobs.Kind{
		Name:       "audit.export",
		Permission: "audit:export",
		Run: func(ctx context.Context, job *jobs.Job) (any, error) {
			seen += fmt.Sprintf("%d %v;", job.Attempt, job.Resumed)
			if job.Attempt == 2 {
				if err := job.Begin(ctx); err != nil {
					return nil, err
				}
			}
			if job.Attempt < 4 {
				return nil, errs.New(errs.CodeUnavailable, "not yet")
			}
			return seen, nil
		},
	})
	running(t, q)
	started, err := q.Start(t.Context(), ours, "audit.export", nil)
	if err != nil {
		t.Fatal(err)
	}
	if info := await(t, q, started.ID, jobs.Done); string(info.Result) != `"1 false;2 false;3 true;4 true;"` {
		t.Fatalf("%s", info.Result)
	}
}
