package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// The alert types of alerts from other systems whose name no catalogue declares.
const (
	PrometheusAlert = "prometheus_alert"
	GrafanaAlert    = "grafana_alert"
)

// Limits of an alert from another system.
const (
	maxLabels    = 64
	maxLabelName = 255
	// maxReported limits the alerts of an account that fire in other systems.
	maxReported = 10_000
	// resolveTimeout is Alertmanager's: the time after which an alert without an end
	// time ends when it is not repeated.
	resolveTimeout = 5 * time.Minute
)

// onRamp is the format of another system that sends alerts.
type onRamp struct {
	product string // of the alert's resource
	kind    string // alert type for names that no catalogue declares
	wrapped bool   // the body is an object with a list of alerts, each with its status
}

// The systems that send alerts in formats of their own.
var (
	fromPrometheus   = onRamp{product: "prometheus", kind: PrometheusAlert}
	fromAlertmanager = onRamp{product: "prometheus", kind: PrometheusAlert, wrapped: true}
	fromGrafana      = onRamp{product: "grafana", kind: GrafanaAlert, wrapped: true}
)

// ofOnRamp reports whether Belfry's own catalogue declares the type for on-ramps.
func ofOnRamp(kind string) bool { return kind == PrometheusAlert || kind == GrafanaAlert }

// PostedAlert is an alert of Prometheus, as Alertmanager's API takes it.
type PostedAlert struct {
	Labels       map[string]string `json:"labels" doc:"alertname is required; at most 64 labels"`
	Annotations  map[string]string `json:"annotations,omitempty" doc:"summary or description becomes the summary"`
	StartsAt     time.Time         `json:"startsAt,omitempty" doc:"Now when left out"`
	EndsAt       time.Time         `json:"endsAt,omitempty" doc:"In the past: the alert has ended. Else it ends then, unless it is repeated; in 5 minutes when left out"`
	GeneratorURL string            `json:"generatorURL,omitempty" doc:"Page with details"`
}

// ReportedAlert is an alert in a webhook of Alertmanager or Grafana.
type ReportedAlert struct {
	PostedAlert
	Status       string             `json:"status" enum:"firing,resolved"`
	Fingerprint  string             `json:"fingerprint,omitempty"`
	DashboardURL string             `json:"dashboardURL,omitempty" doc:"Grafana's"`
	PanelURL     string             `json:"panelURL,omitempty" doc:"Grafana's"`
	SilenceURL   string             `json:"silenceURL,omitempty" doc:"Grafana's"`
	Values       map[string]float64 `json:"values,omitempty" doc:"Grafana's"`
}

// AlertmanagerWebhook is the body of a webhook of Alertmanager (version 4) or Grafana.
// Other fields are ignored.
type AlertmanagerWebhook struct {
	Version         string          `json:"version,omitempty"`
	GroupKey        string          `json:"groupKey,omitempty"`
	Status          string          `json:"status,omitempty"`
	Receiver        string          `json:"receiver,omitempty"`
	TruncatedAlerts int             `json:"truncatedAlerts,omitempty"`
	Alerts          []ReportedAlert `json:"alerts" maxItems:"1000"`
}

var aReportedAlert = strict.Subject{Name: "an alert"}

// relayed is one alert from another system.
type relayed struct {
	ReportedAlert
	fingerprint string // of the labels
	ended       bool
	at          time.Time // when it ended, or when it ends unless it is repeated; zero = never
	prepared    *prepared // nil = it repeats what is stored
	alertID     string    // of the alert that was stored for the start
}

