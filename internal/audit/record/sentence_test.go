package record_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/record"
)

func TestASentenceSaysWhatHappened(t *testing.T) {
	ana := record.Actor{Type: "user", ID: "u-1", Name: "Ana", Email: "ana@example.com"}
	dns := record.Resource{Product: "dns", Type: "dns_record", ID: "r-1", Name: "www.example"}
	value := func(s string) jsontext.Value { return jsontext.Value(s) }
	for _, c := range []struct {
		name, template string
		event          record.Event
		want           string
	}{
		{"one member", "", record.Event{
			Action:   record.Action{Type: "update"},
			Actor:    ana,
			Resource: dns,
			Before:   value(`{"ttl":300,"x":1}`),
			After:    value(`{"ttl":60,"x":1}`),
		},
			"Ana changed ttl of dns record www.example from 300 to 60"},
		{"several members", "", record.Event{
			Action:   record.Action{Type: "update"},
			Actor:    ana,
			Resource: dns,
			Before:   value(`{"a":1,"b":1}`),
			After:    value(`{"a":2,"b":2}`),
		},
			"Ana changed dns record www.example (2 changes)"},
		{"more than are counted", "", record.Event{
			Action:   record.Action{Type: "update"},
			Actor:    ana,
			Resource: dns,
			Before:   value(numbered(3000, 0)),
			After:    value(numbered(3000, 1)),
		},
			"Ana changed dns record www.example (200+ changes)"},
		{"created", "", record.Event{
			Action:   record.Action{Type: "dns.record.create"},
			Actor:    ana,
			Resource: dns,
			After:    value(`{"a":1}`),
			Zone:     record.ZoneRef{Name: "shop.example"},
		},
			"Ana created dns record www.example in shop.example"},
		{"failed", "", record.Event{Action: record.Action{Type: "delete", Result: "failure"}, Actor: ana, Resource: dns},
			"Ana failed to delete dns record www.example"},
		{"failed under another name", "",
			record.Event{Action: record.Action{Type: "dns.update", Result: "failure"}, Actor: ana, Resource: dns},
			"Ana failed to change dns record www.example"},
		{"failed with an unknown verb", "",
			record.Event{Action: record.Action{Type: "warm_up", Result: "failure"}, Actor: ana, Resource: dns},
			"Ana failed to do warm up on dns record www.example"},
		{"a word of its own", "", record.Event{Action: record.Action{Type: "re_index"}, Actor: ana, Resource: dns},
			"Ana did re index on dns record www.example"},
		{"an email only", "", record.Event{
			Action:   record.Action{Type: "view"},
			Actor:    record.Actor{Type: "user", ID: "u", Email: "a@b"},
			Resource: dns,
		}, "a@b viewed dns record www.example"},
		{"an id only", "", record.Event{
			Action:   record.Action{Type: "view"},
			Actor:    record.Actor{Type: "token", ID: "t-1"},
			Resource: dns,
		}, "token t-1 viewed dns record www.example"},
		{"the system", "", record.Event{
			Action:   record.Action{Type: "rotate"},
			Actor:    record.Actor{Type: "system"},
			Resource: dns,
		}, "the system rotated dns record www.example"},
		{"an erased actor", "", record.Event{
			Action:   record.Action{Type: "rotate"},
			Actor:    record.Actor{Type: "user"},
			Resource: dns,
		}, "an erased user rotated dns record www.example"},
		{"an erased resource", "", record.Event{
			Action:   record.Action{Type: "rotate"},
			Actor:    ana,
			Resource: record.Resource{Type: "api_key"},
		}, "Ana rotated an erased api key"},
		{"for another", "", record.Event{
			Action:   record.Action{Type: "delete"},
			Actor:    record.Actor{Type: "staff", Name: "Bo", OnBehalfOf: &record.OnBehalfOf{ID: "u-9"}},
			Resource: dns,
		}, "Bo on behalf of u-9 deleted dns record www.example"},
		{"a template", "{actor} set {resource.type} {resource} ({resource.id}) to {after.a.b} from {before.a.b} in " +
			"{zone}, {action}, {metadata.why}",
			record.Event{
				Action:   record.Action{Type: "edit"},
				Actor:    ana,
				Resource: dns,
				Zone:     record.ZoneRef{ID: "z-1"},
				Before:   value(`{"a":{"b":"one"}}`),
				After:    value(`{"a":{"b":[1,2]}}`),
				Metadata: value(`{"why":null}`),
			},
			"Ana set dns record www.example (r-1) to [1,2] from one in z-1, edit, null"},
		{"a template that asks for what an old event does not have",
			"{actor} set {resource} from {before.ms} ms to {after.ms} ms",
			record.Event{
				Action:   record.Action{Type: "update"},
				Actor:    ana,
				Resource: dns,
				Before:   value(`{"value":300}`),
				After:    value(`{"value":60}`),
			},
			"Ana changed value of dns record www.example from 300 to 60"},
		{"a template that asks for a property that is not there", "{actor} set {resource} in {zone}",
			record.Event{Action: record.Action{Type: "update"}, Actor: ana, Resource: dns},
			"Ana changed dns record www.example"},
		{"the template says that it failed", "{actor} tried",
			record.Event{Action: record.Action{Type: "edit", Result: "failure"}, Actor: ana}, "Ana tried"},
		{"a brace alone", "50% {actor} {", record.Event{Actor: ana}, "50% Ana {"},
		{"an unknown place", "{nobody} {before} {after.} {}",
			record.Event{Action: record.Action{Type: "update"}, Actor: ana, Resource: dns, After: value(`{}`)},
			"Ana changed dns record www.example"},
		{"braces in a value", "{actor} {after.x}", record.Event{Actor: ana, After: value(`{"x":"{actor}"}`)}, "Ana {actor}"},
		{"a long value", "{after.x}", record.Event{After: value(`{"x":"` + strings.Repeat("é", 100) + `"}`)},
			strings.Repeat("é", 59) + "…"},
		{"an empty value", "{after.x}", record.Event{After: value(`{"x":""}`)}, `""`},
	} {
		r := record.Record{Event: c.event}
		if got := r.Sentence(c.template); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// numbered is an object of n members, each counting from add.
func numbered(n, add int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i+add)
	}
	return "{" + b.String()[1:] + "}"
}
