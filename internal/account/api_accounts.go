package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// place is where a list goes on.
type place struct {
	After string `json:"a"`
}

// listPage reads one page of a list that is ordered by id; name tells its cursors
// from those of others.
func listPage[T any](api *web.API, in web.AnyPaging, name string, idOf func(T) string, read func(after string, limit int) ([]T, error)) (web.Page[T], error) {
	if number, perPage, before, err := in.Numbered(); number > 0 || err != nil {
		return numberedPage(number, perPage, before, read, err)
	}
	var from place
	if in.Cursor != "" {
		if err := api.Cursors().Decode(name, in.Cursor, &from); err != nil {
			return web.Page[T]{}, err
		}
	}
	items, err := read(from.After, in.Limit+1)
	if err != nil || len(items) <= in.Limit {
		return web.Page[T]{Items: items}, err
	}
	items = items[:in.Limit]
	return web.Page[T]{Items: items, Cursor: api.Cursors().Encode(name, place{idOf(items[in.Limit-1])})}, nil
}

// numberedPage reads one page by its number. The lists are short: all that has
// a number is read, which gives the total as well.
func numberedPage[T any](number, perPage, before int, read func(after string, limit int) ([]T, error), err error) (web.Page[T], error) {
	if err != nil {
		return web.Page[T]{}, err
	}
	all, err := read("", web.MaxNumbered+1)
	if err != nil {
		return web.Page[T]{}, err
	}
	p := web.Page[T]{Number: number, PerPage: perPage, Total: min(len(all), web.MaxNumbered)}
	if len(all) > web.MaxNumbered {
		p.Messages = []web.Message{{Code: 1, Message: "total_count is capped at 10,000; page on with cursor and limit"}}
		if before+perPage > web.MaxNumbered {
			return p, errs.At(errs.CodeOutOfRange, "page", "only the first %d items have numbered pages; page on with cursor and limit", web.MaxNumbered)
		}
	}
	p.Items = all[min(before, len(all)):min(before+perPage, len(all))]
	return p, nil
}

type accountIn struct {
	Body struct {
		Name       string `json:"name" minLength:"1" maxLength:"200" doc:"What people call it"`
		ExternalID string `json:"external_id,omitempty" maxLength:"128" doc:"The operators' own id of the account"`
		Type       string `json:"type,omitempty" enum:"standard,enterprise" doc:"What official clients send; all accounts are alike"`
	}
}

type accountPatch struct {
	Body struct {
		Name       *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
		ExternalID *string `json:"external_id,omitempty" maxLength:"128" doc:"Operators only; empty = none"`
	}
}

type externalIn struct {
	ExternalID string `path:"external_id" maxLength:"128"`
	Body       struct {
		Name string `json:"name" minLength:"1" maxLength:"200"`
	}
}

// RoleInfo is a role as the API shows it.
type RoleInfo struct {
	ID          Role     `json:"id"`
	Description string   `json:"description"`
	Permissions []string `json:"permissions"`
}

func (d *Directory) registerAccounts(api *web.API) {
	const tag = "Accounts"
	web.Get(api, web.Op{Path: "/accounts", Tag: tag, Summary: "List accounts", Scope: web.ScopeSelf,
		Description: "The accounts that the credential may read."},
		func(ctx context.Context, in *accountsIn) (web.Page[Account], error) {
			by := web.CurrentPrincipal(ctx)
			return listPage(api, in.AnyPaging, "accounts "+string(by.Kind)+" "+by.ID+" "+in.Name, func(a Account) string { return a.ID },
				func(after string, limit int) ([]Account, error) {
					return d.accountsNamed(ctx, by, in.Name, after, limit)
				})
		})
	web.Post(api, web.Op{Path: "/accounts", Tag: tag, Summary: "Create an account", Scope: web.ScopeInstallation, Permission: AccountsWrite, Idempotent: true},
		func(ctx context.Context, in *accountIn) (Account, error) {
			return d.CreateAccount(ctx, web.CurrentPrincipal(ctx), in.Body.Name, in.Body.ExternalID)
		})
	web.Put(api, web.Op{Path: "/accounts/external/{external_id}", Tag: tag, Summary: "Create or update the account with an external id", Scope: web.ScopeInstallation, Permission: AccountsWrite},
		func(ctx context.Context, in *externalIn) (Account, error) {
			return d.UpsertAccount(ctx, web.CurrentPrincipal(ctx), in.ExternalID, in.Body.Name)
		})
	web.Get(api, web.Op{Path: "/accounts/{account_id}", ID: "get-account", Tag: tag, Summary: "Read an account", Permission: AccountsRead},
		func(ctx context.Context, _ *struct{}) (Account, error) { return d.Account(ctx, web.Account(ctx).ID) })
	web.Patch(api, web.Op{Path: "/accounts/{account_id}", ID: "patch-account", Tag: tag, Summary: "Change an account", Permission: AccountsWrite},
		func(ctx context.Context, in *accountPatch) (Account, error) {
			return d.UpdateAccount(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.Body.Name, in.Body.ExternalID)
		})
	web.Put(api, web.Op{Path: "/accounts/{account_id}", ID: "put-account", Tag: tag, Summary: "Replace an account's name and external id", Permission: AccountsWrite,
		Description: "external_id stays as it is when it is left out."},
		func(ctx context.Context, in *accountIn) (Account, error) {
			var external *string
			if in.Body.ExternalID != "" {
				external = &in.Body.ExternalID
			}
			return d.UpdateAccount(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, &in.Body.Name, external)
		})
	web.Get(api, web.Op{Path: "/accounts/{account_id}/roles", Tag: tag, Summary: "List the roles of members", Permission: web.AnyPermission},
		func(_ context.Context, in *web.AnyPaging) (web.Page[RoleInfo], error) {
			return listPage(api, *in, "roles", func(r RoleInfo) string { return string(r.ID) }, rolesAfter)
		})
}
