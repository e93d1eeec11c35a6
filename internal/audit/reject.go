package audit

import (
	"context"
	"encoding/json"
	"regexp"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// A refused event goes back to the team that sent it: through the outbox of
// the audit database to the topic of rejects, keyed by the producer.

// maxRejectPayload is how much of a refused event travels back.
const maxRejectPayload = 4096

// personal finds the values that must not travel in clear: addresses of mail
// and network, and everything under a name that sounds like a secret.
var personal = regexp.MustCompile(`(?i)[a-z0-9._%+-]+@[a-z0-9.-]+|"[a-z0-9_-]*(password|secret|token|key|authorization|cookie)[a-z0-9_-]*"\s*:\s*"(?:[^"\\]|\\.)*"?|\b\d{1,3}(\.\d{1,3}){3}\b|[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}:[0-9a-f.]+`)

// newReject describes a rejected event.
func newReject(from Origin, via string, p *Pending, data []byte, source *event.Fetched, now time.Time) event.Reject {
	team := from.Producer
	if via == "kafka" {
		// A record does not say who sent it: it goes to the team whose product it names.
		team = p.owner
	}
	r := event.Reject{At: FormatTime(now.UnixMicro()), Producer: team, Account: p.Account, Via: via,
		EventID: cutText(p.Event.ID, 64), Product: cutText(p.Event.Resource.Product, maxWord), Source: source, By: from.By.ID}
	for _, f := range p.Faults {
		r.Errors = append(r.Errors, event.Fault{Code: int(f.Code), Pointer: f.Pointer, Message: f.Message})
	}
	// Masked before it is cut: half an address is not found.
	data = personal.ReplaceAll(data[:min(len(data), 4*maxRejectPayload)], []byte(`"…"`))
	r.Payload = cutText(string(data), maxRejectPayload)
	return r
}

func cutText(s string, n int) string {
	if len(s) > n {
		return validUTF8([]byte(s[:n]))
	}
	return validUTF8([]byte(s))
}

// enqueueRejects writes them to the outbox, in the caller's transaction.
func enqueueRejects(ctx context.Context, tx *db.Tx, list []event.Reject) error {
	msgs := make([]bus.Message, len(list))
	for i, r := range list {
		value, err := json.Marshal(r)
		if err != nil {
			return err
		}
		key := r.Producer
		if key == "" {
			key = r.Account
		}
		msgs[i] = bus.Message{Topic: event.TopicAuditRejects, Key: []byte(key), Value: value}
	}
	return bus.Enqueue(ctx, tx, msgs...)
}
