package account

import (
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// soonExpires is the time before a token's end in which pages show a warning.
const soonExpires = 7 * 24 * time.Hour

func (p *pages) addTokens() {
	const base = "/accounts/{account_id}/tokens"
	p.Get(base, TokensRead, p.showTokens)
	p.Get(base+"/new", TokensWrite, p.showNewToken)
	p.Post(base, TokensWrite, page.Form[tokenForm]{
		Parse:  p.parseTokenForm,
		Do:     p.createToken,
		Fields: []string{"name", "permissions", "ip_allow"},
		Render: p.renderNewToken,
		Then:   p.showCreatedToken,
	}.Handle)
	p.Get(base+"/{token_id}", TokensRead, p.showToken)
	p.Confirm(base+"/{token_id}/revoke", TokensWrite, p.confirmRevokeToken, p.revokeToken)
}

// tokenView is a token without its value.
type tokenView struct {
	Token
	Href  string
	Words string // its permissions, in short
	More  int    // permissions that Words leaves out
	Soon  bool   // it ends within soonExpires
}

func (p *pages) tokenView(v *page.Visit, t Token) tokenView {
	words, more := briefly(t.Permissions)
	return tokenView{
		Token: t,
		Href:  tokenPath(v.Account, t.ID),
		Words: words,
		More:  more,
		Soon:  t.Status == "active" && !t.ExpiresOn.IsZero() && t.ExpiresOn.Sub(p.now()) < soonExpires,
	}
}

func tokenPath(accountID, tokenID string) string { return TokensPath(accountID) + "/" + tokenID }

// tokensPage is the data of the template "tokens".
type tokensPage struct {
	Path     string
	Rows     []tokenView
	Next     string
	CanWrite bool
	Begin    string // form for a token that may append events
	Curl     string // a command that uses such a token
}

func (p *pages) showTokens(v *page.Visit) error {
	list, err := page.ReadList(v, pageSize, tokenKey, func(after web.Keyset, limit int) ([]Token, error) {
		return p.Tokens(v.Context(), v.Account, after.ID, limit)
	})
	if err != nil {
		return err
	}
	rows := page.Map(list, func(t Token) tokenView { return p.tokenView(v, t) })
	return v.Show(page.View{Section: "tokens", Title: "API tokens", Template: "tokens", Data: tokensPage{
		Path:     TokensPath(v.Account),
		Rows:     rows.Items,
		Next:     rows.Next,
		CanWrite: v.Can(TokensWrite),
		Begin:    TokensPath(v.Account) + "/new?permission=" + url.QueryEscape(AuditWrite),
		Curl:     p.curl(v.Account, "$BELFRY_TOKEN", []string{AuditWrite}),
	}})
}

// tokenForm is the input for a new token.
type tokenForm struct {
	Path     string
	Name     string
	Expires  string // a preset of Expiries
	Allow    string
	Groups   []permissionGroup
	Withheld int // permissions that the visitor cannot grant
	Expiries [][2]string
	Faults   ui.Faults

	permissions []string
	expiresOn   web.Time
	created     NewAPIToken
}

func (p *pages) showNewToken(v *page.Visit) error {
	f := tokenForm{permissions: v.Request.URL.Query()["permission"], Expires: UsualExpiry}
	return p.renderNewToken(v, &f, ui.Faults{})
}

func (p *pages) renderNewToken(v *page.Visit, f *tokenForm, faults ui.Faults) error {
	f.Path = TokensPath(v.Account)
	f.Expiries = Expiries()
	f.Faults = faults
	f.Groups, f.Withheld = offered(v.Who, v.Account, f.permissions)
	return v.Show(page.View{
		Section:  "tokens",
		Title:    "Create a token",
		Template: "token-new",
		Status:   faults.Status,
		Data:     f,
	})
}

func (p *pages) parseTokenForm(v *page.Visit) (tokenForm, error) {
	f := tokenForm{Name: v.Field("name", 1024), Allow: v.Field("ip_allow", 8192), permissions: v.Fields("permission")}
	f.Expires, f.expiresOn = Expiry(v.Field("expires", 16), p.now())
	return f, nil
}

func (p *pages) createToken(v *page.Visit, f *tokenForm) (err error) {
	f.created, err = p.CreateToken(v.Context(), v.Who, v.Account, TokenSpec{
		Name:        f.Name,
		Permissions: f.permissions,
		ExpiresOn:   f.expiresOn,
		IPAllow:     ui.Entries(f.Allow),
	})
	return err
}

// createdTokenPage is the data of the template "token-created".
type createdTokenPage struct {
	Path  string
	Name  string
	Value string
	Curl  string
}

// showCreatedToken is the only page that shows the value. The response is not a
// redirect, because the value is not stored.
func (p *pages) showCreatedToken(v *page.Visit, f *tokenForm) error {
	t := f.created
	return v.Show(page.View{Section: "tokens", Title: "Token created", Template: "token-created", Data: createdTokenPage{
		Path:  TokensPath(v.Account),
		Name:  t.Name,
		Value: t.Value,
		Curl:  p.curl(v.Account, t.Value, t.Permissions),
	}})
}

// curl returns a first command for a token, ready to be pasted into a shell.
func (p *pages) curl(account, value string, permissions []string) string {
	has := web.Permissions(permissions).Has
	base := p.URL() + web.Base
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

// tokenPage is the data of the template "token".
type tokenPage struct {
	Path        string
	Token       tokenView
	Permissions []permissionView
	CanWrite    bool
	Changes     string // audit log: changes of the token
	Uses        string // audit log: events of requests with the token
}

// permissionView is a permission with its description.
type permissionView struct{ Words, Name string }

func (p *pages) showToken(v *page.Visit) error {
	t, err := p.Token(v.Context(), v.Account, v.PathValue("token_id"))
	if err != nil {
		return err
	}
	data := tokenPage{
		Path:     TokensPath(v.Account),
		Token:    p.tokenView(v, t),
		CanWrite: v.Can(TokensWrite),
		Changes:  changesLink(v, "token", t.ID),
		Uses:     auditLink(v, "actor_token_id", t.ID),
	}
	for _, name := range t.Permissions {
		data.Permissions = append(data.Permissions, permissionView{inWords(name), name})
	}
	return v.Show(page.View{Section: "tokens", Title: t.Name, Template: "token", Data: data})
}

func (p *pages) confirmRevokeToken(v *page.Visit) (page.Confirm, error) {
	t, err := p.Token(v.Context(), v.Account, v.PathValue("token_id"))
	return page.Confirm{
		Section: "tokens",
		Title:   "Revoke " + t.Name + "?",
		Text: "Requests with this token are refused at once. This cannot be undone. Recorded events stay in the " +
			"audit log.",
		Label:  "Revoke the token",
		Back:   tokenPath(v.Account, t.ID),
		Danger: true,
	}, err
}

func (p *pages) revokeToken(v *page.Visit) error {
	if err := p.RevokeToken(v.Context(), v.Who, v.Account, v.PathValue("token_id")); err != nil {
		return err
	}
	return v.Redirect(TokensPath(v.Account), "token-revoked")
}
