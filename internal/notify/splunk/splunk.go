// Package splunk sends notifications to the HTTP Event Collector of Splunk.
//
//	Message -> event with the fields of a generic webhook -> POST -> code 0
package splunk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/webhook"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Channel is the channel of Splunk. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:    "splunk",
		Title:   "Splunk",
		Program: true,
		Answers: []notify.Answer{
			{Status: 400, Text: "Incorrect index", As: 403, Why: "Splunk: the token may not write to its index"},
			{Status: 400, Text: "Data channel is missing", As: 403, Why: "Splunk: turn off the token's indexer acknowledgement"},
			{Text: "Server is busy", As: 503, Why: "Splunk is busy"},
		},
		Check: check,
	}
}

func check(s notify.Settings) (pointer, fault string) {
	if s.Secret == "" {
		return "/secret", "secret is the token of Splunk's HTTP Event Collector"
	}
	return "", ""
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	to := address(m.Address)
	body, err := Body(m)
	if strings.HasSuffix(to, "/raw") {
		body, err = webhook.Standard(m)
	}
	return notify.Post(ctx, c.client, m, outbound.Request{
		URL:    to,
		Body:   body,
		Header: http.Header{"Authorization": {"Splunk " + m.Secret}},
		Hidden: []string{"Authorization"},
	}, err)
}

// address completes a URL that names only the server.
func address(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/services/collector/event"
	}
	return u.String()
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	data, err := webhook.Standard(m)
	if err != nil {
		return nil, err
	}
	o := notify.Object{
		"time":       float64(m.At.UnixMilli()) / 1000,
		"source":     "belfry",
		"sourcetype": "belfry:alert",
		"event":      json.RawMessage(data),
	}
	if m.Property != "" {
		o["host"] = notify.Cut(m.Property, 255)
	}
	return o.Encode()
}
