package app

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/datadog"
	"github.com/belfryhq/belfry/internal/notify/discord"
	"github.com/belfryhq/belfry/internal/notify/email"
	"github.com/belfryhq/belfry/internal/notify/feishu"
	"github.com/belfryhq/belfry/internal/notify/gchat"
	"github.com/belfryhq/belfry/internal/notify/gotify"
	"github.com/belfryhq/belfry/internal/notify/mattermost"
	"github.com/belfryhq/belfry/internal/notify/msteams"
	"github.com/belfryhq/belfry/internal/notify/ntfy"
	"github.com/belfryhq/belfry/internal/notify/opsgenie"
	"github.com/belfryhq/belfry/internal/notify/pagerduty"
	"github.com/belfryhq/belfry/internal/notify/slack"
	"github.com/belfryhq/belfry/internal/notify/splunk"
	"github.com/belfryhq/belfry/internal/notify/webhook"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// newNotify constructs the notifications: types of alerts come from the catalogues, properties and members from the
// accounts.
func (a *App) newNotify(_ context.Context, env feature.Env) (feature.Feature, error) {
	mail, err := email.New(email.Config{URL: a.Config.SMTPURL, From: a.Config.MailFrom, Server: a.Config.ExternalURL})
	if err != nil {
		return feature.Feature{}, err
	}
	client := outbound.New(outbound.Config{Allow: prefixes(a.Config.AllowNetworks)})
	a.Notify, err = notify.New(notify.Config{
		Env:         env,
		Box:         a.box,
		AlertType:   a.alertType,
		AlertTypes:  a.alertTypes,
		Account:     a.Account.ResolveAccount,
		Closed:      a.Account.RefuseClosed,
		Zone:        a.notifyZone,
		Member:      a.Account.IsMember,
		Recipients:  a.recipients,
		Unconfirmed: a.Account.Unconfirmed,
		Changes:     a.changesBefore,
		Live:        a.liveSentence,
		AuditEvents: a.auditEvents,
		Channels:    append(channels(client), mail),
	})
	if err != nil {
		return feature.Feature{}, err
	}
	return a.Notify.Describe(), nil
}

// channels are the formats in which notifications are sent over HTTP.
func channels(client *outbound.Client) []notify.Channel {
	return []notify.Channel{
		webhook.New(client),
		slack.New(client),
		gchat.New(client),
		discord.New(client),
		msteams.New(client),
		mattermost.New(client),
		feishu.New(client),
		pagerduty.New(client),
		opsgenie.New(client),
		datadog.New(client),
		splunk.New(client),
		ntfy.New(client),
		gotify.New(client),
	}
}

// notifyZone finds a property by id, name or alias, as a type of the notifications.
func (a *App) notifyZone(ctx context.Context, accountID, ref string) (notify.Zone, error) {
	z, err := a.Account.FindZone(ctx, accountID, ref)
	return notify.Zone{ID: z.ID, Name: z.Name, Environment: string(z.Environment)}, err
}

// changesBefore lists the changes that preceded an alert, with their sentences.
func (a *App) changesBefore(ctx context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
	incident := audit.Incident{
		Account: q.Account,
		Zone:    q.Zone,
		Product: q.Resource.Product,
		Type:    q.Resource.Type,
		ID:      q.Resource.ID,
		Began:   q.Began,
	}
	found, more, err := a.Audit.Preceding(ctx, incident, q.Limit)
	if err != nil {
		return nil, 0, err
	}
	list := make([]notify.Change, len(found))
	for i, p := range found {
		e := &p.Record.Event
		template, _ := a.sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
		list[i] = notify.Change{
			EventID:   e.ID,
			At:        e.At(),
			Actor:     p.Record.ActorName(),
			Summary:   p.Record.Sentence(template),
			WhyListed: p.Near.String(),
			URL:       account.RecordPath(q.Account) + "/events/" + url.PathEscape(e.ID),
		}
		if p.Set > 1 {
			list[i].Summary += fmt.Sprintf(", one of %d changes at once", p.Set)
		}
		if e.Reason != nil && e.Reason.Text != "" {
			list[i].Summary += " (" + e.Reason.Text + ")"
		}
	}
	return list, more, nil
}

// auditEvents reads the audit log of an account for policies on its events.
func (a *App) auditEvents(
	ctx context.Context, accountID string, from int64, limit int,
) (list []notify.AuditEvent, next int64, err error) {
	reader := a.Audit.Reader()
	size, err := reader.Size(ctx, accountID)
	if err != nil || from < 0 || from >= size {
		return nil, size, err
	}
	records, err := reader.Range(ctx, accountID, from, size, limit)
	if err != nil {
		return nil, from, err
	}
	for _, r := range records {
		e := &r.Event
		template, _ := a.sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
		list = append(list, notify.AuditEvent{
			ID:           e.ID,
			At:           e.At(),
			Action:       e.Action.Type,
			Product:      e.Resource.Product,
			ResourceType: e.Resource.Type,
			Zone:         e.Zone.ID,
			ActorID:      e.Actor.ID,
			Actor:        r.ActorName(),
			Sentence:     r.Sentence(template),
			URL:          account.RecordPath(accountID) + "/events/" + url.PathEscape(e.ID),
		})
	}
	return list, from + int64(len(records)), nil
}

// liveSentence describes the current state of the objective of an alert.
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

// alertTypes lists the declared types, by product and then by name.
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

// mostRecipients limits the members of a role that get a message.
const mostRecipients = 1000

// recipients are the active members behind a member's id or role:ROLE.
func (a *App) recipients(ctx context.Context, accountID, ref string) ([]notify.Recipient, error) {
	role, all := strings.CutPrefix(ref, "role:")
	if !all {
		m, err := a.Account.Member(ctx, accountID, ref)
		if errs.KindOf(err) == errs.NotFound || err == nil && m.Status != "active" {
			return nil, nil
		}
		return []notify.Recipient{{ID: m.ID, Name: cmp.Or(m.Name, m.Email)}}, err
	}
	var found []notify.Recipient
	for after := ""; ; {
		list, err := a.Account.Members(ctx, accountID, after, mostRecipients)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if string(m.Role) == role && m.Status == "active" && len(found) < mostRecipients {
				found = append(found, notify.Recipient{ID: m.ID, Name: cmp.Or(m.Name, m.Email)})
			}
		}
		if len(list) < mostRecipients {
			return found, nil
		}
		after = list[len(list)-1].ID
	}
}
