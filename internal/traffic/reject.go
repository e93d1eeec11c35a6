package traffic

import (
	"encoding/json"
	"regexp"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// A refused count goes back to the team that sent it, through the outbox to the
// topic of rejects.

const (
	maxRejects       = 100  // of one request or record of the bus that go back; the answer counts all
	maxRejectPayload = 4096 // bytes of a count that travel back
)

// personal finds what must not travel in clear: somebody may have sent a log,
// or an event, to the place for counts.
var personal = regexp.MustCompile(`(?i)[a-z0-9._%+-]+@[a-z0-9.-]+|"[a-z0-9_-]*(password|secret|token|key|authorization|cookie)[a-z0-9_-]*"\s*:\s*"(?:[^"\\]|\\.)*"?|\b\d{1,3}(\.\d{1,3}){3}\b|[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}:[0-9a-f.]+`)

// rejects describes the refused counts of a batch as messages. Lines of logs
// have no data here and stay in the answer: they are their visitors'.
func (b *batch) rejects(now time.Time, source *event.Fetched) ([]bus.Message, error) {
	var msgs []bus.Message
	for _, r := range b.bad {
		if len(msgs) == maxRejects {
			break
		}
		if r.data == nil {
			continue
		}
		out := event.Reject{Kind: "traffic", At: now.UTC().Format("2006-01-02T15:04:05.000000Z"), Producer: b.from.producer, Account: r.account,
			Via: b.from.via, Source: source, By: b.from.by}
		for _, e := range r.faults {
			out.Errors = append(out.Errors, event.Fault{Code: int(e.Code), Pointer: e.Pointer, Message: e.Message})
		}
		// Masked before it is cut: half an address is not found.
		out.Payload = strict.Clip(string(personal.ReplaceAll(r.data[:min(len(r.data), 4*maxRejectPayload)], []byte(`"…"`))), maxRejectPayload)
		value, err := json.Marshal(out)
		if err != nil {
			return nil, err
		}
		key := out.Producer
		if key == "" {
			key = out.Account
		}
		msgs = append(msgs, bus.Message{Topic: event.TopicAuditRejects, Key: []byte(key), Value: value})
	}
	return msgs, nil
}
