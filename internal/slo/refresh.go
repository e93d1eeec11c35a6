package slo

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// A change of an objective is noted in objective_change, in its transaction. Before each batch, and after a commit that
// a change overlapped, a shard applies the changes that it does not know yet: only the series of these objectives are
// read again.

// keptChanges is the number of changes that are kept. A shard that missed more reads its whole state again.
const keptChanges = 10_000

// changedObjective names an objective and its zone.
type changedObjective struct{ account, zone, id string }

func (o *Objective) ref() changedObjective { return changedObjective{o.account, o.Match.Zone, o.ID} }

// change runs fn in a transaction that overlaps no other change and no commit of a batch; note notes an objective that
// shards read again.
func (f *Feature) change(ctx context.Context, fn func(tx *db.Tx, note func(changedObjective) error) error) error {
	return f.cfg.Change(ctx, func(tx *db.Tx) error {
		// Both statements lock rows until the commit, in this order. Batches lock the row of their shard.
		if _, err := tx.Exec(ctx, `UPDATE objective_seq SET seq = seq + 1 WHERE id = 1`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE shard SET revision = revision + 1`); err != nil {
			return err
		}
		var seq int64
		if err := tx.QueryRow(ctx, `SELECT seq FROM objective_seq WHERE id = 1`).Scan(&seq); err != nil {
			return err
		}
		noted := 0
		err := fn(tx, func(o changedObjective) error {
			seq += int64(min(noted, 1))
			noted++
			_, err := tx.Exec(ctx, `INSERT INTO objective_change (seq, account_id, zone_id, objective_id)
				VALUES ($1, $2, $3, $4)`, seq, o.account, o.zone, o.id)
			return err
		})
		if err != nil {
			return err
		}
		if noted == 0 { // every number has a row: a shard notices a gap
			_, err := tx.Exec(ctx, `UPDATE objective_seq SET seq = $1 WHERE id = 1`, seq-1)
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE objective_seq SET seq = $1 WHERE id = 1`, seq); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM objective_change WHERE seq <= $1`, seq-keptChanges)
		return err
	})
}

// readChanges reads the objectives that changed after a number, each once, and the number of the last change. The error
// is errStale when some changes are no longer kept.
func readChanges(ctx context.Context, tx *db.Tx, after int64) (list []changedObjective, last int64, err error) {
	last = after
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var o changedObjective
		var seq int64
		if err := rows.Scan(&seq, &o.account, &o.zone, &o.id); err != nil {
			return err
		}
		if seq != last+1 {
			return errStale
		}
		last = seq
		if !slices.Contains(list, o) {
			list = append(list, o)
		}
		return nil
	}, `SELECT seq, account_id, zone_id, objective_id FROM objective_change WHERE seq > $1 ORDER BY seq`, after)
	return list, last, err
}

// refresh applies the changes of objectives that the shard does not know yet. Their series are evaluated next if mark
// is set: when the changes were made before the newest batch.
func (f *Feature) refresh(ctx context.Context, s *shardState, mark bool) error {
	err := f.db.View(ctx, func(tx *db.Tx) error {
		list, last, err := readChanges(ctx, tx, s.applied)
		if err != nil || len(list) == 0 {
			return err
		}
		s.applied = last
		s.Load = func(ref tally.Ref) ([]byte, error) { return readChunk(ctx, tx, s.id, ref) }
		touched, err := s.replaceObjectives(ctx, tx, list)
		for series := range touched {
			if mark {
				s.Mark(series)
			}
		}
		f.metrics.refreshed.Add(float64(len(touched)))
		return err
	})
	s.setSaved()
	return err
}

// replaceObjectives reads objectives again that were created, changed or deleted, with the states of their pairs. It
// returns the series that this touches.
func (s *shardState) replaceObjectives(
	ctx context.Context, tx *db.Tx, list []changedObjective,
) (touched map[uint32]bool, err error) {
	touched = map[uint32]bool{}
	for _, ref := range list {
		s.removeObjective(ref, touched)
	}
	added := map[string]bool{}
	for _, ref := range list {
		o, err := findObjective(ctx, tx, ref.account, ref.id)
		switch {
		case isGone(err), err == nil && (o.Match.Zone != ref.zone || added[o.ID]):
			continue // deleted, or noted again with its present zone
		case err != nil:
			return nil, err
		}
		added[o.ID] = true
		if w := s.addObjective(o); w != nil {
			touched[w.series] = true
		}
	}
	for objectiveID := range added {
		list, err := readExclusions(ctx, tx, "", objectiveID, s.Clock()-kept)
		if err != nil {
			return nil, err
		}
		s.exclusions[objectiveID] = list[objectiveID]
	}
	if err := s.freeExcluded(); err != nil {
		return nil, err
	}
	var recount []uint32
	for series := range touched {
		if s.rewatch(series) {
			recount = append(recount, series)
		}
	}
	slices.Sort(recount)
	if err := s.Recount(recount); err != nil {
		return nil, err
	}
	known := map[string]*watch{}
	for series := range touched {
		for w := range s.watchesOf(series) {
			if added[w.ID] {
				known[w.ID] = w
			}
		}
	}
	for _, objectiveID := range slices.Sorted(maps.Keys(known)) {
		if len(s.exclusions[objectiveID]) > 0 {
			if err := s.attachExclusions(known[objectiveID]); err != nil {
				return nil, err
			}
		}
		if err := s.readPairStates(ctx, tx, known, objectiveID); err != nil {
			return nil, err
		}
		if err := s.readDataAt(ctx, tx, known, objectiveID); err != nil {
			return nil, err
		}
	}
	return touched, s.findDataAt(known)
}

// removeObjective removes an objective of a zone, and notes the series that it was attached to.
func (s *shardState) removeObjective(ref changedObjective, touched map[uint32]bool) {
	at := zoneKey{ref.account, ref.zone}
	i := slices.IndexFunc(s.objectives[at], func(o *Objective) bool { return o.ID == ref.id })
	if i < 0 {
		return
	}
	o := s.objectives[at][i]
	delete(s.exclusions, ref.id)
	s.objectives[at] = slices.Delete(s.objectives[at], i, i+1)
	if len(s.objectives[at]) == 0 {
		delete(s.objectives, at)
	}
	if o.Composite != nil {
		for _, m := range o.Composite.Members {
			s.composites[m.Objective] = slices.DeleteFunc(s.composites[m.Objective], func(other *Objective) bool {
				return other.ID == o.ID
			})
			if len(s.composites[m.Objective]) == 0 {
				delete(s.composites, m.Objective)
			}
		}
		return
	}
	k := o.seriesKey()
	key := s.keyOf(&k)
	same := func(other *Objective) bool { return other.seriesKey() == k }
	if !slices.ContainsFunc(s.objectives[at], same) {
		s.wanted.Remove(key)
	}
	series, ok := s.series.Get(key)
	if !ok {
		return
	}
	for w := range s.watchesOf(series) {
		if w.ID == ref.id {
			s.unwatch(w)
			delete(s.saved, w)
			touched[series] = true
			return
		}
	}
}

// isGone reports that an objective does not exist.
func isGone(err error) bool { return errors.Is(err, errNoObjective) }
