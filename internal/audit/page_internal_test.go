package audit

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func TestTheSearchFieldTellsFieldsFromText(t *testing.T) {
	for typed, want := range map[string][]term{
		"":                   nil,
		"ana":                {{value: "ana"}},
		"actor:ana@acme.dev": {{field: "actor_email", value: "ana@acme.dev"}},
		"who:u-1 -product:source": {
			{field: "actor_id", value: "u-1"},
			{field: "resource_product", value: "source", not: true},
		},
		`zone:"my zone" left over`:         {{field: "zone", value: "my zone"}, {value: "left"}, {value: "over"}},
		"arn:aws:s3":                       {{value: "arn:aws:s3"}},
		"-dash":                            {{value: "-dash"}},
		"result:FAILURE via:api":           {{field: "action_result", value: "failure"}, {field: "interface", value: "API"}},
		`"two words" action:`:              {{value: "two words"}},
		"  raw_method:GET   zone:shop.ex ": {{field: "raw_method", value: "GET"}, {field: "zone", value: "shop.ex"}},
	} {
		if got := parseSearch(typed); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v: expected %+v", typed, got, want)
		}
	}
}

func FuzzTheSearchFieldTakesAnything(f *testing.F) {
	for _, s := range []string{`zone:"a b" -x:"`, `"`, `- -a:`, "actor:@", ": : :", "a\x00b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, one := range parseSearch(s) {
			if one.value == "" || one.field != "" && fieldOf(one.field) != one.field {
				t.Errorf("%q: %+v", s, one)
			}
		}
	})
}

func TestAFilterThatMeansNothingIsNamed(t *testing.T) {
	q, _ := url.ParseQuery("actor_id=u&actor_id.not=v&audit_log_id=e&event=e&cursor=c&q=x&since=7d" +
		"&colour=red&product_category.not=a&zone=")
	filters, unknown := filtersOf(q)
	want := []record.Filter{
		{Field: "actor_id", Values: []string{"u"}},
		{Field: "actor_id", Not: true, Values: []string{"v"}},
		{Field: "id", Values: []string{"e"}},
	}
	slices.SortStableFunc(filters, func(a, b record.Filter) int {
		if order := strings.Compare(a.Field, b.Field); order != 0 || a.Not == b.Not {
			return order
		}
		if a.Not {
			return 1
		}
		return -1
	})
	if !reflect.DeepEqual(filters, want) || !reflect.DeepEqual(unknown, []string{"colour", "product_category.not"}) {
		t.Errorf("%+v, unknown %v", filters, unknown)
	}
}

func TestEveryFilterHasItsChip(t *testing.T) {
	for _, field := range append(record.Fields(), special...) {
		if !slices.ContainsFunc(chipKeys, func(k ui.FilterKey) bool { return k.Key == field }) {
			t.Errorf("the filter %s would be in force without being seen", field)
		}
	}
	for alias, field := range aliases {
		if !record.IsField(field) {
			t.Errorf("%s stands for %s, which is no field", alias, field)
		}
	}
}

// event is a record for the pages' pure parts.
func pageRecord(change func(*record.Event)) *record.Record {
	e := record.Event{
		ID:         "e-1",
		OccurredAt: "2026-11-22T10:00:00.000000Z",
		Action:     record.Action{Type: "update", Result: "success"},
		Actor:      record.Actor{Type: "user", ID: "u-1", Name: "Ana"},
		Resource:   record.Resource{Product: "dns", Type: "record", ID: "r-1", Name: "www"},
	}
	if change != nil {
		change(&e)
	}
	return &record.Record{Event: e}
}

func TestAMarkedSentenceSaysWhatTheSentenceSays(t *testing.T) {
	value := func(s string) jsontext.Value { return jsontext.Value(s) }
	events := map[string]func(*record.Event){
		"plain": nil,
		"one change": func(e *record.Event) {
			e.Before = value(`{"ttl":300}`)
			e.After = value(`{"ttl":60}`)
			e.Zone.Name = "shop.example"
		},
		"many": func(e *record.Event) {
			e.Before = value(`{"a":1,"b":2}`)
			e.After = value(`{"a":2,"b":3}`)
		},
		"same words": func(e *record.Event) {
			e.Actor.Name = "record"
			e.Resource.Name = "record"
			e.Zone.Name = "record from record to record"
		},
		"failed": func(e *record.Event) { e.Action.Result = "failure" },
		"erased": func(e *record.Event) {
			e.Actor = record.Actor{Type: "user"}
			e.Resource.ID = ""
			e.Resource.Name = ""
		},
		"odd verb":  func(e *record.Event) { e.Action.Type = "cache.purge_everything" },
		"templated": func(e *record.Event) { e.Metadata = value(`{"n":{"m":"<b>"}}`) },
	}
	for name, change := range events {
		for _, template := range []string{"", "{actor} did it",
			"{resource} of {zone} by {actor}: {metadata.n.m} {before.ttl} {unknown}", "an open { brace",
			"{actor} {result} {resource.type} {resource.id} {action}"} {
			r := pageRecord(change)
			if got, want := marked(r, template).String(), r.Sentence(template); got != want {
				t.Errorf("%s, %q: the page says %q, the API %q", name, template, got, want)
			}
		}
	}
	s := marked(pageRecord(events["one change"]), "")
	for _, want := range []ui.Part{
		{Text: "Ana", Strong: true, Key: "actor_id", Value: "u-1"},
		{Text: "www", Strong: true, Key: "resource_id", Value: "r-1"},
		{Text: "300", Code: true},
		{Text: "60", Code: true},
		{Text: "shop.example", Strong: true, Key: "zone", Value: "shop.example"},
	} {
		if !slices.Contains(s, want) {
			t.Errorf("%+v is not marked in %+v", want, s)
		}
	}
}

