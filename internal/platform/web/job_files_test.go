package web_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// exporting is Jobs whose one kind makes a file of the size that its input says.
func exporting(d *db.DB, kept int64) *web.Jobs {
	j := web.NewJobs(d, web.JobsConfig{Lease: time.Minute, Poll: 5 * time.Millisecond, KeptBytes: kept}, quiet)
	j.Register(web.JobKind{Name: "audit.export", Permission: "audit:export", Run: func(ctx context.Context, job *web.Job) (any, error) {
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
	return j
}

func TestAJobThatHasEndedIsDeletedWithItsFile(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		j := exporting(d, 0)
		a := newAPI(t)
		people["exporter"] = web.Principal{Kind: web.KindToken, ID: "exporter", AccountID: ours, Permissions: web.Permissions{"audit:export"}}
		j.API(a.API)
		running(t, j)
		started, err := j.Start(t.Context(), ours, "audit.export", 40<<20) // more parts than one transaction deletes
		if err != nil {
			t.Fatal(err)
		}
		await(t, j, started.ID, web.JobDone)
		path := "/client/v4/accounts/" + ours + "/jobs/" + started.ID
		if w := ask(t, a, "DELETE "+path, "", as("exporter")); w.Code != 200 || !strings.Contains(w.Body.String(), `"state":"done"`) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, again := range []string{"GET " + path, "GET " + path + "/file", "DELETE " + path} {
			refused(t, ask(t, a, again, "", as("exporter")), 404, errs.CodeNotFound, "")
		}
		if n := count(t, d, `SELECT COUNT(*) FROM job_part`); n != 0 {
			t.Fatalf("%d parts are left", n)
		}
	})
}

func TestTheNewestJobReplacesEarlierOnesOfTheSameRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		j := exporting(d, 0)
		by := func(who string) context.Context {
			p := people[who]
			return web.WithPrincipal(t.Context(), &p, web.AccountRef{ID: ours})
		}
		start := func(who, request string) string {
			t.Helper()
			info, err := j.StartLatest(by(who), ours, "audit.export", request, 1000)
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
		running(t, j)
		for _, one := range []string{first, other, anothers} {
			await(t, j, one, web.JobDone)
		}
		second := start("owner", "everything")
		if _, err := j.Get(t.Context(), ours, first); !errs.Is(err, errs.CodeNotFound) {
			t.Fatalf("the earlier job: %v", err)
		}
		for _, one := range []string{second, other, anothers} {
			await(t, j, one, web.JobDone)
		}
		if n := count(t, d, `SELECT COUNT(*) FROM job_part`); n != 3 {
			t.Fatalf("%d parts of three files", n)
		}
	})
}

func TestTheFilesOfAnAccountAreBoundedTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		j := exporting(d, 5<<20)
		running(t, j)
		export := func(account, state string) string {
			t.Helper()
			info, err := j.Start(t.Context(), account, "audit.export", 3<<20)
			if err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(20 * time.Second); info.State != state; time.Sleep(2 * time.Millisecond) {
				if info, err = j.Get(t.Context(), account, info.ID); err != nil || time.Now().After(deadline) {
					t.Fatalf("want %s: %+v %v", state, info, err)
				}
			}
			if state == web.JobFailed && info.Error.Code != errs.CodeLimit {
				t.Fatalf("%+v", info.Error)
			}
			return info.ID
		}
		first := export(ours, web.JobDone)
		export(ours, web.JobFailed)
		export(foreign, web.JobDone)
		export(ours, web.JobFailed) // what a failed job wrote does not count, and helps nobody
		if _, err := j.Delete(t.Context(), ours, first); err != nil {
			t.Fatal(err)
		}
		second := export(ours, web.JobDone)
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
		export(ours, web.JobDone)
		if err := j.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(t, d, `SELECT COUNT(*) FROM job_part`); n != 6 {
			t.Fatalf("%d parts of two files of three", n)
		}
	})
}
