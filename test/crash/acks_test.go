package crash_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// An event's content follows from its id, so that the test need not store it.
type sentEvent struct {
	AccountID  string         `json:"account_id,omitempty"` // Kafka only
	ID         string         `json:"id"`
	OccurredAt string         `json:"occurred_at"`
	Action     map[string]any `json:"action"`
	Actor      map[string]any `json:"actor"`
	Resource   map[string]any `json:"resource"`
	After      map[string]any `json:"after"`
}

// idPrefix begins the ids of all events of the tests; Belfry's own events have others.
const idPrefix = "crash."

func newEvent(id string) sentEvent {
	sum := sha256.Sum256([]byte(id))
	content := hex.EncodeToString(sum[:])
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(sum[0]) * time.Hour)
	return sentEvent{ID: id, OccurredAt: at.Format("2006-01-02T15:04:05.000000Z"),
		Action:   map[string]any{"type": "update", "description": content[:20]},
		Actor:    map[string]any{"type": "user", "id": "user-" + content[:4]},
		Resource: map[string]any{"product": "dns", "type": "record", "id": content[20:28]},
		After:    map[string]any{"value": content, "padding": strings.Repeat(content[:1], int(sum[1]))}}
}

func (e sentEvent) encode() []byte {
	b, _ := json.Marshal(e) // maps of strings: no error
	return b
}

// checkShown compares an event as Belfry shows it with the one that was sent.
func checkShown(shown json.RawMessage, id string) error {
	var got sentEvent
	if err := json.Unmarshal(shown, &got); err != nil {
		return err
	}
	want := newEvent(id)
	delete(got.Action, "result") // filled in
	got.AccountID = ""
	if got, want := got.encode(), want.encode(); string(got) != string(want) {
		return fmt.Errorf("it reads %s, sent was %s", got, want)
	}
	return nil
}

// overBus replaces the seq of an event whose acknowledgement had none.
const overBus = -1

// ackLog holds the acknowledgements of the server. It is in this process, which is never killed.
type ackLog struct {
	mu      sync.Mutex                  // guards what follows
	open    map[string]map[string]int64 // account -> id -> seq: not yet seen in the record
	seen    map[string]int64            // id -> seq: seen in the record
	given   map[string]struct{}         // every id
	http    int                         // ids acknowledged over HTTP
	bus     int                         // ids acknowledged over Kafka
	refused int                         // requests answered with 503
	recent  []place                     // some that were acknowledged
}

type place struct{ account, id string }

func newAckLog() *ackLog {
	return &ackLog{
		open:   map[string]map[string]int64{},
		seen:   map[string]int64{},
		given:  map[string]struct{}{},
		recent: make([]place, 0, 1000),
	}
}

// note takes note of an acknowledgement. A place that contradicts an earlier one is an error.
func (a *ackLog) note(account, id string, seq int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.given[id]; !ok {
		a.given[id] = struct{}{}
		if seq == overBus {
			a.bus++
		} else {
			a.http++
		}
		if len(a.recent) < cap(a.recent) {
			a.recent = append(a.recent, place{account, id})
		} else {
			a.recent[len(a.given)%len(a.recent)] = place{account, id}
		}
	}
	before, stored := a.seen[id]
	if !stored {
		var ok bool
		if before, ok = a.open[account][id]; !ok || before == overBus {
			if a.open[account] == nil {
				a.open[account] = map[string]int64{}
			}
			a.open[account][id] = seq
			return nil
		}
	}
	if seq != overBus && seq != before {
		return fmt.Errorf("event %s was acknowledged at seq %d, and before at %d", id, seq, before)
	}
	return nil
}

// again gives the account and id of an event that was acknowledged before; n chooses it.
func (a *ackLog) again(n int) (account, id string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.recent) == 0 {
		return "", "", false
	}
	p := a.recent[n%len(a.recent)]
	return p.account, p.id, true
}

func (a *ackLog) refuse() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused++
}

// count gives the acknowledged events by on-ramp, and the refused requests.
func (a *ackLog) count() (http, bus, refused int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.http, a.bus, a.refused
}

// expected copies what must be in the record of an account by now, with its place where it
// is known, and the size that the log must have for it.
func (a *ackLog) expected(account string) (list map[string]int64, size int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list = map[string]int64{}
	for id, seq := range a.open[account] {
		list[id] = seq
		size = max(size, seq+1)
	}
	return list, size
}

// found takes note that an event is in the record. A second place, or another one than was
// acknowledged, is an error.
func (a *ackLog) found(account, id string, seq int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before, ok := a.seen[id]; ok {
		return fmt.Errorf("event %s is stored twice, as seq %d and %d", id, before, seq)
	}
	if want, ok := a.open[account][id]; ok && want != overBus && want != seq {
		return fmt.Errorf("event %s is stored as seq %d, acknowledged was %d", id, seq, want)
	}
	a.seen[id] = seq
	delete(a.open[account], id)
	return nil
}

// missing gives the number of acknowledged events that were not seen, and one of them.
func (a *ackLog) missing() (n int, example string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for account, list := range a.open {
		for id := range list {
			n, example = n+1, account+" "+id
		}
	}
	return n, example
}

// places gives where events were seen.
func (a *ackLog) places(list []place) map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := make(map[string]int64, len(list))
	for _, p := range list {
		found[p.id] = a.seen[p.id]
	}
	return found
}
