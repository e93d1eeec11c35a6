package jobs_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
)

func TestDroppedFilesAreGoneAndRunningJobsWriteThemAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		begun, release := make(chan int, 4), make(chan struct{})
		q := leasing(d, 300*time.Millisecond, func(ctx context.Context, job *jobs.Job) (any, error) {
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
		q.Register(jobs.Kind{
			Name:       "audit.erase",
			Permission: "audit:erase",
			Private:    true,
			Run:        func(context.Context, *jobs.Job) (any, error) { return nil, nil },
		})
		running(t, q)
		start := func(kind, input string) jobs.Info {
			t.Helper()
			info, err := q.Start(t.Context(), ours, kind, input)
			if err != nil {
				t.Fatal(err)
			}
			return info
		}
		done := start("audit.export", "quick")
		await(t, q, done.ID, jobs.Done)
		slow := start("audit.export", "slow")
		<-begun
		if err := q.DropFiles(t.Context(), ours, "audit.export"); err != nil {
			t.Fatal(err)
		}
		if info := await(t, q, done.ID, jobs.Done); info.File != nil ||
			count(t, d, `SELECT COUNT(*) FROM job_part WHERE job = $1`, done.ID) != 0 {
			t.Errorf("the file of a job that has ended: %+v", info)
		}
		if attempt := <-begun; attempt != 1 {
			t.Errorf("the job was begun again as attempt %d: it is not its own fault", attempt)
		}
		close(release)
		if info := await(t, q, slow.ID, jobs.Done); info.File == nil || info.File.Bytes != 2<<20 {
			t.Errorf("the job that was running: %+v", info)
		}

		erase := start("audit.erase", "a person")
		await(t, q, erase.ID, jobs.Done)
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
