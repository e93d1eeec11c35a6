package web

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// DropFiles deletes what jobs of a kind have written for an account, and begins
// those that are running again: they may have read what must not be kept.
func (j *Jobs) DropFiles(ctx context.Context, accountID, kind string) error {
	err := j.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job SET state = 'queued', owner = '', lease = 0, progress = 0, attempts = attempts - 1
			WHERE account = $1 AND kind = $2 AND state = 'running'`, accountID, kind)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE job SET file_name = '', file_bytes = 0 WHERE account = $1 AND kind = $2 AND ended_at > 0`, accountID, kind)
		return err
	})
	for n := int64(1); n > 0 && err == nil; {
		err = j.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM job_part WHERE (job, owner, n) IN (SELECT p.job, p.owner, p.n FROM job_part p JOIN job j ON j.id = p.job
				WHERE j.account = $1 AND j.kind = $2 AND p.owner <> CASE WHEN j.state = 'running' THEN j.owner ELSE '' END LIMIT 32)`, accountID, kind)
			return err
		})
	}
	if err != nil {
		return err
	}
	j.signal()
	return j.db.Scrub(ctx)
}

// forgetInputs takes the inputs of private jobs that have ended out of the
// database and its files.
func (j *Jobs) forgetInputs(ctx context.Context) error {
	for _, k := range j.kinds {
		if !k.Private {
			continue
		}
		var n int64
		err := j.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, `UPDATE job SET input = $2 WHERE kind = $1 AND ended_at > 0 AND input <> $2`, k.Name, []byte{})
			return err
		})
		if err == nil && n > 0 {
			err = j.db.Scrub(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
