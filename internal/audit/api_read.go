package audit

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// eventDetail is one event in full.
type eventDetail struct {
	Event    jsontext.Value  `json:"event" doc:"The event as it is shown, with account, seq, recorded_at and submitted_by"`
	Sentence string          `json:"sentence"`
	Diff     []record.Change `json:"diff" doc:"before compared with after, at most 200 differences"`
	Erased   []string        `json:"erased" doc:"Pointers of fields whose values were erased"`
	Covered  bool            `json:"covered" doc:"Whether a signed checkpoint covers it already"`
}

// EventInput names one event.
type EventInput struct {
	EventID string `path:"event_id" maxLength:"64"`
}

// StreamInput asks for a live tail.
type StreamInput struct {
	From string `query:"from" pattern:"^[0-9]{1,18}$" doc:"First seq; the default is the next event"`
	FilterParams
}

// ExportInput asks for a file of events.
type ExportInput struct {
	Format string `query:"format" enum:"ndjson,csv,ocsf" default:"ndjson" doc:"ocsf: one OCSF event a line, for a SIEM"`
	From   string `query:"from" pattern:"^[0-9]{1,18}$" doc:"First seq of a provable export; the default is 0"`
	To     string `query:"to" pattern:"^[0-9]{1,18}$" doc:"End of a provable export (exclusive); the default is the log's size"`
	Size   string `query:"size" pattern:"^[0-9]{1,18}$" doc:"Size of the checkpoint that the export's hashes lead to; the default is the log's size"`
	Since  string `query:"since" doc:"With since, before or a filter the export is not provable and says so"`
	Before string `query:"before"`
	FilterParams
}

func (f *Feature) registerRead(api *web.API) {
	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/audit/events/{event_id}",
		ID:          "get-audit-event",
		Tag:         "Audit log",
		Permission:  account.AuditRead,
		Summary:     "Read one event",
		Description: "With its sentence, diff and whether a signed checkpoint covers it.",
	}, f.get)
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}/audit/summary",
		ID:         "summarise-audit-log",
		Tag:        "Audit log",
		Permission: account.AuditRead,
		Summary:    "Count events by product, action, actor, interface or day",
		Description: "Events that happened from since (included) to before (not included), to the microsecond. Actors " +
			"are told apart by type and id.",
	}, f.summary)
	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/audit/stream",
		ID:          "stream-audit-events",
		Tag:         "Audit log",
		Permission:  account.AuditRead,
		Summary:     "Live tail (server-sent events)",
		Description: "One message an event, its id is the seq; Last-Event-ID or from goes on after it.",
		Stream:      true,
		Content:     "text/event-stream",
	}, f.stream)
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}/audit/export",
		ID:         "export-audit-events",
		Tag:        "Audit log",
		Permission: account.AuditExport,
		Summary:    "Export events",
		Description: "format=ndjson with from and to (or nothing) is provable with `belfry verify`. With since, " +
			"before or filters the export begins with a line that says that it is not complete.",
		Stream:  true,
		Content: "application/x-ndjson",
	}, f.export)
}

func (f *Feature) get(ctx context.Context, in *EventInput) (eventDetail, error) {
	accountID := web.Account(ctx).ID
	rec, err := f.reader.Get(ctx, accountID, in.EventID)
	if err != nil {
		return eventDetail{}, err
	}
	return f.detail(ctx, rec)
}

func (f *Feature) detail(ctx context.Context, rec *record.Record) (eventDetail, error) {
	shown, err := rec.Shown()
	if err != nil {
		return eventDetail{}, err
	}
	d := eventDetail{
		Event:    shown,
		Sentence: f.sentence(rec),
		Diff:     record.Diff(rec.Event.Before, rec.Event.After),
		Erased:   rec.Erased,
	}
	if d.Diff == nil {
		d.Diff = []record.Change{}
	}
	if d.Erased == nil {
		d.Erased = []string{}
	}
	size, err := f.reader.SignedSize(ctx, rec.Account)
	d.Covered = rec.Seq < size
	return d, err
}

func (f *Feature) stream(ctx context.Context, in *StreamInput) (web.Events, error) {
	if err := noEmptyValues(ctx); err != nil {
		return web.Events{}, err
	}
	accountID := web.Account(ctx).ID
	filters, err := f.resolveFilters(ctx, accountID, in.FilterParams.raw())
	if err != nil {
		return web.Events{}, err
	}
	return f.Tail(ctx, accountID, seqOr(in.From, -1), filters, func(r *record.Record) ([]byte, error) {
		return json.Marshal(f.v2(r, f.words.AccountName(ctx, accountID)))
	})
}

// tailChunk is how many events a live tail reads at once.
const tailChunk = 500

