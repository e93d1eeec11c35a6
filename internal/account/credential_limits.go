package account

import (
	"context"
	"net/netip"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// credentialLimits are the limits of a token. They also apply to the credentials
// that it creates.
type credentialLimits struct {
	until    int64          // microseconds; 0 = none
	networks []netip.Prefix // empty = anywhere
}

func (l credentialLimits) any() bool { return l.until != 0 || len(l.networks) > 0 }

// limitsOf returns the limits of the principal's own credential.
func (f *Feature) limitsOf(
	ctx context.Context, tx *db.Tx, by *web.Principal, accountID string,
) (credentialLimits, error) {
	if by.Kind != web.KindToken {
		return credentialLimits{}, nil
	}
	t, err := loadToken(ctx, tx, accountID, by.ID)
	return credentialLimits{until: t.expiry(), networks: t.networks}, err
}

// maker is the creator of a customers' session, which ends with the creator's rights.
type maker struct {
	kind string // of [web.Kind]; "" = unknown, in rows of earlier versions
	id   string
}

func makerOf(by *web.Principal) maker { return maker{kind: string(by.Kind), id: by.ID} }

// upholds reports whether the maker of a customers' session still has the rights
// to create it. A token that was revoked or has expired, or a member who was
// removed or lost the role, does not.
func (f *Feature) upholds(ctx context.Context, tx *db.Tx, m maker, accountID string, p *Portal) (bool, error) {
	var who web.Principal
	switch web.Kind(m.kind) {
	case web.KindToken:
		t, err := loadToken(ctx, tx, accountID, m.id)
		if err != nil {
			return false, unlessMissing(err)
		}
		if end := t.expiry(); end != 0 && f.micros() >= end {
			return false, nil
		}
		who = web.Principal{Kind: web.KindToken, ID: t.ID, AccountID: t.accountID, Permissions: t.Permissions}
	case web.KindUser, web.KindStaff:
		if m.id == BootstrapID {
			return f.bootstrap != nil, nil
		}
		person, err := loadPerson(ctx, tx, m.id)
		if err != nil {
			return false, unlessMissing(err)
		}
		if who, err = person.principal(ctx, tx); err != nil {
			return false, err
		}
	default:
		return true, nil // Belfry itself, the machine's console, or unknown
	}
	return who.Can(accountID, MembersWrite) && covers(&who, accountID, p.permissions()), nil
}

func unlessMissing(err error) error {
	if errs.Is(err, errs.CodeNotFound) {
		return nil
	}
	return err
}

// within reports whether an address is in one of the networks; none = anywhere.
func within(networks []netip.Prefix, addr netip.Addr) bool {
	return len(networks) == 0 || slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}
