package app

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/producer"
)

// openProducer wires the product teams and their catalogues.
func (a *App) openProducer(context.Context) (err error) {
	relay, err := bus.NewRelay(a.dbs.producer, a.deliver, bus.RelayOptions{Name: "producer", Log: a.Log, Registerer: a.Registry})
	if err != nil {
		return err
	}
	a.relays = append(a.relays, stagedRelay{"producer relay", relay})
	a.Producer, err = producer.New(producer.Config{OperatorAccount: account.Installation}, producer.Deps{
		DB: a.dbs.producer, Sections: CatalogueSections(), Record: enqueueSelf, Wake: relay.Notify,
		Log: a.Log, Registerer: a.Registry,
	})
	if err != nil {
		return err
	}
	a.Producer.API(a.API)
	if !a.Config.Has("producer") {
		return nil
	}
	consumer, err := a.Producer.Consumer(a.cluster)
	if err != nil {
		return err
	}
	a.consume("rejects consumer", consumer)
	return nil
}

// enqueueSelf writes Belfry's own audit events to the outbox of a feature.
func enqueueSelf(ctx context.Context, tx *db.Tx, events ...event.Audit) error {
	msgs := make([]bus.Message, len(events))
	for i, e := range events {
		value, err := encode(e)
		if err != nil {
			return err
		}
		msgs[i] = bus.Message{Topic: event.TopicAuditSelf, Key: []byte(e.Account), Value: value}
	}
	return bus.Enqueue(ctx, tx, msgs...)
}

// rules are what the audit log asks of the catalogue, for one resource type.
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

// personal are the fields of a resource type that any version of any catalogue
// declared personal, also when no team declares the product any more.
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

// sentence gives the catalogue's words for an action.
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
