package web

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// Bearer is the token of the request's Authorization header (RFC 6750). The headers of
// old clients (X-Auth-Key, X-Auth-Email) are ignored.
func Bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 1024 {
		return "", false
	}
	return token, true
}

// withPasswordAsToken turns basic authentication into a bearer token: the password, or
// the user name when there is none (https://TOKEN@host/).
func withPasswordAsToken(r *http.Request) *http.Request {
	user, password, ok := r.BasicAuth()
	if !ok {
		return r
	}
	clone := *r
	clone.Header = r.Header.Clone()
	clone.Header.Set("Authorization", "Bearer "+cmp.Or(password, user))
	return &clone
}

// Identify authenticates a request outside the registered operations (pages):
// credential, cross-origin check for cookies, and the slot of the request, which
// counts for the principal from now on.
//
// Only wrong credentials count against an address, and they block only further wrong
// ones: an address may be shared by many people, and a request without a credential
// says nothing about them.
func (a *API) Identify(r *http.Request) (*Principal, error) {
	ctx := r.Context()
	p, err := a.identify(ctx, r)
	switch kind := errs.KindOf(err); {
	case errs.Is(err, errs.CodeCrossOrigin):
		a.deps.Metrics.Refused("permission")
		return nil, err
	case kind == errs.Unauthenticated || kind == errs.Forbidden:
		a.deps.Metrics.Refused("authentication")
		if errors.Is(err, errNoCredential) {
			return nil, err
		}
		if wait := a.failures.take(network(ClientAddr(ctx))); wait > 0 {
			a.deps.Metrics.Refused("rate")
			return nil, errs.New(errs.CodeRateLimited, "too many refused credentials from this address").After(wait)
		}
		return nil, err
	case err != nil:
		return nil, err
	}
	telemetry.Add(ctx, slog.String("principal", p.Key()))
	if pl := stateOf(ctx).place; pl != nil && pl.pool != nil {
		if err := pl.replace(pl.pool.ofPrincipal(p)); err != nil {
			a.deps.Metrics.Refused("busy")
			return nil, err
		}
	}
	return p, nil
}

// identify authenticates without any effect on limits.
func (a *API) identify(ctx context.Context, r *http.Request) (*Principal, error) {
	p, err := a.deps.Authenticate(ctx, r)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, errNoCredential
	}
	if p.Session {
		// Only cookies are sent by a browser on its own; a bearer token is not.
		if err := a.cross.Check(r); err != nil {
			return nil, errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
		}
	}
	return p, nil
}

var errNoCredential = errs.New(errs.CodeAuthentication, "the request has neither a token nor a session")

// meter takes one request from the bucket of key.
func (a *API) meter(key string) error {
	if wait := a.rate.take(key); wait > 0 {
		a.deps.Metrics.Refused("rate")
		return errs.New(errs.CodeRateLimited, "more than %g requests a second from this credential",
			a.cfg.Rate.PerSecond).After(wait)
	}
	return nil
}

// authorise authenticates the request and checks its permission, before anything else
// of the request is read.
func (x *exchange) authorise(ctx context.Context) (context.Context, error) {
	a, rt := x.api, x.rt
	if rt.Public {
		if rt.Unmetered {
			return ctx, nil
		}
		return ctx, a.meter("address:" + network(ClientAddr(ctx)))
	}
	if rt.Basic {
		x.r = withPasswordAsToken(x.r)
	}
	p, err := a.Identify(x.r)
	if err != nil {
		return nil, err
	}
	x.principal = p
	if !rt.Unmetered {
		if err := a.meter(p.Key()); err != nil {
			return nil, err
		}
	}
	account, err := x.permit(ctx, p)
	if errs.Is(err, errs.CodeForbidden) {
		a.deps.Metrics.Refused("permission")
		if a.deps.Denied != nil {
			a.deps.Denied(ctx, p, rt.pattern, account.ID)
		}
	}
	if err != nil {
		return nil, err
	}
	if account.ID != "" {
		telemetry.Add(ctx, slog.String("account", account.ID))
		if pl := stateOf(ctx).place; pl != nil && pl.pool != nil {
			if err := pl.add(pl.pool.ofAccount(account.ID)); err != nil {
				a.deps.Metrics.Refused("busy")
				return nil, err
			}
		}
	}
	return WithPrincipal(ctx, p, account), nil
}

// readmit authorises an open stream again.
func (x *exchange) readmit(ctx context.Context) (*Principal, error) {
	p, err := x.api.Reidentify(ctx, x.r)
	if err != nil {
		return nil, err
	}
	_, err = x.permit(ctx, p)
	return p, err
}

// permit decides what the principal may do with the route. With an error of
// CodeForbidden the account is the one that was asked for, as far as it is known.
func (x *exchange) permit(ctx context.Context, p *Principal) (account AccountRef, err error) {
	switch x.rt.Scope {
	case ScopeAccount:
		return x.reach(ctx, p)
	case ScopeInstallation:
		if !p.Can("", x.rt.Permission) {
			err = errs.New(errs.CodeForbidden, "the operation belongs to the installation's operators with the permission %s",
				x.rt.Permission)
		}
	case ScopeProducer:
		if !p.produces(x.rt.Permission) {
			err = errs.New(errs.CodeForbidden, "the operation belongs to producers and operators with the permission %s",
				x.rt.Permission)
		}
	}
	return account, err
}

// reach resolves the path's account and checks the permission in it. For an account
// that the credential does not reach, the answer is the same 403 whether it exists or
// not; only credentials that reach every account get a 404 for a missing one.
func (x *exchange) reach(ctx context.Context, p *Principal) (AccountRef, error) {
	everywhere := p.Superoperator || p.Installation || p.Kind == KindProducer
	id, err := x.api.deps.Resolve(ctx, x.r.PathValue("account_id"))
	switch {
	case err != nil && errs.KindOf(err) != errs.NotFound && errs.KindOf(err) != errs.Invalid:
		return AccountRef{}, err
	case err != nil && everywhere:
		return AccountRef{}, errs.At(errs.CodeNotFound, "account_id", "there is no such account")
	case err != nil || !p.Reaches(id):
		return AccountRef{ID: id}, errs.New(errs.CodeForbidden, "the credential does not reach this account")
	case x.rt.Permission != AnyPermission && !p.Can(id, x.rt.Permission):
		return AccountRef{ID: id}, errs.New(errs.CodeForbidden, "the credential lacks the permission %s", x.rt.Permission)
	}
	return AccountRef{ID: id}, nil
}

// slotWait is the Retry-After of a full server.
const slotWait = time.Second
