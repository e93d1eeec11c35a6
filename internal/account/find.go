package account

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Rows that one search reads at most.
const (
	searchedZones    = MaxZones + MaxSeen
	searchedAccounts = 5000 // the newest accounts of the installation
	searchedAliases  = 50
)

// finders find properties, members, tokens and accounts.
func (f *Feature) finders() feature.Finders {
	return feature.Finders{
		{Kind: "zone", Label: "Properties", Icon: "globe", Permission: AccountsRead, Find: f.findZones},
		{Kind: "member", Label: "Members", Icon: "users", Permission: MembersRead, Find: f.findMembers},
		{Kind: "token", Label: "API tokens", Icon: "key", Permission: TokensRead, Find: f.findTokens},
		{Kind: "account", Label: "Accounts", Icon: "building-2", Permission: web.AnyPermission, Find: f.findOwnAccounts},
		{
			Kind: "customer", Label: "Accounts of the installation", Icon: "building-2", Permission: AccountsRead,
			Console: true, Find: f.findCustomers,
		},
	}
}

// actions are the feature's entries of the palette.
func (f *Feature) actions() []feature.Action {
	const base = "/accounts/{account_id}"
	return []feature.Action{
		{
			Label: "Add a property", Words: "create zone site service hostname", Icon: "globe",
			Href: base + "/properties/new", Permission: AccountsWrite,
		},
		{
			Label: "Invite a member", Words: "add person user colleague invitation", Icon: "user-plus",
			Href: base + "/members/new", Permission: MembersWrite,
		},
		{
			Label: "Create an API token", Words: "new key credential secret", Icon: "key",
			Href: base + "/tokens/new", Permission: TokensWrite,
		},
		{
			Label: "Create an account", Words: "new customer tenant", Icon: "building-2",
			Href: AccountsPath + "/new", Permission: AccountsWrite, Console: true,
		},
	}
}

func (f *Feature) findZones(ctx context.Context, accountID, query string, limit int) (list []feature.Match, err error) {
	match := func(z Zone) feature.Match {
		m := feature.Match{
			ID:     z.ID,
			Title:  z.Name,
			Detail: string(z.Environment),
			Href:   PropertiesPath(accountID) + "/" + z.ID,
			Names:  z.Aliases,
		}
		if !z.Verified {
			m.Detail += ", seen in traffic"
		}
		return m
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		zones, err := db.Collect(ctx, tx, scanZone, selectZone+`
			WHERE account_id = $1
			ORDER BY id LIMIT $2`, accountID, searchedZones)
		if err != nil {
			return err
		}
		byID := map[string]int{}
		for i, z := range zones {
			byID[z.ID] = i
			list = append(list, match(z))
		}
		prefix := strings.ToLower(query)
		if prefix == "" {
			return nil
		}
		type alias struct{ zoneID, ref string }
		scan := func(row db.Row) (a alias, err error) { return a, row.Scan(&a.zoneID, &a.ref) }
		aliases, err := db.Collect(ctx, tx, scan, `SELECT zone_id, ref FROM zone_ref
			WHERE account_id = $1 AND ref >= $2 AND ref < $3 ORDER BY ref LIMIT $4`,
			accountID, prefix, prefix+"\U0010ffff", searchedAliases)
		for _, a := range aliases {
			if i, ok := byID[a.zoneID]; ok {
				list[i].Names = append(list[i].Names, a.ref)
			}
		}
		return err
	})
	return feature.Best(query, limit, list), err
}

func (f *Feature) findMembers(ctx context.Context, accountID, query string, limit int) ([]feature.Match, error) {
	var list []feature.Match
	err := f.db.View(ctx, func(tx *db.Tx) error {
		members, err := listMembers(ctx, tx, accountID, "", MaxMembers)
		for _, m := range members {
			match := feature.Match{
				ID:     m.ID,
				Title:  cmp.Or(m.Name, m.Email),
				Detail: m.Email + ", " + string(m.Role),
				Href:   memberPath(accountID, m.ID),
				At:     m.LastEnteredOn.Time,
				Names:  []string{m.Email},
			}
			if m.Status == StatusPending {
				match.Detail += ", invited"
				match.Tone = ui.Warn
			}
			list = append(list, match)
		}
		return err
	})
	return feature.Best(query, limit, list), err
}

func (f *Feature) findTokens(ctx context.Context, accountID, query string, limit int) ([]feature.Match, error) {
	var list []feature.Match
	err := f.db.View(ctx, func(tx *db.Tx) error {
		tokens, err := listTokens(ctx, tx, accountID, "", MaxTokens)
		for _, t := range tokens {
			t = t.at(f.micros())
			match := feature.Match{
				ID:     t.ID,
				Title:  t.Name,
				Detail: t.Status,
				Href:   tokenPath(accountID, t.ID),
				At:     t.LastUsedOn.Time,
			}
			if t.Status == "expired" {
				match.Tone = ui.Warn
			}
			list = append(list, match)
		}
		return err
	})
	return feature.Best(query, limit, list), err
}

// findOwnAccounts finds the accounts in which the principal of the request has a role of its own.
func (f *Feature) findOwnAccounts(ctx context.Context, accountID, query string, limit int) ([]feature.Match, error) {
	who := web.CurrentPrincipal(ctx)
	if who == nil || len(who.Grants) == 0 {
		return nil, nil
	}
	var ids []string
	for granted, permissions := range who.Grants {
		if len(permissions) > 0 && granted != accountID && len(ids) < MaxAccounts {
			ids = append(ids, granted)
		}
	}
	var list []feature.Match
	err := f.db.View(ctx, func(tx *db.Tx) error {
		for _, one := range ids {
			a, err := loadAccount(ctx, tx, one)
			if errs.Is(err, errs.CodeNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			list = append(list, accountMatch(a))
		}
		return nil
	})
	slices.SortFunc(list, func(a, b feature.Match) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)), strings.Compare(a.ID, b.ID))
	})
	return feature.Best(query, limit, list), err
}

// findCustomers finds all accounts of the installation for the operators: by id and external id, and by name among
// the newest.
func (f *Feature) findCustomers(ctx context.Context, _, query string, limit int) ([]feature.Match, error) {
	var list []feature.Match
	add := func(a Account, err error) error {
		if errs.Is(err, errs.CodeNotFound) {
			return nil
		}
		if err == nil {
			list = append(list, customerMatch(a))
		}
		return err
	}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		external := strings.TrimPrefix(query, externalPrefix)
		if query != "" {
			if err := add(loadAccount(ctx, tx, query)); err != nil {
				return err
			}
			if err := add(loadAccountByExternal(ctx, tx, external)); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			return nil
		}
		newest, err := db.Collect(ctx, tx, scanAccount, `SELECT `+accountColumns+` FROM account
			ORDER BY id DESC LIMIT $1`, searchedAccounts)
		for _, a := range newest {
			if a.ID != Installation {
				list = append(list, customerMatch(a))
			}
		}
		list = feature.Best(query, limit, list)
		return err
	})
	return list, err
}

func accountMatch(a Account) feature.Match {
	m := feature.Match{ID: a.ID, Title: a.Name, Detail: a.ExternalID, Href: AccountPath(a.ID)}
	if a.ExternalID != "" {
		m.Names = []string{a.ExternalID}
	}
	return m
}

// customerMatch leads to the operators' page about the account.
func customerMatch(a Account) feature.Match {
	m := accountMatch(a)
	m.Href = CustomerPath(a.ID)
	return m
}
