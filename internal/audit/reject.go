package audit

import (
	"context"
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// A refused event goes back to the team that sent it: through the outbox of
// the audit database to the topic of rejects, keyed by the producer.

// newReject describes a rejected event.
func newReject(
	from Origin,
	via string,
	p *ledger.Pending,
	data []byte,
	source *event.Fetched,
	now time.Time,
) event.Reject {
	team := from.Producer
	if team == "" {
		// Without a team's own token it goes to the team whose product it names.
		team = p.Owner
	}
	r := event.Reject{
		Producer: team,
		Account:  p.Account,
		Via:      via,
		EventID:  p.Event.ID,
		Product:  p.Event.Resource.Product,
		Source:   source,
		By:       from.By.ID,
	}
	for _, f := range p.Faults {
		r.Errors = append(r.Errors, event.Fault{Code: int(f.Code), Pointer: f.Pointer, Message: f.Message})
	}
	return event.NewReject(r, now, data)
}

// enqueueRejects writes them to the outbox, in the caller's transaction.
func enqueueRejects(ctx context.Context, tx *db.Tx, list []event.Reject) error {
	msgs := make([]bus.Message, len(list))
	for i, r := range list {
		value, err := json.Marshal(r)
		if err != nil {
			return err
		}
		msgs[i] = bus.Message{Topic: event.TopicAuditRejects, Key: []byte(r.Key()), Value: value}
	}
	return bus.Enqueue(ctx, tx, msgs...)
}
