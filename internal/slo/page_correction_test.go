package slo_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/test/browser"
)

const tenDays = 240 * time.Hour

const fieldTime = "2006-01-02T15:04"

// corrections is the path of the list.
func (s *dashboard) corrections() string { return "/accounts/" + s.acme + "/corrections" }

// correction is the input of the form: a time that ends now.
func (s *dashboard) correction(objectiveID string, lasts time.Duration, more ...string) []string {
	now := s.Now().UTC()
	return append([]string{
		"kind", "incident", "target", "objectives", "objectives", objectiveID,
		"from", now.Add(-lasts).Format(fieldTime), "to", now.Format(fieldTime), "reason", "the network of the data centre",
	}, more...)
}

func TestALargeCorrectionWaitsForASecondMember(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	base := s.corrections()
	bo := s.Member(s.acme, "bo@acme.example", accounts.Admin)
	s.ana.Get(base).Expect(200).Says("No correction yet", "New correction")
	s.viewer.Get(base).Expect(200).Lacks("/corrections/new")

	asked := s.ana.Post(base, s.correction(checkout.ID, tenDays)...).Expect(303).Location
	path, _, _ := strings.Cut(asked, "?")
	s.ana.Get(path).Expect(200).Says("Waits for approval", "another member has to approve", "Withdraw",
		"the network of the data centre").Lacks(`data-action class="button primary"`)
	s.ana.Post(path + "/approve").Expect(403)
	for who, entries := range map[string]int{"ben": 1, "someone who reads": 0} {
		by := web.CurrentPrincipal(as(t, web.KindUser, who))
		by.AccountID = s.acme
		if entries == 0 {
			by.Permissions = web.Permissions{accounts.SLORead}
		}
		news, err := s.f.Describe().News.Since(t.Context(), s.acme, by, s.Now().Add(-time.Minute))
		if err != nil || strings.Count(fmt.Sprint(news), "A correction waits for your approval") != entries {
			t.Errorf("%s: %v %v", who, err, news)
		}
	}
	s.viewer.Get(path).Expect(200).Says("Waits for approval").Lacks("Withdraw", "/approve", "/reject")
	s.viewer.Post(path + "/approve").Expect(403)

	s.ana.Get(base).Expect(200).Says("Waits for approval", "checkout").Lacks("You can approve")
	s.ana.Get(s.base+"/"+checkout.ID).Expect(200).Says("Requested by ", "the network of the data centre")
	s.ana.Get(base + "?state=active").Expect(200).Says("No correction matches")
	s.ana.Get(base + "?state=pending&objective=" + checkout.ID).Expect(200).Says("the network of the data centre")
	bo.Get(base).Expect(200).Says("1 correction waits for a second member")
	bo.Get(path).Expect(200).Says(path+"/approve", "Reject")
	bo.Get(path + "/approve").Expect(200).Says("Alerts that fire because of this time end").
		Submit("Approve the correction").RedirectsTo(path)
	s.ana.Get(path).Expect(200).Says("Active", "Approved by", "Remove")
	_, status, err := s.f.Status(t.Context(), s.acme, checkout.ID)
	if err != nil || len(status.Corrections) != 1 || status.Corrections[0].Bad == 0 {
		t.Fatalf("%v %+v", err, status.Corrections)
	}
	bo.Post(path + "/approve").Expect(409)

	s.ana.Get(path + "/remove").Expect(200).Says("with exactly the numbers from before").
		Submit("Remove the correction").RedirectsTo(path)
	s.ana.Get(path).Expect(200).Says("Removed by").Lacks("/remove")

	// Who requested a correction may withdraw it.
	again, _, _ := strings.Cut(s.ana.Post(base, s.correction(checkout.ID, tenDays)...).Expect(303).Location, "?")
	s.ana.Get(again + "/reject").Expect(200).Submit("Reject the correction").RedirectsTo(again)
	s.ana.Get(again).Expect(200).Says("Rejected by")
}

