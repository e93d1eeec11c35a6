package notify

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// destinationMark is the health of one destination after a batch of attempts.
type destinationMark struct {
	account, name string
	success       int64
	failure       int64
	state         string // "" = unchanged
	why           string
	failures      int // of the destination in this process, when the mark was made
}

func (m *destinationMark) add(o *delivery.Outcome) {
	v := &o.Verdict
	ended := o.At.Add(o.Took)
	if v.State == delivery.StateDelivered {
		m.success = max(m.success, ended.UnixMicro())
	} else if v.Pause == 0 && v.State != delivery.StateKept {
		m.failure = max(m.failure, ended.UnixMicro())
	}
	if v.Mark != "" {
		m.state = v.Mark
		m.why = v.Why
	}
}

var stateColumns = []string{
	"id",
	"state",
	"why",
	"at",
}

// stateRow is the new state of a destination in the order of stateColumns.
func (m *destinationMark) stateRow(destinationID string, now time.Time) []any {
	return []any{
		destinationID,
		m.state,
		m.why,
		now.UnixMicro(),
	}
}

// markDestinations writes health and state, and returns the destinations whose
// state changed. They are locked in the order of their ids.
func (n *Feature) markDestinations(
	ctx context.Context, tx *db.Tx, marks map[string]*destinationMark,
) (changed []string, err error) {
	order := slices.Sorted(maps.Keys(marks))
	rows := make([][]any, len(order))
	var states [][]any
	for i, destinationID := range order {
		m := marks[destinationID]
		rows[i] = []any{destinationID, m.success, m.failure}
		if m.state != "" {
			states = append(states, m.stateRow(destinationID, n.Now()))
		}
	}
	err = tx.Join(ctx, []string{"id", "success", "failure"}, rows, `UPDATE destination SET
			last_success = CASE WHEN input.success > last_success THEN input.success ELSE last_success END,
			last_failure = CASE WHEN input.failure > last_failure THEN input.failure ELSE last_failure END
		FROM input WHERE destination.id = input.id`, nil)
	if err != nil {
		return nil, err
	}
	err = tx.Join(ctx, stateColumns, states, `UPDATE destination
		SET state = input.state, state_why = input.why, state_at = input.at FROM input
		WHERE destination.id = input.id AND destination.state <> input.state AND destination.state <> 'disabled'
		RETURNING destination.id`, func(row db.Row) error {
		destinationID, err := db.ScanText(row)
		changed = append(changed, destinationID)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(changed)
	for _, destinationID := range changed {
		m := marks[destinationID]
		err := n.recordByBelfry(ctx, tx,
			event.NewAudit(m.account, stateActions[m.state], resourceDestination, destinationID, m.name), m.why)
		if err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// stateActions are the audit actions by the new state of a destination.
var stateActions = map[string]string{
	delivery.DestinationOK:       "recover",
	delivery.DestinationBroken:   "break",
	delivery.DestinationDisabled: "disable",
}

// healthLag is how old the stored time of a destination's last success may be while
// messages arrive: each batch of outcomes would otherwise write the rows of all its
// destinations, and on PostgreSQL wait for the batch before.
const healthLag = time.Second

// health knows which destinations are stored as working.
type health struct {
	mu           sync.Mutex
	destinations map[string]*destinationHealth
}

type destinationHealth struct {
	failures int   // outcomes that failed, and batches of them that are being stored
	asOf     int   // failures when success was written
	success  int64 // that is stored; 0 = none
}

// skip removes the marks that bring nothing new but a slightly later success.
func (h *health) skip(marks map[string]*destinationMark, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.destinations) > mostCached {
		h.destinations = nil
	}
	if h.destinations == nil {
		h.destinations = map[string]*destinationHealth{}
	}
	for destinationID, m := range marks {
		d := h.destinations[destinationID]
		if d == nil {
			d = &destinationHealth{}
			h.destinations[destinationID] = d
		}
		works := m.failure == 0 && (m.state == "" || m.state == delivery.DestinationOK)
		if !works {
			d.failures++
		}
		m.failures = d.failures
		if works && d.asOf == d.failures && d.success > now.Add(-healthLag).UnixMicro() {
			delete(marks, destinationID)
		}
	}
}

// written follows the commit of marks. A failure of another batch since then counts.
func (h *health) written(marks map[string]*destinationMark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for destinationID, m := range marks {
		d := h.destinations[destinationID]
		if d != nil && m.failure == 0 && m.success > 0 && m.failures == d.failures {
			d.asOf = m.failures
			d.success = m.success
		}
	}
}
