package slo

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Past is a stored transition.
type Past struct {
	ID          string   `json:"id"`
	At          web.Time `json:"at" doc:"In the time of the counts"`
	Event       string   `json:"event" enum:"start,end"`
	Sentence    string   `json:"sentence"`
	Pair        Pair     `json:"pair"`
	Long        Reading  `json:"long"`
	Short       Reading  `json:"short"`
	BudgetLeft  float64  `json:"budget_left"`
	ExhaustedIn *int64   `json:"exhausted_in_seconds,omitempty"`
	Began       web.Time `json:"began_at"`
	Told        bool     `json:"told" doc:"It was sent as an alert. Replayed history is not"`
	Correlation string   `json:"correlation_id"`

	objective, name string // the objective's id, and its name at the time
}

// pastCursor is the position in a list of transitions.
type pastCursor struct {
	At int64  `json:"a"`
	ID string `json:"i"`
}

// Transitions lists the transitions of an objective since a time, newest first, from a position on.
func (f *Feature) Transitions(
	ctx context.Context, o *Objective, since int64, before pastCursor, limit int,
) (list []Past, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = readPast(ctx, tx, `SELECT id, at, detail FROM transition
			WHERE objective_id = $1 AND at >= $2 AND (at, id) < ($3, $4) ORDER BY at DESC, id DESC LIMIT $5`,
			o.ID, since, before.At, before.ID, limit)
		return err
	})
	return list, err
}

// recentTransitions lists the newest transitions of all objectives of an account.
func (f *Feature) recentTransitions(ctx context.Context, accountID string, limit int) (list []Past, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = readPast(ctx, tx, `SELECT id, at, detail FROM transition
			WHERE account_id = $1 ORDER BY at DESC, id DESC LIMIT $2`, accountID, limit)
		return err
	})
	return list, err
}

func readPast(ctx context.Context, tx *db.Tx, query string, args ...any) (list []Past, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var transitionID, text string
		var at int64
		if err := rows.Scan(&transitionID, &at, &text); err != nil {
			return err
		}
		var d detail
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return err
		}
		list = append(list, Past{
			ID:          transitionID,
			At:          timeOf(at),
			Event:       d.Event,
			Sentence:    d.Sentence,
			Pair:        d.Pair,
			Long:        d.Long,
			Short:       d.Short,
			BudgetLeft:  d.BudgetLeft,
			ExhaustedIn: d.ExhaustedIn,
			Began:       timeOf(d.Began),
			Told:        d.Told,
			Correlation: alertID(d.Objective.ID, d.Pair.key(), d.Since, Start),
			objective:   d.Objective.ID,
			name:        d.Objective.Name,
		})
		return nil
	}, query, args...)
	return list, err
}

// newestPast is the position before the newest transition.
var newestPast = pastCursor{At: 1 << 60}

// transitionsFor is the retention of transitions, in seconds.
const transitionsFor = 400 * 86400

// transitionColumns are the columns of the rows that row makes.
var transitionColumns = []string{"id", "account_id", "objective_id", "at", "detail"}

func (t *Transition) row() ([]any, error) {
	d := detailOf(t)
	d.Event = t.Event
	d.Sentence = t.Sentence()
	d.Began = t.Began
	d.Since = t.Since
	d.Told = t.alert
	text, err := json.Marshal(d)
	return []any{
		t.AlertID(),
		t.Objective.account,
		t.Objective.ID,
		t.At,
		string(text),
	}, err
}

// storeTransitions stores transitions, and enqueues the alerts of those that are not replayed history.
func storeTransitions(ctx context.Context, tx *db.Tx, list []Transition) error {
	if len(list) == 0 {
		return nil
	}
	if err := setAlso(ctx, tx, list); err != nil {
		return err
	}
	var rows [][]any
	var alerts []bus.Message
	newest := int64(0)
	for i := range list {
		t := &list[i]
		row, err := t.row()
		if err != nil {
			return err
		}
		rows = append(rows, row)
		newest = max(newest, t.At)
		if !t.alert {
			continue
		}
		value, err := json.Marshal(alertOf(t))
		if err != nil {
			return err
		}
		alerts = append(alerts, bus.Message{
			Topic: event.TopicAlerts,
			Key:   []byte(t.Objective.account),
			Value: value,
		})
	}
	err := tx.Insert(ctx, "transition", transitionColumns, `ON CONFLICT (id) DO NOTHING`, rows)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM transition WHERE at < $1`, newest-transitionsFor); err != nil {
		return err
	}
	return bus.Enqueue(ctx, tx, alerts...)
}
