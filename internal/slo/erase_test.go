package slo_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo"
)

// TestAnErasureTakesTheMembersOfCorrections erases the event of one act: its member is no longer named, and the other
// one is.
func TestAnErasureTakesTheMembersOfCorrections(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		o := w.create(checkoutSpec())
		w.handle(steady(shop, epoch, epoch+3600, 100, 1)...)
		w.setClock(epoch + 3600)
		one := func(from, to int64) slo.CorrectionCreate {
			return slo.CorrectionCreate{Objectives: []string{o.ID}, ObjectiveCorrectionCreate: between(epoch+from, epoch+to)}
		}
		decided, err := w.f.Correct(as(t, web.KindUser, "quark"), acme, one(0, 3600))
		if err != nil || decided.State != slo.Pending {
			t.Fatalf("%v %+v", err, decided)
		}
		if _, err := w.f.Approve(as(t, web.KindUser, "bob"), acme, decided.ID); err != nil {
			t.Fatal(err)
		}
		pending, err := w.f.Correct(as(t, web.KindUser, "quark"), acme, one(7200, 7200+6*3600))
		if err != nil || pending.State != slo.Pending {
			t.Fatalf("%v %+v", err, pending)
		}
		events := map[string]bool{}
		for _, e := range w.recorded {
			if e.Resource.Type == "correction" && e.Action.Type == "create" {
				events[e.ID] = true
			}
		}
		if len(events) != 2 {
			t.Fatalf("%d events", len(events))
		}
		if err := w.f.Erased(t.Context(), otherAccount, events); err != nil {
			t.Fatal(err)
		}
		if err := w.f.Erased(t.Context(), acme, map[string]bool{"another": true}); err != nil {
			t.Fatal(err)
		}
		if c, err := w.f.Correction(t.Context(), acme, decided.ID); err != nil || c.RequestedBy.Name != "quark" {
			t.Fatalf("erased without a reason: %v %+v", err, c)
		}
		for range 2 {
			if err := w.f.Erased(t.Context(), acme, events); err != nil {
				t.Fatal(err)
			}
		}
		c, err := w.f.Correction(t.Context(), acme, decided.ID)
		if err != nil || c.RequestedBy.Name != "erased on request" || c.DecidedBy == nil || c.DecidedBy.Name != "bob" ||
			c.State != slo.Active {
			t.Errorf("%v %+v", err, c)
		}
		// The requester is not known any more, so no member counts as the second one.
		if c, err := w.f.Correction(t.Context(), acme, pending.ID); err != nil || c.State != slo.Rejected {
			t.Errorf("%v %+v", err, c)
		}
		err = w.db.View(t.Context(), func(tx *db.Tx) error {
			texts, err := db.Collect(t.Context(), tx, db.ScanText, `SELECT detail FROM correction`)
			if all := strings.Join(texts, ""); strings.Contains(all, "quark") || !strings.Contains(all, "bob") {
				t.Errorf("%s", all)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestALineOfARemovedCorrectionIsUsedAgain adds and removes corrections: the number of series stays that of those that
// exist, also over a restart, and the budget is right each time.
func TestALineOfARemovedCorrectionIsUsedAgain(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	at := int64(epoch + 3600)
	w.handle(steady(shop, epoch, at, 1000, 0)...)
	lines := func(kind string) (n int) {
		t.Helper()
		err := w.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT count(*) FROM line WHERE kind = $1`, kind).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for round := range 6 {
		w.handle(steady(shop, at, at+300, 1000, 3)...)
		w.setClock(at + 300)
		c, err := w.f.Correct(as(t, web.KindUser, fmt.Sprint("ann", round)), acme,
			slo.CorrectionCreate{Objectives: []string{o.ID}, ObjectiveCorrectionCreate: between(at+100, at+200)})
		if err != nil {
			t.Fatal(err)
		}
		if c.State == slo.Pending {
			if _, err := w.f.Approve(as(t, web.KindUser, "bob"), acme, c.ID); err != nil {
				t.Fatal(err)
			}
		}
		if round%2 == 1 {
			w.f = w.another(nil)
		}
		w.handle(steady(shop, at+300, at+310, 1000, 0)...)
		if excluded, free := lines("excluded"), lines("free"); excluded != 1 || free != 0 {
			t.Errorf("round %d: %d lines of corrections, %d free", round, excluded, free)
		}
		bad := uint64(round+1)*90 - 30
		if s := w.statusAt(o.ID, at+310); s.Budget.Bad != bad {
			text, _ := json.Marshal(s.Budget)
			t.Errorf("round %d: %s, want %d failures", round, text, bad)
		}
		if _, err := w.f.RemoveCorrection(as(t, web.KindUser, "ann"), acme, c.ID); err != nil {
			t.Fatal(err)
		}
		if round%3 == 1 {
			w.f = w.another(nil)
		}
		w.handle(steady(shop, at+310, at+320, 1000, 0)...)
		if excluded, free := lines("excluded"), lines("free"); excluded != 0 || free != 1 {
			t.Errorf("round %d, removed: %d lines of corrections, %d free", round, excluded, free)
		}
		if s := w.statusAt(o.ID, at+320); s.Budget.Bad != bad+30 {
			t.Errorf("round %d, removed: %d failures, want %d", round, s.Budget.Bad, bad+30)
		}
		at += 320
	}
}

// TestAPreviewLeavesOutWhatCorrectionsDo previews a stored objective, a new one on the same property, and one that the
// correction is not for.
func TestAPreviewLeavesOutWhatCorrectionsDo(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	w.handle(steady(shop, epoch, epoch+3600, 100, 0)...)
	w.handle(steady(shop, epoch+3600, epoch+4200, 100, 60)...)
	w.handle(steady(shop, epoch+4200, epoch+7200, 100, 0)...)
	w.setClock(epoch + 7200)
	preview := func(name string) slo.Preview {
		t.Helper()
		spec := checkoutSpec()
		spec.Name = name
		p, err := w.f.Preview(t.Context(), acme, spec)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := preview("checkout"); p.Bad != 3600 || p.Pages != 1 {
		t.Errorf("before: %+v", p)
	}
	correct := func(in slo.CorrectionCreate) {
		t.Helper()
		in.ObjectiveCorrectionCreate = between(epoch+3600, epoch+4200)
		c, err := w.f.Correct(as(t, web.KindUser, "ann"), acme, in)
		if err == nil && c.State == slo.Pending {
			_, err = w.f.Approve(as(t, web.KindUser, "bob"), acme, c.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	correct(slo.CorrectionCreate{Objectives: []string{o.ID}})
	p := preview("checkout")
	if p.Pages != 0 || p.Left < 0.99 || p.Excluded < 6000 {
		t.Errorf("corrected: %+v", p)
	}
	s := w.statusAt(o.ID, epoch+7200)
	if s.Budget.Bad != p.Bad || s.Budget.Total != p.Total {
		t.Errorf("the status has %+v, the preview %+v", s.Budget, p)
	}
	if p := preview("another"); p.Bad != 3600 {
		t.Errorf("an objective that is not corrected: %+v", p)
	}
	correct(slo.CorrectionCreate{Zone: "shop"})
	if p := preview("another"); p.Bad != 0 || p.Pages != 0 {
		t.Errorf("the property is corrected: %+v", p)
	}
}
