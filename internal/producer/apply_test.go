package producer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/test/sections"
)

const personalFile = `
version: 1
products:
  - product: crm
    resources:
      - type: contact
        actions: [update]
        personal: [email]
`

func TestAnAppliedCatalogueIsVersionedAndRecorded(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("tls")
		first := w.apply(team, string(read(t, "tls.yaml")))
		if first.Version != 1 || len(first.Changes) != 5 {
			t.Fatalf("%+v", first)
		}
		if e := w.last(); e.Account != operators || e.Action.Type != "apply" || e.Resource.ID != team ||
			e.Actor.ID != "bootstrap" || !strings.Contains(string(e.After), `"version":1`) {
			t.Errorf("recorded %+v", e)
		}
		n := len(w.recorded)
		if again := w.apply(team, string(read(t, "tls.yaml"))); again.Version != 1 || len(again.Changes) != 0 ||
			len(w.recorded) != n {
			t.Errorf("the same file again: %+v, %d records more", again, len(w.recorded)-n)
		}
		w.Pass(time.Hour)
		if second := w.apply(team, string(read(t, "full.yaml"))); second.Version != 2 {
			t.Errorf("%+v", second)
		}
		list, err := w.r.Versions(t.Context(), team, 0, 10)
		if err != nil || len(list) != 2 || list[0].Version != 2 || list[0].AppliedBy.ID != "bootstrap" ||
			!list[0].AppliedOn.After(list[1].AppliedOn.Time) {
			t.Errorf("%+v %v", list, err)
		}
		old, err := w.r.Catalogue(t.Context(), team, 1)
		if err != nil || old.Text != string(read(t, "tls.yaml")) ||
			sections.Resources(old.Catalog.Products[0])[0].Type != "zone_setting" {
			t.Errorf("%+v %v", old, err)
		}
		if _, err := w.r.Catalogue(t.Context(), team, 3); !errs.Is(err, errs.CodeNotFound) {
			t.Error(err)
		}
	})
}

func TestADryRunChangesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("tls")
		n := len(w.recorded)
		out, err := w.r.Apply(w.staff(), team, parse(t, string(read(t, "tls.yaml"))), true, nil)
		if err != nil || !out.DryRun || out.Version != 0 || len(out.Changes) != 5 || len(w.recorded) != n {
			t.Errorf("%+v %v", out, err)
		}
		if c, err := w.r.Lookup(t.Context(), "tls"); c != nil || err != nil {
			t.Error(c, err)
		}
	})
}

func TestAProductBelongsToOneTeamUntilThatTeamGivesItUp(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		one, two := w.team("one"), w.team("two")
		w.apply(one, string(read(t, "full.yaml")))
		for _, dry := range []bool{true, false} {
			_, err := w.r.Apply(w.staff(), two, parse(t, "version: 1\nproducts:\n  - product: other\n"+
				"    alert_types: [{type: certificate_expiring}]\n    topics: [{topic: tls.certificates}]\n"+
				"  - product: tls\n"), dry, nil)
			var list errs.List
			if !errors.As(err, &list) || len(list) != 3 {
				t.Fatalf("%v", err)
			}
			for _, e := range list {
				if e.Kind() != errs.Forbidden || !strings.Contains(e.Message, `team "one"`) ||
					!strings.HasPrefix(e.Message, "line ") {
					t.Errorf("%+v", e)
				}
			}
		}
		w.apply(one, "version: 1\nproducts: []\n")
		if c, _ := w.r.Lookup(t.Context(), "tls"); c != nil {
			t.Error("a product that was given up is still declared")
		}
		w.apply(two, string(read(t, "tls.yaml")))
		if c, err := w.r.Lookup(t.Context(), "tls"); err != nil || c == nil || c.Team != two {
			t.Error(c, err)
		}
	})
}

func TestWhatWasPersonalOnceStaysPersonal(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("crm")
		w.apply(team, personalFile)
		without := strings.Replace(personalFile, "        personal: [email]\n", "", 1)
		_, err := w.r.Apply(w.staff(), team, parse(t, without), false, nil)
		if !errs.Is(err, errs.CodeCatalogueInvalid) || !strings.Contains(err.Error(), "never removes") {
			t.Fatalf("%v", err)
		}
		_, err = w.r.Apply(w.staff(), team, parse(t,
			strings.Replace(personalFile, "[email]", "[/before/email, /after/email]", 1)), false, nil)
		if !errs.Is(err, errs.CodeCatalogueInvalid) {
			t.Fatalf("a name that holds at any depth became two places: %v", err)
		}
		w.apply(team, strings.Replace(personalFile, "[email]", "[Email, phone]", 1))
		// The resource may go; its pointers stay for a team that declares it again.
		w.apply(team, "version: 1\nproducts: [{product: crm, resources: [{type: list, actions: [update]}]}]\n")
		c, err := w.r.Lookup(t.Context(), "crm")
		if err != nil {
			t.Fatal(err)
		}
		if personal := sections.Declared(c).Personal; !slices.Contains(personal, "email") ||
			!slices.Contains(personal, "phone") {
			t.Fatalf("%v", personal)
		}
		w.apply(team, "version: 1\nproducts: []\n")
		if personal, err := w.r.Lasting(t.Context(), "crm", "contact"); err != nil || !slices.Contains(personal, "email") {
			t.Fatalf("an erasure would not know what a product that is gone declared: %v %v", personal, err)
		}
		other := w.team("other")
		if _, err := w.r.Apply(w.staff(), other, parse(t, without), false, nil); !errs.Is(err, errs.CodeCatalogueInvalid) {
			t.Errorf("another team takes it back: %v", err)
		}
	})
}

