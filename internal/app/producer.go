package app

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/producer"
)

// newProducer constructs the product teams and their catalogues.
func (a *App) newProducer(_ context.Context, env feature.Env) (feature.Feature, error) {
	var err error
	a.Producer, err = producer.New(producer.Config{
		Env:             env,
		OperatorAccount: account.Installation,
		Sections:        CatalogueSections(),
		Pages: producer.PageDeps{
			AccountName: a.accountName,
			TokenName:   a.tokenName,
			EventDays:   a.eventDays,
		},
	})
	if err != nil {
		return feature.Feature{}, err
	}
	return a.Producer.Describe(), nil
}

// eventDays counts the recorded events of all accounts by product and day.
func (a *App) eventDays(ctx context.Context) ([]producer.EventDay, error) {
	days, err := a.Audit.ProductDays(ctx)
	list := make([]producer.EventDay, len(days))
	for i, d := range days {
		list[i] = producer.EventDay(d)
	}
	return list, err
}

// rules returns the catalogue's rules for one resource type, as a type of the audit log.
func (a *App) rules(ctx context.Context, product, resourceType string) (*audit.Rules, error) {
	p, err := a.Producer.Lookup(ctx, product)
	if err != nil || p == nil {
		return nil, err
	}
	declared := catalogue.Compiled[*audit.Declared](p)
	personal, secret := declared.Protected(resourceType)
	return &audit.Rules{
		Producer: p.Team,
		Category: p.Category,
		Personal: personal,
		Secret:   secret,
		Check:    declared.Check,
	}, nil
}

// personal returns the fields of a resource type that any version of any catalogue
// has declared personal, even if no team declares the product any more.
func (a *App) personal(ctx context.Context, product, resourceType string) (event.Fields, error) {
	p, err := a.Producer.Lookup(ctx, product)
	if err != nil {
		return event.Fields{}, err
	}
	if p != nil {
		personal, _ := catalogue.Compiled[*audit.Declared](p).Protected(resourceType)
		return personal, nil
	}
	entries, err := a.Producer.Lasting(ctx, product, resourceType)
	return event.ParseFields(entries), err
}

// sentence returns the catalogue's sentence for an action.
func (a *App) sentence(productName, resourceType, action, result string) (template string, view bool) {
	p, err := a.Producer.Lookup(context.Background(), productName) // from memory
	if err != nil || p == nil {
		return "", false
	}
	known := catalogue.Compiled[*audit.Declared](p)
	template, saysFailure := known.Sentence(resourceType, action, result)
	if template != "" && result == "failure" && !saysFailure {
		template += " (failed)"
	}
	declared, _ := known.Action(resourceType, action)
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
