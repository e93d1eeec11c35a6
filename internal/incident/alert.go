package incident

import (
	"encoding/json"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
)

// Types of the alerts, as belfry.yaml declares them. Names and filters are those of the Cloudflare v4 API.
const (
	IncidentAlert    = "incident_alert"
	MaintenanceAlert = "maintenance_event_notification"
)

// Filters of the alerts.
const (
	filterComponents = "affected_components"
	filterImpact     = "incident_impact"
	filterLocations  = "airport_code"
	filterEvent      = "event_type"
)

// severities are the severities of alerts by impact.
var severities = map[Impact]string{
	ImpactNone:     "info",
	ImpactMinor:    "warning",
	ImpactMajor:    "error",
	ImpactCritical: "critical",
}

// alertData is the data of both types.
type alertData struct {
	Incident struct {
		ID             string `json:"id"`
		Name           string `json:"name"`
		Impact         Impact `json:"impact"`
		Status         State  `json:"status"`
		StartedAt      string `json:"started_at"`
		ScheduledUntil string `json:"scheduled_until,omitempty"`
		ResolvedAt     string `json:"resolved_at,omitempty"`
	} `json:"incident"`
	Update struct {
		ID      string `json:"id"`
		Message string `json:"message"`
		At      string `json:"at"`
	} `json:"update"`
	Components []ComponentHealth `json:"components"`
}

// Longest parts of an alert, in characters.
const (
	alertMessage = 2000
	alertSummary = 400
)

// alertOf is an update as an alert, without its account. The end of an incident has the correlation id of its start.
func (f *Feature) alertOf(p publication, u Update, locations []string) event.Alert {
	i := p.incident
	a := event.Alert{
		ID:          "status-" + u.ID,
		Event:       alertEvent(p),
		Correlation: "status-" + i.ID,
		Severity:    severities[i.Impact],
		OccurredAt:  u.At.String(),
		BeganAt:     i.StartedOn.String(),
		Summary:     cut(i.Name+": "+strings.ToLower(u.State.Words()), alertSummary),
		Resource:    &event.AlertResource{Product: event.Product, Type: "incident", ID: i.ID, Name: i.Name},
		Filters:     map[string][]string{},
	}
	if !f.cfg.PageOff {
		a.URL = f.cfg.URL + incidentPath(i.ID)
	}
	for _, c := range i.Components {
		a.Filters[filterComponents] = append(a.Filters[filterComponents], c.ID)
	}
	if i.Kind == KindMaintenance {
		a.Type = MaintenanceAlert
		a.Filters[filterEvent] = []string{maintenanceEvent(p)}
		if len(locations) > 0 {
			a.Filters[filterLocations] = locations
		}
		if a.BeganAt > a.OccurredAt {
			a.BeganAt = "" // it lies ahead
		}
	} else {
		a.Type = IncidentAlert
		a.Filters[filterImpact] = []string{"INCIDENT_IMPACT_" + strings.ToUpper(string(i.Impact))}
	}

	var d alertData
	d.Incident.ID = i.ID
	d.Incident.Name = i.Name
	d.Incident.Impact = i.Impact
	d.Incident.Status = i.State
	d.Incident.StartedAt = i.StartedOn.String()
	if !i.ScheduledUntil.IsZero() {
		d.Incident.ScheduledUntil = i.ScheduledUntil.String()
	}
	if !i.Open() {
		d.Incident.ResolvedAt = i.ResolvedOn.String()
	}
	d.Update.ID = u.ID
	d.Update.Message = cut(u.Message, alertMessage)
	d.Update.At = u.At.String()
	d.Components = i.Components
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts always encode
	}
	a.Data = data
	return a
}

// alertEvent is the meaning of an update for the receivers of alerts: the beginning of a condition, its end, or
// neither.
func alertEvent(p publication) event.AlertEvent {
	i := p.incident
	began := p.was != nil && p.was.State != Scheduled
	switch {
	case i.State.Final() && began:
		return event.AlertEnd
	case i.State.Final() || i.State == Scheduled:
		return event.AlertNotice
	case !began:
		return event.AlertStart
	}
	return event.AlertNotice
}

// maintenanceEvent is the value of the filter event_type.
func maintenanceEvent(p publication) string {
	was := State("")
	if p.was != nil {
		was = p.was.State
	}
	switch state := p.incident.State; {
	case state == was:
		return "CHANGED"
	case state == InProgress:
		return "STARTED"
	case state == Completed:
		return "COMPLETED"
	case state == Canceled:
		return "CANCELED"
	}
	return "SCHEDULED"
}

// cut shortens a text to a number of characters.
func cut(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}
