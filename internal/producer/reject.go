package producer

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Reject is a refused event as its producer sees it.
type Reject struct {
	ID string `json:"id"`
	event.Reject
}

// Rejects selects the refused events of a team or of an account or, with both
// empty, the ones without a valid account, which only operators see.
type Rejects struct {
	Team    string
	Account string
}

func (w Rejects) key() ownerKey {
	switch {
	case w.Team != "":
		return ownerKey{scope: scopeTeam, owner: w.Team}
	case w.Account != "":
		return ownerKey{scope: scopeAccount, owner: w.Account}
	}
	return ownerKey{scope: scopeOperators}
}

// RejectFilter narrows a list. Zero values select everything. Codes and pointers
// are those of the first fault.
type RejectFilter struct {
	Codes       []int
	NotCodes    []int
	Pointers    []string // with * for indexes of arrays
	NotPointers []string
	Products    []string
	NotProducts []string
	Teams       []string // ids
	NotTeams    []string
	Since       time.Time
	Before      time.Time
}

// where is the condition of the filter; its parameters begin at $1.
func (r RejectFilter) where(of Rejects) (where string, args []any) {
	k := of.key()
	args = []any{k.scope, k.owner}
	where = ` WHERE scope = $1 AND owner = $2`
	if len(r.Codes) > 0 {
		where += ` AND code IN (` + db.Parameters(&args, r.Codes) + `)`
	}
	if len(r.NotCodes) > 0 {
		where += ` AND code NOT IN (` + db.Parameters(&args, r.NotCodes) + `)`
	}
	among := func(column string, values []string) {
		var stored []string
		for _, v := range values {
			stored = append(stored, short(v))
		}
		if len(stored) > 0 {
			where += ` AND ` + column + ` (` + db.Parameters(&args, stored) + `)`
		}
	}
	among(`pointer IN`, r.Pointers)
	among(`pointer NOT IN`, r.NotPointers)
	among(`product IN`, r.Products)
	among(`product NOT IN`, r.NotProducts)
	among(`team IN`, r.Teams)
	among(`team NOT IN`, r.NotTeams)
	if !r.Since.IsZero() {
		where += ` AND at >= ` + db.Parameters(&args, []int64{r.Since.UnixMicro()})
	}
	if !r.Before.IsZero() {
		where += ` AND at < ` + db.Parameters(&args, []int64{r.Before.UnixMicro()})
	}
	return where, args
}

// RejectPlace is a position in a list: behind this reject.
type RejectPlace struct {
	At int64  `json:"at"`
	ID string `json:"id"`
}

// ListRejects returns refused events, newest first, and the position from which
// the list continues (nil = this is its end).
func (f *Feature) ListRejects(
	ctx context.Context, of Rejects, filter RejectFilter, from RejectPlace, limit int,
) (list []Reject, next *RejectPlace, err error) {
	where, args := filter.where(of)
	if from != (RejectPlace{}) {
		where += ` AND (at, id) < (` + db.Parameters(&args, []any{from.At, from.ID}) + `)`
	}
	where += ` ORDER BY at DESC, id DESC LIMIT ` + db.Parameters(&args, []int{limit + 1})
	err = f.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT at, id, content FROM reject`+where, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		var last RejectPlace
		for rows.Next() {
			var place RejectPlace
			var content []byte
			if err := rows.Scan(&place.At, &place.ID, &content); err != nil {
				return err
			}
			if len(list) == limit {
				next = &last
				return nil
			}
			one := Reject{ID: place.ID}
			if err := json.Unmarshal(content, &one.Reject); err != nil {
				return err
			}
			list = append(list, one)
			last = place
		}
		return rows.Err()
	})
	return list, next, err
}

// findReject reads one refused event.
func (f *Feature) findReject(ctx context.Context, of Rejects, rejectID string) (one Reject, err error) {
	k := of.key()
	var content []byte
	err = f.db.View(ctx, func(tx *db.Tx) error {
		row := tx.QueryRow(ctx, `SELECT id, content FROM reject WHERE scope = $1 AND owner = $2 AND id = $3`,
			k.scope, k.owner, rejectID)
		return row.Scan(&one.ID, &content)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return one, errs.New(errs.CodeNotFound, "there is no such refused event any more")
	}
	if err != nil {
		return one, err
	}
	return one, json.Unmarshal(content, &one.Reject)
}

// rejectCause is a cause with its number of the stored refused events.
type rejectCause struct {
	Code    int // of the first fault
	Pointer string
	Product string
	Count   int64
	Last    time.Time
}

// rejectCauses counts the stored refused events that a filter selects by cause, the
// most frequent first. An owner has at most 10,000.
func (f *Feature) rejectCauses(
	ctx context.Context, of Rejects, filter RejectFilter, limit int,
) (list []rejectCause, err error) {
	where, args := filter.where(of)
	scan := func(row db.Row) (c rejectCause, err error) {
		var last int64
		err = row.Scan(
			&c.Code,
			&c.Pointer,
			&c.Product,
			&c.Count,
			&last,
		)
		c.Last = time.UnixMicro(last).UTC()
		return c, err
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scan, `SELECT code, pointer, product, count(*), max(at) FROM reject`+where+`
			GROUP BY code, pointer, product ORDER BY 4 DESC, code, pointer, product LIMIT `+
			db.Parameters(&args, []int{limit}), args...)
		return err
	})
	return list, err
}

// rejectTeams are the teams of the stored refused events of an owner, by id.
func (f *Feature) rejectTeams(ctx context.Context, of Rejects, limit int) (ids []string, err error) {
	where, args := RejectFilter{NotTeams: []string{""}}.where(of)
	err = f.db.View(ctx, func(tx *db.Tx) error {
		ids, err = db.Collect(ctx, tx, db.ScanText, `SELECT DISTINCT team FROM reject`+where+` ORDER BY team LIMIT `+
			db.Parameters(&args, []int{limit}), args...)
		return err
	})
	return ids, err
}

// countRejects counts the stored refused events that a filter selects.
func (f *Feature) countRejects(ctx context.Context, of Rejects, filter RejectFilter) (n int64, err error) {
	where, args := filter.where(of)
	err = f.db.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM reject`+where, args...).Scan(&n)
	})
	return n, err
}

