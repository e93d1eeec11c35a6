package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/notify/email"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
	"github.com/belfryhq/belfry/internal/slo"
)

// newIncident constructs incidents, maintenance and the status page.
func (a *App) newIncident(_ context.Context, env feature.Env) (feature.Feature, error) {
	mail, err := email.New(email.Config{URL: a.Config.SMTPURL, From: a.Config.MailFrom, Server: a.Config.ExternalURL})
	if err != nil {
		return feature.Feature{}, err
	}
	cfg := incident.Config{
		Env:             env,
		Box:             a.box,
		OperatorAccount: account.Installation,
		PageOff:         a.Config.StatusPage == "off",
		Accounts:        a.Notify.AccountsWithPolicy,
		Post:            outbound.New(outbound.Config{Allow: prefixes(a.Config.AllowNetworks)}).Post,
		Correct:         a.correctObjectives,
		Targets:         a.objectiveZones,
		Account:         a.Account.ResolveAccount,
		AccountName:     a.accountName,
	}
	if mail.HasServer() {
		cfg.SendMail = func(ctx context.Context, m incident.Mail) delivery.Result {
			return mail.DeliverNote(ctx, email.Note(m))
		}
	}
	a.Incident, err = incident.New(cfg)
	if err != nil {
		return feature.Feature{}, err
	}
	return a.Incident.Describe(), nil
}

// correctObjectives requests a correction of an objective, or of all objectives of a property.
func (a *App) correctObjectives(ctx context.Context, r incident.CorrectionRequest) (incident.Proposal, error) {
	in := slo.CorrectionCreate{Zone: r.Zone}
	in.Kind = slo.CorrectionKind(r.Kind) // the words are the same
	in.Reason = r.Reason
	in.From = r.From
	in.To = r.To
	if r.Objective != "" {
		in.Objectives = []string{r.Objective}
	}
	c, err := a.SLO.Correct(ctx, r.Account, in)
	if err != nil {
		return incident.Proposal{}, err
	}
	p := incident.Proposal{Target: c.Zone, Correction: c.ID, State: string(c.State)}
	if c.Zone != "" {
		z, err := a.Account.FindZone(ctx, r.Account, c.Zone)
		p.Name = firstOf(z.Name, c.Zone)
		return p, err
	}
	o, err := a.SLO.Objective(ctx, r.Account, r.Objective)
	if err != nil {
		return p, err
	}
	p.Target = o.ID
	p.Name = o.Name
	return p, nil
}

// objectiveZones lists the properties of an account that have objectives.
func (a *App) objectiveZones(ctx context.Context, accountID string) ([]incident.Target, error) {
	list, err := a.SLO.Summaries(ctx, accountID)
	if err != nil {
		return nil, err
	}
	var targets []incident.Target
	seen := map[string]bool{}
	for _, o := range list {
		if seen[o.Zone] {
			continue
		}
		seen[o.Zone] = true
		z, err := a.Account.FindZone(ctx, accountID, o.Zone)
		if err != nil {
			return nil, err
		}
		targets = append(targets, incident.Target{ID: o.Zone, Name: firstOf(z.Name, o.Zone)})
	}
	return targets, nil
}
