package ui_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

func TestAPropertyShowsTheFirstValueThatIsSet(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for want, property := range map[string]ui.Property{
		`>Ana Lima</a>`:         {Person: &ui.Person{Name: "Ana Lima", Href: "/members/1"}, Text: "no"},
		`class="status warn"`:   {Status: ui.Status{Label: "Retrying", Tone: ui.Warn}, Text: "no"},
		`22 Nov 2026, 09:30:00`: {At: at, Text: "no"},
		`data-copy="0192"`:      {Label: "Id", Copy: "0192"},
		`<code>short</code>`:    {Label: "Id", Copy: "0192", Text: "short"},
		`href="/p/1"`:           {Links: []ui.Link{{Label: "On call", Href: "/p/1"}}},
		`class="prop-text mono`: {Text: "https://acme.dev", Mono: true},
		`>–</span>`:             {Label: "Note"},
		`class="prop-note">3 w`: {Text: "x", Note: "3 wait"},
	} {
		if got := html(t, `{{template "hub-property" .}}`, property); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAHubEscapesWhatPeopleTyped(t *testing.T) {
	const bad = `"><script>alert(1)</script>`
	data := galleryHub{
		Hub: ui.Hub{
			Back: ui.Link{Label: bad, Href: bad}, Title: bad, Avatar: &ui.Person{Name: bad},
			Status: ui.Status{Label: bad}, Subtitle: ui.Sentence{{Text: bad, Href: bad}},
			Actions: []ui.Link{{Label: bad, Href: bad, Key: bad, Hint: bad}, {Label: bad, Href: bad, Post: true}},
			More:    []ui.Link{{Label: bad, Href: "javascript:alert(1)"}},
			Properties: []ui.PropertyGroup{{
				Title:  bad,
				Action: ui.Link{Label: bad, Href: bad},
				Properties: []ui.Property{
					{Label: bad, Text: bad, Href: bad, Note: bad}, {Label: bad, Copy: bad},
					{Label: bad, Links: []ui.Link{{Label: bad, Href: bad}}}, {Label: bad, Person: &ui.Person{Name: bad, Href: bad}},
				},
			}},
		},
		Metrics: []ui.Metric{{Label: bad, Value: bad, Unit: bad, Note: bad, Columns: &ui.Columns{
			Label: bad, From: bad, Columns: []ui.Column{{Title: bad, Good: 1}},
		}}},
		Latency:  ui.Parts{Label: bad, Legend: true, Shares: []ui.Share{{Label: bad, Value: 1, Text: bad}}},
		Activity: ui.Activity{Title: bad, All: bad, Rows: []ui.ActivityRow{{Actor: bad, Note: bad, Href: bad}}},
	}
	got := html(t, `{{template "hub-head" .Hub}}{{template "hub-side" .Hub}}{{template "metrics" .Metrics}}
		{{template "share-bar" .Latency}}{{template "activity" .Activity}}`, data)
	if strings.Contains(got, "<script>") || strings.Contains(got, `href="javascript`) {
		t.Error(got)
	}
}

func TestBarsSayTheirValuesAndShowASingleFailure(t *testing.T) {
	got := html(t, `{{template "share-bar" .}}`, ui.Parts{Label: "Deliveries", Shares: []ui.Share{
		{Label: "Delivered", Value: 99_999, Tone: ui.Good}, {Label: "Failed", Value: 1, Tone: ui.Bad}, {Label: "Late"},
	}})
	for _, want := range []string{`aria-label="Deliveries: Delivered 99,999, Failed 1, Late 0"`, `class="bad"`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if n := strings.Count(got, "<rect"); n != 2 {
		t.Errorf("%d bars, want one for each share above zero: %s", n, got)
	}
	got = html(t, `{{template "column-bar" .}}`, ui.Columns{
		Label: "Per hour", Columns: []ui.Column{{Good: 40, Bad: 2}, {}},
	})
	if !strings.Contains(got, `Per hour: 40 succeeded, 2 did not`) || strings.Count(got, `class="none"`) != 1 {
		t.Error(got)
	}
	if got := html(t, `{{template "share-bar" .}}`, ui.Parts{Label: "Nothing"}); strings.Contains(got, "NaN") {
		t.Error(got)
	}
}
