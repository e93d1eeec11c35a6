package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// jobRow is a row of the table job. Times are microseconds; 0 = not yet.
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

const jobColumns = `id, account, kind, state, input, result, progress, error_code, error_message, attempts, owner,
	file_name, file_type, file_bytes, created_at, started_at, ended_at`

func (r *jobRow) scan(row db.Row) error {
	return row.Scan(
		&r.ID,
		&r.Account,
		&r.Kind,
		&r.State,
		&r.Input,
		&r.Result,
		&r.Progress,
		&r.ErrorCode,
		&r.ErrorMessage,
		&r.Attempts,
		&r.Owner,
		&r.FileName,
		&r.FileType,
		&r.FileBytes,
		&r.Created,
		&r.Started,
		&r.Ended,
	)
}

// insert queues a job, up to the account's limit of open ones. If an open job has
// the same request, nothing is inserted and open is that one; earlier are the
// ended jobs that the new one replaces.
func (q *Queue) insert(ctx context.Context, r jobRow, by, request string) (open jobRow, earlier []string, err error) {
	err = q.db.Tx(ctx, func(tx *db.Tx) error {
		open = jobRow{}
		earlier = nil
		if request != "" {
			err := open.scan(tx.QueryRow(ctx, `SELECT `+jobColumns+` FROM job
				WHERE account = $1 AND kind = $2 AND principal = $3 AND request = $4 AND state IN ('queued', 'running')
				LIMIT 1`, r.Account, r.Kind, by, request))
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if earlier, err = jobsLike(ctx, tx, r, by, request); err != nil {
				return err
			}
		}

		var n int
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM job WHERE account = $1 AND state IN ('queued', 'running')`,
			r.Account).Scan(&n)
		if err != nil {
			return err
		}
		if n >= q.cfg.PerAccount {
			return errs.New(errs.CodeLimit, "the account has %d jobs that have not ended, which is the limit", n)
		}
		_, err = tx.Exec(ctx, `INSERT INTO job (id, account, kind, principal, request, input, state, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			r.ID, r.Account, r.Kind, by, request, r.Input, r.State, r.Created)
		return err
	})
	return open, earlier, err
}

// Ended lists the newest jobs of a kind that a principal (its [web.Principal.Key]) started in an account and that are
// done or failed since a time.
func (q *Queue) Ended(ctx context.Context, accountID, kind, by string, since time.Time, limit int) ([]Info, error) {
	var list []Info
	err := q.db.View(ctx, func(tx *db.Tx) error {
		scan := func(row db.Row) (r jobRow, err error) {
			err = r.scan(row)
			return r, err
		}
		rows, err := db.Collect(ctx, tx, scan,
			`SELECT `+jobColumns+` FROM job WHERE account = $1 AND kind = $2 AND principal = $3 AND ended_at > $4
			AND state IN ('done', 'failed') ORDER BY ended_at DESC LIMIT $5`,
			accountID, kind, by, since.UnixMicro(), limit)
		for _, r := range rows {
			list = append(list, r.info())
		}
		return err
	})
	return list, err
}

// List returns the jobs of an account of some kinds, the newest first, after a position.
func (q *Queue) List(
	ctx context.Context, accountID string, kinds []string, after web.Keyset, limit int,
) ([]Info, error) {
	list := []Info{}
	if len(kinds) == 0 {
		return list, nil
	}
	if after == (web.Keyset{}) {
		after.At = math.MaxInt64
	}
	args := []any{
		accountID,
		after.At,
		after.ID,
		limit,
	}
	marks := make([]string, len(kinds))
	for i, kind := range kinds {
		args = append(args, kind)
		marks[i] = "$" + strconv.Itoa(len(args))
	}
	scan := func(row db.Row) (r jobRow, err error) {
		err = r.scan(row)
		return r, err
	}
	err := q.db.View(ctx, func(tx *db.Tx) error {
		rows, err := db.Collect(ctx, tx, scan, `SELECT `+jobColumns+` FROM job
			WHERE account = $1 AND (created_at < $2 OR created_at = $2 AND id < $3) AND kind IN (`+strings.Join(marks, ", ")+`)
			ORDER BY created_at DESC, id DESC LIMIT $4`, args...)
		for _, r := range rows {
			list = append(list, r.info())
		}
		return err
	})
	return list, err
}

