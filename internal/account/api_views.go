package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type viewsIn struct {
	List string `query:"list" maxLength:"100" doc:"Only views of this list, such as audit or notifications/policies"`
}

type viewIn struct {
	Body SavedViewCreate
}

type viewRef struct {
	ViewID string `path:"view_id" maxLength:"64"`
}

func (f *Feature) registerViews(api *web.API) {
	const tag = "Saved views"
	const base = "/accounts/{account_id}/saved_views"
	web.Get(api, web.Op{
		Path:        base,
		ID:          "list-saved-views",
		Tag:         tag,
		Summary:     "List saved views",
		Description: "Your views of the lists in the dashboard and those that the account shares, by name.",
		Permission:  web.AnyPermission,
	}, func(ctx context.Context, in *viewsIn) ([]SavedView, error) {
		return f.Views(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.List)
	})
	web.Post(api, web.Op{
		Path:    base,
		ID:      "create-saved-view",
		Errors:  []errs.Code{errs.CodeExists, errs.CodeLimit},
		Tag:     tag,
		Summary: "Save a view of a list",
		Description: "A view keeps the filters and the sort order of a list under a name. A list has at most 50 views of " +
			"one owner, and 50 that are shared.",
		Permission: web.AnyPermission,
		Idempotent: true,
	}, func(ctx context.Context, in *viewIn) (SavedView, error) {
		return f.CreateView(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.Body)
	})
	web.Delete(api, web.Op{
		Path:        base + "/{view_id}",
		ID:          "delete-saved-view",
		Tag:         tag,
		Summary:     "Delete a saved view",
		Description: "Deleting a shared view needs the permission accounts:write.",
		Permission:  web.AnyPermission,
	}, func(ctx context.Context, in *viewRef) (Deleted, error) {
		v, err := f.DeleteView(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.ViewID)
		return Deleted{v.ID}, err
	})
}