// decode reads one alert. Fields that are not known are ignored: newer versions of the
// other systems may send more.
func (o onRamp) decode(value jsontext.Value, now time.Time) (*relayed, errs.List) {
	r := &relayed{}
	if len(value) > maxAlert {
		return r, errs.List{errs.New(errs.CodeTooLarge, "an alert has at most %d bytes, not %d", maxAlert, len(value))}
	}
	if err := json.Unmarshal(value, &r.ReportedAlert); err != nil {
		return r, errs.List{aReportedAlert.Fault(err)}
	}
	maps.DeleteFunc(r.Labels, func(_, value string) bool { return value == "" }) // as Alertmanager does

	var faults errs.List
	fault := func(code errs.Code, pointer, format string, args ...any) {
		faults = append(faults, errs.At(code, pointer, format, args...))
	}
	if r.Labels["alertname"] == "" {
		fault(errs.CodeMissingField, "/labels/alertname", "the label alertname is required")
	}
	if len(r.Labels) > maxLabels {
		fault(errs.CodeOutOfRange, "/labels", "an alert has at most %d labels, not %d", maxLabels, len(r.Labels))
	}
	for _, name := range sortedKeys(r.Labels) {
		if name == "" || len(name) > maxLabelName {
			fault(errs.CodeOutOfRange, "/labels", "the name of a label has 1 to %d bytes", maxLabelName)
		}
	}
	if o.wrapped && r.Status != "firing" && r.Status != "resolved" {
		fault(errs.CodeInvalid, "/status", "status is firing or resolved, not %s", quoted(r.Status))
	}
	r.fingerprint = fingerprintOf(r.Labels)
	r.setEnd(o, now)
	return r, faults
}

// setEnd finds out whether the alert has ended, and when it ends by itself.
func (r *relayed) setEnd(o onRamp, now time.Time) {
	r.at = r.EndsAt
	switch {
	case o.wrapped:
		r.ended = r.Status == "resolved"
		if !r.ended {
			r.at = time.Time{} // the sender sends the end
		} else if r.at.IsZero() || r.at.After(now) {
			r.at = now
		}
	case r.EndsAt.IsZero():
		r.at = now.Add(resolveTimeout)
	default:
		r.ended = !r.EndsAt.After(now)
	}
}

// until is the value of the column until_at.
func (r *relayed) until() int64 {
	if r.at.IsZero() {
		return 0
	}
	return r.at.UnixMicro()
}

