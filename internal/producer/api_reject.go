package producer

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// rejectAPI: refused events go back to who sent them.
func (f *Feature) rejectAPI(a *web.API) {
	c := a.Cursors()
	team := func(path, summary string) web.Op {
		return web.Op{Path: "/producers/{producer_id}/rejects" + path, Tag: tag, Scope: web.ScopeProducer, Permission: "catalog:write", Summary: summary}
	}
	web.Get(a, team("", "List a product team's refused events"), func(ctx context.Context, in *teamRejectsInput) (web.Page[Reject], error) {
		if err := f.reachTeam(ctx, in.ProducerID); err != nil {
			return web.Page[Reject]{}, err
		}
		return f.listRejects(ctx, c, Rejects{Team: in.ProducerID}, in.RejectsInput)
	})
	web.Get(a, team("/summary", "Count a product team's refused events"), func(ctx context.Context, in *TeamInput) (RejectSummary, error) {
		if err := f.reachTeam(ctx, in.ProducerID); err != nil {
			return RejectSummary{}, err
		}
		return f.SummariseRejects(ctx, Rejects{Team: in.ProducerID})
	})
	account := func(path, summary string) web.Op {
		return web.Op{Path: "/accounts/{account_id}/audit/rejects" + path, Tag: tag, Permission: "audit:read", Summary: summary}
	}
	web.Get(a, account("", "List an account's refused events"), func(ctx context.Context, in *RejectsInput) (web.Page[Reject], error) {
		return f.listRejects(ctx, c, Rejects{Account: web.Account(ctx).ID}, *in)
	})
	web.Get(a, account("/summary", "Count an account's refused events"), func(ctx context.Context, _ *struct{}) (RejectSummary, error) {
		return f.SummariseRejects(ctx, Rejects{Account: web.Account(ctx).ID})
	})
	operators := func(path, summary string) web.Op {
		return web.Op{Path: "/audit/rejects" + path, Tag: tag, Scope: web.ScopeInstallation, Permission: "audit:read", Summary: summary}
	}
	web.Get(a, operators("", "List refused events without a valid account"), func(ctx context.Context, in *RejectsInput) (web.Page[Reject], error) {
		return f.listRejects(ctx, c, Rejects{}, *in)
	})
	web.Get(a, operators("/summary", "Count refused events without a valid account"), func(ctx context.Context, _ *struct{}) (RejectSummary, error) {
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

// reachTeam: operators are told of a team that is not there.
func (f *Feature) reachTeam(ctx context.Context, teamID string) error {
	if err := own(ctx, teamID); err != nil {
		return err
	}
	_, err := f.Team(ctx, teamID)
	return err
}

func (f *Feature) listRejects(ctx context.Context, c *web.Cursors, of Rejects, in RejectsInput) (web.Page[Reject], error) {
	name := fmt.Sprintf("rejects %s %s", of.key().scope, of.key().owner)
	var from RejectPlace
	if in.Cursor != "" {
		if err := c.Decode(name, in.Cursor, &from); err != nil {
			return web.Page[Reject]{}, err
		}
	}
	items, next, err := f.ListRejects(ctx, of, RejectFilter{in.Code, in.Product}, from, in.Limit)
	if err != nil {
		return web.Page[Reject]{}, err
	}
	p := web.Page[Reject]{Items: items}
	if next != nil {
		p.Cursor = c.Encode(name, *next)
	}
	return p, nil
}