// maxReplaced limits the jobs that one new job replaces. There is one, unless a
// process was killed between the insertion and the deletion.
const maxReplaced = 10

// jobsLike returns the ended jobs of the same principal and request.
func jobsLike(ctx context.Context, tx *db.Tx, r jobRow, by, request string) ([]string, error) {
	return db.Collect(ctx, tx, db.ScanText, `SELECT id FROM job
		WHERE account = $1 AND kind = $2 AND principal = $3 AND request = $4 AND ended_at > 0 LIMIT $5`,
		r.Account, r.Kind, by, request, maxReplaced)
}

// partsAtOnce is the number of parts of files that one transaction deletes; the
// texts of the queries repeat it.
const partsAtOnce = 32

// remove deletes a job that has ended: first its row, so that no client reads half
// of a file, then the file.
func (q *Queue) remove(ctx context.Context, accountID, jobID string) error {
	err := q.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM job WHERE account = $1 AND id = $2 AND ended_at > 0`, accountID, jobID)
		return err
	})
	if err != nil {
		return err
	}
	return q.repeat(ctx, partsAtOnce, `DELETE FROM job_part WHERE (job, owner, n) IN (
		SELECT job, owner, n FROM job_part WHERE job = $1 AND NOT EXISTS (SELECT 1 FROM job WHERE id = $1)
		LIMIT 32)`, jobID)
}

// repeat runs a deletion of at most batch rows, each in a transaction of its own,
// until it deletes fewer.
func (q *Queue) repeat(ctx context.Context, batch int64, query string, args ...any) error {
	for n := batch; n == batch; {
		err := q.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, query, args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) load(ctx context.Context, accountID, jobID string) (r jobRow, err error) {
	err = q.db.View(ctx, func(tx *db.Tx) error {
		return r.scan(tx.QueryRow(ctx, `SELECT `+jobColumns+` FROM job WHERE account = $1 AND id = $2`,
			accountID, jobID))
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = noJob()
	}
	return r, err
}

// jobLeases are the rights of workers to run jobs. The lease of a queued job is
// the time before which it must not begin.
var jobLeases = db.NewLeases(db.LeaseTable{
	Name:     "job",
	Key:      []string{"id"},
	Holder:   "owner",
	Until:    "lease",
	Existing: true,
	Where:    "state IN ('queued', 'running')",
})

// claim takes the oldest job of the account that has the fewest running ones. A
// job that has reached the limit of attempts fails instead.
func (q *Queue) claim(ctx context.Context) (r jobRow, ok bool, err error) {
	if len(q.kinds) == 0 {
		return r, false, nil
	}
	now := time.Now()
	args := []any{now.UnixMicro()}
	var marks []string // the kinds are fixed, so the text is always the same
	for name := range q.kinds {
		args = append(args, name)
		marks = append(marks, "$"+strconv.Itoa(len(args)))
	}
	err = q.db.View(ctx, func(tx *db.Tx) error {
		return r.scan(tx.QueryRow(ctx, `SELECT `+jobColumns+` FROM job
			WHERE state IN ('queued', 'running') AND lease < $1 AND kind IN (`+strings.Join(marks, ", ")+`)
			ORDER BY (SELECT COUNT(*) FROM job other WHERE other.account = job.account AND other.state = 'running'),
				created_at, id
			LIMIT 1`, args...))
	})
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}

	r.Owner = id.New()
	err = q.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		ok, err = jobLeases.Of(r.Owner, r.ID).Claim(ctx, tx, q.cfg.Lease)
		if err != nil || !ok { // another worker was faster
			return err
		}
		err = tx.QueryRow(ctx, `UPDATE job SET state = 'running', attempts = attempts + 1, started_at = $1, file_bytes = 0
			WHERE id = $2 RETURNING attempts`, now.UnixMicro(), r.ID).Scan(&r.Attempts)
		if err != nil || r.Attempts <= int64(q.cfg.Attempts) {
			return err
		}
		ok = false
		_, err = tx.Exec(ctx, `UPDATE job SET state = 'failed', error_code = $1, error_message = $2, ended_at = $3,
			attempts = attempts - 1, owner = '' WHERE id = $4`,
			errs.CodeInternal, fmt.Sprintf("the job was started %d times and never ended", r.Attempts-1), now.UnixMicro(), r.ID)
		return err
	})
	return r, ok && err == nil, err
}

// keep renews the job's lease and stores its progress until ctx ends. It returns
// [db.ErrLeaseLost] when another worker may have started the job.
func (q *Queue) keep(ctx context.Context, job *Job) error {
	return job.lease().Keep(ctx, q.db, q.cfg.Lease, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job SET progress = $1 WHERE id = $2`, job.progress.Load(), job.ID)
		return err
	})
}

