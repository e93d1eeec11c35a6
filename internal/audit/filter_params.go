package audit

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// FilterParams are the query parameters of the v2 list: each repeatable, each also
// with .not.
type FilterParams struct {
	AuditLogID       []string `query:"audit_log_id,explode" doc:"The same as id"`
	AuditLogIDNot    []string `query:"audit_log_id.not,explode"`
	ID               []string `query:"id,explode"`
	IDNot            []string `query:"id.not,explode"`
	AccountName      []string `query:"account_name,explode"`
	AccountNameNot   []string `query:"account_name.not,explode"`
	ActionResult     []string `query:"action_result,explode" doc:"success or failure"`
	ActionResultNot  []string `query:"action_result.not,explode"`
	ActionType       []string `query:"action_type,explode"`
	ActionTypeNot    []string `query:"action_type.not,explode"`
	ActorContext     []string `query:"actor_context,explode" doc:"api_token, dash, oauth, system"`
	ActorContextNot  []string `query:"actor_context.not,explode"`
	ActorEmail       []string `query:"actor_email,explode"`
	ActorEmailNot    []string `query:"actor_email.not,explode"`
	ActorID          []string `query:"actor_id,explode"`
	ActorIDNot       []string `query:"actor_id.not,explode"`
	ActorIP          []string `query:"actor_ip_address,explode" doc:"Address or CIDR range"`
	ActorIPNot       []string `query:"actor_ip_address.not,explode"`
	ActorTokenID     []string `query:"actor_token_id,explode"`
	ActorTokenIDNot  []string `query:"actor_token_id.not,explode"`
	ActorTokenName   []string `query:"actor_token_name,explode"`
	ActorTokenNot    []string `query:"actor_token_name.not,explode"`
	ActorType        []string `query:"actor_type,explode" doc:"account, cloudflare_admin, system, user, or Belfry's own user, token, integration, staff, system"`
	ActorTypeNot     []string `query:"actor_type.not,explode"`
	ChangeSet        []string `query:"change_set,explode"`
	ChangeSetNot     []string `query:"change_set.not,explode"`
	Interface        []string `query:"interface,explode" doc:"UI, API, CLI, SYSTEM"`
	InterfaceNot     []string `query:"interface.not,explode"`
	RawRayID         []string `query:"raw_cf_ray_id,explode"`
	RawRayIDNot      []string `query:"raw_cf_ray_id.not,explode"`
	RawMethod        []string `query:"raw_method,explode"`
	RawMethodNot     []string `query:"raw_method.not,explode"`
	RawStatus        []string `query:"raw_status_code,explode"`
	RawStatusNot     []string `query:"raw_status_code.not,explode"`
	RawURI           []string `query:"raw_uri,explode"`
	RawURINot        []string `query:"raw_uri.not,explode"`
	ResourceID       []string `query:"resource_id,explode"`
	ResourceIDNot    []string `query:"resource_id.not,explode"`
	ResourceProduct  []string `query:"resource_product,explode"`
	ResourceProdNot  []string `query:"resource_product.not,explode"`
	ResourceScope    []string `query:"resource_scope,explode"`
	ResourceScopeNot []string `query:"resource_scope.not,explode"`
	ResourceType     []string `query:"resource_type,explode"`
	ResourceTypeNot  []string `query:"resource_type.not,explode"`
	Zone             []string `query:"zone,explode" doc:"Id, name or alias of a zone"`
	ZoneNot          []string `query:"zone.not,explode"`
	ZoneID           []string `query:"zone_id,explode"`
	ZoneIDNot        []string `query:"zone_id.not,explode"`
	ZoneName         []string `query:"zone_name,explode"`
	ZoneNameNot      []string `query:"zone_name.not,explode"`
	ProductCategory  []string `query:"product_category,explode" doc:"One of .../logs/audit/product_categories"`
}

// noEmptyValues refuses a filter or an end of a range without a value. An unset
// variable of a shell writes it so, and a caller who wanted one person's events would
// get all of them.
func noEmptyValues(ctx context.Context) error {
	r := web.Request(ctx)
	if r == nil {
		return nil
	}
	var list errs.List
	for name, values := range r.URL.Query() {
		if slices.Contains(values, "") && narrows(name) {
			list = append(list, emptyFilter(name))
		}
	}
	slices.SortFunc(list, func(a, b *errs.Error) int { return strings.Compare(a.Pointer, b.Pointer) })
	return list.Or()
}

func emptyFilter(name string) *errs.Error {
	return errs.At(errs.CodeInvalid, name, "%s has no value; give it one, or leave it out", name)
}

// narrows reports whether a query parameter decides which events are shown.
func narrows(name string) bool {
	switch name {
	case "since", "before", "from", "to", "size", "action.type", "actor.email", "actor.ip", "zone.name":
		return true
	}
	field, _ := cutNot(name)
	return fieldOf(field) == field
}

// raw returns the parameters as filters, by the names in their tags.
func (q *FilterParams) raw() []record.Filter {
	var list []record.Filter
	v := reflect.ValueOf(q).Elem()
	for i := range v.NumField() {
		values := v.Field(i).Interface().([]string)
		if len(values) == 0 {
			continue
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("query"), ",")
		field, not := cutNot(name)
		list = append(list, record.Filter{Field: field, Not: not, Values: values})
	}
	return list
}

