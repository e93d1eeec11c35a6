package account

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// TokenSpec describes a new token.
type TokenSpec struct {
	Name        string
	Permissions []string
	ExpiresOn   web.Time // zero = never
	IPAllow     []string // CIDRs or addresses; empty = anywhere
}

// NewAPIToken is a token that was just created, with its value, which is not stored.
type NewAPIToken struct {
	Token
	Value string `json:"value" doc:"The secret; it is shown only once"`
}

// CreateToken creates an API token. The creator must have every permission of the
// token, and the limits of a token (its end, its networks) also apply to the
// tokens that it creates.
func (f *Feature) CreateToken(
	ctx context.Context, by *web.Principal, accountID string, spec TokenSpec,
) (NewAPIToken, error) {
	t, err := f.newToken(by, accountID, spec)
	if err != nil {
		return NewAPIToken{}, err
	}
	value, hash := NewToken(TokenPrefix)
	t.hash = hash
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if by.Kind == web.KindToken {
			parent, err := loadToken(ctx, tx, accountID, by.ID)
			if err != nil {
				return err
			}
			if err := checkLimits(parent, t); err != nil {
				return err
			}
		}
		n, err := countTokens(ctx, tx, accountID)
		if err != nil {
			return err
		}
		if n >= MaxTokens {
			return errs.New(errs.CodeLimit, "the account has %d tokens, which is the most it may have", n)
		}
		if err := insertToken(ctx, tx, t); err != nil {
			return err
		}
		return f.record(ctx, tx, by, event.NewAudit(accountID, "create", "token", t.ID, t.Name).Changed(nil, t))
	})
	return NewAPIToken{Token: t, Value: value}, err
}

// newToken checks the spec.
func (f *Feature) newToken(by *web.Principal, accountID string, spec TokenSpec) (Token, error) {
	now := f.micros()
	t := Token{
		ID:        id.At(f.now()),
		Status:    "active",
		CreatedOn: web.TimeOf(now),
		CreatedBy: creator(by),
		IPAllow:   []string{},
		accountID: accountID,
	}
	var faults errs.List
	var err error
	t.Name, err = checkText("/name", spec.Name, 100)
	gather(&faults, err)
	t.Permissions, err = grantable(by, accountID, spec.Permissions)
	gather(&faults, err)
	if !spec.ExpiresOn.IsZero() {
		if spec.ExpiresOn.Micros() <= now {
			gather(&faults, errs.At(errs.CodeOutOfRange, "/expires_on", "expires_on is in the past"))
		}
		t.ExpiresOn = web.TimeOf(spec.ExpiresOn.Micros())
	}
	if len(spec.IPAllow) > MaxIPAllow {
		gather(&faults, errs.At(errs.CodeOutOfRange, "/ip_allow", "ip_allow has more than %d networks", MaxIPAllow))
		return t, faults
	}
	for _, s := range spec.IPAllow {
		n, err := parseNetwork(s)
		gather(&faults, err)
		t.networks = append(t.networks, n)
		t.IPAllow = append(t.IPAllow, n.String())
	}
	return t, faults.Or()
}

// grantable checks the permissions of a new token and returns each once.
func grantable(by *web.Principal, accountID string, wanted []string) (list []string, err error) {
	if len(wanted) == 0 {
		return nil, errs.At(errs.CodeMissingField, "/permissions", "choose at least one permission")
	}
	known := append(AllPermissions(), Everything)
	for _, permission := range wanted {
		if !slices.Contains(known, permission) {
			return nil, errs.At(errs.CodeInvalid, "/permissions", "there is no permission %q; there are %s",
				clip(permission, 64), strings.Join(known, ", "))
		}
		if !holds(by, accountID, permission) {
			return nil, errs.At(errs.CodeForbidden, "/permissions",
				"you can only grant permissions that you have: you lack %s", permission)
		}
		if !slices.Contains(list, permission) {
			list = append(list, permission)
		}
	}
	return list, nil
}