func TestWhatWouldTurnTheTextAroundIsWrittenOut(t *testing.T) {
	r := pageRecord(func(e *record.Event) {
		e.Actor.Name = "Ana\u202egnp.exe"
		e.Resource.Name = "\u2066x\u0007"
	})
	if got := marked(r, "").String(); got != `Ana\u202egnp.exe changed record \u2066x\u0007` {
		t.Error(got)
	}
	for _, s := range []string{"Žofie 日本語 עברית 👩‍👩‍👧", "a\tb\nc"} {
		if visible(s) != s {
			t.Errorf("%q was changed to %q", s, visible(s))
		}
	}
}

func TestOnlyWebLinksAreLinked(t *testing.T) {
	for link, want := range map[string]bool{
		"https://a.example/b?c": true,
		"http://a.example":      true,
		"javascript:alert(1)":   false,
		" javascript:alert(1)":  false,
		"data:text/html,x":      false,
		"//a.example":           false,
		"/local":                false,
		"https:":                false,
		"HTTPS://a.example":     true,
	} {
		if got := webLink(link) != ""; got != want {
			t.Errorf("%q: linked %v", link, got)
		}
	}
}

func TestBlameFollowsEveryMemberThroughItsChanges(t *testing.T) {
	b := newBlame()
	take := func(id, before, after, result string) []string {
		return b.take(pageRecord(func(e *record.Event) {
			e.ID = id
			e.Action.Result = result
			if before != "" {
				e.Before = jsontext.Value(before)
			}
			if after != "" {
				e.After = jsontext.Value(after)
			}
		}))
	}
	check := func(step string, want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for name, r := range b.by {
			got[name] = string(b.state[name]) + " by " + r.Event.ID
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v: expected %v", step, got, want)
		}
	}
	take("1", "", `{"ttl":300,"ip":"a"}`, "success")
	take("2", `{"ttl":300,"ip":"a"}`, `{"ttl":60,"ip":"a"}`, "success")
	check("the whole value", map[string]string{"ttl": "60 by 2", "ip": `"a" by 1`})
	take("3", `{"ip":"a"}`, `{"ip":"b","note":"n"}`, "success")
	check("a part of it", map[string]string{"ttl": "60 by 2", "ip": `"b" by 3`, "note": `"n" by 3`})
	take("4", `{"ttl":60}`, `{"ttl":1}`, "failure")
	check("a failure", map[string]string{"ttl": "60 by 2", "ip": `"b" by 3`, "note": `"n" by 3`})
	if outside := take("5", `{"ttl":60,"ip":"stolen","note":"n"}`, `{"ttl":60,"ip":"stolen"}`,
		"success"); !reflect.DeepEqual(outside, []string{"ip"}) {
		t.Errorf("outside of the record changed %v: expected ip", outside)
	}
	check("a member gone, another changed outside", map[string]string{"ttl": "60 by 2", "ip": `"stolen" by 5`})
	take("6", `{"ttl":60}`, "", "success")
	if check("deleted", map[string]string{}); b.gone == nil || b.gone.Event.ID != "6" {
		t.Error("nobody deleted it")
	}
	take("7", "", `"a text"`, "success")
	check("made anew as another kind", map[string]string{"value": `"a text" by 7`})
	if b.gone != nil {
		t.Error("it is still gone")
	}
}

func TestAChangeSetFoldsIntoOneSentence(t *testing.T) {
	f := &Feature{words: Words{Sentence: func(string, string, string, string) (string, bool) { return "", false }}}
	l := rowList{
		pages:       &pages{Feature: f},
		visit:       visit{Visit: &page.Visit{Account: "a"}, now: time.Now()},
		explorerURL: &url.URL{Path: "/p"},
		fold:        true,
		live:        true,
	}
	part := func(i int, change func(*record.Event)) *record.Record {
		return pageRecord(func(e *record.Event) {
			e.ID = strconv.Itoa(i)
			e.ChangeSet = "set"
			e.Resource.Type = "policy"
			e.Resource.ID = strconv.Itoa(i)
			e.SetMicros(int64(1_000_000_000_000_000 - i))
			if change != nil {
				change(e)
			}
		})
	}
	var set []*record.Record
	for i := range 30 {
		set = append(set, part(i, nil))
	}
	rows := l.rows(append(set, part(30, func(e *record.Event) { e.ChangeSet = "" })))
	if len(rows) != 2 || rows[0].Folded != 30 || len(rows[0].Fold) != maxInline ||
		rows[0].Sentence.String() != "Ana changed 30 policies in one change set" {
		t.Fatalf("%d rows, %d folded, %q", len(rows), rows[0].Folded, rows[0].Sentence.String())
	}
	set[3].Event.Action.Result = "failure"
	set[4].Event.Action.Type = "delete"
	set[5].Event.Resource.Type = "zone"
	rows = l.rows(append(set, part(31, func(e *record.Event) { e.Actor.ID = "somebody else" })))
	if got := rows[0].Sentence.String(); got != "Ana changed 30 resources in one change set" ||
		rows[0].Marks[0].Label != "1 failed" || len(rows) != 2 {
		t.Errorf("%q, %+v", got, rows[0].Marks)
	}
}

