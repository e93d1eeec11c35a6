package audit

import (
	"bytes"
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The two generations of the Cloudflare v4 audit routes: the official clients
// read the record by changing the base URL.

// sentence says an event in the catalogue's words.
func (f *Feature) sentence(r *record.Record) string {
	e := &r.Event
	template, _ := f.words.Sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
	return r.Sentence(template)
}

// ListV1 are the parameters of the v1 list.
type ListV1 struct {
	ID           []string `query:"id,explode"`
	ActionType   []string `query:"action.type,explode"`
	ActorEmail   []string `query:"actor.email,explode"`
	ActorIP      string   `query:"actor.ip" doc:"Address or CIDR range"`
	ZoneName     []string `query:"zone.name,explode"`
	Since        string   `query:"since" doc:"Date or RFC 3339"`
	Before       string   `query:"before" doc:"Date or RFC 3339"`
	Direction    string   `query:"direction" enum:"asc,desc" default:"desc"`
	HideUserLogs bool     `query:"hide_user_logs" doc:"Leave out what users did to themselves (resource scope user)"`
	Export       bool     `query:"export" doc:"CSV for who accepts text/csv; JSON for everybody else"`
	Page         int      `query:"page" minimum:"1" default:"1"`
	PerPage      int      `query:"per_page" minimum:"1" maximum:"1000" default:"100"`
}

// maxSkip bounds page numbers: deeper pages are reached with since and before.
const (
	maxSkip  = 1_000_000
	maxCount = 10_000
)

// ListV2 are the parameters of the v2 list.
type ListV2 struct {
	Since     string `query:"since" required:"true" doc:"Date or RFC 3339" example:"2026-10-29"`
	Before    string `query:"before" required:"true" doc:"Date or RFC 3339; not included" example:"2026-11-28"`
	Direction string `query:"direction" enum:"asc,desc" default:"desc"`
	web.Paging
	FilterParams
}

// History are the parameters of a resource's history.
type History struct {
	EventID    string `path:"event_id"`
	ActionTime string `query:"action_time" doc:"Accepted; the event is found by its id"`
	Since      string `query:"since"`
	Before     string `query:"before"`
	Direction  string `query:"direction" enum:"asc,desc" default:"desc"`
	web.Paging
}

// historyInfo is result_info of a history.
type historyInfo struct {
	Count   int    `json:"count"`
	Status  string `json:"history_status" enum:"exact,approximate,unavailable"`
	Cursor  string `json:"cursor"`
	Cursors struct {
		After string `json:"after"`
	} `json:"cursors"`
}

func (f *Feature) registerCompatible(api *web.API) {
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}/audit_logs",
		ID:         "list-audit-logs-v1",
		Errors:     []errs.Code{errs.CodeNarrowRange},
		Tag:        "Audit log",
		Permission: account.AuditRead,
		Summary:    "List audit logs (v1)",
		Description: "Newest first by page number; past the end the list is empty. With export=true and Accept: " +
			"text/csv the page is CSV.",
		Result: []itemV1{},
	}, f.answerV1)
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}/logs/audit",
		ID:         "list-audit-logs-v2",
		Errors:     []errs.Code{errs.CodeNarrowRange, errs.CodeMissingField},
		Tag:        "Audit log",
		Permission: account.AuditRead,
		Summary:    "List audit logs (v2)",
		Description: "Every filter is repeatable and exists with .not. One of actor_id, resource_id, " +
			"resource_product, action_type and zone is answered fast at any size; other filters search for two seconds " +
			"and then ask for a narrower time range.",
	}, f.listV2)
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}/logs/audit/{event_id}/history",
		ID:         "audit-log-history",
		Tag:        "Audit log",
		Permission: account.AuditRead,
		Summary:    "History of the resource of an event",
	}, f.history)
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}/logs/audit/product_categories",
		ID:         "audit-product-categories",
		Tag:        "Audit log",
		Permission: account.AuditRead,
		Summary:    "List product categories",
	}, func(ctx context.Context, _ *struct{}) ([]ProductCategory, error) {
		return f.categories(ctx, web.Account(ctx).ID)
	})
}

