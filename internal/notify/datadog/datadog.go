// Package datadog sends notifications to Datadog as events.
//
//	Message -> event, aggregated by incident -> POST /api/v1/events -> 202
package datadog

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Limits of an event, in characters, and the age up to which Datadog accepts a date.
const (
	mostTitle = 100
	mostText  = 4000
	mostTag   = 200
	mostAge   = 18 * time.Hour
)

// Channel is the channel of Datadog. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{Type: "datadog", Title: "Datadog", Program: true, Check: check}
}

func check(s notify.Settings) (pointer, fault string) {
	if s.Secret == "" && apiKey(s.URL) == "" {
		return "/secret", "secret is an API key of Datadog"
	}
	return "", ""
}

// apiKey is the key in a URL.
func apiKey(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	q := u.Query()
	return q.Get("api_key") + q.Get("dd-api-key")
}

// Send makes one attempt. The key goes into a header also when the URL has it: a URL
// is easily logged on the way.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	key := m.Secret
	if key == "" {
		key = apiKey(m.Address)
	}
	body, err := Body(m)
	return notify.Post(ctx, c.client, m, outbound.Request{
		URL:     address(m.Address),
		Body:    body,
		Header:  http.Header{"Dd-Api-Key": {key}},
		Hidden:  []string{"Dd-Api-Key"},
		Secrets: []string{key},
	}, err)
}

// address completes a URL that names only the site.
func address(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	q := u.Query()
	q.Del("api_key")
	q.Del("dd-api-key")
	u.RawQuery = q.Encode()
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/v1/events"
	}
	return u.String()
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	v := notify.ViewOf(m).Short(1000)
	lines := []string{notify.Cut(notify.Text(m), 2000)}
	for _, l := range v.Links {
		lines = append(lines, l.Label+": "+l.URL)
	}
	for _, c := range v.Changes {
		lines = append(lines, "- "+c.Summary+" "+c.URL)
	}
	o := notify.Object{
		"title":            notify.Cut(v.Headline, mostTitle),
		"text":             notify.Cut(strings.Join(lines, "\n"), mostText),
		"alert_type":       alertType(m),
		"aggregation_key":  notify.IncidentKey(m),
		"source_type_name": "belfry",
		"priority":         "normal",
		"tags":             tags(m),
	}
	if m.Sent.Sub(m.At) < mostAge {
		o["date_happened"] = m.At.Unix()
	}
	if m.Property != "" {
		o["host"] = notify.Cut(m.Property, 255)
	}
	return o.Encode()
}

func alertType(m *notify.Message) string {
	switch {
	case m.Event == event.AlertEnd:
		return "success"
	case m.Test() || notify.LevelOf(m) == notify.LevelInfo:
		return "info"
	case notify.LevelOf(m) == notify.LevelWarning:
		return "warning"
	}
	return "error"
}

func tags(m *notify.Message) []string {
	list := []string{"source:belfry"}
	for _, t := range []notify.Fact{
		{Name: "alert_type", Value: m.Type},
		{Name: "severity", Value: m.Severity},
		{Name: "property", Value: m.Property},
		{Name: "policy", Value: m.Policy},
		{Name: "event", Value: string(m.Event)},
	} {
		if t.Value != "" {
			list = append(list, notify.Cut(t.Name+":"+strings.ReplaceAll(t.Value, ",", " "), mostTag))
		}
	}
	return list
}
