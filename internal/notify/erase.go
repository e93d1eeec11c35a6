package notify

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Texts that replace the texts of an event whose values were erased.
const (
	erasedChange = "A change whose personal data was erased on request"
	erasedBody   = "[erased on request]"
)

// eraseChunk is the number of alerts that one transaction of an erasure reads.
const eraseChunk = 200

// Erased follows an erasure in some events of an account: the changes that were
// shown with alerts lose the sentence and the name, and the messages that listed
// them are kept without their bodies. It may run twice.
func (n *Feature) Erased(ctx context.Context, account string, events map[string]bool) error {
	// Messages that are composed from here on read the stored changes.
	n.erasures.Add(1)
	defer n.erasures.Add(1)
	n.awaitLookups(ctx)
	for from, more := (alertPlace{at: -1 << 62}), true; more; {
		var err error
		if from, more, err = n.eraseNext(ctx, account, events, from); err != nil {
			return err
		}
	}
	return n.DB.Scrub(ctx)
}

// awaitLookups waits for the lookups in progress: they may have read the events
// before the erasure.
func (n *Feature) awaitLookups(ctx context.Context) {
	for _, done := range n.lookups.open() {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

// alertPlace is a place in an account's alerts.
type alertPlace struct {
	at  int64
	key string
}

// eraseNext looks at the next alerts of an account.
func (n *Feature) eraseNext(
	ctx context.Context, account string, events map[string]bool, from alertPlace,
) (last alertPlace, more bool, err error) {
	err = n.DB.Tx(ctx, func(tx *db.Tx) error {
		found, at, err := alertsWithChanges(ctx, tx, account, from)
		if err != nil {
			return err
		}
		last, more = at, len(found) == eraseChunk
		for _, a := range found {
			if err := a.erase(ctx, tx, events); err != nil {
				return err
			}
		}
		return nil
	})
	return last, more, err
}

// alertChanges is an alert with the changes that its messages listed.
type alertChanges struct {
	key     string
	changes []Change
}

func (a alertChanges) erase(ctx context.Context, tx *db.Tx, events map[string]bool) error {
	if !slices.ContainsFunc(a.changes, func(c Change) bool { return events[c.EventID] }) {
		return nil
	}
	for i := range a.changes {
		if events[a.changes[i].EventID] {
			a.changes[i].Actor = ""
			a.changes[i].Summary = erasedChange
		}
	}
	list, err := json.Marshal(a.changes)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE alert SET changes = $2 WHERE alert_key = $1`, a.key, list); err != nil {
		return err
	}
	// A receiver's answer may repeat the message.
	_, err = tx.Exec(ctx, `UPDATE attempt SET body = $2, answer = $2 WHERE delivery_id IN (SELECT id FROM delivery d
			WHERE `+delivery.OfSubject+`)`,
		a.key, []byte(erasedBody))
	return err
}

// alertsWithChanges reads the next alerts of an account, and returns the position of
// the last one.
func alertsWithChanges(
	ctx context.Context, tx *db.Tx, account string, from alertPlace,
) (list []alertChanges, last alertPlace, err error) {
	last = from
	scan := func(row db.Row) (a alertChanges, err error) {
		var changes []byte
		if err := row.Scan(&last.at, &last.key, &changes); err != nil {
			return a, err
		}
		a.key = last.key
		err = json.Unmarshal(changes, &a.changes)
		return a, err
	}
	list, err = db.Collect(ctx, tx, scan, `SELECT occurred_at, alert_key, changes FROM alert
		WHERE account_id = $1 AND state <> 'part' AND (occurred_at, alert_key) > ($2, $3)
		ORDER BY occurred_at, alert_key LIMIT $4`,
		account, from.at, from.key, eraseChunk)
	return list, last, err
}
