package slo_test

import (
	"context"
	"fmt"
	"html"
	"strings"
	"testing"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/slo"
)

// inOrder fails unless the texts are on the page one after the other.
func inOrder(t *testing.T, body string, texts ...string) {
	t.Helper()
	at := 0
	for _, text := range texts {
		i := strings.Index(body[at:], text)
		if i < 0 {
			t.Errorf("%q is not on the page after those before it in %q", text, texts)
			return
		}
		at += i + len(text)
	}
}

func TestTheListBeginsWithTheLeastBudget(t *testing.T) {
	s := newDashboard(t)
	s.furnish()
	list := s.ana.Get(s.base).Expect(200).Says("3 objectives", "Least budget left first", "Up to ")
	inOrder(t, list.Body, ">checkout</a>", ">blog</a>", ">payments origin</a>")
	inOrder(t, s.ana.Get(s.base+"?sort=burn").Expect(200).Body, ">blog</a>", ">checkout</a>", ">payments origin</a>")
	inOrder(t, s.ana.Get(s.base+"?sort=name").Expect(200).Body, ">blog</a>", ">checkout</a>", ">payments origin</a>")
	grouped := s.ana.Get(s.base + "?group=property").Expect(200)
	inOrder(t, grouped.Body, `colspan="8">blog.example<`, ">blog</a>", `colspan="8">shop.example<`, ">checkout</a>",
		">payments origin</a>")

	s.Run("filters", func() {
		s.ana.Get(s.base+"?state=burning").Expect(200).Says(">checkout</a>", "1 objective of 3").Lacks(">blog</a>")
		s.ana.Get(s.base+"?state.not=burning").Expect(200).Says(">blog</a>", "2 objectives of 3")
		s.ana.Get(s.base+"?zone="+s.blog).Expect(200).Says(">blog</a>", "<b>blog.example</b>").Lacks(">checkout</a><")
		s.ana.Get(s.base+"?q=10.0.0.7").Expect(200).Says(">payments origin</a>", "1 objective of 3")
		s.ana.Get(s.base+"?q=nothing").Expect(200).Says("No objective matches", "Show all objectives")
	})
	s.Run("the parts ask for themselves", func() {
		rows := s.ana.Fragment(s.base, "section#objectives-list").Expect(200).Says(">checkout</a>")
		rows.Lacks("<html", "is burning its budget too fast")
		s.ana.Fragment(s.base, "div#objectives-now").Expect(200).Says("1 objective is burning").Lacks(">blog</a>")
	})
	s.Run("a viewer", func() {
		s.viewer.Get(s.base).Expect(200).Says(">checkout</a>").Lacks("/objectives/new")
	})
}

