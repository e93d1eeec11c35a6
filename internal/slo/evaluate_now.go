package slo

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// evaluateNow evaluates a new or changed objective on the existing counts of its series, in the transaction that stores
// it. A shard evaluates only when counts arrive: without this, an objective on a failing property that no longer gets
// requests would stay "ok" for ever.
func (f *Feature) evaluateNow(ctx context.Context, tx *db.Tx, o *Objective) error {
	k := o.seriesKey()
	var shard, id, first, clock int64
	err := tx.QueryRow(ctx, `SELECT l.shard, l.id, l.first_at, s.clock FROM line l JOIN shard s ON s.id = l.shard
		WHERE l.account_id = $1 AND l.zone_id = $2 AND l.kind = $3 AND l.value = $4 AND l.sli = $5`,
		k.account, k.zone, k.kind, k.value, k.sli).Scan(&shard, &id, &first, &clock)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // nothing was counted yet
	}
	if err != nil {
		return err
	}
	series := uint32(id)
	histories := map[uint32][]bucket{series: nil}
	if err := readHistory(ctx, tx, shard, 0, histories); err != nil {
		return err
	}
	before, err := readingOf(ctx, tx, o)
	if err != nil {
		return err
	}
	e, w, err := engineOf(o, histories[series], first, clock)
	if err != nil {
		return err
	}
	e.alertFrom = f.now().Unix() - alertFor
	e.setPairs(w, before.pairs)
	if n := len(histories[series]); n > 0 {
		w.dataAt = min(histories[series][n-1].End, clock)
	}
	e.evaluate(w)
	if err := e.setBegan(); err != nil {
		return err
	}
	if err := writePairStates(ctx, tx, shard, w, before.pairs); err != nil {
		return err
	}
	rows := [][]any{readingRow(w, shard, series, clock, e.Sums(0, o.Window))}
	if err := insertReadings(ctx, tx, rows); err != nil {
		return err
	}
	return storeTransitions(ctx, tx, e.transitions)
}

// engineOf makes an engine with one objective, and the history of its series, number 0.
func engineOf(o *Objective, history []bucket, first, clock int64) (*engine, *watch, error) {
	e := newEngine()
	e.SetClock(clock)
	w := e.watch(o, e.AddSeries(first))
	for _, b := range history {
		level := slices.IndexFunc(tally.Levels[:], func(l struct{ Size, Keep int64 }) bool {
			return l.Size == b.End-b.Start
		})
		data := tally.Encode(nil, []tally.Entry{{Tally: b.Tally}})
		if err := e.Restore(tally.Ref{Level: level, Start: b.Start}, data, true); err != nil {
			return nil, nil, err
		}
	}
	return e, w, nil
}
