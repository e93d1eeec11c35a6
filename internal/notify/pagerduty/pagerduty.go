// Package pagerduty sends notifications to services of PagerDuty (Events API v2).
//
//	START, notice -> trigger         END -> resolve, under the same dedup_key
//	test -> change event             first preceding change -> change event
//
// PagerDuty joins events within one routing key. A destination's key never changes,
// so that an end arrives where its start did.
package pagerduty

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Limits of an event.
const (
	mostSummary = 1024
	mostBytes   = 500_000 // PagerDuty's own limit is 512 KB
	keyLength   = 32
)

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
)

// Channel is the channel of PagerDuty. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel. PagerDuty accepts 120 events a minute for each key.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  notify.KindPagerDuty,
		Title: "PagerDuty",
		Rate:  delivery.Rate{Every: 500 * time.Millisecond, Burst: 60},
		Answers: []notify.Answer{
			{Status: 400, Text: "routing_key", As: 401, Why: "PagerDuty does not know the routing key"},
			{Status: 400, Text: "Invalid routing key", As: 401, Why: "PagerDuty does not know the routing key"},
		},
		Check: check,
	}
}

func check(s notify.Settings) (pointer, fault string) {
	if len(s.Secret) != keyLength || strings.Trim(s.Secret, digits+lower+strings.ToUpper(lower)) != "" {
		return "/routing_key", "routing_key has 32 letters and digits: it is the integration key of an integration " +
			"\"Events API v2\" of the service"
	}
	return "", ""
}

// Send makes one attempt. The change that preceded an alert follows it as a change
// event; the alert has arrived whether that does or not.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	body, err := Body(m)
	to := m.Address
	if m.Test() {
		to = changeURL(to)
	}
	r := notify.Post(ctx, c.client, m, outbound.Request{URL: to, Body: body}, err)
	if r.Status == 202 && m.Event == event.AlertStart && len(m.Changes) > 0 {
		body, err = change(m.Secret, m.Changes[0].Summary, m.Changes[0].At, m.Changes[0].URL)
		notify.Post(ctx, c.client, m, outbound.Request{URL: changeURL(m.Address), Body: body}, err)
	}
	return r
}

// changeURL is the address of change events beside that of alerts.
func changeURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	return u.ResolveReference(&url.URL{Path: "/v2/change/enqueue"}).String()
}

// Preview is the body of the request, without the routing key.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) {
	shown := *m
	shown.Secret = outbound.Masked
	return notify.PreviewOf(Body(&shown))
}

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	if m.Test() {
		return change(m.Secret, m.Summary, m.Sent, m.URL)
	}
	o := notify.Object{
		"routing_key":  m.Secret,
		"event_action": "resolve",
		"dedup_key":    "belfry-" + notify.IncidentKey(m),
	}
	if m.Event == event.AlertEnd {
		return o.Encode()
	}
	body, err := trigger(o, m, m.Data)
	if err == nil && len(body) > mostBytes {
		return trigger(o, m, nil)
	}
	return body, err
}

func trigger(o notify.Object, m *notify.Message, data json.RawMessage) ([]byte, error) {
	v := notify.ViewOf(m).Short(mostSummary)
	details := notify.Object{}
	for _, f := range v.Facts {
		details[f.Name] = f.Value
	}
	if v.Lead != "" {
		details[strings.TrimSuffix(v.Lead, " by:")] = v.Changes[0].Summary
	}
	if v.Policy != "" {
		details["Policy"] = v.Policy
	}
	if len(data) > 0 {
		details["Data"] = data
	}
	source := m.Property
	if source == "" {
		source = "Belfry"
	}
	links := []notify.Object{}
	for _, l := range v.Links {
		links = append(links, notify.Object{"href": l.URL, "text": l.Label})
	}
	for _, c := range v.Changes {
		links = append(links, notify.Object{"href": c.URL, "text": notify.Cut(c.Summary, 200)})
	}
	o["event_action"] = "trigger"
	o["client"] = "Belfry"
	o["client_url"] = m.URL
	o["links"] = links
	o["payload"] = notify.Object{
		"summary":        notify.Cut(v.Headline, mostSummary),
		"source":         notify.Cut(source, 255),
		"severity":       severities[notify.LevelOf(m)],
		"timestamp":      m.At.UTC().Format(time.RFC3339Nano),
		"component":      notify.Cut(m.Subject, 255),
		"class":          m.Type,
		"custom_details": details,
	}
	return o.Encode()
}

var severities = map[notify.Level]string{
	notify.LevelInfo:     "info",
	notify.LevelWarning:  "warning",
	notify.LevelError:    "error",
	notify.LevelCritical: "critical",
}

// change is a change event; it pages no person.
func change(key, summary string, at time.Time, link string) ([]byte, error) {
	return notify.Object{
		"routing_key": key,
		"payload": notify.Object{
			"summary":   notify.Cut(summary, mostSummary),
			"source":    "Belfry",
			"timestamp": at.UTC().Format(time.RFC3339Nano),
		},
		"links": []notify.Object{{"href": link, "text": "Belfry"}},
	}.Encode()
}