// answerV1 returns a page of the v1 list as JSON or, where the client asks for it
// twice, as CSV: the official clients send export=true and read only JSON.
func (f *Feature) answerV1(ctx context.Context, in *ListV1) (web.Answer, error) {
	page := web.Numbered[itemV1]{Items: []itemV1{}, Page: in.Page, PerPage: in.PerPage}
	q, empty, err := f.queryV1(ctx, in)
	if err != nil {
		return nil, err
	}
	found := &ledger.Page{}
	if !empty {
		if found, err = f.reader.List(ctx, web.Account(ctx).ID, q); err != nil {
			return nil, err
		}
	}
	if in.Export && web.Accepts(ctx, "text/csv") {
		var b bytes.Buffer
		if err := f.csvPage(&b, found.Records); err != nil {
			return nil, err
		}
		return web.Bytes{ContentType: "text/csv; charset=utf-8", Data: b.Bytes()}, nil
	}
	if empty {
		return page, nil
	}
	for _, r := range found.Records {
		page.Items = append(page.Items, newItemV1(r))
	}
	err = f.count(ctx, web.Account(ctx).ID, q, found, &page)
	return page, err
}

// queryV1 reads the parameters; empty says that nothing can match them.
func (f *Feature) queryV1(ctx context.Context, in *ListV1) (q ledger.Query, empty bool, err error) {
	if err := noEmptyValues(ctx); err != nil {
		return q, false, err
	}
	since, before, empty, err := timeRange(in.Since, in.Before)
	if err != nil {
		return q, false, err
	}
	raw := []record.Filter{
		{Field: "id", Values: in.ID},
		{Field: "action_type", Values: in.ActionType},
		{Field: "actor_email", Values: in.ActorEmail},
		{Field: "zone", Values: in.ZoneName},
	}
	if in.ActorIP != "" {
		if err := checkAddress("actor.ip", in.ActorIP); err != nil {
			return q, false, err
		}
		raw = append(raw, record.Filter{Field: "actor_ip_address", Values: []string{in.ActorIP}})
	}
	if in.HideUserLogs {
		raw = append(raw, record.Filter{Field: "resource_scope", Not: true, Values: []string{"user"}})
	}
	var used []record.Filter
	for _, c := range raw {
		if len(c.Values) > 0 {
			used = append(used, c)
		}
	}
	filters, err := f.resolveFilters(ctx, web.Account(ctx).ID, used)
	if err != nil {
		return q, false, err
	}
	skip := (in.Page - 1) * in.PerPage
	if skip > maxSkip {
		return q, false, errs.At(errs.CodeOutOfRange, "page", "page numbers reach %d events deep; go on with before=%s",
			maxSkip, "the time of the last event")
	}
	return ledger.Query{
		Since:     since,
		Before:    before,
		Filters:   filters,
		Ascending: in.Direction == "asc",
		Limit:     in.PerPage,
		Skip:      skip,
	}, empty, nil
}

// count fills total_count: the log's size for a list without filters, else what
// is known without reading everything.
func (f *Feature) count(
	ctx context.Context,
	accountID string,
	q ledger.Query,
	found *ledger.Page,
	page *web.Numbered[itemV1],
) error {
	if len(q.Filters) == 0 && q.Since == 0 && q.Before == 0 {
		size, err := f.reader.Size(ctx, accountID)
		page.Total = int(size)
		return err
	}
	page.Total = q.Skip + len(found.Records)
	if found.Next == nil && (len(found.Records) > 0 || q.Skip == 0) {
		return nil // the page ends where the matches do
	}
	page.Total = 0
	q.Skip = 0
	q.Limit = 1
	n, capped, err := f.reader.Count(ctx, accountID, q, maxCount)
	if err != nil {
		return err
	}
	page.Total = max(n, page.Total)
	if capped {
		page.Messages = []web.Message{{Code: 1, Message: "total_count is capped: at least this many events match"}}
	}
	return nil
}

