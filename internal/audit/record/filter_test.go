package record

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// FuzzFilter reads filters of a query string. A filter compiles, or its error names the field; a record that matches a
// filter does not match the same filter with .not; and the digest of a tile never hides a match.
func FuzzFilter(f *testing.F) {
	f.Add("actor_id=u1&action_type.not=view", "u1", "view")
	f.Add("actor_ip_address=10.0.0.0/8&actor_type=account&raw_status_code=200", "u2", "update")
	f.Add("zone=shop.example&zone.not=other&audit_log_id=e1", "u3", "delete")
	f.Add("nothing=1", "", "")
	f.Fuzz(func(t *testing.T, query, actor, action string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r := &Record{
			Event: Event{
				ID:        "e1",
				Action:    Action{Type: action, Result: "success"},
				Actor:     Actor{Type: "token", ID: actor, IPAddress: "10.1.2.3"},
				Resource:  Resource{Product: "p", Type: "t", ID: actor},
				Zone:      ZoneRef{Name: "shop.example"},
				Interface: "API",
			},
		}
		keys := FacetKeys(&r.Event)
		set := map[int64]struct{}{}
		for _, k := range keys {
			set[k] = struct{}{}
		}
		bloom := NewBloom(set)
		for name, wanted := range values {
			field, not := strings.CutSuffix(name, ".not")
			if field == "audit_log_id" {
				field = "id"
			}
			m, err := Compile([]Filter{{Field: field, Not: not, Values: wanted}})
			if err != nil {
				list := errs.All(err)
				if list[0].Kind() != errs.Invalid || list[0].Pointer == "" && !strings.Contains(err.Error(), field) {
					t.Fatalf("%q: %v", name, err)
				}
				continue
			}
			opposite, err := Compile([]Filter{{Field: field, Not: !not, Values: wanted}})
			if err != nil {
				t.Fatalf("%q compiles, its opposite does not: %v", name, err)
			}
			if len(wanted) > 0 && m.Matches(r) == opposite.Matches(r) {
				t.Fatalf("%q=%q: taken by the filter and by its opposite alike", name, wanted)
			}
			if m.Matches(r) && !(m.MayBeIn(bloom) && m.HasKeys(&keys)) {
				t.Fatalf("%q=%q: the digest hides an event that matches", name, wanted)
			}
		}
	})
}

func TestFieldsAreListedOnceAndSorted(t *testing.T) {
	list := Fields()
	if !slices.IsSorted(list) || len(list) < 20 || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Fatal(list)
	}
}
