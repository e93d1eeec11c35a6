package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type accountIn struct {
	Body AccountCreate
}

// AccountCreate is the request body for the name and external id of an account.
type AccountCreate struct {
	Name       string `json:"name" minLength:"1" maxLength:"200" doc:"Shown on pages and in mails"`
	ExternalID string `json:"external_id,omitempty" maxLength:"128" doc:"The operators' own id of the account"`
	TimeZone   string `json:"time_zone,omitempty" maxLength:"64" doc:"Name of the IANA database, such as Europe/Berlin"`
	Type       string `json:"type,omitempty" enum:"standard,enterprise" doc:"Sent by official clients; ignored"`
}

type accountPatch struct {
	Body AccountUpdate
}

// AccountUpdate is the request body for changes of an account.
type AccountUpdate struct {
	Name       *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	ExternalID *string `json:"external_id,omitempty" maxLength:"128" doc:"Operators only; empty = none"`
	TimeZone   *string `json:"time_zone,omitempty" maxLength:"64" doc:"Name of the IANA database, such as Europe/Berlin; empty = none"`
}

type externalIn struct {
	ExternalID string `path:"external_id" maxLength:"128"`
	Body       AccountUpsert
}

// AccountUpsert is the request body for the account with an external id.
type AccountUpsert struct {
	Name string `json:"name" minLength:"1" maxLength:"200"`
}

// RoleInfo is a role as the API shows it.
type RoleInfo struct {
	ID          Role     `json:"id"`
	Description string   `json:"description"`
	Permissions []string `json:"permissions"`
}

func (f *Feature) registerAccounts(api *web.API) {
	const tag = "Accounts"
	web.Get(api, web.Op{
		Path:        "/accounts",
		ID:          "list-accounts",
		Tag:         tag,
		Summary:     "List accounts",
		Description: "The accounts that the credential may read.",
		Scope:       web.ScopeSelf,
	}, func(ctx context.Context, in *accountsIn) (web.Page[Account], error) {
		by := web.CurrentPrincipal(ctx)
		list := "accounts " + string(by.Kind) + " " + by.ID + " " + in.Name
		return web.ReadAnyPage(api.Cursors(), list, in.AnyPaging, accountKey,
			func(after web.Keyset, limit int) ([]Account, error) {
				return f.accountsNamed(ctx, by, in.Name, after.ID, limit)
			})
	})
	web.Post(api, web.Op{
		Path:       "/accounts",
		ID:         "create-account",
		Errors:     []errs.Code{errs.CodeExists},
		Tag:        tag,
		Summary:    "Create an account",
		Scope:      web.ScopeInstallation,
		Permission: AccountsWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *accountIn) (Account, error) {
		return f.CreateAccountAs(ctx, web.CurrentPrincipal(ctx), in.Body)
	})
	web.Put(api, web.Op{
		Path:       "/accounts/external/{external_id}",
		ID:         "upsert-account-by-external-id",
		Tag:        tag,
		Summary:    "Create or update the account with an external id",
		Scope:      web.ScopeInstallation,
		Permission: AccountsWrite,
	}, func(ctx context.Context, in *externalIn) (Account, error) {
		return f.UpsertAccount(ctx, web.CurrentPrincipal(ctx), in.ExternalID, in.Body.Name)
	})
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}",
		ID:         "get-account",
		Tag:        tag,
		Summary:    "Read an account",
		Permission: AccountsRead,
	}, func(ctx context.Context, _ *struct{}) (Account, error) { return f.Account(ctx, web.Account(ctx).ID) })
	web.Patch(api, web.Op{
		Path:       "/accounts/{account_id}",
		ID:         "patch-account",
		Errors:     []errs.Code{errs.CodeExists, errs.CodeStale},
		Tag:        tag,
		Summary:    "Change an account",
		Permission: AccountsWrite,
	}, func(ctx context.Context, in *accountPatch) (Account, error) {
		return f.UpdateAccount(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.Body)
	})
	web.Put(api, web.Op{
		Path:        "/accounts/{account_id}",
		ID:          "put-account",
		Errors:      []errs.Code{errs.CodeExists, errs.CodeStale},
		Tag:         tag,
		Summary:     "Replace the settings of an account",
		Description: "external_id and time_zone stay as they are when they are left out.",
		Permission:  AccountsWrite,
	}, func(ctx context.Context, in *accountIn) (Account, error) {
		update := AccountUpdate{Name: &in.Body.Name}
		if in.Body.ExternalID != "" {
			update.ExternalID = &in.Body.ExternalID
		}
		if in.Body.TimeZone != "" {
			update.TimeZone = &in.Body.TimeZone
		}
		return f.UpdateAccount(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, update)
	})
	web.Get(api, web.Op{
		Path:       "/accounts/{account_id}/roles",
		ID:         "list-roles",
		Tag:        tag,
		Summary:    "List the roles of members",
		Permission: web.AnyPermission,
	}, func(_ context.Context, in *web.AnyPaging) (web.Page[RoleInfo], error) {
		return web.ReadAnyPage(api.Cursors(), "roles", *in, roleKey, rolesAfter)
	})
}
