package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// sign signs the present logs of some accounts, given in ascending order, with
// one write to the signed log and one transaction. failed holds the accounts whose
// logs do not reproduce what was signed.
func (s *Signer) sign(
	ctx context.Context,
	accounts []string,
) (notes map[string]cachedCheckpoint, failed map[string]error, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		notes = map[string]cachedCheckpoint{}
		failed = map[string]error{}
		var fresh []Signed
		keys := map[string]int64{}
		// In this order: of two processes the second waits for the first one's
		// accounts, then sees its statements, then reads heads that are no older.
		if err := lockAccounts(ctx, tx, accounts); err != nil {
			return err
		}
		if err := s.signedLog.Refresh(ctx); err != nil {
			return err
		}
		for _, account := range accounts {
			if why := s.damage(account); why != "" {
				failed[account] = errors.New(why)
				continue
			}
			key, h, err := openLog(ctx, tx, account)
			if err != nil {
				return err
			}
			last, text, err := s.lastSigned(ctx, tx, key, account)
			if err != nil && !errs.Is(err, errs.CodeSigningStopped) {
				return err
			}
			next := Signed{account, h.frontier.Size(), h.frontier.Root()}
			if err == nil {
				err = reproduce(ctx, tx, key, last, next)
			}
			if err != nil {
				if db.Broken(err) {
					return err
				}
				failed[account] = err
				continue
			}
			keys[account] = key
			if text != "" && last.Size == next.Size {
				notes[account] = cachedCheckpoint{s.now(), []byte(text), next.Size}
				continue
			}
			fresh = append(fresh, next)
		}
		if len(fresh) == 0 {
			return nil
		}
		// The one place that writes elsewhere inside a transaction: a statement
		// must outlive whatever becomes of this database before anybody sees it.
		if err := s.signedLog.Record(ctx, fresh); err != nil {
			return err
		}
		var rows [][]any
		for _, next := range fresh {
			text, err := merkle.SignCheckpoint(merkle.Checkpoint{
				Origin: s.Origin(next.Account),
				Size:   next.Size,
				Root:   next.Root,
			}, s.signer)
			if err != nil {
				return err
			}
			notes[next.Account] = cachedCheckpoint{s.now(), text, next.Size}
			if keys[next.Account] != 0 { // an account without events has no row: its checkpoint of size 0 is made again
				rows = append(rows, next.row(keys[next.Account], s.now(), text))
			}
		}
		return tx.Insert(ctx, "signed", signedColumns,
			`ON CONFLICT (account) DO UPDATE SET size = excluded.size, root = excluded.root, at = excluded.at,
				note = excluded.note`, rows)
	})
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, c := range notes {
		s.recent[a] = c
		delete(s.stopped, a)
	}
	for a, why := range failed {
		s.stopped[a] = why.Error()
	}
	return notes, failed, nil
}

var signedColumns = []string{"account", "size", "root", "at", "note"}

// row is the row of signedColumns.
func (s Signed) row(account int64, at time.Time, checkpoint []byte) []any {
	return []any{
		account,
		int64(s.Size),
		s.Root[:],
		at.UnixMicro(),
		string(checkpoint),
	}
}

// lastSigned returns the larger of the statements in the database and in the signed
// log, with its note when the database has it.
func (s *Signer) lastSigned(ctx context.Context, tx *db.Tx, key int64, account string) (Signed, string, error) {
	last := Signed{Account: account, Root: merkle.EmptyRoot()}
	var root []byte
	var text string
	err := tx.QueryRow(ctx, `SELECT size, root, note FROM signed WHERE account = $1`, key).Scan(&last.Size, &root, &text)
	if err == nil {
		copy(last.Root[:], root)
	} else if !errors.Is(err, sql.ErrNoRows) {
		return last, "", err
	}
	outside, ok, err := s.signedLog.Last(ctx, account)
	if err != nil {
		return last, "", err
	}
	if ok && outside.Size == last.Size && text != "" && outside.Root != last.Root {
		return last, "", errs.New(errs.CodeSigningStopped,
			"the database and the signed log name different roots for size %d", last.Size)
	}
	if ok && (outside.Size > last.Size || text == "") {
		return outside, "", nil
	}
	return last, text, nil
}

// lockAccounts holds the accounts' rows on PostgreSQL until the transaction
// ends; they are in ascending order, so that two processes cannot wait for each
// other. Appends do not take this lock. SQLite has one writer anyway.
func lockAccounts(ctx context.Context, tx *db.Tx, accounts []string) error {
	if tx.Engine != db.Postgres {
		return nil
	}
	for _, account := range accounts {
		if _, err := tx.Exec(ctx, `SELECT key FROM account WHERE id = $1 FOR UPDATE`, account); err != nil {
			return err
		}
	}
	return nil
}

// reproduce checks that the log as it is now begins with what was signed, and
// that the head's root is that of the leaves and tiles.
func reproduce(ctx context.Context, tx *db.Tx, key int64, last, next Signed) error {
	if err := shrunk(last.Size, next.Size); err != nil {
		return err
	}
	for _, s := range []Signed{last, next} {
		tr, err := merkle.NewTileReader(s.Size, tileFetch(ctx, tx, key))
		if err != nil {
			return err
		}
		root, err := merkle.TreeHash(s.Size, tr.Hash)
		if err != nil {
			return err
		}
		if root != s.Root {
			return fmt.Errorf("the leaves give another root for size %d than was signed or is at the log's head: the "+
				"record was changed", s.Size)
		}
	}
	return nil
}
