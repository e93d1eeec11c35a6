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
	export := exported(op("export-producer-rejects", "/export", "Export a team's refused events"))
	web.Get(a, export, func(ctx context.Context, in *teamRejectsExport) (web.Stream, error) {
		if err := f.reachTeam(ctx, in.ProducerID); err != nil {
			return web.Stream{}, err
		}
		return f.exportRejects(Rejects{Team: in.ProducerID}, in.RejectParams), nil
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
	export := exported(op("export-account-rejects", "/export", "Export an account's refused events"))
	web.Get(a, export, func(ctx context.Context, in *RejectParams) (web.Stream, error) {
		return f.exportRejects(Rejects{Account: web.Account(ctx).ID}, *in), nil
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
	export := exported(op("export-unassigned-rejects", "/export", "Export refused events without a valid account"))
	web.Get(a, export, func(ctx context.Context, in *RejectParams) (web.Stream, error) {
		return f.exportRejects(Rejects{}, *in), nil
	})
}

// exported completes the operation of an export.
func exported(op web.Op) web.Op {
	op.Description = "One refused event a line, the newest first; personal values in payloads are masked."
	op.Stream = true
	op.Content = ndjson
	return op
}

const ndjson = "application/x-ndjson"

// RejectParams are the filters of lists and exports of refused events.
type RejectParams struct {
	Code        []int    `query:"code,explode" maxItems:"50" doc:"Of the first fault"`
	CodeNot     []int    `query:"code.not,explode" maxItems:"50"`
	Pointer     []string `query:"pointer,explode" maxItems:"50" doc:"The field of the first fault; * stands for any place in a list"`
	PointerNot  []string `query:"pointer.not,explode" maxItems:"50"`
	Product     []string `query:"product,explode" maxItems:"50"`
	ProductNot  []string `query:"product.not,explode" maxItems:"50"`
	Producer    []string `query:"producer,explode" maxItems:"50" doc:"Id of the team of the product"`
	ProducerNot []string `query:"producer.not,explode" maxItems:"50"`
	Since       web.Time `query:"since" doc:"Refused at or after this time"`
	Before      web.Time `query:"before" doc:"Refused before this time"`
}

func (p RejectParams) filter() RejectFilter {
	return RejectFilter{
		Codes:       p.Code,
		NotCodes:    p.CodeNot,
		Pointers:    p.Pointer,
		NotPointers: p.PointerNot,
		Products:    p.Product,
		NotProducts: p.ProductNot,
		Teams:       p.Producer,
		NotTeams:    p.ProducerNot,
		Since:       p.Since.Time,
		Before:      p.Before.Time,
	}
}

// RejectsInput are the parameters of a list of refused events.
type RejectsInput struct {
	web.Paging
	RejectParams
}

type teamRejectsInput struct {
	TeamInput
	RejectsInput
}

type teamRejectsExport struct {
	TeamInput
	RejectParams
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
	items, next, err := f.ListRejects(ctx, of, in.filter(), from, in.Limit)
	if err != nil {
		return web.Page[Reject]{}, err
	}
	p := web.Page[Reject]{Items: items}
	if next != nil {
		p.Cursor = c.Encode(name, *next)
	}
	return p, nil
}

// exportAtOnce is how many refused events an export reads at once.
const exportAtOnce = 500

// exportRejects answers with the refused events that a filter selects.
func (f *Feature) exportRejects(of Rejects, in RejectParams) web.Stream {
	s := web.Stream{ContentType: ndjson, Filename: "rejected-events.ndjson"}
	s.Write = func(ctx context.Context, w *web.StreamWriter) error {
		next := &RejectPlace{}
		for next != nil {
			var list []Reject
			var err error
			if list, next, err = f.ListRejects(ctx, of, in.filter(), *next, exportAtOnce); err != nil {
				return err
			}
			for _, one := range list {
				if err := w.JSON(one); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return s
}
