package web

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// jobRow is a row of job. Times are microseconds since 1970, 0 = not yet.
type jobRow struct {
	ID, Account, Kind, State string
	Input, Result            []byte
	Progress                 int64 // millionths
	ErrorCode                int64
	ErrorMessage             string
	Attempts                 int64
	Owner                    string
	FileName, FileType       string
	FileBytes                int64
	Created, Started, Ended  int64
}

const jobColumns = `id, account, kind, state, input, result, progress, error_code, error_message, attempts, owner, file_name, file_type, file_bytes, created_at, started_at, ended_at`

func (r *jobRow) scan(row *sql.Row) error {
	return row.Scan(&r.ID, &r.Account, &r.Kind, &r.State, &r.Input, &r.Result, &r.Progress, &r.ErrorCode, &r.ErrorMessage, &r.Attempts,
		&r.Owner, &r.FileName, &r.FileType, &r.FileBytes, &r.Created, &r.Started, &r.Ended)
}

// insert queues a job, unless the account has as many open ones as it may.
func (j *Jobs) insert(ctx context.Context, r jobRow, by string) error {
	return j.db.Tx(ctx, func(tx *db.Tx) error {
		var open int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM job WHERE account = $1 AND state IN ('queued', 'running')`, r.Account).Scan(&open); err != nil {
			return err
		}
		if open >= j.cfg.PerAccount {
			return errs.New(errs.CodeLimit, "the account has %d jobs that have not ended, which is the limit", open)
		}
		_, err := tx.Exec(ctx, `INSERT INTO job (id, account, kind, principal, input, state, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			r.ID, r.Account, r.Kind, by, r.Input, r.State, r.Created)
		return err
	})
}

func (j *Jobs) load(ctx context.Context, accountID, jobID string) (r jobRow, err error) {
	err = j.db.View(ctx, func(tx *db.Tx) error {
		return r.scan(tx.QueryRow(ctx, `SELECT `+jobColumns+` FROM job WHERE account = $1 AND id = $2`, accountID, jobID))
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = errs.New(errs.CodeNotFound, "there is no such job")
	}
	return r, err
}

// claim takes the job that has waited longest in the account that has the
// fewest running ones. A job that was begun too often fails instead.
func (j *Jobs) claim(ctx context.Context) (r jobRow, ok bool, err error) {
	if len(j.kinds) == 0 {
		return r, false, nil
	}
	now := time.Now()
	args := []any{now.UnixMicro()}
	var marks []string // the kinds are fixed, so that the text is always the same
	for name := range j.kinds {
		args = append(args, name)
		marks = append(marks, "$"+strconv.Itoa(len(args)))
	}
	err = j.db.View(ctx, func(tx *db.Tx) error {
		return r.scan(tx.QueryRow(ctx, `SELECT `+jobColumns+` FROM job WHERE state IN ('queued', 'running') AND lease < $1 AND kind IN (`+strings.Join(marks, ", ")+`)
			ORDER BY (SELECT COUNT(*) FROM job other WHERE other.account = job.account AND other.state = 'running'), created_at, id LIMIT 1`, args...))
	})
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	before, owner := r.Owner, id.New()
	err = j.db.Tx(ctx, func(tx *db.Tx) error {
		if r.Attempts >= int64(j.cfg.Attempts) {
			_, err := tx.Exec(ctx, `UPDATE job SET state = 'failed', error_code = $1, error_message = $2, ended_at = $3, owner = '' WHERE id = $4 AND owner = $5 AND state = 'running'`,
				errs.CodeInternal, fmt.Sprintf("the job was begun %d times and never ended", r.Attempts), now.UnixMicro(), r.ID, before)
			return err
		}
		// The condition on owner and lease: another process may have been faster.
		n, err := tx.Exec(ctx, `UPDATE job SET state = 'running', owner = $1, lease = $2, attempts = attempts + 1, started_at = $3
			WHERE id = $4 AND owner = $5 AND state IN ('queued', 'running') AND lease < $3`,
			owner, now.Add(j.cfg.Lease).UnixMicro(), now.UnixMicro(), r.ID, before)
		ok = n == 1
		return err
	})
	r.Owner = owner
	r.Attempts++
	return r, ok && err == nil, err
}

// extend renews the lease; false when the job is not this worker's any more.
func (j *Jobs) extend(ctx context.Context, job *Job, until time.Time) (own bool, err error) {
	err = j.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE job SET lease = $1, progress = $2 WHERE id = $3 AND owner = $4 AND state = 'running'`,
			until.UnixMicro(), job.progress.Load(), job.ID, job.owner)
		own = n == 1
		return err
	})
	return own, err
}

// requeue gives the job back, to be begun after a pause; forgive takes back
// that many attempts (a drain is not the job's fault).
func (j *Jobs) requeue(ctx context.Context, job *Job, pause time.Duration, forgive int) error {
	return j.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job SET state = 'queued', lease = $1, attempts = attempts - $2 WHERE id = $3 AND owner = $4 AND state = 'running'`,
			time.Now().Add(pause).UnixMicro(), forgive, job.ID, job.owner)
		return err
	})
}

