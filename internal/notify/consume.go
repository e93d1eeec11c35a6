package notify

import (
	"bytes"
	"context"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// Consumer makes the consumer of the topic of alerts; the app runs it.
func (n *Feature) Consumer(cluster bus.Cluster) (*bus.Consumer, error) {
	return bus.NewConsumer(bus.Config{
		Cluster:    cluster,
		Group:      Group,
		Topics:     []string{event.TopicAlerts},
		DB:         n.DB,
		Handle:     n.Handle,
		MaxRecords: 500,
		Log:        n.Log,
		Registerer: n.Registerer,
	})
}

// Handle stores a batch of alerts, returns the rejected ones to their teams, and
// moves the offset, in one transaction.
func (n *Feature) Handle(ctx context.Context, b *bus.Batch) error {
	list := make([]*prepared, len(b.Records))
	var rejects []event.Reject
	for i, rec := range b.Records {
		p, err := n.prepare(ctx, sender{Sender: ingest.Sender{By: "bus"}, bus: true, own: rec.Own}, rec.Value)
		if err != nil {
			return err
		}
		p.raw = rec.Value
		p.source = &event.Fetched{Topic: b.Topic, Partition: b.Partition, Offset: rec.Offset}
		list[i] = p
		if p.status == ingest.Rejected {
			rejects = append(rejects, n.reject(p, "kafka", p.raw, p.source))
		}
	}
	stored := n.findPreceding(ctx, list)
	defer stored()
	// A conflict is found while storing; its reject is written in the same transaction.
	return n.storeAlerts(ctx, list, rejects, func(ctx context.Context, tx *db.Tx) error {
		if err := b.Commit(ctx, tx); err != nil {
			return err
		}
		return n.rejectConflicts(ctx, tx, b, list)
	})
}

// rejectConflicts returns the alerts whose id belongs to another alert to their
// teams. They are compared with the stored alerts and with the earlier records of
// the batch.
func (n *Feature) rejectConflicts(ctx context.Context, tx *db.Tx, b *bus.Batch, list []*prepared) error {
	s := n.newStoring(tx)
	if err := s.readKnown(ctx, list); err != nil {
		return err
	}
	first := map[alertName]*prepared{}
	var rejects []event.Reject
	for i, p := range list {
		if p.status == ingest.Rejected {
			continue
		}
		probe := *p
		s.known(&probe)
		if earlier := first[p.name()]; earlier == nil {
			first[p.name()] = p
		} else if !bytes.Equal(earlier.digest, p.digest) && probe.status != ingest.Conflict {
			probe.status = ingest.Conflict
			probe.faults = conflictOf(p)
		}
		if probe.status == ingest.Conflict {
			rejects = append(rejects, n.reject(&probe, "kafka", b.Records[i].Value,
				&event.Fetched{Topic: b.Topic, Partition: b.Partition, Offset: b.Records[i].Offset}))
		}
	}
	return enqueueRejects(ctx, tx, rejects)
}

// reject describes a refused alert for the team that sent it.
func (n *Feature) reject(p *prepared, via string, data []byte, source *event.Fetched) event.Reject {
	r := event.Reject{
		Kind:    "alert",
		Account: p.alert.Account,
		Via:     via,
		EventID: p.alert.ID,
		Source:  source,
		By:      p.by,
	}
	if p.kind != nil {
		r.Product = p.kind.Product
		// Without a team's own token it goes to the team that declares the type.
		r.Producer = p.kind.Team
	}
	for _, f := range p.faults {
		r.Errors = append(r.Errors, event.Fault{Code: int(f.Code), Pointer: f.Pointer, Message: f.Message})
	}
	return event.NewReject(r, n.Now(), data)
}
