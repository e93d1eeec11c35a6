package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Job is one attempt to run a job, for the function of its kind.
type Job struct {
	ID        string
	AccountID string
	Kind      string
	Input     json.RawMessage
	Attempt   int  // from 1
	Resumed   bool // an earlier attempt had called Begin or made progress

	queue    *Queue
	owner    string       // holder of the lease
	progress atomic.Int64 // millionths; stored with the next renewal of the lease
	file     *fileWriter
}

// lease is the right of this attempt to the job's row.
func (j *Job) lease() db.Lease { return jobLeases.Of(j.owner, j.ID) }

// Progress reports how much is done, from 0 to 1.
func (j *Job) Progress(done float64) {
	if !math.IsNaN(done) {
		j.progress.Store(int64(min(max(done, 0), 1) * 1e6))
	}
}

// Begin stores that the job changes something from here on: a later attempt finds
// Resumed set. [db.ErrLeaseLost]: another worker may have the job.
func (j *Job) Begin(ctx context.Context) error {
	j.progress.CompareAndSwap(0, 1)
	return j.queue.db.Tx(ctx, func(tx *db.Tx) error {
		if err := j.lease().Fence(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE job SET progress = $1 WHERE id = $2`, j.progress.Load(), j.ID)
		return err
	})
}

// File opens the job's only file. It can be downloaded for 24 hours after the job
// has ended. Run need not close it.
func (j *Job) File(ctx context.Context, name, contentType string) (io.WriteCloser, error) {
	if j.file != nil {
		return nil, errors.New("jobs: a job has one file")
	}
	j.file = &fileWriter{ctx: ctx, job: j, name: name, mediaType: contentType}
	return j.file, nil
}

// partSize is the size of a part of a file: one row, one transaction.
const partSize = 1 << 20

// fileWriter writes the parts of a file. It belongs to the job's goroutine.
type fileWriter struct {
	ctx       context.Context // of the job: writing ends with it
	job       *Job
	name      string
	mediaType string
	buf       bytes.Buffer
	parts     int64
	bytes     int64
	closed    bool
}

// Write adds to the file; full parts go to the database.
func (f *fileWriter) Write(p []byte) (int, error) {
	if f.closed {
		return 0, errors.New("jobs: the job's file is closed")
	}
	if f.bytes+int64(len(p)) > f.job.queue.cfg.MaxFile {
		return 0, errs.New(errs.CodeTooLarge, "the file would be larger than %d bytes; ask for less", f.job.queue.cfg.MaxFile)
	}
	f.bytes += int64(len(p))
	f.buf.Write(p)
	for f.buf.Len() >= partSize {
		if err := f.put(f.buf.Next(partSize)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Close writes the last part.
func (f *fileWriter) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	if f.buf.Len() == 0 {
		return nil
	}
	return f.put(f.buf.Bytes())
}

// put stores a part while the lease holds and the account's files stay within
// their limit.
func (f *fileWriter) put(data []byte) error {
	job := f.job
	n := f.parts
	f.parts++
	return job.queue.db.Tx(f.ctx, func(tx *db.Tx) error {
		if err := job.lease().Fence(f.ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(f.ctx, `UPDATE job SET file_bytes = file_bytes + $1 WHERE id = $2`, len(data), job.ID)
		if err != nil {
			return err
		}

		var kept int64
		err = tx.QueryRow(f.ctx, `SELECT CAST(COALESCE(SUM(file_bytes), 0) AS BIGINT) FROM job
			WHERE account = $1 AND (ended_at = 0 OR ended_at >= $2)`,
			job.AccountID, time.Now().Add(-filesKept).UnixMicro()).Scan(&kept)
		if err != nil {
			return err
		}
		if limit := job.queue.cfg.KeptBytes; kept > limit {
			return errs.New(errs.CodeLimit,
				"the files of the account's jobs would exceed %d bytes; delete jobs whose files are no longer needed", limit)
		}

		_, err = tx.Exec(f.ctx, `INSERT INTO job_part (job, owner, n, data) VALUES ($1, $2, $3, $4)`,
			job.ID, job.owner, n, data)
		return err
	})
}

// copyFile writes a job's file to w, one part at a time.
func (q *Queue) copyFile(ctx context.Context, r jobRow, w io.Writer) error {
	var sent int64
	for n := 0; sent < r.FileBytes; n++ {
		var part []byte
		err := q.db.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT data FROM job_part WHERE job = $1 AND owner = $2 AND n = $3`,
				r.ID, r.Owner, n).Scan(&part)
		})
		if err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		sent += int64(len(part))
	}
	return nil
}