// requeue returns the job to the queue, to begin after a pause. refund is the
// number of attempts that do not count (the drain of a process is no failure).
func (q *Queue) requeue(ctx context.Context, job *Job, pause time.Duration, refund int) error {
	return q.db.Tx(ctx, func(tx *db.Tx) error {
		if err := job.lease().Fence(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE job SET state = 'queued', attempts = attempts - $1 WHERE id = $2`, refund, job.ID)
		if err != nil {
			return err
		}
		return job.lease().Release(ctx, tx, pause)
	})
}

// end stores the outcome.
func (q *Queue) end(ctx context.Context, job *Job, result any, fault error) error {
	data, err := json.Marshal(result)
	if fault == nil && err != nil {
		fault = fmt.Errorf("result: %w", err)
	}
	row := jobRow{State: Done, Result: data, Owner: job.owner}
	if fault != nil {
		e := errs.All(fault)[0]
		row = jobRow{State: Failed, ErrorCode: int64(e.Code), ErrorMessage: e.Message}
		if e.Kind() == errs.Internal {
			row.ErrorMessage = "an internal error; it was logged with this job's id"
		}
		q.log.Warn("job failed", "job", job.ID, "kind", job.Kind, "account", job.AccountID, "error", fault)
	} else if job.file != nil {
		row.FileName = job.file.name
		row.FileType = job.file.mediaType
		row.FileBytes = job.file.bytes
	}

	return q.db.Tx(ctx, func(tx *db.Tx) error {
		if err := job.lease().Fence(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE job SET
				state = $1, result = $2, error_code = $3, error_message = $4, ended_at = $5,
				progress = CASE WHEN $1 = 'done' THEN 1000000 ELSE progress END,
				file_name = $6, file_type = $7, file_bytes = $8, owner = $9
			WHERE id = $10`,
			row.State,
			row.Result,
			row.ErrorCode,
			row.ErrorMessage,
			time.Now().UnixMicro(),
			row.FileName,
			row.FileType,
			row.FileBytes,
			row.Owner, // names the parts of the file
			job.ID,
		)
		return err
	})
}

func (q *Queue) cancel(ctx context.Context, accountID, jobID string) (n int64, err error) {
	err = q.db.Tx(ctx, func(tx *db.Tx) (err error) {
		n, err = tx.Exec(ctx, `UPDATE job SET state = 'cancelled', owner = '', file_bytes = 0, ended_at = $1
			WHERE account = $2 AND id = $3 AND state IN ('queued', 'running')`,
			time.Now().UnixMicro(), accountID, jobID)
		return err
	})
	return n, err
}

// Sweep deletes files a day after their job has ended, files without a job, and
// jobs after a week, in small transactions.
func (q *Queue) Sweep(ctx context.Context) error {
	now := time.Now()
	err := q.repeat(ctx, partsAtOnce, `DELETE FROM job_part WHERE (job, owner, n) IN (
		SELECT p.job, p.owner, p.n FROM job_part p LEFT JOIN job j ON j.id = p.job
		WHERE j.id IS NULL OR j.ended_at > 0 AND (j.ended_at < $1 OR p.owner <> j.owner)
		LIMIT 32)`, now.Add(-filesKept).UnixMicro())
	if err != nil {
		return err
	}
	return q.repeat(ctx, 500, `DELETE FROM job WHERE id IN (
		SELECT id FROM job WHERE ended_at > 0 AND ended_at < $1
		LIMIT 500)`, now.Add(-jobsKept).UnixMicro())
}
