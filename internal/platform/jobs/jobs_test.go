package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
)

func TestAJobRunsAndItsFileCanBeDownloaded(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		content := bytes.Repeat([]byte("0123456789abcdef"), 160_000) // two and a half parts
		q := leasing(d, time.Minute, func(ctx context.Context, job *jobs.Job) (any, error) {
			var in struct{ Name string }
			if err := json.Unmarshal(job.Input, &in); err != nil {
				return nil, err
			}
			f, err := job.File(ctx, in.Name, "application/x-ndjson")
			if err != nil {
				return nil, err
			}
			job.Progress(0.5)
			_, err = io.Copy(f, bytes.NewReader(content))
			return nil, err
		})
		a := newAPI(t, q)
		started, err := q.Start(t.Context(), ours, "audit.export", map[string]string{"name": "log.ndjson"})
		if err != nil || started.State != jobs.Queued {
			t.Fatalf("%+v %v", started, err)
		}
		path := "/client/v4/accounts/" + ours + "/jobs/" + started.ID
		missing(t, a, "GET "+path+"/file", "exporter")
		running(t, q)
		await(t, q, started.ID, jobs.Done)
		var answer struct {
			Result struct {
				State    string
				Progress float64
				Result   jobs.File
			}
		}
		w := ask(t, a, "GET "+path, "exporter")
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		info := answer.Result
		if info.State != "done" || info.Progress != 1 || info.Result.Bytes != int64(len(content)) ||
			info.Result.URL != path+"/file" {
			t.Fatalf("%s", w.Body)
		}
		file := ask(t, a, "GET "+info.Result.URL, "exporter")
		if !bytes.Equal(file.Body.Bytes(), content) || file.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("%d of %d bytes", file.Body.Len(), len(content))
		}
		// Who lacks the kind's permission does not learn that the job exists.
		missing(t, a, "GET "+path, "reader")
		missing(t, a, "GET "+path+"/file", "reader")
		missing(t, a, "GET "+strings.Replace(path, ours, foreign, 1), "stranger")
		missing(t, a, "DELETE "+path, "reader")
		missing(t, a, "GET "+strings.TrimSuffix(path, started.ID)+"nope", "exporter")
		// A day later the file is gone, a week later the job.
		age := func(by time.Duration) {
			ctx := t.Context()
			if err := d.Tx(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE job SET ended_at = $1`, time.Now().Add(-by).UnixMicro())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := q.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		age(25 * time.Hour)
		missing(t, a, "GET "+path+"/file", "exporter")
		if parts := count(t, d, `SELECT COUNT(*) FROM job_part`); parts != 0 {
			t.Fatalf("%d parts left", parts)
		}
		age(8 * 24 * time.Hour)
		missing(t, a, "GET "+path, "exporter")
	})
}

func TestAJobOfAKilledProcessIsTakenOverAndItsLeftoversChangeNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		entered := make(chan *jobs.Job, 3)
		release := make(chan struct{})
		q := newQueue(d, func(ctx context.Context, job *jobs.Job) (any, error) {
			f, err := job.File(ctx, "f", "text/plain")
			if err != nil {
				return nil, err
			}
			entered <- job
			if job.Attempt == 1 {
				<-ctx.Done() // the lease is lost
				if _, err := f.Write(make([]byte, 2<<20)); err == nil {
					t.Error("a worker without its lease could write")
				}
				return "old", nil
			}
			<-release
			_, err = f.Write([]byte("new"))
			return "new", err
		})
		running(t, q)
		started, err := q.Start(t.Context(), ours, "audit.export", nil)
		if err != nil {
			t.Fatal(err)
		}
		<-entered
		// Another process claimed the job of the first one, whose lease had ended,
		// and was killed itself.
		ctx := t.Context()
		if err := d.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE job SET owner = 'dead', lease = $1`, time.Now().Add(-time.Second).UnixMicro())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if second := <-entered; second.Attempt != 2 {
			t.Fatalf("attempt %d", second.Attempt)
		}
		close(release)
		if info := await(t, q, started.ID, jobs.Done); string(info.Result) != `"new"` || info.File.Bytes != 3 {
			t.Fatalf("%+v", info)
		}
	})
}

