// Package webhook sends notifications to URLs: the body is the Cloudflare v4
// API's generic webhook, signed as Standard Webhooks 1.0.0 has it.
//
//	Message -> body -> sign(id.timestamp.body) -> outbound.Client -> Result
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
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
func (*Channel) Traits() notify.Traits { return notify.Traits{Type: notify.TypeGeneric, Title: "Webhook"} }

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

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
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

// Sign makes the value of webhook-signature: one v1 signature for each key
// (whsec_ and base64), separated by spaces.
func Sign(keys []string, id string, at time.Time, body []byte) (string, error) {
	var list []string
	for _, k := range keys {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(k, "whsec_"))
		if err != nil {
			return "", errors.New("a signing secret is not base64")
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		h.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	return strings.Join(list, " "), nil
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	data, err := Body(m)
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: "the message cannot be written as JSON"}
	}
	signature, err := Sign(m.Keys, m.ID, m.Sent, data)
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: err.Error(), Body: data}
	}
	h := http.Header{
		"webhook-id":        {m.ID}, // lower case, as the specification writes them
		"webhook-timestamp": {strconv.FormatInt(m.Sent.Unix(), 10)},
		"webhook-signature": {signature},
	}
	if m.Secret != "" {
		h[authHeader] = []string{m.Secret}
	}
	return c.client.Post(ctx, outbound.Request{URL: m.Address, Body: data, Header: h, Hidden: []string{authHeader}})
}

const authHeader = "cf-webhook-auth"