func checkAddress(name, s string) error {
	if _, ok := record.ParseAddressRange(s); ok {
		return nil
	}
	return errs.At(errs.CodeInvalid, name, "%s must be an address or a CIDR range", name)
}

func (f *Feature) listV2(ctx context.Context, in *ListV2) (web.Page[itemV2], error) {
	page := web.Page[itemV2]{Items: []itemV2{}}
	accountID := web.Account(ctx).ID
	if err := noEmptyValues(ctx); err != nil {
		return page, err
	}
	since, before, empty, err := timeRange(in.Since, in.Before)
	if err != nil {
		return page, err
	}
	filters, err := f.resolveFilters(ctx, accountID, in.FilterParams.raw())
	if err != nil {
		return page, err
	}
	if empty { // of which the filters were checked all the same
		_, err := record.Compile(filters)
		return page, err
	}
	q := ledger.Query{Since: since, Before: before, Filters: filters, Ascending: in.Direction == "asc", Limit: in.Limit}
	page.Items, page.Cursor, err = f.pageV2(ctx, accountID, "audit.v2", in.Cursor, q)
	return page, err
}

// pageV2 reads a page and makes the cursor after it.
func (f *Feature) pageV2(
	ctx context.Context,
	accountID, list, cursor string,
	q ledger.Query,
) ([]itemV2, string, error) {
	list += " " + accountID
	if q.Ascending {
		list += " asc"
	}
	if cursor != "" {
		q.After = &ledger.Position{}
		if err := f.cursors.Decode(list, cursor, q.After); err != nil {
			return nil, "", err
		}
	}
	found, err := f.reader.List(ctx, accountID, q)
	if err != nil {
		return nil, "", err
	}
	name := f.words.AccountName(ctx, accountID)
	items := make([]itemV2, 0, len(found.Records))
	for _, r := range found.Records {
		items = append(items, f.v2(r, name))
	}
	if found.Next != nil {
		return items, f.cursors.Encode(list, found.Next), nil
	}
	return items, "", nil
}

func (f *Feature) history(ctx context.Context, in *History) (web.Reply[[]itemV2], error) {
	var info historyInfo
	reply := web.Reply[[]itemV2]{Result: []itemV2{}}
	accountID := web.Account(ctx).ID
	if err := noEmptyValues(ctx); err != nil {
		return reply, err
	}
	since, before, empty, err := timeRange(in.Since, in.Before)
	if err != nil {
		return reply, err
	}
	rec, err := f.reader.Get(ctx, accountID, in.EventID)
	switch {
	// An event whose resource was erased cannot be related to others.
	case errs.Is(err, errs.CodeNotFound), err == nil && (empty || rec.Event.Resource.ID == ""):
		info.Status = "unavailable"
		reply.Info = info
		return reply, nil
	case err != nil:
		return reply, err
	}
	q := ledger.Query{
		Since:     since,
		Before:    before,
		Ascending: in.Direction == "asc",
		Limit:     in.Limit,
		Filters:   sameResource(rec),
	}
	reply.Result, info.Cursor, err = f.pageV2(ctx, accountID, "audit.history "+in.EventID, in.Cursor, q)
	info.Status = "exact"
	info.Count = len(reply.Result)
	info.Cursors.After = info.Cursor
	reply.Info = info
	return reply, err
}

// sameResource finds the events of the same resource.
func sameResource(r *record.Record) []record.Filter {
	res := r.Event.Resource
	return []record.Filter{
		{Field: "resource_id", Values: []string{res.ID}},
		{Field: "resource_product", Values: []string{res.Product}},
		{Field: "resource_type", Values: []string{res.Type}},
	}
}
