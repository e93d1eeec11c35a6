package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

const bare = `{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"u"},"resource":{"product":"p","type":"t","id":"r"}%s}`

func TestSecretsGoThroughListsAndHoldAtAnyDepthInAnyCase(t *testing.T) {
	for _, c := range []struct{ secret, members, want string }{
		{"/after/users/0/password", `"after":{"users":[{"password":"s3cret"},{"password":"shown"}]}`, `{"users":[{"password":"[redacted]"},{"password":"shown"}]}`},
		{"/after/users/password", `"after":{"users":[{"password":"s3cret-1"},[{"password":{"s3cret-2":1}}]]}`, `{"users":[{"password":"[redacted]"},[{"password":"[redacted]"}]]}`},
		{"password", `"after":{"team":[{"password":"s3cret"}],"a":{"b":{"PassWord":"s3cret"}}}`, `{"team":[{"password":"[redacted]"}],"a":{"b":{"PassWord":"[redacted]"}}}`},
		{"password", `"before":[{"password":"s3cret-1"}],"after":[{"password":"s3cret-2"}]`, `[{"password":"[redacted, changed]"}]`},
		{"password", `"before":[{"password":"s3cret-1"}],"after":[{"password":"s3cret-1"}]`, `[{"password":"[redacted]"}]`},
	} {
		p := sealTest(t, fmt.Sprintf(bare, ","+c.members), &Rules{Secret: event.ParseFields([]string{c.secret})})
		all := string(p.sealed.envelope) + string(encodeOpenings(p.sealed.openings)) + string(p.Event.Before)
		if strings.Contains(all, "s3cret") || string(p.Event.After) != c.want {
			t.Errorf("secret %s in %s: %s", c.secret, c.members, p.Event.After)
		}
	}
}

// A personal member of a list is committed with the list, and one of too many
// with the part that holds them; an erasure by the catalogue finds both.
func TestPersonalMembersThatAreNotCommittedAloneAreErasedWithWhatHoldsThem(t *testing.T) {
	var many []string
	for i := range maxMembers + 1 {
		many = append(many, fmt.Sprintf(`"k%d":{"mail":"m"}`, i))
	}
	personal := event.ParseFields([]string{"mail", "/reason/text"})
	for _, c := range []struct {
		name, members string
		commits, gone []string
	}{
		{"a member", `,"after":{"a":{"Mail":"m","n":1}},"reason":{"text":"why"}`, []string{"/after/a/Mail", "/reason/text"}, []string{"/after/a/Mail", "/reason/text"}},
		{"in a list", `,"after":{"l":[{"mail":"m"}],"n":1}`, []string{"/after/l"}, []string{"/after/l"}},
		{"a list at the top", `,"before":[{"mail":"m"}],"after":[1]`, nil, []string{"/before"}},
		{"too many", `,"after":{` + strings.Join(many, ",") + `}`, nil, []string{"/after"}},
		{"none", `,"after":{"n":1}`, nil, nil},
	} {
		p := sealTest(t, fmt.Sprintf(bare, c.members), &Rules{Personal: personal})
		row := storedOf(p)
		rec, err := row.decode()
		if err != nil {
			t.Fatal(err)
		}
		var commits []string
		for _, o := range p.sealed.openings {
			if !slices.Contains(alwaysCommitted, o.path) {
				commits = append(commits, o.path)
			}
		}
		s := &selection{personal: func(context.Context, string, string) (event.Fields, error) { return personal, nil }}
		gone, err := s.choose(t.Context(), rec, row.openingList(), aboutPerson)
		if err != nil || !slices.Equal(commits, c.commits) || !slices.Equal(gone, c.gone) {
			t.Errorf("%s: commits %v and erases %v (%v), want %v and %v", c.name, commits, gone, err, c.commits, c.gone)
		}
		again := *p
		if !again.sameAs(p.sealed) {
			t.Errorf("%s: the same event is not the same", c.name)
		}
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
		p := intakeTest(t, strings.Replace(fmt.Sprintf(bare, ""), c.old, c.now, 1), nil)
		if p.Status != Rejected || len(p.Faults) != 1 || p.Faults[0].Code != c.code || p.Faults[0].Pointer != c.pointer {
			t.Errorf("%s: %s %v", c.now, p.Status, []*errs.Error(p.Faults))
		}
	}
}

// Events that are dear to compare with their schema do not keep a batch from its
// end: what finds no steps left is refused, what needs few is not.
func TestABatchComparesOnlySoMuchWithSchemas(t *testing.T) {
	in := NewIntake(Sources{Rules: func(context.Context, string, string) (*Rules, error) {
		return &Rules{Check: func(e *Event, afford func(int) bool) errs.List {
			steps := batchSteps / 10
			if e.Action.Type == "cheap" {
				steps = cheapSteps
			}
			if !afford(steps) {
				return errs.List{errs.New(errs.CodeSchemaMismatch, "no steps left")}
			}
			return nil
		}}, nil
	}}, func() time.Time { return testNow })
	var values []jsontext.Value
	for i := range 15 {
		values = append(values, jsontext.Value(strings.Replace(fmt.Sprintf(bare, ""), `"id":"i"`, fmt.Sprintf(`"id":"i%d"`, i), 1)))
	}
	values = append(values, jsontext.Value(strings.Replace(fmt.Sprintf(bare, ""), `"type":"a"`, `"type":"cheap"`, 1)))
	from := Origin{Account: testAccount, By: testBy}
	for range 2 { // each batch has its own steps
		all, err := in.prepareMany(t.Context(), from, values)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range all {
			if refused := i >= 10 && i < 15; (p.Status == Rejected) != refused {
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
