package audit

import (
	"context"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// glossary reads what the menus offer. It is a convenience: when the roll-ups
// do not answer at once, the page does without.
func (p *pages) glossary(v visit) (glossary, []filterMenu) {
	var known glossary
	var menus []filterMenu
	for _, g := range []struct {
		group, key, label, icon string
		to                      *[]string
	}{
		{"product", "resource_product", "Product", "package", &known.products},
		{"action", "action_type", "Action", "zap", &known.actions},
	} {
		menu := filterMenu{Label: g.label, Icon: g.icon}
		answered := queryWithin(v.Context(), 300*time.Millisecond, func(ctx context.Context) error {
			counts, err := p.reader.Summary(ctx, v.Account, g.group, 0, v.now.Add(record.MaxAhead).UnixMicro())
			for i, c := range counts {
				*g.to = append(*g.to, c.Key)
				if i < 12 {
					n, _ := ui.Compact(c.Count) // an integer is a number
					menu.Items = append(menu.Items, ui.Link{
						Label:   c.Key,
						Hint:    n,
						Href:    ui.Filtered(v.Request.URL, g.key, c.Key, false),
						Current: hasParameter(v.Request.URL, g.key, c.Key),
					})
				}
			}
			return err
		})
		known.answered = answered
		if len(menu.Items) > 1 {
			menus = append(menus, menu)
		}
	}
	only := func(label, icon, key, value string) ui.Link {
		return ui.Link{
			Label:   label,
			Icon:    icon,
			Href:    ui.Filtered(v.Request.URL, key, value, false),
			Current: hasParameter(v.Request.URL, key, value),
		}
	}
	return known, append(menus, filterMenu{Label: "Filter by source", Icon: "list-filter", Items: []ui.Link{
		only("Failures", "circle-x", "action_result", "failure"),
		only("API tokens", "key", "actor_type", "token"),
		only("Integrations", "plug", "actor_type", "integration"),
		only("Staff of the operator", "shield", "actor_type", "staff"),
		only("The system itself", "settings", "actor_type", "system"),
		only("Through web pages", "layout-dashboard", "interface", "UI"),
		only("Through the API", "code", "interface", "API"),
		only("From a terminal", "square-terminal", "interface", "CLI"),
	}})
}

func hasParameter(u *url.URL, key, value string) bool {
	for _, v := range u.Query()[key] {
		if v == value {
			return true
		}
	}
	return false
}
