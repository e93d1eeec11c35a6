package slo

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// errStale reports that the shard in memory differs from the one in the database.
var errStale = errors.New("slo: the shard has changed in the database")

// store writes the consequences of a batch and moves the offset.
func (f *Feature) store(ctx context.Context, b *bus.Batch, s *shardState) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		if b != nil {
			if err := b.Commit(ctx, tx); err != nil {
				return err
			}
		}
		if err := s.claim(ctx, tx); err != nil {
			return err
		}
		for _, write := range []func(context.Context, *db.Tx) error{
			s.writeSeries,
			s.writeReused,
			s.writeExclusions,
			s.writeBlocks,
			s.writeSeen,
			s.writePairStates,
			s.writeReadings,
			s.writeOrigins,
		} {
			if err := write(ctx, tx); err != nil {
				return err
			}
		}
		if err := storeTransitions(ctx, tx, s.unchanged(s.transitions)); err != nil {
			return err
		}
		return f.evaluateComposites(ctx, tx, s.dueComposites(), s.alertFrom)
	})
}

// unchanged leaves out the transitions of objectives that changed while the batch was counted.
func (s *shardState) unchanged(list []Transition) []Transition {
	if len(s.changed) == 0 {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(t Transition) bool { return s.changed[t.Objective.ID] })
}

// claim locks the shard's row until the commit, so that no objective changes meanwhile, and notes the objectives that
// have changed since the batch was begun. errStale when another process has updated the shard.
func (s *shardState) claim(ctx context.Context, tx *db.Tx) error {
	var n int64
	var err error
	behind := int64(0)
	if s.behind {
		behind = 1
	}
	if s.fresh {
		n, err = tx.Exec(ctx, `INSERT INTO shard (id, revision, version, clock, behind) VALUES ($1, 0, 1, $2, $3)
			ON CONFLICT (id) DO NOTHING`, s.id, s.Clock(), behind)
	} else {
		n, err = tx.Exec(ctx, `UPDATE shard SET version = version + 1, clock = $2, behind = $4
			WHERE id = $1 AND version = $3`, s.id, s.Clock(), s.version, behind)
	}
	if err == nil && n == 0 {
		err = errStale
	}
	if err != nil {
		return err
	}
	clear(s.changed)
	list, _, err := readChanges(ctx, tx, s.applied)
	for _, o := range list {
		s.changed[o.id] = true
	}
	return err
}

// seriesColumns are the columns of the rows that writeSeries makes.
var seriesColumns = []string{"shard", "id", "account_id", "zone_id", "kind", "value", "sli", "first_at"}

func (s *shardState) writeSeries(ctx context.Context, tx *db.Tx) error {
	rows := make([][]any, len(s.newSeries))
	first := s.Len() - len(s.newSeries)
	for i, k := range s.newSeries {
		series := uint32(first + i)
		rows[i] = []any{
			s.id,
			int64(series),
			k.account,
			k.zone,
			k.kind,
			k.value,
			k.sli,
			s.First(series),
		}
	}
	return tx.Insert(ctx, "line", seriesColumns, "", rows)
}

// writeBlocks writes the changed chunks. A chunk holds the series with the same higher bits of their ids, so that a
// reader of one series reads one row for each block, of at most some 260 KB at two bytes a series.
func (s *shardState) writeBlocks(ctx context.Context, tx *db.Tx) error {
	var rows [][]any
	for _, c := range s.Changed() {
		if c.Data != nil {
			rows = append(rows, []any{
				s.id,
				c.Level,
				c.Start,
				int64(c.Chunk),
				c.Data,
			})
			continue
		}
		_, err := tx.Exec(ctx, `DELETE FROM slo_column WHERE shard = $1 AND level = $2 AND start = $3 AND chunk = $4`,
			s.id, c.Level, c.Start, int64(c.Chunk))
		if err != nil {
			return err
		}
	}
	return tx.Insert(ctx, "slo_column", []string{"shard", "level", "start", "chunk", "data"},
		`ON CONFLICT (shard, level, start, chunk) DO UPDATE SET data = excluded.data`, rows)
}

// loader returns the function that reads a chunk which is not in memory. A chunk that is missing was compacted by
// another owner of the shard: the shard is stale.
func (f *Feature) loader(ctx context.Context, shard int32) func(tally.Ref) ([]byte, error) {
	return func(ref tally.Ref) (data []byte, err error) {
		err = f.db.View(ctx, func(tx *db.Tx) error {
			data, err = readChunk(ctx, tx, shard, ref)
			return err
		})
		if errors.Is(err, sql.ErrNoRows) {
			err = errStale
		}
		return data, err
	}
}

