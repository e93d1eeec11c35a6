package producer

import (
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addTeams() {
	const settings = TeamsPath + "/{producer_id}/settings"
	const create = TeamsPath + "/new"
	fields := []string{"name", "contact_email"}
	p.Get(TeamsPath, pagesRead, p.showTeams)
	p.Get(create, pagesWrite, p.showNewTeam)
	p.Post(create, pagesWrite, page.Form[teamForm]{
		Parse:  parseTeamForm,
		Do:     p.createTeam,
		Fields: fields,
		Render: p.renderNewTeam,
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

// newTeamPage is the data of the template "team-new".
type newTeamPage struct {
	Path string
	Back string
	Form teamForm
}

func (p *pages) showNewTeam(v *page.Visit) error { return p.renderNewTeam(v, &teamForm{}, ui.Faults{}) }

func (p *pages) renderNewTeam(v *page.Visit, f *teamForm, faults ui.Faults) error {
	f.setFaults(faults)
	return v.Show(page.View{
		Section:  "producers",
		Title:    "Create a team",
		Template: "team-new",
		Status:   faults.Status,
		Data:     newTeamPage{Path: TeamsPath + "/new", Back: TeamsPath, Form: *f},
	})
}

func (p *pages) createTeam(v *page.Visit, f *teamForm) (err error) {
	f.team, err = p.CreateTeam(v.Context(), f.Name, f.Email)
	return err
}

// teamCreated leads to the new team, whose page has the next steps.
func (p *pages) teamCreated(v *page.Visit, f *teamForm) error {
	return v.Redirect(teamPath(f.team.ID), "")
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
	h, err := p.head(v, "")
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
	return v.Redirect(teamPath(v.PathValue("producer_id")), "team-changed")
}

func (p *pages) confirmDeleteTeam(v *page.Visit) (page.Confirm, error) {
	t, err := p.Team(v.Context(), v.PathValue("producer_id"))
	return page.Confirm{
		Section: "producers",
		Title:   "Delete " + t.Name + "?",
		Text: "Only a team that declares nothing and has no token can be deleted. The events of its products stay in the " +
			"audit log, under its name.",
		Label:  "Delete the team",
		Back:   teamPath(t.ID),
		Danger: true,
	}, err
}

func (p *pages) deleteTeam(v *page.Visit, _ *teamForm) error {
	return p.DeleteTeam(v.Context(), v.PathValue("producer_id"))
}

func (p *pages) teamDeleted(v *page.Visit, _ *teamForm) error {
	return v.Redirect(TeamsPath, "team-deleted")
}
