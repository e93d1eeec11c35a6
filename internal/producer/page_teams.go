package producer

import (
	"slices"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addTeams() {
	const settings = TeamsPath + "/{producer_id}/settings"
	fields := []string{"name", "contact_email"}
	p.Get(TeamsPath, pagesRead, p.showTeams)
	p.Post(TeamsPath, pagesWrite, page.Form[teamForm]{
		Parse:  parseTeamForm,
		Do:     p.createTeam,
		Fields: fields,
		Render: p.renderTeams,
		Then:   p.teamCreated,
	}.Handle)
	p.Get(settings, pagesRead, p.showSettings)
	p.Post(settings, pagesWrite, page.Form[teamForm]{
		Parse:  parseTeamForm,
		Do:     p.changeTeam,
		Fields: fields,
		Render: p.renderSettings,
		Then:   p.teamChanged,
	}.Handle)
	p.Confirm(TeamsPath+"/{producer_id}/delete", pagesWrite, p.confirmDeleteTeam, page.Form[teamForm]{
		Parse:  p.readTeamForm,
		Do:     p.deleteTeam,
		Render: p.renderSettings,
		Then:   p.teamDeleted,
	}.Handle)
}

func teamPath(teamID string) string { return TeamsPath + "/" + teamID }

// teamView is a team in the list.
type teamView struct {
	Team
	Href     string
	Products []string
	Rejected int64 // events in the last 24 hours
}

// teamForm is the input for a team.
type teamForm struct {
	Name   string
	Email  string
	Faults ui.Faults

	team Team // created just now
}

func parseTeamForm(v *page.Visit) (teamForm, error) {
	return teamForm{Name: v.Field("name", 1024), Email: v.Field("contact_email", 512)}, nil
}

// readTeamForm fills the form with the team of the path.
func (p *pages) readTeamForm(v *page.Visit) (teamForm, error) {
	t, err := p.Team(v.Context(), v.PathValue("producer_id"))
	return teamForm{Name: t.Name, Email: t.ContactEmail}, err
}

func (f *teamForm) setFaults(faults ui.Faults) {
	faults.Say("contact_email", "Enter one address, such as team@example.com.")
	f.Faults = faults
}

// teamsPage is the data of the template "teams".
type teamsPage struct {
	Path     string
	Rows     []teamView
	Next     string
	CanWrite bool
	Form     teamForm
}

const teamsPageSize = 100

func (p *pages) showTeams(v *page.Visit) error { return p.renderTeams(v, &teamForm{}, ui.Faults{}) }

func (p *pages) renderTeams(v *page.Visit, f *teamForm, faults ui.Faults) error {
	ctx := v.Context()
	list, err := page.ReadList(v, teamsPageSize, teamKey, func(after web.Keyset, limit int) ([]Team, error) {
		return p.Teams(ctx, after.ID, limit)
	})
	if err != nil {
		return err
	}
	rejected, err := p.rejectsByOwner(ctx, scopeTeam)
	if err != nil {
		return err
	}
	products, err := p.Products(ctx)
	if err != nil {
		return err
	}
	rows := page.Map(list, func(t Team) teamView {
		row := teamView{Team: t, Href: teamPath(t.ID), Rejected: rejected[t.ID]}
		for _, c := range products {
			if c.Team == t.ID {
				row.Products = append(row.Products, c.Name)
			}
		}
		return row
	})
	f.setFaults(faults)
	return v.Show(page.View{
		Section:  "producers",
		Title:    "Product teams",
		Template: "teams",
		Status:   faults.Status,
		Data: teamsPage{
			Path:     TeamsPath,
			Rows:     rows.Items,
			Next:     rows.Next,
			CanWrite: canWrite(v),
			Form:     *f,
		},
	})
}

func teamKey(t Team) web.Keyset { return web.Keyset{ID: t.ID} }

func (p *pages) createTeam(v *page.Visit, f *teamForm) (err error) {
	f.team, err = p.CreateTeam(v.Context(), f.Name, f.Email)
	return err
}

// teamCreated leads to the new team, whose page says what to do next.
func (p *pages) teamCreated(v *page.Visit, f *teamForm) error {
	return v.Redirect(teamPath(f.team.ID), "")
}

// teamHead is the top of each of a team's pages.
type teamHead struct {
	Team
	Href     string
	Teams    string // path of the list
	CanWrite bool
	Tabs     []ui.Link
}

// head reads the team of the path; current is the label of the tab.
func (p *pages) head(v *page.Visit, current string) (teamHead, error) {
	t, err := p.Team(v.Context(), v.PathValue("producer_id"))
	if err != nil {
		return teamHead{}, err
	}
	rejected, err := p.rejectsByOwner(v.Context(), scopeTeam)
	if err != nil {
		return teamHead{}, err
	}
	href := teamPath(t.ID)
	h := teamHead{Team: t, Href: href, Teams: TeamsPath, CanWrite: canWrite(v), Tabs: []ui.Link{
		{Label: "Catalogue", Href: href, Icon: "book-open"},
		{Label: "Rejected events", Href: href + "/rejects", Icon: "octagon-alert", Count: int(rejected[t.ID])},
		{Label: "Tokens", Href: href + "/tokens", Icon: "key"},
		{Label: "History", Href: href + "/history", Icon: "history"},
		{Label: "Settings", Href: href + "/settings", Icon: "settings"},
	}}
	if i := slices.IndexFunc(h.Tabs, func(l ui.Link) bool { return l.Label == current }); i >= 0 {
		h.Tabs[i].Current = true
	}
	return h, nil
}

// teamSettingsPage is the data of the template "team-settings".
type teamSettingsPage struct {
	Head teamHead
	Form teamForm
}

func (p *pages) showSettings(v *page.Visit) error {
	f, err := p.readTeamForm(v)
	if err != nil {
		return err
	}
	return p.renderSettings(v, &f, ui.Faults{})
}

func (p *pages) renderSettings(v *page.Visit, f *teamForm, faults ui.Faults) error {
	h, err := p.head(v, "Settings")
	if err != nil {
		return err
	}
	f.setFaults(faults)
	return showTeamPage(v, h, "team-settings", faults, teamSettingsPage{h, *f})
}

func (p *pages) changeTeam(v *page.Visit, f *teamForm) error {
	_, err := p.UpdateTeam(v.Context(), v.PathValue("producer_id"), &f.Name, &f.Email)
	return err
}

func (p *pages) teamChanged(v *page.Visit, _ *teamForm) error {
	return v.Redirect(teamPath(v.PathValue("producer_id"))+"/settings", "team-changed")
}

func (p *pages) confirmDeleteTeam(v *page.Visit) (page.Confirm, error) {
	t, err := p.Team(v.Context(), v.PathValue("producer_id"))
	return page.Confirm{
		Section: "producers",
		Title:   "Delete " + t.Name + "?",
		Text: "Only a team that declares nothing and has no token can be deleted. The events of its products stay in the " +
			"audit log, under its name.",
		Label:  "Delete the team",
		Back:   teamPath(t.ID) + "/settings",
		Danger: true,
	}, err
}

func (p *pages) deleteTeam(v *page.Visit, _ *teamForm) error {
	return p.DeleteTeam(v.Context(), v.PathValue("producer_id"))
}

func (p *pages) teamDeleted(v *page.Visit, _ *teamForm) error {
	return v.Redirect(TeamsPath, "team-deleted")
}
