package app

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/email"
	"github.com/belfryhq/belfry/internal/notify/webhook"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// openNotify wires the notifications: types of alerts come from the
// catalogues, properties and members from the accounts.
func (a *App) openNotify(context.Context) (err error) {
	relay, err := bus.NewRelay(a.dbs.notify, a.deliver, bus.RelayOptions{Name: "notify", Log: a.Log, Registerer: a.Registry})
	if err != nil {
		return err
	}
	a.relays = append(a.relays, stagedRelay{"notify relay", relay})
	mail, err := email.New(email.Config{URL: a.Config.SMTPURL, From: a.Config.MailFrom, Server: a.Config.ExternalURL})
	if err != nil {
		return err
	}
	a.Notify, err = notify.New(notify.Deps{
		DB: a.dbs.notify, Box: a.box, Record: enqueueSelf, Wake: relay.Notify,
		AlertType: a.alertType, AlertTypes: a.alertTypes,
		Account: a.Account.ResolveAccount,
		Zone: func(ctx context.Context, accountID, ref string) (notify.Zone, error) {
			z, err := a.Account.FindZone(ctx, accountID, ref)
			return notify.Zone{ID: z.ID, Name: z.Name, Environment: string(z.Environment)}, err
		},
		Member: a.Account.IsMember, Unconfirmed: a.Account.Unconfirmed,
		Changes:  a.changesBefore,
		Live:     a.liveSentence,
		Channels: []notify.Channel{webhook.New(webhook.Config{Allow: prefixes(a.Config.AllowNetworks)}), mail},
		Cursors:  a.API.Cursors(), URL: a.URL(), Log: a.Log, Registerer: a.Registry,
	})
	if err != nil {
		return err
	}
	a.Notify.Register(a.API)
	a.Notify.RegisterJobs(a.API, a.jobs)
	if !a.Config.Has("notify") {
		return nil
	}
	consumer, err := a.Notify.Consumer(a.cluster)
	if err != nil {
		return err
	}
	a.consume("alerts consumer", consumer)
	return nil
}

// changesBefore are the changes that preceded an alert, in the words of the
// record.
func (a *App) changesBefore(ctx context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
	found, more, err := a.Audit.Preceding(ctx, audit.Trouble{Account: q.Account, Zone: q.Zone,
		Product: q.Resource.Product, Type: q.Resource.Type, ID: q.Resource.ID, Began: q.Began}, q.Limit)
	if err != nil {
		return nil, 0, err
	}
	list := make([]notify.Change, len(found))
	for i, p := range found {
		e := &p.Record.Event
		template, _ := a.sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
		list[i] = notify.Change{EventID: e.ID, At: e.At(), Actor: p.Record.ActorName(), Summary: p.Record.Sentence(template), WhyListed: p.Near.String(),
			URL: account.RecordPath(q.Account) + "/events/" + url.PathEscape(e.ID)}
		if p.Set > 1 {
			list[i].Summary += fmt.Sprintf(", one of %d changes at once", p.Set)
		}
		if e.Reason != nil && e.Reason.Text != "" {
			list[i].Summary += " (" + e.Reason.Text + ")"
		}
	}
	return list, more, nil
}

// liveSentence is how the objective of an alert is doing at present.
func (a *App) liveSentence(ctx context.Context, accountID string, about event.AlertResource) (string, error) {
	if about.Product != event.Product || about.Type != "objective" {
		return "", nil
	}
	_, status, err := a.SLO.Status(ctx, accountID, about.ID)
	if errs.KindOf(err) == errs.NotFound {
		return "", nil
	}
	return status.Sentence, err
}

func (a *App) alertType(ctx context.Context, name string) (*notify.AlertType, error) {
	p, err := a.Producer.Owner(ctx, "alert_type", name)
	if err != nil || p == nil {
		return nil, err
	}
	return catalogue.Compiled[*notify.AlertTypes](p).Find(name), nil
}

// alertTypes are the declared types, by product and then by name.
func (a *App) alertTypes(ctx context.Context) ([]*notify.AlertType, error) {
	products, err := a.Producer.Products(ctx)
	if err != nil {
		return nil, err
	}
	var types []*notify.AlertType
	for _, p := range products {
		types = append(types, catalogue.Compiled[*notify.AlertTypes](p).List...)
	}
	slices.SortFunc(types, func(a, b *notify.AlertType) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Type, b.Type))
	})
	return types, nil
}