// cutNot splits the name of a filter.
func cutNot(name string) (field string, not bool) {
	field, not = strings.CutSuffix(name, ".not")
	if field == "audit_log_id" {
		field = "id"
	}
	return field, not
}

// resolveFilters resolves the names that only the rest of Belfry knows: zones by any
// of their names, products by category, the account's own name.
func (f *Feature) resolveFilters(ctx context.Context, accountID string, raw []record.Filter) ([]record.Filter, error) {
	var list []record.Filter
	var products []string // of the categories and of resource_product: either will do
	for _, c := range raw {
		if len(c.Values) == 0 || slices.Contains(c.Values, "") {
			return nil, emptyFilter(c.Field)
		}
		switch c.Field {
		case "account_name":
			name := f.words.AccountName(ctx, accountID)
			match := false
			for _, v := range c.Values {
				match = match || strings.EqualFold(v, name)
			}
			if match == c.Not { // nothing in this account can match
				list = append(list, record.Filter{Field: "id", Values: []string{"-"}})
			}
		case "product_category":
			found, err := f.productsOf(ctx, accountID, c.Values)
			if err != nil {
				return nil, err
			}
			products = append(products, found...)
		case "resource_product":
			if c.Not {
				list = append(list, c)
			} else {
				products = append(products, c.Values...)
			}
		case "zone", "zone_id", "zone_name":
			values := append([]string(nil), c.Values...)
			for _, ref := range c.Values {
				id, name, err := f.sources.Zone(ctx, accountID, ref)
				if err != nil {
					return nil, err
				}
				if id != "" {
					values = append(values, id, name)
				}
				// An event of a zone that was not known holds its name; older ones as it was written.
				values = append(values, account.ZoneKey(ref))
			}
			list = append(list, record.Filter{Field: "zone", Not: c.Not, Values: values})
		default:
			list = append(list, c)
		}
	}
	if len(products) > 0 {
		list = append(list, record.Filter{Field: "resource_product", Values: products})
	}
	return list, nil
}

// categories are those of the catalogue and, for each product in the account's record
// that no team has declared, one with its name.
func (f *Feature) categories(ctx context.Context, accountID string) ([]ProductCategory, error) {
	declared, err := f.words.Products(ctx)
	if err != nil {
		return nil, err
	}
	recorded, err := f.reader.Products(ctx, accountID)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, c := range declared {
		known[strings.ToLower(c.Value)] = true
		for _, p := range c.Products {
			known[strings.ToLower(p.Value)] = true
		}
	}
	list := append([]ProductCategory{}, declared...)
	for _, p := range recorded {
		if !known[strings.ToLower(p)] {
			list = append(list, ProductCategory{Value: p, Label: p, Products: []ProductName{{p, p}}})
		}
	}
	return list, nil
}

// productsOf returns the products of the categories, matched without regard to case.
func (f *Feature) productsOf(ctx context.Context, accountID string, categories []string) ([]string, error) {
	known, err := f.categories(ctx, accountID)
	if err != nil {
		return nil, err
	}
	var products []string
	for _, want := range categories {
		found := false
		for _, c := range known {
			if strings.EqualFold(c.Value, want) {
				found = true
				for _, p := range c.Products {
					products = append(products, p.Value)
				}
			}
		}
		if !found {
			return nil, errs.At(errs.CodeInvalid, "product_category",
				"there is no product category %q; GET .../logs/audit/product_categories lists them", want)
		}
	}
	return products, nil
}

// parseTime reads since and before: a date (00:00 UTC of that day) or RFC 3339.
// Empty is 0.
func parseTime(name, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	t, ok := strict.Time(s)
	if !ok {
		// A plus that was not written as %2B arrives as a blank.
		if t, ok = strict.Time(strings.Replace(s, " ", "+", 1)); !ok {
			day, err := time.Parse(time.DateOnly, s)
			if err != nil {
				return 0, errs.At(errs.CodeInvalid, name,
					"%s must be a date (2026-11-22) or a time of RFC 3339 (2026-11-22T10:00:00Z)", name)
			}
			t = day
		}
	}
	switch {
	case t.IsZero(): // what Go and .NET send for "no time"
		return 0, nil
	case t.Unix() < 0:
		return 0, errs.At(errs.CodeOutOfRange, name, "%s must not be before 1970", name)
	}
	return t.UnixMicro(), nil
}

// openEnd reports whether an end of a range is left open: it is not given, or it is
// the zero time that Go and .NET send for "no time".
func openEnd(s string) bool {
	t, ok := strict.Time(s)
	return s == "" || ok && t.IsZero()
}

// timeRange reads both ends. An empty range (since at or after before) is valid
// and empty: the official clients cut times to dates and ask for it.
func timeRange(since, before string) (from, to int64, empty bool, err error) {
	var list errs.List
	from, err1 := parseTime("since", since)
	to, err2 := parseTime("before", before)
	for _, e := range []error{err1, err2} {
		if e != nil {
			list = append(list, errs.All(e)...)
		}
	}
	return from, to, !openEnd(before) && from >= to, list.Or()
}
