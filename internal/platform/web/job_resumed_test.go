package web_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Only an attempt after one that had begun to change something is resumed: not
// one after a pause, and not one after a drain before the beginning.
func TestAnAttemptKnowsWhetherAnEarlierOneHadBegun(t *testing.T) {
	d := openDB(t)
	j := web.NewJobs(d, web.JobsConfig{Lease: time.Minute, Poll: 5 * time.Millisecond, Pause: time.Millisecond}, quiet)
	seen := ""
	j.Register(web.JobKind{Name: "audit.export", Permission: "audit:export", Run: func(ctx context.Context, job *web.Job) (any, error) {
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
	}})
	running(t, j)
	started, err := j.Start(t.Context(), ours, "audit.export", nil)
	if err != nil {
		t.Fatal(err)
	}
	if info := await(t, j, started.ID, web.JobDone); string(info.Result) != `"1 false;2 false;3 true;4 true;"` {
		t.Fatalf("%s", info.Result)
	}
}
