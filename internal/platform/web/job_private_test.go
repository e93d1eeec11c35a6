package web_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func TestDroppedFilesAreGoneAndRunningJobsWriteThemAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		begun, release := make(chan int, 4), make(chan struct{})
		j := leasing(d, 300*time.Millisecond, func(ctx context.Context, job *web.Job) (any, error) {
			f, err := job.File(ctx, "log", "text/plain")
			if err != nil {
				return nil, err
			}
			if string(job.Input) == `"slow"` {
				if _, err := io.Copy(f, bytes.NewReader(make([]byte, 2<<20))); err != nil {
					return nil, err
				}
				begun <- job.Attempt
				select {
				case <-release:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				return nil, nil
			}
			_, err = f.Write([]byte("who was erased"))
			return nil, err
		})
		j.Register(web.JobKind{Name: "audit.erase", Permission: "audit:erase", Private: true, Run: func(context.Context, *web.Job) (any, error) { return nil, nil }})
		running(t, j)
		start := func(kind, input string) web.JobInfo {
			t.Helper()
			info, err := j.Start(t.Context(), ours, kind, input)
			if err != nil {
				t.Fatal(err)
			}
			return info
		}
		done := start("audit.export", "quick")
		await(t, j, done.ID, web.JobDone)
		slow := start("audit.export", "slow")
		<-begun
		if err := j.DropFiles(t.Context(), ours, "audit.export"); err != nil {
			t.Fatal(err)
		}
		if info := await(t, j, done.ID, web.JobDone); info.File != nil || count(t, d, `SELECT COUNT(*) FROM job_part WHERE job = $1`, done.ID) != 0 {
			t.Errorf("the file of a job that has ended: %+v", info)
		}
		if attempt := <-begun; attempt != 1 {
			t.Errorf("the job was begun again as attempt %d: it is not its own fault", attempt)
		}
		close(release)
		if info := await(t, j, slow.ID, web.JobDone); info.File == nil || info.File.Bytes != 2<<20 {
			t.Errorf("the job that was running: %+v", info)
		}

		erase := start("audit.erase", "a person")
		await(t, j, erase.ID, web.JobDone)
		deadline := time.Now().Add(20 * time.Second)
		for count(t, d, `SELECT COUNT(*) FROM job WHERE kind = 'audit.erase' AND input <> $1`, []byte{}) > 0 {
			if time.Now().After(deadline) {
				t.Fatal("the input of a private job is kept")
			}
		}
		if count(t, d, `SELECT COUNT(*) FROM job WHERE kind = 'audit.export' AND input = $1`, []byte{}) > 0 {
			t.Error("the input of another job is gone")
		}
	})
}
