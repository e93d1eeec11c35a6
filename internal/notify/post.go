package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Post sends what a channel has written to a receiver whose URL and credential are
// secrets; err is the channel's.
func Post(
	ctx context.Context, client *outbound.Client, m *Message, in outbound.Request, err error,
) delivery.Result {
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: "the message cannot be written: " + err.Error()}
	}
	in.Secrets = append(in.Secrets, outbound.URLSecrets(m.Address)...)
	if m.Secret != "" {
		in.Secrets = append(in.Secrets, m.Secret)
	}
	in.Secrets = append(in.Secrets, m.ackSecrets()...)
	return client.Post(ctx, in)
}

// Masked returns a text of a message as it is stored with an attempt.
func Masked(m *Message, text string) string {
	for _, secret := range m.ackSecrets() {
		text = strings.ReplaceAll(text, secret, outbound.Masked)
	}
	return text
}

// PreviewOf is the preview of a channel that writes JSON.
func PreviewOf(body []byte, err error) (Rendered, error) { return Rendered{Body: string(body)}, err }

// IncidentKey is the key under which receivers group the messages of one incident: 32
// characters, the same for its start, its end and all attempts. A producer cannot
// choose it, so that no alert ends the incident of another.
func IncidentKey(m *Message) string {
	incident := m.Incident
	if incident == "" {
		incident = m.ID
	}
	sum := sha256.Sum256([]byte(m.Account + " " + incident))
	return hex.EncodeToString(sum[:16])
}

// Object is a JSON object whose members are written in the order of their names.
type Object map[string]any

// Encode writes a body as JSON.
func (o Object) Encode() ([]byte, error) { return json.Marshal(o) }
