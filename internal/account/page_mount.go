package account

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Mount adds a page for people who are signed in. pattern is one of
// [http.ServeMux]. With {account_id} in it, permission is asked for in that
// account ([web.AnyPermission]: any right there); without, in the installation,
// and "" lets everybody in who is signed in. The handler finds principal and
// account in its context; an error that it returns becomes its page.
type Mount func(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error)

// PageMount makes the [Mount] of the whole dashboard. A browser without a
// session is sent to the sign-in page. An account that somebody does not reach
// looks like one that does not exist. shell stands around the pages of errors.
func (d *Directory) PageMount(api *web.API, u *ui.UI, shell func(r *http.Request, p *web.Principal, account, section string) ui.Shell) Mount {
	return func(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error) {
		ofAccount := strings.Contains(pattern, "/accounts/{account_id}")
		api.Mount(pattern, stream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, err := api.Identify(r)
			if err != nil {
				if errs.KindOf(err) == errs.Unauthenticated && r.Method == http.MethodGet && !ui.Fragment(r) {
					http.Redirect(w, r, SignInURL(r.URL.RequestURI()), http.StatusSeeOther)
					return
				}
				d.problem(u, w, r, plain(""), err)
				return
			}
			var account web.AccountRef
			if ofAccount {
				account, err = d.enter(r, who, pattern, permission)
			} else if permission != "" && !who.Can("", permission) {
				d.Denied(r.Context(), who, pattern, "")
				err = errNotOperator
			}
			if err == nil && stream {
				var stop func()
				stop, err = api.Watch(r.Context(), who, account.ID, func(ctx context.Context) (*web.Principal, error) {
					return d.readmit(ctx, api, r, permission, ofAccount)
				})
				if err == nil {
					defer stop()
				}
			}
			if err == nil {
				err = h(w, r.WithContext(web.WithPrincipal(r.Context(), who, account)))
			}
			if err != nil {
				d.problem(u, w, r, shell(r, who, account.ID, ""), err)
			}
		}))
	}
}

// readmit decides again whether an open stream may go on.
func (d *Directory) readmit(ctx context.Context, api *web.API, r *http.Request, permission string, ofAccount bool) (*web.Principal, error) {
	who, err := api.Reidentify(ctx, r)
	switch {
	case err != nil:
	case ofAccount:
		_, err = d.mayEnter(ctx, r, who, permission)
	case permission != "" && !who.Can("", permission):
		err = errNotOperator
	}
	return who, err
}

var errNotOperator = errs.New(errs.CodeForbidden, "this page belongs to the operators of the installation")

// enter finds the path's account and checks the permission in it.
func (d *Directory) enter(r *http.Request, who *web.Principal, pattern, permission string) (web.AccountRef, error) {
	ctx := r.Context()
	account, err := d.mayEnter(ctx, r, who, permission)
	if errs.Is(err, errs.CodeNotFound) || errs.Is(err, errs.CodeForbidden) {
		d.Denied(ctx, who, pattern, account.ID)
	}
	if err == nil {
		telemetry.Add(ctx, slog.String("account", account.ID))
	} else if !errs.Is(err, errs.CodeForbidden) {
		account = web.AccountRef{}
	}
	return account, err
}

// mayEnter is enter without effects. With an error the account is the one that
// was asked for, as far as it is known.
func (d *Directory) mayEnter(ctx context.Context, r *http.Request, who *web.Principal, permission string) (web.AccountRef, error) {
	id, err := d.ResolveAccount(ctx, r.PathValue("account_id"))
	switch {
	case err != nil && !errs.Is(err, errs.CodeNotFound):
		return web.AccountRef{}, err
	case err != nil || !who.Reaches(id):
		return web.AccountRef{ID: id}, errs.New(errs.CodeNotFound, "there is no such account, or you do not belong to it")
	case permission != web.AnyPermission && !who.Can(id, permission):
		return web.AccountRef{ID: id}, errs.New(errs.CodeForbidden, "your role in this account does not include this page; an owner or admin can change that")
	}
	return web.AccountRef{ID: id}, nil
}
