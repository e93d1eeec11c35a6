package account

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) mountTokens() {
	const base = "/accounts/{account_id}/tokens"
	p.Mount("GET "+base, TokensRead, false, p.showTokens)
	p.Mount("GET "+base+"/new", TokensWrite, false, p.showNewToken)
	p.Mount("POST "+base, TokensWrite, false, p.createToken)
	p.Mount("GET "+base+"/{token_id}", TokensRead, false, p.showToken)
	p.Mount("GET "+base+"/{token_id}/revoke", TokensWrite, false, p.askRevoke)
	p.Mount("POST "+base+"/{token_id}/revoke", TokensWrite, false, p.revokeToken)
}

// shownToken is a token as the pages show it: never its value.
type shownToken struct {
	Token
	Href  string
	Words string
	More  int
	Soon  bool // it ends within a week
}

func (p *pages) shown(v visit, t Token) shownToken {
	s := shownToken{Token: t, Href: TokensPath(v.account) + "/" + t.ID}
	s.Words, s.More = briefly(t.Permissions)
	s.Soon = t.Status == "active" && !t.ExpiresOn.IsZero() && t.ExpiresOn.Sub(p.now()) < 7*24*time.Hour
	return s
}

func (p *pages) showTokens(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	list, err := page(p.Pages.API, v.paging(), "tokens "+v.account, func(t Token) string { return t.ID },
		func(after string, limit int) ([]Token, error) { return p.Tokens(v.ctx, v.account, after, limit) })
	if err != nil {
		return err
	}
	rows := make([]shownToken, len(list.Items))
	for i, t := range list.Items {
		rows[i] = p.shown(v, t)
	}
	return p.show(w, v, "tokens", view{section: "tokens", title: "API tokens", data: map[string]any{
		"Rows": rows, "Next": v.older(list.Cursor), "May": v.can(TokensWrite), "Path": TokensPath(v.account),
		"Begin": TokensPath(v.account) + "/new?permission=" + url.QueryEscape(AuditWrite), "Curl": p.curl(v.account, "$BELFRY_TOKEN", []string{AuditWrite}),
	}})
}

// tokenForm is what was typed, and what is wrong with it.
type tokenForm struct {
	Path, Name, Expires, Allow string
	Groups                     []permissionGroup
	Withheld                   int
	Expiries                   [][2]string
	Faults                     ui.Faults
}

func newTokenForm(v visit, name string, permissions []string, expires, allow string) tokenForm {
	f := tokenForm{Path: TokensPath(v.account), Name: name, Expires: expires, Allow: allow, Expiries: Expiries()}
	f.Groups, f.Withheld = offered(v.who, v.account, permissions)
	return f
}

func (p *pages) showNewToken(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	f := newTokenForm(v, "", r.URL.Query()["permission"], UsualExpiry, "")
	return p.show(w, v, "token-new", view{section: "tokens", title: "Create a token", data: f})
}

// createToken answers with the page that shows the value, the only one that
// ever does. It is not kept anywhere, so the answer is no redirect.
func (p *pages) createToken(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	name, permissions := r.PostFormValue("name"), r.PostForm["permission"]
	expires, end := Expiry(r.PostFormValue("expires"), p.now())
	allow := r.PostFormValue("ip_allow")
	spec := TokenSpec{Name: name, Permissions: permissions, ExpiresOn: end, IPAllow: ui.Entries(allow)}
	made, err := p.CreateToken(v.ctx, v.who, v.account, spec)
	if err != nil {
		f := newTokenForm(v, clip(name, 400), permissions, expires, clip(allow, 4096))
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "permissions", "ip_allow"); !ok {
			return err
		}
		return p.show(w, v, "token-new", view{section: "tokens", title: "Create a token", status: f.Faults.Status, data: f})
	}
	return p.show(w, v, "token-made", view{section: "tokens", title: "Token created", data: map[string]any{
		"Token": p.shown(v, made.Token), "Value": made.Value, "Path": TokensPath(v.account), "Curl": p.curl(v.account, made.Value, made.Permissions),
	}})
}

// curl is a first command for a token. Pasted as it is, it works.
func (p *pages) curl(account, value string, permissions []string) string {
	has := web.Permissions(permissions).Has
	base := p.URL + web.Base
	s := "export BELFRY_TOKEN=" + value + "\n"
	if strings.HasPrefix(value, "$") {
		s = ""
	}
	s += "curl -H \"Authorization: Bearer $BELFRY_TOKEN\""
	switch {
	case has(AuditWrite):
		return s + " -H \"Content-Type: application/json\" \\\n  " + base + "/accounts/" + account + `/audit/events -d '{
    "action":   {"type": "refund"},
    "actor":    {"type": "user", "id": "ana@example.com"},
    "resource": {"product": "shop", "type": "order", "id": "1042"}}'`
	case has(AuditRead):
		return s + " \\\n  '" + base + "/accounts/" + account + "/logs/audit?limit=5'"
	}
	return s + " \\\n  " + base + "/user/tokens/verify"
}

func (p *pages) showToken(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	t, err := p.Token(v.ctx, v.account, r.PathValue("token_id"))
	if err != nil {
		return err
	}
	permissions := make([][2]string, len(t.Permissions))
	for i, one := range t.Permissions {
		permissions[i] = [2]string{inWords(one), one}
	}
	return p.show(w, v, "token", view{section: "tokens", title: t.Name, data: map[string]any{
		"Token": p.shown(v, t), "Permissions": permissions, "Path": TokensPath(v.account), "May": v.can(TokensWrite),
		"Record": p.recordOf(v, "token", t.ID), "Uses": p.usesOf(v, t.ID),
	}})
}

// recordOf is the part of the account's record about one thing of ours; "" for
// those who may not read it.
func (p *pages) recordOf(v visit, kind, id string) string {
	if !v.can(AuditRead) {
		return ""
	}
	return RecordPath(v.account) + "?" + url.Values{"resource_product": {"belfry"}, "resource_type": {kind}, "resource_id": {id}}.Encode()
}

// usesOf is the part of the record that was done with a token.
func (p *pages) usesOf(v visit, tokenID string) string {
	if !v.can(AuditRead) {
		return ""
	}
	return RecordPath(v.account) + "?" + url.Values{"actor_token_id": {tokenID}}.Encode()
}

// question is a page that asks before something is ended: a link leads to it,
// so that it works without scripts and has its own address.
type question struct {
	Title, Text, Action, Label, Back string
}

func (p *pages) askRevoke(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	t, err := p.Token(v.ctx, v.account, r.PathValue("token_id"))
	if err != nil {
		return err
	}
	href := TokensPath(v.account) + "/" + t.ID
	return p.show(w, v, "question", view{section: "tokens", title: "Revoke a token", data: question{
		Title: "Revoke " + t.Name + "?", Text: "Whatever uses it is refused from the next request on. This cannot be undone; what it did stays in the audit log.",
		Action: href + "/revoke", Label: "Revoke the token", Back: href}})
}

func (p *pages) revokeToken(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	if err := p.RevokeToken(v.ctx, v.who, v.account, r.PathValue("token_id")); err != nil {
		return err
	}
	return goTo(w, r, TokensPath(v.account), "token-revoked")
}
