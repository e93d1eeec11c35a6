package account

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// BootstrapID is the id of the principal of the bootstrap token.
const BootstrapID = "bootstrap"

// credential is a stored token or session with its principal. It is shared by
// requests; only noted and entered change.
type credential struct {
	principal web.Principal  // without the address
	ends      int64          // microseconds; 0 = never
	networks  []netip.Prefix // from which it may be used; empty = anywhere
	session   *Session       // nil for a token
	noted     atomic.Int64   // the last use that is stored or waits to be stored
	entered   sync.Map       // of a person's session: the accounts whose records have its sign-in
}

// Authenticate finds the sender of the request: the owner of its bearer token,
// else of its session cookie. It is a [web.Authenticate]; the app passes tokens
// with other prefixes to other features.
//
// A request with neither has a nil principal. Errors: CodeAuthentication
// (unknown, revoked, mistyped), CodeTokenExpired, CodeTokenAddress, CodeUnavailable.
func (f *Feature) Authenticate(ctx context.Context, r *http.Request) (*web.Principal, error) {
	value, ok := web.Bearer(r)
	if !ok && r.Header.Get("Authorization") != "" {
		return nil, f.refused("malformed",
			errs.New(errs.CodeAuthentication, "the Authorization header is not of the form: Bearer TOKEN"))
	}
	if !ok && !f.hasSessionCookie(r) {
		return nil, nil
	}
	if !ok {
		_, p, err := f.SessionFromRequest(ctx, r)
		return p, err
	}
	addr := web.ClientAddr(ctx)
	hash := HashOf(value)
	if f.bootstrap != nil && subtle.ConstantTimeCompare(hash[:], f.bootstrap[:]) == 1 {
		return &web.Principal{
			Kind:          web.KindStaff,
			ID:            BootstrapID,
			Name:          "bootstrap token",
			Installation:  true,
			Superoperator: true,
			IP:            addr,
		}, nil
	}
	if _, err := ParseToken(TokenPrefix, value); err != nil {
		return nil, f.refused("malformed", err)
	}
	c, err := f.credentials.Get(ctx, hash, func(ctx context.Context) (*credential, error) {
		return f.loadTokenCredential(ctx, hash)
	})
	if err != nil {
		if errs.KindOf(err) == errs.Unauthenticated {
			return nil, f.refused("unknown", err)
		}
		return nil, err
	}
	now := f.micros()
	if c.ends != 0 && now >= c.ends {
		return nil, f.refused("expired", errs.New(errs.CodeTokenExpired, "the token expired at %s", web.TimeOf(c.ends)))
	}
	if !within(c.networks, addr) {
		return nil, f.refused("address", errs.New(errs.CodeTokenAddress, "the token may not be used from %s", addr))
	}
	if !web.Rechecking(ctx) && c.stale(now) {
		f.uses.token(c.principal.ID, now)
	}
	p := c.principal
	p.IP = addr
	if c.ends != 0 {
		p.Ends = time.UnixMicro(c.ends)
	}
	return &p, nil
}

// stale reports that the last use is due to be written again; only one of several
// concurrent requests gets true.
func (c *credential) stale(now int64) bool {
	last := c.noted.Load()
	return now-last >= useInterval.Microseconds() && c.noted.CompareAndSwap(last, now)
}

func (f *Feature) refused(reason string, err error) error {
	f.metrics.refused.WithLabelValues(reason).Inc()
	return err
}

func (f *Feature) loadTokenCredential(ctx context.Context, h Hash) (*credential, error) {
	var t Token
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		t, err = loadTokenByHash(ctx, tx, h)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.CodeAuthentication, "the token is not known, or was revoked")
	}
	if err != nil {
		return nil, err
	}
	c := &credential{
		principal: web.Principal{
			Kind:        web.KindToken,
			ID:          t.ID,
			Name:        t.Name,
			AccountID:   t.accountID,
			Permissions: t.Permissions,
		},
		ends:     t.expiry(),
		networks: t.networks,
	}
	if !t.LastUsedOn.IsZero() {
		c.noted.Store(t.LastUsedOn.Micros())
	}
	return c, nil
}
