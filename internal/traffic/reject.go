package traffic

import (
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// maxSample is the length of a sample, in bytes.
const maxSample = 200

// Sample is a line that is no request, as answers and belfry tail show it: cut, and
// with addresses masked as in all rejects.
func Sample(line []byte) string {
	line = line[:min(len(line), 4*maxSample)] // the mask reads no more
	r := event.NewReject(event.Reject{Errors: []event.Fault{{Message: string(line)}}}, time.Time{}, nil)
	return strict.Clip(r.Errors[0].Message, maxSample)
}

// rejects returns the refused counts of a batch as messages to the topic of rejects,
// which returns them to the team that sent them. Lines of logs hold the personal
// data of visitors: they are in the answer only.
func (b *batch) rejects(now time.Time, source *event.Fetched) ([]bus.Message, error) {
	var msgs []bus.Message
	for _, r := range b.bad {
		if len(msgs) == ingest.MaxRejects {
			break
		}
		if r.data == nil {
			continue
		}
		out := event.Reject{
			Kind:     "traffic",
			Producer: b.from.Producer,
			Account:  r.account,
			Via:      b.via,
			Source:   source,
			By:       b.from.By,
		}
		for _, e := range r.faults {
			out.Errors = append(out.Errors, event.Fault{Code: int(e.Code), Pointer: e.Pointer, Message: e.Message})
		}
		out = event.NewReject(out, now, r.data)
		value, err := json.Marshal(out)
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, bus.Message{Topic: event.TopicAuditRejects, Key: []byte(out.Key()), Value: value})
	}
	return msgs, nil
}
