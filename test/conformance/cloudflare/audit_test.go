package cloudflare_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/accounts"
	"github.com/cloudflare/cloudflare-go/v7/audit_logs"
	"github.com/cloudflare/cloudflare-go/v7/option"
	"github.com/cloudflare/cloudflare-go/v7/shared"
)

func (c *client) paramsV1() audit_logs.AuditLogListParams {
	var p audit_logs.AuditLogListParams
	p.AccountID.Value = c.account
	p.AccountID.Present = true
	return p
}

// paramsV2 has the whole range. The client sends dates without the time of day; options
// put the exact moments in their place.
func (c *client) paramsV2() (accounts.LogAuditListParams, []option.RequestOption) {
	var p accounts.LogAuditListParams
	p.AccountID.Value = c.account
	p.AccountID.Present = true
	p.Since.Value = c.Since
	p.Since.Present = true
	p.Before.Value = c.Before
	p.Before.Present = true
	return p, []option.RequestOption{
		option.WithQuery("since", c.Since.Format(time.RFC3339Nano)),
		option.WithQuery("before", c.Before.Format(time.RFC3339Nano)),
	}
}

// everyV1 pages to the end with the client's own pager.
func (c *client) everyV1(
	t *testing.T,
	p audit_logs.AuditLogListParams,
	options ...option.RequestOption,
) []shared.AuditLog {
	t.Helper()
	var items []shared.AuditLog
	pager := c.v1.ListAutoPaging(t.Context(), p, options...)
	for pager.Next() {
		items = append(items, pager.Current())
	}
	if err := pager.Err(); err != nil {
		t.Fatal(err)
	}
	return items
}

func (c *client) everyV2(
	t *testing.T,
	p accounts.LogAuditListParams,
	options ...option.RequestOption,
) []accounts.LogAuditListResponse {
	t.Helper()
	var items []accounts.LogAuditListResponse
	pager := c.v2.ListAutoPaging(t.Context(), p, options...)
	for pager.Next() {
		items = append(items, pager.Current())
	}
	if err := pager.Err(); err != nil {
		t.Fatal(err)
	}
	return items
}

func TestEveryFieldOfVersion1ArrivesAsWritten(t *testing.T) {
	c := newClient(t)
	items := map[string]shared.AuditLog{}
	for _, item := range c.everyV1(t, c.paramsV1()) {
		items[item.ID] = item
	}
	for _, want := range c.V1 {
		item, ok := items[want.ID]
		if !ok {
			t.Errorf("%s is missing", want.ID)
			continue
		}
		var got itemV1
		got.ID = item.ID
		got.When = item.When
		got.Interface = item.Interface
		got.Action.Result = item.Action.Result
		got.Action.Type = item.Action.Type
		got.Actor.ID = item.Actor.ID
		got.Actor.Email = item.Actor.Email
		got.Actor.IP = item.Actor.IP
		got.Actor.Type = string(item.Actor.Type)
		got.Owner.ID = item.Owner.ID
		got.Resource.ID = item.Resource.ID
		got.Resource.Type = item.Resource.Type
		got.Metadata = item.Metadata
		if metadata, ok := got.Metadata.(map[string]any); ok && len(metadata) == 0 {
			got.Metadata = nil // an empty object says the same as none
		}
		got.New = parsed(t, item.JSON.ExtraFields["newValueJson"].Raw())
		got.Old = parsed(t, item.JSON.ExtraFields["oldValueJson"].Raw())
		compare(t, want.ID, got, want)
		textOf(t, want.ID+" newValue", item.NewValue, want.New)
		textOf(t, want.ID+" oldValue", item.OldValue, want.Old)
	}
}

// textOf checks a value that is also given as text: JSON, or the text itself.
func textOf(t *testing.T, name, text string, want any) {
	t.Helper()
	if want == nil && text == "" || want == any(text) {
		return
	}
	if want == nil || !reflect.DeepEqual(parsed(t, text), want) {
		t.Errorf("%s is %q, want the JSON of %v", name, text, want)
	}
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	if text == "" || text == "null" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Errorf("%q is no JSON: %v", text, err)
	}
	return v
}