// end writes the outcome.
func (j *Jobs) end(ctx context.Context, job *Job, result any, fault error) error {
	state, code, message := JobDone, errs.Code(0), ""
	data, err := json.Marshal(result)
	if fault == nil && err != nil {
		fault = fmt.Errorf("result: %w", err)
	}
	if fault != nil {
		e := errs.All(fault)[0]
		state, code, message, data = JobFailed, e.Code, e.Message, nil
		if e.Kind() == errs.Internal {
			message = "an internal error; it was logged with this job's id"
		}
		j.log.Warn("job failed", "job", job.ID, "kind", job.Kind, "account", job.AccountID, "error", fault)
	}
	var f jobFile
	if job.file != nil && fault == nil {
		f = *job.file
	}
	return j.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job SET state = $1, result = $2, error_code = $3, error_message = $4, ended_at = $5, progress = CASE WHEN $1 = 'done' THEN 1000000 ELSE progress END,
			file_name = $6, file_type = $7, file_bytes = $8 WHERE id = $9 AND owner = $10 AND state = 'running'`,
			state, data, int64(code), message, time.Now().UnixMicro(), f.name, f.mediaType, f.bytes, job.ID, job.owner)
		return err
	})
}

func (j *Jobs) cancel(ctx context.Context, accountID, jobID string) (n int64, err error) {
	err = j.db.Tx(ctx, func(tx *db.Tx) (err error) {
		n, err = tx.Exec(ctx, `UPDATE job SET state = 'cancelled', owner = '', ended_at = $1 WHERE account = $2 AND id = $3 AND state IN ('queued', 'running')`,
			time.Now().UnixMicro(), accountID, jobID)
		return err
	})
	return n, err
}

// Sweep deletes files a day after their job ended, and jobs after a week, in
// small transactions.
func (j *Jobs) Sweep(ctx context.Context) error {
	now := time.Now()
	for _, step := range []struct {
		query  string
		before time.Time
		batch  int64
	}{
		{`DELETE FROM job_part WHERE (job, owner, n) IN (SELECT p.job, p.owner, p.n FROM job_part p JOIN job j ON j.id = p.job
			WHERE j.ended_at > 0 AND (j.ended_at < $1 OR p.owner <> j.owner) LIMIT 32)`, now.Add(-filesKept), 32},
		{`DELETE FROM job WHERE id IN (SELECT id FROM job WHERE ended_at > 0 AND ended_at < $1 LIMIT 500)`, now.Add(-jobsKept), 500},
	} {
		for n := step.batch; n == step.batch; {
			err := j.db.Tx(ctx, func(tx *db.Tx) (err error) {
				n, err = tx.Exec(ctx, step.query, step.before.UnixMicro())
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