// FaultCount is the number of refused events with one fault.
type FaultCount struct {
	Code    int    `json:"code"`
	Title   string `json:"title" doc:"Of the code"`
	Pointer string `json:"pointer,omitempty" doc:"The field; * stands for any place in a list"`
	Product string `json:"product,omitempty"`
	Count   int64  `json:"count"`
}

// RejectSummary counts the refused events of the last 24 hours, by whole hours.
type RejectSummary struct {
	Rejected int64        `json:"rejected" doc:"Events, in the last 24 hours"`
	Faults   []FaultCount `json:"faults" doc:"The most frequent first, at most 100; an event may have several"`
}

const maxFaultCounts = 100 // of a summary

// firstHour is the first of the 24 hours that are counted, since 1970.
func (f *Feature) firstHour() int64 {
	return f.now().Add(-23*time.Hour).UnixMicro() / time.Hour.Microseconds()
}

// SummariseRejects counts by code, field and product.
func (f *Feature) SummariseRejects(ctx context.Context, of Rejects) (RejectSummary, error) {
	k := of.key()
	s := RejectSummary{Faults: []FaultCount{}}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		// One row more than the faults: code 0 counts the events themselves.
		rows, err := tx.Query(ctx, `
			SELECT code, pointer, product, CAST(sum(n) AS BIGINT) FROM fault
			WHERE scope = $1 AND owner = $2 AND hour >= $3
			GROUP BY code, pointer, product
			ORDER BY 4 DESC, code, pointer, product LIMIT $4`, k.scope, k.owner, f.firstHour(), maxFaultCounts+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var count FaultCount
			if err := rows.Scan(&count.Code, &count.Pointer, &count.Product, &count.Count); err != nil {
				return err
			}
			if count.Code == 0 {
				s.Rejected = count.Count
				continue
			}
			if e, ok := errs.Code(count.Code).Entry(); ok {
				count.Title = e.Title
			}
			if len(s.Faults) < maxFaultCounts {
				s.Faults = append(s.Faults, count)
			}
		}
		return rows.Err()
	})
	return s, err
}

// rejectsByOwner counts the refused events of the last 24 hours for each team or
// account, by whole hours as [Feature.SummariseRejects] does.
func (f *Feature) rejectsByOwner(ctx context.Context, scope string) (map[string]int64, error) {
	counts := map[string]int64{}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT owner, CAST(sum(n) AS BIGINT) FROM fault
			WHERE scope = $1 AND hour >= $2 AND code = 0
			GROUP BY owner`, scope, f.firstHour())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			var n int64
			if err := rows.Scan(&owner, &n); err != nil {
				return err
			}
			counts[owner] = n
		}
		return rows.Err()
	})
	return counts, err
}
