package traffic

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// keysKept is how long a repeated request is recognised by its key. Consumers of
// the messages recognise it by their ids, which are the same.
const keysKept = 48 * time.Hour

// submission is one request on its way through the writer.
type submission struct {
	scope, key string // key empty = the request has none
	hash       [sha256.Size]byte
	result     IngestResult
	answer     []byte // result as JSON: sent, and stored for a repetition
	msgs       []bus.Message
	batchID    string

	// late makes msgs in the transaction, from what is stored; nil = they are made before.
	late func(context.Context, *db.Tx) error

	// The outcome, set by the flush.
	replayed []byte // the answer of the first request
	refused  error
}

func (s *submission) weight() int { return 1 + len(s.msgs) }

// submit stores the batch of one request and returns the answer: the request's
// own, or that of the first request with its key.
func (f *Feature) submit(ctx context.Context, b *batch, s *submission) (answer []byte, replayed bool, err error) {
	if err := b.limitCounts(ctx); err != nil {
		return nil, false, err
	}
	s.result.RenamedRequests = b.renamed
	if s.answer, err = json.Marshal(s.result); err != nil {
		return nil, false, err
	}
	s.batchID = id.New()
	if s.key != "" {
		s.batchID = messageID(s.scope, s.key, string(s.hash[:]))
	}
	if s.msgs, err = Shard(s.batchID, b.good, f.cfg.Partitions); err != nil {
		return nil, false, err
	}
	sharded := len(s.msgs)
	rejects, err := b.rejects(f.now(), nil)
	if err != nil {
		return nil, false, err
	}

	s.msgs = append(s.msgs, rejects...)
	if len(s.msgs) > 0 || s.key != "" || s.late != nil {
		if err := f.writer.Do(ctx, s); err != nil {
			return nil, false, err
		}
	}
	if s.refused != nil || s.replayed != nil {
		return s.replayed, true, s.refused
	}
	f.cfg.Wake()
	if s.late != nil {
		sharded = len(s.msgs)
	}
	f.metrics.stored(b, sharded)
	return s.answer, false, nil
}

// store writes several requests in one transaction, in their order.
func (f *Feature) store(ctx context.Context, list []*submission) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		for _, s := range list {
			s.replayed = nil // the transaction may run again
			s.refused = nil
			fresh, err := s.claim(ctx, tx, f.now())
			if err != nil {
				return err
			}
			if !fresh {
				continue
			}
			if s.late != nil {
				if err := s.late(ctx, tx); err != nil {
					return err
				}
			}
			for n := range s.msgs { // by this time, objectives distinguish replayed history
				s.msgs[n].Time = f.now()
			}
			if err := bus.Enqueue(ctx, tx, s.msgs...); err != nil {
				return err
			}
		}
		return nil
	})
}

// claim stores the request's key, in the transaction of its counts. It is false
// when an earlier request has the key; s has that one's answer then. (package web
// keeps the keys of creating requests apart from their transactions.)
func (s *submission) claim(ctx context.Context, tx *db.Tx, now time.Time) (fresh bool, err error) {
	if s.key == "" {
		return true, nil
	}
	if s.result.Counts > 0 { // where nothing was accepted, the key stays free
		n, err := tx.Exec(ctx, `INSERT INTO accepted (scope, idem_key, hash, answer, at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (scope, idem_key) DO NOTHING`, s.scope, s.key, s.hash[:], s.answer, now.UnixMicro())
		if err != nil || n == 1 {
			return true, err
		}
	}
	var hash, answer []byte
	err = tx.QueryRow(ctx, `SELECT hash, answer FROM accepted WHERE scope = $1 AND idem_key = $2`,
		s.scope, s.key).Scan(&hash, &answer)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return true, nil
	case err != nil:
		return false, err
	case !bytes.Equal(hash, s.hash[:]):
		s.refused = errs.At(errs.CodeIdempotencyReuse, "Idempotency-Key",
			"the key was used for another request within 48 hours")
	default:
		s.replayed = answer
	}
	return false, nil
}

// deleteOldKeys deletes the keys that have expired, a thousand in a transaction.
func (f *Feature) deleteOldKeys(ctx context.Context) error {
	for {
		var n int64
		err := f.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM accepted WHERE (scope, idem_key) IN (
				SELECT scope, idem_key FROM accepted WHERE at < $1 LIMIT 1000)`, f.now().Add(-keysKept).UnixMicro())
			return err
		})
		if err != nil || n < 1000 {
			return err
		}
	}
}
