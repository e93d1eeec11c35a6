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

// RejectFilter narrows a list. Zero values select everything.
type RejectFilter struct {
	Code    int // of the first fault
	Product string
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
	k := of.key()
	if from == (RejectPlace{}) {
		from.At = 1 << 62
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT at, id, content FROM reject
			WHERE scope = $1 AND owner = $2 AND (at, id) < ($3, $4)
			AND ($5 = 0 OR code = $5) AND ($6 = '' OR product = $6)
			ORDER BY at DESC, id DESC LIMIT $7`,
			k.scope, k.owner, from.At, from.ID, filter.Code, short(filter.Product), limit+1)
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
