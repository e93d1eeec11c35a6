package notify

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The sort orders of alerts.
const (
	sortNewest   = "newest"
	sortLongest  = "longest" // firing alerts first
	sortSeverity = "severity"
)

// mostSorted is how many alerts are sorted, the newest: an account may have millions, and no index has these orders.
const mostSorted = 10_000

// firingRank is above the rank of every alert that ended, which is its length in microseconds.
const firingRank = 4_000_000_000_000_000_000

// ranks are the ranks of alerts in the orders that no index has. [alertFilter.rank] computes the same.
var ranks = map[string]string{
	sortLongest: `CASE WHEN state = 'firing' THEN 4000000000000000000 - occurred_at
		WHEN ended_at > occurred_at THEN ended_at - occurred_at ELSE 0 END`,
	sortSeverity: `CASE severity WHEN 'critical' THEN 4 WHEN 'error' THEN 3 WHEN 'warning' THEN 2
		WHEN 'info' THEN 1 ELSE 0 END`,
}

// sorted reports whether the list has another order than the newest first.
func (f *alertFilter) sorted() bool { return ranks[f.sort] != "" }

// rank is the rank of an alert in the order of the list, the highest first.
func (f *alertFilter) rank(a Alert) int64 {
	switch {
	case f.sort == sortSeverity:
		return int64(slices.Index(declarable, a.Severity)) + 1
	case f.sort != sortLongest:
		return micros(a.OccurredAt)
	case a.State == stateFiring:
		return firingRank - micros(a.OccurredAt)
	}
	return max(0, micros(a.EndedAt)-micros(a.OccurredAt))
}

// position is the position of an alert in the list.
func (f *alertFilter) position(a Alert) web.Keyset { return web.Keyset{At: f.rank(a), ID: a.key} }

// alerts lists the incidents and notices that a filter selects after a position.
func (n *Feature) alerts(
	ctx context.Context, f alertFilter, after web.Keyset, limit int,
) (list []Alert, err error) {
	text, args := f.list(after, limit)
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scanAlert, text, args...)
		return err
	})
	return list, err
}

// list is the query of a part of the list. The sort orders without an index rank the keys of the newest alerts first,
// so that only the rows of this part are read whole.
func (f *alertFilter) list(after web.Keyset, limit int) (text string, args []any) {
	where, args := f.where()
	rank, sorted := ranks[f.sort]
	if !sorted {
		if after.ID != "" {
			where += ` AND (occurred_at, alert_key) < (` + db.Parameters(&args, []any{after.At, after.ID}) + `)`
		}
		text = alertView + where + ` ORDER BY occurred_at DESC, alert_key DESC LIMIT ` + db.Parameters(&args, []int{limit})
		return text, args
	}
	newest := `SELECT alert_key, ` + rank + ` AS ranked FROM alert` + where + `
		ORDER BY occurred_at DESC, alert_key DESC LIMIT ` + db.Parameters(&args, []int{mostSorted})
	keys := `SELECT alert_key FROM (` + newest + `) AS newest`
	if after.ID != "" {
		keys += ` WHERE (ranked, alert_key) < (` + db.Parameters(&args, []any{after.At, after.ID}) + `)`
	}
	keys += ` ORDER BY ranked DESC, alert_key DESC LIMIT ` + db.Parameters(&args, []int{limit})
	return alertView + ` WHERE alert_key IN (` + keys + `) ORDER BY ` + rank + ` DESC, alert_key DESC`, args
}
