package account

import (
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
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
	p.Post(base+"/chosen", TokensWrite, p.revokeTokens)
	p.Get(base+"/{token_id}", TokensRead, p.showToken)
	p.Confirm(base+"/{token_id}/roll", TokensWrite, p.confirmRollToken, page.Form[tokenForm]{
		Do:     p.rollToken,
		Render: p.renderRolledToken,
		Then:   p.showRolledToken,
	}.Handle)
	p.Confirm(base+"/{token_id}/revoke", TokensWrite, p.confirmRevokeToken, p.revokeToken)
}

// tokenView is a token without its value.
type tokenView struct {
	Token
	Href  string
	Brief string // its permissions, in short
	More  int    // permissions that Brief leaves out
	Soon  bool   // it ends within soonExpires
}

func (p *pages) tokenView(v *page.Visit, t Token) tokenView {
	words, more := briefly(t.Permissions)
	return tokenView{
		Token: t,
		Href:  tokenPath(v.Account, t.ID),
		Brief: words,
		More:  more,
		Soon:  t.Status == "active" && !t.ExpiresOn.IsZero() && t.ExpiresOn.Sub(p.now()) < soonExpires,
	}
}

func tokenPath(accountID, tokenID string) string { return TokensPath(accountID) + "/" + tokenID }

// State is active, soon (it ends within soonExpires) or expired.
func (t tokenView) State() string {
	switch {
	case t.Status != "active":
		return "expired"
	case t.Soon:
		return "soon"
	}
	return "active"
}

// Words is the state as a label with its tone.
func (t tokenView) Words() ui.Status {
	switch t.State() {
	case "expired":
		return ui.Status{Label: "Expired", Tone: ui.Bad}
	case "soon":
		return ui.Status{Label: "Expires soon", Tone: ui.Warn}
	}
	return ui.Status{Label: "Active", Tone: ui.Good}
}

// tokensPage is the data of the template "tokens".
type tokensPage struct {
	Path      string
	Rows      []tokenView
	Next      string
	Total     int
	Shown     int
	CanWrite  bool
	Begin     string // form for a token that may append events
	Curl      string // a command that uses such a token
	Filters   ui.Filters
	Selection ui.Selection
}

var tokenSorts = []ui.Choice{
	{Value: "name", Label: "By name"},
	{Value: "used", Label: "Last used first"},
	{Value: "expiry", Label: "Expires soonest first"},
	{Value: "newest", Label: "Newest first"},
}

func (p *pages) showTokens(v *page.Visit) error {
	u := v.Request.URL
	all, err := p.Tokens(v.Context(), v.Account, "", MaxTokens)
	if err != nil {
		return err
	}
	rows := []tokenView{}
	for _, t := range all {
		view := p.tokenView(v, t)
		use := "used"
		if t.LastUsedOn.IsZero() {
			use = "never"
		}
		if v.Passes("state", view.State()) && v.Passes("use", use) &&
			feature.Searched(v.Query("q"), t.ID, t.Name, t.CreatedBy.Name) {
			rows = append(rows, view)
		}
	}
	sort := ui.SortOf(u, tokenSorts...)
	list, err := page.SortedList(v, pageSize, rows, func(t tokenView) (key, id string) {
		switch sort {
		case "used":
			return page.NewestFirst(t.LastUsedOn.Time), t.ID
		case "expiry":
			return page.SoonestFirst(t.ExpiresOn.Time), t.ID
		case "newest":
			return page.NewestFirst(t.CreatedOn.Time), t.ID
		}
		return page.ByName(t.Name), t.ID
	})
	if err != nil {
		return err
	}
	filters := tokenFilters(v)
	if err := v.Views("tokens", &filters); err != nil {
		return err
	}
	path := TokensPath(v.Account)
	return v.Show(page.View{Section: "tokens", Title: "API tokens", Template: "tokens", Data: tokensPage{
		Path:     path,
		Rows:     list.Items,
		Next:     list.Next,
		Total:    len(all),
		Shown:    len(rows),
		CanWrite: v.Can(TokensWrite),
		Begin:    path + "/new?permission=" + url.QueryEscape(AuditWrite),
		Curl:     p.curl(v.Account, "$BELFRY_TOKEN", []string{AuditWrite}),
		Filters:  filters,
		Selection: ui.Selection{Form: "chosen", Action: path + "/chosen", Noun: "tokens", Acts: []ui.BulkAct{
			{Label: "Revoke", Icon: "ban", Value: "revoke", Danger: true},
		}},
	}})
}

func tokenFilters(v *page.Visit) ui.Filters {
	state := ui.FilterKey{Key: "state", Label: "State", Icon: "circle-dot", Only: true, Options: []ui.Choice{
		{Value: "active", Label: "active"},
		{Value: "soon", Label: "expires within 7 days"},
		{Value: "expired", Label: "expired"},
	}}
	use := ui.FilterKey{Key: "use", Label: "Use", Icon: "activity", Only: true, Options: []ui.Choice{
		{Value: "used", Label: "was used"}, {Value: "never", Label: "never used"},
	}}
	f := ui.NewFilters(v.Request.URL, "Search tokens", state, use)
	f.Sort = ui.Sorts(v.Request.URL, tokenSorts...)
	f.Display = &ui.Display{Name: "tokens", Columns: []ui.ListColumn{
		{Key: "may", Label: "May"},
		{Key: "used", Label: "Last used"},
		{Key: "ends", Label: "Ends"},
		{Key: "from", Label: "From"},
		{Key: "created", Label: "Created"},
	}}
	return f
}

// revokeTokens revokes the chosen tokens after a question.
func (p *pages) revokeTokens(v *page.Visit) error {
	ids := v.Values("id", 64)
	path := TokensPath(v.Account)
	if len(ids) == 0 || len(ids) > pageSize || v.Field("act", 16) != "revoke" {
		return v.Redirect(path, "nothing-chosen")
	}
	if v.Confirmed() {
		for _, tokenID := range ids {
			err := p.RevokeToken(v.Context(), v.Who, v.Account, tokenID)
			if err != nil && !errs.Is(err, errs.CodeNotFound) {
				return err
			}
		}
		return v.Redirect(path, "tokens-revoked")
	}
	ask := page.Chosen{
		Section: "tokens",
		Title:   "Revoke " + counted(len(ids), "token", "tokens") + "?",
		Text:    "Requests with these tokens are refused at once. This cannot be undone.",
		Label:   "Revoke the tokens",
		Back:    path,
		Act:     "revoke",
		Danger:  true,
	}
	for _, tokenID := range ids {
		t, err := p.Token(v.Context(), v.Account, tokenID)
		if err != nil {
			return err
		}
		note := "never used"
		if !t.LastUsedOn.IsZero() {
			note = "last used " + t.LastUsedOn.UTC().Format("2 Jan 2006, 15:04") + " UTC"
		}
		ask.Items = append(ask.Items, page.ChosenItem{ID: t.ID, Name: t.Name, Note: note})
	}
	return v.AskChosen(ask)
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
