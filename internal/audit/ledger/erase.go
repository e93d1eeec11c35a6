package ledger

import (
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// erasable are the fields that name a person in each event: who, from where,
// with what. What a catalogue declares personal comes to them.
var erasable = []string{
	"/actor/email", "/actor/id", "/actor/ip_address", "/actor/name",
	"/actor/on_behalf_of/email", "/actor/on_behalf_of/id", "/request/uri", "/request/user_agent",
}

// eraseChunk bounds the transaction of an erasure.
const eraseChunk = 256

// erase deletes the values of committed fields of events: the value and the seed that its salt was derived from are
// deleted, the salts of the remaining fields are stored instead, and the digests of the tiles are computed again
// without the erased keys. Leaves, envelopes and so every proof stay as they are. It returns the number of events that
// had values to erase.
func (l *Ledger) erase(
	ctx context.Context,
	account string,
	seqs []int64,
	s *Selection,
	of erasedPart,
) (erased int, err error) {
	for chunk := range slices.Chunk(seqs, eraseChunk) {
		var ids []string
		err := l.db.Tx(ctx, func(tx *db.Tx) error {
			ids = nil
			key, err := accountKey(ctx, tx, account)
			if err != nil || key == 0 {
				return err
			}
			// With the head locked, no append completes a tile meanwhile.
			heads, err := lockHeads(ctx, tx, []int64{key})
			if err != nil {
				return err
			}
			tiles := map[int64]bool{}
			for _, seq := range chunk {
				id, err := eraseOne(ctx, tx, key, seq, s, of)
				if err != nil {
					return err
				}
				if id != "" {
					ids = append(ids, id)
					tiles[seq/256] = true
				}
			}
			if err := rebuildDigests(ctx, tx, key, heads[key].frontier.Size(), tiles); err != nil || len(ids) == 0 {
				return err
			}
			return enqueueErasure(ctx, tx, event.Erasure{
				Account: account,
				At:      record.FormatTime(l.now().UnixMicro()),
				Events:  ids,
			})
		})
		erased += len(ids)
		if err != nil {
			return erased, err
		}
	}
	return erased, nil
}

// enqueueErasure notifies the features that keep copies, in the transaction.
func enqueueErasure(ctx context.Context, tx *db.Tx, e event.Erasure) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return bus.Enqueue(ctx, tx, bus.Message{Topic: event.TopicAuditErased, Key: []byte(e.Account), Value: value})
}

// eraseOne erases in one event and gives its id; empty when there was nothing to
// erase.
func eraseOne(ctx context.Context, tx *db.Tx, account, seq int64, s *Selection, of erasedPart) (id string, err error) {
	var pos int64
	if err := tx.QueryRow(ctx, `SELECT pos FROM leaf WHERE account = $1 AND seq = $2`, account, seq).
		Scan(&pos); err != nil {
		return "", err
	}
	row, err := readStored(ctx, tx, pos)
	if err != nil || row == nil {
		return "", err
	}
	before, err := row.Open()
	if err != nil {
		return "", err
	}
	gone, err := s.choose(ctx, before, row.OpeningList(), of)
	if err != nil || len(gone) == 0 {
		return "", err
	}
	rest, err := row.Without(gone)
	if err != nil {
		return "", err
	}
	rec, err := rest.Open()
	if err != nil {
		return "", err
	}
	keys := record.FacetKeys(&rec.Event)
	n, err := tx.Exec(ctx, `UPDATE reading SET seed = NULL, salts = $2, openings = $3, actor = $4, resource = $5,
		product = $6, action = $7, zone = $8
		WHERE pos = $1`,
		pos, rest.Salts, rest.Openings, keys[record.ByActor], keys[record.ByResource], keys[record.ByProduct],
		keys[record.ByAction], keys[record.ByZone])
	if err == nil && n != 1 {
		err = errors.New("the event to erase in is not there")
	}
	return rec.Event.ID, err
}

// rebuildDigests computes the digests of changed tiles again, and of their spans.
func rebuildDigests(ctx context.Context, tx *db.Tx, account int64, size uint64, tiles map[int64]bool) error {
	for tile := range tiles {
		if uint64(tile+1)*256 <= size {
			if err := rebuildDigest(ctx, tx, account, tile); err != nil {
				return err
			}
		}
	}
	built, err := spansBuilt(ctx, tx, account)
	if err != nil {
		return err
	}
	spans := map[int64]bool{}
	for tile := range tiles {
		if n := tile / spanTiles; n < built && !spans[n] {
			spans[n] = true
			if err := saveSpan(ctx, tx, account, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// rebuildDigest computes a full tile's digest again from its events.
func rebuildDigest(ctx context.Context, tx *db.Tx, account, tile int64) error {
	part, err := readTail(ctx, tx, account, uint64(tile*256), uint64(tile*256+256))
	if err != nil {
		return err
	}
	if len(part) != 256 {
		return errors.New("a full tile does not have its 256 events")
	}
	row := tileDigest(account, tile, part)
	return tx.Insert(ctx, "digest", digestColumns,
		`ON CONFLICT (account, n) DO UPDATE SET bloom = excluded.bloom`, [][]any{row})
}
