package producer

import (
	"context"
	"encoding/json"
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

// Rejects says whose refused events are asked for: a team's, an account's, or,
// with both empty, those without a valid account (the operators' alone).
type Rejects struct {
	Team    string
	Account string
}

func (w Rejects) key() ownerKey {
	switch {
	case w.Team != "":
		return ownerKey{scopeTeam, w.Team}
	case w.Account != "":
		return ownerKey{scopeAccount, w.Account}
	}
	return ownerKey{scopeOperators, ""}
}

// RejectFilter narrows a list. Zero values ask for everything.
type RejectFilter struct {
	Code    int // of the first fault
	Product string
}

// RejectPlace is a place in a list: behind this reject.
type RejectPlace struct {
	At int64  `json:"at"`
	ID string `json:"id"`
}

// ListRejects gives refused events, newest first, and where the list goes on
// (nil = nowhere).
func (r *Registry) ListRejects(ctx context.Context, of Rejects, filter RejectFilter, from RejectPlace, limit int) (list []Reject, next *RejectPlace, err error) {
	k := of.key()
	if from == (RejectPlace{}) {
		from.At = 1 << 62
	}
	err = r.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT at, id, content FROM reject WHERE scope = $1 AND owner = $2 AND (at, id) < ($3, $4)
			AND ($5 = 0 OR code = $5) AND ($6 = '' OR product = $6) ORDER BY at DESC, id DESC LIMIT $7`,
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
			list, last = append(list, one), place
		}
		return rows.Err()
	})
	return list, next, err
}

// FaultCount says how often one fault was found.
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

// SummariseRejects counts by code, field and product.
func (r *Registry) SummariseRejects(ctx context.Context, of Rejects) (RejectSummary, error) {
	k := of.key()
	s := RejectSummary{Faults: []FaultCount{}}
	err := r.db.View(ctx, func(tx *db.Tx) error {
		since := r.now().Add(-23*time.Hour).UnixMicro() / time.Hour.Microseconds()
		rows, err := tx.Query(ctx, `SELECT code, pointer, product, CAST(sum(n) AS BIGINT) FROM fault WHERE scope = $1 AND owner = $2 AND hour >= $3
			GROUP BY code, pointer, product ORDER BY 4 DESC, code, pointer, product LIMIT 101`, k.scope, k.owner, since)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f FaultCount
			if err := rows.Scan(&f.Code, &f.Pointer, &f.Product, &f.Count); err != nil {
				return err
			}
			if f.Code == 0 {
				s.Rejected = f.Count
				continue
			}
			if e, ok := errs.Code(f.Code).Entry(); ok {
				f.Title = e.Title
			}
			if len(s.Faults) < 100 {
				s.Faults = append(s.Faults, f)
			}
		}
		return rows.Err()
	})
	return s, err
}