func readChunk(ctx context.Context, tx *db.Tx, shard int32, ref tally.Ref) (data []byte, err error) {
	err = tx.QueryRow(ctx, `SELECT data FROM slo_column WHERE shard = $1 AND level = $2 AND start = $3 AND chunk = $4`,
		shard, ref.Level, ref.Start, int64(ref.Chunk)).Scan(&data)
	return data, err
}

func (s *shardState) writeSeen(ctx context.Context, tx *db.Tx) error {
	rows := make([][]any, len(s.newSeen))
	for i, r := range s.newSeen {
		rows[i] = []any{s.id, r.id[:], r.at}
	}
	err := tx.Insert(ctx, "seen", []string{"shard", "id", "at"},
		`ON CONFLICT (shard, id) DO UPDATE SET at = excluded.at`, rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM seen WHERE shard = $1 AND at < $2`, s.id, s.newest-seenFor)
	return err
}

func (s *shardState) writePairStates(ctx context.Context, tx *db.Tx) error {
	for w := range s.restated {
		if s.changed[w.ID] {
			continue
		}
		if err := writePairStates(ctx, tx, int64(s.id), w, s.saved[w]); err != nil {
			return err
		}
	}
	return nil
}

// writePairStates writes the states of an objective's pairs that differ from those in the database.
func writePairStates(ctx context.Context, tx *db.Tx, shard int64, w *watch, before []pairState) error {
	for i, st := range w.states() {
		stored := pairState{}
		if i < len(before) {
			stored = before[i]
		}
		if stored == st {
			continue
		}
		var err error
		if st.state == quiet {
			_, err = tx.Exec(ctx, `DELETE FROM standing WHERE objective_id = $1 AND pair = $2`, w.ID, w.rules[i].key())
		} else {
			_, err = tx.Exec(ctx, `INSERT INTO standing (objective_id, pair, shard, state, since, began, told)
				VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (objective_id, pair) DO UPDATE SET shard = excluded.shard, state = excluded.state,
				since = excluded.since, began = excluded.began, told = excluded.told`,
				w.ID, w.rules[i].key(), shard, int64(st.state), st.since, st.began, st.alerted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxReadings is the number of series whose readings a batch writes. With more of them, the shard is behind: the rest
// is written with the following batches, and until then readers add up the blocks.
const maxReadings = 2000

// takeDue chooses the series whose readings the batch writes.
func (s *shardState) takeDue() {
	s.due, s.dueFrom, s.behind = s.TakeTouched(s.dueFrom, maxReadings, s.watched)
}

func (s *shardState) writeReadings(ctx context.Context, tx *db.Tx) error {
	var rows [][]any
	for _, series := range s.due {
		for w := range s.watchesOf(series) {
			if s.changed[w.ID] {
				continue
			}
			rows = append(rows, s.readingRow(w, int64(s.id), series))
		}
	}
	return insertReadings(ctx, tx, rows)
}

// dueComposites lists the composite objectives with a member whose reading the batch writes.
func (s *shardState) dueComposites() (list []*Objective) {
	if len(s.composites) == 0 {
		return nil
	}
	for _, series := range s.due {
		for w := range s.watchesOf(series) {
			for _, o := range s.composites[w.ID] {
				if !s.changed[o.ID] && !slices.Contains(list, o) {
					list = append(list, o)
				}
			}
		}
	}
	return list
}

// storedPeriods are the periods that a stored reading has a place for, after the short windows. Any other period
// follows them.
var storedPeriods = [...]Window{D28, D30, Month}

// encodeSums writes pairs of total and bad as JSON, by window. Periods other than the objective's are zero.
func encodeSums(period Window, s *windowSums) string {
	b := make([]byte, 0, 160)
	put := func(t Tally) {
		b = append(b, "[,"[min(len(b), 1)], '[')
		b = strconv.AppendUint(b, t.Total, 10)
		b = append(b, ',')
		b = strconv.AppendUint(b, t.Bad, 10)
		b = append(b, ']')
	}
	for w := range D28 {
		put(s[w])
	}
	for _, w := range storedPeriods {
		if w == period {
			put(s.Budget())
		} else {
			put(Tally{})
		}
	}
	if !slices.Contains(storedPeriods[:], period) {
		put(s.Budget())
	}
	return string(append(b, ']'))
}

func decodeSums(period Window, text string) (s windowSums, err error) {
	var list [][2]uint64
	at := int(D28) + slices.Index(storedPeriods[:], period)
	if at < int(D28) {
		at = int(D28) + len(storedPeriods)
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) < int(D28)+len(storedPeriods) {
		return s, fmt.Errorf("slo: a reading is damaged: %d windows: %w", len(list), err)
	}
	for w := range D28 {
		s[w] = Tally{Total: list[w][0], Bad: list[w][1]}
	}
	if at < len(list) {
		s[D28] = Tally{Total: list[at][0], Bad: list[at][1]}
	}
	return s, nil
}
