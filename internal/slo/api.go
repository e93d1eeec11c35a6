package slo

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type objectiveBody struct {
	Name   string  `json:"name" minLength:"1" maxLength:"400" doc:"What people call it: checkout"`
	Match  Match   `json:"match" doc:"Which requests it judges: a zone, and of it at most one origin, hostname or path class"`
	SLI    string  `json:"sli,omitempty" maxLength:"64" doc:"Another good/total ratio than availability"`
	Target float64 `json:"target" doc:"Percent that must be good, 50 to 99.999"`
	Window string  `json:"window,omitempty" doc:"28d (when left out), 30d or month"`
	Pairs  any     `json:"pairs,omitempty" doc:"\"standard\" (when left out), \"standard+2x\", or a list of {long, short, factor, severity: page|ticket}; windows are 5m, 30m, 1h, 2h, 6h, 1d, 3d"`
	Guard  Guard   `json:"guard,omitempty" doc:"Against alerts by chance at little traffic"`
}

func (b objectiveBody) spec() Spec {
	return Spec{Name: b.Name, Match: b.Match, SLI: b.SLI, Target: b.Target, Window: b.Window, Pairs: b.Pairs, Guard: b.Guard}
}

type objectiveIn struct {
	Body objectiveBody
}

type objectiveRef struct {
	SLO string `path:"slo_id" maxLength:"64"`
}

type objectivePut struct {
	SLO  string `path:"slo_id" maxLength:"64"`
	Body objectiveBody
}

type seriesIn struct {
	SLO   string `path:"slo_id" maxLength:"64"`
	Range string `query:"range" default:"1h" enum:"1h,6h,1d,28d" doc:"How far back, from the newest counts on"`
}

type transitionsIn struct {
	SLO string `path:"slo_id" maxLength:"64"`
	web.Paging
}

// Deleted is the answer to a removal.
type Deleted struct {
	ID string `json:"id"`
}

// listPlace is where a list of objectives goes on.
type listCursor struct {
	After string `json:"a"`
}

// API adds the operations. Call it once, before the server serves.
func (f *Feature) API(api *web.API) {
	const tag = "Objectives"
	const base = "/accounts/{account_id}/slos"
	const one = base + "/{slo_id}"
	ifMatch := func(ctx context.Context) func(*Objective) error {
		return func(present *Objective) error { return web.IfMatch(ctx, present) }
	}
	web.Get(api, web.Op{Path: base, Tag: tag, Summary: "List objectives", Permission: account.SLORead},
		func(ctx context.Context, in *web.Paging) (web.Page[*Objective], error) {
			return f.page(ctx, api.Cursors(), web.Account(ctx).ID, *in)
		})
	web.Post(api, web.Op{Path: base, Tag: tag, Summary: "Create an objective", Permission: account.SLOWrite, Idempotent: true,
		Description: "An objective on a zone is judged by what the zone counted before, too. One on an origin, hostname, path class or another SLI is counted from now on."},
		func(ctx context.Context, in *objectiveIn) (*Objective, error) {
			return f.Create(ctx, web.Account(ctx).ID, in.Body.spec())
		})
	web.Get(api, web.Op{Path: one, Tag: tag, Summary: "Read an objective", Permission: account.SLORead},
		func(ctx context.Context, in *objectiveRef) (*Objective, error) {
			return f.Objective(ctx, web.Account(ctx).ID, in.SLO)
		})
	web.Put(api, web.Op{Path: one, Tag: tag, Summary: "Replace an objective", Permission: account.SLOWrite,
		Description: "Alerts of pairs that are no longer there end; so do all when it judges other requests."},
		func(ctx context.Context, in *objectivePut) (*Objective, error) {
			return f.Replace(ctx, web.Account(ctx).ID, in.SLO, in.Body.spec(), ifMatch(ctx))
		})
	web.Delete(api, web.Op{Path: one, Tag: tag, Summary: "Delete an objective", Permission: account.SLOWrite,
		Description: "Its alerts end, and its transitions are forgotten."},
		func(ctx context.Context, in *objectiveRef) (Deleted, error) {
			return Deleted{in.SLO}, f.Remove(ctx, web.Account(ctx).ID, in.SLO, ifMatch(ctx))
		})
	web.Get(api, web.Op{Path: one + "/status", Tag: tag, Summary: "Read an objective's status", Permission: account.SLORead,
		Description: "As of the newest counts, by their own time: as_of says how new they are. Silence is no_data, never ok."},
		func(ctx context.Context, in *objectiveRef) (Status, error) {
			_, s, err := f.Status(ctx, web.Account(ctx).ID, in.SLO)
			return s, err
		})
	web.Get(api, web.Op{Path: one + "/series", Tag: tag, Summary: "Read an objective over time", Permission: account.SLORead},
		func(ctx context.Context, in *seriesIn) (Series, error) {
			rg, ok := RangeOf(in.Range)
			if !ok {
				return Series{}, errs.At(errs.CodeInvalid, "range", "the range must be 1h, 6h, 1d or 28d")
			}
			o, err := f.Objective(ctx, web.Account(ctx).ID, in.SLO)
			if err != nil {
				return Series{}, err
			}
			return f.Series(ctx, o, rg)
		})
	web.Get(api, web.Op{Path: one + "/transitions", Tag: tag, Summary: "List when an objective began and ceased to burn", Permission: account.SLORead,
		Description: "Newest first, by the time at which it happened in the counts."},
		func(ctx context.Context, in *transitionsIn) (web.Page[Past], error) {
			o, err := f.Objective(ctx, web.Account(ctx).ID, in.SLO)
			if err != nil {
				return web.Page[Past]{}, err
			}
			return f.pastPage(ctx, api.Cursors(), o, in.Paging)
		})
}

// page is one page of an account's objectives.
func (f *Feature) page(ctx context.Context, cursors *web.Cursors, accountID string, in web.Paging) (web.Page[*Objective], error) {
	name := "slos " + accountID
	var from listCursor
	if in.Cursor != "" {
		if err := cursors.Decode(name, in.Cursor, &from); err != nil {
			return web.Page[*Objective]{}, err
		}
	}
	list, err := f.Objectives(ctx, accountID, from.After, in.Limit+1)
	if err != nil || len(list) <= in.Limit {
		return web.Page[*Objective]{Items: orEmpty(list)}, err
	}
	list = list[:in.Limit]
	return web.Page[*Objective]{Items: list, Cursor: cursors.Encode(name, listCursor{list[in.Limit-1].ID})}, nil
}

func (f *Feature) pastPage(ctx context.Context, cursors *web.Cursors, o *Objective, in web.Paging) (web.Page[Past], error) {
	name := "slo transitions " + o.account + " " + o.ID
	before := newestPast
	if in.Cursor != "" {
		if err := cursors.Decode(name, in.Cursor, &before); err != nil {
			return web.Page[Past]{}, err
		}
	}
	list, err := f.Transitions(ctx, o, 0, before, in.Limit+1)
	if err != nil || len(list) <= in.Limit {
		return web.Page[Past]{Items: orEmpty(list)}, err
	}
	list = list[:in.Limit]
	last := list[in.Limit-1]
	return web.Page[Past]{Items: list, Cursor: cursors.Encode(name, pastCursor{last.At.Unix(), last.ID})}, nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