// compare names the fields in which two values differ.
func compare(t *testing.T, id string, got, want any) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !same(a, b) {
			t.Errorf("%s: %s is %+v, want %+v", id, g.Type().Field(i).Name, a, b)
		}
	}
}

// same compares times by their moment, everything else by its content.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if at, ok := a.(time.Time); ok {
		return at.Equal(b.(time.Time))
	}
	if x.Kind() == reflect.Struct {
		for i := range x.NumField() {
			if !same(x.Field(i).Interface(), y.Field(i).Interface()) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

func TestEveryFieldOfVersion2ArrivesAsWritten(t *testing.T) {
	c := newClient(t)
	items := map[string]accounts.LogAuditListResponse{}
	params, options := c.paramsV2()
	for _, item := range c.everyV2(t, params, options...) {
		items[item.ID] = item
	}
	for _, want := range c.V2 {
		item, ok := items[want.ID]
		if !ok {
			t.Errorf("%s is missing", want.ID)
			continue
		}
		var got itemV2
		got.ID = item.ID
		got.Account.ID = item.Account.ID
		got.Account.Name = item.Account.Name
		got.Zone.Name = item.Zone.Name
		got.Action.Description = item.Action.Description
		got.Action.Result = item.Action.Result
		got.Action.Time = item.Action.Time
		got.Action.Type = item.Action.Type
		a, r := item.Actor, item.Raw
		got.Actor.ID = a.ID
		got.Actor.Context = string(a.Context)
		got.Actor.Email = a.Email
		got.Actor.IPAddress = a.IPAddress
		got.Actor.TokenID = a.TokenID
		got.Actor.TokenName = a.TokenName
		got.Actor.Type = string(a.Type)
		got.Raw.CfRayID = r.CfRayID
		got.Raw.Method = r.Method
		got.Raw.StatusCode = r.StatusCode
		got.Raw.URI = r.URI
		got.Raw.UserAgent = r.UserAgent
		got.Resource.ID = item.Resource.ID
		got.Resource.Product = item.Resource.Product
		got.Resource.Scope = item.Resource.Scope
		got.Resource.Type = item.Resource.Type
		compare(t, want.ID, got, want)
	}
}

func TestFiltersOfVersion1FindWhatTheySay(t *testing.T) {
	c := newClient(t)
	for _, read := range c.CasesV1 {
		t.Run(read.Name, func(t *testing.T) {
			var ids []string
			for _, item := range c.everyV1(t, c.paramsV1(), query(read)...) {
				ids = append(ids, item.ID)
			}
			if got := c.ours(ids); !slices.Equal(got, read.IDs) {
				t.Errorf("%v finds %q, want %q", read.Query, got, read.IDs)
			}
		})
	}
}

func TestFiltersOfVersion2FindWhatTheySay(t *testing.T) {
	c := newClient(t)
	for _, read := range c.CasesV2 {
		t.Run(read.Name, func(t *testing.T) {
			params, options := c.paramsV2()
			var ids []string
			for _, item := range c.everyV2(t, params, append(options, query(read)...)...) {
				ids = append(ids, item.ID)
			}
			if got := c.ours(ids); !slices.Equal(got, read.IDs) {
				t.Errorf("%v finds %q, want %q", read.Query, got, read.IDs)
			}
		})
	}
}

// TestTypedParametersFilter uses the client as its users write it: the parameters are
// structs, dates lose their time of day, and only the ".not" filters have a type.
func TestTypedParametersFilter(t *testing.T) {
	c := newClient(t)
	one := c.paramsV1()
	one.Action.Present = true
	one.Action.Value.Type.Value = "delete"
	one.Action.Value.Type.Present = true
	one.Since.Value = shared.UnionTime(c.Since.AddDate(0, 0, -1))
	one.Since.Present = true
	one.Before.Value = shared.UnionTime(c.Before.AddDate(0, 0, 2))
	one.Before.Present = true
	one.Export.Value = true
	one.Export.Present = true
	one.PerPage.Value = 1
	one.PerPage.Present = true
	var ids []string
	for _, item := range c.everyV1(t, one) {
		ids = append(ids, item.ID)
	}
	if got, want := c.ours(ids), c.find(func(i itemV2) bool { return i.Action.Type == "delete" }); !slices.Equal(got,
		want) {
		t.Errorf("v1 finds %q, want %q", got, want)
	}

	two, _ := c.paramsV2()
	two.Since.Value = c.Since.AddDate(0, 0, -1)
	two.Before.Value = c.Before.AddDate(0, 0, 2)
	two.ActorType.Present = true
	two.ActorType.Value.Not.Present = true
	two.ActorType.Value.Not.Value = []accounts.LogAuditListParamsActorTypeNot{"user", "system"}
	two.RawStatusCode.Present = true
	two.RawStatusCode.Value.Not.Present = true
	two.RawStatusCode.Value.Not.Value = []int64{200}
	two.Limit.Value = 1
	two.Limit.Present = true
	ids = nil
	for _, item := range c.everyV2(t, two) {
		ids = append(ids, item.ID)
	}
	want := c.find(func(i itemV2) bool {
		return i.Actor.Type != "user" && i.Actor.Type != "system" && i.Raw.StatusCode != 200
	})
	if got := c.ours(ids); !slices.Equal(got, want) {
		t.Errorf("v2 finds %q, want %q", got, want)
	}
}

func (c *client) find(keep func(itemV2) bool) []string {
	ids := []string{}
	for _, item := range c.V2 {
		if keep(item) {
			ids = append(ids, item.ID)
		}
	}
	return ids
}

// TestAnEmptyRangeOfDatesIsNoError sends since = before, as the clients' own tests do.
func TestAnEmptyRangeOfDatesIsNoError(t *testing.T) {
	c := newClient(t)
	params, _ := c.paramsV2()
	params.Before.Value = params.Since.Value
	if items := c.everyV2(t, params); len(items) != 0 {
		t.Errorf("%d events between equal dates", len(items))
	}
}

func TestThePagersMeetEveryEventOnce(t *testing.T) {
	c := newClient(t)
	all := c.find(func(itemV2) bool { return true })
	for _, size := range []float64{1, 2, 3, 1000} {
		for _, direction := range []string{"desc", "asc"} {
			want := slices.Clone(all)
			if direction == "asc" {
				slices.Reverse(want)
			}
			// Neither list may grow while it is paged: it ends before Belfry's own events.
			pinned := []option.RequestOption{
				option.WithQuery("since", c.Since.Format(time.RFC3339Nano)),
				option.WithQuery("before", c.Before.Format(time.RFC3339Nano)),
			}
			one := c.paramsV1()
			one.PerPage.Value = size
			one.PerPage.Present = true
			one.Direction.Value = audit_logs.AuditLogListParamsDirection(direction)
			one.Direction.Present = true
			var ids []string
			for _, item := range c.everyV1(t, one, pinned...) {
				ids = append(ids, item.ID)
			}
			if got := c.ours(ids); !slices.Equal(got, want) {
				t.Errorf("v1, %v a page, %s: %q, want %q", size, direction, got, want)
			}
			two, options := c.paramsV2()
			two.Limit.Value = size
			two.Limit.Present = true
			two.Direction.Value = accounts.LogAuditListParamsDirection(direction)
			two.Direction.Present = true
			ids = nil
			for _, item := range c.everyV2(t, two, options...) {
				ids = append(ids, item.ID)
			}
			if got := c.ours(ids); !slices.Equal(got, want) {
				t.Errorf("v2, %v a page, %s: %q, want %q", size, direction, got, want)
			}
			if slices.Sort(ids); len(slices.Compact(ids)) != len(ids) {
				t.Errorf("v2, %v a page, %s: an event was met twice", size, direction)
			}
		}
	}
}

func TestTheHistoryOfAResourceIsWhole(t *testing.T) {
	c := newClient(t)
	var p accounts.LogAuditHistoryParams
	p.AccountID.Value = c.account
	p.AccountID.Present = true
	p.ActionTime.Value = c.History.ActionTime
	p.ActionTime.Present = true
	p.Since.Value = c.Since.AddDate(0, 0, -1)
	p.Since.Present = true
	p.Before.Value = c.Before.AddDate(0, 0, 2)
	p.Before.Present = true
	for _, direction := range []accounts.LogAuditHistoryParamsDirection{"asc", "desc"} {
		p.Direction.Value = direction
		p.Direction.Present = true
		var envelope struct {
			ResultInfo struct {
				Count  int    `json:"count"`
				Status string `json:"history_status"`
			} `json:"result_info"`
		}
		items, err := c.v2.History(t.Context(), c.History.ID, p, option.WithMiddleware(keepBody(&envelope)))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, item := range *items {
			ids = append(ids, item.ID)
		}
		want := slices.Clone(c.History.IDs)
		if direction == "desc" {
			slices.Reverse(want)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: %q, want %q", direction, ids, want)
		}
		if envelope.ResultInfo.Count != len(want) ||
			!slices.Contains([]string{"exact", "approximate"}, envelope.ResultInfo.Status) {
			t.Errorf("%s: result_info %+v", direction, envelope.ResultInfo)
		}
	}
	items, err := c.v2.History(t.Context(), "never-written", p)
	if err != nil || len(*items) != 0 {
		t.Errorf("the history of an unknown event: %v, %v; want an empty list", items, err)
	}
}

func TestEveryListedCategoryCanBeAskedFor(t *testing.T) {
	c := newClient(t)
	var p accounts.LogAuditProductCategoriesParams
	p.AccountID.Value = c.account
	p.AccountID.Present = true
	pager := c.v2.ProductCategoriesAutoPaging(t.Context(), p)
	for pager.Next() {
		category := pager.Current()
		if category.Value == "" || category.Label == "" || len(category.Products) == 0 || category.Products[0].Value == "" {
			t.Errorf("category %s", category.JSON.RawJSON())
		}
		params, options := c.paramsV2()
		params.ProductCategory.Value = []string{category.Value, strings.ToUpper(category.Value)}
		params.ProductCategory.Present = true
		c.everyV2(t, params, options...)
	}
	if err := pager.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsReachTheCallerAtOnce(t *testing.T) {
	newClient(t)
	for _, e := range []struct {
		name   string
		token  func(*client) string
		change func(*client, *accounts.LogAuditListParams) []option.RequestOption
		status int
		code   int64
		names  string
	}{
		{"an unknown token", func(*client) string { return strings.Repeat("x", 40) }, nil, 401, 10000, ""},
		{"a token that may not read", func(c *client) string { return c.Writer }, nil, 403, 10001, ""},
		{"an unknown account", nil, func(_ *client, p *accounts.LogAuditListParams) []option.RequestOption {
			p.AccountID.Value = strings.Repeat("0", 32)
			return nil
		}, 404, 0, ""},
		{"an unknown category", nil, func(_ *client, p *accounts.LogAuditListParams) []option.RequestOption {
			p.ProductCategory.Value = []string{"no-such-category"}
			p.ProductCategory.Present = true
			return nil
		}, 400, 0, "product_category"},
		{"no since", nil, func(*client, *accounts.LogAuditListParams) []option.RequestOption {
			return []option.RequestOption{option.WithQueryDel("since")}
		}, 400, 0, "since"},
		{"a cursor of nobody", nil, func(_ *client, p *accounts.LogAuditListParams) []option.RequestOption {
			p.Cursor.Value = "AAAA"
			p.Cursor.Present = true
			return nil
		}, 400, 0, "cursor"},
	} {
		t.Run(e.name, func(t *testing.T) {
			c := newClient(t)
			if e.token != nil {
				c = clientWith(t, e.token(c))
			}
			params, options := c.paramsV2()
			if e.change != nil {
				options = append(options, e.change(c, &params)...)
			}
			_, err := c.v2.List(t.Context(), params, options...)
			var failure *accounts.Error
			if !errors.As(err, &failure) {
				t.Fatalf("%v (%T) is no error of the API", err, err)
			}
			if failure.StatusCode != e.status || len(failure.Errors) == 0 || failure.Errors[0].Code == 0 ||
				failure.Errors[0].Message == "" {
				t.Fatalf("status %d, %+v", failure.StatusCode, failure.Errors)
			}
			first := failure.Errors[0]
			if e.code != 0 && first.Code != e.code ||
				e.names != "" && !strings.Contains(first.Source.Pointer+first.Message, e.names) {
				t.Errorf("code %d, %q at %q", first.Code, first.Message, first.Source.Pointer)
			}
			if n := c.requests.Load(); n != 1 {
				t.Errorf("the client sent it %d times", n)
			}
		})
	}
}
