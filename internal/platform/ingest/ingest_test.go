package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

var events = ingest.Format{Item: strict.Subject{Name: "an event"}, Max: 4}

func TestABodyIsSplitByItsContent(t *testing.T) {
	const lines = "application/x-ndjson"
	for _, c := range []struct {
		body, mediaType string
		want            []string
		list            bool
	}{
		{`{"a":1}`, "application/json", []string{`{"a":1}`}, false},
		{"\ufeff {\n  \"a\": [\n    {}\n  ]\n}\n", "", []string{"{\n  \"a\": [\n    {}\n  ]\n}\n"}, false},
		{`{"a":`, "", []string{`{"a":`}, false},
		{"{\"a\":1}\nend", "", []string{"{\"a\":1}\nend"}, false},
		{`{"a":1}`, lines, []string{`{"a":1}`}, true},
		{"{\"a\":1}\n\n {\"b\":2} \r\n", "application/json", []string{`{"a":1}`, `{"b":2}`}, true},
		{"{\"a\":\n{\"b\":2}", "", []string{`{"a":`, `{"b":2}`}, true},
		{"{\"a\":1}\nend\n{\"b\":2}", "", []string{`{"a":1}`, "end", `{"b":2}`}, true},
		{` [{"a":1}, {"b":[2]} ,3] `, "application/json", []string{`{"a":1}`, `{"b":[2]}`, "3"}, true},
		{`[{"a":1,"a":2}]`, lines, []string{`{"a":1,"a":2}`}, true},
	} {
		items, err := events.Split([]byte(c.body), c.mediaType)
		var got []string
		for _, v := range items.Values {
			got = append(got, string(v))
		}
		if err != nil || !slices.Equal(got, c.want) || items.List != c.list {
			t.Errorf("%q as %q: %q, list %v, %v", c.body, c.mediaType, got, items.List, err)
		}
	}
}

func TestABodyThatCannotBeSplitSaysWhy(t *testing.T) {
	for _, c := range []struct {
		body, pointer, say string
		code               errs.Code
	}{
		{" \n", "", "the body is empty; send one event, a JSON array of events, or NDJSON", errs.CodeMissingField},
		{"[]", "", "at least one event", errs.CodeMissingField},
		{`[{},{"a":}]`, "/1", "event 1 of the array: not valid JSON", errs.CodeInvalidJSON},
		{`[{},{}`, "/2", "nothing of the request was stored", errs.CodeInvalidJSON},
		{`[{}] {}`, "", "after the array's end", errs.CodeInvalidJSON},
		{`{}{}`, "", "--data-binary", errs.CodeInvalidJSON},
		{"{}\n{}\n{}\n{}\n{}", "", "at most 4 events", errs.CodeTooLarge},
		{"[{},{},{},{},{}]", "", "at most 4 events", errs.CodeTooLarge},
	} {
		items, err := events.Split([]byte(c.body), "application/json")
		var e *errs.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Pointer != c.pointer || !strings.Contains(e.Message, c.say) {
			t.Errorf("%q: %v", c.body, err)
		}
		if len(items.Values) > 0 {
			t.Errorf("%q: an error and %d items", c.body, len(items.Values))
		}
	}
}

func TestTheAnswerHasOneResultAnItem(t *testing.T) {
	fault := errs.At(errs.CodeInvalid, "/total", `"total" is too large`)
	for _, c := range []struct {
		body     string
		results  []ingest.Result
		status   int
		pointers string // of the envelope's errors
		want     string
	}{
		{
			body:    `{}`,
			results: []ingest.Result{{ID: "a", Status: ingest.Accepted, More: []byte(`,"seq":5`)}},
			want:    `[{"index":0,"id":"a","status":"accepted","seq":5}]`,
		},
		{
			body: "[{},{},{}]",
			results: []ingest.Result{
				{ID: "a\xff", Status: ingest.Duplicate},
				{Status: ingest.Rejected, Faults: errs.List{fault}},
				{ID: "c", Status: ingest.Conflict},
			},
			want: `[{"index":0,"id":"a` + "\ufffd" +
				`","status":"duplicate"},{"index":1,"id":"","status":"rejected","errors":[` +
				`{"code":` + fmt.Sprint(int(errs.CodeInvalid)) +
				`,"message":"\"total\" is too large","source":{"pointer":"/total"}}` +
				`]},{"index":2,"id":"c","status":"conflict"}]`,
		},
		{
			body:     "[{}]",
			results:  []ingest.Result{{ID: "a", Status: ingest.Conflict, Faults: errs.List{fault}}},
			status:   409,
			pointers: "/0/total",
		},
		{
			body:     "{}",
			results:  []ingest.Result{{ID: "a", Status: ingest.Rejected, Faults: errs.List{fault, fault}}},
			status:   400,
			pointers: "/total /total",
		},
	} {
		items, err := events.Split([]byte(c.body), "")
		if err != nil {
			t.Fatal(err)
		}
		answer := items.Answer()
		var want ingest.Counts
		for _, r := range c.results {
			answer.Add(r)
			want.Add(r.Status)
		}
		env := answer.Envelope()
		if c.want != "" && string(env.Result) != c.want {
			t.Errorf("%s\nwant %s", env.Result, c.want)
		}
		var shown []string
		for _, e := range env.Errors {
			shown = append(shown, e.Pointer)
		}
		if env.Status != c.status || strings.Join(shown, " ") != c.pointers {
			t.Errorf("%s: status %d, errors at %v", c.body, env.Status, shown)
		}
		var documented []ingest.ItemResult
		var counts ingest.Counts
		if err := json.Unmarshal(env.Result, &documented); err != nil || len(documented) != len(c.results) {
			t.Errorf("%s: %v", env.Result, err)
		}
		if err := json.Unmarshal(env.Info, &counts); err != nil || counts != want {
			t.Errorf("%s: %+v, %v", env.Info, counts, err)
		}
	}
}

