package audit

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// SummaryInput asks for counts.
type SummaryInput struct {
	Since   string `query:"since" doc:"Date or RFC 3339; the default is 30 days before"`
	Before  string `query:"before" doc:"Date or RFC 3339; the default is now"`
	GroupBy string `query:"group_by" enum:"product,action,actor,interface,day" default:"product"`
}

// summaryRow is a group and its number of events.
type summaryRow struct {
	Key   string `json:"key"`
	Type  string `json:"type,omitempty" doc:"Of an actor"`
	Label string `json:"label,omitempty"`
	Count int64  `json:"count"`
}

func (f *Feature) summary(ctx context.Context, in *SummaryInput) ([]summaryRow, error) {
	if err := noEmptyValues(ctx); err != nil {
		return nil, err
	}
	since, before, empty, err := timeRange(in.Since, in.Before)
	if err != nil || empty {
		return []summaryRow{}, err
	}
	now := f.now()
	if before == 0 {
		before = now.UnixMicro()
	}
	if since == 0 {
		since = time.UnixMicro(before).AddDate(0, 0, -30).UnixMicro()
	}
	if in.GroupBy == "actor" || in.GroupBy == "interface" {
		return f.countBy(ctx, web.Account(ctx).ID, in.GroupBy, since, before)
	}
	return f.reader.Summary(ctx, web.Account(ctx).ID, in.GroupBy, since, before)
}

// maxGroups bounds a summary.
const maxGroups = 1000

// summaryTexts are the questions that the roll-ups answer: whole days, first to last.
var summaryTexts = map[string]string{
	"product": `SELECT product, CAST(SUM(n) AS BIGINT) FROM rollup WHERE account = $1 AND day >= $2 AND day <= $3 GROUP BY product ORDER BY 2 DESC, 1 LIMIT $4`,
	"action":  `SELECT action, CAST(SUM(n) AS BIGINT) FROM rollup WHERE account = $1 AND day >= $2 AND day <= $3 GROUP BY action ORDER BY 2 DESC, 1 LIMIT $4`,
	"day":     `SELECT CAST(day AS TEXT), CAST(SUM(n) AS BIGINT) FROM rollup WHERE account = $1 AND day >= $2 AND day <= $3 GROUP BY day ORDER BY day LIMIT $4`,
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// Summary counts by product, action or day, from since to before. The roll-ups
// know whole days (UTC); of the first and the last, what lies outside is counted
// by the index of times and taken away.
func (r *Reader) Summary(ctx context.Context, account, groupBy string, since, before int64) ([]summaryRow, error) {
	list := []summaryRow{}
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
			var row summaryRow
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
	list = slices.DeleteFunc(list, func(row summaryRow) bool { return row.Count <= 0 })
	if groupBy != "day" {
		sortRows(list)
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

// outsideTexts count what is to be taken away from a summary, by the keys of
// the facets or by the day.
var outsideTexts = map[string]string{
	"product": `SELECT product, COUNT(*) FROM reading WHERE account = $1 AND at >= $2 AND at < $3 GROUP BY product`,
	"action":  `SELECT action, COUNT(*) FROM reading WHERE account = $1 AND at >= $2 AND at < $3 GROUP BY action`,
	"day":     `SELECT 0, COUNT(*) FROM reading WHERE account = $1 AND at >= $2 AND at < $3`,
}

// takeAway counts the events of a part of one day and subtracts them.
func takeAway(ctx context.Context, tx *db.Tx, list []summaryRow, groupBy string, account int64, part [2]int64) error {
	rowOf := map[int64]*summaryRow{}
	for i := range list {
		switch groupBy {
		case "product":
			rowOf[byProduct.key(list[i].Key)] = &list[i]
		case "action":
			rowOf[byAction.key(list[i].Key)] = &list[i]
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

// countBy reads the events themselves: actors are personal, so that no roll-up
// may keep them.
func (f *Feature) countBy(ctx context.Context, account, groupBy string, since, before int64) ([]summaryRow, error) {
	groups := map[[2]string]*summaryRow{} // an actor is its type and its id
	q := Query{Since: since, Before: before, Limit: 1000}
	started := time.Now()
	for {
		page, err := f.reader.List(ctx, account, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			row := summaryRow{Key: r.Event.Interface}
			if groupBy == "actor" {
				row = summaryRow{Key: r.Event.Actor.ID, Type: r.Event.Actor.Type, Label: r.ActorName()}
			}
			known := groups[[2]string{row.Type, row.Key}]
			if known == nil {
				known = &row
				groups[[2]string{row.Type, row.Key}] = known
			}
			known.Count++
		}
		if page.Next == nil {
			list := make([]summaryRow, 0, len(groups))
			for _, row := range groups {
				list = append(list, *row)
			}
			sortRows(list)
			return list[:min(len(list), maxGroups)], nil
		}
		if time.Since(started) > searchBudget {
			return nil, errs.New(errs.CodeNarrowRange, "counting by %s reads every event; narrow the time range with since and before", groupBy)
		}
		q.After = page.Next
	}
}

// sortRows puts the largest group first.
func sortRows(list []summaryRow) {
	slices.SortFunc(list, func(a, b summaryRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Type, b.Type))
	})
}

// topRows sorts counted groups and keeps the largest.
func topRows(counts map[string]int64, labels map[string]string) []summaryRow {
	list := make([]summaryRow, 0, len(counts))
	for key, n := range counts {
		list = append(list, summaryRow{Key: key, Label: labels[key], Count: n})
	}
	sortRows(list)
	return list[:min(len(list), maxGroups)]
}
