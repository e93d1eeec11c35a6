package web

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

// Job is what a kind's Run works with.
type Job struct {
	ID        string
	AccountID string
	Kind      string
	Input     json.RawMessage
	Attempt   int  // from 1
	Resumed   bool // an earlier attempt had called Begin or made progress

	jobs     *Jobs
	owner    string
	progress atomic.Int64 // millionths; written with the next renewal of the lease
	file     *jobFile
}

// Progress says how much is done, 0 to 1.
func (j *Job) Progress(done float64) {
	if !math.IsNaN(done) {
		j.progress.Store(int64(min(max(done, 0), 1) * 1e6))
	}
}

// Begin stores that the job changes something from here on: a later attempt finds
// Resumed set. An error means that another worker may have the job.
func (j *Job) Begin(ctx context.Context) error {
	j.progress.CompareAndSwap(0, 1)
	own, err := j.jobs.extend(ctx, j, time.Now().Add(j.jobs.cfg.Lease))
	if err == nil && !own {
		err = errLost
	}
	return err
}

// File opens the job's one file; what is written can be downloaded for 24
// hours after the job has ended. Run need not close it.
func (j *Job) File(ctx context.Context, name, contentType string) (io.WriteCloser, error) {
	if j.file != nil {
		return nil, errors.New("web: a job has one file")
	}
	j.file = &jobFile{ctx: ctx, job: j, name: name, mediaType: contentType}
	return j.file, nil
}

// partSize is the size of a part of a file: one row, one transaction.
const partSize = 1 << 20

// jobFile writes the parts of a file. It belongs to the job's goroutine.
type jobFile struct {
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
func (f *jobFile) Write(p []byte) (int, error) {
	if f.closed {
		return 0, errors.New("web: the job's file is closed")
	}
	if f.bytes+int64(len(p)) > f.job.jobs.cfg.MaxFile {
		return 0, errs.New(errs.CodeTooLarge, "the file would be larger than %d bytes; ask for less", f.job.jobs.cfg.MaxFile)
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
func (f *jobFile) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	if f.buf.Len() == 0 {
		return nil
	}
	return f.put(f.buf.Bytes())
}

// put writes a part, as long as the job is this worker's and the account's
// files have room for it.
func (f *jobFile) put(data []byte) error {
	job, quota := f.job, f.job.jobs.cfg.KeptBytes
	err := job.jobs.db.Tx(f.ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(f.ctx, `UPDATE job SET file_bytes = file_bytes + $1 WHERE id = $2 AND owner = $3 AND state = 'running'`,
			len(data), job.ID, job.owner)
		if err != nil {
			return err
		}
		if n == 0 {
			return errLost
		}
		var kept int64
		err = tx.QueryRow(f.ctx, `SELECT CAST(COALESCE(SUM(file_bytes), 0) AS BIGINT) FROM job WHERE account = $1 AND (ended_at = 0 OR ended_at >= $2)`,
			job.AccountID, time.Now().Add(-filesKept).UnixMicro()).Scan(&kept)
		if err != nil {
			return err
		}
		if kept > quota {
			return errs.New(errs.CodeLimit, "the files of the account's jobs would be larger than %d bytes together; delete jobs whose files are not needed any more", quota)
		}
		_, err = tx.Exec(f.ctx, `INSERT INTO job_part (job, owner, n, data) VALUES ($1, $2, $3, $4)`, job.ID, job.owner, f.parts, data)
		return err
	})
	f.parts++
	return err
}

// copyFile sends a job's file to w, one part at a time.
func (j *Jobs) copyFile(ctx context.Context, r jobRow, w io.Writer) error {
	for sent, n := int64(0), int64(0); sent < r.FileBytes; n++ {
		var part []byte
		err := j.db.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT data FROM job_part WHERE job = $1 AND owner = $2 AND n = $3`, r.ID, r.Owner, n).Scan(&part)
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

// JobInfo is a job as the API shows it.
type JobInfo struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	State     string          `json:"state" enum:"queued,running,done,failed,cancelled"`
	Progress  float64         `json:"progress" doc:"0 to 1."`
	Result    json.RawMessage `json:"result" doc:"What the job gave, once it is done; where it made a file, and gave nothing else, that file."`
	File      *JobFile        `json:"file,omitempty"`
	Error     *JobError       `json:"error,omitempty"`
	CreatedAt Time            `json:"created_at"`
	StartedAt Time            `json:"started_at,omitzero"`
	EndedAt   Time            `json:"ended_at,omitzero"`
}

// JobFile is where a job's file is downloaded, with the same credential.
type JobFile struct {
	URL         string `json:"url"`
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Bytes       int64  `json:"bytes"`
	ExpiresAt   Time   `json:"expires_at"`
}

// JobError is why a job failed.
type JobError struct {
	Code    errs.Code `json:"code"`
	Message string    `json:"message"`
}

func (r jobRow) info() JobInfo {
	i := JobInfo{ID: r.ID, Kind: r.Kind, State: r.State, Progress: float64(r.Progress) / 1e6, Result: r.Result, CreatedAt: TimeOf(r.Created)}
	if r.Started > 0 {
		i.StartedAt = TimeOf(r.Started)
	}
	if r.Ended > 0 {
		i.EndedAt = TimeOf(r.Ended)
	}
	if r.State == JobFailed {
		i.Error = &JobError{errs.Code(r.ErrorCode), r.ErrorMessage}
	}
	if r.downloadable(time.Now()) {
		i.File = &JobFile{
			URL:  Base + "/accounts/" + r.Account + "/jobs/" + r.ID + "/file",
			Name: r.FileName, ContentType: r.FileType, Bytes: r.FileBytes, ExpiresAt: TimeOf(r.Ended + filesKept.Microseconds()),
		}
	}
	return i
}

func (r jobRow) downloadable(now time.Time) bool {
	return r.State == JobDone && r.FileName != "" && now.UnixMicro() < r.Ended+filesKept.Microseconds()
}
