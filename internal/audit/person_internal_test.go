package audit

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/page"
)

func TestActorsThatAreOneMemberAreOnePerson(t *testing.T) {
	members := []Member{{"m-chen", "chen@shop.example"}, {"m-ana", "ana@shop.example"}}
	rows := []ledger.SummaryRow{
		{Key: "chen", Type: "user", Label: "Chen Wei", Count: 30, Email: "Chen@Shop.example"},
		{Key: "ben", Type: "user", Label: "Ben", Count: 20, Email: "ben@shop.example"},
		{Key: "m-chen", Type: "user", Label: "Chen Wei", Count: 12},
		{Key: "ana@shop.example", Type: "user", Label: "Ana", Count: 9},
		{Key: "chen", Type: "token", Label: "a token of that name", Count: 5, Email: "chen@shop.example"},
		{Key: "", Type: "user", Label: "an erased user", Count: 4, Email: "chen@shop.example"},
		{Key: "c2", Type: "user", Count: 1, Email: "chen@shop.example"},
	}
	p := newPeople(members, rows)
	var got []string
	for _, row := range p.group(slices.Clone(rows)) {
		got = append(got, row.Type+" "+row.Key+" "+grouped(uint64(row.Count)))
	}
	want := []string{
		"user m-chen 43", "user ben 20", "user ana@shop.example 9", "token chen 5", "user  4",
	}
	if !slices.Equal(got, want) {
		t.Errorf("grouped as %q, want %q", got, want)
	}
	for id, same := range map[string][]string{
		"m-chen":           {"m-chen", "chen", "c2"},
		"chen":             {"chen", "m-chen", "c2"},
		"ben":              {"ben"},
		"ana@shop.example": {"ana@shop.example", "m-ana"},
		"unknown":          {"unknown"},
	} {
		if got := p.sameAs(id); !slices.Equal(got, same) {
			t.Errorf("%s is %v, want %v", id, got, same)
		}
	}
	if got := p.group(rows)[0].IDs; !slices.Equal(got, []string{"chen", "m-chen", "c2"}) {
		t.Errorf("the ids are %v", got)
	}
}

func TestAnActorHasABoundedNumberOfIDs(t *testing.T) {
	var rows []ledger.SummaryRow
	for i := range 200 {
		rows = append(rows, ledger.SummaryRow{Key: "u" + grouped(uint64(i)), Type: "user", Email: "a@x.example"})
	}
	if n := len(newPeople([]Member{{"m", "a@x.example"}}, rows).sameAs("u0")); n != maxPersonIDs {
		t.Errorf("a filter asks for %d ids", n)
	}
}

func TestASummaryShowsOnlyTheDaysOfTheLog(t *testing.T) {
	now := time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
	day := func(s string) time.Time {
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	counts := []ledger.SummaryRow{{Key: "2026-11-25", Count: 3}, {Key: "2026-11-27", Count: 67}}
	for name, c := range map[string]struct {
		since, before, begins time.Time
		counts                []ledger.SummaryRow
		span, short, busiest  string
		columns               int
		first, last           string // titles
		firstHref             string
	}{
		"the log is younger than the range": {
			day("2026-08-30"), now, day("2026-11-25"), counts,
			"25 Nov to 28 Nov 2026, 4 days", "The audit log begins on 25 November 2026.", "busiest day 27 Nov (67)", 4,
			"25 Nov 2026: 3 events", "28 Nov 2026: 0 events",
			"/accounts/a/audit?before=2026-11-26T00%3A00%3A00Z&since=2026-11-25T00%3A00%3A00Z",
		},
		"the log is older": {
			day("2026-11-24"), day("2026-11-28"), day("2025-01-01"), counts,
			"24 Nov to 27 Nov 2026, 4 days", "", "busiest day 27 Nov (67)", 4,
			"24 Nov 2026: 0 events", "27 Nov 2026: 67 events", "",
		},
		"weeks": {
			day("2026-01-01"), now, day("2025-12-31"), counts,
			"1 Jan to 28 Nov 2026, 332 days", "", "busiest day 27 Nov (67)", 48,
			"1 Jan to 7 Jan 2026: 0 events", "26 Nov to 2 Dec 2026: 67 events", "",
		},
		"one day": {
			day("2026-11-27"), day("2026-11-28"), day("2026-11-25"), counts[1:],
			"27 Nov 2026, 1 day", "", "busiest day 27 Nov (67)", 1,
			"27 Nov 2026: 67 events", "27 Nov 2026: 67 events",
			"/accounts/a/audit?before=2026-11-28T00%3A00%3A00Z&since=2026-11-27T00%3A00%3A00Z",
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := summaryQuery{visit: visit{Visit: &page.Visit{Account: "a"}, now: now}, since: c.since, before: c.before}
			q.period.Label = "Last 90 days"
			q.Request = httptest.NewRequest("GET", "/accounts/a/audit/summary", http.NoBody)
			var s summaryPage
			s.fillDays(q, c.counts, c.begins)
			columns := s.Columns.Columns
			if s.Span != c.span || s.Short != c.short || s.Busiest != c.busiest || len(columns) != c.columns {
				t.Fatalf("%q, %q, %q, %d columns; want %+v", s.Span, s.Short, s.Busiest, len(columns), c)
			}
			first, last := columns[0], columns[len(columns)-1]
			if first.Title != c.first || last.Title != c.last || first.Href != c.firstHref {
				t.Errorf("from %+v to %+v", first, last)
			}
		})
	}
	var none summaryPage
	none.fillDays(summaryQuery{}, nil, time.Time{})
	if none.Span != "" || none.Columns.Columns != nil {
		t.Errorf("nothing is shown as %+v", none)
	}
}
