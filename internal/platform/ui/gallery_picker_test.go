package ui_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// galleryPickers is the data of the page of pickers. Sent is the form as it came.
type galleryPickers struct {
	Sent    string
	Pickers []ui.Picker
}

func pickerData(r *http.Request) any {
	sent := ""
	if r.Method == http.MethodPost {
		_ = r.ParseForm()
		sent = r.PostForm.Encode()
	}
	return galleryPickers{Sent: sent, Pickers: []ui.Picker{
		{
			Name: "zones", Label: "Properties", Kind: "zone", Source: "/find", Multiple: true, Mode: "zones.mode",
			Hint: "Empty: all properties except test environments.", Placeholder: "All properties",
			Selected: []ui.Choice{
				{Value: "z1", Label: "shop.example", Detail: "production", Icon: "globe"},
				{Value: "z2", Label: "checkout.shop.example", Detail: "production", Icon: "globe"},
			},
		},
		{
			Name: "owner", Label: "Owner", Kind: "member", Source: "/find", Required: true,
			Placeholder: "Choose a member", Error: "Choose an owner.",
		},
		{
			Name: "severity", Label: "Severity", Multiple: true, Placeholder: "Any severity",
			Options: []ui.Choice{
				{Value: "critical", Label: "Critical", Icon: "octagon-alert", Tone: ui.Bad, Detail: "wakes people"},
				{Value: "error", Label: "Error", Icon: "triangle-alert", Tone: ui.Warn},
				{Value: "info", Label: "Info", Icon: "info", Tone: ui.Info},
			},
			Selected: []ui.Choice{{Value: "critical", Label: "Critical", Icon: "octagon-alert", Tone: ui.Bad}},
		},
		{
			Name: "addresses", Label: "Send mail to", Kind: "member", Source: "/find", Use: "detail", Multiple: true,
			AllowOther: true, Placeholder: "ana@acme.dev", Hint: "Members, or any address of your domain.",
		},
		{Name: "broken", Label: "From a source that fails", Source: "/find-nothing"},
	}}
}

type foundItem struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Icon   string `json:"icon,omitempty"`
	Count  int    `json:"count,omitempty"`
}

type foundGroup struct {
	Kind  string      `json:"kind"`
	Label string      `json:"label"`
	Items []foundItem `json:"items"`
}

// find answers the suggestions of the pickers.
func find(t *testing.T) http.HandlerFunc {
	all := []foundGroup{
		{"zone", "Properties", []foundItem{
			{"z1", "shop.example", "production", "globe", 412},
			{"z2", "checkout.shop.example", "production", "globe", 96},
			{"z3", "staging.shop.example", "staging", "globe", 12},
		}},
		{"member", "Members", []foundItem{
			{"m1", "Ana Lima", "ana@acme.dev", "user", 31},
			{"m2", "Li Wei", "li.wei@acme.dev", "user", 8},
		}},
	}
	return func(w http.ResponseWriter, r *http.Request) {
		text := strings.ToLower(r.FormValue("q"))
		groups := []foundGroup{}
		for _, group := range all {
			if kind := r.FormValue("kind"); kind != "" && kind != group.Kind {
				continue
			}
			kept := foundGroup{Kind: group.Kind, Label: group.Label}
			for _, item := range group.Items {
				if strings.Contains(strings.ToLower(item.Title+" "+item.Detail), text) {
					kept.Items = append(kept.Items, item)
				}
			}
			if len(kept.Items) > 0 {
				groups = append(groups, kept)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		body := map[string][]foundGroup{"groups": groups}
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(fmt.Errorf("find: %w", err))
		}
	}
}
