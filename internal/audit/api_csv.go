package audit

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
)

// csvColumns are the columns of a CSV export.
var csvColumns = []string{"occurred_at", "recorded_at", "seq", "id", "sentence", "actor_type", "actor_id", "actor_email", "actor_name", "ip_address", "interface", "product", "resource_type", "resource_id", "resource_name", "action", "result", "zone", "reason", "change_set", "before", "after"}

// writeCSV writes matching events, newest first. each is told of every event;
// it may be nil.
func (f *Feature) writeCSV(ctx context.Context, w io.Writer, account string, q Query, each func(*Record)) error {
	out := csv.NewWriter(w)
	out.Write(csvColumns)
	err := f.reader.each(ctx, account, q, func(r *Record) error {
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
func (f *Feature) csvPage(w io.Writer, records []*Record) error {
	out := csv.NewWriter(w)
	out.Write(csvColumns)
	for _, r := range records {
		out.Write(f.csvRow(r))
	}
	out.Flush()
	return out.Error()
}

func (f *Feature) csvRow(r *Record) []string {
	e := &r.Event
	reason := ""
	if e.Reason != nil {
		reason = or(e.Reason.Text, e.Reason.URL)
	}
	row := []string{e.OccurredAt, r.RecordedAt, strconv.FormatInt(r.Seq, 10), e.ID, f.sentence(r), e.Actor.Type, e.Actor.ID, e.Actor.Email, e.Actor.Name, e.Actor.IPAddress, e.Interface,
		e.Resource.Product, e.Resource.Type, e.Resource.ID, e.Resource.Name, e.Action.Type, e.Action.Result, or(e.Zone.Name, e.Zone.ID), reason, e.ChangeSet, string(e.Before), string(e.After)}
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
