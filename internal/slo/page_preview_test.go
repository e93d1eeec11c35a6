package slo_test

import (
	"fmt"
	"slices"
	"testing"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/test/browser"
)

// filled are the fields of a form that is filled in, but for those that more has too.
func (s *dashboard) filled(more ...string) []string {
	fields := more
	usual := []string{"name", "cart", "match/zone", s.shop, "kind", "zone", "target", "99.9", "window", "28d",
		"pairs", "standard"}
	for i := 0; i < len(usual); i += 2 {
		if !slices.Contains(more, usual[i]) {
			fields = append(fields, usual[i], usual[i+1])
		}
	}
	return fields
}

func TestTheFormPreviewsTheLastFourWeeks(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	s.Run("with the button, without scripts", func() {
		s.ana.Post(s.base, s.filled("do", "preview")...).Expect(200).
			Says("Of 24,192,000 requests in the last 28 days, 24,192 may fail; 4,210 did.",
				"82 % of the budget would be left.", "It would have sent ", "Proposed from these counts: 99.95 %",
				"stored in steps of two hours", "1h/5m at 14.4×", `value="cart"`)
	})
	s.Run("the proposal is taken over, and nothing is lost", func() {
		s.ana.Post(s.base, s.filled("do", "target:99.95", "guard/min_bad", "7")...).Expect(200).
			Says(`value="99.95"`, `value="cart"`, `value="7"`, "12,096 may fail", "This is the target that these counts suggest")
	})
	s.Run("rows", func() {
		row := []string{"pairs", "own", "pair.long", "6h", "pair.short", "30m", "pair.factor", "4", "pair.severity", "page"}
		s.ana.Post(s.base, s.filled(append(row, "do", "add")...)...).Expect(200).
			Says(`name="pair.factor" value="4"`, `name="pair.factor" value=""`)
		s.ana.Post(s.base, s.filled(append(row, "do", "remove:0")...)...).Expect(200).Lacks(`value="4"`)
		s.ana.Post(s.base, s.filled("do", "remove:99")...).Expect(200)
	})
	s.Run("a part that is not counted yet", func() {
		s.ana.Post(s.base, s.filled("kind", "hostname", "value", "www.shop.example", "do", "preview")...).Expect(200).
			Says("This part is not counted on its own yet")
	})
	s.Run("faults", func() {
		s.ana.Post(s.base, s.filled("target", "90", "do", "preview")...).Expect(200).Says("could never fire")
		s.ana.Post(s.base, s.filled("match/zone", "nowhere.example", "do", "preview")...).Expect(200).
			Says("no property that is called nowhere.example")
	})
	s.Run("an edit beside the stored objective", func() {
		path := s.base + "/" + checkout.ID
		s.ana.Post(path, s.filled("do", "preview")...).Expect(200).
			Says("Before you save", "99.95 %", "<b>99.9 %</b>", "12,096", "<b>24,192</b>")
		now, err := s.f.Objective(t.Context(), s.acme, checkout.ID)
		if err != nil || now.Target != 99.95 {
			t.Errorf("a preview changed the objective: %+v %v", now, err)
		}
	})
	s.Run("the fragment", func() {
		s.ana.Get(s.base+"/new").Expect(200).Says(`hx-post="`+s.base+`/preview"`, "load delay")
	})
	s.Run("a duplicate", func() {
		s.ana.Get(s.base+"/new?from="+checkout.ID).Expect(200).Says("Copy of checkout", "Create the objective")
	})
	s.Run("another account", func() {
		other := s.Account("Other")
		eve := s.Member(other, "eve@other.example", accounts.Owner)
		for _, account := range []string{s.acme, other} {
			base := "/accounts/" + account + "/objectives"
			eve.Get(base + "/new?from=" + checkout.ID).Expect(404)
			eve.Get(base + "/new/parts/" + s.shop + "?kind=hostname").Expect(404)
			eve.Post(base+"/"+checkout.ID+"/preview", s.filled()...).Expect(404)
		}
		own := "/accounts/" + other + "/objectives"
		eve.Post(own+"/preview", s.filled("do", "preview")...).Expect(200).Says("no property").Lacks("24,192")
		s.viewer.Post(s.base+"/preview", s.filled()...).Expect(403)
	})
}

