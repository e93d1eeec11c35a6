package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of one request.
const (
	maxBatch     = 10_000
	maxBatchBody = 8 << 20
	// maxRejectsKept is how many refused events of one request go back to the
	// team by topic; the answer names all of them.
	maxRejectsKept = 100
	// maxErrorsShown is how many faults the envelope repeats; each result has its own.
	maxErrorsShown = 20
)

// Result answers one event of a batch.
type Result struct {
	Index   int             `json:"index"`
	ID      string          `json:"id"`
	Status  ledger.Status   `json:"status" enum:"accepted,duplicate,conflict,rejected"`
	Seq     *int64          `json:"seq,omitempty" doc:"Place in the account's log, from 0"`
	Receipt *ledger.Receipt `json:"receipt,omitempty" doc:"With ?receipts=true"`
	Errors  []ResultProblem `json:"errors,omitempty"`
}

// ResultProblem is one reason why an event was not stored.
type ResultProblem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Source  struct {
		Pointer string `json:"pointer"`
	} `json:"source"`
}

// InParams are the parameters of both on-ramps.
type InParams struct {
	Receipts bool `query:"receipts" doc:"Give a signed receipt for each event that is accepted or a duplicate"`
}

// registerIn adds the HTTP on-ramps.
func (f *Feature) registerIn(api *web.API) {
	op := web.Op{
		Path:       "/accounts/{account_id}/audit/events",
		ID:         "publish-audit-events",
		Tag:        "Audit log",
		Permission: "audit:write",
		Summary:    "Publish events",
		Description: "One event, a JSON array, or NDJSON (application/x-ndjson); gzip is welcome. At most 10,000 " +
			"events or 8 MiB. " +
			"The answer comes after the ledger's commit and is final: one result an event, in the order of the input. " +
			"200 when at least one was accepted or is a duplicate; 400 when none was (409 when all are conflicts).",
		MaxBody: maxBatchBody,
		Accepts: []string{"application/json", "application/x-ndjson"},
		Result:  []Result{},
	}
	web.Raw(api, "POST", op, func(ctx context.Context, in *InParams, x *web.Exchange) error {
		return f.publish(ctx, x, web.Account(ctx).ID, in.Receipts)
	})
	op.Path = "/audit/events"
	op.ID = "publish-audit-events-of-many-accounts"
	op.Scope = web.ScopeProducer
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

// origin says who hands events in.
func origin(p *web.Principal, account string) Origin {
	from := Origin{
		By:        record.Submitter{Type: string(p.Kind), ID: p.ID},
		Account:   account,
		Interface: "API",
		Operator:  p.Superoperator,
	}
	if p.Kind == web.KindProducer {
		from.Producer = p.ID
	}
	return from
}

// publish is both on-ramps.
func (f *Feature) publish(ctx context.Context, x *web.Exchange, account string, receipts bool) error {
	body, err := x.Bytes()
	if err != nil {
		return err
	}
	values, list, err := split(body, x.MediaType())
	if err != nil {
		return err
	}
	from := origin(web.CurrentPrincipal(ctx), account)
	all, err := f.intake.prepareMany(ctx, from, values)
	if err != nil {
		return err
	}
	var good []*ledger.Pending
	var bad []event.Reject
	for i, p := range all {
		if p.Status != ledger.Rejected {
			p.WantReceipt = receipts
			good = append(good, p)
		} else if len(bad) < maxRejectsKept {
			bad = append(bad, newReject(from, "http", p, values[i], nil, f.now()))
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
	x.Send(answer(all, list))
	return nil
}

// split finds the events of a body; list reports whether they came as several
// (an array or lines) rather than as one. A fault of one line of NDJSON, or
// inside one element of an array, is that event's own.
func split(body []byte, mediaType string) (values []jsontext.Value, list bool, err error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // RFC 8259, 8.1: a byte order mark may be ignored
	switch mediaType {
	case "", "application/json", "text/json", "application/x-www-form-urlencoded", "application/cloudevents+json":
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
		"application/jsonlines":
		return splitLines(body)
	default:
		return nil, false, errs.New(errs.CodeMediaType, "the body must be application/json or application/x-ndjson, not %s",
			mediaType)
	}
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, false, errs.New(errs.CodeMissingField,
			"the body is empty; send one event, a JSON array of events, or NDJSON")
	}
	if trimmed[0] != '[' {
		// One event over several lines is common; so is NDJSON sent as JSON.
		if v, more := oneValue(trimmed); !more {
			return []jsontext.Value{v}, false, nil
		}
		return splitLines(body)
	}
	// What is wrong inside an element is found when that element is decoded.
	dec := jsontext.NewDecoder(bytes.NewReader(trimmed), jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, true, record.Noun.Fault(err)
	}
	for dec.PeekKind() != ']' {
		if len(values) == maxBatch {
			return nil, true, tooMany()
		}
		v, err := dec.ReadValue()
		if err != nil {
			return nil, true, arrayError(err, len(values))
		}
		values = append(values, v.Clone())
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, true, arrayError(err, len(values))
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, true, errs.New(errs.CodeInvalidJSON, "there is more after the array's end, at byte %d", dec.InputOffset())
	}
	if len(values) == 0 {
		return nil, true, errs.New(errs.CodeMissingField, "the array is empty; send at least one event")
	}
	return values, true, nil
}

// oneValue reports whether the body goes on with another object after its first
// value; what is not valid JSON is left to the decoding of the event.
func oneValue(b []byte) (v jsontext.Value, more bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(b), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadValue(); err != nil {
		return b, false
	}
	rest := bytes.TrimLeft(b[dec.InputOffset():], " \t\r\n")
	return b, len(rest) > 0 && rest[0] == '{'
}

func splitLines(body []byte) (values []jsontext.Value, list bool, err error) {
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(values) == maxBatch {
			return nil, true, tooMany()
		}
		values = append(values, line)
	}
	if len(values) == 0 {
		return nil, true, errs.New(errs.CodeMissingField, "the body has no line; send one event a line")
	}
	return values, true, nil
}

func tooMany() error {
	return errs.New(errs.CodeTooLarge, "a request takes at most %d events; send the rest in another", maxBatch)
}

// arrayError says at which element an array could not be read on.
func arrayError(err error, index int) error {
	e := record.Noun.Fault(err)
	e.Pointer = "/" + strconv.Itoa(index)
	e.Message = "event " + strconv.Itoa(index) + " of the array: " + e.Message +
		"; nothing of the request was stored (NDJSON keeps the good lines)"
	return e
}

// answer is the envelope of a request whose events have all been answered.
func answer(all []*ledger.Pending, list bool) web.Envelope {
	counts := map[ledger.Status]int{}
	b := append(make([]byte, 0, 100*len(all)), '[')
	var shown errs.List
	for i, p := range all {
		counts[p.Status]++
		if i > 0 {
			b = append(b, ',')
		}
		b = appendResult(b, p, i)
		for _, f := range p.Faults {
			if len(shown) < maxErrorsShown {
				shown = append(shown, atIndex(f, i, list))
			}
		}
	}
	b = append(b, ']')
	info, _ := json.Marshal(struct {
		Accepted  int `json:"accepted"`
		Duplicate int `json:"duplicate"`
		Conflict  int `json:"conflict"`
		Rejected  int `json:"rejected"`
	}{counts[ledger.Accepted], counts[ledger.Duplicate], counts[ledger.Conflict], counts[ledger.Rejected]})
	env := web.Envelope{Result: b, Info: info}
	if counts[ledger.Accepted]+counts[ledger.Duplicate] > 0 {
		return env
	}
	env.Errors = shown
	env.Status = 400
	if counts[ledger.Conflict] == len(all) {
		env.Status = 409
	}
	return env
}

// atIndex names the event in a fault's pointer, where there are several.
func atIndex(f *errs.Error, i int, list bool) *errs.Error {
	if !list {
		return f
	}
	at := *f
	at.Pointer = "/" + strconv.Itoa(i) + f.Pointer
	return &at
}

// appendResult writes one Result. By hand: this is the hot path's answer.
func appendResult(b []byte, p *ledger.Pending, i int) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"id":`...)
	b = record.AppendQuoted(b, strings.ToValidUTF8(p.Event.ID, "\uFFFD"))
	b = append(b, `,"status":"`...)
	b = append(b, p.Status...)
	b = append(b, '"')
	if p.Status != ledger.Rejected {
		b = append(b, `,"seq":`...)
		b = strconv.AppendInt(b, p.Seq, 10)
	}
	if p.Receipt != nil {
		if r, err := json.Marshal(p.Receipt); err == nil {
			b = append(append(b, `,"receipt":`...), r...)
		}
	}
	if len(p.Faults) > 0 {
		b = append(b, `,"errors":[`...)
		for j, f := range p.Faults {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"code":`...)
			b = strconv.AppendInt(b, int64(f.Code), 10)
			b = append(b, `,"message":`...)
			b = record.AppendQuoted(b, f.Message)
			b = append(b, `,"source":{"pointer":`...)
			b = record.AppendQuoted(b, f.Pointer)
			b = append(b, '}', '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}
