package slo

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// errStale reports that the shard in memory differs from the one in the database.
var errStale = errors.New("slo: the shard has changed in the database")

// chunkBits is the number of lower bits of a series' id. A chunk of a block holds the series with the same higher bits,
// so that a reader of one series reads one row for each block, of at most some 260 KB at two bytes a series.
const chunkBits = 17

// chunkCount is the number of rows of a block.
func chunkCount(data []byte) int {
	last := uint32(0)
	_ = decodeBlock(data, func(e entry) { last = e.series }) // blocks in memory are valid
	return int(last>>chunkBits) + 1
}

// splitChunks makes the rows of a block. Most blocks have one, the block itself.
func splitChunks(data []byte) [][]byte {
	n := chunkCount(data)
	if n == 1 {
		return [][]byte{data}
	}
	parts := make([][]entry, n)
	_ = decodeBlock(data, func(e entry) { parts[e.series>>chunkBits] = append(parts[e.series>>chunkBits], e) })
	out := make([][]byte, n)
	for i, p := range parts {
		out[i] = encodeBlock(p)
	}
	return out
}

// store writes the consequences of a batch and moves the offset.
func (f *Feature) store(ctx context.Context, b *bus.Batch, s *shardState) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		if err := b.Commit(ctx, tx); err != nil {
			return err
		}
		if err := s.claim(ctx, tx); err != nil {
			return err
		}
		for _, write := range []func(context.Context, *db.Tx) error{
			s.writeSeries,
			s.writeBlocks,
			s.writeSeen,
			s.writePairStates,
			s.writeReadings,
		} {
			if err := write(ctx, tx); err != nil {
				return err
			}
		}
		return storeTransitions(ctx, tx, s.transitions)
	})
}

// claim locks the shard's row until the commit; errStale when another process or a changed objective has updated it.
func (s *shardState) claim(ctx context.Context, tx *db.Tx) error {
	var n int64
	var err error
	if s.fresh {
		n, err = tx.Exec(ctx, `INSERT INTO shard (id, revision, version, clock) VALUES ($1, 0, 1, $2)
			ON CONFLICT (id) DO NOTHING`, s.id, s.clock)
	} else {
		n, err = tx.Exec(ctx, `UPDATE shard SET version = version + 1, clock = $2
			WHERE id = $1 AND version = $3 AND revision = $4`, s.id, s.clock, s.version, s.revision)
	}
	if err == nil && n == 0 {
		err = errStale
	}
	return err
}

// seriesColumns are the columns of the rows that writeSeries makes.
var seriesColumns = []string{"shard", "id", "account_id", "zone_id", "kind", "value", "sli", "first_at"}

func (s *shardState) writeSeries(ctx context.Context, tx *db.Tx) error {
	rows := make([][]any, len(s.newSeries))
	for i, k := range s.newSeries {
		series := s.series[k]
		rows[i] = []any{
			s.id,
			int64(series),
			k.account,
			k.zone,
			k.kind,
			k.value,
			k.sli,
			s.first[series],
		}
	}
	return tx.Insert(ctx, "line", seriesColumns, "", rows)
}

func (s *shardState) writeBlocks(ctx context.Context, tx *db.Tx) error {
	var rows [][]any
	for p := range s.changed {
		n := 0
		if i, ok := s.find(p); ok {
			for chunk, data := range splitChunks(s.blocks[p.level][i].data) {
				rows = append(rows, []any{
					s.id,
					p.level,
					p.start,
					chunk,
					data,
				})
				n++
			}
		}
		if s.stored[p] > n {
			_, err := tx.Exec(ctx, `DELETE FROM slo_column WHERE shard = $1 AND level = $2 AND start = $3 AND chunk >= $4`,
				s.id, p.level, p.start, n)
			if err != nil {
				return err
			}
		}
	}
	return tx.Insert(ctx, "slo_column", []string{"shard", "level", "start", "chunk", "data"},
		`ON CONFLICT (shard, level, start, chunk) DO UPDATE SET data = excluded.data`, rows)
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
	// Only series that were counted, or lost a block, can have changed.
	for _, series := range s.touchedSeries() {
		for _, w := range s.watches[series] {
			if err := writePairStates(ctx, tx, int64(s.id), w, s.saved[w]); err != nil {
				return err
			}
		}
	}
	return nil
}

