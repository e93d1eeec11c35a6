package slo

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// correctionRows is how many corrections a part of the list has.
const correctionRows = 50

// correctionsPath is the path of the corrections of an account.
func correctionsPath(accountID string) string { return account.AccountPath(accountID) + "/corrections" }

// correctionPath is the path of a correction.
func correctionPath(accountID, correctionID string) string {
	return correctionsPath(accountID) + "/" + url.PathEscape(correctionID)
}

// correctionRow is a correction in a list.
type correctionRow struct {
	*Correction
	Href    string
	Word    string // of the kind
	Status  ui.Status
	Applies []ui.Link // the property, or the objectives
	More    int       // objectives that are not listed
	Lasts   string
	LeftOut string // "1,200 failed"
	Effect  string // "gives back 12 % of a budget"
	Approve string // path; "" = the visitor may not approve it
}

// correctionsPage is the data of the template "corrections".
type correctionsPage struct {
	Path     string
	Back     string
	New      string // "" = the visitor may not request one
	Filters  ui.Filters
	Filtered bool
	Rows     []correctionRow
	Next     string
	Waiting  int    // rows that the visitor may approve
	Pending  string // URL of the list of those that wait
}

// correctionStates are the states by which the list is filtered.
var correctionStates = []ui.Choice{
	{Value: string(Pending), Label: "Waits for approval", Icon: "user-check", Tone: ui.Warn},
	{Value: string(Active), Label: "Active", Icon: "circle-check", Tone: ui.Good},
	{Value: string(Rejected), Label: "Rejected", Icon: "circle-x"},
	{Value: string(Removed), Label: "Removed", Icon: "undo-2"},
}

// status is the state of a correction as a label.
func (c *Correction) status() ui.Status {
	for _, choice := range correctionStates {
		if choice.Value == string(c.State) {
			return ui.Status{Label: choice.Label, Tone: choice.Tone}
		}
	}
	return ui.Status{Label: string(c.State)}
}

// Word is the kind as a label.
func (k CorrectionKind) Word() string {
	switch k {
	case Maintenance:
		return "Maintenance"
	case Incident:
		return "Incident"
	}
	return "Budget reset"
}

// length is the time of a correction as a text.
func (c *Correction) length() string {
	if c.Kind == Reset {
		return "everything until then"
	}
	return roughSpan(c.To.Unix() - c.From.Unix())
}

// mayApprove reports whether the visitor may approve the correction.
func (c *Correction) mayApprove(v *page.Visit) bool {
	return v.Can(account.SLOWrite) && c.approvable(v.Who)
}

// objectiveNames returns a function that finds the names of an account's objectives; it reads them once.
func (p *pages) objectiveNames(v *page.Visit) func(objectiveID string) (string, error) {
	var names map[string]string
	return func(objectiveID string) (string, error) {
		if names == nil {
			list, err := p.Objectives(v.Context(), v.Account, "", MaxObjectives)
			if err != nil {
				return "", err
			}
			names = make(map[string]string, len(list))
			for _, o := range list {
				names[o.ID] = o.Name
			}
		}
		return cmp.Or(names[objectiveID], "a deleted objective"), nil
	}
}

// shownTargets is how many objectives a row of the list names.
const shownTargets = 3

// appliesLinks lists the property of a correction, or at most a number of its objectives; more is how many it has
// besides.
func (p *pages) appliesLinks(
	v *page.Visit, c *Correction, most int, zones func(context.Context, string) (string, error),
	objectives func(string) (string, error),
) (list []ui.Link, more int, err error) {
	if c.Zone != "" {
		name, err := zones(v.Context(), c.Zone)
		if name == "" {
			return []ui.Link{{Label: deletedZone}}, 0, err
		}
		return []ui.Link{{Label: name, Icon: "globe", Href: zonePath(v.Account, c.Zone)}}, 0, err
	}
	for i, objectiveID := range c.Objectives {
		if i == most {
			return list, len(c.Objectives) - most, nil
		}
		name, err := objectives(objectiveID)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, ui.Link{Label: name, Icon: "target", Href: objectivePath(v.Account, objectiveID)})
	}
	return list, 0, nil
}

// leftOut sums up what a correction leaves out of the objective with the most failures, as a text and as a share of
// its budget.
func leftOut(list []GivesBack) (failed, part string) {
	var most GivesBack
	largest := 0.0
	for _, g := range list {
		if g.Bad >= most.Bad {
			most = g
		}
		largest = max(largest, g.Budget)
	}
	if most.Total == 0 {
		return "nothing yet", ""
	}
	failed = countText(most.Bad, "failure", "failures") + " of " + countText(most.Total, "request", "requests")
	if largest >= 0.001 {
		part = shareOfBudget(largest) + " of a budget"
	}
	return failed, part
}

