package audit

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// The explorer's URL is its state, and its parameters are the API's: since,
// before, every field of [Fields] with its .not. The pages' own are q (free
// text), views (shown), event (open), tab and cursor.

// ownParameters are the pages' own.
var ownParameters = []string{"q", "views", "event", "tab", "verify", "cursor", "since", "before", seenParameter}

// special are fields that filters resolves beyond those of Fields.
var special = []string{"account_name", "audit_log_id", "product_category"}

// chipKeys are the filters that are shown as chips, in their order.
var chipKeys = []ui.FilterKey{
	{Key: "actor_id", Label: "Actor", Icon: "user"},
	{Key: "actor_email", Label: "Email", Icon: "at-sign"},
	{Key: "actor_type", Label: "Actor type", Icon: "users"},
	{Key: "actor_ip_address", Label: "Address", Icon: "network"},
	{Key: "actor_token_id", Label: "Token", Icon: "key"},
	{Key: "actor_token_name", Label: "Token", Icon: "key"},
	{Key: "person_id", Label: "By or for", Icon: "user"},
	{Key: "actor_context", Label: "Context"},
	{Key: "action_type", Label: "Action", Icon: "zap"},
	{Key: "action_result", Label: "Result", Icon: "circle-check"},
	{Key: "resource_product", Label: "Product", Icon: "package"},
	{Key: "product_category", Label: "Category", Icon: "boxes"},
	{Key: "resource_type", Label: "Type", Icon: "box"},
	{Key: "resource_id", Label: "Resource", Icon: "box"},
	{Key: "resource_scope", Label: "Scope"},
	{Key: "zone", Label: "Property", Icon: "globe"},
	{Key: "zone_id", Label: "Property", Icon: "globe"},
	{Key: "zone_name", Label: "Property", Icon: "globe"},
	{Key: "interface", Label: "Interface", Icon: "square-terminal"},
	{Key: "change_set", Label: "Change set", Icon: "layers"},
	{Key: "id", Label: "Event", Icon: "hash"},
	{Key: "audit_log_id", Label: "Event", Icon: "hash"},
	{Key: "account_name", Label: "Account"},
	{Key: "raw_cf_ray_id", Label: "Request", Icon: "route"},
	{Key: "raw_method", Label: "Method"},
	{Key: "raw_uri", Label: "URI"},
	{Key: "raw_status_code", Label: "Status"},
}

// aliases are the short names that the search field takes for fields.
var aliases = map[string]string{
	"actor":    "actor_id",
	"user":     "actor_id",
	"who":      "actor_id",
	"email":    "actor_email",
	"ip":       "actor_ip_address",
	"address":  "actor_ip_address",
	"token":    "actor_token_name",
	"action":   "action_type",
	"result":   "action_result",
	"product":  "resource_product",
	"type":     "resource_type",
	"resource": "resource_id",
	"property": "zone",
	"set":      "change_set",
	"event":    "id",
	"request":  "raw_cf_ray_id",
	"status":   "raw_status_code",
	"via":      "interface",
}

// fieldOf returns the filter with a name or an alias; "" for none.
func fieldOf(name string) string {
	name = strings.ToLower(name)
	if f, ok := aliases[name]; ok {
		return f
	}
	if record.IsField(name) || slices.Contains(special, name) {
		return name
	}
	return ""
}

