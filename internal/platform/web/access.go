package web

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// Bearer is the token of the request's Authorization header (RFC 6750). What
// old clients send beside it (X-Auth-Key, X-Auth-Email) is ignored.
func Bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 1024 {
		return "", false
	}
	return token, true
}

// Identify authenticates a request outside the registered operations (pages):
// credential, cross-origin check for cookies, rate limit.
func (a *API) Identify(r *http.Request) (*Principal, error) {
	ctx := r.Context()
	addr := ClientAddr(ctx).String()
	if wait := a.failures.wait(addr); wait > 0 {
		a.deps.Metrics.Refused("rate")
		return nil, errs.New(errs.CodeRateLimited, "too many refused credentials from this address").After(wait)
	}
	p, err := a.deps.Authenticate(ctx, r)
	if err != nil {
		if k := errs.KindOf(err); k == errs.Unauthenticated || k == errs.Forbidden {
			a.failures.take(addr)
			a.deps.Metrics.Refused("authentication")
		}
		return nil, err
	}
	if p == nil {
		return nil, errs.New(errs.CodeAuthentication, "the request has no credential")
	}
	telemetry.Add(ctx, slog.String("principal", p.key()))
	if p.Session {
		// Only cookies are sent by a browser on its own; a bearer token is not.
		if err := a.cross.Check(r); err != nil {
			a.deps.Metrics.Refused("permission")
			return nil, errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
		}
	}
	return p, nil
}

// meter takes one request from the bucket of key.
func (a *API) meter(key string) error {
	if wait := a.rate.take(key); wait > 0 {
		a.deps.Metrics.Refused("rate")
		return errs.New(errs.CodeRateLimited, "more than %g requests a second from this credential", a.cfg.Rate.PerSecond).After(wait)
	}
	return nil
}

// authorise decides who is asking and whether they may, before anything else
// of the request is looked at.
func (x *exchange) authorise(ctx context.Context) (context.Context, error) {
	a, rt := x.api, x.rt
	if rt.Public {
		if rt.Unmetered {
			return ctx, nil
		}
		return ctx, a.meter("address:" + ClientAddr(ctx).String())
	}
	p, err := a.Identify(x.r)
	if err != nil {
		return nil, err
	}
	x.principal = p
	if !rt.Unmetered {
		if err := a.meter(p.key()); err != nil {
			return nil, err
		}
	}
	var account AccountRef
	switch rt.Scope {
	case ScopeAccount:
		account, err = x.reach(ctx, p)
	case ScopeInstallation:
		if !p.Can("", rt.Permission) {
			err = x.deny(ctx, p, "", "the operation belongs to the installation's operators with the permission "+rt.Permission)
		}
	case ScopeProducer:
		if !p.produces(rt.Permission) {
			err = x.deny(ctx, p, "", "the operation belongs to producers and operators with the permission "+rt.Permission)
		}
	}
	if err != nil {
		return nil, err
	}
	return WithPrincipal(ctx, p, account), nil
}

// reach resolves the path's account and checks the permission in it. An
// account that the credential does not reach answers the same 403 whether it
// exists or not; only credentials that reach every account are told of one
// that is missing (404).
func (x *exchange) reach(ctx context.Context, p *Principal) (AccountRef, error) {
	everywhere := p.Superoperator || p.Installation || p.Kind == KindProducer
	id, err := x.api.deps.Resolve(ctx, x.r.PathValue("account_id"))
	switch {
	case err != nil && errs.KindOf(err) != errs.NotFound && errs.KindOf(err) != errs.Invalid:
		return AccountRef{}, err
	case err != nil && everywhere:
		return AccountRef{}, errs.At(errs.CodeNotFound, "account_id", "there is no such account")
	case err != nil || !p.Reaches(id):
		return AccountRef{}, x.deny(ctx, p, id, "the credential does not reach this account")
	case x.rt.Permission != AnyPermission && !p.Can(id, x.rt.Permission):
		return AccountRef{}, x.deny(ctx, p, id, "the credential lacks the permission "+x.rt.Permission)
	}
	telemetry.Add(ctx, slog.String("account", id))
	return AccountRef{ID: id}, nil
}

func (x *exchange) deny(ctx context.Context, p *Principal, accountID, message string) error {
	x.api.deps.Metrics.Refused("permission")
	if x.api.deps.Denied != nil {
		x.api.deps.Denied(ctx, p, x.rt.pattern, accountID)
	}
	return errs.New(errs.CodeForbidden, "%s", message)
}

// slotWait is the Retry-After of a full server.
const slotWait = time.Second
