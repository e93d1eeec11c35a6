package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// freshFor is how long a destination's settings are believed past one machine;
// on one, whoever changes them says so.
const freshFor = 2 * time.Second

// attempt makes one and has its outcome written before the next of its lane.
func (q *queue) attempt(it *item) {
	n := q.n
	d, m, held := q.message(it)
	var v verdict
	var r Result
	began := n.Now()
	switch {
	case q.ctx.Err() != nil:
		q.release(it, v)
		q.finish(it, v, false)
		return
	case held != nil:
		v = *held
	default:
		ctx, cancel := context.WithTimeout(q.ctx, n.Limits.Attempt)
		r = n.channels[it.kind].Send(ctx, m)
		cancel()
		if q.ctx.Err() != nil && r.Fault != NoFault {
			q.release(it, v)
			q.finish(it, v, false) // cut by the stop: it is made again
			return
		}
		v = judge(r, it.failures, began.Sub(it.created), n.Limits.Schedule, rand.Float64())
	}
	took := n.Now().Sub(began)
	if it.kind == KindEmail && r.Fault != NoFault && r.Fault != Kept && r.Status == 0 {
		// The server is at fault, not the address: that is for the operator.
		n.Log.Warn("a mail was not sent", "delivery", it.id, "attempt", it.attempts+1, "error", r.Error)
	}
	q.release(it, v)
	w := &write{outcome: &outcome{item: it, verdict: v, result: r, at: began, took: took}}
	if d != nil {
		w.outcome.destination = d.Name
	}
	if m != nil {
		w.outcome.thing = m.Thing
	}
	w.outcome.verdict.made = held == nil
	v = w.outcome.verdict
	stored := q.write(w)
	if stored {
		n.metrics.attempted(it.kind, v, r, took, v.made)
	}
	q.finish(it, v, stored && !w.outcome.lost)
}

