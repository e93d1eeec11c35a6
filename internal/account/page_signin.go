package account

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const nextParameter = "next"

// SignInURL is the sign-in page that leads to next, a path of our own, after it.
func SignInURL(next string) string {
	if next = localPath(next); next == "" || next == "/" {
		return SignInPath
	}
	return SignInPath + "?" + url.Values{nextParameter: {next}}.Encode()
}

// localPath is s if it is the path of a page of ours, else "". Browsers take
// "//host" and "/\host" for other sites, and drop tabs and line ends.
func localPath(s string) string {
	if len(s) > 2048 || !utf8.ValidString(s) || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") ||
		strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, `\`) ||
		u.Path == SignInPath || u.Path == SignOutPath || strings.HasPrefix(u.Path, web.Base+"/") {
		return ""
	}
	return s
}

func (p *pages) mountSignIn() {
	public := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		p.Pages.API.MountPublic(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				p.problem(p.UI, w, r, plain(""), err)
			}
		}))
	}
	public("GET "+SignInPath, p.showSignIn)
	public("POST "+SignInPath, p.signIn)
	public("GET "+SignOutPath, p.showSignOut)
	public("POST "+SignOutPath, p.signOut)
}

// plain is what stands around a page for somebody who is not signed in.
func plain(title string) ui.Shell { return ui.Shell{Title: title, Face: ui.Plain} }

// signInForm is the page's state, and what was typed. A link's secret is in the
// fragment of the visitor's URL, from which the page's script takes it.
type signInForm struct {
	Email, Next, Error string
	LinkEnded, Out     bool
	SignedIn           *web.Principal
	Continue           string
}

// joinForm asks somebody who is signed in, and opened an account's link, with
// which sign-in they belong to it.
type joinForm struct {
	*LinkChoice
	Link, Next string
}

// The answers to it.
const (
	joinParameter = "as"
	joinAsMe      = "me"
)

// linkSecret is the secret of what was typed as a link: the whole URL or the
// secret alone.
func linkSecret(typed string) string {
	typed = strings.TrimSpace(clip(typed, 2048))
	if _, after, found := strings.Cut(typed, LinkParameter+"="); found {
		typed, _, _ = strings.Cut(after, "&")
	}
	return clip(typed, secretLen+1) // what is longer is no link
}

func (p *pages) showSignIn(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := signInForm{Next: localPath(q.Get(nextParameter)), Out: ui.Said(r) == "out"}
	f.SignedIn, f.Continue = p.signedIn(r), start(f.Next, nil)
	return p.renderSignIn(w, r, f, 0)
}

// signedIn is who the browser is signed in as already; nil = nobody.
func (p *pages) signedIn(r *http.Request) *web.Principal {
	for _, portal := range []bool{true, false} {
		if _, err := r.Cookie(p.cookieName(portal)); err == nil {
			if _, who, err := p.SessionFromRequest(r.Context(), r); err == nil {
				return who
			}
			break
		}
	}
	return nil
}

// signIn looks at the body alone: a link in the query signs nobody in.
func (p *pages) signIn(w http.ResponseWriter, r *http.Request) error {
	f := signInForm{Email: clip(r.PostFormValue("email"), 254), Next: localPath(r.PostFormValue(nextParameter))}
	var s *Session
	var err error
	if link := linkSecret(r.PostFormValue(LinkParameter)); link != "" {
		if asked, err := p.askJoin(w, r, link, f.Next); asked || err != nil {
			return err
		}
		s, err = p.SignInWithLink(w, r, link)
		f.LinkEnded = errs.Is(err, errs.CodeSignIn)
	} else {
		s, err = p.SignInWithPassword(w, r, f.Email, r.PostFormValue("password"))
	}
	if err == nil {
		return goTo(w, r, p.begins(r, f.Next, s), "")
	}
	first := errs.All(err)[0]
	switch {
	case first.Kind() == errs.Internal || first.Kind() == errs.Unavailable:
		return err
	case f.LinkEnded:
		f.Error = "This link does not sign in any more: it was used, or is older than 15 minutes. Ask for a new one."
	case first.RetryAfter > 0:
		f.Error = "Too many attempts to sign in. Try again in " + waiting(first.RetryAfter) + "."
	default:
		f.Error = ui.FullSentence(first.Message)
	}
	ui.RetryAfter(w, err)
	return p.renderSignIn(w, r, f, first.Kind().Status())
}

// askJoin lets somebody who is signed in join an account with the sign-in that
// they have, when they open its link. false = there is nothing to ask, or they
// chose a sign-in of its own.
func (p *pages) askJoin(w http.ResponseWriter, r *http.Request, link, next string) (bool, error) {
	if err := p.cross.Check(r); err != nil {
		return false, nil // the sign-in says so
	}
	as := r.PostFormValue(joinParameter)
	if as != "" && as != joinAsMe {
		return false, nil
	}
	s := p.current(r)
	choice, err := p.LinkChoice(r.Context(), s, link)
	if err != nil || choice == nil {
		return false, err
	}
	if as == "" {
		return true, p.set.Render(w, r, plain("Invitation"), "join", joinForm{LinkChoice: choice, Link: link, Next: next})
	}
	_, who, err := p.SessionFromRequest(r.Context(), r)
	if err != nil {
		return false, err
	}
	if _, err := p.AcceptInvitation(r.Context(), who, s, choice.AccountID); err != nil {
		return false, err
	}
	return true, goTo(w, r, AccountPath(choice.AccountID), "")
}

// begins is where a session that was just made begins: people who are invited
// see that first, unless they asked for a page.
func (p *pages) begins(r *http.Request, next string, s *Session) string {
	if next == "" && s.Portal == nil {
		if list, err := p.Invitations(r.Context(), s.PersonID); err == nil && len(list) > 0 {
			return InvitationsPath
		}
	}
	return start(next, s)
}

// start is where a session begins. A customers' one reaches one account,
// whatever the browser showed before.
func start(next string, s *Session) string {
	switch {
	case s != nil && s.Portal != nil:
		return AccountPath(s.accountID)
	case next != "":
		return next
	}
	return "/"
}

func (p *pages) renderSignIn(w http.ResponseWriter, r *http.Request, f signInForm, status int) error {
	shell := plain("Sign in")
	shell.Status = status
	return p.set.Render(w, r, shell, "sign-in", f)
}

// showSignOut is for a typed address: a GET ends nothing.
func (p *pages) showSignOut(w http.ResponseWriter, r *http.Request) error {
	return p.set.Render(w, r, plain("Sign out"), "sign-out", p.signedIn(r))
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := p.SignOut(w, r); err != nil {
		return err
	}
	return goTo(w, r, SignInPath, "out")
}
