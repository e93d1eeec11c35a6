package producer

import (
	"net/http"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) mountTeams() {
	p.Mount("GET "+TeamsPath, mayRead, false, p.showTeams)
	p.Mount("POST "+TeamsPath, mayWrite, false, p.createTeam)
	p.Mount("GET "+TeamsPath+"/{producer_id}/settings", mayRead, false, p.showSettings)
	p.Mount("POST "+TeamsPath+"/{producer_id}/settings", mayWrite, false, p.changeTeam)
	p.Mount("GET "+TeamsPath+"/{producer_id}/delete", mayWrite, false, p.askDelete)
	p.Mount("POST "+TeamsPath+"/{producer_id}/delete", mayWrite, false, p.deleteTeam)
}

func teamPath(teamID string) string { return TeamsPath + "/" + teamID }

// shownTeam is a team in the list.
type shownTeam struct {
	Team
	Href     string
	Products []string
	Rejected int64 // in the last 24 hours
}

// teamForm is the form of a team, as the operator filled it in.
type teamForm struct {
	Name   string
	Email  string
	Faults ui.Faults
}

const notAddress = "This must be one address, such as team@example.com."

func parseTeamForm(r *http.Request) teamForm {
	return teamForm{
		Name:  cutBytes(r.PostFormValue("name"), 1024),
		Email: cutBytes(r.PostFormValue("contact_email"), 512),
	}
}

const teamsAtOnce = 100

func (p *pages) showTeams(w http.ResponseWriter, r *http.Request) error {
	return p.renderTeams(w, visitOf(r), teamForm{})
}

func (p *pages) renderTeams(w http.ResponseWriter, v visit, f teamForm) error {
	const list = "console producers"
	var from idPlace
	if c := v.r.URL.Query().Get("cursor"); c != "" {
		if err := p.Cursors.Decode(list, c, &from); err != nil {
			return err
		}
	}
	teams, err := p.Teams(v.ctx, from.ID, teamsAtOnce+1)
	if err != nil {
		return err
	}
	next := ""
	if len(teams) > teamsAtOnce {
		teams = teams[:teamsAtOnce]
		next = TeamsPath + "?cursor=" + p.Cursors.Encode(list, idPlace{teams[teamsAtOnce-1].ID})
	}

	rejected, err := p.rejectsByOwner(v.ctx, scopeTeam)
	if err != nil {
		return err
	}
	products, err := p.Products(v.ctx)
	if err != nil {
		return err
	}

	rows := make([]shownTeam, len(teams))
	for i, t := range teams {
		rows[i] = shownTeam{Team: t, Href: teamPath(t.ID), Rejected: rejected[t.ID]}
		for _, product := range products {
			if product.Team == t.ID {
				rows[i].Products = append(rows[i].Products, product.Name)
			}
		}
	}
	return p.show(w, v, "producers", "Product teams", "teams", f.Faults.Status, map[string]any{
		"Rows": rows, "Next": next, "May": v.mayWrite(), "Path": TeamsPath, "Form": f,
	})
}

// createTeam redirects to the new team's page, which shows the next steps.
func (p *pages) createTeam(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	f := parseTeamForm(r)
	t, err := p.CreateTeam(v.ctx, f.Name, f.Email)
	if err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "contact_email"); !ok {
			return err
		}
		f.Faults.Say("contact_email", notAddress)
		return p.renderTeams(w, v, f)
	}
	return goTo(w, r, teamPath(t.ID), "")
}

// teamHead is the top of each of a team's pages.
type teamHead struct {
	Team
	Href  string
	Teams string // path of the list
	May   bool   // change the team
	Tabs  []ui.Link
}

// head reads the path's team; current is the tab.
func (p *pages) head(v visit, current string) (teamHead, error) {
	t, err := p.Team(v.ctx, v.r.PathValue("producer_id"))
	if err != nil {
		return teamHead{}, err
	}
	rejected, err := p.rejectsByOwner(v.ctx, scopeTeam)
	if err != nil {
		return teamHead{}, err
	}
	h := teamHead{Team: t, Href: teamPath(t.ID), Teams: TeamsPath, May: v.mayWrite()}
	h.Tabs = []ui.Link{
		{Label: "Catalogue", Href: h.Href, Icon: "book-open"},
		{Label: "Rejected events", Href: h.Href + "/rejects", Icon: "octagon-alert", Count: int(rejected[t.ID])},
		{Label: "Tokens", Href: h.Href + "/tokens", Icon: "key"},
		{Label: "History", Href: h.Href + "/history", Icon: "history"},
		{Label: "Settings", Href: h.Href + "/settings", Icon: "settings"},
	}
	if i := slices.IndexFunc(h.Tabs, func(l ui.Link) bool { return l.Label == current }); i >= 0 {
		h.Tabs[i].Current = true
	}
	return h, nil
}

func (p *pages) showSettings(w http.ResponseWriter, r *http.Request) error {
	return p.renderSettings(w, visitOf(r), nil)
}

// renderSettings shows a refused form again, or with nil the stored values.
func (p *pages) renderSettings(w http.ResponseWriter, v visit, f *teamForm) error {
	h, err := p.head(v, "Settings")
	if err != nil {
		return err
	}
	if f == nil {
		f = &teamForm{Name: h.Name, Email: h.ContactEmail}
	}
	return p.show(w, v, "producers", h.Name, "team-settings", f.Faults.Status, map[string]any{
		"Head": h, "Form": f,
	})
}

func (p *pages) changeTeam(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	f := parseTeamForm(r)
	t, err := p.UpdateTeam(v.ctx, r.PathValue("producer_id"), &f.Name, &f.Email)
	if err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "contact_email"); !ok {
			return err
		}
		f.Faults.Say("contact_email", notAddress)
		return p.renderSettings(w, v, &f)
	}
	return goTo(w, r, teamPath(t.ID)+"/settings", "team-changed")
}

func (p *pages) askDelete(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	t, err := p.Team(v.ctx, r.PathValue("producer_id"))
	if err != nil {
		return err
	}
	return p.show(w, v, "producers", "Delete a product team", "question", 0, question{
		Title: "Delete " + t.Name + "?",
		Text: "Only a team that declares nothing and has no token can be deleted. " +
			"The events of its products stay in the audit log, under its name.",
		Action: teamPath(t.ID) + "/delete",
		Label:  "Delete the team",
		Back:   teamPath(t.ID) + "/settings",
	})
}

func (p *pages) deleteTeam(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if err := p.DeleteTeam(v.ctx, r.PathValue("producer_id")); err != nil {
		faults, ok := ui.FaultsOf(err)
		if !ok {
			return err
		}
		t, err := p.Team(v.ctx, r.PathValue("producer_id"))
		if err != nil {
			return err
		}
		return p.renderSettings(w, v, &teamForm{Name: t.Name, Email: t.ContactEmail, Faults: faults})
	}
	return goTo(w, r, TeamsPath, "team-deleted")
}