func TestALongListHasParts(t *testing.T) {
	s := newDashboard(t)
	for i := range 60 {
		zone := s.shop
		if i%2 == 0 {
			zone = s.blog
		}
		_, err := s.f.Create(t.Context(), s.acme, slo.ObjectiveSpec{
			Name:   fmt.Sprintf("objective %02d", i),
			Match:  slo.Match{Zone: zone},
			Target: 99.9,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	first := s.ana.Get(s.base).Expect(200).Says("60 objectives", "objective 49<").Lacks("objective 50<")
	next := first.Find(`href="([^"]*cursor=[^"]*)"[^>]*>`)
	s.ana.Get(next).Expect(200).Says("objective 50<", "objective 59<").Lacks("objective 49<", "hx-trigger=\"every 5s\"")
	s.ana.Get(s.base + "?cursor=nonsense").Expect(400)
	s.Run("a group that goes on has no second heading", func() {
		first := s.ana.Get(s.base + "?group=property").Expect(200)
		next := html.UnescapeString(first.Find(`href="([^"]*cursor=[^"]*)"[^>]*>`))
		s.ana.Get(next).Expect(200).Says("objective 59<").Lacks("group-row")
	})
}

// The list must not ask for the name of a property once for each of its objectives.
func TestTheListAsksForEachPropertyOnce(t *testing.T) {
	s := newDashboard(t)
	asked := 0
	s.countZones(&asked)
	for i := range 40 {
		_, err := s.f.Create(t.Context(), s.acme, slo.ObjectiveSpec{
			Name:   fmt.Sprint(i),
			Match:  slo.Match{Zone: s.shop},
			Target: 99.9,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	asked = 0
	s.ana.Get(s.base).Expect(200)
	if asked != 1 {
		t.Errorf("the list asked for %d names of properties: expected 1", asked)
	}
}

func TestTheListOfAnotherAccountLooksLikeNone(t *testing.T) {
	s := newDashboard(t)
	s.furnish()
	eve := s.Member(s.Account("Other"), "eve@other.example", accounts.Owner)
	for _, path := range []string{s.base, s.base + "/report", s.base + "?group=property"} {
		eve.Get(path).Expect(404).Lacks("checkout")
	}
}

func TestTheReport(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	shown := s.ana.Get(s.base+"/report").Expect(200).
		Says("Objectives in December 2025", "The month is not over", "2 of 2", "39 %", "one page").
		Says("Tue 16 Dec", "No requests")
	inOrder(t, shown.Body, ">checkout</a>", ">blog</a>", ">payments origin</a>")
	s.ana.Get(s.base + "/report?month=2025-11").Expect(200).Says("Objectives in November 2025").Lacks("Counts are kept")
	s.ana.Get(s.base + "/report?month=2025-09").Expect(200).
		Says("Counts are kept for 92 days: the report begins on 24 September 2025")
	s.ana.Get(s.base + "/report?month=2025-06").Expect(200).Says("those of this month are no longer there")
	for _, bad := range []string{"2026-01", "november", "2025-13"} {
		s.ana.Get(s.base + "/report?month=" + bad).Expect(400)
	}
	r, err := s.f.MonthlyReport(t.Context(), s.acme, "")
	if err != nil {
		t.Fatal(err)
	}
	line := r.Objectives[0]
	// 24 days with two failures an hour, but three hours of the 16th with 600, and the outage of 18 ticks.
	failed := uint64((24*24-3)*2 + 3*600 + 18*60)
	if line.ID != checkout.ID || line.Bad != failed || line.Alerts != (slo.AlertCounts{Page: 1}) ||
		line.WorstDay == nil || line.WorstDay.Start.UTC().Format("2006-01-02") != "2025-12-16" || !line.Met {
		t.Errorf("expected %d failures: %+v %+v", failed, line, line.WorstDay)
	}
}

func (s *dashboard) countZones(n *int) {
	s.zones = func(ctx context.Context, accountID, ref string) (string, string, error) {
		*n++
		return s.Accounts.ResolveZone(ctx, accountID, ref)
	}
}

// A page's number of statements does not depend on how much an account has.
func TestThePagesRunAFixedNumberOfStatements(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	one := s.base + "/" + checkout.ID
	statements := func(path string) int64 {
		before := s.db.Statements()
		s.ana.Get(path).Expect(200)
		return s.db.Statements() - before
	}
	list := statements(s.base)
	hub := statements(one)
	summary := statements(s.base + "/report")
	for i := range 60 {
		_, err := s.f.Create(t.Context(), s.acme, slo.ObjectiveSpec{
			Name:   fmt.Sprint(i),
			Match:  slo.Match{Zone: s.shop},
			Target: 99 + float64(i)/100,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path   string
		before int64
		most   int64
	}{
		{s.base, list, 13},
		{one, hub, 16},
		{s.base + "/report", summary, 9}, // one more is the schedule of its mails
	} {
		after := statements(c.path)
		if after > c.before+2 || after > c.most {
			t.Errorf("%s: %d statements with 3 objectives, %d with 63: expected at most %d", c.path, c.before, after, c.most)
		}
		t.Log(c.path, c.before, after)
	}
}
