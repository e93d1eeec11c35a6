// Package opsgenie sends notifications to JSM Operations and to Opsgenie, whose API
// has the same shape.
//
//	START, notice -> create an alert        END -> close it, by alias
//	test -> create and close at once
package opsgenie

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Limits of an alert, in characters.
const (
	mostMessage     = 130
	mostDescription = 15_000
	mostDetails     = 8000 // names and values together
	mostEntity      = 512
	mostNote        = 25_000
)

// Channel is the channel of JSM Operations. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "opsgenie",
		Title: "JSM Operations",
		Answers: []notify.Answer{
			{Status: 404, Text: "No alert exists", As: 200},
			{Status: 422, Text: "Key format is not valid", As: 401, Why: "JSM Operations does not know the API key"},
		},
		Check: check,
	}
}

func check(s notify.Settings) (pointer, fault string) {
	if s.Secret == "" && apiKey(s.URL) == "" {
		return "/secret", "secret is the API key of an integration \"API\" of JSM Operations or Opsgenie"
	}
	return "", ""
}

// apiKey is the key in a URL, where Opsgenie's integrations have it.
func apiKey(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Query().Get("apiKey")
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	r := c.post(ctx, m, m.Event == event.AlertEnd)
	if m.Test() && r.Status >= 200 && r.Status < 300 {
		return c.post(ctx, m, true)
	}
	return r
}

func (c *Channel) post(ctx context.Context, m *notify.Message, end bool) delivery.Result {
	key := m.Secret
	if key == "" {
		key = apiKey(m.Address)
	}
	body, err := create(m)
	if end {
		body, err = closing(m)
	}
	return notify.Post(ctx, c.client, m, outbound.Request{
		URL:     address(m, end),
		Body:    body,
		Header:  http.Header{"Authorization": {"GenieKey " + key}},
		Hidden:  []string{"Authorization"},
		Secrets: []string{key},
	}, err)
}

// address is the URL of the alerts, whichever page of the API the settings name.
func address(m *notify.Message, end bool) string {
	u, err := url.Parse(m.Address)
	if err != nil {
		return m.Address
	}
	u.RawQuery = ""
	if base, found := strings.CutSuffix(strings.TrimSuffix(u.Path, "/"), "/v2/alerts"); found {
		u.Path = base + "/v2/alerts"
	} else if strings.HasSuffix(u.Hostname(), "atlassian.com") {
		u.Path = "/jsm/ops/integration/v2/alerts"
	} else {
		u.Path = "/v2/alerts"
	}
	if end {
		u.Path += "/" + alias(m) + "/close"
		u.RawQuery = "identifierType=alias"
	}
	return u.String()
}

func alias(m *notify.Message) string { return "belfry-" + notify.IncidentKey(m) }

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	if m.Event == event.AlertEnd {
		return closing(m)
	}
	return create(m)
}

func closing(m *notify.Message) ([]byte, error) {
	return notify.Object{"source": "Belfry", "user": "Belfry", "note": notify.Cut(notify.Text(m), mostNote)}.Encode()
}

func create(m *notify.Message) ([]byte, error) {
	v := notify.ViewOf(m).Short(2000)
	lines := []string{notify.Text(m)}
	for _, c := range v.Changes {
		lines = append(lines, "• "+c.Summary+" "+c.URL)
	}
	for _, l := range v.Links {
		lines = append(lines, l.Label+": "+l.URL)
	}
	details := notify.Object{}
	left := mostDetails
	add := func(name, value string) {
		if value = notify.Cut(value, 1000); value != "" && len(name)+2*len(value) < left {
			details[name] = value
			left -= len(name) + 2*len(value)
		}
	}
	for _, f := range v.Facts {
		add(f.Name, f.Value)
	}
	add("Policy", v.Policy)
	add("Alert", m.URL)
	return notify.Object{
		"message":     notify.Cut(v.Headline, mostMessage),
		"alias":       alias(m),
		"description": notify.Cut(strings.Join(lines, "\n"), mostDescription),
		"details":     details,
		"entity":      notify.Cut(m.Property, mostEntity),
		"source":      "Belfry",
		"user":        "Belfry",
		"priority":    priorities[notify.LevelOf(m)],
		"tags":        []string{"belfry"},
	}.Encode()
}

var priorities = map[notify.Level]string{
	notify.LevelInfo:     "P5",
	notify.LevelWarning:  "P3",
	notify.LevelError:    "P2",
	notify.LevelCritical: "P1",
}