// writePairStates writes the states of an objective's pairs that differ from those in the database.
func writePairStates(ctx context.Context, tx *db.Tx, shard int64, w *watch, before []pairState) error {
	for i, st := range w.pairs {
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

func (s *shardState) touchedSeries() (list []uint32) {
	s.touched.each(func(series uint32) {
		if len(s.watches[series]) > 0 {
			list = append(list, series)
		}
	})
	return list
}

func (s *shardState) writeReadings(ctx context.Context, tx *db.Tx) error {
	var rows [][]any
	for _, series := range s.touchedSeries() {
		for _, w := range s.watches[series] {
			row, err := readingRow(w, int64(s.id), series, s.clock, &s.sums[series])
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
	}
	return insertReadings(ctx, tx, rows)
}

// encodeSums writes pairs of total and bad, by window.
func encodeSums(s *sums) (string, error) {
	var list [windowCount][2]uint64
	for w, t := range s {
		list[w] = [2]uint64{t.Total, t.Bad}
	}
	b, err := json.Marshal(list)
	return string(b), err
}

func decodeSums(text string) (s sums, err error) {
	var list [][2]uint64
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != int(windowCount) {
		return s, fmt.Errorf("slo: a reading is damaged: %d windows: %w", len(list), err)
	}
	for w, t := range list {
		s[w] = Tally{t[0], t[1]}
	}
	return s, nil
}

// load reads a shard from the database.
func (f *Feature) load(ctx context.Context, partition int32) (*shardState, error) {
	s := newShardState(partition)
	err := f.db.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx, `SELECT revision, version, clock FROM shard WHERE id = $1`, s.id).
			Scan(&s.revision, &s.version, &s.clock)
		if errors.Is(err, sql.ErrNoRows) {
			s.fresh = true
			err = nil
		}
		if err != nil {
			return err
		}
		for _, read := range []func(context.Context, *db.Tx) error{
			s.readSeries,
			s.readBlocks,
			s.readObjectives,
			s.readPairStates,
			s.readReadings,
			s.readSeen,
		} {
			if err := read(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read shard %d: %w", partition, err)
	}
	for _, list := range s.watches {
		for _, w := range list {
			s.saved[w] = slices.Clone(w.pairs)
		}
	}
	f.log.Debug("shard read", "shard", partition, "lines", len(s.first), "clock", s.clock)
	return s, nil
}

// eachRow runs a query and calls row for each row.
func eachRow(ctx context.Context, tx *db.Tx, row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *shardState) readSeries(ctx context.Context, tx *db.Tx) error {
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var id, first int64
		var k seriesKey
		if err := rows.Scan(&id, &k.account, &k.zone, &k.kind, &k.value, &k.sli, &first); err != nil {
			return err
		}
		if int(id) != len(s.first) {
			return fmt.Errorf("series %d is missing", len(s.first))
		}
		s.first = append(s.first, first)
		s.series[k] = uint32(id)
		s.perAccount[k.account]++
		return nil
	}, `SELECT id, account_id, zone_id, kind, value, sli, first_at FROM line WHERE shard = $1 ORDER BY id`, s.id)
}

func (s *shardState) readBlocks(ctx context.Context, tx *db.Tx) error {
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var p blockRef
		var data []byte
		if err := rows.Scan(&p.level, &p.start, &data); err != nil {
			return err
		}
		if p.level < 0 || p.level >= levelCount {
			return errBlock
		}
		list := &s.blocks[p.level]
		if n := len(*list); n > 0 && (*list)[n-1].start == p.start {
			merged, err := mergeBlocks(nil, (*list)[n-1].data, data)
			if err != nil {
				return err
			}
			(*list)[n-1].data = merged
		} else {
			*list = append(*list, block{p.start, data})
		}
		s.stored[p]++
		return nil
	}, `SELECT level, start, data FROM slo_column WHERE shard = $1 ORDER BY level, start, chunk`, s.id)
	if err != nil {
		return err
	}
	return s.restore()
}

func (s *shardState) readObjectives(ctx context.Context, tx *db.Tx) error {
	list, err := selectObjectives(ctx, tx, `ORDER BY id`)
	for _, o := range list {
		s.addObjective(o)
	}
	return err
}

// watched maps the ids of objectives to their watches.
func (s *shardState) watched() map[string]*watch {
	m := map[string]*watch{}
	for _, list := range s.watches {
		for _, w := range list {
			m[w.ID] = w
		}
	}
	return m
}

func (s *shardState) readPairStates(ctx context.Context, tx *db.Tx) error {
	known := s.watched()
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var objective, pair string
		var state int64
		var st pairState
		if err := rows.Scan(&objective, &pair, &state, &st.since, &st.began, &st.alerted); err != nil {
			return err
		}
		st.state = alertState(state)
		if w := known[objective]; w != nil {
			if i := slices.IndexFunc(w.rules, func(p Pair) bool { return p.key() == pair }); i >= 0 {
				w.pairs[i] = st
			}
		}
		return nil
	}, `SELECT objective_id, pair, state, since, began, told FROM standing WHERE shard = $1`, s.id)
}

// readReadings reads the time of the newest request of each watch. Without a stored reading, that is the end of the
// series' newest bucket.
func (s *shardState) readReadings(ctx context.Context, tx *db.Tx) error {
	known := s.watched()
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var objective string
		var series, at int64
		if err := rows.Scan(&objective, &series, &at); err != nil {
			return err
		}
		if w := known[objective]; w != nil && int64(w.series) == series {
			w.dataAt = at
			delete(known, objective)
		}
		return nil
	}, `SELECT objective_id, line, data_at FROM reading WHERE shard = $1`, s.id)
	if err != nil {
		return err
	}
	s.dirty.drain(func(uint32) {})
	s.touched.drain(func(uint32) {})
	for _, w := range known { // no reading yet: the next batch writes it
		s.mark(w.series)
		list, err := s.history(w.series, 0)
		if err != nil {
			return err
		}
		if n := len(list); n > 0 {
			w.dataAt = min(list[n-1].End, s.clock)
		}
	}
	return nil
}

func (s *shardState) readSeen(ctx context.Context, tx *db.Tx) error {
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var key []byte
		var at int64
		if err := rows.Scan(&key, &at); err != nil || len(key) != len(batchID{}) {
			return err
		}
		s.seen[batchID(key)] = at
		s.newest = max(s.newest, at)
		return nil
	}, `SELECT id, at FROM seen WHERE shard = $1`, s.id)
}
