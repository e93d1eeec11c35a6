package slo

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type objectiveCreate struct {
	Body ObjectiveSpec
}

type objectiveRef struct {
	SLO string `path:"slo_id" maxLength:"64"`
}

type objectiveReplace struct {
	SLO  string `path:"slo_id" maxLength:"64"`
	Body ObjectiveSpec
}

type seriesIn struct {
	SLO   string `path:"slo_id" maxLength:"64"`
	Range string `query:"range" default:"1h" enum:"1h,6h,1d,7d,28d,90d" doc:"Length of the series, up to the newest counts"`
}

type transitionsIn struct {
	SLO string `path:"slo_id" maxLength:"64"`
	web.Paging
}

// Deleted is the answer to a deletion.
type Deleted struct {
	ID string `json:"id"`
}

// listCursor is the position in a list of objectives.
type listCursor struct {
	After string `json:"a"`
}

// API registers the operations. Call it once, before the server serves.
func (f *Feature) API(api *web.API) {
	const base = "/accounts/{account_id}/slos"
	f.registerObjectives(api, base, base+"/{slo_id}")
	f.registerStatus(api, base+"/{slo_id}")
	f.registerCorrections(api, base+"/{slo_id}")
	f.registerSpending(api, base+"/{slo_id}")
	f.registerReport(api, base)
	f.registerReportSchedule(api, base)
	f.registerPreview(api, base)
	f.registerZoneTraffic(api)
}

const apiTag = "Objectives"

func (f *Feature) registerObjectives(api *web.API, base, one string) {
	ifMatch := func(ctx context.Context) func(*Objective) error {
		return func(present *Objective) error { return web.IfMatch(ctx, present) }
	}
	web.Get(api, web.Op{
		Path: base, ID: "list-objectives", Tag: apiTag, Permission: account.SLORead,
		Summary: "List objectives",
	}, func(ctx context.Context, in *web.Paging) (web.Page[*Objective], error) {
		return f.page(ctx, api.Cursors(), web.Account(ctx).ID, *in)
	})
	web.Post(api, web.Op{
		Path: base, ID: "create-objective", Tag: apiTag, Permission: account.SLOWrite, Idempotent: true,
		Summary: "Create an objective", Errors: []errs.Code{errs.CodeExists, errs.CodeLimit},
		Description: "An objective on a property is evaluated on the existing counts as well. " +
			"An objective on an origin, hostname, path class or another SLI is counted from now on.",
	}, func(ctx context.Context, in *objectiveCreate) (*Objective, error) {
		return f.Create(ctx, web.Account(ctx).ID, in.Body)
	})
	web.Get(api, web.Op{
		Path: one, ID: "get-objective", Tag: apiTag, Permission: account.SLORead,
		Summary: "Get an objective",
	}, func(ctx context.Context, in *objectiveRef) (*Objective, error) {
		return f.Objective(ctx, web.Account(ctx).ID, in.SLO)
	})
	web.Put(api, web.Op{
		Path: one, ID: "replace-objective", Tag: apiTag, Permission: account.SLOWrite,
		Summary: "Replace an objective", Errors: []errs.Code{errs.CodeExists, errs.CodeStale},
		Description: "Alerts of removed pairs end. All alerts end when the objective applies to other requests " +
			"than before.",
	}, func(ctx context.Context, in *objectiveReplace) (*Objective, error) {
		return f.Replace(ctx, web.Account(ctx).ID, in.SLO, in.Body, ifMatch(ctx))
	})
	web.Delete(api, web.Op{
		Path: one, ID: "delete-objective", Tag: apiTag, Permission: account.SLOWrite,
		Summary:     "Delete an objective",
		Description: "Its alerts end, and its transitions are deleted.",
	}, func(ctx context.Context, in *objectiveRef) (Deleted, error) {
		return Deleted{in.SLO}, f.Remove(ctx, web.Account(ctx).ID, in.SLO, ifMatch(ctx))
	})
}

func (f *Feature) registerStatus(api *web.API, one string) {
	web.Get(api, web.Op{
		Path: one + "/status", ID: "get-objective-status", Tag: apiTag, Permission: account.SLORead,
		Summary: "Get an objective's status",
		Description: "As of the newest counts, in their own time: as_of says how new they are. " +
			"Without recent requests the state is no_data, never ok.",
	}, func(ctx context.Context, in *objectiveRef) (Status, error) {
		_, s, err := f.Status(ctx, web.Account(ctx).ID, in.SLO)
		return s, err
	})
	web.Get(api, web.Op{
		Path: one + "/series", ID: "get-objective-series", Tag: apiTag, Permission: account.SLORead,
		Summary: "Get an objective over time",
	}, func(ctx context.Context, in *seriesIn) (Series, error) {
		rg, ok := RangeOf(in.Range)
		if !ok {
			return Series{}, errs.At(errs.CodeInvalid, "range", "the range must be 1h, 6h, 1d, 7d, 28d or 90d")
		}
		o, err := f.Objective(ctx, web.Account(ctx).ID, in.SLO)
		if err != nil {
			return Series{}, err
		}
		return f.Series(ctx, o, rg)
	})
	web.Get(api, web.Op{
		Path: one + "/transitions", ID: "list-objective-transitions", Tag: apiTag, Permission: account.SLORead,
		Summary:     "List the starts and ends of an objective's burns",
		Description: "Newest first, by the time of the counts.",
	}, func(ctx context.Context, in *transitionsIn) (web.Page[Past], error) {
		o, err := f.Objective(ctx, web.Account(ctx).ID, in.SLO)
		if err != nil {
			return web.Page[Past]{}, err
		}
		return f.pastPage(ctx, api.Cursors(), o, in.Paging)
	})
}

// page is one page of an account's objectives.
func (f *Feature) page(
	ctx context.Context, cursors *web.Cursors, accountID string, in web.Paging,
) (web.Page[*Objective], error) {
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

// pastPage is one page of an objective's transitions.
func (f *Feature) pastPage(
	ctx context.Context, cursors *web.Cursors, o *Objective, in web.Paging,
) (web.Page[Past], error) {
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
