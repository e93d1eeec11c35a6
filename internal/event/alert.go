package event

import "encoding/json"

// AlertEvent is the kind of an alert: the start or end of a cause, or a notice.
type AlertEvent string

// The events. Start and End of one cause share their correlation id.
const (
	AlertStart  AlertEvent = "start"
	AlertEnd    AlertEvent = "end"
	AlertNotice AlertEvent = "notice" // stands alone, without an end
)

// Alert is an alert of a product, or of Belfry's own objectives: the value of [TopicAlerts] and the body of
// POST .../alerts.
type Alert struct {
	Account     string              `json:"account_id"`
	ID          string              `json:"id"`         // unique in the account: a repeat has the same one
	Type        string              `json:"alert_type"` // declared in a catalogue
	Event       AlertEvent          `json:"event"`
	Correlation string              `json:"correlation_id,omitempty"` // of the cause; the id when left out
	Severity    string              `json:"severity,omitempty"`       // info, warning, error, critical
	OccurredAt  string              `json:"occurred_at"`              // RFC 3339: when it began, ended or happened
	BeganAt     string              `json:"began_at,omitempty"`       // RFC 3339: beginning of the reported problem
	Summary     string              `json:"summary,omitempty"`        // one sentence, for people
	Zone        string              `json:"zone,omitempty"`           // id, name or alias
	Resource    *AlertResource      `json:"resource,omitempty"`
	Filters     map[string][]string `json:"filters,omitempty"` // what policies compare
	Data        json.RawMessage     `json:"data,omitempty"`    // an object, as the catalogue's schema says
	URL         string              `json:"url,omitempty"`     // page with details: http(s), or a dashboard path
}

// AlertResource is the subject of an alert.
type AlertResource struct {
	Product string `json:"product"`
	Type    string `json:"type"`
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
}
