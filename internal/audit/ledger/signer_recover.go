package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Recovery of the signer: the damage that the scrub found, the statements from before
// this process, and the accounts that were not signed yet.

// Damaged takes what the scrub found: nothing more is signed of these accounts.
// whole says that a whole round was made, so that others are well again.
func (s *Signer) Damaged(found map[string]string, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for account, why := range found {
		if s.damaged[account] != why {
			s.log.Error("the record is damaged", "account", account, "error", why)
		}
	}
	if whole {
		s.damaged = map[string]string{}
	}
	maps.Copy(s.damaged, found)
	for account := range found {
		delete(s.recent, account)
	}
}

func (s *Signer) damage(account string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[account]
}

// compare looks, at the start, for accounts of which more was signed than the
// database has: without it a rollback would be noticed only when they grow.
func (s *Signer) compare(ctx context.Context) error {
	if err := s.signedLog.Refresh(ctx); err != nil {
		return err
	}
	signed, err := s.signedLog.All(ctx)
	if err != nil {
		return err
	}
	sizes := map[string]uint64{}
	missing := map[string]Signed{} // what the database says was signed, and the signed log does not have
	err = s.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT a.id, h.size, s.size, s.root
			FROM head h JOIN account a ON a.key = h.account LEFT JOIN signed s ON s.account = h.account`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var size uint64
			var signedSize sql.NullInt64
			var root []byte
			if err := rows.Scan(&id, &size, &signedSize, &root); err != nil {
				return err
			}
			sizes[id] = size
			if signedSize.Valid && len(root) == len(merkle.Hash{}) {
				missing[id] = Signed{id, uint64(signedSize.Int64), merkle.Hash(root)}
			}
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, one := range signed {
		delete(missing, one.Account)
	}
	// The signed log was lost, or written by a Belfry whose records do not count any
	// more. The signer trusts the database here; later statements are checked
	// against it.
	if len(missing) > 0 {
		err := s.signedLog.Record(ctx, slices.Collect(maps.Values(missing)))
		if err == nil {
			err = s.signedLog.Refresh(ctx)
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range signed {
		if err := shrunk(one.Size, sizes[one.Account]); err != nil {
			s.stopped[one.Account] = err.Error()
			s.log.Error("signing stopped", "account", one.Account, "error", err)
		}
	}
	return nil
}

func shrunk(signed, size uint64) error {
	if size < signed {
		return fmt.Errorf("size %d was signed, and the log has only %d events: the database was rolled back", signed, size)
	}
	return nil
}

// recover notes the accounts that grew before this process ran and were not
// signed since: it, or another, ended between a commit and the epoch.
func (s *Signer) recover(ctx context.Context) error {
	var accounts []string
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		accounts, err = db.Collect(ctx, tx, db.ScanText, `SELECT a.id
			FROM head h JOIN account a ON a.key = h.account LEFT JOIN signed s ON s.account = h.account
			WHERE h.size > COALESCE(s.size, 0)`)
		return err
	})
	if err == nil {
		s.Grown(accounts)
	}
	return err
}
