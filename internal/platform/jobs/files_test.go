package jobs_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// exporting is a Queue whose only kind makes a file of the size that its input says.
func exporting(d *db.DB, kept int64) *jobs.Queue {
	q := jobs.New(d, jobs.Config{Lease: time.Minute, Poll: 5 * time.Millisecond, KeptBytes: kept}, quiet)
	q.Register(jobs.Kind{Name: "audit.export", Permission: "audit:export",
		Run: func(ctx context.Context, job *jobs.Job) (any, error) {
			var size int64
			if err := json.Unmarshal(job.Input, &size); err != nil {
				return nil, err
			}
			f, err := job.File(ctx, "log.ndjson", "application/x-ndjson")
			if err != nil {
				return nil, err
			}
			_, err = f.Write(make([]byte, size))
			return nil, err
		}})
	return q
}

func TestAJobThatHasEndedIsDeletedWithItsFile(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		q := exporting(d, 0)
		a := newAPI(t, q)
		running(t, q)
		started, err := q.Start(t.Context(), ours, "audit.export", 40<<20) // more parts than one transaction deletes
		if err != nil {
			t.Fatal(err)
		}
		await(t, q, started.ID, jobs.Done)
		path := "/client/v4/accounts/" + ours + "/jobs/" + started.ID
		if w := ask(t, a, "DELETE "+path, "exporter"); w.Code != 200 || !strings.Contains(w.Body.String(), `"state":"done"`) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, again := range []string{"GET " + path, "GET " + path + "/file", "DELETE " + path} {
			missing(t, a, again, "exporter")
		}
		if n := count(t, d, `SELECT COUNT(*) FROM job_part`); n != 0 {
			t.Fatalf("%d parts are left", n)
		}
	})
}

func TestTheNewestJobReplacesEarlierOnesOfTheSameRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		q := exporting(d, 0)
		by := func(who string) context.Context {
			p := people[who]
			return web.WithPrincipal(t.Context(), &p, web.AccountRef{ID: ours})
		}
		start := func(who, request string) string {
			t.Helper()
			info, err := q.StartLatest(by(who), ours, "audit.export", request, 1000)
			if err != nil {
				t.Fatal(err)
			}
			return info.ID
		}
		first := start("owner", "everything")
		if again := start("owner", "everything"); again != first {
			t.Fatal("a second job was queued beside the open one")
		}
		other, anothers := start("owner", "a part"), start("reader", "everything")
		running(t, q)
		for _, one := range []string{first, other, anothers} {
			await(t, q, one, jobs.Done)
		}
		second := start("owner", "everything")
		if _, err := q.Get(t.Context(), ours, first); !errs.Is(err, errs.CodeNotFound) {
			t.Fatalf("the earlier job: %v", err)
		}
		for _, one := range []string{second, other, anothers} {
			await(t, q, one, jobs.Done)
		}
		if n := count(t, d, `SELECT COUNT(*) FROM job_part`); n != 3 {
			t.Fatalf("%d parts of three files", n)
		}
	})
}

func TestTheFilesOfAnAccountAreBoundedTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		q := exporting(d, 5<<20)
		running(t, q)
		export := func(account, state string) string {
			t.Helper()
			info, err := q.Start(t.Context(), account, "audit.export", 3<<20)
			if err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(20 * time.Second); info.State != state; time.Sleep(2 * time.Millisecond) {
				if info, err = q.Get(t.Context(), account, info.ID); err != nil || time.Now().After(deadline) {
					t.Fatalf("want %s: %+v %v", state, info, err)
				}
			}
			if state == jobs.Failed && info.Error.Code != errs.CodeLimit {
				t.Fatalf("%+v", info.Error)
			}
			return info.ID
		}
		first := export(ours, jobs.Done)
		export(ours, jobs.Failed)
		export(foreign, jobs.Done)
		export(ours, jobs.Failed) // what a failed job wrote does not count, and helps nobody
		if _, err := q.Delete(t.Context(), ours, first); err != nil {
			t.Fatal(err)
		}
		second := export(ours, jobs.Done)
		age := func(query string) {
			t.Helper()
			err := d.Tx(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(t.Context(), query, time.Now().Add(-25*time.Hour).UnixMicro(), second)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		age(`UPDATE job SET ended_at = $1 WHERE id = $2`) // its file is over
		export(ours, jobs.Done)
		if err := q.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(t, d, `SELECT COUNT(*) FROM job_part`); n != 6 {
			t.Fatalf("%d parts of two files of three", n)
		}
	})
}

// Databases of versions in which platform/web had the jobs must open.
func TestTheTablesAreOneSequenceOfMigrationsWithThoseOfWeb(t *testing.T) {
	list, err := openDB(t).Migrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, m.Source+"/"+m.Name)
	}
	if want := "web/0001_idempotency web/0002_job web/0003_job_request"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %s", got, want)
	}
}
