package incident

import (
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const (
	listRows    = 50
	hubActivity = 10
	hubRows     = 10
)

func (p *pages) addIncidents() {
	p.Get(ConsolePath, permissionRead, p.showIncidents)
	p.Get(ConsolePath+"/{incident_id}", permissionRead, p.showIncident)
}

// incidentsPage is the data of the template "incidents".
type incidentsPage struct {
	CanWrite bool
	Declare  string
	Plan     string
	Public   string // "" = there is no public page
	Filters  ui.Filters
	Rows     []incidentRow
	Next     string
	Setup    string // page that adds the first component; "" = there is one
}

// incidentRow is a row of the list.
type incidentRow struct {
	*Incident
	Href       string
	Icon       string
	Components string
}

func (p *pages) showIncidents(v *page.Visit) error {
	ctx := v.Context()
	b, err := p.board.Get(ctx)
	if err != nil {
		return err
	}
	out := incidentsPage{
		CanWrite: canWrite(v),
		Declare:  ConsolePath + "/new",
		Plan:     ConsolePath + "/new-maintenance",
		Filters:  incidentFilters(v, b, p.now()),
	}
	if p.shown(b) {
		out.Public = StatusPath
	}
	if len(b.Components) == 0 {
		out.Setup = PagePath + "/components/new"
	}
	q := Query{
		Kind:      Kind(v.Query("kind")),
		State:     State(v.Query("status")),
		Component: v.Query("component"),
		Open:      v.Query("open") == "yes",
	}
	if r := out.Filters.Range; r != nil && !r.Since.IsZero() {
		q.Since = r.Since.UnixMicro()
	}
	if r := out.Filters.Range; r != nil && !r.Before.IsZero() {
		q.Before = r.Before.UnixMicro()
	}
	list, err := page.ReadList(v, listRows, incidentKey, func(after web.Keyset, limit int) ([]*Incident, error) {
		return p.Incidents(ctx, q, after, limit)
	})
	if err != nil {
		return err
	}
	for _, i := range list.Items {
		out.Rows = append(out.Rows, rowOf(i))
	}
	out.Next = list.Next
	return v.Show(page.View{Section: sectionIncidents, Title: "Incidents", Template: "incidents", Data: out})
}

func rowOf(i *Incident) incidentRow {
	row := incidentRow{Incident: i, Href: consolePath(i.ID), Icon: "siren"}
	if i.Kind == KindMaintenance {
		row.Icon = "wrench"
	}
	var names []string
	for _, c := range i.Components {
		names = append(names, c.Name)
	}
	if len(names) > 3 {
		names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
	}
	row.Components = strings.Join(names, ", ")
	return row
}

func incidentFilters(v *page.Visit, b *board, now time.Time) ui.Filters {
	var stateOptions, componentOptions []ui.Choice
	for _, kind := range []Kind{KindIncident, KindMaintenance} {
		for _, s := range states[kind] {
			stateOptions = append(stateOptions, ui.Choice{Value: string(s), Label: s.Words(), Tone: s.Tone()})
		}
	}
	for _, c := range b.Components {
		componentOptions = append(componentOptions, ui.Choice{Value: c.ID, Label: c.Name, Detail: c.Group})
	}
	out := ui.NewFilters(v.Request.URL, "",
		ui.FilterKey{Key: "kind", Label: "Kind", Icon: "tag", Only: true, Options: []ui.Choice{
			{Value: string(KindIncident), Label: "Incident", Icon: "siren"},
			{Value: string(KindMaintenance), Label: "Maintenance", Icon: "wrench"},
		}},
		ui.FilterKey{Key: "open", Label: "Open", Icon: "circle-dot", Only: true, Options: []ui.Choice{{Value: "yes"}}},
		ui.FilterKey{Key: "status", Label: "Status", Icon: "activity", Only: true, Options: stateOptions},
		ui.FilterKey{Key: "component", Label: "Component", Icon: "boxes", Only: true, Options: componentOptions},
	)
	out.NoSearch = true
	r := ui.ParseRange(v.Request.URL, now, "")
	out.Range = &r
	return out
}

// incidentPage is the data of the template "incident".
type incidentPage struct {
	Hub         ui.Hub
	Incident    *Incident
	Updates     []updateRow
	CanWrite    bool
	Publish     string
	Broadcasts  []broadcastRow
	Proposals   []proposalRow
	Correct     string
	Activity    *ui.Activity
	Maintenance bool
}

type updateRow struct {
	Update
	Edit  string // "" = the visitor may not
	Lines []string
}

type broadcastRow struct {
	Audience string
	Update   string // its status
	At       time.Time
	Sent     int64
	Done     bool
}

type proposalRow struct {
	Proposal
	AccountName string
	Href        string
}

func (p *pages) showIncident(v *page.Visit) error {
	ctx := v.Context()
	i, err := p.Incident(ctx, v.PathValue("incident_id"))
	if err != nil {
		return err
	}
	href := consolePath(i.ID)
	out := incidentPage{
		Hub:         p.hubOf(v, i),
		Incident:    i,
		CanWrite:    canWrite(v),
		Publish:     href + "/publish",
		Correct:     href + "/correct",
		Maintenance: i.Kind == KindMaintenance,
	}
	for _, u := range i.Updates {
		row := updateRow{Update: u, Lines: paragraphs(u.Message)}
		if out.CanWrite {
			row.Edit = href + "/updates/" + u.ID
		}
		out.Updates = append(out.Updates, row)
	}
	if out.Broadcasts, err = p.broadcastRows(v, i); err != nil {
		return err
	}
	proposals, err := p.Proposals(ctx, i.ID)
	if err != nil {
		return err
	}
	for _, one := range proposals[:min(len(proposals), hubRows)] {
		row := proposalRow{Proposal: one, AccountName: one.Account, Href: "/accounts/" + one.Account + "/objectives"}
		if p.cfg.AccountName != nil {
			if name := p.cfg.AccountName(ctx, one.Account); name != "" {
				row.AccountName = name
			}
		}
		out.Proposals = append(out.Proposals, row)
	}
	if out.Activity, err = p.activityOf(v, "incident", i.ID); err != nil {
		return err
	}
	return v.Show(page.View{Section: sectionIncidents, Title: i.Name, Template: "incident", Data: out})
}

func (p *pages) broadcastRows(v *page.Visit, i *Incident) (rows []broadcastRow, err error) {
	byID := map[string]Update{}
	for _, u := range i.Updates {
		byID[u.ID] = u
	}
	var list []Broadcast
	err = p.db.View(v.Context(), func(tx *db.Tx) error {
		list, err = broadcastsOf(v.Context(), tx, i.ID, hubRows)
		return err
	})
	for _, b := range list {
		u := byID[b.Update]
		row := broadcastRow{Audience: "Subscribers", Update: u.State.Words(), At: u.At.Time, Sent: b.Sent, Done: b.Done}
		if b.Audience == toAccounts {
			row.Audience = "Accounts with a policy"
		}
		rows = append(rows, row)
	}
	return rows, err
}

// hubOf is head and properties of an incident's page.
func (p *pages) hubOf(v *page.Visit, i *Incident) ui.Hub {
	href := consolePath(i.ID)
	h := ui.Hub{
		Back:   ui.Link{Label: "Incidents", Href: ConsolePath},
		Icon:   "siren",
		Title:  i.Name,
		Status: ui.Status{Label: i.State.Words(), Tone: i.State.Tone()},
	}
	times := []ui.Property{{Label: "Began", At: i.StartedOn.Time, Ago: i.Open()}}
	if i.Kind == KindMaintenance {
		h.Icon = "wrench"
		times = []ui.Property{
			{Label: "From", At: i.StartedOn.Time, Ago: i.Open()},
			{Label: "Until", At: i.ScheduledUntil.Time},
		}
		if i.Automatic && i.Open() {
			times[1].Note = "It begins and ends by itself."
		}
	}
	if !i.Open() {
		times = append(times, ui.Property{Label: "Ended", At: i.ResolvedOn.Time, Note: "after " +
			ui.Words(i.ResolvedOn.Sub(i.StartedOn.Time))})
	}
	if canWrite(v) {
		h.Actions = []ui.Link{{Label: "Edit", Href: href + "/edit", Icon: "pencil", Key: "e"}}
		h.More = []ui.Link{{Label: "Correct objectives", Href: href + "/correct", Icon: "target"}}
		if i.Open() {
			h.Actions = append(h.Actions, ui.Link{Label: "Publish an update", Href: href + "/publish", Icon: "send", Key: "p",
				Primary: true})
		}
	}
	if !p.cfg.PageOff {
		h.More = append(h.More, ui.Link{Label: "Public page", Href: incidentPath(i.ID), Icon: "external-link"})
	}
	group := ui.PropertyGroup{Properties: append([]ui.Property{
		{Label: "Kind", Text: capital(string(i.Kind)), Icon: h.Icon},
		{Label: "Impact", Text: i.Impact.Words()},
	}, times...)}
	group.Properties = append(group.Properties,
		ui.Property{Label: "Declared by", Person: &ui.Person{Name: i.CreatedBy, Kind: "staff"}},
		ui.Property{Label: "Id", Copy: i.ID, Text: i.ID[:8] + "…" + i.ID[len(i.ID)-4:]},
	)
	components := ui.PropertyGroup{Title: "Components"}
	for _, c := range i.Components {
		status := ui.Status{Label: c.Health.Words(), Tone: c.Health.Tone()}
		components.Properties = append(components.Properties, ui.Property{Label: c.Name, Status: status})
	}
	if len(i.Components) == 0 {
		components.Properties = []ui.Property{{Label: "Affected", Text: "none"}}
	}
	h.Properties = []ui.PropertyGroup{group, components}
	return h
}

// activityOf reads the newest changes of an object, which are recorded in the installation's own account; nil without
// the permission to read its audit log.
func (p *pages) activityOf(v *page.Visit, resourceType, resourceID string) (*ui.Activity, error) {
	if p.cfg.Activity == nil || !v.Who.Can(p.cfg.OperatorAccount, account.AuditRead) {
		return nil, nil
	}
	about := feature.About{ResourceType: resourceType, ResourceID: resourceID}
	a, err := p.cfg.Activity(v.Context(), v.Who, p.cfg.OperatorAccount, about, hubActivity)
	return &a, err
}

// paragraphs are the lines of a message.
func paragraphs(message string) []string {
	var list []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}
