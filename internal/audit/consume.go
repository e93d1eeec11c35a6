package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Consume is the handler of the topic of events: it prepares a batch of one
// partition on all processors, and appends what is good, sends back what is
// not (an id that belongs to another event is found out only by appending), and
// moves the partition's offset, in one transaction. Events of one
// account may arrive on two partitions (producers' partitioners differ): the
// head's lock puts them in order, and the offset row fences.
func (in *Intake) Consume(l *ledger.Ledger) func(context.Context, *bus.Batch) error {
	return func(ctx context.Context, b *bus.Batch) error {
		all, err := in.prepareAll(ctx, b)
		if err != nil {
			return err
		}
		var good []*ledger.Pending
		for _, p := range all {
			if p.Status != ledger.Rejected {
				good = append(good, p)
			}
		}
		return l.AppendWithHooks(ctx, good, b.Commit, func(ctx context.Context, tx *db.Tx) error {
			return enqueueRejects(ctx, tx, refusedEvents(b, all, in.now()))
		})
	}
}

// busOrigin names the sender of a record of the bus, and the id and the time of its
// event where the event names none.
func busOrigin(b *bus.Batch, i int) Origin {
	r := &b.Records[i]
	at := r.Time
	if t, err := time.Parse(time.RFC3339Nano, r.Header("ce_time")); err == nil {
		at = t
	}
	return Origin{By: record.Submitter{Type: "bus", ID: b.Topic}, Interface: "SYSTEM", ID: recordID(b, r), OccurredAt: at}
}

// recordID identifies the event of a record: by the id of its CloudEvent, else by
// its place and content. Read again after a crash, a record has the same id; other
// content at the same place (a log that lost its end) has another one.
func recordID(b *bus.Batch, r *bus.Record) string {
	id := r.Header("ce_id")
	if record.ValidID(id) {
		return id
	}
	parts := []string{r.Header("ce_source"), id} // unique together, and too long or odd for an id
	if id == "" {
		parts = []string{
			b.Topic,
			strconv.Itoa(int(b.Partition)),
			strconv.FormatInt(r.Offset, 10),
			strconv.FormatInt(r.Time.UnixMilli(), 10),
			string(r.Key),
			string(r.Value),
		}
	}
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// refusedEvents describes the events of a batch that are not in the record.
func refusedEvents(b *bus.Batch, all []*ledger.Pending, now time.Time) (bad []event.Reject) {
	for i, p := range all {
		if p.Status == ledger.Rejected || p.Status == ledger.Conflict {
			place := &event.Fetched{Topic: b.Topic, Partition: b.Partition, Offset: b.Records[i].Offset}
			bad = append(bad, newReject(busOrigin(b, i), "kafka", p, b.Records[i].Value, place, now))
		}
	}
	return bad
}

// AppendOwn stores Belfry's own events, as the relay of a feature's outbox
// passes them. A refused event is a defect of Belfry: the relay logs it and
// goes on, or one bad event would hold up all later ones.
func (in *Intake) AppendOwn(ctx context.Context, l *ledger.Ledger, values [][]byte) (refused errs.List, err error) {
	seed := seeds(len(values))
	var good []*ledger.Pending
	for i, v := range values {
		p, err := in.Prepare(ctx, Origin{
			By:        record.Submitter{Type: "system", ID: event.Product},
			Belfry:    true,
			Interface: "SYSTEM",
		}, v, seed[i])
		if err != nil {
			return refused, err
		}
		if p.Status == ledger.Rejected {
			refused = append(refused, p.Faults...)
			continue
		}
		good = append(good, p)
	}
	return refused, l.Append(ctx, good, nil)
}
