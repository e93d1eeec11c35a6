// Package channeltest has messages, and fakes of the receivers that channels send to:
// they enforce the limits that the receivers document, and answer as those do.
package channeltest

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
)

var at = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// Messages are an alert from start to end, a notice, a test, and one that is hostile
// in every text.
func Messages() map[string]*notify.Message {
	start := notify.Message{
		ID:          "d1",
		Sent:        at.Add(2 * time.Second),
		Account:     "023e105f4ecef8ad9ca31a8372d0c353",
		Name:        "on-call",
		PolicyID:    "p1",
		Policy:      "Shop on call",
		AlertID:     "a1",
		Type:        "shop_down",
		Title:       "Shop down",
		Event:       event.AlertStart,
		Correlation: "c1",
		Incident:    "k1",
		Severity:    "critical",
		Property:    "shop.example",
		At:          at,
		Began:       at.Add(-time.Minute),
		Subject:     "Checkout shop down",
		Summary:     "Checkout fails for 12 % of requests",
		Data:        json.RawMessage(`{"errors":12,"ratio":1.0,"region":"eu"}`),
		Changes: []notify.Change{{
			EventID: "e1",
			At:      at.Add(-90 * time.Second),
			Actor:   "Ana",
			Summary: "Ana changed the origin of shop.example",
			URL:     "https://belfry.example/accounts/x/audit/events/e1",
		}},
		More: 2,
		URL:  "https://belfry.example/accounts/x/alerts/a1",

		AckURL: "https://belfry.example/acknowledge?t=MAC",
	}
	end := start
	end.AckURL = ""
	end.ID = "d2"
	end.AlertID = "a2"
	end.Event = event.AlertEnd
	end.Started = at
	end.At = at.Add(5 * time.Minute)
	end.Sent = end.At
	end.Summary = end.Subject
	notice := start
	notice.AckURL = ""
	notice.Event = event.AlertNotice
	notice.Severity = "info"
	notice.Changes = nil
	notice.More = 0
	test := notify.Message{
		ID:       "d3",
		Sent:     at,
		Account:  start.Account,
		Name:     "on-call",
		Type:     "belfry_test",
		Title:    "Test message",
		Severity: "info",
		At:       at,
		Summary:  "This is a test message from Belfry to on-call. Nothing is wrong.",
		URL:      "https://belfry.example/accounts/x/notifications",
	}
	return map[string]*notify.Message{
		"start": &start, "end": &end, "notice": &notice, "test": &test, "hostile": hostile(&start), "long": long(&start),
	}
}

// Hostile is text that would notify everyone, run as markup or break JSON.
const Hostile = `<!channel> <!here> @channel @everyone @here <@U123> <users/all> <at user_id="all"></at> ` +
	`<script>alert(1)</script> [x](https://evil.example) **b** _i_ ~s~ |p| # h > q {{7*7}} "quoted" \ & é 👩🏽‍🚀 שלום`

func hostile(start *notify.Message) *notify.Message {
	m := *start
	m.Name = Hostile
	m.Policy = Hostile
	m.Title = Hostile
	m.Severity = Hostile
	m.Property = Hostile
	m.Subject = Hostile
	m.Summary = Hostile
	m.Changes = []notify.Change{{At: m.At.Add(-time.Second), Actor: Hostile, Summary: Hostile, URL: m.URL}}
	m.Data = json.RawMessage(`{"<!channel>":"@everyone"}`)
	return &m
}

// long has texts of 10,000 characters, most of them outside of the basic plane or of
// several code points.
func long(start *notify.Message) *notify.Message {
	m := *start
	text := strings.Repeat("👩🏽‍🚀&<é", 1700)[:10_000]
	text = strings.ToValidUTF8(text, "")
	m.Name = text
	m.Policy = text
	m.Title = text
	m.Severity = text
	m.Property = text
	m.Subject = text
	m.Summary = text
	m.Changes = nil
	for range 5 {
		c := start.Changes[0]
		c.Summary = text
		c.Actor = text
		m.Changes = append(m.Changes, c)
	}
	m.Data = json.RawMessage(`{"text":"` + strings.Repeat("x", 60_000) + `"}`)
	return &m
}