// write hands an outcome to the writer until it is durable: an attempt that is
// not written would be made twice.
func (q *queue) write(w *write) bool {
	for {
		err := q.n.outcomes.Do(q.ctx, w)
		if err == nil {
			return true
		}
		if q.ctx.Err() != nil {
			return false
		}
		q.n.Log.Warn("an attempt's outcome is not written yet", "delivery", w.outcome.item.id, "error", err)
		select {
		case <-q.ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
}

// message makes what the channel sends; held is a verdict without an attempt.
func (q *queue) message(it *item) (d *Destination, m *Message, held *verdict) {
	later := func(err error) *verdict {
		if q.ctx.Err() == nil {
			q.n.Log.Warn("a delivery waits: its alert or destination cannot be read", "delivery", it.id, "error", err)
		}
		return &verdict{state: stateWaiting, why: "Belfry's database did not answer", wait: 2 * time.Second}
	}
	ctx, cancel := context.WithTimeout(q.ctx, 10*time.Second)
	defer cancel()
	d, err := q.destination(ctx, it)
	if errs.KindOf(err) == errs.NotFound {
		return nil, nil, &verdict{state: stateNotSent, why: "the destination was deleted"}
	}
	if err != nil {
		return nil, nil, later(err)
	}
	if d.State == destinationDisabled {
		return d, nil, &verdict{state: stateNotSent, why: "the destination is disabled: " + firstOf(d.StateReason, "its receiver is gone")}
	}
	if q.n.channels[it.kind] == nil {
		return d, nil, &verdict{state: stateFailed, why: "this installation has no channel of the kind " + it.kind}
	}
	if it.kind == KindEmail {
		member, err := q.n.Member(ctx, it.account, d.URL)
		if err != nil {
			return d, nil, later(err)
		}
		if !member {
			return d, nil, &verdict{state: stateNotSent, why: q.n.whyNoMail(ctx, it.account, d.URL)}
		}
	}
	m = q.n.envelope(d, it.id)
	m.PolicyID, m.Policy = it.policyID, it.policy
	if it.alertKey == "" {
		q.n.fillTest(m)
	} else if err := q.n.fill(ctx, m, it); err != nil {
		return d, nil, later(err)
	}
	m.tidy()
	return d, m, nil
}

// destination is the settings, from memory while they are fresh.
func (q *queue) destination(ctx context.Context, it *item) (*Destination, error) {
	q.mu.Lock()
	in := it.lane.dest
	q.mu.Unlock()
	in.reading.Lock()
	defer in.reading.Unlock()
	q.mu.Lock()
	known, fetched, epoch := in.known, in.fetched, in.epoch
	q.mu.Unlock()
	if known != nil && (!q.n.shared() || time.Since(fetched) < freshFor) {
		return known, nil
	}
	var d Destination
	err := q.n.DB.View(ctx, func(tx *db.Tx) (err error) {
		d, err = q.n.scanDestination(tx.QueryRow(ctx, `SELECT `+destinationColumns+` FROM destination WHERE account_id = $1 AND id = $2`, it.account, it.destination))
		if errors.Is(err, sql.ErrNoRows) {
			return noDestination()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	if in.epoch == epoch {
		in.known, in.fetched = &d, time.Now()
	}
	q.mu.Unlock()
	return &d, nil
}

// envelope is what all messages to a destination share.
func (n *Feature) envelope(d *Destination, deliveryID string) *Message {
	now := n.Now()
	return &Message{ID: deliveryID, Sent: now, Account: d.account, Name: d.Name, Address: d.URL, Secret: d.secrets.Shared, Keys: d.secrets.active(now), At: now}
}

func (n *Feature) fillTest(m *Message) {
	m.Type, m.Title, m.Severity = "belfry_test", "Test message", "info"
	m.Summary = fmt.Sprintf("This is a test message from Belfry to %s. Nothing is wrong.", m.Name)
	m.URL = n.URL + "/accounts/" + m.Account + "/notifications"
}

// fill adds the alert, and the changes that preceded it.
func (n *Feature) fill(ctx context.Context, m *Message, it *item) error {
	changes := n.awaitChanges(ctx, it)
	row, err := n.messageRow(ctx, it, changes)
	if err != nil {
		return err
	}
	a := &row.alert
	if kind, err := n.AlertType(ctx, a.Type); err == nil && kind != nil {
		m.Title = kind.Title
	}
	m.At, m.Began, m.Summary, m.Changes, m.More = row.at, row.began, row.summary, row.changes, row.more
	m.Thing = thing(row.about, m.Title, row.rootSummary)
	if it.event == event.AlertEnd {
		m.Started = row.started
		if a.Summary == "" {
			m.Summary = m.Thing
		}
	}
	for i, c := range m.Changes {
		if strings.HasPrefix(c.URL, "/") { // a page of ours; mail has no base
			m.Changes[i].URL = n.URL + c.URL
		}
	}
	m.AlertID, m.Type, m.Event, m.Correlation, m.Severity, m.Data = a.ID, a.Type, a.Event, a.Correlation, a.Severity, a.Data
	m.URL = n.alertURL(it.account, row.rootID)
	return nil
}

// messageRow is what a message needs of an alert: as it was just stored, where
// nothing else can have been added to it, or from the database. changes may not
// be in the database yet.
func (n *Feature) messageRow(ctx context.Context, it *item, changes *found) (row alertRow, err error) {
	p := it.alert
	if p == nil || it.alertKey != it.rootKey || n.Changes != nil && changes == nil {
		if row, err = n.alertRow(ctx, it.account, it.alertKey); err != nil {
			return row, err
		}
	} else {
		row = p.row()
	}
	if changes != nil {
		row.changes = slices.Clone(changes.list) // the message writes whole URLs into it
		row.more = changes.more
	}
	return row, nil
}

func (n *Feature) alertURL(accountID, alertID string) string {
	return n.URL + alertPath(accountID, alertID)
}

// sendTest sends a test message now, outside of the queue.
func (n *Feature) sendTest(ctx context.Context, d *Destination, policy string) (Result, error) {
	c := n.channels[d.Kind]
	if c == nil {
		return Result{}, errs.New(errs.CodeUnavailable, "this installation has no channel of the kind %s", d.Kind)
	}
	m := n.envelope(d, n.ids.next(n.Now()))
	n.fillTest(m)
	m.Policy = policy
	m.tidy()
	ctx, cancel := context.WithTimeout(ctx, n.Limits.Attempt) // as long as a delivery
	defer cancel()
	return c.Send(ctx, m), nil
}

// outcome is an attempt on its way into the database.
type outcome struct {
	item        *item
	verdict     verdict
	result      Result
	at          time.Time
	took        time.Duration
	destination string // its name
	thing       string // what the message is about

	lost bool // another owner wrote first; by the store
}

// write is one thing that the writer of outcomes carries.
type write struct {
	outcome *outcome
	closing *closing
	found   *found
}

// storeWrites is the writer's flush.
func (n *Feature) storeWrites(ctx context.Context, list []*write) error {
	recorded := false
	err := n.DB.Tx(ctx, func(tx *db.Tx) error {
		o := &outcomes{marks: map[string]*destinationMark{}}
		for _, w := range list {
			var err error
			switch {
			case w.outcome != nil:
				err = n.storeOutcome(ctx, tx, w.outcome, o)
			case w.closing != nil:
				_, err = tx.Exec(ctx, `UPDATE delivery SET state = $2, why = $3, ended_at = $4 WHERE id = $1 AND state = 'waiting'`, w.closing.item.id, w.closing.state, w.closing.why, n.Now().UnixMicro())
			case w.found != nil:
				err = w.found.store(ctx, tx)
			}
			if err != nil {
				return err
			}
		}
		if err := tx.Insert(ctx, "attempt", attemptColumns, "", o.attempts); err != nil {
			return err
		}
		marked, err := n.markDestinations(ctx, tx, o.marks)
		if err != nil {
			return err
		}
		told, err := n.recordAlerts(ctx, tx, o.told)
		recorded = marked || told
		return err
	})
	if err == nil && recorded {
		n.Wake()
	}
	return err
}

var attemptColumns = []string{"delivery_id", "n", "account_id", "at", "took", "status", "outcome", "error", "request", "body", "response", "answer"}

const (
	keepAnswer = 16 << 10
	keepBody   = 16 << 10
)

// outcomes is what a transaction gathers of the outcomes that it stores.
type outcomes struct {
	attempts [][]any
	marks    map[string]*destinationMark
	told     []alertEvent // first deliveries, for the audit log
}

func (n *Feature) storeOutcome(ctx context.Context, tx *db.Tx, o *outcome, all *outcomes) error {
	it, v := o.item, o.verdict
	now := n.Now()
	ended, failures, made := int64(0), it.failures, it.attempts
	if v.state != stateWaiting {
		ended = now.UnixMicro()
	}
	if v.counts {
		failures++
	}
	if v.made {
		made++
	}
	// The number of attempts fences: of two owners one writes.
	changed, err := tx.Exec(ctx, `UPDATE delivery SET state = $3, why = $4, attempts = $5, failures = $6, next_at = $7, ended_at = $8 WHERE id = $1 AND state = 'waiting' AND attempts = $2`,
		it.id, it.attempts, v.state, v.why, made, failures, now.Add(v.wait).UnixMicro(), ended)
	if err != nil {
		return err
	}
	if o.lost = changed == 0; o.lost {
		return nil
	}
	if v.made {
		result := v.state
		if v.state == stateWaiting {
			result = "retry"
		}
		all.attempts = append(all.attempts, []any{it.id, made, it.account, o.at.UnixMicro(), o.took.Microseconds(), o.result.Status, result, clean(o.result.Error, 1000),
			encodeHeaders(o.result.Request), head(o.result.Body, keepBody), encodeHeaders(o.result.Response), head(o.result.Answer, keepAnswer)})
		m := all.marks[it.destination]
		if m == nil {
			m = &destinationMark{account: it.account, name: o.destination}
			all.marks[it.destination] = m
		}
		m.note(o)
	}
	if it.heldFor != "" && it.attempts == 0 && v.made {
		if err := tell(ctx, tx, it.policyID, it.heldFor, o.at); err != nil {
			return err
		}
	}
	if v.state != stateDelivered || it.event != event.AlertStart && it.event != event.AlertNotice {
		return nil
	}
	return all.delivered(ctx, tx, o, now)
}

// destinationMark is what a batch of attempts says of one destination.
type destinationMark struct {
	account, name    string
	success, failure int64
	state, why       string
	paused           int64
}

func (m *destinationMark) note(o *outcome) {
	at := o.at.Add(o.took).UnixMicro()
	if o.verdict.state == stateDelivered {
		m.success = max(m.success, at)
	} else if o.verdict.pause == 0 && o.verdict.state != stateKept {
		m.failure = max(m.failure, at)
	}
	if o.verdict.mark != "" {
		m.state, m.why = o.verdict.mark, o.verdict.why
	}
	if o.verdict.pause > 0 {
		m.paused = max(m.paused, o.at.Add(o.took+o.verdict.pause).UnixMicro())
	}
}

// markDestinations writes health and state, and records a change of the state.
func (n *Feature) markDestinations(ctx context.Context, tx *db.Tx, marks map[string]*destinationMark) (recorded bool, err error) {
	for _, destinationID := range sortedMarks(marks) {
		m := marks[destinationID]
		_, err := tx.Exec(ctx, `UPDATE destination SET last_success = CASE WHEN $2 > last_success THEN $2 ELSE last_success END, last_failure = CASE WHEN $3 > last_failure THEN $3 ELSE last_failure END,
			paused_until = CASE WHEN $4 > paused_until THEN $4 ELSE paused_until END WHERE id = $1`, destinationID, m.success, m.failure, m.paused)
		if err != nil {
			return recorded, err
		}
		if m.state == "" {
			continue
		}
		changed, err := tx.Exec(ctx, `UPDATE destination SET state = $2, state_why = $3, state_at = $4 WHERE id = $1 AND state <> $2 AND state <> 'disabled'`, destinationID, m.state, m.why, n.Now().UnixMicro())
		if err != nil || changed == 0 {
			if err != nil {
				return recorded, err
			}
			continue
		}
		recorded = true
		action := map[string]string{destinationOK: "recover", destinationBroken: "break", destinationDisabled: "disable"}[m.state]
		if err := n.recordDestination(ctx, tx, m.account, action, destinationID, m.name, m.why); err != nil {
			return recorded, err
		}
	}
	return recorded, nil
}

func encodeHeaders(list []Header) []byte {
	b, err := json.Marshal(list)
	if err != nil || list == nil {
		return []byte("[]")
	}
	return b
}

func head(b []byte, n int) []byte {
	if b == nil {
		return []byte{}
	}
	return b[:min(len(b), n)]
}

// clean makes text of others fit for both databases: valid UTF-8 without NUL.
func clean(s string, n int) string {
	return cut(strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD"), n)
}

// sortedMarks are the destinations in one order for all transactions.
func sortedMarks(marks map[string]*destinationMark) []string {
	return slices.Sorted(maps.Keys(marks))
}
