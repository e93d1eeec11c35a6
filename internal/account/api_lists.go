package account

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Lists over all accounts that a credential may read, with the filters of
// official clients.

type accountsIn struct {
	web.AnyPaging
	Name string `query:"name" maxLength:"200" doc:"Only accounts with this name, in upper or lower case"`
}

type zonesIn struct {
	web.AnyPaging
	Name      string `query:"name" maxLength:"255" doc:"Only zones with this name"`
	AccountID string `query:"account.id" maxLength:"64" doc:"Only zones of this account"`
}

// OwnedZone is a zone with its account.
type OwnedZone struct {
	Zone
	Account ZoneAccount `json:"account"`
}

// ZoneAccount is the account of a zone.
type ZoneAccount struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// readAtOnce is the number of accounts that one query reads in a search by name.
const readAtOnce = 1000

// accountsNamed lists the accounts with a name, or all if it is empty.
func (f *Feature) accountsNamed(
	ctx context.Context, by *web.Principal, name, after string, limit int,
) ([]Account, error) {
	if name == "" {
		return f.Accounts(ctx, by, after, limit)
	}
	found := []Account{}
	for len(found) < limit {
		list, err := f.Accounts(ctx, by, after, readAtOnce)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if strings.EqualFold(a.Name, name) && len(found) < limit {
				found = append(found, a)
			}
		}
		if len(list) < readAtOnce {
			break
		}
		after = list[len(list)-1].ID
	}
	return found, nil
}

// rolesAfter lists the roles that follow one, in their own order.
func rolesAfter(after web.Keyset, limit int) ([]RoleInfo, error) {
	all := Roles()
	if at := slices.Index(all, Role(after.ID)); at >= 0 {
		all = all[at+1:]
	}
	list := []RoleInfo{}
	for _, r := range all[:min(limit, len(all))] {
		list = append(list, RoleInfo{r, r.Description(), r.Permissions()})
	}
	return list, nil
}

// AllZones lists the zones after an id, ascending, of all accounts that the
// principal may read; accountID and name narrow the list unless they are empty.
func (f *Feature) AllZones(
	ctx context.Context, by *web.Principal, accountID, name, after string, limit int,
) (list []OwnedZone, err error) {
	only := readable(by)
	if only != nil && accountID != "" && slices.Contains(only, accountID) {
		only = []string{accountID}
	} else if only != nil && accountID != "" {
		only = []string{}
	}
	if only != nil && len(only) == 0 {
		return []OwnedZone{}, nil
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = listAllZones(ctx, tx, zoneQuery{only, accountID, fold(name), after, limit})
		return err
	})
	return list, err
}

// zoneQuery selects zones of several accounts.
type zoneQuery struct {
	only      []string // ids of accounts; nil = all
	accountID string   // "" = any
	name      string   // folded; "" = any
	after     string   // id of a zone
	limit     int
}

func listAllZones(ctx context.Context, tx *db.Tx, q zoneQuery) ([]OwnedZone, error) {
	query := `SELECT z.id, z.name, z.environment, z.created_at, z.modified_at, a.id, a.name
		FROM zone z JOIN account a ON a.id = z.account_id
		WHERE z.id > $1 AND ($3 = '' OR z.account_id = $3)
			AND ($2 = '' OR EXISTS (SELECT 1 FROM zone_ref r WHERE r.zone_id = z.id AND r.position = 0 AND r.ref = $2))`
	args := []any{
		q.after,
		q.name,
		q.accountID,
		q.limit,
	}
	if q.only != nil {
		marks := make([]string, len(q.only))
		for i, accountID := range q.only {
			args = append(args, accountID)
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		query += ` AND z.account_id IN (` + strings.Join(marks, ", ") + `)`
	}
	scan := func(row db.Row) (z OwnedZone, err error) {
		var created, modified int64
		err = row.Scan(&z.ID, &z.Name, &z.Environment, &created, &modified, &z.Account.ID, &z.Account.Name)
		z.CreatedOn = moment(created)
		z.ModifiedOn = moment(modified)
		z.Aliases = []string{}
		return z, err
	}
	list, err := db.Collect(ctx, tx, scan, query+` ORDER BY z.id LIMIT $4`, args...)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Aliases, err = listAliases(ctx, tx, list[i].ID); err != nil {
			return nil, err
		}
	}
	return list, nil
}
