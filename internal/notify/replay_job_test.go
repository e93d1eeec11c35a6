package notify_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/run"
)

// withJobs serves the API with jobs that run until the test ends.
func (w *world) withJobs() {
	w.t.Helper()
	w.openJobs()
	w.api = w.serve()
	w.runJobs()
}

// openJobs makes a queue of jobs, for the next server.
func (w *world) openJobs() {
	w.t.Helper()
	d, err := db.Open(w.t.Context(), db.Config{
		Feature: "web",
		DataDir: w.t.TempDir(),
		Schemas: []db.Schema{jobs.Schema()},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { d.Close() })
	w.jobs = jobs.New(d, jobs.Config{}, slog.New(slog.DiscardHandler))
}

func (w *world) runJobs() {
	w.t.Helper()
	ended := make(chan error, 1)
	go func() {
		ended <- run.All(w.t.Context(), slog.New(slog.DiscardHandler), run.Stage{Name: "jobs", Run: w.jobs.Run})
	}()
	w.t.Cleanup(func() {
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

// job waits for the result of a job.
func (w *world) job(id string) (result notify.ReplayResult) {
	w.t.Helper()
	until(w.t, "the job ends", func() bool {
		var info jobs.Info
		w.must("GET", "/jobs/"+id, nil, &info)
		if info.State == jobs.Failed {
			w.t.Fatalf("the job failed: %+v", info)
		}
		if info.State != jobs.Done {
			return false
		}
		if err := json.Unmarshal(info.Result, &result); err != nil {
			w.t.Fatal(err)
		}
		return true
	})
	return result
}

func TestTheFailedDeliveriesOfAWebhookAreReplayedByAJob(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.withJobs()
		r := newReceiver(t)
		h := w.hook(r.URL)
		w.policy(map[string]any{"mechanisms": to(h)})
		r.answers(func(received) int { return 400 })
		for i := range 3 {
			w.alert(map[string]any{"id": fmt.Sprint("bad", i)})
		}
		until(t, "all fail", func() bool {
			return w.states("bad2") == "notice failed" && w.states("bad0") == "notice failed" &&
				w.states("bad1") == "notice failed"
		})
		r.answers(nil)
		w.alert(map[string]any{"id": "good"})
		until(t, "the last arrives", func() bool { return w.states("good") == "notice delivered" })
		path := "/destinations/webhooks/" + h.ID + "/replay"
		var info jobs.Info
		w.must("POST", path, map[string]any{"dry_run": true}, &info)
		if got := w.job(info.ID); got != (notify.ReplayResult{Matched: 4}) {
			t.Errorf("the dry run says %+v", got)
		}
		if n := len(r.all()); n != 4 {
			t.Errorf("the dry run sent: %d messages", n)
		}
		w.must("POST", path, map[string]any{"only_failed": true}, &info)
		if got := w.job(info.ID); got != (notify.ReplayResult{Matched: 3, Replayed: 3}) {
			t.Errorf("the replay says %+v", got)
		}
		until(t, "the replays arrive", func() bool {
			return w.states("bad1") == "notice failed, notice delivered" &&
				len(r.all()) == 7
		})
		if got := w.records("notification_destination"); !slices.Equal(got, []string{"create", "replay"}) {
			t.Errorf("recorded %v", got)
		}
		status, failures := w.call("acme", "POST", path,
			map[string]any{"since": "2026-02-01T00:00:00Z", "before": "2026-01-01T00:00:00Z"}, nil)
		if status != 400 || failures[0].Source.Pointer != "/before" {
			t.Errorf("%d %+v", status, failures)
		}
		if status, _ := w.call("reader", "POST", path, map[string]any{}, nil); status != 403 {
			t.Errorf("a reader's replay: %d", status)
		}
	})
}