func TestThePickerOffersWhatWasSeen(t *testing.T) {
	s := newDashboard(t)
	s.furnish()
	_, err := s.f.Create(t.Context(), s.acme, slo.ObjectiveSpec{
		Name: "www", Match: slo.Match{Zone: s.shop, Hostname: "www.shop.example"}, Target: 99,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := count(s.shop, "www")
	c.Account = s.acme
	c.Counts = append(c.Counts, steady(s.shop, dashboardNow, dashboardNow+10, 10, 0)[0].Counts...)
	c.Counts[0].Hostname = "www.shop.example"
	s.handle(c)
	parts := s.base + "/new/parts/" + s.shop
	s.ana.Get(parts+"?kind=hostname").Expect(200).Says(`"id":"www.shop.example"`, `"id":"shop.example"`)
	s.ana.Get(parts + "?kind=hostname&q=WWW").Expect(200).Says(`"id":"www.shop.example"`).Lacks(`"id":"shop.example"`)
	s.ana.Get(parts + "?kind=origin").Expect(200).Says(`{"groups":[]}`)
	s.ana.Get(s.base + "/new/parts/nowhere?kind=hostname").Expect(404)
}

// TestThePreviewFollowsTheForm fills in the form in a browser: the preview, the rows of pairs and the field for a part
// follow, and the focus stays.
func TestThePreviewFollowsTheForm(t *testing.T) {
	b := browser.Start(t)
	s := newDashboard(t)
	s.furnish()
	b.Carry(s.URL, s.ana.Cookies())
	b.Open(s.URL+s.base+"/new?zone="+s.shop, "light", 1400)
	until := func(what, condition string) {
		t.Helper()
		met := b.Evaluate(fmt.Sprintf(`(async () => {
			for (let i = 0; i < 600; i++) {
				if (%s) return "yes";
				await new Promise((r) => requestAnimationFrame(r));
			}
			return document.querySelector("main").innerText;
		})()`, condition))
		if met != "yes" {
			t.Fatalf("%s: %s", what, met)
		}
	}
	says := func(text string) string { // and listens to the form again
		return fmt.Sprintf(`document.querySelector("#objective-preview[data-htmx-powered]")?.innerText.includes(%q)`, text)
	}
	until("the first preview", says("24,192 may fail"))
	b.Evaluate(`(() => { const f = document.querySelector("[name=target]"); f.focus(); f.value = "99.99";
		f.dispatchEvent(new Event("change", {bubbles: true})); return ""; })()`)
	until("another target", says("2,419 may fail"))
	if got := b.Evaluate(`document.activeElement.name`); got != "target" {
		t.Errorf("the focus is on %q: expected the field that was typed in", got)
	}
	b.Evaluate(`(() => { const f = document.querySelector("[name=pairs]"); f.value = "own";
		f.dispatchEvent(new Event("change", {bubbles: true})); return ""; })()`)
	until("the rows of the standard pairs", `document.querySelectorAll("#objective-pairs[data-htmx-powered] .pair-row").length === 4`)
	b.Evaluate(`(() => { document.querySelector(".pair-row button").click(); return ""; })()`)
	until("a row less", `document.querySelectorAll("#objective-pairs[data-htmx-powered] .pair-row").length === 3`)
	b.Evaluate(`(() => { [...document.querySelectorAll(".pair-rows > button")].pop().click(); return ""; })()`)
	until("a row more", `document.querySelectorAll("#objective-pairs[data-htmx-powered] .pair-row").length === 4`)
	b.Evaluate(`(() => { const f = document.querySelector("[name=kind]"); f.value = "hostname";
		f.dispatchEvent(new Event("change", {bubbles: true})); return ""; })()`)
	until("the field for a hostname", `document.querySelector("#objective-part [data-picker=value]")`)
	b.Look("slo-form", "light", 1400)
}
