package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type zoneIn struct {
	Body ZoneCreate
}

// ZoneCreate is the request body for a new zone.
type ZoneCreate struct {
	Name        string      `json:"name" minLength:"1" maxLength:"255"`
	Aliases     []string    `json:"aliases,omitempty" maxItems:"100" doc:"Further hostnames and origins of this zone"`
	Environment Environment `json:"environment,omitempty" enum:"production,staging,test" doc:"production by default"`
}

type zonePath struct {
	ZoneID string `path:"zone_id" maxLength:"255" doc:"Its id, name or alias"`
}

type zonePatch struct {
	ZoneID string `path:"zone_id" maxLength:"255" doc:"Its id, name or alias"`
	Body   ZoneUpdate
}

// ZoneUpdate is the request body for changes of a zone.
type ZoneUpdate struct {
	Name        *string      `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Aliases     *[]string    `json:"aliases,omitempty" maxItems:"100" doc:"Replaces all aliases"`
	Environment *Environment `json:"environment,omitempty" enum:"production,staging,test"`
}

func (f *Feature) registerZones(api *web.API) {
	const tag = "Zones"
	const base = "/accounts/{account_id}/zones"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-zones",
		Tag:        tag,
		Summary:    "List zones",
		Permission: AccountsRead,
	}, func(ctx context.Context, in *web.AnyPaging) (web.Page[Zone], error) {
		accountID := web.Account(ctx).ID
		return web.ReadAnyPage(api.Cursors(), "zones "+accountID, *in, zoneKey,
			func(after web.Keyset, limit int) ([]Zone, error) { return f.Zones(ctx, accountID, after.ID, limit) })
	})
	web.Get(api, web.Op{
		Path:        "/zones",
		ID:          "list-zones-of-all-accounts",
		Tag:         tag,
		Summary:     "List zones of all accounts",
		Description: "The zones of the accounts that the credential may read, each with its account.",
		Scope:       web.ScopeSelf,
	}, func(ctx context.Context, in *zonesIn) (web.Page[OwnedZone], error) {
		by := web.CurrentPrincipal(ctx)
		list := "zones of " + string(by.Kind) + " " + by.ID + " " + in.Name + " " + in.AccountID
		return web.ReadAnyPage(api.Cursors(), list, in.AnyPaging, ownedZoneKey,
			func(after web.Keyset, limit int) ([]OwnedZone, error) {
				return f.AllZones(ctx, by, in.AccountID, in.Name, after.ID, limit)
			})
	})
	web.Post(api, web.Op{
		Path:       base,
		ID:         "create-zone",
		Errors:     []errs.Code{errs.CodeExists, errs.CodeLimit},
		Tag:        tag,
		Summary:    "Create a zone",
		Permission: AccountsWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *zoneIn) (Zone, error) {
		spec := ZoneSpec{Name: &in.Body.Name, Aliases: &in.Body.Aliases}
		if in.Body.Environment != "" {
			spec.Environment = &in.Body.Environment
		}
		return f.CreateZone(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, spec)
	})
	web.Get(api, web.Op{
		Path:       base + "/{zone_id}",
		ID:         "get-zone",
		Tag:        tag,
		Summary:    "Read a zone",
		Permission: AccountsRead,
	}, func(ctx context.Context, in *zonePath) (Zone, error) {
		return f.readZone(ctx, web.Account(ctx).ID, in.ZoneID)
	})
	web.Patch(api, web.Op{
		Path:       base + "/{zone_id}",
		ID:         "update-zone",
		Errors:     []errs.Code{errs.CodeExists, errs.CodeStale},
		Tag:        tag,
		Summary:    "Change a zone",
		Permission: AccountsWrite,
	}, func(ctx context.Context, in *zonePatch) (Zone, error) {
		z, err := f.readZone(ctx, web.Account(ctx).ID, in.ZoneID)
		if err != nil {
			return z, err
		}
		return f.UpdateZone(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, z.ID,
			ZoneSpec{in.Body.Name, in.Body.Aliases, in.Body.Environment})
	})
	web.Delete(api, web.Op{
		Path:       base + "/{zone_id}",
		ID:         "delete-zone",
		Tag:        tag,
		Summary:    "Delete a zone",
		Permission: AccountsWrite,
	}, func(ctx context.Context, in *zonePath) (Deleted, error) {
		z, err := f.readZone(ctx, web.Account(ctx).ID, in.ZoneID)
		if err != nil {
			return Deleted{}, err
		}
		return Deleted{z.ID}, f.DeleteZone(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, z.ID)
	})
}
