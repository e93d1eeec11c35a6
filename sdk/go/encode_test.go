package belfry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// The tags of Event and its hand-written encoder must not part ways.
func TestTheEncoderWritesWhatTheTagsSay(t *testing.T) {
	var full belfry.Event
	fill(reflect.ValueOf(&full).Elem())
	full.OccurredAt = time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.FixedZone("", 7200))
	full.Metadata = map[string]any{"a<b": json.Number("1.0")}
	full.Before = json.RawMessage(`{"n":12345678901234567890}`)
	full.After = []any{"x", nil}
	for _, e := range []belfry.Event{
		{},
		full,
		sample(1),
		{Request: &belfry.Request{StatusCode: 5}},
		{Request: &belfry.Request{}, Reason: &belfry.Reason{}},
	} {
		got, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		type plain belfry.Event
		p := plain(e)
		if !p.OccurredAt.IsZero() {
			p.OccurredAt = p.OccurredAt.UTC().Truncate(time.Microsecond)
		}
		want, err := json.Marshal(struct {
			V int `json:"v"`
			plain
		}{1, p})
		if err != nil {
			t.Fatal(err)
		}
		if g, w := canonical(t, got), canonical(t, want); g != w {
			t.Errorf("\n got %s\nwant %s", g, w)
		}
		var back belfry.Event
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || canonical(t, again) != canonical(t, got) {
			t.Errorf("decoded and encoded again: %s, %v\nwant %s", again, err, got)
		}
	}
}

// fill gives every string, number and pointer a value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("text <&>\"\\\n é\x01 " + v.Type().Name())
	case reflect.Int:
		v.SetInt(404)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

func TestValuesThatAreNoJSONAreRefusedByPlace(t *testing.T) {
	for _, c := range []struct {
		change  func(*belfry.Event)
		pointer string
	}{
		{func(e *belfry.Event) { e.Before = math.NaN() }, "/before"},
		{func(e *belfry.Event) { e.After = make(chan int) }, "/after"},
		{func(e *belfry.Event) { e.After = json.RawMessage(`{"a":`) }, "/after"},
		{func(e *belfry.Event) { e.After = map[string]any{"a": []any{"\xff"}} }, "/after"},
		{func(e *belfry.Event) { e.Metadata = map[string]any{"\xff": 1} }, "/metadata"},
		{func(e *belfry.Event) { e.Before = map[string]string{"a": "\xc3("} }, "/before"},
		{func(e *belfry.Event) { e.Before = []string{"\xff"} }, "/before"},
		{func(e *belfry.Event) { e.Before = json.RawMessage("\"\xff\"") }, "/before"},
		{func(e *belfry.Event) { e.Before = json.RawMessage(`{"a":1,"a":1}`) }, "/before/a"},
		{func(e *belfry.Event) { e.Zone = "\xff" }, "/zone"},
		{func(e *belfry.Event) { e.Actor.Name = "a\xffb" }, "/actor/name"},
		{func(e *belfry.Event) { e.Related = []belfry.Related{{}, {ID: "\xff"}} }, "/related/1/id"},
		{func(e *belfry.Event) { e.OccurredAt = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC) }, "/occurred_at"},
	} {
		e := sample(1)
		c.change(&e)
		var invalid *belfry.ValidationError
		if err := e.Validate(); !errors.As(err, &invalid) || invalid.Errors[0].Source.Pointer != c.pointer {
			t.Errorf("got %v, want an error at %s", err, c.pointer)
		}
	}
}

func TestARawMessageWithNewlinesStaysOneLine(t *testing.T) {
	e := sample(1)
	e.After = json.RawMessage("{\n  \"a\": 1.50,\r\n  \"b\": \"<\\n>\"\n}")
	text, err := json.Marshal(e)
	if err != nil || bytes.ContainsAny(text, "\n\r") || !strings.Contains(string(text), `"after":{"a":1.50,"b":"`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestAnErrorNamesTheFieldAndNotTheValue(t *testing.T) {
	e := sample(1)
	e.Interface = "s3cret"
	e.Actor.ID = ""
	err := e.Validate()
	if err == nil || strings.Contains(err.Error(), "s3cret") ||
		!strings.Contains(err.Error(), "/interface: must be one of UI, API, CLI, SYSTEM") ||
		!strings.Contains(err.Error(), "/actor/id: is required") {
		t.Error(err)
	}
}

func TestIDsAreUUIDv7InOrder(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	for range 10_000 {
		id := belfry.NewID()
		if len(id) != 32 || id[12] != '7' || !strings.ContainsRune("89ab", rune(id[16])) || seen[id] {
			t.Fatalf("id %q", id)
		}
		if id[:16] < last {
			t.Fatalf("%s after %s", id, last)
		}
		seen[id] = true
		last = id[:16]
	}
}
