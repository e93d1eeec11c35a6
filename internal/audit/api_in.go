package audit

import (
	"context"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of one request.
const (
	maxBatch     = 10_000
	maxBatchBody = 8 << 20
)

// eventFormat is the format of both on-ramps.
var eventFormat = ingest.Format{Item: record.Noun, Max: maxBatch}

// Result answers one event of a batch.
type Result struct {
	ingest.ItemResult
	Seq     *int64          `json:"seq,omitempty" doc:"Place in the account's log, from 0"`
	Receipt *ledger.Receipt `json:"receipt,omitempty" doc:"With ?receipts=true"`
}

// InParams are the parameters of both on-ramps.
type InParams struct {
	Receipts bool `query:"receipts" doc:"Give a signed receipt for each event that is accepted or a duplicate"`
}

// PublishedEvent documents the body of both on-ramps: an event, with the types of its
// open members and the short form of its zone.
type PublishedEvent struct {
	record.Event
	Zone     string         `json:"zone,omitempty" doc:"The zone (property) it belongs to, by id, name or alias" maxLength:"255"`
	Before   any            `json:"before,omitempty" doc:"The resource before the change: any JSON"`
	After    any            `json:"after,omitempty" doc:"The resource after the change: any JSON"`
	Metadata map[string]any `json:"metadata,omitempty" doc:"Open data: a JSON object"`
}

// eventErrors are the codes that events can be rejected with.
var eventErrors = []errs.Code{
	errs.CodeEventConflict, errs.CodeProductForbidden, errs.CodeActionUndeclared, errs.CodeSchemaMismatch,
	errs.CodeReservedProduct, errs.CodeEventTime, errs.CodeTooDeep, errs.CodeReceiptImpossible,
}

// registerIn adds the HTTP on-ramps.
func (f *Feature) registerIn(api *web.API) {
	op := web.Op{
		Path:       "/accounts/{account_id}/audit/events",
		ID:         "publish-audit-events",
		Tag:        "Audit log",
		Permission: account.AuditWrite,
		Summary:    "Publish events",
		Description: "One event, a JSON array, or NDJSON (application/x-ndjson); gzip is welcome. At most 10,000 " +
			"events or 8 MiB. " +
			"The answer comes after the ledger's commit and is final: one result an event, in the order of the input. " +
			"200 when at least one was accepted or is a duplicate; 400 when none was (409 when all are conflicts).",
		MaxBody: maxBatchBody,
		Accepts: ingest.MediaTypes,
		Body:    []PublishedEvent{},
		Result:  []Result{},
		Errors:  eventErrors,
	}
	web.Raw(api, "POST", op, func(ctx context.Context, in *InParams, x *web.Exchange) error {
		return f.publish(ctx, x, web.Account(ctx).ID, in.Receipts)
	})
	op.Path = "/audit/events"
	op.ID = "publish-audit-events-of-many-accounts"
	op.Scope = web.ScopeProducer
	op.Errors = append(slices.Clone(eventErrors), errs.CodeUnknownAccount)
	op.Summary = "Publish events of many accounts"
	op.Description = "For product teams: every event names its account in account_id, and its product must be in " +
		"the team's catalogue. " + op.Description
	web.Raw(api, "POST", op, func(ctx context.Context, in *InParams, x *web.Exchange) error {
		return f.publish(ctx, x, "", in.Receipts)
	})
	api.Limit("audit.batch_events", maxBatch)
	api.Limit("audit.batch_bytes", maxBatchBody)
	api.Limit("audit.event_bytes", record.MaxEvent)
	api.Limit("audit.event_depth", record.MaxDepth)
}

// origin names the sender of a request to the intake.
func origin(s ingest.Sender) Origin {
	return Origin{
		By:        record.Submitter{Type: string(s.Kind), ID: s.By},
		Account:   s.Account,
		Producer:  s.Producer,
		Operator:  s.Operator,
		Interface: "API",
	}
}

// publish answers both on-ramps.
func (f *Feature) publish(ctx context.Context, x *web.Exchange, accountID string, receipts bool) error {
	items, err := eventFormat.Read(x)
	if err != nil {
		return err
	}
	from := origin(ingest.From(ctx, accountID))
	all, err := f.intake.prepareMany(ctx, from, items.Values)
	if err != nil {
		return err
	}

	var good []*ledger.Pending
	var bad []event.Reject
	for i, p := range all {
		if p.Status != ledger.Rejected {
			p.WantReceipt = receipts
			good = append(good, p)
		} else if len(bad) < ingest.MaxRejects {
			bad = append(bad, newReject(from, "http", p, items.Values[i], nil, f.now()))
		}
	}
	var before ledger.TxHook
	if len(bad) > 0 {
		before = func(ctx context.Context, tx *db.Tx) error { return enqueueRejects(ctx, tx, bad) }
	}
	if err := f.ledger.Append(ctx, good, before); err != nil {
		return err
	}
	if len(bad) > 0 {
		f.rejected()
	}
	f.metrics.answered("http", all)

	x.Send(answer(items, all))
	return nil
}

// answer is the envelope of a request whose events all have their answers.
func answer(items ingest.Items, all []*ledger.Pending) web.Envelope {
	a := items.Answer()
	var more []byte // one buffer for all events: this is the hot path's answer
	for _, p := range all {
		more = appendMore(more[:0], p)
		a.Add(ingest.Result{ID: p.Event.ID, Status: ingest.Status(p.Status), Faults: p.Faults, More: more})
	}
	return a.Envelope()
}

// appendMore writes the members of a [Result] that other on-ramps do not have.
func appendMore(b []byte, p *ledger.Pending) []byte {
	if p.Status != ledger.Rejected {
		b = append(b, `,"seq":`...)
		b = strconv.AppendInt(b, p.Seq, 10)
	}
	if p.Receipt != nil {
		if r, err := json.Marshal(p.Receipt); err == nil {
			b = append(b, `,"receipt":`...)
			b = append(b, r...)
		}
	}
	return b
}