func TestAnotherProcessFollows(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		other, err := producer.New(producer.Config{
			Env:             feature.Env{DB: w.db, Record: feature.NewRecorder(w.record)},
			OperatorAccount: operators,
			Poll:            time.Millisecond,
			Sections:        sections.All(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := other.Lookup(t.Context(), "tls"); c != nil || err != nil {
			t.Fatal(c, err)
		}
		var running sync.WaitGroup
		defer running.Wait()
		ctx, stop := contextUntil(t)
		defer stop()
		running.Go(func() { other.Run(ctx) })
		w.apply(w.team("tls"), string(read(t, "tls.yaml")))
		for {
			c, err := other.Lookup(ctx, "tls")
			if err != nil {
				t.Fatal(err)
			}
			if c != nil {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatal("the other process never saw the catalogue")
			case <-time.After(time.Millisecond):
			}
		}
	})
}

func TestTwoAppliesAtOnceGetTwoVersions(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		one, two := w.team("one"), w.team("two")
		f := parse(t, string(read(t, "tls.yaml")))
		results := make(chan error, 2)
		for _, team := range []string{one, two} {
			go func() {
				_, err := w.r.Apply(w.staff(), team, f, false, nil)
				results <- err
			}()
		}
		a, b := <-results, <-results
		if (a == nil) == (b == nil) || !errs.Is(errors.Join(a, b), errs.CodeProductForbidden) {
			t.Errorf("one must win and one be refused: %v, %v", a, b)
		}
	})
}

func TestAChangeThatIsNotRecordedIsNotMade(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("tls")
		broken := errors.New("the outbox is full")
		r, err := producer.New(producer.Config{
			Env: feature.Env{
				DB:     w.db,
				Record: feature.NewRecorder(func(context.Context, *db.Tx, ...event.Audit) error { return broken }),
			},
			OperatorAccount: operators,
			Sections:        sections.All(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Apply(w.staff(), team, parse(t, string(read(t, "tls.yaml"))), false, nil); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if _, err := r.CreateToken(w.staff(), team, producer.TokenCreate{Name: "ci"}); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if got, err := w.r.Team(t.Context(), team); err != nil || got.CatalogVersion != 0 {
			t.Errorf("%+v %v", got, err)
		}
		if list, err := w.r.Tokens(t.Context(), team); err != nil || len(list) != 0 {
			t.Errorf("%+v %v", list, err)
		}
	})
}

func TestATeamThatOwnsSomethingIsNotDeleted(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("tls")
		w.apply(team, string(read(t, "tls.yaml")))
		token, err := w.r.CreateToken(w.staff(), team, producer.TokenCreate{Name: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		err = w.r.DeleteTeam(w.staff(), team)
		if !errs.Is(err, errs.CodeStateConflict) || !strings.Contains(err.Error(), `"tls"`) ||
			!strings.Contains(err.Error(), "1 tokens") {
			t.Fatal(err)
		}
		w.apply(team, "version: 1\nproducts: []\n")
		if err := w.r.DeleteTeam(w.staff(), team); !errs.Is(err, errs.CodeStateConflict) {
			t.Fatal(err)
		}
		if err := w.r.RevokeToken(w.staff(), team, token.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.r.DeleteTeam(w.staff(), team); err != nil {
			t.Fatal(err)
		}
		if e := w.last(); e.Action.Type != "delete" || e.Resource.Type != "producer" {
			t.Errorf("%+v", e)
		}
		if _, err := w.r.Team(t.Context(), team); !errs.Is(err, errs.CodeNotFound) {
			t.Error(err)
		}
		w.team("tls") // the name is free again
		if _, err := w.r.CreateTeam(w.staff(), "tls", ""); !errs.Is(err, errs.CodeExists) {
			t.Error(err)
		}
	})
}

func TestTeamsAreListedNewestFirstAndChanged(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var ids []string
		for _, name := range []string{"a", "b", "c"} {
			w.Pass(time.Second)
			ids = append(ids, w.team(name))
		}
		page, err := w.r.Teams(t.Context(), "", 2)
		if err != nil || len(page) != 2 || page[0].ID != ids[2] || page[1].ID != ids[1] {
			t.Fatalf("%+v %v", page, err)
		}
		if page, err = w.r.Teams(t.Context(), page[1].ID, 2); err != nil || len(page) != 1 || page[0].ID != ids[0] {
			t.Fatalf("%+v %v", page, err)
		}
		name := "A team"
		email := "a@example.com"
		got, err := w.r.UpdateTeam(w.staff(), ids[0], &name, &email)
		if err != nil || got.Name != name || got.ContactEmail != email {
			t.Errorf("%+v %v", got, err)
		}
		if e := w.last(); string(e.Before) != `{"name":"a"}` || !strings.Contains(string(e.After), email) {
			t.Errorf("%s -> %s", e.Before, e.After)
		}
		bad := "not an address"
		if _, err := w.r.UpdateTeam(w.staff(), ids[0], nil, &bad); !errs.Is(err, errs.CodeInvalid) {
			t.Error(err)
		}
		if _, err := w.r.UpdateTeam(w.staff(), ids[0], &[]string{"b"}[0], nil); !errs.Is(err, errs.CodeExists) {
			t.Error(err)
		}
	})
}
