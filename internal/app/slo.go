package app

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/slo"
)

// newSLO constructs the objectives.
func (a *App) newSLO(_ context.Context, env feature.Env) (feature.Feature, error) {
	send, err := a.sendMail()
	if err != nil {
		return feature.Feature{}, err
	}
	a.SLO, err = slo.New(slo.Config{
		Env:         env,
		Zone:        a.Account.ResolveZone,
		Changes:     a.zoneChanges,
		Zones:       a.zoneNames,
		Aliases:     a.zoneAliases,
		Member:      a.Account.IsMember,
		AccountName: a.accountName,
		SendMail:    reportMail(send),

		OriginPolicies: a.originPolicies,
	})
	if err != nil {
		return feature.Feature{}, err
	}
	return a.SLO.Describe(), nil
}

// originPolicies lists the policies of origin errors. The notifications are constructed later, so it finds them when it
// is called.
func (a *App) originPolicies(ctx context.Context) ([]slo.OriginPolicy, error) {
	if a.Notify == nil {
		return nil, nil
	}
	policies, err := a.Notify.EnabledPolicies(ctx, slo.OriginErrorAlertType)
	list := make([]slo.OriginPolicy, len(policies))
	for i := range policies {
		p := &policies[i]
		list[i] = slo.OriginPolicy{Account: p.Account(), Zones: p.Filters["zones"]}
		if targets := p.Filters["slo"]; len(targets) == 1 {
			list[i].Target = targets[0]
		}
	}
	return list, err
}

// reportMail sends the mails of the objectives as the accounts send theirs; nil without a mail server.
func reportMail(send func(context.Context, account.Mail) error) func(context.Context, slo.Mail) error {
	if send == nil {
		return nil
	}
	return func(ctx context.Context, m slo.Mail) error {
		return send(ctx, account.Mail{ID: m.ID, To: m.To, Subject: m.Subject, Text: m.Text})
	}
}

// zoneNames lists the properties that the form of an objective offers.
func (a *App) zoneNames(ctx context.Context, accountID string) ([]slo.ZoneName, error) {
	zones, err := a.Account.Zones(ctx, accountID, "", 200)
	var list []slo.ZoneName
	for _, z := range zones {
		list = append(list, slo.ZoneName{ID: z.ID, Name: z.Name})
	}
	return list, err
}

// zoneAliases lists the hostnames and origins of a property, which the form suggests.
func (a *App) zoneAliases(ctx context.Context, accountID, zoneID string) ([]string, error) {
	z, err := a.Account.FindZone(ctx, accountID, zoneID)
	return z.Aliases, err
}

// zoneChanges lists the newest changes of a property, as marks on a chart. Views are left out, and a change set counts
// once.
func (a *App) zoneChanges(ctx context.Context, q slo.ChangesQuery) ([]slo.Change, error) {
	// A chart does not wait longer for the audit log.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sets := map[string]bool{}
	query := ledger.Query{
		Since:   q.Since.UnixMicro(),
		Before:  q.Until.UnixMicro(),
		Filters: []record.Filter{{Field: "zone", Values: []string{q.Zone}}},
	}
	found, err := a.Audit.Reader().Browse(ctx, q.Account, query, q.Limit, func(r *record.Record) bool {
		e := &r.Event
		_, view := a.sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
		again := e.ChangeSet != "" && sets[e.ChangeSet]
		sets[e.ChangeSet] = true
		return !view && !again && audit.RelevantToTraffic(r)
	})
	if err != nil {
		return nil, err
	}
	var list []slo.Change
	for _, r := range found.Records {
		e := &r.Event
		at, err := time.Parse(time.RFC3339Nano, e.OccurredAt)
		if err != nil {
			continue // never: an event is accepted with a valid time only
		}
		template, _ := a.sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
		list = append(list, slo.Change{
			At:    at,
			Label: r.Sentence(template),
			Href:  account.RecordPath(q.Account) + "?event=" + e.ID,
		})
	}
	slices.Reverse(list)
	return list, nil
}
