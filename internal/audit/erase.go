package audit

import (
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// erasable are the fields that an erasure of a person takes away when it names
// none: who, from where, with what.
var erasable = []string{
	"/actor/email", "/actor/id", "/actor/ip_address", "/actor/name",
	"/actor/on_behalf_of/email", "/actor/on_behalf_of/id", "/request/uri", "/request/user_agent",
}

// eraseChunk bounds the transaction of an erasure.
const eraseChunk = 256

// Erase takes the values of committed fields out of events, for good: the value
// and the seed that its salt was derived from are deleted, the salts of what
// stays are kept instead, and the digests of the tiles are made anew without
// the erased keys. Leaves, envelopes and so every proof stay as they are. It
// gives the number of events that had something to erase.
func (l *Ledger) Erase(ctx context.Context, account string, seqs []int64, pointers []string) (erased int, err error) {
	for chunk := range slices.Chunk(seqs, eraseChunk) {
		n := 0
		err := l.db.Tx(ctx, func(tx *db.Tx) error {
			key, err := accountKey(ctx, tx, account)
			if err != nil || key == 0 {
				return err
			}
			// With the head held, no append completes a tile meanwhile.
			heads, err := lockHeads(ctx, tx, []int64{key})
			if err != nil {
				return err
			}
			n = 0
			tiles := map[int64]bool{}
			for _, seq := range chunk {
				changed, err := eraseOne(ctx, tx, key, seq, pointers)
				if err != nil {
					return err
				}
				if changed {
					n++
					tiles[seq/256] = true
				}
			}
			for tile := range tiles {
				if uint64(tile+1)*256 <= heads[key].frontier.Size() {
					if err := rebuildDigest(ctx, tx, key, tile); err != nil {
						return err
					}
				}
			}
			built, err := spansBuilt(ctx, tx, key)
			if err != nil {
				return err
			}
			spans := map[int64]bool{}
			for tile := range tiles {
				if n := tile / spanTiles; n < built && !spans[n] {
					spans[n] = true
					if err := saveSpan(ctx, tx, key, n); err != nil {
						return err
					}
				}
			}
			return nil
		})
		erased += n
		if err != nil {
			return erased, err
		}
	}
	return erased, nil
}

// eraseOne erases in one event; false when there was nothing to erase.
func eraseOne(ctx context.Context, tx *db.Tx, account, seq int64, pointers []string) (bool, error) {
	var pos int64
	if err := tx.QueryRow(ctx, `SELECT pos FROM leaf WHERE account = $1 AND seq = $2`, account, seq).Scan(&pos); err != nil {
		return false, err
	}
	s, err := readStored(ctx, tx, pos)
	if err != nil || s == nil {
		return false, err
	}
	var keep []saltedOpening
	all := s.openingList()
	for _, o := range all {
		if !slices.Contains(pointers, o.path) {
			keep = append(keep, o)
		}
	}
	if len(keep) == len(all) {
		return false, nil
	}
	values := map[string]jsontext.Value{}
	for _, o := range keep {
		values[o.path] = o.value
	}
	openings, err := json.Marshal(values, json.Deterministic(true))
	if err != nil {
		return false, err
	}
	rest := *s
	rest.seed, rest.salts, rest.openings = nil, encodeSalts(keep), openings
	rec, err := rest.decode()
	if err != nil {
		return false, err
	}
	keys := facetKeys(&rec.Event)
	n, err := tx.Exec(ctx, `UPDATE reading SET seed = NULL, salts = $2, openings = $3, actor = $4, resource = $5, product = $6, action = $7, zone = $8 WHERE pos = $1`,
		pos, rest.salts, openings, keys[byActor], keys[byResource], keys[byProduct], keys[byAction], keys[byZone])
	if err == nil && n != 1 {
		err = errors.New("the event to erase in is not there")
	}
	return true, err
}

// rebuildDigest makes a full tile's digest anew from its events.
func rebuildDigest(ctx context.Context, tx *db.Tx, account, tile int64) error {
	part, err := readTail(ctx, tx, account, uint64(tile*256), uint64(tile*256+256))
	if err != nil {
		return err
	}
	if len(part) != 256 {
		return errors.New("a full tile does not have its 256 events")
	}
	row := tileDigest(account, tile, part)
	return tx.Insert(ctx, "digest", []string{"account", "n", "min_at", "max_at", "bloom"},
		`ON CONFLICT (account, n) DO UPDATE SET bloom = excluded.bloom`, [][]any{row})
}
