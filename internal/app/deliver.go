package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// deliver delivers messages from a feature's outbox. Belfry's own audit events go directly to the ledger, because
// events on a topic that others may write to could be forged. Erasures go directly to the features that keep copies.
// All other messages go to the bus.
func (a *App) deliver(ctx context.Context, msgs []bus.Message) error {
	var own, erased [][]byte
	var rest []bus.Message
	for _, m := range msgs {
		switch m.Topic {
		case event.TopicAuditSelf:
			own = append(own, m.Value)
		case event.TopicAuditErased:
			erased = append(erased, m.Value)
		default:
			rest = append(rest, m)
		}
	}
	if len(own) > 0 {
		if err := a.Audit.AppendOwn(ctx, own); err != nil {
			return err
		}
	}
	if err := a.followErasures(ctx, erased); err != nil {
		return err
	}
	if len(rest) == 0 {
		return nil
	}
	return a.producer.Publish(ctx, rest...)
}

// ownRecorded waits until all features have delivered the audit events of an account that are in their outboxes.
func (a *App) ownRecorded(ctx context.Context, accountID string) error {
	for _, f := range a.features {
		if err := f.relay.Delivered(ctx, event.TopicAuditSelf, []byte(accountID)); err != nil {
			return err
		}
	}
	return nil
}

// skipped reports records that cannot be decoded to the operators, in the transaction that moves past them.
func (a *App) skipped(ctx context.Context, tx *db.Tx, s bus.Skipped) error {
	code := errs.CodeInvalid
	if s.TooLarge {
		code = errs.CodeTooLarge
	}
	message := fmt.Sprintf("the records from offset %d to %d were skipped: %s", s.From, s.To-1, s.Reason)
	value, err := json.Marshal(event.NewReject(event.Reject{
		Kind:   rejectKinds[s.Topic],
		Via:    "kafka",
		Source: &event.Fetched{Topic: s.Topic, Partition: s.Partition, Offset: s.From},
		Errors: []event.Fault{{Code: int(code), Message: message}},
	}, time.Now(), nil))
	if err != nil {
		return err
	}
	return bus.Enqueue(ctx, tx, bus.Message{Topic: event.TopicAuditRejects, Value: value})
}

// rejectKinds maps topics to the kind of their rejects. Topics of audit events have none.
var rejectKinds = map[string]string{
	event.TopicTrafficCounts:  "traffic",
	event.TopicTrafficSharded: "traffic",
	event.TopicAlerts:         "alert",
}

// followErasures notifies the features that keep texts of events: once for each account, with all events of a delivery.
func (a *App) followErasures(ctx context.Context, values [][]byte) error {
	events := map[string]map[string]bool{}
	newest := map[string]event.Erasure{}
	for _, v := range values {
		var e event.Erasure
		if err := json.Unmarshal(v, &e); err != nil {
			return err
		}
		if events[e.Account] == nil {
			events[e.Account] = map[string]bool{}
		}
		for _, id := range e.Events {
			events[e.Account][id] = true
		}
		if e.At > newest[e.Account].At {
			newest[e.Account] = e
		}
	}
	for accountID, ids := range events {
		if err := a.Notify.Erased(ctx, accountID, ids); err != nil {
			return err
		}
		if err := a.Producer.Erased(ctx, newest[accountID]); err != nil {
			return err
		}
		if err := a.SLO.Erased(ctx, accountID, ids); err != nil {
			return err
		}
	}
	return nil
}
