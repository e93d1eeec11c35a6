package account

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addConfirmations() {
	p.Public("GET "+ConfirmPath, p.showConfirm)
	p.Public("POST "+ConfirmPath, p.confirmAddress)
	p.Post("/accounts/{account_id}/members/{member_id}/confirmation", MembersWrite, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.sendConfirmation,
		Render: p.renderMember,
		Then:   p.showConfirmation,
	}.Handle)
}

// confirmPage is the data of the template "confirm-address".
type confirmPage struct {
	Error string
	Done  *Confirmed
}

// showConfirm confirms nothing: mail scanners open links too. The secret is in
// the fragment, from which the page's script fills the form.
func (p *pages) showConfirm(v *page.Visit) error { return renderConfirm(v, confirmPage{}, 0) }

func renderConfirm(v *page.Visit, data confirmPage, status int) error {
	return v.Show(page.View{Title: "Confirm your address", Template: "confirm-address", Status: status, Data: data})
}

// confirmAddress reads the secret from the body only.
func (p *pages) confirmAddress(v *page.Visit) error {
	typed := strings.TrimSpace(page.Cut(v.Request.PostFormValue(ConfirmParameter), 2048))
	if _, after, found := strings.Cut(typed, ConfirmParameter+"="); found {
		typed, _, _ = strings.Cut(after, "&")
	}
	done, err := p.ConfirmAddress(v.Request, page.Cut(typed, secretLen+1))
	if err == nil {
		return renderConfirm(v, confirmPage{Done: &done}, 0)
	}

	first := errs.All(err)[0]
	if kind := first.Kind(); kind == errs.Internal || kind == errs.Unavailable {
		return err
	}
	data := confirmPage{Error: ui.FullSentence(first.Message)}
	if first.RetryAfter > 0 {
		data.Error = "Too many attempts. Try again in " + waitWords(first.RetryAfter) + "."
	}
	ui.RetryAfter(v.Writer, err)
	return renderConfirm(v, data, first.Kind().Status())
}

func (p *pages) sendConfirmation(v *page.Visit, f *memberForm) (err error) {
	f.confirmation, err = p.SendConfirmation(v.Context(), v.Who, v.Account, f.member.ID)
	return err
}

// keptMail is the data of the template "confirmation-kept": a mail that was not
// sent, because there is no mail server.
type keptMail struct {
	Mail
	Back string
}

// showConfirmation answers with the mail itself where there is no mail server:
// its link is not stored, so the answer is not a redirect.
func (p *pages) showConfirmation(v *page.Visit, f *memberForm) error {
	href := memberPath(v.Account, f.member.ID)
	if f.confirmation.Sent {
		return v.Redirect(href, "confirmation-sent")
	}
	data := keptMail{Mail: *f.confirmation.Mail, Back: href}
	return v.Show(page.View{Section: "members", Title: "Confirmation mail", Template: "confirmation-kept", Data: data})
}