func TestAVerificationSaysWhichStepFailed(t *testing.T) {
	for data, want := range map[string]int{"": 0, "{}": 0, `{"bundle":{"v":2}}`: 0} {
		steps, ok := verifySteps([]byte(data), "k")
		if ok || steps[want].Tone != ui.Bad {
			t.Errorf("%q: %+v", data, steps)
		}
		for _, later := range steps[want+1:] {
			if later.Tone != ui.Neutral {
				t.Errorf("%q: %s is said to be %q after a step that failed", data, later.Name, later.Tone)
			}
		}
	}
}

// A filter that works and is not shown as a chip hides why the list is short.
func TestEveryFilterIsShownAsAChipAndEveryChipFilters(t *testing.T) {
	shown := map[string]bool{}
	for _, k := range chipKeys {
		if k.Label == "" {
			t.Errorf("the chip of %s has no label", k.Key)
		}
		for _, name := range []string{k.Key, k.Key + ".not"} {
			filters, unknown := filtersOf(url.Values{name: {"x"}})
			if k.Key == "product_category" && name != k.Key {
				continue // categories can be asked for, not excluded
			}
			if len(filters) != 1 || len(unknown) != 0 {
				t.Errorf("the chip %s filters nothing", name)
			}
		}
		shown[k.Key] = true
	}
	for _, name := range record.Fields() {
		if !shown[name] {
			t.Errorf("the filter %s has no chip", name)
		}
	}
	for _, name := range special {
		if !shown[name] {
			t.Errorf("the filter %s has no chip", name)
		}
	}
	for alias, field := range aliases {
		if !shown[field] {
			t.Errorf("%s: stands for %s, which has no chip", alias, field)
		}
	}
}

func TestARunOfSetUpWorkIsOneRow(t *testing.T) {
	f := &Feature{words: Words{Sentence: func(string, string, string, string) (string, bool) { return "", false }}}
	l := rowList{
		pages:       &pages{Feature: f},
		visit:       visit{Visit: &page.Visit{Account: "a"}, now: time.Now()},
		explorerURL: &url.URL{Path: "/p"},
		fold:        true,
		live:        true,
	}
	made := func(i int, change func(*record.Event)) *record.Record {
		return pageRecord(func(e *record.Event) {
			e.ID = strconv.Itoa(i)
			e.Action.Type = "create"
			e.Resource = record.Resource{Product: event.Product, Type: "zone", ID: strconv.Itoa(i)}
			e.Actor = record.Actor{Type: "staff", ID: "bootstrap", Name: "bootstrap token"}
			e.SetMicros(int64(1_000_000_000_000_000 - i*1_000_000))
			if change != nil {
				change(e)
			}
		})
	}
	var run []*record.Record
	for i := range 6 {
		run = append(run, made(i, nil))
	}
	for name, one := range map[string]struct {
		records []*record.Record
		want    int
	}{
		"six of one operator": {run, 1},
		"three are no run":    {run[:3], 3},
		"a person's work": {append(slices.Clone(run[:3]), made(3, func(e *record.Event) { e.Actor.Type = "user" }),
			made(4, nil)), 5},
		"another's between": {append(slices.Clone(run[:3]), made(3, func(e *record.Event) { e.Actor.ID = "other" }),
			made(4, nil)), 5},
		"a product's": {append(slices.Clone(run[:3]),
			made(3, func(e *record.Event) { e.Resource.Product = "shop" }), made(4, nil)), 5},
		"a failure is never hidden": {append(slices.Clone(run[:3]),
			made(3, func(e *record.Event) { e.Action.Result = "failure" })), 4},
		"an hour between": {append(slices.Clone(run[:3]), made(3600, nil)), 4},
	} {
		if rows := l.rows(one.records); len(rows) != one.want {
			t.Errorf("%s: %d rows, want %d", name, len(rows), one.want)
		}
	}
	row := l.rows(run)[0]
	if got := row.Sentence.String(); got != "bootstrap token created 6 zones" || row.Folded != 6 ||
		!strings.Contains(row.Href, "actor_id=bootstrap") {
		t.Errorf("%q, %d, %s", got, row.Folded, row.Href)
	}
}
