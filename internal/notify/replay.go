package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const resourceDelivery = "notification_delivery"

// Replayed names the deliveries that a replay made.
type Replayed struct {
	Deliveries []string `json:"deliveries" doc:"Ids of the new deliveries"`
}

// mostReplayed in one request.
const mostReplayed = 1000

// replaySubject is the resource of a replay's audit event.
type replaySubject struct {
	account, resource, id, name string
}

// replay repeats the deliveries that a condition selects.
func (n *Feature) replay(
	ctx context.Context, by *web.Principal, of replaySubject, where string, args ...any,
) (out Replayed, err error) {
	var items []*delivery.Item
	err = n.Change(ctx, func(tx *db.Tx) error {
		out = Replayed{Deliveries: []string{}}
		list, err := delivery.Select(ctx, tx, where, args...)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errs.New(errs.CodeStateConflict,
				"there is no delivery that could be sent again: none was made, or all are still waiting")
		}
		if items, err = n.queue.Replay(ctx, tx, list); err != nil {
			return err
		}
		for _, it := range items {
			out.Deliveries = append(out.Deliveries, it.ID)
		}
		after := map[string]any{"deliveries": len(items)}
		return n.record(ctx, tx, by,
			event.NewAudit(of.account, "replay", of.resource, of.id, of.name).Changed(nil, after))
	})
	if err == nil {
		n.queue.Offer(items)
	}
	return out, err
}

// ReplayDelivery sends one delivery again, under a new id.
func (n *Feature) ReplayDelivery(
	ctx context.Context, by *web.Principal, accountID, deliveryID string,
) (Replayed, error) {
	d, err := n.Delivery(ctx, accountID, deliveryID)
	if err != nil {
		return Replayed{}, err
	}
	if d.State == delivery.StateWaiting {
		return Replayed{}, errs.New(errs.CodeStateConflict, "the delivery is still waiting for its next attempt")
	}
	of := replaySubject{account: accountID, resource: resourceDelivery, id: d.ID, name: d.Mechanism}
	return n.replay(ctx, by, of, `WHERE tenant = $1 AND id = $2 AND state <> 'waiting'`, accountID, deliveryID)
}

// ReplayAlert sends every delivery of an alert again that is not waiting.
func (n *Feature) ReplayAlert(
	ctx context.Context, by *web.Principal, accountID, alertID string,
) (out Replayed, err error) {
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return out, err
	}
	of := replaySubject{account: accountID, resource: resourceAlert, id: a.ID, name: name}
	return n.replay(ctx, by, of, `WHERE `+delivery.OfSubject+` AND tenant = $2 AND replay_of = '' AND state <> 'waiting'
		ORDER BY id LIMIT $3`, a.key, accountID, mostReplayed)
}
