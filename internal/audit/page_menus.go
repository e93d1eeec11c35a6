package audit

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// glossary reads the names of products and actions that a search may mean. It is a convenience: when the roll-ups do
// not answer at once, the page does without.
func (p *pages) glossary(v visit) glossary {
	var known glossary
	for _, g := range []struct {
		group string
		to    *[]string
	}{{"product", &known.products}, {"action", &known.actions}} {
		known.answered = queryWithin(v.Context(), 300*time.Millisecond, func(ctx context.Context) error {
			counts, err := p.reader.Summary(ctx, v.Account, g.group, 0, v.now.Add(record.MaxAhead).UnixMicro())
			for _, c := range counts {
				*g.to = append(*g.to, c.Key)
			}
			return err
		})
	}
	return known
}

// suggested are the kinds of object that the account's search suggests for a filter.
var suggested = map[string]string{
	"actor_id":         "actor",
	"resource_id":      "resource",
	"zone":             "zone",
	"resource_product": "product",
	"action_type":      "action",
}

// offered are the values of the filters that have few.
var offered = map[string][]ui.Choice{
	"action_result": {
		{Value: "success", Label: "success", Icon: "circle-check"},
		{Value: "failure", Label: "failure", Icon: "circle-x"},
	},
	"actor_type": {
		{Value: "user", Label: "people", Icon: "user"},
		{Value: "token", Label: "API tokens", Icon: "key"},
		{Value: "integration", Label: "integrations", Icon: "plug"},
		{Value: "staff", Label: "staff of the operator", Icon: "shield"},
		{Value: "system", Label: "the system itself", Icon: "settings"},
	},
	"interface": {
		{Value: "UI", Label: "web pages", Icon: "layout-dashboard"},
		{Value: "API", Label: "the API", Icon: "code"},
		{Value: "CLI", Label: "a terminal", Icon: "square-terminal"},
		{Value: "SYSTEM", Label: "the system", Icon: "settings"},
	},
}

// filterKeys are the filters of the explorer. The menu offers those that a reader knows by a name; the others are
// shown as chips.
func filterKeys(accountID string) []ui.FilterKey {
	keys := make([]ui.FilterKey, len(chipKeys))
	for i, k := range chipKeys {
		switch {
		case suggested[k.Key] != "":
			k.Kind = suggested[k.Key]
			k.Source = account.AccountPath(accountID) + "/find"
		case offered[k.Key] != nil:
			k.Options = offered[k.Key]
			k.Only = true
		default:
			k.Hidden = true
		}
		keys[i] = k
	}
	return keys
}
