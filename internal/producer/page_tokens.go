package producer

import (
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// soonExpires is the time before a token's end in which pages warn.
const soonExpires = 7 * 24 * time.Hour

func (p *pages) addTokens() {
	const base = TeamsPath + "/{producer_id}/tokens"
	p.Get(base, pagesRead, p.showTokens)
	p.Get(base+"/new", pagesWrite, p.showNewToken)
	p.Post(base+"/new", pagesWrite, page.Form[tokenForm]{
		Parse:  p.parseTokenForm,
		Do:     p.createToken,
		Fields: []string{"name", "ip_allow"},
		Render: p.renderNewToken,
		Then:   p.showCreatedToken,
	}.Handle)
	p.Confirm(base+"/{token_id}/revoke", pagesWrite, p.confirmRevokeToken, p.revokeToken)
}

// tokenView is a token without its value.
type tokenView struct {
	Token
	Expired bool
	Soon    bool   // it ends within soonExpires
	Revoke  string // path
}

func (p *pages) tokenView(teamID string, t Token) tokenView {
	ends := !t.ExpiresOn.IsZero()
	left := t.ExpiresOn.Sub(p.now())
	return tokenView{
		Token:   t,
		Expired: ends && left <= 0,
		Soon:    ends && left > 0 && left < soonExpires,
		Revoke:  teamPath(teamID) + "/tokens/" + t.ID + "/revoke",
	}
}

// tokenForm is the input for a new token.
type tokenForm struct {
	Name     string
	Expires  string // a preset of account.Expiries
	Allow    string
	Expiries [][2]string
	Faults   ui.Faults

	expiresOn web.Time
	created   NewToken
}

// tokensPage is the data of the template "team-tokens".
type tokensPage struct {
	Head   teamHead
	Rows   []tokenView
	Create string // path; "" = the visitor may not
}

func (p *pages) showTokens(v *page.Visit) error {
	h, err := p.head(v, "Tokens")
	if err != nil {
		return err
	}
	list, err := p.Tokens(v.Context(), h.ID)
	if err != nil {
		return err
	}
	data := tokensPage{Head: h}
	if h.CanWrite {
		data.Create = h.Href + "/tokens/new"
	}
	for _, t := range list {
		data.Rows = append(data.Rows, p.tokenView(h.ID, t))
	}
	return showTeamPage(v, h, "team-tokens", ui.Faults{}, data)
}

// newTokenPage is the data of the template "team-token-new".
type newTokenPage struct {
	Head teamHead
	Form tokenForm
}

func (p *pages) showNewToken(v *page.Visit) error {
	return p.renderNewToken(v, &tokenForm{Expires: account.UsualExpiry}, ui.Faults{})
}

func (p *pages) renderNewToken(v *page.Visit, f *tokenForm, faults ui.Faults) error {
	h, err := p.head(v, "Tokens")
	if err != nil {
		return err
	}
	f.Expiries = account.Expiries()
	f.Faults = faults
	return showTeamPage(v, h, "team-token-new", faults, newTokenPage{h, *f})
}

func (p *pages) parseTokenForm(v *page.Visit) (tokenForm, error) {
	f := tokenForm{Name: v.Field("name", 1024), Allow: v.Field("ip_allow", 8192)}
	f.Expires, f.expiresOn = account.Expiry(v.Field("expires", 16), p.now())
	return f, nil
}

func (p *pages) createToken(v *page.Visit, f *tokenForm) (err error) {
	allow := ui.Entries(f.Allow)
	if len(allow) > account.MaxIPAllow {
		return errs.At(errs.CodeOutOfRange, "/ip_allow", "a token has at most %d networks", account.MaxIPAllow)
	}
	spec := TokenCreate{Name: f.Name, ExpiresOn: f.expiresOn, IPAllow: allow}
	f.created, err = p.CreateToken(v.Context(), v.PathValue("producer_id"), spec)
	return err
}

// createdTokenPage is the data of the template "team-token-created".
type createdTokenPage struct {
	Head  teamHead
	Name  string
	Value string
	Apply string // command
	Send  string // command
}

// showCreatedToken is the only page that shows the value, which is not stored: so
// the answer is not a redirect.
func (p *pages) showCreatedToken(v *page.Visit, f *tokenForm) error {
	h, err := p.head(v, "Tokens")
	if err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  "producers",
		Title:    "Token created",
		Template: "team-token-created",
		Data: createdTokenPage{
			Head:  h,
			Name:  f.created.Name,
			Value: f.created.Value,
			Apply: p.applyCommand(h.ID, f.created.Value),
			Send:  p.sendCommand(),
		},
	})
}

// applyCommand declares a catalogue with a token.
func (p *pages) applyCommand(teamID, value string) string {
	return "export BELFRY_URL=" + p.URL() + "\n" +
		"export BELFRY_PRODUCER=" + teamID + "\n" +
		"export BELFRY_TOKEN=" + value + "\n\n" +
		"belfry catalog init                # writes belfry.yaml, with comments\n" +
		"belfry catalog check belfry.yaml   # finds its faults, offline\n" +
		"belfry catalog apply belfry.yaml   # shows what changes, then applies it"
}

// sendCommand sends one event of a customer, with the token in the environment.
func (p *pages) sendCommand() string {
	return "curl -H \"Authorization: Bearer $BELFRY_TOKEN\" -H \"Content-Type: application/json\" \\\n  " +
		p.URL() + web.Base + `/audit/events -d '{
    "account_id": "ext:YOUR-CUSTOMER",
    "action":     {"type": "update"},
    "actor":      {"type": "user", "id": "ana@example.com"},
    "resource":   {"product": "example", "type": "setting", "id": "timeout"}}'`
}

func (p *pages) confirmRevokeToken(v *page.Visit) (page.Confirm, error) {
	teamID := v.PathValue("producer_id")
	list, err := p.Tokens(v.Context(), teamID)
	if err != nil {
		return page.Confirm{}, err
	}
	i := slices.IndexFunc(list, func(t Token) bool { return t.ID == v.PathValue("token_id") })
	if i < 0 {
		return page.Confirm{}, errs.New(errs.CodeNotFound, "the product team has no such token")
	}
	return page.Confirm{
		Section: "producers",
		Title:   "Revoke " + list[i].Name + "?",
		Text: "The service that uses it cannot send events any more, for any account. This cannot be undone. " +
			"Recorded events stay in the audit log.",
		Label:  "Revoke the token",
		Back:   teamPath(teamID) + "/tokens",
		Danger: true,
	}, nil
}

func (p *pages) revokeToken(v *page.Visit) error {
	teamID := v.PathValue("producer_id")
	if err := p.RevokeToken(v.Context(), teamID, v.PathValue("token_id")); err != nil {
		return err
	}
	return v.Redirect(teamPath(teamID)+"/tokens", "token-revoked")
}