func (p *pages) showCorrections(v *page.Visit) error {
	zones := p.zoneNames(v.Account)
	objectives := p.objectiveNames(v)
	q := v.Request.URL.Query()
	only := CorrectionFilter{Objective: page.Cut(q.Get("objective"), 64), Zone: page.Cut(q.Get("zone"), 64)}
	for _, state := range ui.FilterValues(q, "state", len(correctionStates)) {
		only.States = append(only.States, CorrectionState(page.Cut(state, 20)))
	}
	list, err := page.ReadList(v, correctionRows, func(c *Correction) web.Keyset { return web.Keyset{ID: c.ID} },
		func(after web.Keyset, limit int) ([]*Correction, error) {
			return p.Corrections(v.Context(), v.Account, only, after.ID, limit)
		})
	if err != nil {
		return err
	}
	data := correctionsPage{
		Path: correctionsPath(v.Account),
		Back: objectivesPath(v.Account),
		Next: list.Next,
	}
	data.Pending = data.Path + "?state=" + string(Pending)
	if v.Can(account.SLOWrite) {
		data.New = data.Path + "/new"
	}
	find := account.AccountPath(v.Account) + "/find"
	data.Filters = ui.NewFilters(v.Request.URL, "",
		ui.FilterKey{Key: "state", Label: "State", Icon: "activity", Options: correctionStates, Only: true},
		ui.FilterKey{
			Key: "objective", Label: "Objective", Icon: "target", Kind: "objective", Source: find, Only: true,
			Name: func(objectiveID string) string {
				name, err := objectives(objectiveID)
				if err != nil {
					return "" // the id is shown
				}
				return name
			},
		},
		ui.FilterKey{
			Key: "zone", Label: "Property", Icon: "globe", Kind: "zone", Source: find, Only: true,
			Name: func(zoneID string) string {
				name, err := zones(v.Context(), zoneID)
				if err != nil {
					return ""
				}
				return name
			},
		})
	data.Filters.NoSearch = true
	data.Filters.Display = &ui.Display{Name: "corrections", Columns: []ui.ListColumn{
		{Key: "reason", Label: "Reason"},
		{Key: "effect", Label: "Left out"},
		{Key: "by", Label: "Requested by"},
	}}
	data.Filtered = data.Filters.Clear != ""
	for _, c := range list.Items {
		row := p.correctionRow(v, c)
		if row.Applies, row.More, err = p.appliesLinks(v, c, shownTargets, zones, objectives); err != nil {
			return err
		}
		if row.Approve != "" {
			data.Waiting++
		}
		data.Rows = append(data.Rows, row)
	}
	return v.Show(page.View{Section: section, Title: "Corrections", Template: "corrections", Data: data})
}

// correctionRow is the row of a correction, without what it applies to.
func (p *pages) correctionRow(v *page.Visit, c *Correction) correctionRow {
	row := correctionRow{
		Correction: c,
		Href:       correctionPath(v.Account, c.ID),
		Word:       c.Kind.Word(),
		Status:     c.status(),
		Lasts:      c.length(),
	}
	row.LeftOut, row.Effect = leftOut(c.GivesBack)
	if c.mayApprove(v) {
		row.Approve = row.Href + "/approve"
	}
	return row
}

// objectiveCorrections are the newest corrections of an objective, for its page.
type objectiveCorrections struct {
	Rows []correctionRow
	All  string // path of the list
	New  string // path of the form; "" = the visitor may not request one
}

// setCorrections reads the corrections of the objective. What the active ones leave out is that of the status.
func (p *pages) setCorrections(v *page.Visit, d *objectivePage) error {
	list, err := p.Corrections(v.Context(), v.Account, CorrectionFilter{Objective: d.ID}, "", hubRows)
	if err != nil {
		return err
	}
	of := "?" + url.Values{"objective": {d.ID}}.Encode()
	d.Corrections.All = correctionsPath(v.Account) + of
	if v.Can(account.SLOWrite) {
		d.Corrections.New = correctionsPath(v.Account) + "/new" + of
	}
	active := map[string]ActiveCorrection{}
	for _, one := range d.Status.Corrections {
		active[one.ID] = one
	}
	for _, c := range list {
		row := p.correctionRow(v, c)
		row.LeftOut, row.Effect = d.leftOutBy(c)
		if now, ok := active[c.ID]; ok {
			row.LeftOut = countText(now.Bad, "failure", "failures") + " of " +
				countText(now.Total, "request", "requests")
		}
		d.Corrections.Rows = append(d.Corrections.Rows, row)
	}
	return nil
}

// leftOutBy names the requests that a correction left out of the objective when it was requested or approved.
func (d *objectivePage) leftOutBy(c *Correction) (failed, part string) {
	for _, g := range c.GivesBack {
		if g.ObjectiveID == d.ID {
			return leftOut([]GivesBack{g})
		}
	}
	return leftOut(nil)
}

// people are the members who requested and decided a correction, as a text.
func (c *Correction) people() string {
	text := "requested by " + c.RequestedBy.words()
	if c.DecidedBy != nil {
		verb := map[CorrectionState]string{Active: "approved", Rejected: "rejected", Removed: "removed"}[c.State]
		text += fmt.Sprintf(", %s by %s", cmp.Or(verb, "decided"), c.DecidedBy.words())
	}
	return text
}

// People are the members who requested and decided it.
func (r correctionRow) People() string { return ui.FullSentence(r.people()) }

// words is the name of a member.
func (m Member) words() string { return cmp.Or(strings.TrimSpace(m.Name), m.Type+" "+clip(m.ID, 8)) }

// Person is a member as pages draw it.
func (m Member) Person() *ui.Person { return &ui.Person{Name: m.words(), Kind: m.Type} }
