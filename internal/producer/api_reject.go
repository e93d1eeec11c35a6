package producer

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// rejectAPI registers the lists and counts of refused events: for the team that
// sent them, for the account and, without a valid account, for the operators.
func (f *Feature) rejectAPI(a *web.API) {
	f.teamRejectAPI(a)
	f.accountRejectAPI(a)
	f.operatorRejectAPI(a)
}

func (f *Feature) teamRejectAPI(a *web.API) {
	op := func(id, path, summary string) web.Op {
		return web.Op{
			ID:         id,
			Path:       "/producers/{producer_id}/rejects" + path,
			Tag:        tag,
			Scope:      web.ScopeProducer,
			Permission: account.CatalogWrite,
			Summary:    summary,
		}
	}
	cursors := a.Cursors()
	list := op("list-producer-rejects", "", "List a team's refused events")
	web.Get(a, list, func(ctx context.Context, in *teamRejectsInput) (web.Page[Reject], error) {
		if err := f.reachTeam(ctx, in.ProducerID); err != nil {
			return web.Page[Reject]{}, err
		}
		return f.listRejects(ctx, cursors, Rejects{Team: in.ProducerID}, in.RejectsInput)
	})
	summary := op("get-producer-rejects-summary", "/summary", "Count a team's refused events")
	web.Get(a, summary, func(ctx context.Context, in *TeamInput) (RejectSummary, error) {
		if err := f.reachTeam(ctx, in.ProducerID); err != nil {
			return RejectSummary{}, err
		}
		return f.SummariseRejects(ctx, Rejects{Team: in.ProducerID})
	})
}

func (f *Feature) accountRejectAPI(a *web.API) {
	op := func(id, path, summary string) web.Op {
		return web.Op{
			ID:         id,
			Path:       "/accounts/{account_id}/audit/rejects" + path,
			Tag:        tag,
			Permission: account.AuditRead,
			Summary:    summary,
		}
	}
	cursors := a.Cursors()
	list := op("list-account-rejects", "", "List an account's refused events")
	web.Get(a, list, func(ctx context.Context, in *RejectsInput) (web.Page[Reject], error) {
		return f.listRejects(ctx, cursors, Rejects{Account: web.Account(ctx).ID}, *in)
	})
	summary := op("get-account-rejects-summary", "/summary", "Count an account's refused events")
	web.Get(a, summary, func(ctx context.Context, _ *struct{}) (RejectSummary, error) {
		return f.SummariseRejects(ctx, Rejects{Account: web.Account(ctx).ID})
	})
}

func (f *Feature) operatorRejectAPI(a *web.API) {
	op := func(id, path, summary string) web.Op {
		return web.Op{
			ID:         id,
			Path:       "/audit/rejects" + path,
			Tag:        tag,
			Scope:      web.ScopeInstallation,
			Permission: account.AuditRead,
			Summary:    summary,
		}
	}
	cursors := a.Cursors()
	list := op("list-unassigned-rejects", "", "List refused events without a valid account")
	web.Get(a, list, func(ctx context.Context, in *RejectsInput) (web.Page[Reject], error) {
		return f.listRejects(ctx, cursors, Rejects{}, *in)
	})
	summary := op("get-unassigned-rejects-summary", "/summary", "Count refused events without a valid account")
	web.Get(a, summary, func(ctx context.Context, _ *struct{}) (RejectSummary, error) {
		return f.SummariseRejects(ctx, Rejects{})
	})
}

// RejectsInput are the parameters of a list of refused events.
type RejectsInput struct {
	web.Paging
	Code    int    `query:"code" doc:"Of the first fault."`
	Product string `query:"product" maxLength:"128"`
}

type teamRejectsInput struct {
	TeamInput
	RejectsInput
}

// reachTeam admits the team itself and operators; operators learn that a team
// does not exist.
func (f *Feature) reachTeam(ctx context.Context, teamID string) error {
	if err := mayReach(ctx, teamID); err != nil {
		return err
	}
	_, err := f.Team(ctx, teamID)
	return err
}

func (f *Feature) listRejects(
	ctx context.Context, c *web.Cursors, of Rejects, in RejectsInput,
) (web.Page[Reject], error) {
	name := fmt.Sprintf("rejects %s %s", of.key().scope, of.key().owner)
	var from RejectPlace
	if in.Cursor != "" {
		if err := c.Decode(name, in.Cursor, &from); err != nil {
			return web.Page[Reject]{}, err
		}
	}
	filter := RejectFilter{Code: in.Code, Product: in.Product}
	items, next, err := f.ListRejects(ctx, of, filter, from, in.Limit)
	if err != nil {
		return web.Page[Reject]{}, err
	}
	p := web.Page[Reject]{Items: items}
	if next != nil {
		p.Cursor = c.Encode(name, *next)
	}
	return p, nil
}
