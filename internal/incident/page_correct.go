package incident

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addCorrections(one string) {
	p.Get(one+"/correct", permissionWrite, p.showCorrect)
	p.Post(one+"/correct", permissionWrite, page.Form[correctForm]{
		Parse:  p.parseCorrect,
		Do:     p.requestCorrections,
		Fields: []string{"account_id", "zones", "objectives", "from", "to", "reason"},
		Render: p.renderCorrect,
		Then:   p.corrected,
	}.Handle)
}

// correctForm is the input for corrections of objectives.
type correctForm struct {
	Account    []ui.Choice
	Zones      []ui.Choice
	Objectives []ui.Choice
	All        bool
	From, To   string
	Reason     string

	incident *Incident
	results  []Proposal
}

// correctPage is the data of the template "incident-correct".
type correctPage struct {
	correctForm
	Faults          ui.Faults
	Title           string
	Action          string
	Back            string
	AccountPicker   ui.Picker
	ZonePicker      ui.Picker
	ObjectivePicker ui.Picker
	Chosen          bool // an account is chosen
	Results         []Proposal
	Change          string // page that chooses another account
}

func (p *pages) parseCorrect(v *page.Visit) (correctForm, error) {
	f := correctForm{
		Account:    v.Choices("account_id", 128),
		Zones:      v.Choices("zones", 255),
		Objectives: v.Choices("objectives", 64),
		All:        v.Field("all", 8) != "",
		From:       v.Field("from", 64),
		To:         v.Field("to", 64),
		Reason:     v.Field("reason", 2000),
	}
	var err error
	f.incident, err = p.Incident(v.Context(), v.PathValue("incident_id"))
	return f, err
}

// showCorrect asks for the account first, because the other fields suggest objects of it.
func (p *pages) showCorrect(v *page.Visit) error {
	i, err := p.Incident(v.Context(), v.PathValue("incident_id"))
	if err != nil {
		return err
	}
	f := correctForm{Reason: i.Name, From: fieldOf(i.StartedOn.Time), incident: i}
	f.To = fieldOf(p.now())
	if !i.Open() {
		f.To = fieldOf(i.ResolvedOn.Time.Add(59e9)) // a field has no seconds
	}
	if ref := page.Cut(v.Query("account_id"), 128); ref != "" {
		f.Account = []ui.Choice{{Value: ref}}
	}
	return p.renderCorrect(v, &f, ui.Faults{})
}

func (p *pages) renderCorrect(v *page.Visit, f *correctForm, faults ui.Faults) error {
	action := consolePath(f.incident.ID) + "/correct"
	data := correctPage{
		correctForm: *f,
		Faults:      faults,
		Title:       "Correct objectives",
		Action:      action,
		Change:      action,
		Back:        consolePath(f.incident.ID),
		Results:     f.results,
	}
	data.AccountPicker = ui.Picker{
		Name:       "account_id",
		Label:      "Account",
		Kind:       "customer",
		Source:     "/console/find",
		AllowOther: true,
		Required:   true,
		Error:      faults.Of("account_id"),
	}
	if len(f.Account) > 0 && p.cfg.Account != nil {
		accountID, err := p.cfg.Account(v.Context(), f.Account[0].Value)
		switch {
		case errs.KindOf(err) == errs.NotFound:
			data.AccountPicker.Error = "There is no such account."
		case err != nil:
			return err
		default:
			data.Chosen = true
			data.Account = []ui.Choice{{Value: accountID, Label: p.nameOf(v, accountID)}}
			find := "/accounts/" + accountID + "/find"
			data.ZonePicker = ui.Picker{
				Name: "zones", Label: "Properties", Hint: "All objectives of each.", Kind: "zone", Source: find,
				Multiple: true, Selected: f.Zones, Error: faults.Of("zones"),
			}
			data.ObjectivePicker = ui.Picker{
				Name: "objectives", Label: "Single objectives", Kind: "objective", Source: find,
				Multiple: true, Selected: f.Objectives, Error: faults.Of("objectives"),
			}
		}
	}
	return v.Show(page.View{
		Section: sectionIncidents, Title: data.Title, Template: "incident-correct", Status: faults.Status, Data: data,
	})
}

func (p *pages) nameOf(v *page.Visit, accountID string) string {
	if p.cfg.AccountName == nil {
		return accountID
	}
	if name := p.cfg.AccountName(v.Context(), accountID); name != "" {
		return name
	}
	return accountID
}

func (p *pages) requestCorrections(v *page.Visit, f *correctForm) error {
	times := incidentForm{Started: f.From, Until: f.To}
	from, to, err := times.times()
	if err != nil {
		return pointing(pointing(err, "/started_at", "/from"), "/scheduled_until", "/to")
	}
	in := CorrectionsCreate{All: f.All, From: from, To: to, Reason: f.Reason}
	if len(f.Account) > 0 {
		in.Account = f.Account[0].Value
	}
	for _, c := range f.Zones {
		in.Zones = append(in.Zones, strings.TrimSpace(c.Value))
	}
	for _, c := range f.Objectives {
		in.Objectives = append(in.Objectives, strings.TrimSpace(c.Value))
	}
	f.results, err = p.RequestCorrections(v.Context(), f.incident.ID, in)
	return err
}

// corrected shows the results: some may be refused.
func (p *pages) corrected(v *page.Visit, f *correctForm) error {
	return p.renderCorrect(v, f, ui.Faults{})
}
