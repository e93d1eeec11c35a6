package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type operatorIn struct {
	Body OperatorAdd
}

// OperatorAdd is the request body for a new operator.
type OperatorAdd struct {
	Email string `json:"email" minLength:"3" maxLength:"254"`
	Name  string `json:"name" minLength:"1" maxLength:"200"`
}

type operatorRef struct {
	OperatorID string `path:"operator_id" maxLength:"64"`
}

type operatorPatch struct {
	OperatorID string `path:"operator_id" maxLength:"64"`
	Body       OperatorUpdate
}

// OperatorUpdate is the request body for changes of an operator.
type OperatorUpdate struct {
	Email *string `json:"email,omitempty" minLength:"3" maxLength:"254"`
	Name  *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
}

// NewOperator is an operator who was just added.
type NewOperator struct {
	Person
	SignInURL string `json:"sign_in_url,omitempty" doc:"A one-time link for a person who has never signed in. It is shown only once"`
}

func (f *Feature) registerOperators(api *web.API) {
	const tag = "Operators"
	const base = "/operators"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-operators",
		Tag:        tag,
		Summary:    "List operators",
		Scope:      web.ScopeInstallation,
		Permission: AccountsRead,
	}, func(ctx context.Context, in *web.AnyPaging) (web.Page[Person], error) {
		return web.ReadAnyPage(api.Cursors(), "operators", *in, personKey,
			func(after web.Keyset, limit int) ([]Person, error) { return f.Operators(ctx, after.ID, limit) })
	})
	web.Post(api, web.Op{
		Path:        base,
		ID:          "add-operator",
		Errors:      []errs.Code{errs.CodeExists},
		Tag:         tag,
		Summary:     "Add an operator",
		Description: "Operators have all permissions in every account.",
		Scope:       web.ScopeInstallation,
		Permission:  AccountsWrite,
		Idempotent:  true,
	}, func(ctx context.Context, in *operatorIn) (NewOperator, error) {
		p, url, err := f.AddOperator(ctx, web.CurrentPrincipal(ctx), in.Body.Email, in.Body.Name)
		return NewOperator{p, url}, err
	})
	web.Patch(api, web.Op{
		Path:       base + "/{operator_id}",
		ID:         "update-operator",
		Errors:     []errs.Code{errs.CodeExists},
		Tag:        tag,
		Summary:    "Change an operator's address or name",
		Scope:      web.ScopeInstallation,
		Permission: AccountsWrite,
	}, func(ctx context.Context, in *operatorPatch) (Person, error) {
		return f.UpdateOperator(ctx, web.CurrentPrincipal(ctx), in.OperatorID, in.Body.Email, in.Body.Name)
	})
	web.Delete(api, web.Op{
		Path:       base + "/{operator_id}",
		ID:         "remove-operator",
		Errors:     []errs.Code{errs.CodeStateConflict},
		Tag:        tag,
		Summary:    "Remove an operator",
		Scope:      web.ScopeInstallation,
		Permission: AccountsWrite,
	}, func(ctx context.Context, in *operatorRef) (Deleted, error) {
		return Deleted{in.OperatorID}, f.RemoveOperator(ctx, web.CurrentPrincipal(ctx), in.OperatorID)
	})
	web.Post(api, web.Op{
		Path:       base + "/{operator_id}/sign_in_link",
		ID:         "create-operator-sign-in-link",
		Tag:        tag,
		Summary:    "Create a one-time sign-in link for an operator",
		Scope:      web.ScopeInstallation,
		Permission: AccountsWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *operatorRef) (OneTimeURL, error) {
		url, err := f.OperatorLink(ctx, web.CurrentPrincipal(ctx), in.OperatorID)
		return OneTimeURL{url, moment(f.micros() + LinkTime.Microseconds())}, err
	})
}