func TestAJobThatKillsItsProcessAgainAndAgainFails(t *testing.T) {
	d := openDB(t)
	q := newQueue(d, func(context.Context, *jobs.Job) (any, error) { return nil, errors.New("must not run") })
	started, err := q.Start(t.Context(), ours, "audit.export", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := d.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job SET state = 'running', owner = 'dead', attempts = 3`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	running(t, q)
	if info := await(t, q, started.ID, jobs.Failed); !strings.Contains(info.Error.Message, "3 times") {
		t.Fatalf("%+v", info.Error)
	}
}

func TestFailuresAreDescribedAndPanicsAndCausesAreNot(t *testing.T) {
	outcomes := map[string]error{
		"described": errs.At(errs.CodeTooLarge, "/x", "too much"),
		"other":     errors.New("hunter2"),
	}
	q := newQueue(openDB(t), func(_ context.Context, job *jobs.Job) (any, error) {
		var name string
		if err := json.Unmarshal(job.Input, &name); err != nil {
			return nil, err
		}
		if name == "panic" {
			panic("hunter2")
		}
		return nil, outcomes[name]
	})
	running(t, q)
	for name, code := range map[string]errs.Code{
		"described": errs.CodeTooLarge,
		"other":     errs.CodeInternal,
		"panic":     errs.CodeInternal,
	} {
		started, err := q.Start(t.Context(), ours, "audit.export", name)
		if err != nil {
			t.Fatal(err)
		}
		info := await(t, q, started.ID, jobs.Failed)
		if info.Error.Code != code || strings.Contains(info.Error.Message, "hunter2") {
			t.Errorf("%s: %+v", name, info.Error)
		}
	}
}

func TestACancelledJobStopsAndStaysCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		entered, ended := make(chan struct{}), make(chan error)
		q := newQueue(d, func(ctx context.Context, _ *jobs.Job) (any, error) {
			close(entered)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return "late", nil
		})
		running(t, q)
		started, err := q.Start(t.Context(), ours, "audit.export", nil)
		if err != nil {
			t.Fatal(err)
		}
		<-entered
		if _, err := q.Cancel(t.Context(), foreign, started.ID); !errs.Is(err, errs.CodeNotFound) {
			t.Fatalf("another account: %v", err)
		}
		info, err := q.Cancel(t.Context(), ours, started.ID)
		if err != nil || info.State != jobs.Cancelled {
			t.Fatalf("%+v %v", info, err)
		}
		if cause := <-ended; !strings.Contains(cause.Error(), "cancelled") {
			t.Fatal(cause)
		}
		if info, err = q.Cancel(t.Context(), ours, started.ID); err != nil || info.State != jobs.Cancelled ||
			info.EndedAt.IsZero() {
			t.Fatalf("a second cancel: %+v %v", info, err)
		}
	})
}

func TestADrainGivesJobsBackWithoutCountingTheAttempt(t *testing.T) {
	d := openDB(t)
	entered := make(chan struct{}, 1)
	block := func(ctx context.Context, _ *jobs.Job) (any, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	q := newQueue(d, block)
	stop := running(t, q)
	started, err := q.Start(t.Context(), ours, "audit.export", nil)
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	stop()
	if info := await(t, q, started.ID, jobs.Queued); info.Error != nil {
		t.Fatalf("%+v", info)
	}
	if n := count(t, d, `SELECT attempts FROM job`); n != 0 {
		t.Fatalf("%d attempts", n)
	}
	next := newQueue(d, func(_ context.Context, job *jobs.Job) (any, error) { return job.Attempt, nil })
	running(t, next)
	if info := await(t, next, started.ID, jobs.Done); string(info.Result) != "1" {
		t.Fatalf("%+v", info)
	}
}

func TestAnAccountHasOnlySoManyOpenJobs(t *testing.T) {
	q := newQueue(openDB(t), func(context.Context, *jobs.Job) (any, error) { return nil, nil })
	for i := range 4 {
		_, err := q.Start(t.Context(), ours, "audit.export", nil)
		if (i < 3) != (err == nil) || i >= 3 && !errs.Is(err, errs.CodeLimit) {
			t.Fatalf("job %d: %v", i, err)
		}
	}
	if _, err := q.Start(t.Context(), foreign, "audit.export", nil); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatIsTooLargeFailsItsJob(t *testing.T) {
	q := newQueue(openDB(t), func(ctx context.Context, job *jobs.Job) (any, error) {
		f, err := job.File(ctx, "f", "text/plain")
		if err != nil {
			return nil, err
		}
		for range 6 {
			if _, err := f.Write(make([]byte, 1<<20)); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	running(t, q)
	started, err := q.Start(t.Context(), ours, "audit.export", nil)
	if err != nil {
		t.Fatal(err)
	}
	if info := await(t, q, started.ID, jobs.Failed); info.Error.Code != errs.CodeTooLarge || info.File != nil {
		t.Fatalf("%+v", info)
	}
}
