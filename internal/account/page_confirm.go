package account

import (
	"net/http"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) mountConfirm() {
	public := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		p.API.MountPublic(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				p.problem(p.UI, w, r, plain(""), err)
			}
		}))
	}
	public("GET "+ConfirmPath, p.showConfirm)
	public("POST "+ConfirmPath, p.confirmAddress)
	p.Mount("POST /accounts/{account_id}/members/{member_id}/confirmation", MembersWrite, false, p.sendConfirmation)
}

// confirmForm is the state of the page to which the link of a mail leads.
type confirmForm struct {
	Error string
	Done  *Confirmed
}

// showConfirm confirms nothing: mail scanners open links too. The secret is in
// the fragment, from which the page's script fills the form.
func (p *pages) showConfirm(w http.ResponseWriter, r *http.Request) error {
	return p.renderConfirm(w, r, confirmForm{}, 0)
}

func (p *pages) renderConfirm(w http.ResponseWriter, r *http.Request, f confirmForm, status int) error {
	shell := plain("Confirm your address")
	shell.Status = status
	return p.set.Render(w, r, shell, "confirm-address", f)
}

// confirmAddress takes the secret from the body alone.
func (p *pages) confirmAddress(w http.ResponseWriter, r *http.Request) error {
	typed := strings.TrimSpace(clip(r.PostFormValue(ConfirmParameter), 2048))
	if _, after, found := strings.Cut(typed, ConfirmParameter+"="); found {
		typed, _, _ = strings.Cut(after, "&")
	}
	done, err := p.ConfirmAddress(r, clip(typed, secretLen+1))
	if err == nil {
		return p.renderConfirm(w, r, confirmForm{Done: &done}, 0)
	}
	first := errs.All(err)[0]
	if kind := first.Kind(); kind == errs.Internal || kind == errs.Unavailable {
		return err
	}
	f := confirmForm{Error: ui.FullSentence(first.Message)}
	if first.RetryAfter > 0 {
		f.Error = "Too many attempts. Try again in " + waiting(first.RetryAfter) + "."
	}
	ui.RetryAfter(w, err)
	return p.renderConfirm(w, r, f, first.Kind().Status())
}

// sendConfirmation answers with the mail itself where there is no mail server:
// its link is not kept.
func (p *pages) sendConfirmation(w http.ResponseWriter, r *http.Request) error {
	v, memberID := accountVisit(r), r.PathValue("member_id")
	c, err := p.SendConfirmation(v.ctx, v.who, v.account, memberID)
	if err != nil {
		f, ok := ui.FaultsOf(err)
		if !ok {
			return err
		}
		return p.memberPage(w, v, memberID, f)
	}
	href := MembersPath(v.account) + "/" + memberID
	if c.Sent {
		return goTo(w, r, href, "confirmation-sent")
	}
	return p.show(w, v, "confirmation-kept", view{section: "members", title: "Confirmation mail", data: keptMail{Mail: *c.Mail, Back: href}})
}

// keptMail is a mail that was not sent, because there is no mail server.
type keptMail struct {
	Mail
	Back string
}
