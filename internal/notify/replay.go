package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// lowestID is the least id of a moment: ids sort by their millisecond.
func lowestID(t time.Time) string {
	return fmt.Sprintf("%012x", t.UnixMilli())
}

// named is the alert of a cause, and what the record calls it.
func (n *Feature) named(ctx context.Context, accountID, alertID string) (a Alert, name string, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		a, err = rootOf(ctx, tx, accountID, alertID)
		return err
	})
	if err != nil {
		return a, "", err
	}
	kind, err := n.AlertType(ctx, a.Type)
	return a, cut(a.thing(kind), 200), err
}

// Ack says that a person takes care of an alert.
func (n *Feature) Ack(ctx context.Context, by *web.Principal, accountID, alertID string) (Alert, error) {
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return a, err
	}
	err = n.change(ctx, func(tx *db.Tx) (err error) {
		if a, err = rootOf(ctx, tx, accountID, alertID); err != nil {
			return err
		}
		if !a.AckedAt.IsZero() {
			return nil // the first one counts
		}
		a.AckedAt, a.AckedBy = moment(n.Now()), firstOf(by.Name, by.Email, by.ID)
		if _, err := tx.Exec(ctx, `UPDATE alert SET acked_at = $2, acked_by = $3 WHERE alert_key = $1`, a.key, micros(a.AckedAt), cut(a.AckedBy, 200)); err != nil {
			return err
		}
		return n.record(ctx, tx, by, "acknowledge", resourceAlert, accountID, a.ID, name, nil, nil)
	})
	return a, err
}

// Unack takes an acknowledgement back.
func (n *Feature) Unack(ctx context.Context, by *web.Principal, accountID, alertID string) (Alert, error) {
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return a, err
	}
	err = n.change(ctx, func(tx *db.Tx) (err error) {
		if a, err = rootOf(ctx, tx, accountID, alertID); err != nil {
			return err
		}
		if a.AckedAt.IsZero() {
			return nil
		}
		a.AckedAt, a.AckedBy = web.Time{}, ""
		if _, err := tx.Exec(ctx, `UPDATE alert SET acked_at = 0, acked_by = '' WHERE alert_key = $1`, a.key); err != nil {
			return err
		}
		return n.record(ctx, tx, by, "unacknowledge", resourceAlert, accountID, a.ID, name, nil, nil)
	})
	return a, err
}

// Replayed says what a replay made.
type Replayed struct {
	Deliveries []string `json:"deliveries" doc:"Ids of the new deliveries"`
}

// mostReplayed in one request.
const mostReplayed = 1000

// replay makes new deliveries of those that a condition finds; each has an id
// of its own, since a receiver would take the old one as seen.
func (n *Feature) replay(ctx context.Context, by *web.Principal, accountID, resource, resourceID, name, rest string, args ...any) (out Replayed, err error) {
	var queued []*item
	err = n.change(ctx, func(tx *db.Tx) error {
		out, queued = Replayed{Deliveries: []string{}}, nil
		list, err := deliveriesOf(ctx, tx, rest, args...)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errs.New(errs.CodeStateConflict, "there is no delivery that could be sent again: none was made, or all are still waiting")
		}
		now := n.Now()
		for i := range list {
			d := &list[i]
			it := n.newItem(d, accountID, now)
			if d.DestinationID == "" {
				continue
			}
			if err := insertItem(ctx, tx, it, d.Mechanism, d.ID); err != nil {
				return err
			}
			queued, out.Deliveries = append(queued, it), append(out.Deliveries, it.id)
		}
		return n.record(ctx, tx, by, "replay", resource, accountID, resourceID, name, nil, map[string]any{"deliveries": len(out.Deliveries)})
	})
	if err == nil {
		n.queue.offer(queued)
	}
	return out, err
}

func (n *Feature) newItem(d *Delivery, accountID string, now time.Time) *item {
	return &item{id: n.ids.next(now), account: accountID, shard: shardOf(d.DestinationID), alertKey: d.alertKey, rootKey: d.rootKey, event: event.AlertEvent(d.Event),
		policyID: d.PolicyID, policy: d.Policy, destination: d.DestinationID, kind: d.MechanismType, due: now, created: now, replay: true}
}

func insertItem(ctx context.Context, tx *db.Tx, it *item, mechanism, replayOf string) error {
	return tx.Insert(ctx, "delivery", deliveryColumns, "", [][]any{it.row(mechanism, replayOf, stateWaiting, "")})
}

