package audit_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
)

// An erasure waits for events of Belfry's own that are on their way into the
// record, and is queued again when that takes long: nothing was erased by then,
// so the next attempt says what it did not find.
func TestAnErasureThatWaitedSaysWhatItDidNotFind(t *testing.T) {
	w := newWorld(t, "")
	w.Append(accountA, minimal(members{
		"id":    "e1",
		"actor": members{"type": "user", "id": "ana", "email": "ana@acme.example"},
	}))
	queue, err := db.Open(t.Context(), db.Config{
		Feature: "web",
		DataDir: t.TempDir(),
		Schemas: []db.Schema{jobs.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { queue.Close() })
	cfg := jobs.Config{Poll: 5 * time.Millisecond, Pause: time.Millisecond}
	queued := jobs.New(queue, cfg, slog.New(slog.DiscardHandler))
	var asked atomic.Int32
	audit.RegisterErasure(queued, w.DB, w.Reader, w.Ledger, func(context.Context, string) error {
		if asked.Add(1)%2 == 1 {
			return errs.New(errs.CodeUnavailable, "the outbox is not empty yet")
		}
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- queued.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct{ in, want string }{
		{
			`{"actor_id":"nobody","fields":["/actor/id"]}`,
			`{"events":0,"not_found":{"actor":true,"fields":["/actor/id"]}}`,
		},
		{
			`{"event_ids":["e1","nope"],"fields":["/actor/email","/after/colour"]}`,
			`{"events":1,"not_found":{"event_ids":["nope"],"fields":["/after/colour"]}}`,
		},
		{`{"actor_id":"ana","fields":["/actor/id"]}`, `{"events":1}`},
	} {
		before := asked.Load()
		job, err := queued.Start(t.Context(), accountA, audit.JobErase, json.RawMessage(c.in))
		if err != nil {
			t.Fatal(err)
		}
		var info jobs.Info
		for deadline := time.Now().Add(time.Minute); info.State != jobs.Done; time.Sleep(2 * time.Millisecond) {
			info, err = queued.Get(t.Context(), accountA, job.ID)
			if err != nil || time.Now().After(deadline) || info.State == jobs.Failed {
				t.Fatalf("%s: %+v, %v", c.in, info, err)
			}
		}
		if n := asked.Load() - before; n != 2 {
			t.Errorf("%s: %d attempts", c.in, n)
		}
		var got map[string]any
		if err := json.Unmarshal(info.Result, &got); err != nil {
			t.Fatal(err)
		}
		delete(got, "complete_after")
		if text, err := json.Marshal(got); err != nil || string(text) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.in, text, c.want)
		}
	}
}
