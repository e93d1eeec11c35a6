package jobs

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// DropFiles deletes the files of an account's jobs of one kind, and starts the
// running jobs again: they may have read data that must not be kept.
func (q *Queue) DropFiles(ctx context.Context, accountID, kind string) error {
	err := q.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job
			SET state = 'queued', owner = '', lease = 0, progress = 0, attempts = attempts - 1
			WHERE account = $1 AND kind = $2 AND state = 'running'`, accountID, kind)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE job SET file_name = '', file_bytes = 0
			WHERE account = $1 AND kind = $2 AND ended_at > 0`, accountID, kind)
		return err
	})
	if err != nil {
		return err
	}

	err = q.repeat(ctx, partsAtOnce, `DELETE FROM job_part WHERE (job, owner, n) IN (
			SELECT p.job, p.owner, p.n FROM job_part p JOIN job j ON j.id = p.job
			WHERE j.account = $1 AND j.kind = $2 AND p.owner <> CASE WHEN j.state = 'running' THEN j.owner ELSE '' END
			LIMIT 32)`, accountID, kind)
	if err != nil {
		return err
	}
	q.signal()
	return q.db.Scrub(ctx)
}

// deleteInputs removes the inputs of private jobs that have ended from the
// database and its files.
func (q *Queue) deleteInputs(ctx context.Context) error {
	for _, k := range q.kinds {
		if !k.Private {
			continue
		}
		var n int64
		err := q.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, `UPDATE job SET input = $2 WHERE kind = $1 AND ended_at > 0 AND input <> $2`,
				k.Name, []byte{})
			return err
		})
		if err == nil && n > 0 {
			err = q.db.Scrub(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