// ReplayDelivery sends one delivery again, under a new id.
func (n *Feature) ReplayDelivery(ctx context.Context, by *web.Principal, accountID, deliveryID string) (Replayed, error) {
	d, err := n.Delivery(ctx, accountID, deliveryID)
	if err != nil {
		return Replayed{}, err
	}
	if d.State == stateWaiting {
		return Replayed{}, errs.New(errs.CodeStateConflict, "the delivery is still waiting for its next attempt")
	}
	return n.replay(ctx, by, accountID, resourceDelivery, d.ID, d.Mechanism, ` WHERE d.account_id = $1 AND d.id = $2 AND d.state <> 'waiting'`, accountID, deliveryID)
}

// ReplayAlert sends every delivery of an alert again that is not waiting.
func (n *Feature) ReplayAlert(ctx context.Context, by *web.Principal, accountID, alertID string) (out Replayed, err error) {
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return out, err
	}
	return n.replay(ctx, by, accountID, resourceAlert, a.ID, name, ` WHERE d.root_key = $1 AND d.account_id = $2 AND d.replay_of = '' AND d.state <> 'waiting' ORDER BY d.id LIMIT $3`, a.key, accountID, mostReplayed)
}

// TestPolicy queues a test message to every destination of a policy.
func (n *Feature) TestPolicy(ctx context.Context, by *web.Principal, accountID, policyID string) (out Replayed, err error) {
	p, err := n.Policy(ctx, accountID, policyID)
	if err != nil {
		return out, err
	}
	var queued []*item
	err = n.change(ctx, func(tx *db.Tx) error {
		out, queued = Replayed{Deliveries: []string{}}, nil
		now := n.Now()
		s := &storing{n: n, tx: tx, now: now, mails: map[[2]string]target{}, hooks: map[string]target{}}
		targets, err := s.targets(ctx, &p)
		if err != nil {
			return err
		}
		for _, t := range targets {
			it := &item{id: n.ids.next(now), account: accountID, shard: shardOf(t.id), event: eventTest, policyID: p.ID, policy: p.Name, destination: t.id, kind: t.kind, due: now, created: now}
			if err := insertItem(ctx, tx, it, t.name, ""); err != nil {
				return err
			}
			queued, out.Deliveries = append(queued, it), append(out.Deliveries, it.id)
		}
		return n.record(ctx, tx, by, "test", resourcePolicy, accountID, p.ID, p.Name, nil, nil)
	})
	if err == nil {
		n.queue.offer(queued)
	}
	return out, err
}

// TestWebhook sends a test message now and says what came back.
func (n *Feature) TestWebhook(ctx context.Context, accountID, destinationID string) (Attempt, error) {
	d, err := n.Destination(ctx, accountID, destinationID)
	if err != nil {
		return Attempt{}, err
	}
	began := n.Now()
	r, err := n.sendTest(ctx, &d, "")
	if err != nil {
		return Attempt{}, err
	}
	a := Attempt{N: 1, At: moment(began), TookMS: float64(n.Now().Sub(began).Microseconds()) / 1000, Status: r.Status, Outcome: stateFailed, Error: r.Error,
		Request: r.Request, Body: string(r.Body), Response: r.Response, Answer: clean(string(r.Answer), keepAnswer)}
	if r.Fault == NoFault && r.Status >= 200 && r.Status < 300 {
		a.Outcome = stateDelivered
	} else if r.Fault == Kept {
		a.Outcome = stateKept
	}
	return a, nil
}

// eventTest is the event of a delivery that tests a destination.
const eventTest = event.AlertEvent("test")

const resourceDelivery = "notification_delivery"

// dropOld removes ended alerts and deliveries after their time, a part at a
// time: nobody waits long for the writer.
func (n *Feature) dropOld(ctx context.Context) error {
	before := n.Now().Add(-n.Limits.Keep)
	for _, query := range []string{
		`DELETE FROM attempt WHERE delivery_id IN (SELECT a.delivery_id FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE a.delivery_id < $1 AND d.state <> 'waiting' ORDER BY a.delivery_id LIMIT 2000)`,
		`DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE id < $1 AND state <> 'waiting' ORDER BY id LIMIT 2000)`,
		`DELETE FROM alert WHERE alert_key IN (SELECT alert_key FROM alert WHERE alert_key < $1 AND state <> 'firing' AND root_key < $1 AND NOT EXISTS (SELECT 1 FROM cause c WHERE c.account_id = alert.account_id AND c.correlation_id = alert.correlation_id AND c.own = alert.own AND c.open_key = alert.root_key) ORDER BY alert_key LIMIT 2000)`,
	} {
		for dropped := int64(1); dropped > 0 && ctx.Err() == nil; {
			err := n.DB.Tx(ctx, func(tx *db.Tx) (err error) {
				dropped, err = tx.Exec(ctx, query, lowestID(before))
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
