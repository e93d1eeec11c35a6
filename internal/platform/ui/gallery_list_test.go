package ui_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// galleryList is the data of the page of a list.
type galleryList struct {
	Filters   ui.Filters
	Selection ui.Selection
	Rows      []listRow
}

type listRow struct {
	ID, Name, Recipients string
	Status               ui.Status
	Sent                 int
	Last                 time.Time
}

func listData(r *http.Request) any {
	properties := map[string]string{"z1": "shop.example", "z3": "staging.shop.example"}
	filters := ui.NewFilters(r.URL, "Search policies",
		ui.FilterKey{Key: "zone", Label: "Property", Icon: "globe", Kind: "zone", Source: "/find", Only: true,
			Name: func(id string) string { return properties[id] }},
		ui.FilterKey{Key: "actor", Label: "Changed by", Icon: "user", Kind: "member", Source: "/find", Use: "detail"},
		ui.FilterKey{Key: "severity", Label: "Severity", Icon: "siren", Only: true, Options: []ui.Choice{
			{Value: "critical", Label: "Critical", Count: 3, Icon: "octagon-alert", Tone: ui.Bad},
			{Value: "error", Label: "Error", Count: 12, Icon: "triangle-alert", Tone: ui.Warn},
			{Value: "info", Label: "Info", Count: 1, Icon: "info", Tone: ui.Info},
		}},
	)
	period := ui.ParseRange(r.URL, galleryNow, "30d")
	filters.Range = &period
	filters.Sort = ui.Sorts(r.URL,
		ui.Choice{Value: "name", Label: "By name"},
		ui.Choice{Value: "sent", Label: "Most sent"})
	filters.Display = &ui.Display{Name: "policies", Columns: []ui.ListColumn{
		{Key: "recipients", Label: "Recipients"}, {Key: "sent", Label: "Sent"}, {Key: "last", Label: "Last"},
	}}
	filters.Views = []ui.View{
		{
			Name: "Critical in production", Href: "/list?severity=critical", Shared: true,
			Current: r.FormValue("severity") != "",
		},
		{Name: "Mine", Href: "/list?actor=ana", DeleteHref: "/views/2/delete"},
	}
	filters.SaveView = "/views"
	filters.ShareViews = true

	rows := make([]listRow, 8)
	for i := range rows {
		rows[i] = listRow{
			ID:         fmt.Sprintf("p%d", i),
			Name:       []string{"Checkout on call", "Certificates", "Weekly digest", "Storefront errors"}[i%4],
			Recipients: []string{"On-call hook", "ana@acme.dev, li.wei@acme.dev"}[i%2],
			Status:     []ui.Status{{Label: "On", Tone: ui.Good}, {Label: "Off"}}[i/5%2],
			Sent:       i * i * 311,
			Last:       galleryNow.Add(-time.Duration(i) * 5 * time.Hour),
		}
	}
	return galleryList{Filters: filters, Rows: rows, Selection: ui.Selection{
		Form: "chosen", Action: "/list/acts", Noun: "policies",
		Acts: []ui.BulkAct{
			{Label: "Enable", Icon: "play", Value: "enable"},
			{Label: "Disable", Icon: "pause", Value: "disable"},
			{Label: "Delete", Icon: "trash-2", Value: "delete", Href: "/list/delete", Danger: true},
		},
	}}
}
