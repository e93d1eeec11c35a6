package incident

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// The JSON documents have the shape of Atlassian Statuspage's public API (version 2), so that readers of it work.

type jsonPage struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	URL       string `json:"url"`
	TimeZone  string `json:"time_zone"`
	UpdatedAt string `json:"updated_at,omitempty"`
}

type jsonStatus struct {
	Indicator   string `json:"indicator"`
	Description string `json:"description"`
}

type jsonComponent struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      Health   `json:"status"`
	CreatedAt   string   `json:"created_at,omitempty"`
	UpdatedAt   string   `json:"updated_at,omitempty"`
	Position    int64    `json:"position"`
	Description *string  `json:"description"`
	Showcase    bool     `json:"showcase"`
	StartDate   string   `json:"start_date,omitempty"`
	GroupID     *string  `json:"group_id"`
	PageID      string   `json:"page_id"`
	Group       bool     `json:"group"`
	Degraded    bool     `json:"only_show_if_degraded"`
	Components  []string `json:"components,omitempty"` // ids, of a group
}

type jsonUpdate struct {
	ID         string         `json:"id"`
	Status     State          `json:"status"`
	Body       string         `json:"body"`
	IncidentID string         `json:"incident_id"`
	CreatedAt  string         `json:"created_at"`
	UpdatedAt  string         `json:"updated_at"`
	DisplayAt  string         `json:"display_at"`
	Affected   []jsonAffected `json:"affected_components"`
}

type jsonAffected struct {
	Code      string `json:"code"` // id
	Name      string `json:"name"`
	NewStatus Health `json:"new_status"`
}

type jsonIncident struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	Status         State           `json:"status"`
	Impact         string          `json:"impact"`
	CreatedAt      string          `json:"created_at"`
	UpdatedAt      string          `json:"updated_at"`
	StartedAt      string          `json:"started_at"`
	MonitoringAt   *string         `json:"monitoring_at"`
	ResolvedAt     *string         `json:"resolved_at"`
	ScheduledFor   string          `json:"scheduled_for,omitempty"`
	ScheduledUntil string          `json:"scheduled_until,omitempty"`
	Shortlink      string          `json:"shortlink"`
	PageID         string          `json:"page_id"`
	Updates        []jsonUpdate    `json:"incident_updates"`
	Components     []jsonComponent `json:"components"`
}

// summary is /status.json.
type summary struct {
	Page       jsonPage        `json:"page"`
	Status     jsonStatus      `json:"status"`
	Components []jsonComponent `json:"components"`
	Incidents  []jsonIncident  `json:"incidents"`
	Scheduled  []jsonIncident  `json:"scheduled_maintenances"`
}

