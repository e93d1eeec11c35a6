package producer

import (
	"context"
	"net/http"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// API registers the feature's operations.
func (f *Feature) API(a *web.API) {
	f.teamAPI(a)
	f.tokenAPI(a)
	f.catalogueAPI(a)
	f.rejectAPI(a)
	a.Limit("catalog.bytes", catalogue.MaxFile)
}

const tag = "Producers"

// operation is one on teams or their tokens, which are for operators.
func operation(id, path, permission, summary string) web.Op {
	return web.Op{
		ID:         id,
		Path:       "/producers" + path,
		Tag:        tag,
		Scope:      web.ScopeInstallation,
		Permission: permission,
		Summary:    summary,
	}
}

func (f *Feature) teamAPI(a *web.API) {
	create := operation("create-producer", "", account.AccountsWrite, "Create a team")
	create.Errors = []errs.Code{errs.CodeExists, errs.CodeLimit}
	create.Idempotent = true
	create.Status = http.StatusCreated
	web.Post(a, create, func(ctx context.Context, in *createTeamInput) (Team, error) {
		return f.CreateTeam(ctx, in.Body.Name, in.Body.ContactEmail)
	})

	list := operation("list-producers", "", account.AccountsRead, "List teams")
	web.Get(a, list, f.listTeams(a.Cursors()))

	get := operation("get-producer", "/{producer_id}", account.AccountsRead, "Get a team")
	web.Get(a, get, func(ctx context.Context, in *TeamInput) (Team, error) {
		return f.Team(ctx, in.ProducerID)
	})

	update := operation("update-producer", "/{producer_id}", account.AccountsWrite, "Update a team")
	update.Errors = []errs.Code{errs.CodeExists, errs.CodeStale}
	web.Patch(a, update, func(ctx context.Context, in *updateTeamInput) (Team, error) {
		return f.UpdateTeam(ctx, in.ProducerID, in.Body.Name, in.Body.ContactEmail)
	})

	remove := operation("delete-producer", "/{producer_id}", account.AccountsWrite, "Delete a team")
	remove.Errors = []errs.Code{errs.CodeStateConflict}
	remove.Description = "Only when it declares nothing (apply a catalogue with `products: []`) and has no tokens."
	web.Delete(a, remove, func(ctx context.Context, in *TeamInput) (deleted, error) {
		return deleted{in.ProducerID}, f.DeleteTeam(ctx, in.ProducerID)
	})
}

func (f *Feature) tokenAPI(a *web.API) {
	const path = "/{producer_id}/tokens"
	create := operation("create-producer-token", path, account.AccountsWrite, "Create a token of a team")
	create.Idempotent = true
	create.Status = http.StatusCreated
	create.Description = "The token may write for every account, and only for the products of the team's catalogue. " +
		"Its value is shown once."
	web.Post(a, create, func(ctx context.Context, in *createTokenInput) (NewToken, error) {
		return f.CreateToken(ctx, in.ProducerID, in.Body)
	})

	list := operation("list-producer-tokens", path, account.AccountsRead, "List the tokens of a team")
	web.Get(a, list, func(ctx context.Context, in *TeamInput) (web.Page[Token], error) {
		tokens, err := f.Tokens(ctx, in.ProducerID)
		return web.Page[Token]{Items: tokens}, err
	})

	revoke := operation("revoke-producer-token", path+"/{token_id}", account.AccountsWrite, "Revoke a token of a team")
	web.Delete(a, revoke, func(ctx context.Context, in *tokenInput) (deleted, error) {
		return deleted{in.TokenID}, f.RevokeToken(ctx, in.ProducerID, in.TokenID)
	})
}

// TeamInput names a team in the path.
type TeamInput struct {
	ProducerID string `path:"producer_id" minLength:"32" maxLength:"32" doc:"The team's id."`
}

// TeamCreate is the body that creates a team.
type TeamCreate struct {
	Name         string `json:"name" minLength:"1" maxLength:"200" doc:"Unique among the teams"`
	ContactEmail string `json:"contact_email,omitempty" maxLength:"254"`
}

// TeamUpdate is the body that changes a team.
type TeamUpdate struct {
	Name         *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	ContactEmail *string `json:"contact_email,omitempty" maxLength:"254" doc:"Empty: none"`
}

type createTeamInput struct{ Body TeamCreate }

type updateTeamInput struct {
	TeamInput
	Body TeamUpdate
}

type createTokenInput struct {
	TeamInput
	Body TokenCreate
}

type tokenInput struct {
	TeamInput
	TokenID string `path:"token_id" minLength:"32" maxLength:"32"`
}

// deleted is the answer of a removal.
type deleted struct {
	ID string `json:"id"`
}

type idPlace struct {
	ID string `json:"id"`
}

func (f *Feature) listTeams(c *web.Cursors) web.Handler[listInput, web.Page[Team]] {
	const list = "producers"
	return func(ctx context.Context, in *listInput) (web.Page[Team], error) {
		var from idPlace
		if in.Cursor != "" {
			if err := c.Decode(list, in.Cursor, &from); err != nil {
				return web.Page[Team]{}, err
			}
		}
		teams, err := f.Teams(ctx, from.ID, in.Limit+1)
		if err != nil {
			return web.Page[Team]{}, err
		}
		p := web.Page[Team]{Items: teams}
		if len(teams) > in.Limit {
			p.Items = teams[:in.Limit]
			p.Cursor = c.Encode(list, idPlace{p.Items[in.Limit-1].ID})
		}
		return p, nil
	}
}

type listInput struct{ web.Paging }