// filtersOf reads the conditions of a URL. unknown are parameters that mean
// nothing here: a page that ignored them silently would show too much.
func filtersOf(q url.Values) (filters []record.Filter, unknown []string) {
	for name, values := range q {
		field, not := strings.CutSuffix(name, ".not")
		values = slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
		known := record.IsField(field)
		switch {
		case slices.Contains(ownParameters, name) || len(values) == 0:
		case field == "audit_log_id":
			filters = append(filters, record.Filter{Field: "id", Not: not, Values: values})
		case field == "product_category" && not:
			unknown = append(unknown, name)
		case known || slices.Contains(special, field):
			filters = append(filters, record.Filter{Field: field, Not: not, Values: values})
		default:
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	slices.SortFunc(filters, func(a, b record.Filter) int { return strings.Compare(a.Field, b.Field) })
	return filters, unknown
}

// term is one word of the search field: a field's value, or free text.
type term struct {
	field, value string
	not          bool
}

// parseSearch reads what was typed: field:value, -field:value, "quoted text",
// words. A name before a colon that is no field is text ("arn:aws:s3").
func parseSearch(s string) []term {
	var list []term
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		t := term{}
		if rest, ok := strings.CutPrefix(s, "-"); ok && fieldOf(upTo(rest, ":")) != "" {
			t.not = true
			s = rest
		}
		if name := upTo(s, ":"); name != "" && len(name) < len(s) && fieldOf(name) != "" {
			t.field = fieldOf(name)
			s = s[len(name)+1:]
		}
		t.value, s = word(s)
		if t.field == "actor_id" && strings.Contains(t.value, "@") {
			t.field = "actor_email"
		}
		if t.field == "action_result" || t.field == "actor_type" {
			t.value = strings.ToLower(t.value)
		}
		if t.field == "interface" {
			t.value = strings.ToUpper(t.value)
		}
		if t.value != "" {
			list = append(list, t)
		}
	}
	return list
}

// upTo is s up to the first mark, or all of s; "" when a space or quote comes first.
func upTo(s, mark string) string {
	i := strings.IndexAny(s, mark+" \t\"")
	if i < 0 {
		return s
	}
	if s[i] != mark[0] {
		return ""
	}
	return s[:i]
}

// word reads the first word, or the text in quotes.
func word(s string) (first, rest string) {
	if strings.HasPrefix(s, `"`) {
		first, rest, _ = strings.Cut(s[1:], `"`)
		return first, rest
	}
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// resolve turns free text into a filter where it can only mean one thing: an
// address, a mail address, a property, a product or an action that the record
// knows. What is left is looked for in names and ids.
func (p *pages) resolve(v visit, text string, known glossary) (field string) {
	if _, err := netip.ParseAddr(text); err == nil {
		return "actor_ip_address"
	}
	if _, err := netip.ParsePrefix(text); err == nil {
		return "actor_ip_address"
	}
	if user, host, ok := strings.Cut(text, "@"); ok && user != "" && strings.Contains(host, ".") &&
		!strings.Contains(text, " ") {
		return "actor_email"
	}
	if slices.Contains(known.products, text) {
		return "resource_product"
	}
	if slices.Contains(known.actions, text) {
		return "action_type"
	}
	if id, _, err := p.sources.Zone(v.Context(), v.Account, text); err == nil && id != "" {
		return "zone"
	}
	return ""
}

// glossary holds the names of products and actions in the record's roll-ups.
type glossary struct {
	products, actions []string
	answered          bool // within its time
}

// searched is the URL that a search leads to: its terms as filters, and the
// text that is left as q. ok is false when the URL says it that way already.
func (p *pages) searched(v visit, known glossary) (to string, ok bool) {
	typed := v.Request.URL.Query().Get("q")
	q := v.Request.URL.Query()
	q.Del("cursor")
	var rest []string
	for _, t := range parseSearch(typed) {
		if t.field == "" {
			if t.field = p.resolve(v, t.value, known); t.field == "" {
				rest = append(rest, t.value)
				continue
			}
		}
		name := t.field
		if t.not {
			name += ".not"
		}
		if !slices.Contains(q[name], t.value) {
			q.Add(name, t.value)
		}
	}
	text := strings.Join(rest, " ")
	if text == strings.TrimSpace(typed) && text == typed {
		return "", false
	}
	q.Set("q", text)
	if text == "" {
		q.Del("q")
	}
	return v.Request.URL.Path + query(q), true
}

// query writes parameters, with the question mark where there are any.
func query(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}
