package account

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const nextParameter = "next"

// SignInURL is the sign-in page that continues with next, a path of this server.
func SignInURL(next string) string {
	if next = localPath(next); next == "" || next == "/" {
		return SignInPath
	}
	return SignInPath + "?" + url.Values{nextParameter: {next}}.Encode()
}

// localPath returns s if it is the path of a page of this server, else "".
// Browsers treat "//host" and "/\host" as other sites, and drop tabs and line ends.
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

func (p *pages) addSignIn() {
	p.Public("GET "+SignInPath, p.showSignIn)
	p.Public("POST "+SignInPath, p.signIn)
	p.Public("POST "+SignInPath+"/mail", p.requestLink)
	p.Public("GET "+SignOutPath, p.showSignOut)
	p.Public("POST "+SignOutPath, p.signOut)
}

// signInPage is the data of the template "sign-in". The secret of a one-time
// link is in the fragment of the URL; the page's script moves it into the form.
type signInPage struct {
	Email     string
	Next      string
	Error     string
	LinkEnded bool
	SignedIn  *web.Principal
	Continue  string // path for a visitor who is signed in
	Mails     bool   // the visitor can ask for a link by mail
	MailFault string // of that form
}

// linkSentPage is the data of the template "link-sent".
type linkSentPage struct {
	Email string
	Next  string
}

// requestLink answers in the same way for every address.
func (p *pages) requestLink(v *page.Visit) error {
	email := v.Field("email", 254)
	next := localPath(v.Request.PostFormValue(nextParameter))
	err := p.RequestLink(v.Request, email, next)
	if err == nil {
		return v.Show(page.View{Title: "Link requested", Template: "link-sent", Data: linkSentPage{email, next}})
	}
	first := errs.All(err)[0]
	if first.Kind() == errs.Internal {
		return err
	}
	data := signInPage{Email: email, Next: next, MailFault: ui.FullSentence(first.Message)}
	if first.RetryAfter > 0 {
		data.MailFault = "Too many attempts. Try again in " + waitWords(first.RetryAfter) + "."
	}
	ui.RetryAfter(v.Writer, err)
	return p.renderSignIn(v, data, first.Kind().Status())
}

func (p *pages) renderSignIn(v *page.Visit, data signInPage, status int) error {
	data.Mails = p.MailsLinks()
	return v.Show(page.View{Title: "Sign in", Template: "sign-in", Status: status, Data: data})
}

// joinPage is the data of the template "join", for a visitor who is signed in and
// opened an account's link: the visitor chooses the sign-in with which to join.
type joinPage struct {
	*LinkChoice
	Link string
	Next string
}

// The form field of that choice, and its value for the sign-in of the session.
const (
	joinParameter = "as"
	joinAsMe      = "me"
)

// linkSecret returns the secret in a link that was pasted: the whole URL, or the
// secret only.
func linkSecret(pasted string) string {
	pasted = strings.TrimSpace(clip(pasted, 2048))
	if _, after, found := strings.Cut(pasted, LinkParameter+"="); found {
		pasted, _, _ = strings.Cut(after, "&")
	}
	return clip(pasted, secretLen+1) // a longer one is not a link
}

func (p *pages) showSignIn(v *page.Visit) error {
	next := localPath(v.Query(nextParameter))
	return p.renderSignIn(v, signInPage{
		Next:     next,
		SignedIn: p.signedIn(v.Request),
		Continue: firstPage(next, nil),
	}, 0)
}

// signedIn returns the principal of the browser's session; nil = none.
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

// signIn reads only the body: a link in the query is ignored.
func (p *pages) signIn(v *page.Visit) error {
	r := v.Request
	data := signInPage{Email: v.Field("email", 254), Next: localPath(r.PostFormValue(nextParameter))}
	var s *Session
	var err error
	if secret := linkSecret(r.PostFormValue(LinkParameter)); secret != "" {
		if answered, err := p.joinBySession(v, secret, data.Next); answered || err != nil {
			return err
		}
		s, err = p.SignInWithLink(v.Writer, r, secret)
		data.LinkEnded = errs.Is(err, errs.CodeSignIn)
	} else {
		s, err = p.SignInWithPassword(v.Writer, r, data.Email, r.PostFormValue("password"))
	}
	if err == nil {
		return v.Redirect(p.firstPageOf(r, data.Next, s), "")
	}
	first := errs.All(err)[0]
	switch {
	case first.Kind() == errs.Internal || first.Kind() == errs.Unavailable:
		return err
	case data.LinkEnded:
		data.Error = "This link is not valid any more: it was used or withdrawn, or is too old. Ask for a new one."
	case first.RetryAfter > 0:
		data.Error = "Too many attempts to sign in. Try again in " + waitWords(first.RetryAfter) + "."
	default:
		data.Error = ui.FullSentence(first.Message)
	}
	ui.RetryAfter(v.Writer, err)
	return p.renderSignIn(v, data, first.Kind().Status())
}

// joinBySession lets a visitor who is signed in, and opened an account's link,
// join the account with the sign-in of the session. answered is false if there
// is no choice, or the visitor chose a separate sign-in.
func (p *pages) joinBySession(v *page.Visit, secret, next string) (answered bool, err error) {
	r := v.Request
	if err := p.cross.Check(r); err != nil {
		return false, nil // the sign-in reports it
	}
	as := r.PostFormValue(joinParameter)
	if as != "" && as != joinAsMe {
		return false, nil
	}
	s := p.current(r)
	choice, err := p.LinkChoice(r.Context(), s, secret)
	if err != nil || choice == nil {
		return false, err
	}
	if as == "" {
		return true, v.Show(page.View{Title: "Invitation", Template: "join", Data: joinPage{choice, secret, next}})
	}
	_, who, err := p.SessionFromRequest(r.Context(), r)
	if err != nil {
		return false, err
	}
	if _, err := p.AcceptInvitation(r.Context(), who, s, choice.AccountID); err != nil {
		return false, err
	}
	return true, v.Redirect(AccountPath(choice.AccountID), "")
}

// firstPageOf returns the first page of a new session: the invitations, if there
// are any and the visitor requested no page.
func (p *pages) firstPageOf(r *http.Request, next string, s *Session) string {
	if next == "" && s.Portal == nil {
		if list, err := p.Invitations(r.Context(), s.PersonID); err == nil && len(list) > 0 {
			return InvitationsPath
		}
	}
	return firstPage(next, s)
}

// firstPage returns the first page of a session. A customer's session reaches
// only one account, so the page that the browser requested before is ignored.
func firstPage(next string, s *Session) string {
	switch {
	case s != nil && s.Portal != nil:
		return AccountPath(s.accountID)
	case next != "":
		return next
	}
	return "/"
}

// showSignOut shows a form, because a GET must not end a session.
func (p *pages) showSignOut(v *page.Visit) error {
	return v.Show(page.View{Title: "Sign out", Template: "sign-out", Data: p.signedIn(v.Request)})
}

func (p *pages) signOut(v *page.Visit) error {
	if err := p.SignOut(v.Writer, v.Request); err != nil {
		return err
	}
	return v.Redirect(SignInPath, "signed-out")
}
