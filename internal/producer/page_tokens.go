package producer

import (
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) mountTokens() {
	const base = TeamsPath + "/{producer_id}/tokens"
	p.Mount("GET "+base, mayRead, false, p.showTokens)
	p.Mount("POST "+base, mayWrite, false, p.createToken)
	p.Mount("GET "+base+"/{token_id}/revoke", mayWrite, false, p.askRevoke)
	p.Mount("POST "+base+"/{token_id}/revoke", mayWrite, false, p.revokeToken)
}

// shownToken is a token in the list, without its value.
type shownToken struct {
	Token
	Expired bool
	Soon    bool   // expires within a week
	Revoke  string // path of the page
}

// tokenForm is the form of a new token, as the operator filled it in.
type tokenForm struct {
	Name     string
	Expires  string
	Allow    string
	Expiries [][2]string
	Faults   ui.Faults
}

func (p *pages) showTokens(w http.ResponseWriter, r *http.Request) error {
	return p.renderTokens(w, visitOf(r), tokenForm{Expires: account.UsualExpiry})
}

func (p *pages) renderTokens(w http.ResponseWriter, v visit, f tokenForm) error {
	h, err := p.head(v, "Tokens")
	if err != nil {
		return err
	}
	list, err := p.Tokens(v.ctx, h.ID)
	if err != nil {
		return err
	}
	f.Expiries = account.Expiries()
	rows := make([]shownToken, len(list))
	for i, t := range list {
		rows[i] = shownToken{Token: t, Revoke: h.Href + "/tokens/" + t.ID + "/revoke"}
		if left := t.ExpiresOn.Sub(p.now()); !t.ExpiresOn.IsZero() {
			rows[i].Expired = left <= 0
			rows[i].Soon = left > 0 && left < 7*24*time.Hour
		}
	}
	return p.show(w, v, "producers", h.Name, "team-tokens", f.Faults.Status, map[string]any{
		"Head": h, "Rows": rows, "Form": f,
	})
}

// createToken answers with the only page that shows the token's value. The value
// is not stored, so the answer cannot be a redirect.
func (p *pages) createToken(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	f := tokenForm{
		Name:  cutBytes(r.PostFormValue("name"), 1024),
		Allow: cutBytes(r.PostFormValue("ip_allow"), 8192),
	}
	spec := TokenCreate{Name: f.Name, IPAllow: ui.Entries(f.Allow)}
	f.Expires, spec.ExpiresOn = account.Expiry(r.PostFormValue("expires"), p.now())

	h, err := p.head(v, "Tokens")
	if err != nil {
		return err
	}
	if len(spec.IPAllow) > account.MaxIPAllow {
		err = errs.At(errs.CodeOutOfRange, "/ip_allow", "a token has at most %d networks", account.MaxIPAllow)
	}
	var made NewToken
	if err == nil {
		made, err = p.CreateToken(v.ctx, h.ID, spec)
	}
	if err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "ip_allow"); !ok {
			return err
		}
		return p.renderTokens(w, v, f)
	}
	return p.show(w, v, "producers", "Token created", "team-token-made", 0, map[string]any{
		"Head":  h,
		"Name":  made.Name,
		"Value": made.Value,
		"Apply": p.applyCommand(h.ID, made.Value),
		"Send":  p.sendCommand(),
	})
}

// applyCommand declares a catalogue with a token.
func (p *pages) applyCommand(teamID, value string) string {
	return "export BELFRY_URL=" + p.URL + "\n" +
		"export BELFRY_PRODUCER=" + teamID + "\n" +
		"export BELFRY_TOKEN=" + value + "\n\n" +
		"belfry catalog init                # writes belfry.yaml, with comments\n" +
		"belfry catalog check belfry.yaml   # finds its faults, offline\n" +
		"belfry catalog apply belfry.yaml   # shows what changes, then applies it"
}

// sendCommand sends one event of a customer. applyCommand has put the token into
// the environment.
func (p *pages) sendCommand() string {
	return `curl -H "Authorization: Bearer $BELFRY_TOKEN" -H "Content-Type: application/json" \` + "\n  " +
		p.URL + web.Base + `/audit/events -d '{
    "account_id": "ext:YOUR-CUSTOMER",
    "action":     {"type": "update"},
    "actor":      {"type": "user", "id": "ana@example.com"},
    "resource":   {"product": "example", "type": "setting", "id": "timeout"}}'`
}

func (p *pages) askRevoke(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	list, err := p.Tokens(v.ctx, r.PathValue("producer_id"))
	if err != nil {
		return err
	}
	back := teamPath(r.PathValue("producer_id")) + "/tokens"
	for _, t := range list {
		if t.ID == r.PathValue("token_id") {
			return p.show(w, v, "producers", "Revoke a token", "question", 0, question{
				Title: "Revoke " + t.Name + "?",
				Text: "The product that uses it cannot send events any more, for any account. " +
					"This cannot be undone; the events that it sent stay in the audit log.",
				Action: back + "/" + t.ID + "/revoke",
				Label:  "Revoke the token",
				Back:   back,
			})
		}
	}
	return errs.New(errs.CodeNotFound, "the product team has no such token")
}

func (p *pages) revokeToken(w http.ResponseWriter, r *http.Request) error {
	teamID := r.PathValue("producer_id")
	if err := p.RevokeToken(r.Context(), teamID, r.PathValue("token_id")); err != nil {
		return err
	}
	return goTo(w, r, teamPath(teamID)+"/tokens", "token-revoked")
}
