package slo

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Past is a transition that was.
type Past struct {
	ID          string   `json:"id"`
	At          web.Time `json:"at" doc:"When it happened in the counts"`
	Event       string   `json:"event" enum:"start,end"`
	Sentence    string   `json:"sentence"`
	Pair        Pair     `json:"pair"`
	Long        Reading  `json:"long"`
	Short       Reading  `json:"short"`
	BudgetLeft  float64  `json:"budget_left"`
	ExhaustedIn *int64   `json:"exhausted_in_seconds,omitempty"`
	Began       web.Time `json:"began_at"`
	Told        bool     `json:"told" doc:"It was sent as an alert; history that was replayed is not"`
	Correlation string   `json:"correlation_id"`

	objective, name string // the objective's id, and its name at the time
}

// pastPlace is where a list of transitions goes on.
type pastPlace struct {
	At int64  `json:"a"`
	ID string `json:"i"`
}

// Transitions are an objective's, newest first, before a place and since a time.
func (f *Feature) Transitions(ctx context.Context, o *Objective, since int64, before pastPlace, limit int) (list []Past, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = readPast(ctx, tx, `SELECT id, at, detail FROM transition WHERE objective_id = $1 AND at >= $2 AND (at, id) < ($3, $4) ORDER BY at DESC, id DESC LIMIT $5`,
			o.ID, since, before.At, before.ID, limit)
		return err
	})
	return list, err
}

// lately are the newest transitions of all of an account's objectives.
func (f *Feature) lately(ctx context.Context, accountID string, limit int) (list []Past, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = readPast(ctx, tx, `SELECT id, at, detail FROM transition WHERE account_id = $1 ORDER BY at DESC, id DESC LIMIT $2`, accountID, limit)
		return err
	})
	return list, err
}

func readPast(ctx context.Context, tx *db.Tx, query string, args ...any) (list []Past, err error) {
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var p Past
		var at int64
		var text string
		if err := rows.Scan(&p.ID, &at, &text); err != nil {
			return err
		}
		var d detail
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return err
		}
		p.At, p.Event, p.Sentence, p.Pair, p.Long, p.Short = seconds(at), d.Event, d.Sentence, d.Pair, d.Long, d.Short
		p.BudgetLeft, p.ExhaustedIn, p.Began, p.Told, p.objective = d.BudgetLeft, d.ExhaustedIn, seconds(d.Began), d.Told, d.Objective.ID
		p.name = d.Objective.Name
		p.Correlation = alertID(p.objective, d.Pair.key(), d.Since, Start)
		list = append(list, p)
		return nil
	}, query, args...)
	return list, err
}

// newestPast is the place before which everything lies.
var newestPast = pastPlace{1 << 60, ""}
