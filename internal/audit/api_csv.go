package audit

import (
	"cmp"
	"context"
	"encoding/csv"
	"io"
	"strconv"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/go-json-experiment/json"
)

// csvColumns are the columns of a CSV export. New ones are added at the end:
// readers count columns.
var csvColumns = []string{
	"occurred_at", "recorded_at", "seq", "id", "sentence",
	"actor_type", "actor_id", "actor_email", "actor_name", "ip_address", "interface",
	"product", "resource_type", "resource_id", "resource_name", "action", "result", "zone", "reason", "change_set",
	"before", "after",
	"description", "reason_url", "actor_token_id", "actor_token_name", "on_behalf_of_type", "on_behalf_of_id",
	"on_behalf_of_email",
	"resource_scope", "request_id", "request_method", "request_uri", "request_status_code", "request_user_agent",
	"related", "metadata", "submitted_by_type", "submitted_by_id",
}

// writeCSV writes matching events, newest first. each is called for every event;
// it may be nil.
func (f *Feature) writeCSV(
	ctx context.Context,
	w io.Writer,
	account string,
	q ledger.Query,
	each func(*record.Record),
) error {
	out := csv.NewWriter(w)
	out.Write(csvColumns)
	err := f.reader.Each(ctx, account, q, func(r *record.Record) error {
		if each != nil {
			each(r)
		}
		return out.Write(f.csvRow(r))
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// csvPage writes the events of one page.
func (f *Feature) csvPage(w io.Writer, records []*record.Record) error {
	out := csv.NewWriter(w)
	out.Write(csvColumns)
	for _, r := range records {
		out.Write(f.csvRow(r))
	}
	out.Flush()
	return out.Error()
}

func (f *Feature) csvRow(r *record.Record) []string {
	e := &r.Event
	var reason record.Reason
	if e.Reason != nil {
		reason = *e.Reason
	}
	status := ""
	if n := r.Request().StatusCode; n != 0 {
		status = strconv.Itoa(n)
	}
	related := ""
	if len(e.Related) > 0 {
		b, err := json.Marshal(e.Related)
		if err != nil {
			return nil // texts encode, or they were not stored
		}
		related = string(b)
	}
	row := []string{
		e.OccurredAt, r.RecordedAt, strconv.FormatInt(r.Seq, 10), e.ID, f.sentence(r),
		e.Actor.Type, e.Actor.ID, e.Actor.Email, e.Actor.Name, e.Actor.IPAddress, e.Interface,
		e.Resource.Product, e.Resource.Type, e.Resource.ID, e.Resource.Name, e.Action.Type, e.Action.Result,
		cmp.Or(e.Zone.Name, e.Zone.ID), cmp.Or(reason.Text, reason.URL), e.ChangeSet, string(e.Before), string(e.After),
		e.Action.Description, reason.URL, e.Actor.TokenID, e.Actor.TokenName, r.Behalf().
			Type, r.Behalf().ID, r.Behalf().Email,
		e.Resource.Scope, r.Request().ID, r.Request().Method, r.Request().URI, status, r.Request().UserAgent,
		related, string(e.Metadata), r.SubmittedBy.Type, r.SubmittedBy.ID,
	}
	for i := range row {
		row[i] = defuse(row[i])
	}
	return row
}

// defuse keeps spreadsheets from running a cell as a formula (CWE-1236).
func defuse(s string) string {
	if s != "" && (s[0] == '=' || s[0] == '+' || s[0] == '-' || s[0] == '@' || s[0] == '\t' || s[0] == '\r') {
		return "'" + s
	}
	return s
}
