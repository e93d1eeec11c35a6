package slo

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// load reads a shard from the database.
func (f *Feature) load(ctx context.Context, partition int32) (*shardState, error) {
	s := newShardState(partition)
	s.resident = f.resident
	err := f.db.View(ctx, func(tx *db.Tx) error {
		var clock, behind int64
		// Before the objectives: a change in between is applied twice, not never.
		err := tx.QueryRow(ctx, `SELECT seq FROM objective_seq WHERE id = 1`).Scan(&s.applied)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT version, clock, behind FROM shard WHERE id = $1`, s.id).
			Scan(&s.version, &clock, &behind)
		if errors.Is(err, sql.ErrNoRows) {
			s.fresh = true
			err = nil
		}
		if err != nil {
			return err
		}
		s.SetClock(clock)
		s.behind = behind != 0
		s.Load = func(ref tally.Ref) ([]byte, error) { return readChunk(ctx, tx, s.id, ref) }
		for _, read := range []func(context.Context, *db.Tx) error{
			s.readSeries,
			s.readObjectives,
			s.readExclusions,
			s.readBlocks,
			s.attachAllExclusions,
			s.readStates,
			s.readOrigins,
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
	s.setSaved()
	f.metrics.reads.Inc()
	f.log.Debug("shard read", "shard", partition, "lines", s.Len(), "clock", s.Clock())
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
		if int(id) != s.Len() {
			return fmt.Errorf("series %d is missing", s.Len())
		}
		series := s.AddSeries(first)
		if k.kind == kindFree {
			s.free = append(s.free, series)
			return nil
		}
		if k.kind == kindExcluded {
			s.excludedBy[k.value] = excludedSeries{k, series}
		}
		s.series.Put(s.keyOf(&k), series)
		s.perAccount[k.account]++
		return nil
	}, `SELECT id, account_id, zone_id, kind, value, sli, first_at FROM line WHERE shard = $1 ORDER BY id`, s.id)
}

// readBlocks restores the blocks, chunk by chunk: the lines of a chunk stay in the caches. Objectives are read before.
func (s *shardState) readBlocks(ctx context.Context, tx *db.Tx) error {
	chunks := (s.Len() + 1<<tally.ChunkBits - 1) >> tally.ChunkBits
	for chunk := range chunks {
		err := eachRow(ctx, tx, func(rows *sql.Rows) error {
			ref := tally.Ref{Chunk: uint32(chunk)}
			var data []byte
			if err := rows.Scan(&ref.Level, &ref.Start, &data); err != nil {
				return err
			}
			return s.Restore(ref, data, s.Resident() < s.resident)
		}, `SELECT level, start, data FROM slo_column WHERE shard = $1 AND chunk = $2 ORDER BY level, start`,
			s.id, int64(chunk))
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *shardState) readObjectives(ctx context.Context, tx *db.Tx) error {
	list, err := selectObjectives(ctx, tx, `ORDER BY id`)
	for _, o := range list {
		if w := s.addObjective(o); w != nil {
			own := o.watched()
			s.Watch(w.series, own.Budget, own.Rules)
		}
	}
	return err
}

// byObjective maps the ids of objectives to their watches.
func (s *shardState) byObjective() map[string]*watch {
	m := make(map[string]*watch, len(s.watches))
	for _, w := range s.watches {
		if w != nil {
			m[w.ID] = w
		}
	}
	return m
}

// readStates reads the states of all pairs, and the time of the newest request of each watch.
func (s *shardState) readStates(ctx context.Context, tx *db.Tx) error {
	known := s.byObjective()
	if err := s.readPairStates(ctx, tx, known, ""); err != nil {
		return err
	}
	if err := s.readDataAt(ctx, tx, known, ""); err != nil {
		return err
	}
	s.ClearDirty()
	s.ClearTouched()
	if s.behind {
		return s.touchAll()
	}
	return s.findDataAt(known)
}

// readPairStates reads the states of the pairs of one objective, or of all.
func (s *shardState) readPairStates(ctx context.Context, tx *db.Tx, known map[string]*watch, one string) error {
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
				pairs := w.states()
				pairs[i] = st
				s.setPairs(w, pairs)
			}
		}
		return nil
	}, `SELECT objective_id, pair, state, since, began, told FROM standing
		WHERE shard = $1 AND ($2 = '' OR objective_id = $2)`, s.id, one)
}

// readDataAt reads the time of the newest request of one objective, or of all, and removes from known the objectives
// that have a stored reading.
func (s *shardState) readDataAt(ctx context.Context, tx *db.Tx, known map[string]*watch, one string) error {
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
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
	}, `SELECT objective_id, line, data_at FROM reading WHERE shard = $1 AND ($2 = '' OR objective_id = $2)`, s.id, one)
}

// findDataAt finds the time of the newest request of objectives without a stored reading: the end of their series'
// newest bucket. The next batch writes their readings.
func (s *shardState) findDataAt(known map[string]*watch) error {
	missing := slices.SortedFunc(maps.Values(known), func(a, b *watch) int { return cmp.Compare(a.series, b.series) })
	for list := range slices.Chunk(missing, maxHistories) {
		var series []uint32
		for _, w := range list {
			s.Mark(w.series)
			series = append(series, w.series)
		}
		series = slices.Compact(series)
		histories, err := s.Histories(series, 0)
		if err != nil {
			return err
		}
		for _, w := range list {
			i, _ := slices.BinarySearch(series, w.series)
			if n := len(histories[i]); n > 0 {
				w.dataAt = min(histories[i][n-1].End, s.Clock())
			}
		}
	}
	return nil
}

// touchAll follows the reading of a shard that is behind: any reading may be older than the counts.
func (s *shardState) touchAll() error {
	for _, w := range s.watches {
		if w != nil {
			s.Touch(w.series)
		}
	}
	return s.Newest(s.watched, func(series uint32, end int64) {
		for w := range s.watchesOf(series) {
			w.dataAt = max(w.dataAt, min(end, s.Clock()))
		}
	})
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
