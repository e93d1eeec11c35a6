package slo

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
			s.writeExclusions,
			s.writeBlocks,
			s.writeSeen,
			s.writePairStates,
			s.writeReadings,
		} {
			if err := write(ctx, tx); err != nil {
				return err
			}
		}
		return storeTransitions(ctx, tx, s.unchanged(s.transitions))
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
		s.series.Put(s.keyOf(&k), s.AddSeries(first))
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