// parseNetwork reads a CIDR or a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, errs.At(errs.CodeInvalid, "/ip_allow",
			"%q is not an address or network such as 192.0.2.0/24 or 2001:db8::/32", clip(s, 64))
	}
	return p.Masked(), nil
}

// checkLimits checks that a token that another token creates has at least its limits.
func checkLimits(parent, child Token) error {
	if end := parent.expiry(); end != 0 && (child.expiry() == 0 || child.expiry() > end) {
		return errs.At(errs.CodeForbidden, "/expires_on",
			"a token that expires cannot create a token that ends later: expires_on is at most %s", parent.ExpiresOn)
	}
	if len(parent.networks) == 0 {
		return nil
	}
	outside := func(n netip.Prefix) bool {
		return !slices.ContainsFunc(parent.networks, func(p netip.Prefix) bool {
			return p.Bits() <= n.Bits() && p.Contains(n.Addr())
		})
	}
	if len(child.networks) == 0 || slices.ContainsFunc(child.networks, outside) {
		return errs.At(errs.CodeForbidden, "/ip_allow",
			"a token that is limited to networks cannot create a token for other networks")
	}
	return nil
}

// Tokens lists the account's tokens after an id, ascending.
func (f *Feature) Tokens(ctx context.Context, accountID, after string, limit int) (list []Token, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = listTokens(ctx, tx, accountID, after, limit)
		return err
	})
	now := f.micros()
	for i := range list {
		list[i] = list[i].at(now)
	}
	return list, err
}

// Token reads one token of the account.
func (f *Feature) Token(ctx context.Context, accountID, tokenID string) (t Token, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		t, err = loadToken(ctx, tx, accountID, tokenID)
		return err
	})
	return t.at(f.micros()), err
}

// RevokeToken ends a token and the customers' sessions that it created, at once in
// this process.
func (f *Feature) RevokeToken(ctx context.Context, by *web.Principal, accountID, tokenID string) error {
	var t Token
	var ended []Hash
	err := f.change(ctx, func(tx *db.Tx) (err error) {
		if t, err = loadToken(ctx, tx, accountID, tokenID); err != nil {
			return err
		}
		if ended, err = deleteMadeBy(ctx, tx, tokenID); err != nil {
			return err
		}
		if err := deleteToken(ctx, tx, accountID, tokenID); err != nil {
			return err
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "revoke", "token", t.ID, t.Name).Changed(t.at(f.micros()), nil))
	})
	f.credentials.Evict(append(ended, t.hash)...)
	return err
}

// RollToken gives a token a new value. The former value ends at once in this process. The principal must have every
// permission of the token, as for its creation.
func (f *Feature) RollToken(ctx context.Context, by *web.Principal, accountID, tokenID string) (NewAPIToken, error) {
	value, hash := NewToken(TokenPrefix)
	var before Token
	err := f.change(ctx, func(tx *db.Tx) (err error) {
		if err = lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if before, err = loadToken(ctx, tx, accountID, tokenID); err != nil {
			return err
		}
		if _, err := grantable(by, accountID, before.Permissions); err != nil {
			return err
		}
		if by.Kind == web.KindToken {
			parent, err := loadToken(ctx, tx, accountID, by.ID)
			if err != nil {
				return err
			}
			if err := checkLimits(parent, before); err != nil {
				return err
			}
		}
		if before.at(f.micros()).Status == "expired" {
			return errs.New(errs.CodeStateConflict, "the token has expired: create a new one")
		}
		_, err = tx.Exec(ctx, `UPDATE api_token SET hash = $3
			WHERE account_id = $1 AND id = $2`, accountID, tokenID, hash[:])
		if err != nil {
			return err
		}
		return f.record(ctx, tx, by, event.NewAudit(accountID, "roll", "token", tokenID, before.Name))
	})
	f.credentials.Evict(before.hash)
	return NewAPIToken{Token: before.at(f.micros()), Value: value}, err
}