// Tail is a live tail of an account: events in the order of the log, as encode writes
// them, from a seq or, when that is negative, from the next event. It asks the
// database at least once a second, since other processes append too.
func (f *Feature) Tail(
	ctx context.Context,
	accountID string,
	from int64,
	filters []record.Filter,
	encode func(*record.Record) ([]byte, error),
) (web.Events, error) {
	m, err := record.Compile(filters)
	if err != nil {
		return web.Events{}, err
	}
	size, err := f.reader.Size(ctx, accountID)
	if err != nil {
		return web.Events{}, err
	}
	next := size
	if from >= 0 {
		next = from
	}
	source := func(ctx context.Context, lastID string, send func(web.Event) error) error {
		if n, err := strconv.ParseInt(lastID, 10, 64); err == nil && n >= 0 {
			next = n + 1
		}
		wake, stop := f.tail.watch(accountID)
		defer stop()
		poll := time.NewTicker(time.Second)
		defer poll.Stop()
		for {
			list, err := f.reader.Range(ctx, accountID, next, next+tailChunk, tailChunk)
			if err != nil {
				return err
			}
			for _, r := range list {
				next = r.Seq + 1
				if !m.Matches(r) {
					continue
				}
				data, err := encode(r)
				if err != nil {
					return err
				}
				if err := send(web.Event{ID: strconv.FormatInt(r.Seq, 10), Data: data}); err != nil {
					return err
				}
			}
			if len(list) == tailChunk {
				continue
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-wake:
			case <-poll.C:
			}
		}
	}
	return web.Events{Source: source}, nil
}

func (f *Feature) export(ctx context.Context, in *ExportInput) (web.Stream, error) {
	if err := noEmptyValues(ctx); err != nil {
		return web.Stream{}, err
	}
	accountID := web.Account(ctx).ID
	filtered := in.Since != "" || in.Before != "" || len(in.FilterParams.raw()) > 0
	ranged := in.From != "" || in.To != "" || in.Size != ""
	switch {
	case filtered && ranged:
		return web.Stream{}, errs.At(errs.CodeInvalid, "from",
			"from and to make a provable export, since, before and filters one that is not; give one or the other")
	case in.Format != "ndjson" && ranged:
		return web.Stream{}, errs.At(errs.CodeInvalid, "format", "a provable export is NDJSON")
	}
	if filtered || in.Format != "ndjson" {
		return f.exportFiltered(ctx, accountID, in)
	}
	size, err := f.reader.Size(ctx, accountID)
	if err != nil {
		return web.Stream{}, err
	}
	asked := seqOr(in.Size, size)
	if asked > size {
		return web.Stream{}, errs.At(errs.CodeOutOfRange, "size", "size must be at most %d, the log's size", size)
	}
	size = asked
	from, to := seqOr(in.From, 0), seqOr(in.To, size)
	if from > to || to > size {
		return web.Stream{}, errs.At(errs.CodeOutOfRange, "to",
			"from and to must be ascending and at most %d, the size that the export is made for", size)
	}
	recorded := f.self(ctx, SelfAction{
		Account:  accountID,
		Type:     "export",
		Name:     fmt.Sprintf("events %d to %d", from, to),
		Metadata: map[string]any{"from": from, "to": to, "format": "ndjson"},
	})
	if recorded != nil {
		return web.Stream{}, recorded
	}
	part := ledger.LogRange{From: uint64(from), To: uint64(to), Size: uint64(size)}
	return web.Stream{
		ContentType: "application/x-ndjson",
		Filename:    fmt.Sprintf("audit-%s-%d-%d.ndjson", accountID, from, to),
		Write: func(ctx context.Context, w *web.StreamWriter) error {
			return f.reader.ExportRange(ctx, w, accountID, part, nil)
		},
	}, nil
}

func (f *Feature) exportFiltered(ctx context.Context, accountID string, in *ExportInput) (web.Stream, error) {
	since, before, _, err := timeRange(in.Since, in.Before)
	if err != nil {
		return web.Stream{}, err
	}
	filters, err := f.resolveFilters(ctx, accountID, in.FilterParams.raw())
	if err != nil {
		return web.Stream{}, err
	}
	if _, err := record.Compile(filters); err != nil {
		return web.Stream{}, err
	}
	err = f.self(ctx, SelfAction{
		Account: accountID,
		Type:    "export",
		Name:    "filtered events",
		Metadata: map[string]any{
			"since":  in.Since,
			"before": in.Before,
			"format": in.Format,
		},
	})
	if err != nil {
		return web.Stream{}, err
	}
	q := ledger.Query{Since: since, Before: before, Filters: filters}
	s := web.Stream{ContentType: "application/x-ndjson", Filename: "audit-" + accountID + extensionOf(in.Format)}
	if in.Format == "csv" {
		s.ContentType = "text/csv; charset=utf-8"
	}
	s.Write = func(ctx context.Context, w *web.StreamWriter) error {
		return f.writeAs(in.Format)(ctx, w, accountID, q, nil)
	}
	return s, nil
}

// writeNDJSON writes matching events, newest first, after a line that says that
// they are not all. each is called for every event; it may be nil.
func (f *Feature) writeNDJSON(
	ctx context.Context,
	w io.Writer,
	accountID string,
	q ledger.Query,
	each func(*record.Record),
) error {
	if _, err := w.Write([]byte(`{"export":{"v":1,"account":"` + accountID +
		`","complete":false,"note":"filtered: this export proves nothing about what it leaves out"}}` + "\n")); err != nil {
		return err
	}
	return f.reader.Each(ctx, accountID, q, func(r *record.Record) error {
		shown, err := r.Shown()
		if err != nil {
			return err
		}
		if each != nil {
			each(r)
		}
		_, err = w.Write(append(shown, '\n'))
		return err
	})
}

// seqOr reads a seq that the pattern of its parameter has checked.
func seqOr(s string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return otherwise
}
