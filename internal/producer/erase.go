package producer

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// erasedPayload replaces the payloads of refused events that are older than an
// erasure in their account.
const erasedPayload = `"erased on request"`

// eraseChunk bounds the transaction of an erasure.
const eraseChunk = 200

// Erased applies an erasure to the stored rejects. A refused event does not say
// which person it is about, so all payloads of the account that are older than the
// erasure are dropped.
func (f *Feature) Erased(ctx context.Context, e event.Erasure) error {
	at, err := time.Parse(time.RFC3339Nano, e.At)
	if err != nil {
		return err
	}
	err = f.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO erasure (account, at) VALUES ($1, $2)
			ON CONFLICT (account) DO UPDATE SET at = CASE WHEN erasure.at > excluded.at THEN erasure.at ELSE excluded.at END`,
			e.Account, at.UnixMicro())
		return err
	})
	for _, account := range []string{e.Account, ""} { // rows that are older than the column have ''
		var from rejectKey
		for more := err == nil; more; {
			from, more, err = f.dropPayloads(ctx, account, e.Account, at.UnixMicro(), from)
			more = more && err == nil
		}
	}
	if err != nil {
		return err
	}
	return f.db.Scrub(ctx)
}

// rejectKey is a row of reject.
type rejectKey struct {
	scope, owner string
	at           int64
	id           string
}

// dropPayloads drops the payloads of a chunk of an account's rejects. It returns
// the last row of the chunk, and whether there may be more.
func (f *Feature) dropPayloads(
	ctx context.Context, column, account string, before int64, from rejectKey,
) (last rejectKey, more bool, err error) {
	err = f.db.Tx(ctx, func(tx *db.Tx) error {
		found, err := rejectsAfter(ctx, tx, column, before, from)
		if err != nil {
			return err
		}
		last = from
		more = len(found) == eraseChunk
		for _, row := range found {
			last = row.rejectKey
			var one event.Reject
			if err := json.Unmarshal(row.content, &one); err != nil {
				return err
			}
			if one.Account != account || one.Payload == "" || one.Payload == erasedPayload {
				continue
			}
			one.Payload = erasedPayload
			content, err := json.Marshal(one)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `
				UPDATE reject SET content = $5
				WHERE scope = $1 AND owner = $2 AND at = $3 AND id = $4`,
				row.scope, row.owner, row.at, row.id, content)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return last, more, err
}

type rejectRow struct {
	rejectKey
	content []byte
}

func rejectsAfter(ctx context.Context, tx *db.Tx, account string, before int64, from rejectKey) ([]rejectRow, error) {
	rows, err := tx.Query(ctx, `
		SELECT scope, owner, at, id, content FROM reject
		WHERE account = $1 AND at <= $2 AND (scope, owner, at, id) > ($3, $4, $5, $6)
		ORDER BY scope, owner, at, id LIMIT $7`,
		account, before, from.scope, from.owner, from.at, from.id, eraseChunk)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []rejectRow
	for rows.Next() {
		var row rejectRow
		if err := rows.Scan(&row.scope, &row.owner, &row.at, &row.id, &row.content); err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

// dropErased drops the payloads of the rejects of a batch that are older than the
// last erasure in their account.
func dropErased(ctx context.Context, tx *db.Tx, list []event.Reject, times []int64) error {
	erased := map[string]int64{}
	for i, one := range list {
		at, asked := erased[one.Account]
		if !asked {
			err := tx.QueryRow(ctx, `SELECT at FROM erasure WHERE account = $1`, one.Account).Scan(&at)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			erased[one.Account] = at
		}
		if times[i] <= at {
			list[i].Payload = erasedPayload
		}
	}
	return nil
}