func TestTheFormOfACorrectionShowsTheBudgetBeforeAndAfter(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	base := s.corrections()
	s.ana.Get(base+"/new?objective="+checkout.ID+"&kind=reset").Expect(200).
		Says("Reset the budget", "Everything that was counted until now is left out")
	s.ana.Get(base + "/new?objective=unknown").Expect(404)
	s.viewer.Get(base + "/new").Expect(403)

	shown := s.ana.Post(base, s.correction(checkout.ID, tenDays, "do", "preview")...).Expect(200)
	shown.Says("A second member has to approve it.", "Budget now", "the network of the data centre")
	preview, err := s.f.PreviewCorrection(t.Context(), s.acme, slo.CorrectionCreate{
		Objectives: []string{checkout.ID},
		ObjectiveCorrectionCreate: slo.ObjectiveCorrectionCreate{
			From: web.Time{Time: s.Now().Add(-tenDays)},
			To:   web.Time{Time: s.Now()},
		},
	})
	if err != nil || len(preview.Objectives) != 1 || preview.State != slo.Pending {
		t.Fatalf("%v %+v", err, preview)
	}
	one := preview.Objectives[0]
	_, status, err := s.f.Status(t.Context(), s.acme, checkout.ID)
	if err != nil || one.Before != status.Budget.Left || one.After-one.Before != one.Budget || one.Budget <= 0 {
		t.Errorf("%v %+v, and the budget is %v", err, one, status.Budget.Left)
	}
	if len(status.Corrections) != 0 {
		t.Errorf("a preview is stored: %+v", status.Corrections)
	}

	// All faults at once, and nothing typed is lost.
	s.ana.Post(base, "kind", "maintenance", "target", "objectives", "from", "yesterday", "to", "2026-01-02T10:00",
		"reason", "").Expect(400).
		Says("Choose at least one objective", "Expected a time such as", "Say in 1 to 500 characters", `value="yesterday"`)
	s.ana.Post(base, "kind", "maintenance", "target", "zone", "zone", "nowhere.example", "from", "2019-01-02T10:00",
		"to", "2019-01-02T11:00", "reason", "an old one").Expect(400).Says("Counts are kept for 92 days", "an old one")
}

func TestAForeignCorrectionLooksLikeNone(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	asked := s.ana.Post(s.corrections(), s.correction(checkout.ID, time.Minute)...).Expect(303).Location
	path, _, _ := strings.Cut(asked, "?")
	other := s.Account("Other")
	eve := s.Member(other, "eve@other.example", accounts.Owner)
	foreign := strings.Replace(path, s.acme, other, 1)
	for _, p := range []string{path, foreign} {
		for _, act := range []string{"", "/approve", "/reject", "/remove"} {
			eve.Get(p + act).Expect(404).Lacks("data centre")
		}
		eve.Post(p + "/remove").Expect(404)
	}
	eve.Get("/accounts/" + other + "/corrections?objective=" + checkout.ID).Expect(404)
	eve.Post("/accounts/"+other+"/corrections", s.correction(checkout.ID, time.Minute)...).Expect(400)
}

func TestTheCorrectionsInABrowser(t *testing.T) {
	b := browser.Start(t)
	s := newDashboard(t)
	checkout, _ := s.furnish()
	base := s.corrections()
	b.Carry(s.URL, s.ana.Cookies())
	b.Open(s.URL+base, "light", 1400)
	b.Look("slo-corrections-none", "light", 1400)
	asked := s.ana.Post(base, s.correction(checkout.ID, tenDays)...).Expect(303).Location
	path, _, _ := strings.Cut(asked, "?")
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1400, 800, 390} {
			for name, p := range map[string]string{
				"slo-corrections":    base,
				"slo-correction":     path,
				"slo-correction-new": base + "/new?objective=" + checkout.ID + "&kind=incident",
			} {
				b.Open(s.URL+p, theme, width)
				if strings.HasSuffix(name, "-new") {
					b.Evaluate(`new Promise((r) => { const f = () => document.querySelector("#correction-preview table")
						? r("") : requestAnimationFrame(f); f(); })`)
				}
				b.Look(name, theme, width)
			}
		}
	}
}
