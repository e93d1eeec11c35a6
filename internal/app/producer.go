package app

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/producer"
)

// newProducer constructs the product teams and their catalogues.
func (a *App) newProducer(_ context.Context, env feature.Env) (feature.Feature, error) {
	var err error
	a.Producer, err = producer.New(producer.Config{Env: env, OperatorAccount: account.Installation})
	if err != nil {
		return feature.Feature{}, err
	}
	return a.Producer.Describe(), nil
}

// rules are what the audit log asks of the catalogue, for one resource type.
func (a *App) rules(ctx context.Context, product, resourceType string) (*audit.Rules, error) {
	p, err := a.Producer.Lookup(ctx, product)
	if err != nil || p == nil {
		return nil, err
	}
	personal, secret := p.Protected(resourceType)
	return &audit.Rules{
		Producer: p.Team, Category: p.Category, Personal: personal, Secret: secret,
		Check: func(e *audit.Event, afford func(steps int) bool) errs.List {
			return p.Check(e.Resource.Type, e.Action.Type, e.Before, e.After, e.Metadata, afford)
		},
	}, nil
}

// sentence gives the catalogue's words for an action.
func (a *App) sentence(productName, resourceType, action, result string) (template string, view bool) {
	p, err := a.Producer.Lookup(context.Background(), productName) // from memory
	if err != nil || p == nil {
		return "", false
	}
	template, saysFailure := p.Sentence(resourceType, action, result)
	if template != "" && result == "failure" && !saysFailure {
		template += " (failed)"
	}
	declared, _ := p.Action(resourceType, action)
	return template, declared.View
}

// productCategories groups the declared products.
func (a *App) productCategories(ctx context.Context) ([]audit.ProductCategory, error) {
	products, err := a.Producer.Products(ctx)
	if err != nil {
		return nil, err
	}
	list := []audit.ProductCategory{}
	at := map[string]int{}
	for _, p := range products {
		value := strings.ToLower(strings.ReplaceAll(p.Category, " ", "_"))
		i, ok := at[value]
		if !ok {
			i = len(list)
			at[value] = i
			list = append(list, audit.ProductCategory{Value: value, Label: p.Category})
		}
		list[i].Products = append(list[i].Products, audit.ProductName{Value: p.Name, Label: p.Title})
	}
	return list, nil
}
