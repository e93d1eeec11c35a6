package ledger

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// SummaryRow is a group and its number of events.
type SummaryRow struct {
	Key   string   `json:"key"`
	Type  string   `json:"type,omitempty" doc:"Of an actor"`
	Label string   `json:"label,omitempty"`
	Count int64    `json:"count"`
	IDs   []string `json:"ids,omitempty" doc:"Of a person with several actor ids: all of them"`
	Email string   `json:"-"` // of an actor
}

// Values are the values of the filter that selects the events of the group.
func (r SummaryRow) Values() []string {
	if len(r.IDs) > 0 {
		return r.IDs
	}
	return []string{r.Key}
}

// maxGroups bounds a summary.
const maxGroups = 1000

// summaryTexts are the questions that the roll-ups answer: whole days, first to last.
var summaryTexts = map[string]string{
	"product": `SELECT product, CAST(SUM(n) AS BIGINT)
		FROM rollup WHERE account = $1 AND day >= $2 AND day <= $3 GROUP BY product ORDER BY 2 DESC, 1 LIMIT $4`,
	"action": `SELECT action, CAST(SUM(n) AS BIGINT)
		FROM rollup WHERE account = $1 AND day >= $2 AND day <= $3 GROUP BY action ORDER BY 2 DESC, 1 LIMIT $4`,
	"day": `SELECT CAST(day AS TEXT), CAST(SUM(n) AS BIGINT)
		FROM rollup WHERE account = $1 AND day >= $2 AND day <= $3 GROUP BY day ORDER BY day LIMIT $4`,
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// Summary counts by product, action or day, from since to before. The roll-ups know
// whole days (UTC); the events of the first and last day that are outside of the range
// are counted by the index of times and subtracted.
func (r *Reader) Summary(ctx context.Context, account, groupBy string, since, before int64) ([]SummaryRow, error) {
	list := []SummaryRow{}
	if before <= since {
		return list, nil
	}
	first := since / dayMicros
	last := (before - 1) / dayMicros
	err := r.db.View(ctx, func(tx *db.Tx) error {
		key, err := accountKey(ctx, tx, account)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, summaryTexts[groupBy], key, first, last, maxGroups)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var row SummaryRow
			if err := rows.Scan(&row.Key, &row.Count); err != nil {
				return err
			}
			list = append(list, row)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for _, outside := range [2][2]int64{{first * dayMicros, since}, {before, (last + 1) * dayMicros}} {
			if outside[0] < outside[1] {
				if err := takeAway(ctx, tx, list, groupBy, key, outside); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(row SummaryRow) bool { return row.Count <= 0 })
	if groupBy != "day" {
		SortRows(list)
		return list, nil
	}
	for i := range list {
		day, err := strconv.ParseInt(list[i].Key, 10, 64)
		if err != nil {
			return nil, err
		}
		list[i].Key = time.UnixMicro(day * dayMicros).UTC().Format(time.DateOnly)
	}
	return list, nil
}

// outsideTexts count the events to subtract from a summary, by the keys of
// the facets or by the day.
var outsideTexts = map[string]string{
	"product": `SELECT product, COUNT(*) FROM reading WHERE account = $1 AND at >= $2 AND at < $3 GROUP BY product`,
	"action":  `SELECT action, COUNT(*) FROM reading WHERE account = $1 AND at >= $2 AND at < $3 GROUP BY action`,
	"day":     `SELECT 0, COUNT(*) FROM reading WHERE account = $1 AND at >= $2 AND at < $3`,
}

// takeAway counts the events of a part of one day and subtracts them.
func takeAway(ctx context.Context, tx *db.Tx, list []SummaryRow, groupBy string, account int64, part [2]int64) error {
	rowOf := map[int64]*SummaryRow{}
	for i := range list {
		switch groupBy {
		case "product":
			rowOf[record.ByProduct.Key(list[i].Key)] = &list[i]
		case "action":
			rowOf[record.ByAction.Key(list[i].Key)] = &list[i]
		default:
			if list[i].Key == strconv.FormatInt(part[0]/dayMicros, 10) {
				rowOf[0] = &list[i]
			}
		}
	}
	rows, err := tx.Query(ctx, outsideTexts[groupBy], account, part[0], part[1])
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key, n int64
		if err := rows.Scan(&key, &n); err != nil {
			return err
		}
		if row := rowOf[key]; row != nil {
			row.Count -= n
		}
	}
	return rows.Err()
}

// CountBy counts by actor or interface. It reads the events themselves: actors are
// personal, so that no roll-up may keep them.
func (r *Reader) CountBy(ctx context.Context, account, groupBy string, since, before int64) ([]SummaryRow, error) {
	groups := map[[2]string]*SummaryRow{} // an actor is its type and its id
	q := Query{Since: since, Before: before, Limit: 1000}
	started := time.Now()
	for {
		page, err := r.List(ctx, account, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Records {
			row := SummaryRow{Key: rec.Event.Interface}
			if groupBy == "actor" {
				a := &rec.Event.Actor
				row = SummaryRow{Key: a.ID, Type: a.Type, Label: rec.ActorName(), Email: a.Email}
			}
			known := groups[[2]string{row.Type, row.Key}]
			if known == nil {
				known = &row
				groups[[2]string{row.Type, row.Key}] = known
			}
			known.Count++
		}
		if page.Next == nil {
			list := make([]SummaryRow, 0, len(groups))
			for _, row := range groups {
				list = append(list, *row)
			}
			SortRows(list)
			return list[:min(len(list), maxGroups)], nil
		}
		if time.Since(started) > SearchBudget {
			return nil, errs.New(errs.CodeNarrowRange,
				"counting by %s reads every event; narrow the time range with since and before", groupBy)
		}
		q.After = page.Next
	}
}

// SortRows puts the largest group first.
func SortRows(list []SummaryRow) {
	slices.SortFunc(list, func(a, b SummaryRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Type, b.Type))
	})
}
