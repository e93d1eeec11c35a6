package account

import (
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// tokenPage is the data of the template "token".
type tokenPage struct {
	Hub      ui.Hub
	Token    tokenView
	Path     string
	Groups   []permissionGroup
	Whole    bool // it has every permission
	Curl     string
	Activity *ui.Activity
	Changes  *ui.Activity // of the token itself
}

func (p *pages) showToken(v *page.Visit) error {
	t, err := p.Token(v.Context(), v.Account, v.PathValue("token_id"))
	if err != nil {
		return err
	}
	data := tokenPage{
		Token:  p.tokenView(v, t),
		Path:   tokenPath(v.Account, t.ID),
		Groups: permissionGroups(t.Permissions),
		Curl:   p.curl(v.Account, "$BELFRY_TOKEN", t.Permissions),
	}
	data.Whole = len(t.Permissions) == 1 && t.Permissions[0] == Everything
	if data.Activity, err = p.activity(v, feature.About{Token: t.ID}); err != nil {
		return err
	}
	if data.Activity != nil {
		data.Activity.Title = "Uses"
		data.Activity.Note = "events of requests with this token"
		data.Activity.Empty = "No event was recorded with this token yet. Reads are not recorded."
		data.Activity.Live = data.Path
	}
	if !ui.Fragment(v.Request) {
		data.Changes, err = p.activity(v, feature.About{ResourceType: "token", ResourceID: t.ID})
		if err != nil {
			return err
		}
	}
	data.setHub(v)
	return v.Show(page.View{Section: "tokens", Title: t.Name, Template: "token", Data: data})
}

func (d *tokenPage) setHub(v *page.Visit) {
	t := d.Token
	d.Hub = ui.Hub{
		Back:       ui.Link{Label: "API tokens", Href: TokensPath(v.Account)},
		Icon:       "key",
		Title:      t.Name,
		Status:     t.Words(),
		Properties: []ui.PropertyGroup{{Properties: t.properties(v)}},
	}
	if v.Can(TokensWrite) {
		if t.Status == "active" {
			d.Hub.Actions = append(d.Hub.Actions, ui.Link{Label: "New value", Icon: "refresh-cw", Href: d.Path + "/roll"})
		}
	}
	if href := changesLink(v, "token", t.ID); href != "" {
		d.Hub.More = append(d.Hub.More, ui.Link{Label: "Changes of this token", Icon: "scroll-text", Href: href})
	}
	if v.Can(TokensWrite) {
		d.Hub.More = append(d.Hub.More, ui.Link{Label: "Revoke", Icon: "ban", Href: d.Path + "/revoke", Danger: true})
	}
}

func (t tokenView) properties(v *page.Visit) []ui.Property {
	used := ui.Property{Label: "Last used", At: t.LastUsedOn.Time, Ago: true}
	if t.LastUsedOn.IsZero() {
		used.Text = "never"
	}
	ends := ui.Property{Label: "Expires", At: t.ExpiresOn.Time, Ago: true}
	if t.ExpiresOn.IsZero() {
		ends.Text = "never, unless it is revoked"
	}
	from := ui.Property{Label: "May be used from", Text: "anywhere"}
	for _, network := range t.IPAllow {
		from.Links = append(from.Links, ui.Link{Label: network})
	}
	list := []ui.Property{used, ends, from}
	if t.CreatedBy.ID != "" {
		by := &ui.Person{Name: t.CreatedBy.Name, Kind: t.CreatedBy.Type}
		switch {
		case t.CreatedBy.Type == "user" && v.Can(MembersRead):
			by.Href = memberPath(v.Account, t.CreatedBy.ID)
		case t.CreatedBy.Type == "token":
			by.Href = tokenPath(v.Account, t.CreatedBy.ID)
		}
		if by.Name == "" {
			by.Name = t.CreatedBy.ID
		}
		list = append(list, ui.Property{Label: "Created by", Person: by})
	}
	return append(list, ui.Property{Label: "Created", At: t.CreatedOn.Time},
		ui.Property{Label: "Id", Copy: t.ID, Text: clip(t.ID, 8) + "…"})
}

func (p *pages) confirmRollToken(v *page.Visit) (page.Confirm, error) {
	t, err := p.Token(v.Context(), v.Account, v.PathValue("token_id"))
	text := "The present value stops working at once: programs that use it are refused until they have the new one. " +
		"Permissions, networks and expiry stay."
	if !t.LastUsedOn.IsZero() {
		text += " It was last used on " + t.LastUsedOn.UTC().Format("2 Jan 2006 at 15:04") + " UTC."
	}
	return page.Confirm{
		Section: "tokens",
		Title:   "Give " + t.Name + " a new value?",
		Text:    text,
		Label:   "Create the new value",
		Back:    tokenPath(v.Account, t.ID),
		Danger:  true,
	}, err
}

func (p *pages) rollToken(v *page.Visit, f *tokenForm) (err error) {
	f.created, err = p.RollToken(v.Context(), v.Who, v.Account, v.PathValue("token_id"))
	return err
}

// renderRolledToken asks again, with the fault as the text.
func (p *pages) renderRolledToken(v *page.Visit, _ *tokenForm, faults ui.Faults) error {
	flash := ui.Flash{Tone: ui.Bad, Text: faults.Of("")}
	t, err := p.Token(v.Context(), v.Account, v.PathValue("token_id"))
	if err != nil {
		return err
	}
	data := tokenPage{Token: p.tokenView(v, t), Path: tokenPath(v.Account, t.ID), Groups: permissionGroups(t.Permissions)}
	data.setHub(v)
	return v.Show(page.View{
		Section:  "tokens",
		Title:    t.Name,
		Template: "token",
		Status:   faults.Status,
		Data:     data,
		Flash:    &flash,
	})
}

func (p *pages) showRolledToken(v *page.Visit, f *tokenForm) error { return p.showCreatedToken(v, f) }
