// Package webhook sends notifications to URLs: the body is the Cloudflare v4
// API's generic webhook, signed as Standard Webhooks 1.0.0 has it.
//
//	Message -> body -> sign(id.timestamp.body) -> outbound.Client -> Result
package webhook

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Channel is the channel of webhooks that speak no chat's format. Safe for
// concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{Type: notify.TypeGeneric, Title: "Webhook", Program: true, Check: check}
}

// check reads the template of the body.
func check(s notify.Settings) (pointer, fault string) {
	if s.Body == "" {
		return "", ""
	}
	if _, err := parseTemplate(s.Body); err != nil {
		return "/body_template", "body_template: " + err.Error()
	}
	return "", ""
}

// payload is the body of a message. The fields up to alert_event are the public
// contract; the rest is Belfry's.
type payload struct {
	Name        string          `json:"name"` // of the policy
	Text        string          `json:"text"`
	Data        json.RawMessage `json:"data"`
	TS          int64           `json:"ts"`
	Account     string          `json:"account_id"`
	PolicyID    string          `json:"policy_id"`
	Policy      string          `json:"policy_name"`
	Type        string          `json:"alert_type"`
	Correlation string          `json:"alert_correlation_id"`
	Event       string          `json:"alert_event,omitempty"`

	ID       string          `json:"alert_id,omitempty"`
	Began    string          `json:"began_at,omitempty"` // RFC 3339
	Severity string          `json:"severity"`
	Changes  []notify.Change `json:"changes"`
	More     int             `json:"changes_more"`
	URL      string          `json:"url"`
}

// Body makes the JSON of a message: the standard body, or that of the destination's
// template.
func Body(m *notify.Message) ([]byte, error) {
	if m.Body == "" {
		return Standard(m)
	}
	t, err := parseTemplate(m.Body)
	if err != nil {
		return nil, err
	}
	fields, err := fieldsOf(m)
	if err != nil {
		return nil, err
	}
	return t.render(fields)
}

// fieldsOf are the fields that a template may name: those of the standard body, and
// the texts that chats show.
func fieldsOf(m *notify.Message) (fields map[string]any, err error) {
	standard, err := Standard(m)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(standard))
	decoder.UseNumber() // numbers stay as they were sent
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	fields["headline"] = notify.Headline(m)
	fields["summary"] = m.Summary
	fields["property"] = m.Property
	fields["title"] = m.Title
	fields["incident"] = notify.IncidentKey(m)
	if len(m.Changes) > 0 {
		fields["first_change"] = m.Changes[0].Summary
	}
	return fields, nil
}

// Standard makes the body that a webhook without a template gets.
func Standard(m *notify.Message) ([]byte, error) {
	b := payload{Name: m.Policy, Text: notify.Text(m), Data: m.Data, TS: m.At.Unix(), Account: m.Account,
		PolicyID: m.PolicyID, Policy: m.Policy, Type: m.Type,
		Correlation: m.Correlation, ID: m.AlertID, Severity: m.Severity, Changes: m.Changes, More: m.More, URL: m.URL}
	if m.Test() {
		b.Name = "Test"
	} else if !m.Began.IsZero() {
		b.Began = m.Began.UTC().Format(time.RFC3339)
	}
	if len(b.Data) == 0 {
		b.Data = json.RawMessage("{}")
	}
	if b.Changes == nil {
		b.Changes = []notify.Change{}
	}
	switch m.Event {
	case event.AlertStart:
		b.Event = "ALERT_STATE_EVENT_START"
	case event.AlertEnd:
		b.Event = "ALERT_STATE_EVENT_END"
	}
	return json.Marshal(b)
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) {
	body, err := Body(m)
	return notify.Rendered{Body: string(body)}, err
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	data, err := Body(m)
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: "the message cannot be written: " + err.Error(), Body: data}
	}
	signature, err := outbound.Sign(m.Keys, m.ID, m.Sent, data)
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: err.Error(), Body: data}
	}
	for _, key := range m.Signers {
		signature = strings.TrimSpace(signature + " v1a," +
			base64.StdEncoding.EncodeToString(ed25519.Sign(key, outbound.SignedContent(m.ID, m.Sent, data))))
	}
	h := outbound.SignatureHeader(m.ID, m.Sent, signature)
	in := outbound.Request{URL: m.Address, Body: data, Header: h, Hidden: []string{authHeader}}
	if m.Secret != "" {
		h[authHeader] = []string{m.Secret}
	}
	for name, value := range m.Headers {
		h[name] = []string{value}
		in.Hidden = append(in.Hidden, name)
	}
	for _, name := range in.Hidden {
		if value := h[name]; len(value) > 0 && len(value[0]) >= shortestSecret {
			in.Secrets = append(in.Secrets, value...)
		}
	}
	return c.client.Post(ctx, in)
}

const authHeader = "cf-webhook-auth"

// shortestSecret is the length from which a header's value is a secret that an answer
// may repeat; a shorter one may be a word of it.
const shortestSecret = 8
