package notify

import (
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// deliveryView reads deliveries with what lists show of their alert.
var deliveryView = `SELECT ` + delivery.Columns + `,
	COALESCE(a.id, ''), COALESCE(a.summary, 'Test message'), COALESCE(a.type, 'belfry_test')
	FROM delivery d LEFT JOIN alert a ON a.alert_key = d.payload`

func deliveriesOf(ctx context.Context, tx *db.Tx, rest string, args ...any) ([]Delivery, error) {
	return db.Collect(ctx, tx, scanDelivery, deliveryView+rest, args...)
}

func scanDelivery(row db.Row) (d Delivery, err error) {
	var s delivery.Stored
	if err := s.Scan(row, &d.AlertID, &d.summary, &d.kind); err != nil {
		return d, err
	}
	if err := loadLabels(&s.Item); err != nil {
		return d, err
	}
	about := outgoingOf(&s.Item)
	d.ID = s.ID
	d.Event = string(about.Event)
	d.PolicyID = about.PolicyID
	d.Policy = about.Policy
	d.DestinationID = s.Destination
	d.MechanismType = s.Kind
	d.Mechanism = about.Mechanism
	d.State = s.State
	d.Reason = s.Why
	d.ReplayOf = s.ReplayOf
	d.Tries = s.Attempts
	d.CreatedAt = webTime(s.Created)
	d.EndedAt = webTime(s.Ended)
	d.NextAt = webTime(s.NextAt)
	return d, nil
}

func attemptsOf(ctx context.Context, tx *db.Tx, deliveryID string) ([]Attempt, error) {
	stored, err := delivery.Attempts(ctx, tx, deliveryID)
	list := make([]Attempt, len(stored))
	for i, a := range stored {
		list[i] = attemptOf(a)
	}
	return list, err
}

func attemptOf(a delivery.Attempt) Attempt {
	return Attempt{
		N:        a.N,
		At:       webTime(a.At),
		TookMS:   float64(a.Took.Microseconds()) / 1000,
		Status:   a.Status,
		Outcome:  a.Outcome,
		Error:    a.Error,
		Request:  a.Request,
		Body:     clean(string(a.Body)),
		Response: a.Response,
		Answer:   clean(string(a.Answer)),
	}
}

// clean makes the bytes of a request or response valid text for JSON.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

func noDelivery() *errs.Error { return errs.New(errs.CodeNotFound, "there is no such delivery") }

// Delivery reads one with its attempts.
func (n *Feature) Delivery(ctx context.Context, accountID, deliveryID string) (d Delivery, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list, err := deliveriesOf(ctx, tx, ` WHERE d.tenant = $1 AND d.id = $2`, accountID, deliveryID)
		if err != nil || len(list) == 0 {
			return or(err, noDelivery())
		}
		d = list[0]
		d.Attempts, err = attemptsOf(ctx, tx, d.ID)
		return err
	})
	return d, err
}

// countMost is how far deliveries are counted.
const countMost = 10_000

// history is a page of the deliveries made in [since, before), the newest
// first, and how many there are (at most countMost).
func (n *Feature) history(
	ctx context.Context, accountID string, since, before time.Time, offset, limit int,
) (list []Delivery, total int, err error) {
	from, to := "", "g" // sorts after every id
	if !since.IsZero() {
		from = id.Lowest(since)
	}
	if !before.IsZero() {
		to = id.Lowest(before)
	}
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx,
			`SELECT count(*) FROM (SELECT 1 AS one FROM delivery
			WHERE tenant = $1 AND id >= $2 AND id < $3 LIMIT $4) AS capped`, accountID, from, to, countMost).Scan(&total)
		if err != nil {
			return err
		}
		list, err = deliveriesOf(ctx, tx,
			` WHERE d.tenant = $1 AND d.id >= $2 AND d.id < $3
			ORDER BY d.id DESC LIMIT $4 OFFSET $5`, accountID, from, to, limit, offset)
		return err
	})
	return list, total, err
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return itoa(n) + " " + many
}
