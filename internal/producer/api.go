package producer

import (
	"context"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// API registers the feature's operations.
func (r *Registry) API(a *web.API) {
	r.teamAPI(a)
	r.catalogueAPI(a)
	r.rejectAPI(a)
	a.Limit("catalog.bytes", catalogue.MaxFile)
}

const tag = "Producers"

// teamAPI: teams and their tokens are the operators'.
func (r *Registry) teamAPI(a *web.API) {
	op := func(path, permission, summary string) web.Op {
		return web.Op{Path: "/producers" + path, Tag: tag, Scope: web.ScopeInstallation, Permission: permission, Summary: summary}
	}
	create := op("", "accounts:write", "Create a product team")
	create.Idempotent, create.Status = true, 201
	web.Post(a, create, func(ctx context.Context, in *newTeamInput) (Team, error) {
		return r.CreateTeam(ctx, in.Body.Name, in.Body.ContactEmail)
	})
	web.Get(a, op("", "accounts:read", "List product teams"), r.listTeams(a.Cursors()))
	web.Get(a, op("/{producer_id}", "accounts:read", "Get a product team"), func(ctx context.Context, in *TeamInput) (Team, error) {
		return r.Team(ctx, in.ProducerID)
	})
	web.Patch(a, op("/{producer_id}", "accounts:write", "Change a product team"), func(ctx context.Context, in *changeTeamInput) (Team, error) {
		return r.UpdateTeam(ctx, in.ProducerID, in.Body.Name, in.Body.ContactEmail)
	})
	remove := op("/{producer_id}", "accounts:write", "Delete a product team")
	remove.Description = "Only when it declares nothing (apply a catalogue with `products: []`) and has no tokens."
	web.Delete(a, remove, func(ctx context.Context, in *TeamInput) (deleted, error) {
		return deleted{in.ProducerID}, r.DeleteTeam(ctx, in.ProducerID)
	})

	token := op("/{producer_id}/tokens", "accounts:write", "Create a product team's token")
	token.Idempotent, token.Status = true, 201
	token.Description = "The token may write for every account, for the products of the team's catalogue only. Its value is shown once."
	web.Post(a, token, func(ctx context.Context, in *newTokenInput) (NewToken, error) {
		return r.CreateToken(ctx, in.ProducerID, in.Body)
	})
	web.Get(a, op("/{producer_id}/tokens", "accounts:read", "List a product team's tokens"), func(ctx context.Context, in *TeamInput) (web.Page[Token], error) {
		list, err := r.Tokens(ctx, in.ProducerID)
		return web.Page[Token]{Items: list}, err
	})
	web.Delete(a, op("/{producer_id}/tokens/{token_id}", "accounts:write", "Revoke a product team's token"), func(ctx context.Context, in *tokenInput) (deleted, error) {
		return deleted{in.TokenID}, r.RevokeToken(ctx, in.ProducerID, in.TokenID)
	})
}

// TeamInput names a team in the path.
type TeamInput struct {
	ProducerID string `path:"producer_id" minLength:"32" maxLength:"32" doc:"The product team's id."`
}

type newTeamInput struct {
	Body struct {
		Name         string `json:"name" minLength:"1" maxLength:"200" doc:"Unique among the teams"`
		ContactEmail string `json:"contact_email,omitempty" maxLength:"254"`
	}
}

type changeTeamInput struct {
	TeamInput
	Body struct {
		Name         *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
		ContactEmail *string `json:"contact_email,omitempty" maxLength:"254" doc:"Empty: none"`
	}
}

type newTokenInput struct {
	TeamInput
	Body TokenSpec
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

func (r *Registry) listTeams(c *web.Cursors) web.Handler[listInput, web.Page[Team]] {
	const list = "producers"
	return func(ctx context.Context, in *listInput) (web.Page[Team], error) {
		var from idPlace
		if in.Cursor != "" {
			if err := c.Decode(list, in.Cursor, &from); err != nil {
				return web.Page[Team]{}, err
			}
		}
		teams, err := r.Teams(ctx, from.ID, in.Limit+1)
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
