package record

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Filter is one filter: the field has one of the values, or, with Not, none.
type Filter struct {
	Field  string
	Not    bool
	Values []string
}

// IsField reports whether a Cond may have this name.
func IsField(name string) bool { _, ok := fieldTable[name]; return ok }

// Fields are the names that a Cond may have, sorted.
func Fields() []string {
	list := make([]string, 0, len(fieldTable))
	for f := range fieldTable {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}

// Matcher is a compiled filter.
type Matcher struct {
	tests  []func(*Record) bool
	facets [Facets][]int64 // any of these keys; none = any
}

// Compile checks the conditions and finds those that the digests answer.
func Compile(filters []Filter) (*Matcher, error) {
	m := &Matcher{}
	for _, c := range filters {
		get, ok := fieldTable[c.Field]
		if !ok {
			return nil, errs.At(errs.CodeInvalid, c.Field, "%s is not a field to filter by; there are %s", c.Field,
				strings.Join(Fields(), ", "))
		}
		if len(c.Values) == 0 {
			continue
		}
		if len(c.Values) > 100 {
			return nil, errs.At(errs.CodeOutOfRange, c.Field, "%s has %d values; at most 100 are taken", c.Field, len(c.Values))
		}
		if err := checkWords(c); err != nil {
			return nil, err
		}
		values := c.Values
		if c.Field == "actor_ip_address" {
			test, err := addressTest(values)
			if err != nil {
				return nil, err
			}
			m.tests = append(m.tests, func(r *Record) bool { return test(r.Event.Actor.IPAddress) != c.Not })
			continue
		}
		same := func(a, b string) bool { return a == b }
		if c.Field == "actor_email" { // people write their address in whatever case
			same = strings.EqualFold
		}
		m.tests = append(m.tests, func(r *Record) bool {
			for _, v := range get(r) {
				if v != "" && slices.ContainsFunc(values, func(wanted string) bool { return same(v, wanted) }) {
					return !c.Not
				}
			}
			return c.Not
		})
		if f, ok := facetOf[c.Field]; ok && !c.Not && len(m.facets[f]) == 0 {
			for _, v := range values {
				m.facets[f] = append(m.facets[f], f.Key(v))
			}
		}
	}
	return m, nil
}

// closedWords are the fields of which all values are known: another word is a mistake,
// and an empty answer to it would mean that nothing happened.
var closedWords = map[string][]string{
	"action_result": {"success", "failure"},
	"actor_type":    {"user", "token", "integration", "staff", "system", "account", "cloudflare_admin"},
	"actor_context": {"api_key", "api_token", "dash", "oauth", "origin_ca_key", "system"},
	"interface":     {"UI", "API", "CLI", "SYSTEM"},
}

// checkWords refuses values that a field cannot have.
func checkWords(c Filter) error {
	for _, v := range c.Values {
		if words := closedWords[c.Field]; words != nil && !slices.Contains(words, v) {
			return errs.At(errs.CodeInvalid, c.Field, "%s must be one of %s, not %q",
				c.Field, strings.Join(words, ", "), strict.Clip(v, maxWord))
		}
		if c.Field == "raw_status_code" {
			if n, err := strconv.Atoi(v); err != nil || n < 100 || n > 599 {
				return errs.At(errs.CodeInvalid, c.Field, "%s must be a status code, 100 to 599", c.Field)
			}
		}
	}
	return nil
}

// facetOf are the fields that the digests know. zone_id and zone_name are not
// among them: one event may carry either, and "zone" is asked with both.
var facetOf = map[string]Facet{
	"actor_id": ByActor, "resource_id": ByResource, "resource_product": ByProduct, "action_type": ByAction, "zone": ByZone,
}

func addressTest(values []string) (func(string) bool, error) {
	var prefixes []netip.Prefix
	for _, v := range values {
		p, ok := ParseAddressRange(v)
		if !ok {
			return nil, errs.At(errs.CodeInvalid, "actor_ip_address", "%q is neither an address nor a CIDR range",
				strict.Clip(v, maxWord))
		}
		prefixes = append(prefixes, p)
	}
	return func(s string) bool {
		a, err := netip.ParseAddr(s)
		a = a.Unmap().WithZone("")
		return err == nil && slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	}, nil
}

// ParseAddressRange reads an address or a CIDR range. One address has several
// notations: IPv4 within IPv6 (::ffff:192.0.2.1) is the IPv4 address, and the
// zone of a link-local one (%eth0) is the business of one machine.
func ParseAddressRange(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	const mapped = 96 // bits in front of an IPv4 address within IPv6
	if a := p.Addr(); a.Is4In6() && p.Bits() >= mapped {
		return netip.PrefixFrom(a.Unmap(), p.Bits()-mapped).Masked(), true
	}
	return p.Masked(), true
}

// Indexed reports whether the digests help to find the events.
func (m *Matcher) Indexed() bool {
	for _, keys := range m.facets {
		if len(keys) > 0 {
			return true
		}
	}
	return false
}

// MayBeIn asks a tile's digest.
func (m *Matcher) MayBeIn(bloom []byte) bool {
	for _, keys := range m.facets {
		if len(keys) > 0 && !slices.ContainsFunc(keys, func(k int64) bool { return BloomMayHold(bloom, k) }) {
			return false
		}
	}
	return true
}

// HasKeys asks one event's facets.
func (m *Matcher) HasKeys(keys *Keys) bool {
	for f, want := range m.facets {
		if len(want) > 0 && !slices.Contains(want, keys[f]) {
			return false
		}
	}
	return true
}

// Everything reports whether the filter takes every event.
func (m *Matcher) Everything() bool { return len(m.tests) == 0 }

// Matches decides about one event.
func (m *Matcher) Matches(r *Record) bool {
	for _, test := range m.tests {
		if !test(r) {
			return false
		}
	}
	return true
}

// field returns the value of one filterable field, as the v2 API maps it. Some
// have two words for the same thing: Belfry's own is accepted too.
var fieldTable = map[string]func(*Record) []string{
	"id":               func(r *Record) []string { return []string{r.Event.ID} },
	"action_type":      func(r *Record) []string { return []string{r.Event.Action.Type} },
	"action_result":    func(r *Record) []string { return []string{r.Event.Action.Result} },
	"actor_id":         func(r *Record) []string { return []string{r.Event.Actor.ID} },
	"actor_email":      func(r *Record) []string { return []string{r.Event.Actor.Email} },
	"actor_ip_address": func(r *Record) []string { return []string{r.Event.Actor.IPAddress} },
	"actor_token_id":   func(r *Record) []string { return []string{r.Event.Actor.TokenID} },
	"actor_token_name": func(r *Record) []string { return []string{r.Event.Actor.TokenName} },
	// who did it, or for whom
	"person_id": func(r *Record) []string { return []string{r.Event.Actor.ID, r.Behalf().ID} },
	"actor_type": func(r *Record) []string {
		return []string{CompatActorType(r.Event.Actor.Type), r.Event.Actor.Type}
	},
	"actor_context":    func(r *Record) []string { return []string{CompatActorContext(&r.Event)} },
	"interface":        func(r *Record) []string { return []string{r.Event.Interface} },
	"resource_id":      func(r *Record) []string { return []string{r.Event.Resource.ID} },
	"resource_type":    func(r *Record) []string { return []string{r.Event.Resource.Type} },
	"resource_product": func(r *Record) []string { return []string{r.Event.Resource.Product} },
	"resource_scope":   func(r *Record) []string { return []string{r.Event.Resource.Scope} },
	"change_set":       func(r *Record) []string { return []string{r.Event.ChangeSet} },
	"zone_id":          func(r *Record) []string { return []string{r.Event.Zone.ID} },
	"zone_name":        func(r *Record) []string { return []string{r.Event.Zone.Name} },
	// as its facet
	"zone":            func(r *Record) []string { return []string{cmp.Or(r.Event.Zone.ID, r.Event.Zone.Name)} },
	"raw_cf_ray_id":   func(r *Record) []string { return []string{r.Request().ID} },
	"raw_method":      func(r *Record) []string { return []string{r.Request().Method} },
	"raw_uri":         func(r *Record) []string { return []string{r.Request().URI} },
	"raw_status_code": func(r *Record) []string { return []string{strconv.Itoa(r.Request().StatusCode)} },
}
