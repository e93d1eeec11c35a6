package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/go-json-experiment/json/jsontext"
)

// The tests of this file are internal: they set bounds that the API does not show.

const (
	intakeAccount = "0192f7c417d170008000000000000001"
	bareEvent     = `{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"u"},` +
		`"resource":{"product":"p","type":"t","id":"r"}%s}`
)

var (
	intakeNow  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	intakeBy   = record.Submitter{Type: "token", ID: "0192f7c417d17000800000000000aaaa"}
	intakeSeed = sha256.Sum256([]byte("a seed of the tests"))
)

// mustIntake prepares one event under a catalogue's rules.
func mustIntake(t testing.TB, text string, rules *Rules) *ledger.Pending {
	t.Helper()
	p := intakeTest(t, text, rules)
	if p.Status == ledger.Rejected {
		t.Fatalf("%s: %+v", text, []*errs.Error(p.Faults))
	}
	return p
}

func intakeTest(t testing.TB, text string, rules *Rules) *ledger.Pending {
	t.Helper()
	in := NewIntake(Sources{
		Rules: func(_ context.Context, product, _ string) (*Rules, error) { return rules, nil },
		Zone: func(_ context.Context, _, ref string) (string, string, error) {
			if ref == "known.example" {
				return "0192f7c417d1700080000000000000ff", ref, nil
			}
			return "", "", nil
		},
	}, func() time.Time { return intakeNow })
	p, err := in.Prepare(t.Context(), Origin{Account: intakeAccount, By: intakeBy, Interface: "API"}, []byte(text),
		intakeSeed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPointerThatCannotBeProtectedRefusesTheEvent(t *testing.T) {
	text, err := os.ReadFile("record/testdata/event_v1.json")
	if err != nil {
		t.Fatal(err)
	}
	golden := string(text)
	for _, pointer := range []string{"/zone/name", "/related", "/action/type", "/before/", "before/x", "/nothing"} {
		p := intakeTest(t, golden, &Rules{Personal: event.ParseFields([]string{pointer})})
		if p.Status != ledger.Rejected || p.Faults[0].Code != errs.CodeCatalogueInvalid {
			t.Errorf("%s: %q %v: stored, it would be in clear or could not be read again", pointer, p.Status,
				[]*errs.Error(p.Faults))
		}
	}
	for _, pointer := range []string{"/metadata", "/request/uri", "/before", "metadata/x"} {
		p := intakeTest(t, golden, &Rules{Secret: event.ParseFields([]string{pointer})})
		if p.Status != ledger.Rejected || p.Faults[0].Code != errs.CodeCatalogueInvalid {
			t.Errorf("secret %s: %q %v", pointer, p.Status, []*errs.Error(p.Faults))
		}
	}
}

func TestAnEnvelopeLargerThanATileEntryIsRefused(t *testing.T) {
	withRelated := func(related int) string {
		var list []string
		for i := range related {
			list = append(list, fmt.Sprintf(`{"type":"t","id":"%0*d"}`, 1000, i))
		}
		return fmt.Sprintf(bareEvent, `,"related":[`+strings.Join(list, ",")+`]`)
	}
	if p := mustIntake(t, withRelated(60), nil); len(p.Envelope()) > merkle.MaxEntrySize || len(p.Envelope()) < 60_000 {
		t.Fatalf("%d bytes", len(p.Envelope()))
	}
	// An event just below the limit, whose envelope is above it.
	big := withRelated(64)
	room := record.MaxEvent - len(big) - len(`,"change_set":"","reason":{"text":"","url":"https://"}`)
	if room > 0 {
		big = big[:len(big)-1] + `,"reason":{"text":"` + strings.Repeat("x", min(room, 1000)) + `"}}`
	}
	if len(big) > record.MaxEvent {
		t.Fatalf("the test's event has %d bytes", len(big))
	}
	p := intakeTest(t, big, nil)
	if p.Status != ledger.Rejected || p.Faults[0].Code != errs.CodeTooLarge {
		t.Fatalf("%s %v, an event of %d bytes", p.Status, []*errs.Error(p.Faults), len(big))
	}
}

func TestNamesThatLookLikeOthersAreRefused(t *testing.T) {
	for _, c := range []struct {
		old, now string
		code     errs.Code
		pointer  string
	}{
		{`"product":"p"`, `"product":"Belfry"`, errs.CodeReservedProduct, "/resource/product"},
		{`"product":"p"`, `"product":"BELFRY"`, errs.CodeReservedProduct, "/resource/product"},
		{`"product":"p"`, `"product":"belfry "`, errs.CodeInvalid, "/resource/product"},
		{`"product":"p"`, `"product":"bel\u200bfry"`, errs.CodeInvalid, "/resource/product"},
		{`"product":"p"`, `"product":"bel\u0007fry"`, errs.CodeInvalid, "/resource/product"},
		{`"type":"t"`, `"type":"\tt"`, errs.CodeInvalid, "/resource/type"},
		{`"type":"a"`, `"type":"a\u00a0"`, errs.CodeInvalid, "/action/type"},
	} {
		p := intakeTest(t, strings.Replace(fmt.Sprintf(bareEvent, ""), c.old, c.now, 1), nil)
		if p.Status != ledger.Rejected || len(p.Faults) != 1 || p.Faults[0].Code != c.code ||
			p.Faults[0].Pointer != c.pointer {
			t.Errorf("%s: %s %v", c.now, p.Status, []*errs.Error(p.Faults))
		}
	}
}

// Events that are expensive to compare with their schema do not delay a batch: an
// event for which no steps are left is refused, one that needs few is not.
func TestABatchComparesOnlySoMuchWithSchemas(t *testing.T) {
	in := NewIntake(Sources{Rules: func(context.Context, string, string) (*Rules, error) {
		return &Rules{Check: func(e *record.Event, afford func(int) bool) errs.List {
			steps := batchSteps / 10
			if e.Action.Type == "cheap" {
				steps = cheapSteps
			}
			if !afford(steps) {
				return errs.List{errs.New(errs.CodeSchemaMismatch, "no steps left")}
			}
			return nil
		}}, nil
	}}, func() time.Time { return intakeNow })
	var values []jsontext.Value
	for i := range 15 {
		values = append(values, jsontext.Value(strings.Replace(fmt.Sprintf(bareEvent, ""), `"id":"i"`,
			fmt.Sprintf(`"id":"i%d"`, i), 1)))
	}
	values = append(values, jsontext.Value(strings.Replace(fmt.Sprintf(bareEvent, ""), `"type":"a"`, `"type":"cheap"`, 1)))
	from := Origin{Account: intakeAccount, By: intakeBy}
	for range 2 { // each batch has its own steps
		all, err := in.prepareMany(t.Context(), from, values)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range all {
			if refused := i >= 10 && i < 15; (p.Status == ledger.Rejected) != refused {
				t.Errorf("event %d: %s %v", i, p.Status, p.Faults)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.prepareMany(ctx, from, values); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("a request that has ended is worked on: %v", err)
	}
}

func TestAByteOrderMarkInFrontOfABodyIsSkipped(t *testing.T) {
	const e = `{"action":{"type":"a"},"actor":{"type":"user","id":"u"},"resource":{"product":"p","type":"t","id":"i"}}`
	for _, c := range []struct{ body, kind string }{
		{e, "application/json"},
		{"[" + e + "]", ""},
		{e + "\n" + e, "application/x-ndjson"},
	} {
		items, err := eventFormat.Split([]byte("\ufeff"+c.body), c.kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range items.Values {
			if _, err := record.Decode(v, intakeNow); err != nil {
				t.Errorf("%s: %v", c.kind, err)
			}
		}
	}
}
