package incident

import (
	"slices"

	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Kind separates incidents from planned maintenance.
type Kind string

// The kinds.
const (
	KindIncident    Kind = "incident"
	KindMaintenance Kind = "maintenance"
)

// Impact is the weight of an incident.
type Impact string

// The impacts.
const (
	ImpactNone     Impact = "none"
	ImpactMinor    Impact = "minor"
	ImpactMajor    Impact = "major"
	ImpactCritical Impact = "critical"
)

var impacts = []Impact{ImpactNone, ImpactMinor, ImpactMajor, ImpactCritical}

// State is the progress of an incident or a maintenance.
type State string

// The states. The last two of a maintenance and the last of an incident are final.
const (
	Investigating State = "investigating"
	Identified    State = "identified"
	Monitoring    State = "monitoring"
	Resolved      State = "resolved"

	Scheduled  State = "scheduled"
	InProgress State = "in_progress"
	Completed  State = "completed"
	Canceled   State = "canceled"
)

var states = map[Kind][]State{
	KindIncident:    {Investigating, Identified, Monitoring, Resolved},
	KindMaintenance: {Scheduled, InProgress, Completed, Canceled},
}

// Final reports whether the state is the end.
func (s State) Final() bool { return s == Resolved || s == Completed || s == Canceled }

// Words is the state for people.
func (s State) Words() string {
	switch s {
	case InProgress:
		return "In progress"
	case Canceled:
		return "Cancelled"
	}
	return capital(string(s))
}

// Tone is the state's verdict.
func (s State) Tone() ui.Tone {
	switch s {
	case Resolved, Completed:
		return ui.Good
	case Investigating, Identified:
		return ui.Bad
	case Monitoring, InProgress:
		return ui.Warn
	case Scheduled:
		return ui.Info
	}
	return ui.Neutral
}

// Words is the impact for people.
func (i Impact) Words() string { return capital(string(i)) }

// Health is the status of a component.
type Health string

// The statuses of a component, the best first.
const (
	Operational   Health = "operational"
	Maintained    Health = "under_maintenance"
	Degraded      Health = "degraded_performance"
	PartialOutage Health = "partial_outage"
	MajorOutage   Health = "major_outage"
)

var healths = []Health{Operational, Maintained, Degraded, PartialOutage, MajorOutage}

// rank orders statuses, the best first.
func (h Health) rank() int { return slices.Index(healths, h) }

// Words is the status for people.
func (h Health) Words() string {
	switch h {
	case Maintained:
		return "Under maintenance"
	case Degraded:
		return "Degraded performance"
	case PartialOutage:
		return "Partial outage"
	case MajorOutage:
		return "Major outage"
	}
	return "Operational"
}

// Tone is the status's verdict.
func (h Health) Tone() ui.Tone {
	switch h {
	case Maintained:
		return ui.Info
	case Degraded, PartialOutage:
		return ui.Warn
	case MajorOutage:
		return ui.Bad
	}
	return ui.Good
}

// Component is a part of the platform that customers know by name.
type Component struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Group       string   `json:"group,omitempty" doc:"Heading on the status page"`
	Location    string   `json:"location,omitempty" doc:"Code of a site, such as AMS: the filter airport_code of maintenance_event_notification"`
	Position    int64    `json:"position" doc:"Order on the status page; groups follow their first component"`
	Health      Health   `json:"status" enum:"operational,under_maintenance,degraded_performance,partial_outage,major_outage" doc:"The worst status in an open incident or a running maintenance"`
	CreatedOn   web.Time `json:"created_at"`
	ModifiedOn  web.Time `json:"updated_at"`
}

// ComponentHealth is the status of a component in an incident.
type ComponentHealth struct {
	ID     string `json:"id" minLength:"1" maxLength:"64"`
	Name   string `json:"name,omitempty" readOnly:"true" maxLength:"200"`
	Health Health `json:"status,omitempty" enum:"operational,under_maintenance,degraded_performance,partial_outage,major_outage"`
}

// Incident is an incident or a maintenance.
type Incident struct {
	ID             string            `json:"id"`
	Kind           Kind              `json:"kind" enum:"incident,maintenance"`
	Name           string            `json:"name"`
	Impact         Impact            `json:"impact" enum:"none,minor,major,critical"`
	State          State             `json:"status" enum:"investigating,identified,monitoring,resolved,scheduled,in_progress,completed,canceled"`
	Components     []ComponentHealth `json:"components" doc:"With their status in this incident"`
	StartedOn      web.Time          `json:"started_at" doc:"Of a maintenance: its scheduled start until it begins"`
	ScheduledUntil web.Time          `json:"scheduled_until,omitzero" doc:"Of a maintenance"`
	ResolvedOn     web.Time          `json:"resolved_at,omitzero" doc:"The end, of a maintenance as well"`
	Automatic      bool              `json:"automatic,omitempty" doc:"The maintenance begins and ends as scheduled"`
	Postmortem     string            `json:"postmortem,omitempty"`
	Updates        []Update          `json:"updates,omitempty" doc:"Newest first, at most 200; lists leave them out"`
	CreatedBy      string            `json:"created_by,omitempty"`
	CreatedOn      web.Time          `json:"created_at"`
	ModifiedOn     web.Time          `json:"updated_at"`
}

// Open reports whether it has not ended.
func (i *Incident) Open() bool { return i.ResolvedOn.IsZero() }

// Update is a message about an incident.
type Update struct {
	ID         string            `json:"id"`
	State      State             `json:"status"`
	Message    string            `json:"message"`
	At         web.Time          `json:"at"`
	Author     string            `json:"author,omitempty" doc:"Not shown on the public page"`
	Components []ComponentHealth `json:"components,omitempty" doc:"The statuses that it changed"`
	ModifiedOn web.Time          `json:"modified_at,omitzero" doc:"When its message was corrected"`
}
