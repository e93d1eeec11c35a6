package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type tokenIn struct {
	Body TokenCreate
}

// TokenCreate is the request body for a new API token.
type TokenCreate struct {
	Name        string   `json:"name" minLength:"1" maxLength:"100" doc:"The purpose of the token"`
	Permissions []string `json:"permissions" minItems:"1" maxItems:"32" doc:"Such as audit:read; you must have each of them yourself"`
	ExpiresOn   web.Time `json:"expires_on,omitzero" doc:"When it ends; never by default"`
	IPAllow     []string `json:"ip_allow,omitempty" maxItems:"50" doc:"Networks from which it may be used; any by default"`
}

type tokenRef struct {
	TokenID string `path:"token_id" maxLength:"64"`
}

// Deleted is the answer to a removal.
type Deleted struct {
	ID string `json:"id"`
}

func (f *Feature) registerTokens(api *web.API) {
	const tag = "API tokens"
	const base = "/accounts/{account_id}/tokens"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-tokens",
		Tag:        tag,
		Summary:    "List API tokens",
		Permission: TokensRead,
	}, func(ctx context.Context, in *web.AnyPaging) (web.Page[Token], error) {
		accountID := web.Account(ctx).ID
		return web.ReadAnyPage(api.Cursors(), "tokens "+accountID, *in, tokenKey,
			func(after web.Keyset, limit int) ([]Token, error) { return f.Tokens(ctx, accountID, after.ID, limit) })
	})
	web.Post(api, web.Op{
		Path:        base,
		ID:          "create-token",
		Errors:      []errs.Code{errs.CodeLimit},
		Tag:         tag,
		Summary:     "Create an API token",
		Description: "The value of the token is in this response only. It is not stored.",
		Permission:  TokensWrite,
		Idempotent:  true,
	}, func(ctx context.Context, in *tokenIn) (NewAPIToken, error) {
		return f.CreateToken(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID,
			TokenSpec{in.Body.Name, in.Body.Permissions, in.Body.ExpiresOn, in.Body.IPAllow})
	})
	web.Get(api, web.Op{
		Path:       base + "/verify",
		ID:         "verify-account-token",
		Tag:        tag,
		Summary:    "Verify the account's token of this request",
		Permission: web.AnyPermission,
	}, func(ctx context.Context, _ *struct{}) (Verified, error) { return f.verified(ctx) })
	web.Get(api, web.Op{
		Path:       base + "/{token_id}",
		ID:         "get-token",
		Tag:        tag,
		Summary:    "Read an API token",
		Permission: TokensRead,
	}, func(ctx context.Context, in *tokenRef) (Token, error) {
		return f.Token(ctx, web.Account(ctx).ID, in.TokenID)
	})
	web.Put(api, web.Op{
		Path:    base + "/{token_id}/value",
		ID:      "roll-token",
		Tag:     tag,
		Summary: "Give an API token a new value",
		Description: "The former value ends at once. The new value is in this response only. You need every permission of " +
			"the token.",
		Permission: TokensWrite,
	}, func(ctx context.Context, in *tokenRef) (NewAPIToken, error) {
		return f.RollToken(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.TokenID)
	})
	web.Delete(api, web.Op{
		Path:       base + "/{token_id}",
		ID:         "revoke-token",
		Tag:        tag,
		Summary:    "Revoke an API token",
		Permission: TokensWrite,
	}, func(ctx context.Context, in *tokenRef) (Deleted, error) {
		return Deleted{in.TokenID}, f.RevokeToken(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.TokenID)
	})
}
