package ui_test

import (
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// galleryHub is the data of the page of one object.
type galleryHub struct {
	Hub      ui.Hub
	Metrics  []ui.Metric
	Latency  ui.Parts
	Activity ui.Activity
	Quiet    ui.Activity
}

func hubData() galleryHub {
	return galleryHub{
		Hub: ui.Hub{
			Back:     ui.Link{Label: "Notifications", Href: "/notifications"},
			Icon:     "webhook",
			Title:    "On-call hook",
			Status:   ui.Status{Label: "Retrying", Tone: ui.Warn},
			Subtitle: ui.Sentence{{Text: "Receives the alerts of "}, {Text: "2 policies", Href: "/policies"}},
			Actions: []ui.Link{
				{Label: "Send a test message", Icon: "send", Href: "/test", Post: true, Key: "s"},
				{Label: "Edit", Icon: "pencil", Href: "/edit", Primary: true, Key: "e"},
			},
			More: []ui.Link{
				{Label: "Replay deliveries", Icon: "rotate-ccw", Href: "/replay"},
				{Label: "New signing secret", Icon: "refresh-cw", Href: "/secret"},
				{Label: "Delete", Icon: "trash-2", Href: "/delete", Danger: true},
			},
			Tabs: []ui.Link{
				{Label: "Deliveries", Href: "/hub", Current: true, Count: 12480},
				{Label: "Failures", Href: "/hub?tab=failures", Count: 14},
				{Label: "Settings", Href: "/hub?tab=settings"},
			},
			Properties: hubProperties(),
		},
		Metrics:  hubMetrics(),
		Latency:  hubLatency(),
		Activity: hubActivity(),
		Quiet:    ui.Activity{Title: "Comments", Empty: "Nobody has commented on it."},
	}
}

func hubProperties() []ui.PropertyGroup {
	return []ui.PropertyGroup{
		{
			Title:  "Webhook",
			Action: ui.Link{Label: "Edit", Href: "/edit"},
			Properties: []ui.Property{
				{Label: "State", Status: ui.Status{Label: "Retrying", Tone: ui.Warn}, Note: "3 messages wait"},
				{Label: "Address", Text: "https://hooks.acme.dev/belfry/production/on-call", Mono: true},
				{Label: "Id", Copy: "01a222145ba378da8d57e72ec65574a0"},
				{Label: "Property", Text: "shop.example", Icon: "globe", Href: "/properties/1"},
				{Label: "Policies", Links: []ui.Link{
					{Label: "Checkout on call", Href: "/policies/1", Icon: "list-filter"},
					{Label: "Certificates", Href: "/policies/2", Icon: "list-filter"},
				}},
				{Label: "Note"},
			},
		},
		{
			Title: "People",
			Properties: []ui.Property{
				{Label: "Owner", Person: &ui.Person{Name: "Ana Lima", Href: "/members/1"}},
				{Label: "Created by", Person: &ui.Person{Name: "terraform", Kind: "token"}},
			},
		},
		{
			Title: "Times",
			Properties: []ui.Property{
				{Label: "Created", At: galleryNow.Add(-1900 * time.Hour)},
				{Label: "Last success", At: galleryNow.Add(-4 * time.Minute), Ago: true},
			},
		},
	}
}

func hubMetrics() []ui.Metric {
	hours := ui.Columns{Label: "Deliveries per hour, last 24 hours", From: "24 h ago", To: "now"}
	for i := range 24 {
		column := ui.Column{Title: fmt.Sprintf("%02d:00", i), Good: float64((i*37)%23 + 6)}
		if i > 18 {
			column.Bad = float64(i - 17)
		}
		if i == 7 || i == 8 {
			column = ui.Column{Title: column.Title}
		}
		hours.Columns = append(hours.Columns, column)
	}
	return []ui.Metric{
		{
			Label: "Delivered, 24 h", Icon: "send", Value: "97.1", Unit: "%", Tone: ui.Warn, Note: "14 failed, 3 retrying",
			Parts: &ui.Parts{
				Label: "Deliveries of the last 24 hours",
				Shares: []ui.Share{
					{Label: "Delivered", Value: 570, Tone: ui.Good},
					{Label: "Retrying", Value: 3, Tone: ui.Warn},
					{Label: "Failed", Value: 14, Tone: ui.Bad},
				},
			},
		},
		{Label: "Deliveries", Icon: "activity", Value: "587", Columns: &hours},
		{Label: "Latency, p95", Icon: "timer", Value: "184", Unit: "ms", Note: "median 61 ms",
			Spark: []float64{60, 62, 61, 64, 59, 88, 184}},
		{Label: "Budget left", Icon: "gauge", Value: "91", Unit: "%", Tone: ui.Good, Progress: 91, Href: "/objective"},
	}
}

func hubLatency() ui.Parts {
	return ui.Parts{Label: "Answers by latency", Legend: true, Shares: []ui.Share{
		{Label: "below 100 ms", Value: 421, Tone: ui.Good},
		{Label: "100 ms to 1 s", Value: 140, Tone: ui.Info},
		{Label: "1 to 15 s", Value: 12, Tone: ui.Warn},
		{Label: "no answer", Value: 14, Tone: ui.Bad},
	}}
}

func hubActivity() ui.Activity {
	activity := ui.Activity{Note: "newest first", All: "/record?resource_id=1"}
	for i, row := range galleryRows()[:5] {
		activity.Rows = append(activity.Rows, ui.ActivityRow{
			ID:       fmt.Sprintf("act-%d", i),
			Actor:    row.Actor,
			Kind:     row.Kind,
			Sentence: row.Sentence,
			Note:     row.Note,
			Tone:     row.Tone,
			At:       row.At,
			Href:     row.Href,
		})
	}
	return activity
}