// stamp is a time as the documents have it.
func stamp(t web.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func stampOr(t web.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// pageID identifies the page of this installation.
func (f *Feature) pageID() string { return hex.EncodeToString(f.digest("page")[:8]) }

func (f *Feature) jsonPage(title string, changed web.Time) jsonPage {
	p := jsonPage{ID: f.pageID(), Name: title, URL: f.cfg.URL + StatusPath, TimeZone: "Etc/UTC"}
	if !changed.IsZero() {
		p.UpdatedAt = stamp(changed)
	}
	return p
}

// groupID is the id of a group, which has only a name.
func groupID(name string) string {
	sum := sha256.Sum256([]byte("group " + name))
	return hex.EncodeToString(sum[:16])
}

func (f *Feature) jsonComponents(list []Component) []jsonComponent {
	out := make([]jsonComponent, 0, len(list))
	at := map[string]int{} // of groups
	for _, c := range list {
		one := jsonComponent{
			ID:        c.ID,
			Name:      c.Name,
			Status:    c.Health,
			CreatedAt: stamp(c.CreatedOn),
			UpdatedAt: stamp(c.ModifiedOn),
			Position:  c.Position,
			Showcase:  true,
			StartDate: c.CreatedOn.UTC().Format(time.DateOnly),
			PageID:    f.pageID(),
		}
		if c.Description != "" {
			one.Description = &c.Description
		}
		if c.Group != "" {
			group := groupID(c.Group)
			one.GroupID = &group
			n, ok := at[group]
			if !ok {
				n = len(out)
				at[group] = n
				out = append(out, jsonComponent{
					ID:        group,
					Name:      c.Group,
					Status:    Operational,
					CreatedAt: one.CreatedAt,
					UpdatedAt: one.UpdatedAt,
					Position:  c.Position,
					PageID:    f.pageID(),
					Group:     true,
				})
			}
			out[n].Components = append(out[n].Components, c.ID)
			if c.Health.rank() > out[n].Status.rank() {
				out[n].Status = c.Health
			}
		}
		out = append(out, one)
	}
	return out
}

func (f *Feature) jsonIncident(i *Incident) jsonIncident {
	out := jsonIncident{
		ID:         i.ID,
		Name:       i.Name,
		Status:     i.State,
		Impact:     string(i.Impact),
		CreatedAt:  stamp(i.CreatedOn),
		UpdatedAt:  stamp(i.ModifiedOn),
		StartedAt:  stamp(i.StartedOn),
		ResolvedAt: stampOr(i.ResolvedOn),
		Shortlink:  f.cfg.URL + incidentPath(i.ID),
		PageID:     f.pageID(),
		Updates:    []jsonUpdate{},
		Components: []jsonComponent{},
	}
	if i.Kind == KindMaintenance {
		out.Impact = "maintenance"
		out.ScheduledFor = stamp(i.StartedOn)
		out.ScheduledUntil = stamp(i.ScheduledUntil)
	}
	for _, u := range i.Updates {
		if u.State == Monitoring {
			out.MonitoringAt = stampOr(u.At)
		}
		shown := jsonUpdate{
			ID:         u.ID,
			Status:     u.State,
			Body:       u.Message,
			IncidentID: i.ID,
			CreatedAt:  stamp(u.At),
			UpdatedAt:  stamp(u.At),
			DisplayAt:  stamp(u.At),
			Affected:   []jsonAffected{},
		}
		if !u.ModifiedOn.IsZero() {
			shown.UpdatedAt = stamp(u.ModifiedOn)
		}
		for _, c := range u.Components {
			shown.Affected = append(shown.Affected, jsonAffected{c.ID, c.Name, c.Health})
		}
		out.Updates = append(out.Updates, shown)
	}
	for _, c := range i.Components {
		out.Components = append(out.Components, jsonComponent{ID: c.ID, Name: c.Name, Status: c.Health, PageID: f.pageID()})
	}
	return out
}

func (f *Feature) jsonIncidents(kind Kind, lists ...[]*Incident) []jsonIncident {
	out := []jsonIncident{}
	for _, list := range lists {
		for _, i := range list {
			if i.Kind == kind {
				out = append(out, f.jsonIncident(i))
			}
		}
	}
	return out
}

func (f *Feature) summaryOf(b *board) summary {
	now := b.overall()
	return summary{
		Page:       f.jsonPage(b.Page.Title, web.Time{Time: b.Changed}),
		Status:     jsonStatus{now.Indicator, now.Words},
		Components: f.jsonComponents(b.Components),
		Incidents:  f.jsonIncidents(KindIncident, b.Open),
		Scheduled:  f.jsonIncidents(KindMaintenance, b.Open, b.Planned),
	}
}

// documentOf is one of the documents by its name, without the ending; nil when there is none of the name.
func (f *Feature) documentOf(ctx context.Context, b *board, name string) (any, error) {
	all := f.summaryOf(b)
	switch name {
	case "summary":
		return all, nil
	case "status":
		return struct {
			Page   jsonPage   `json:"page"`
			Status jsonStatus `json:"status"`
		}{all.Page, all.Status}, nil
	case "components":
		return struct {
			Page       jsonPage        `json:"page"`
			Components []jsonComponent `json:"components"`
		}{all.Page, all.Components}, nil
	}
	incidents := func(list []jsonIncident) any {
		return struct {
			Page      jsonPage       `json:"page"`
			Incidents []jsonIncident `json:"incidents"`
		}{all.Page, list}
	}
	maintenances := func(list []jsonIncident) any {
		return struct {
			Page      jsonPage       `json:"page"`
			Scheduled []jsonIncident `json:"scheduled_maintenances"`
		}{all.Page, list}
	}
	switch name {
	case "incidents/unresolved":
		return incidents(all.Incidents), nil
	case "scheduled-maintenances/upcoming":
		return maintenances(f.jsonIncidents(KindMaintenance, b.Planned)), nil
	case "scheduled-maintenances/active":
		return maintenances(f.jsonIncidents(KindMaintenance, b.Open)), nil
	}
	kinds := map[string]Kind{"incidents": KindIncident, "scheduled-maintenances": KindMaintenance}
	kind, ok := kinds[name]
	if !ok {
		return nil, nil
	}
	list, err := f.latest(ctx, kind)
	if err != nil {
		return nil, err
	}
	if kind == KindIncident {
		return incidents(f.jsonIncidents(kind, list)), nil
	}
	return maintenances(f.jsonIncidents(kind, list)), nil
}
