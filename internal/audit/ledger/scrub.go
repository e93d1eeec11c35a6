package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Scrubber reads the whole record again, slowly and for ever, because the signer
// trusts the roots of full tiles: a change inside one would be signed over until
// a reader asks for its proof.
//
//	envelope -> leaf -> tile -> root -> tile above      (the head's root the signer reproduces)
//
// What does not agree stops the signing of its account and fails readiness, until
// a later round finds that all of it agrees again.
type Scrubber struct {
	db      *db.DB
	pace    time.Duration // for each 256 events
	damaged func(found map[string]string, whole bool)
	checked func(fault error)
}

// NewScrubber makes a Scrubber. damaged receives the damaged accounts, each
// with its reason; checked is called for each tile and tail, with the fault that it has.
func NewScrubber(d *db.DB, damaged func(found map[string]string, whole bool), checked func(fault error)) *Scrubber {
	return &Scrubber{db: d, pace: scrubPace, damaged: damaged, checked: checked}
}

// scrubPace bounds the scrub to 20 tiles, about 5,000 events, a second: some two
// per cent of a core, and 33 minutes for ten million events.
const scrubPace = 50 * time.Millisecond

// Run scrubs round after round until ctx ends. A database that is away is waited for.
func (s *Scrubber) Run(ctx context.Context) error {
	for {
		found, err := s.round(ctx)
		wait := 10 * time.Second
		if err == nil {
			s.damaged(found, true)
			wait = time.Minute
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// scrubPlace is where a round has come to: after this full tile or, with level
// -1, after this account's tail.
type scrubPlace struct{ account, level, n int64 }

// round checks every full tile, then the events after the last full tile of each
// account, and returns the damaged accounts with the reasons.
func (s *Scrubber) round(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	at := scrubPlace{account: -1}
	for _, step := range []func(context.Context, *db.Tx, *scrubPlace) (string, error){scrubTile, scrubTail} {
		at = scrubPlace{account: -1}
		for {
			var account string
			var fault error
			err := s.db.View(ctx, func(tx *db.Tx) (err error) {
				account, err = step(ctx, tx, &at)
				var damage *damageError
				if errors.As(err, &damage) {
					fault, err = err, nil
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			if account == "" {
				break
			}
			s.checked(fault)
			if fault != nil && found[account] == "" {
				found[account] = fault.Error()
				s.damaged(found, false)
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(s.pace):
			}
		}
	}
	return found, nil
}

// damageError names the parts of the record that do not agree.
type damageError struct{ text string }

func (e *damageError) Error() string { return e.text }

func damageOf(format string, args ...any) error { return &damageError{fmt.Sprintf(format, args...)} }

// scrubTile checks the next full tile: its root and, below, that its hashes are
// those of its leaves and envelopes, or of the tiles under it.
func scrubTile(ctx context.Context, tx *db.Tx, at *scrubPlace) (account string, err error) {
	var root, hashes []byte
	err = tx.QueryRow(ctx, `SELECT a.id, t.account, t.level, t.n, t.root, t.hashes
		FROM tile t JOIN account a ON a.key = t.account
		WHERE (t.account, t.level, t.n) > ($1, $2, $3) ORDER BY t.account, t.level, t.n LIMIT 1`, at.account, at.level, at.n).
		Scan(&account, &at.account, &at.level, &at.n, &root, &hashes)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if len(hashes) != 256*merkle.HashSize {
		return account, damageOf("tile %d/%d has %d bytes", at.level, at.n, len(hashes))
	}
	list := make([]merkle.Hash, 256)
	for i := range list {
		copy(list[i][:], hashes[i*merkle.HashSize:])
	}
	if got := merkle.NewBatch(list).Root(); got != merkle.Hash(root) {
		return account, damageOf("the root of tile %d/%d is not that of its hashes", at.level, at.n)
	}
	if at.level > 0 {
		below, err := readHashes(ctx, tx, merkle.Tile{Level: uint(at.level), Index: uint64(at.n), Width: 256},
			`SELECT root FROM tile WHERE account = $1 AND n >= $2 AND n < $3 AND level = $4 ORDER BY n`, at.account, at.n*256,
			at.n*256+256, at.level-1)
		if err != nil && db.Broken(err) {
			return account, err
		}
		if err != nil || !bytes.Equal(below, hashes) {
			return account, damageOf("tile %d/%d is not made of the tiles below it", at.level, at.n)
		}
		return account, nil
	}
	return account, scrubLeaves(ctx, tx, at.account, at.n*256, list)
}

// scrubTail checks the events behind the last full tile of the next account; that
// its leaves give the head's root is checked whenever it is signed.
func scrubTail(ctx context.Context, tx *db.Tx, at *scrubPlace) (account string, err error) {
	var size int64
	err = tx.QueryRow(ctx, `SELECT a.id, h.account, h.size
		FROM head h JOIN account a ON a.key = h.account WHERE h.account > $1 ORDER BY h.account LIMIT 1`, at.account).
		Scan(&account, &at.account, &size)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return account, scrubLeaves(ctx, tx, at.account, size&^255, make([]merkle.Hash, size&255))
}

// scrubLeaves checks that the events from first on have these leaves (a zero hash
// stands for any) and that each leaf is the hash of its envelope, where retention
// has left one.
func scrubLeaves(ctx context.Context, tx *db.Tx, account, first int64, want []merkle.Hash) error {
	rows, err := tx.Query(ctx, `SELECT l.seq, l.hash, e.envelope
		FROM leaf l LEFT JOIN entry e ON e.pos = l.pos WHERE l.account = $1 AND l.seq >= $2 AND l.seq < $3 ORDER BY l.seq`,
		account, first, first+int64(len(want)))
	if err != nil {
		return err
	}
	defer rows.Close()
	n := int64(0)
	for ; rows.Next(); n++ {
		var seq int64
		var hash, envelope []byte
		if err := rows.Scan(&seq, &hash, &envelope); err != nil {
			return err
		}
		switch {
		case seq != first+n || len(hash) != merkle.HashSize:
			return damageOf("event %d is missing", first+n)
		case want[n] != merkle.Hash{} && want[n] != merkle.Hash(hash):
			return damageOf("the leaf of event %d is not the one in its tile", seq)
		case envelope != nil && merkle.LeafHash(envelope) != merkle.Hash(hash):
			return damageOf("event %d is not the one whose hash is in the log", seq)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if n != int64(len(want)) {
		return damageOf("event %d is missing", first+n)
	}
	return nil
}