// fingerprintOf identifies an alert by its labels.
func fingerprintOf(sent map[string]string) string {
	h := sha256.New()
	for _, name := range sortedKeys(sent) {
		for _, part := range []string{name, sent[name]} {
			h.Write([]byte(part))
			h.Write([]byte{0xff}) // not in UTF-8
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// startOf is the start that is stored for an alert of another system.
func (n *Feature) startOf(
	ctx context.Context, o onRamp, accountID string, r *relayed, now time.Time,
) (event.Alert, error) {
	kind, err := n.onRampType(ctx, o, r.Labels["alertname"])
	if err != nil {
		return event.Alert{}, err
	}
	zone, err := n.zoneOfLabels(ctx, accountID, r.Labels)
	if err != nil {
		return event.Alert{}, err
	}
	data, err := r.data()
	if err != nil {
		return event.Alert{}, err
	}
	a := event.Alert{
		ID:          r.alertID,
		Type:        o.kind,
		Event:       event.AlertStart,
		Correlation: o.product + "-" + r.fingerprint,
		OccurredAt:  formatTime(now),
		Summary:     r.summary(),
		Zone:        zone,
		Resource: &event.AlertResource{
			Product: o.product,
			Type:    "alert",
			ID:      r.fingerprint,
			Name:    cut(r.name(), maxName),
		},
		Filters: map[string][]string{},
		Data:    data,
		URL:     r.page(),
	}
	// It began before it was reported, as far as the clocks of both agree.
	if !r.StartsAt.IsZero() && r.StartsAt.Before(now) {
		a.BeganAt = formatTime(r.StartsAt)
	}
	if kind == nil {
		return a, nil
	}
	a.Type = kind.Type
	a.Severity = severityOf(r.Labels[severityKey], kind.Severities)
	for _, f := range kind.Filters {
		value := r.Labels[f.Key]
		if value != "" && f.Key != zonesKey && len(value) <= maxName && !strings.ContainsFunc(value, unicode.IsControl) {
			a.Filters[f.Key] = []string{value}
		}
	}
	return a, nil
}

// onRampType is the type whose name is the alert's, where a team declares it, or else the
// on-ramp's own.
func (n *Feature) onRampType(ctx context.Context, o onRamp, name string) (*AlertType, error) {
	kind, err := n.AlertType(ctx, name)
	if err != nil || kind != nil && kind.Team != "" {
		return kind, err
	}
	return n.AlertType(ctx, o.kind)
}

// zoneLabels are the labels that may name the property, in the order in which they are
// tried. instance is the URL that the blackbox exporter probes, or host:port.
var zoneLabels = []string{"property", "zone", "hostname", "host", "domain", "instance"}

// zoneOfLabels is the property that an alert is about: the first label that names one
// which the account has. The label property is kept even if it is unknown.
func (n *Feature) zoneOfLabels(ctx context.Context, accountID string, sent map[string]string) (string, error) {
	for _, name := range zoneLabels {
		ref := sent[name]
		if name == "instance" {
			ref = hostOfInstance(ref)
		}
		if ref == "" || len(ref) > maxName {
			continue
		}
		z, err := n.Zone(ctx, accountID, ref)
		if err != nil {
			return "", err
		}
		if z.ID != "" {
			return z.ID, nil
		}
	}
	return cut(sent["property"], maxName), nil
}

// hostOfInstance is the host name of a URL or of host:port.
func hostOfInstance(instance string) string {
	if !strings.Contains(instance, "://") {
		instance = "//" + instance
	}
	u, err := url.Parse(instance)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// severityWords are the words for severities that rules of other systems use.
var severityWords = map[string]string{
	"critical": "critical", "page": "critical", "fatal": "critical", "emergency": "critical", "disaster": "critical",
	"error": "error", "high": "error", "major": "error",
	"warning": "warning", "warn": "warning", "medium": "warning", "minor": "warning", "ticket": "warning",
	"info": "info", "information": "info", "informational": "info", "notice": "info", "low": "info", "none": "info",
}

// severityOf is the severity of a type (declared, mild to severe) for a label. One that
// the type lacks becomes the next milder one; a word that is not known is a warning.
func severityOf(label string, declared []string) string {
	want := slices.Index(declarable, cmp.Or(severityWords[strings.ToLower(label)], "warning"))
	found := ""
	for _, s := range declared {
		if found == "" || slices.Index(declarable, s) <= want {
			found = s
		}
	}
	return found
}

// name is the alert's name with what it is about.
func (r *relayed) name() string {
	if on := cmp.Or(r.Labels["instance"], r.Labels["service"], r.Labels["job"]); on != "" {
		return r.Labels["alertname"] + " on " + on
	}
	return r.Labels["alertname"]
}

// summary is one sentence for people.
func (r *relayed) summary() string {
	text := cmp.Or(r.Annotations["summary"], r.Annotations["description"], r.Annotations["message"], r.name())
	text = strict.Replace(strings.Join(strings.Fields(text), " "))
	if runes := []rune(text); len(runes) > maxSummary {
		text = string(runes[:maxSummary-1]) + "…"
	}
	return text
}

// page is the address of the page with details; "" when the sender gave no valid one.
func (r *relayed) page() string {
	for _, s := range []string{r.PanelURL, r.DashboardURL, r.GeneratorURL} {
		u, err := url.Parse(s)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && len(s) <= maxURL {
			return s
		}
	}
	return ""
}

// data is the open data of the stored alert.
func (r *relayed) data() (stdjson.RawMessage, error) {
	data := map[string]any{"labels": r.Labels}
	if len(r.Annotations) > 0 {
		data["annotations"] = r.Annotations
	}
	if len(r.Values) > 0 {
		data["values"] = r.Values
	}
	for name, address := range map[string]string{
		"generator_url": r.GeneratorURL,
		"dashboard_url": r.DashboardURL,
		"panel_url":     r.PanelURL,
		"silence_url":   r.SilenceURL,
	} {
		if address != "" {
			data[name] = address
		}
	}
	return stdjson.Marshal(data)
}

// relocate turns the pointer of a fault in Belfry's alert into that of the sent one.
func relocate(pointer string) string {
	switch pointer {
	case "/alert_type":
		return "/labels/alertname"
	case "/severity":
		return "/labels/severity"
	case "/summary":
		return "/annotations/summary"
	case "/zone":
		return "/labels/property"
	case "/began_at", "/occurred_at":
		return "/startsAt"
	case "/url":
		return "/generatorURL"
	}
	if rest, ok := strings.CutPrefix(pointer, "/filters/"); ok {
		key, _, _ := strings.Cut(rest, "/")
		return "/labels/" + key
	}
	if rest, ok := strings.CutPrefix(pointer, "/data"); ok {
		return cmp.Or(rest, "/labels")
	}
	return pointer
}