func TestAnItemIsOfItsSendersAccount(t *testing.T) {
	down := errs.New(errs.CodeUnavailable, "no database")
	find := func(_ context.Context, ref string) (string, error) {
		switch ref {
		case "id-a", "ext:a":
			return "id-a", nil
		case "ext:b":
			return "id-b", nil
		case "ext:down":
			return "", down
		}
		return "", errs.New(errs.CodeNotFound, "there is no such account")
	}
	for _, c := range []struct {
		route, ref, account string
		code                errs.Code
	}{
		{"id-a", "", "id-a", 0},
		{"id-a", "id-a", "id-a", 0},
		{"id-a", "ext:a", "id-a", 0},
		{"id-a", "id-b", "id-a", errs.CodeForbidden},
		{"id-a", "ext:b", "id-a", errs.CodeForbidden},
		{"id-a", "ext:nobody", "id-a", errs.CodeForbidden},
		{"", "id-a", "id-a", 0},
		{"", "ext:b", "id-b", 0},
		{"", "", "", errs.CodeMissingField},
		{"", "ext:nobody", "", errs.CodeUnknownAccount},
	} {
		account, fault, err := ingest.Sender{Account: c.route}.ItemAccount(t.Context(), c.ref, find)
		var code errs.Code
		if fault != nil {
			code = fault.Code
		}
		if err != nil || account != c.account || code != c.code {
			t.Errorf("%q on the route of %q: %q, %v, %v", c.ref, c.route, account, fault, err)
		}
	}
	for _, route := range []string{"", "id-a"} {
		if _, fault, err := (ingest.Sender{Account: route}).ItemAccount(t.Context(), "ext:down", find); !errors.Is(err,
			down) {
			t.Errorf("a failed lookup: %v, %v", fault, err)
		}
	}
}

// The audit log answers thousands of events a second by this path.
func TestAResultCostsNoAllocation(t *testing.T) {
	items, err := ingest.Format{Item: events.Item, Max: 2000}.Split([]byte(strings.Repeat("{}\n", 2000)), "")
	if err != nil {
		t.Fatal(err)
	}
	answer := items.Answer()
	more := []byte(`,"seq":123456`)
	if n := testing.AllocsPerRun(1000, func() {
		answer.Add(ingest.Result{ID: "0192f7c417d170008000000000000009", Status: ingest.Accepted, More: more})
	}); n > 0 {
		t.Errorf("%v allocations a result", n)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"a":1}`), false)
	f.Add([]byte("[{},\n{\"a\":[}]"), false)
	f.Add([]byte("{}\n{"), true)
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		mediaType := ingest.MediaTypes[0]
		if lines {
			mediaType = ingest.MediaTypes[1]
		}
		items, err := events.Split(body, mediaType)
		if err != nil {
			if kind := errs.KindOf(err); kind != errs.Invalid && kind != errs.TooLarge {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if n := len(items.Values); n == 0 || n > events.Max || n > 1 && !items.List {
			t.Fatalf("%q: %d items, list %v", body, n, items.List)
		}
		for _, v := range items.Values {
			if len(v) == 0 || !strings.Contains(string(body), string(v)) {
				t.Fatalf("%q: item %q", body, v)
			}
		}
	})
}
