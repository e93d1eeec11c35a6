package incident

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// maxTargets bounds the properties and objectives of one request.
const maxTargets = 50

// CorrectionsCreate is the body that requests corrections because of an incident.
type CorrectionsCreate struct {
	Account    string   `json:"account_id" minLength:"1" maxLength:"128" doc:"Id, or ext: and the external id"`
	Zones      []string `json:"zones,omitempty" maxItems:"50" doc:"Properties, by id, name or alias: all of their objectives"`
	Objectives []string `json:"objectives,omitempty" maxItems:"50" doc:"Ids of objectives"`
	All        bool     `json:"all,omitempty" doc:"All properties of the account that have objectives, at most 50, in place of a list"`
	From       web.Time `json:"from,omitzero" doc:"The start of the incident when left out"`
	To         web.Time `json:"to,omitzero" doc:"The end of the incident, or now, when left out"`
	Reason     string   `json:"reason,omitempty" maxLength:"500" doc:"The name of the incident when left out"`
}

// CorrectionRequest is one correction, of the objectives of a property or of one objective.
type CorrectionRequest struct {
	Account   string
	Zone      string // id, name or alias; "" = Objective
	Objective string // id
	Kind      Kind
	Reason    string
	From, To  web.Time
}

// Proposal is a correction that was requested because of an incident.
type Proposal struct {
	Account    string   `json:"account_id"`
	Target     string   `json:"target" doc:"Id of the property or objective"`
	Name       string   `json:"name"`
	Correction string   `json:"correction_id,omitempty"`
	State      string   `json:"status" enum:"active,pending,refused,known" doc:"pending: a member of the account approves it; refused: see message; known: it was requested before"`
	Message    string   `json:"message,omitempty"`
	CreatedOn  web.Time `json:"created_at,omitzero"`
}

// Target is a property that has objectives.
type Target struct{ ID, Name string }

// RequestCorrections leaves the time of an incident out of the budgets of an account's objectives. Each target is
// corrected by itself: the result says which were refused. A target that was requested before is not requested again.
func (f *Feature) RequestCorrections(
	ctx context.Context, incidentID string, in CorrectionsCreate,
) ([]Proposal, error) {
	i, err := f.Incident(ctx, incidentID)
	if err != nil {
		return nil, err
	}
	if f.cfg.Correct == nil || f.cfg.Account == nil {
		return nil, errs.New(errs.CodeStateConflict, "this installation has no objectives")
	}
	accountID, err := f.cfg.Account(ctx, strings.TrimSpace(in.Account))
	if err != nil {
		return nil, errs.At(errs.CodeInvalid, "/account_id", "there is no such account")
	}
	requests, err := f.requestsOf(ctx, i, accountID, in)
	if err != nil {
		return nil, err
	}
	known := map[string]Proposal{}
	before, err := f.Proposals(ctx, incidentID)
	if err != nil {
		return nil, err
	}
	for _, p := range before {
		known[p.Account+" "+p.Target] = p
		known[p.Account+" "+p.Name] = p
	}
	list := make([]Proposal, 0, len(requests))
	for _, r := range requests {
		target := r.Zone + r.Objective
		if p, ok := known[accountID+" "+target]; ok {
			p.State = "known"
			list = append(list, p)
			continue
		}
		p, err := f.correct(ctx, i, r)
		if err != nil {
			return list, err
		}
		list = append(list, p)
	}
	return list, nil
}

// requestsOf are the single corrections of a request.
func (f *Feature) requestsOf(
	ctx context.Context, i *Incident, accountID string, in CorrectionsCreate,
) ([]CorrectionRequest, error) {
	zones := in.Zones
	if in.All {
		zones = nil
		if len(in.Zones)+len(in.Objectives) > 0 {
			return nil, errs.At(errs.CodeInvalid, "/all", "name the targets, or set all, not both")
		}
		if f.cfg.Targets != nil {
			targets, err := f.cfg.Targets(ctx, accountID)
			if err != nil {
				return nil, err
			}
			for _, t := range targets {
				zones = append(zones, t.ID)
			}
		}
	}
	switch n := len(zones) + len(in.Objectives); {
	case n == 0:
		return nil, errs.At(errs.CodeMissingField, "/zones", "name at least one property or objective of the account")
	case n > maxTargets:
		return nil, errs.At(errs.CodeTooLarge, "/zones", "expected at most %d properties and objectives", maxTargets)
	}
	one := CorrectionRequest{
		Account: accountID,
		Kind:    i.Kind,
		Reason:  strings.TrimSpace(in.Reason),
		From:    in.From,
		To:      in.To,
	}
	if one.From.IsZero() {
		one.From = i.StartedOn
	}
	if one.To.IsZero() {
		one.To = web.TimeOf(f.now().UnixMicro())
		if !i.Open() {
			one.To = i.ResolvedOn
		} else if i.Kind == KindMaintenance {
			one.To = i.ScheduledUntil
		}
	}
	if one.Reason == "" {
		one.Reason = i.Name
	}
	var list []CorrectionRequest
	for _, zone := range zones {
		one.Zone = zone
		list = append(list, one)
	}
	one.Zone = ""
	for _, objective := range in.Objectives {
		one.Objective = objective
		list = append(list, one)
	}
	return list, nil
}

// correct requests one correction and stores that it was requested. A refusal of the objectives is part of the result.
func (f *Feature) correct(ctx context.Context, i *Incident, r CorrectionRequest) (Proposal, error) {
	p, err := f.cfg.Correct(ctx, r)
	if kind := errs.KindOf(err); err != nil && (kind == errs.Internal || kind == errs.Unavailable) {
		return p, err
	}
	if err != nil {
		target := r.Zone + r.Objective
		return Proposal{Account: r.Account, Target: target, Name: target, State: "refused", Message: err.Error()}, nil
	}
	now := f.now().UnixMicro()
	p.Account = r.Account
	p.CreatedOn = web.TimeOf(now)
	err = f.cfg.Change(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO proposal
			(incident_id, account_id, target, name, correction_id, state, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (incident_id, account_id, target) DO NOTHING`,
			i.ID, p.Account, p.Target, p.Name, p.Correction, p.State, now)
		if err != nil {
			return err
		}
		requested := event.NewAudit(f.cfg.OperatorAccount, "correct_objectives", "incident", i.ID, i.Name)
		return f.cfg.Record(ctx, tx, requested.Changed(nil, p))
	})
	return p, err
}

// Proposals lists the corrections that were requested because of an incident, at most 500, the newest first.
func (f *Feature) Proposals(ctx context.Context, incidentID string) (list []Proposal, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, func(row db.Row) (p Proposal, err error) {
			var created int64
			err = row.Scan(&p.Account, &p.Target, &p.Name, &p.Correction, &p.State, &created)
			p.CreatedOn = timeOf(created)
			return p, err
		}, `SELECT account_id, target, name, correction_id, state, created_at FROM proposal WHERE incident_id = $1
			ORDER BY created_at DESC, target LIMIT 500`, incidentID)
		return err
	})
	return list, err
}
