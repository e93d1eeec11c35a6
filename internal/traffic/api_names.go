package traffic

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// overKept is how long pages and answers name a limit after the last name past it.
const overKept = 48 * time.Hour

// TrafficNames are the origins, hostnames and path classes of an account's traffic, and their limit.
type TrafficNames struct {
	Limit int         `json:"limit" doc:"Of each kind, in two days. Requests of further names are counted under the name other"`
	Kinds []NamesKind `json:"kinds"`
}

// NamesKind is the number of names of one kind.
type NamesKind struct {
	Kind  string     `json:"kind" enum:"origin,hostname,path_class"`
	Names int        `json:"names" doc:"Names that were seen in the last two days"`
	Over  *NamesOver `json:"over,omitempty" doc:"Present when there were more than the limit in the last two days"`
}

// NamesOver says since when names are left out.
type NamesOver struct {
	Since    web.Time `json:"since"`
	Last     web.Time `json:"last" doc:"To the minute"`
	Requests int64    `json:"requests" doc:"Requests that were counted under the name other; of metrics, samples"`
	Example  string   `json:"example" doc:"One of the names that were left out"`
}

func (f *Feature) registerNames(api *web.API) {
	web.Get(api, web.Op{
		Path:    "/accounts/{account_id}/traffic/names",
		ID:      "get-traffic-names",
		Tag:     tag,
		Summary: "Get the number of origins, hostnames and path classes, and their limit",
		Description: "An account may have a limited number of each in two days. The requests of further ones are counted " +
			"under the name other, so that the totals of its properties stay exact.",
		Permission: account.SLORead,
	}, func(ctx context.Context, _ *struct{}) (TrafficNames, error) {
		return f.Names(ctx, web.Account(ctx).ID)
	})
	api.Limit("traffic.names", f.maxNames)
}

// Names reads the number of names of an account.
func (f *Feature) Names(ctx context.Context, accountID string) (TrafficNames, error) {
	out := TrafficNames{Limit: f.maxNames}
	for _, kind := range nameKinds {
		out.Kinds = append(out.Kinds, NamesKind{Kind: string(kind)})
	}
	one := func(kind string) *NamesKind {
		return &out.Kinds[slices.IndexFunc(out.Kinds, func(k NamesKind) bool { return k.Kind == kind })]
	}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		for _, kind := range nameKinds {
			err := tx.QueryRow(ctx, `SELECT count(*) FROM traffic_name WHERE account_id = $1 AND kind = $2 AND seen >= $3`,
				accountID, string(kind), f.now().Unix()/3600-namesKept).Scan(&one(string(kind)).Names)
			if err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, `SELECT kind, since, at, requests, example FROM traffic_names_over
			WHERE account_id = $1 AND at >= $2`, accountID, f.now().Add(-overKept).UnixMicro())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind string
			var since, last int64
			var over NamesOver
			if err := rows.Scan(&kind, &since, &last, &over.Requests, &over.Example); err != nil {
				return err
			}
			over.Since = web.TimeOf(since)
			over.Last = web.TimeOf(last)
			one(kind).Over = &over
		}
		return rows.Err()
	})
	return out, err
}
