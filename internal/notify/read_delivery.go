package notify

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// deliveryView reads deliveries with what lists show of their alert.
var deliveryView = `SELECT ` + delivery.Columns + `,
	COALESCE(a.id, ''), COALESCE(a.summary, 'Digest: ' || g.total || ' alerts', 'Test message'),
	COALESCE(a.type, g.alert_type, 'belfry_test'),
	COALESCE(t.status, 0), COALESCE(t.took, 0)
	FROM delivery d LEFT JOIN alert a ON a.alert_key = d.payload
	LEFT JOIN digest g ON g.id = substr(d.payload, 8)
	LEFT JOIN attempt t ON t.delivery_id = d.id AND t.n = d.attempts`

func deliveriesOf(ctx context.Context, tx *db.Tx, rest string, args ...any) ([]Delivery, error) {
	return db.Collect(ctx, tx, scanDelivery, deliveryView+rest, args...)
}

func scanDelivery(row db.Row) (d Delivery, err error) {
	var s delivery.Stored
	var took int64
	if err := s.Scan(row, &d.AlertID, &d.summary, &d.kind, &d.lastStatus, &took); err != nil {
		return d, err
	}
	d.lastTook = time.Duration(took) * time.Microsecond
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
	d.Escalated = about.Escalated
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

// deliveryStates are the states by which deliveries are filtered.
var deliveryStates = []string{
	delivery.StateDelivered,
	delivery.StateWaiting,
	delivery.StateFailed,
	delivery.StateNotSent,
	delivery.StateSuperseded,
	delivery.StateKept,
}

// deliveryFilter selects deliveries of an account. Zero fields select all.
type deliveryFilter struct {
	account     string
	destination string // id of one of the account's destinations
	states      []string
	notStates   []string
	since       time.Time // when they were made
	before      time.Time
}

// where is the condition of a filter; its parameters begin at $1. Deliveries of a
// destination are read from the index of the destination, which belongs to one account.
func (f *deliveryFilter) where() (where string, args []any) {
	if f.destination != "" {
		where = ` WHERE d.destination = $1`
		args = append(args, f.destination)
	} else {
		where = ` WHERE d.tenant = $1`
		args = append(args, f.account)
	}
	add := func(condition string, value any) {
		args = append(args, value)
		where += ` AND ` + condition + `$` + itoa(len(args))
	}
	if !f.since.IsZero() {
		add(`d.id >= `, id.Lowest(f.since))
	}
	if !f.before.IsZero() {
		add(`d.id < `, id.Lowest(f.before))
	}
	if len(f.states) > 0 {
		where += ` AND d.state IN (` + db.Parameters(&args, f.states) + `)`
	}
	if len(f.notStates) > 0 {
		where += ` AND d.state NOT IN (` + db.Parameters(&args, f.notStates) + `)`
	}
	return where, args
}

// history is a page of the deliveries that a filter selects, the newest first, and
// how many there are (at most countMost).
func (n *Feature) history(
	ctx context.Context, f deliveryFilter, offset, limit int,
) (list []Delivery, total int, err error) {
	where, args := f.where()
	count := len(args)
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 AS one FROM delivery d`+where+
			` LIMIT $`+itoa(count+1)+`) AS capped`, append(slices.Clone(args), countMost)...).Scan(&total)
		if err != nil {
			return err
		}
		list, err = deliveriesOf(ctx, tx, where+` ORDER BY d.id DESC LIMIT $`+itoa(count+1)+` OFFSET $`+itoa(count+2),
			append(slices.Clone(args), limit, offset)...)
		return err
	})
	return list, total, err
}

// deliveriesAfter is the part of a list of deliveries, the newest first, after the
// delivery with an id; "" = from the beginning.
func (n *Feature) deliveriesAfter(
	ctx context.Context, f deliveryFilter, after string, limit int,
) (list []Delivery, err error) {
	where, args := f.where()
	if after != "" {
		args = append(args, after)
		where += ` AND d.id < $` + itoa(len(args))
	}
	args = append(args, limit)
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = deliveriesOf(ctx, tx, where+` ORDER BY d.id DESC LIMIT $`+itoa(len(args)), args...)
		return err
	})
	return list, err
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return itoa(n) + " " + many
}
