package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

var quiet = slog.New(slog.DiscardHandler)

// newJobs makes Jobs with short times and the given work.
// newJobs has leases that pass quickly, for what is about leases: on a busy
// machine they pass under a job that works, too.
func newJobs(d *db.DB, work func(ctx context.Context, job *web.Job) (any, error)) *web.Jobs {
	return leasing(d, 150*time.Millisecond, work)
}

func leasing(d *db.DB, lease time.Duration, work func(ctx context.Context, job *web.Job) (any, error)) *web.Jobs {
	j := web.NewJobs(d, web.JobsConfig{Lease: lease, Poll: 5 * time.Millisecond, PerAccount: 3, Attempts: 3, MaxFile: 5 << 20}, quiet)
	j.Register(web.JobKind{Name: "audit.export", Permission: "audit:export", Run: work})
	return j
}

// running runs j until the test ends or the returned function is called.
func running(t *testing.T, j *web.Jobs) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := j.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// await asks for the job until it is in the state.
func await(t *testing.T, j *web.Jobs, id, state string) web.JobInfo {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		info, err := j.Get(t.Context(), ours, id)
		if err != nil {
			t.Fatal(err)
		}
		if info.State == state {
			return info
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job stays %s: %+v", info.State, info)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestAJobRunsAndItsFileCanBeDownloaded(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		content := bytes.Repeat([]byte("0123456789abcdef"), 160_000) // two and a half parts
		j := leasing(d, time.Minute, func(ctx context.Context, job *web.Job) (any, error) {
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
		a := newAPI(t)
		people["exporter"] = web.Principal{Kind: web.KindToken, ID: "exporter", AccountID: ours, Permissions: web.Permissions{"audit:export"}}
		j.API(a.API)
		started, err := j.Start(t.Context(), ours, "audit.export", map[string]string{"name": "log.ndjson"})
		if err != nil || started.State != web.JobQueued {
			t.Fatalf("%+v %v", started, err)
		}
		path := "/client/v4/accounts/" + ours + "/jobs/" + started.ID
		refused(t, ask(t, a, "GET "+path+"/file", "", as("exporter")), 404, errs.CodeNotFound, "")
		running(t, j)
		await(t, j, started.ID, web.JobDone)
		var info struct {
			State    string
			Progress float64
			Result   web.JobFile
		}
		w := ask(t, a, "GET "+path, "", as("exporter"))
		if err := json.Unmarshal(decode(t, w).Result, &info); err != nil {
			t.Fatal(err)
		}
		if info.State != "done" || info.Progress != 1 || info.Result.Bytes != int64(len(content)) || info.Result.URL != path+"/file" {
			t.Fatalf("%s", w.Body)
		}
		file := ask(t, a, "GET "+info.Result.URL, "", as("exporter"))
		if !bytes.Equal(file.Body.Bytes(), content) || file.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("%d of %d bytes", file.Body.Len(), len(content))
		}
		// Who lacks the kind's permission does not learn that the job exists.
		refused(t, ask(t, a, "GET "+path, "", as("reader")), 404, errs.CodeNotFound, "")
		refused(t, ask(t, a, "GET "+path+"/file", "", as("reader")), 404, errs.CodeNotFound, "")
		refused(t, ask(t, a, "GET "+strings.Replace(path, ours, foreign, 1), "", as("stranger")), 404, errs.CodeNotFound, "")
		refused(t, ask(t, a, "DELETE "+path, "", as("reader")), 404, errs.CodeNotFound, "")
		refused(t, ask(t, a, "GET "+strings.TrimSuffix(path, started.ID)+"nope", "", as("exporter")), 404, errs.CodeNotFound, "")
		// A day later the file is gone, a week later the job.
		age := func(by time.Duration) {
			ctx := t.Context()
			if err := d.Tx(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE job SET ended_at = $1`, time.Now().Add(-by).UnixMicro())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := j.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		age(25 * time.Hour)
		refused(t, ask(t, a, "GET "+path+"/file", "", as("exporter")), 404, errs.CodeNotFound, "")
		if parts := count(t, d, `SELECT COUNT(*) FROM job_part`); parts != 0 {
			t.Fatalf("%d parts left", parts)
		}
		age(8 * 24 * time.Hour)
		refused(t, ask(t, a, "GET "+path, "", as("exporter")), 404, errs.CodeNotFound, "")
	})
}

func count(t *testing.T, d *db.DB, query string, args ...any) (n int) {
	t.Helper()
	err := d.View(t.Context(), func(tx *db.Tx) error { return tx.QueryRow(t.Context(), query, args...).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAJobOfAKilledProcessIsTakenOverAndItsLeftoversChangeNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		entered := make(chan *web.Job, 3)
		release := make(chan struct{})
		j := newJobs(d, func(ctx context.Context, job *web.Job) (any, error) {
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
		running(t, j)
		started, err := j.Start(t.Context(), ours, "audit.export", nil)
		if err != nil {
			t.Fatal(err)
		}
		<-entered
		// Another process believes the first one dead and has taken the job, and
		// was killed itself.
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
		if info := await(t, j, started.ID, web.JobDone); string(info.Result) != `"new"` || info.File.Bytes != 3 {
			t.Fatalf("%+v", info)
		}
	})
}

func TestAJobThatKillsItsProcessAgainAndAgainFails(t *testing.T) {
	d := openDB(t)
	j := newJobs(d, func(context.Context, *web.Job) (any, error) { return nil, errors.New("must not run") })
	started, err := j.Start(t.Context(), ours, "audit.export", nil)
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
	running(t, j)
	if info := await(t, j, started.ID, web.JobFailed); !strings.Contains(info.Error.Message, "3 times") {
		t.Fatalf("%+v", info.Error)
	}
}

func TestFailuresAreDescribedAndPanicsAndCausesAreNot(t *testing.T) {
	outcomes := map[string]error{
		"described": errs.At(errs.CodeTooLarge, "/x", "too much"),
		"other":     errors.New("hunter2"),
	}
	j := newJobs(openDB(t), func(_ context.Context, job *web.Job) (any, error) {
		var name string
		if err := json.Unmarshal(job.Input, &name); err != nil {
			return nil, err
		}
		if name == "panic" {
			panic("hunter2")
		}
		return nil, outcomes[name]
	})
	running(t, j)
	for name, code := range map[string]errs.Code{"described": errs.CodeTooLarge, "other": errs.CodeInternal, "panic": errs.CodeInternal} {
		started, err := j.Start(t.Context(), ours, "audit.export", name)
		if err != nil {
			t.Fatal(err)
		}
		info := await(t, j, started.ID, web.JobFailed)
		if info.Error.Code != code || strings.Contains(info.Error.Message, "hunter2") {
			t.Errorf("%s: %+v", name, info.Error)
		}
	}
}

func TestACancelledJobStopsAndStaysCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		entered, ended := make(chan struct{}), make(chan error)
		j := newJobs(d, func(ctx context.Context, _ *web.Job) (any, error) {
			close(entered)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return "late", nil
		})
		running(t, j)
		started, err := j.Start(t.Context(), ours, "audit.export", nil)
		if err != nil {
			t.Fatal(err)
		}
		<-entered
		if _, err := j.Cancel(t.Context(), foreign, started.ID); !errs.Is(err, errs.CodeNotFound) {
			t.Fatalf("another account: %v", err)
		}
		info, err := j.Cancel(t.Context(), ours, started.ID)
		if err != nil || info.State != web.JobCancelled {
			t.Fatalf("%+v %v", info, err)
		}
		if cause := <-ended; !strings.Contains(cause.Error(), "cancelled") {
			t.Fatal(cause)
		}
		if info, err = j.Cancel(t.Context(), ours, started.ID); err != nil || info.State != web.JobCancelled || info.EndedAt.IsZero() {
			t.Fatalf("a second cancel: %+v %v", info, err)
		}
	})
}

func TestADrainGivesJobsBackWithoutCountingTheAttempt(t *testing.T) {
	d := openDB(t)
	entered := make(chan struct{}, 1)
	block := func(ctx context.Context, _ *web.Job) (any, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	j := newJobs(d, block)
	stop := running(t, j)
	started, err := j.Start(t.Context(), ours, "audit.export", nil)
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	stop()
	if info := await(t, j, started.ID, web.JobQueued); info.Error != nil {
		t.Fatalf("%+v", info)
	}
	if n := count(t, d, `SELECT attempts FROM job`); n != 0 {
		t.Fatalf("%d attempts", n)
	}
	next := newJobs(d, func(_ context.Context, job *web.Job) (any, error) { return job.Attempt, nil })
	running(t, next)
	if info := await(t, next, started.ID, web.JobDone); string(info.Result) != "1" {
		t.Fatalf("%+v", info)
	}
}

func TestAnAccountHasOnlySoManyOpenJobs(t *testing.T) {
	j := newJobs(openDB(t), func(context.Context, *web.Job) (any, error) { return nil, nil })
	for i := range 4 {
		_, err := j.Start(t.Context(), ours, "audit.export", nil)
		if (i < 3) != (err == nil) || i >= 3 && !errs.Is(err, errs.CodeLimit) {
			t.Fatalf("job %d: %v", i, err)
		}
	}
	if _, err := j.Start(t.Context(), foreign, "audit.export", nil); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatIsTooLargeFailsItsJob(t *testing.T) {
	j := newJobs(openDB(t), func(ctx context.Context, job *web.Job) (any, error) {
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
	running(t, j)
	started, err := j.Start(t.Context(), ours, "audit.export", nil)
	if err != nil {
		t.Fatal(err)
	}
	if info := await(t, j, started.ID, web.JobFailed); info.Error.Code != errs.CodeTooLarge || info.File != nil {
		t.Fatalf("%+v", info)
	}
}
