package slo

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type correctionCreate struct {
	Body CorrectionCreate
}

type objectiveCorrectionCreate struct {
	SLO  string `path:"slo_id" maxLength:"64"`
	Body ObjectiveCorrectionCreate
}

type correctionRef struct {
	Correction string `path:"correction_id" maxLength:"64"`
}

// correctionsIn filters the corrections of an account.
type correctionsIn struct {
	State CorrectionState `query:"state" enum:"pending,active,rejected,removed" doc:"Only those in this state"`
	web.Paging
}

type objectiveCorrectionsIn struct {
	SLO string `path:"slo_id" maxLength:"64"`
	web.Paging
}

const correctionText = "The requests of the time are left out of budgets and burn rates. The time may lie ahead, so that " +
	"planned maintenance sends no alert. A correction that gives back more than 10 % of a budget, or of which more than " +
	"four hours lie ahead, is pending until a second member approves it. Kind reset leaves out everything up to now."

func (f *Feature) registerCorrections(api *web.API, one string) {
	const all = "/accounts/{account_id}/slo_corrections"
	const item = all + "/{correction_id}"
	web.Post(api, web.Op{
		Path: one + "/corrections", ID: "create-objective-correction", Tag: apiTag, Permission: account.SLOWrite,
		Idempotent: true, Summary: "Correct an objective", Errors: []errs.Code{errs.CodeLimit},
		Description: correctionText,
	}, func(ctx context.Context, in *objectiveCorrectionCreate) (*Correction, error) {
		o, err := f.Objective(ctx, web.Account(ctx).ID, in.SLO)
		if err != nil {
			return nil, err
		}
		return f.Correct(ctx, o.account, CorrectionCreate{
			Objectives:                []string{o.ID},
			ObjectiveCorrectionCreate: in.Body,
		})
	})
	web.Get(api, web.Op{
		Path: one + "/corrections", ID: "list-objective-corrections", Tag: apiTag, Permission: account.SLORead,
		Summary:     "List the corrections of an objective",
		Description: "Newest first, with those of its property.",
	}, func(ctx context.Context, in *objectiveCorrectionsIn) (web.Page[*Correction], error) {
		return f.correctionPage(ctx, api.Cursors(), CorrectionFilter{Objective: in.SLO}, in.Paging)
	})
	web.Post(api, web.Op{
		Path: all, ID: "create-correction", Tag: apiTag, Permission: account.SLOWrite, Idempotent: true,
		Summary: "Correct a property or several objectives", Errors: []errs.Code{errs.CodeLimit},
		Description: correctionText,
	}, func(ctx context.Context, in *correctionCreate) (*Correction, error) {
		return f.Correct(ctx, web.Account(ctx).ID, in.Body)
	})
	web.Get(api, web.Op{
		Path: all, ID: "list-corrections", Tag: apiTag, Permission: account.SLORead,
		Summary: "List corrections", Description: "Newest first.",
	}, func(ctx context.Context, in *correctionsIn) (web.Page[*Correction], error) {
		var only CorrectionFilter
		if in.State != "" {
			only.States = []CorrectionState{in.State}
		}
		return f.correctionPage(ctx, api.Cursors(), only, in.Paging)
	})
	web.Post(api, web.Op{
		Path: all + "/preview", ID: "preview-correction", Tag: apiTag, Permission: account.SLOWrite,
		Summary: "Preview a correction",
		Description: "What the correction would leave out of each objective, its budget before and after, and whether a " +
			"second member would have to approve it. Nothing is stored.",
	}, func(ctx context.Context, in *correctionCreate) (CorrectionPreview, error) {
		return f.PreviewCorrection(ctx, web.Account(ctx).ID, in.Body)
	})
	web.Get(api, web.Op{
		Path: item, ID: "get-correction", Tag: apiTag, Permission: account.SLORead,
		Summary: "Get a correction",
	}, func(ctx context.Context, in *correctionRef) (*Correction, error) {
		return f.Correction(ctx, web.Account(ctx).ID, in.Correction)
	})
	web.Delete(api, web.Op{
		Path: item, ID: "delete-correction", Tag: apiTag, Permission: account.SLOWrite,
		Summary: "Remove a correction", Errors: []errs.Code{errs.CodeStateConflict},
		Description: "Its requests count again, exactly as before. It stays in the list as removed.",
	}, func(ctx context.Context, in *correctionRef) (*Correction, error) {
		return f.RemoveCorrection(ctx, web.Account(ctx).ID, in.Correction)
	})
	web.Post(api, web.Op{
		Path: item + "/approve", ID: "approve-correction", Tag: apiTag, Permission: account.SLOWrite,
		Summary: "Approve a correction", Errors: []errs.Code{errs.CodeStateConflict},
		Description: "By another member than the one who requested it; an account's tokens may not approve.",
	}, func(ctx context.Context, in *correctionRef) (*Correction, error) {
		return f.Approve(ctx, web.Account(ctx).ID, in.Correction)
	})
	web.Post(api, web.Op{
		Path: item + "/reject", ID: "reject-correction", Tag: apiTag, Permission: account.SLOWrite,
		Summary: "Reject a correction", Errors: []errs.Code{errs.CodeStateConflict},
	}, func(ctx context.Context, in *correctionRef) (*Correction, error) {
		return f.Reject(ctx, web.Account(ctx).ID, in.Correction)
	})
}

// correctionPage is one page of an account's corrections, or of those of an objective.
func (f *Feature) correctionPage(
	ctx context.Context, cursors *web.Cursors, only CorrectionFilter, in web.Paging,
) (web.Page[*Correction], error) {
	accountID := web.Account(ctx).ID
	name := fmt.Sprint("slo corrections ", accountID, " ", only)
	var from listCursor
	if in.Cursor != "" {
		if err := cursors.Decode(name, in.Cursor, &from); err != nil {
			return web.Page[*Correction]{}, err
		}
	}
	list, err := f.Corrections(ctx, accountID, only, from.After, in.Limit+1)
	if err != nil || len(list) <= in.Limit {
		return web.Page[*Correction]{Items: orEmpty(list)}, err
	}
	list = list[:in.Limit]
	return web.Page[*Correction]{Items: list, Cursor: cursors.Encode(name, listCursor{list[in.Limit-1].ID})}, nil
}
