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

// NewAPIToken is a token at the only moment at which its value is known.
type NewAPIToken struct {
	Token
	Value string `json:"value" doc:"The secret; it is shown this once"`
}

// CreateToken makes an API token. The creator must have every permission that
// the token gets, and a token that expires or is bound to networks makes only
// tokens that are bound as much.
func (d *Directory) CreateToken(
	ctx context.Context, by *web.Principal, accountID string, spec TokenSpec,
) (NewAPIToken, error) {
	t, err := d.newToken(by, accountID, spec)
	if err != nil {
		return NewAPIToken{}, err
	}
	value, hash := NewToken(TokenPrefix)
	t.hash = hash
	err = d.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if by.Kind == web.KindToken {
			parent, err := loadToken(ctx, tx, accountID, by.ID)
			if err != nil {
				return err
			}
			if err := bound(parent, t); err != nil {
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
		return d.record(ctx, tx, by, event.NewAudit(accountID, "create", "token", t.ID, t.Name).Changed(nil, t))
	})
	return NewAPIToken{Token: t, Value: value}, err
}

// newToken checks the spec.
func (d *Directory) newToken(by *web.Principal, accountID string, spec TokenSpec) (Token, error) {
	now := d.micros()
	t := Token{ID: id.At(d.now()), accountID: accountID, Status: "active", CreatedOn: web.TimeOf(now),
		CreatedBy: creator(by), IPAllow: []string{}}
	var faults errs.List
	var err error
	t.Name, err = text("/name", spec.Name, 100)
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
		n, err := network(s)
		gather(&faults, err)
		t.networks = append(t.networks, n)
		t.IPAllow = append(t.IPAllow, n.String())
	}
	return t, faults.Or()
}

// grantable checks the permissions of a new token and gives each once.
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
			return nil, errs.At(errs.CodeForbidden, "/permissions", "you can only grant permissions that you have: you lack %s",
				permission)
		}
		if !slices.Contains(list, permission) {
			list = append(list, permission)
		}
	}
	return list, nil
}

// network reads a CIDR or a single address.
func network(s string) (netip.Prefix, error) {
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

// bound reports whether a token's offspring is at least as bound as itself.
func bound(parent, child Token) error {
	if end := parent.expiry(); end != 0 && (child.expiry() == 0 || child.expiry() > end) {
		return errs.At(errs.CodeForbidden, "/expires_on",
			"a token that expires makes no token that lives longer: expires_on is at most %s", parent.ExpiresOn)
	}
	if len(parent.networks) == 0 {
		return nil
	}
	inside := func(n netip.Prefix) bool {
		return slices.ContainsFunc(parent.networks,
			func(p netip.Prefix) bool { return p.Bits() <= n.Bits() && p.Contains(n.Addr()) })
	}
	if len(child.networks) == 0 || slices.ContainsFunc(child.networks, func(n netip.Prefix) bool { return !inside(n) }) {
		return errs.At(errs.CodeForbidden, "/ip_allow",
			"a token that is bound to networks makes no token that may be used from others")
	}
	return nil
}

// Tokens lists the account's tokens after an id, ascending.
func (d *Directory) Tokens(ctx context.Context, accountID, after string, limit int) (list []Token, err error) {
	err = d.db.View(ctx, func(tx *db.Tx) error {
		list, err = listTokens(ctx, tx, accountID, after, limit)
		return err
	})
	now := d.micros()
	for i := range list {
		list[i] = list[i].at(now)
	}
	return list, err
}

// Token reads one token of the account.
func (d *Directory) Token(ctx context.Context, accountID, tokenID string) (t Token, err error) {
	err = d.db.View(ctx, func(tx *db.Tx) error {
		t, err = loadToken(ctx, tx, accountID, tokenID)
		return err
	})
	return t.at(d.micros()), err
}

// RevokeToken ends a token and the customers' sessions that it made, at once in
// this process.
func (d *Directory) RevokeToken(ctx context.Context, by *web.Principal, accountID, tokenID string) error {
	var t Token
	var ended []Hash
	err := d.change(ctx, func(tx *db.Tx) (err error) {
		if t, err = loadToken(ctx, tx, accountID, tokenID); err != nil {
			return err
		}
		if ended, err = deleteMadeBy(ctx, tx, tokenID); err != nil {
			return err
		}
		if err := deleteToken(ctx, tx, accountID, tokenID); err != nil {
			return err
		}
		return d.record(ctx, tx, by,
			event.NewAudit(accountID, "revoke", "token", t.ID, t.Name).Changed(t.at(d.micros()), nil))
	})
	d.credentials.Evict(append(ended, t.hash)...)
	return err
}
