package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Outcome is one attempt, or a verdict of Compose without one, as it is stored.
type Outcome struct {
	Item    *Item // with the counts before the attempt
	Message Message
	Verdict Verdict
	Result  Result
	At      time.Time
	Took    time.Duration

	fallback    *Item
	pausedUntil time.Time // of the destination; zero = it did not ask to wait
	lost        bool      // another owner stored a result first
}

// write is one entry of the writer's batch: exactly one of the three.
type write struct {
	outcome *Outcome
	closing *Closing
	work    func(context.Context, *db.Tx) error
}

// Commit runs work in the transaction that stores the next outcomes, and returns
// when that is durable. When work fails, the outcomes of the same transaction fail
// too: it must fail only when the database does.
func (q *Queue) Commit(ctx context.Context, work func(context.Context, *db.Tx) error) error {
	return q.writer.Do(ctx, &write{work: work})
}

// composeRetry is the wait after Compose returned an error.
const composeRetry = 2 * time.Second

// attempt sends one delivery and commits the outcome before the lane may
// continue.
func (q *Queue) attempt(it *Item) {
	o := &Outcome{Item: it, At: q.cfg.Now()}
	m, decided := q.compose(it)
	if decided != nil {
		o.Verdict = *decided
		q.redirect(o)
	} else if q.ctx.Err() == nil {
		o.Message = m
		q.send(o)
	}
	if q.ctx.Err() != nil && !o.arrived() {
		// Canceled by the end of the drain: the next owner makes it again.
		o.Verdict = Verdict{}
		q.release(o)
		q.finish(o, false)
		return
	}
	q.release(o)
	stored := q.store(o)
	if stored {
		q.metrics.attempted(it.Kind, o.Verdict, o.Took)
	}
	q.finish(o, stored && !o.lost)
	if stored && o.fallback != nil && !o.lost {
		q.Offer([]*Item{o.fallback})
	}
}

// arrived reports whether the receiver answered.
func (o *Outcome) arrived() bool { return o.Verdict.made && o.Result.Fault == NoFault }

func (q *Queue) compose(it *Item) (Message, *Verdict) {
	ctx, cancel := context.WithTimeout(q.ctx, 10*time.Second)
	defer cancel()
	m, decided, err := q.cfg.Compose(ctx, it)
	if err == nil {
		return m, decided
	}
	if q.ctx.Err() == nil {
		q.cfg.Log.Warn("a delivery could not be composed, will be tried again", "delivery", it.ID, "error", err)
	}
	return nil, &Verdict{State: StateWaiting, Why: "Belfry's database did not answer", Wait: composeRetry}
}

func (q *Queue) send(o *Outcome) {
	it := o.Item
	limits := &q.cfg.Limits
	ctx, cancel := context.WithTimeout(q.ctx, limits.Attempt)
	o.Result = q.cfg.Send(ctx, it, o.Message)
	cancel()
	o.Took = q.cfg.Now().Sub(o.At)
	v := Judge(o.Result, it.Failures, o.At.Sub(it.Created), limits.Schedule, rand.Float64())
	if q.cfg.Judge != nil {
		v = q.cfg.Judge(it, o.Result, v)
	}
	v.made = true
	o.Verdict = v
	q.redirect(o)
}

// redirect makes the delivery that replaces one that ended without arriving. There
// is one step: a fallback has no fallback.
func (q *Queue) redirect(o *Outcome) {
	v := &o.Verdict
	to := v.Fallback
	it := o.Item
	if to == nil || v.State == StateWaiting || v.State == StateDelivered || it.FallbackOf != "" {
		return
	}
	now := q.cfg.Now()
	o.fallback = &Item{
		ID:          cmp.Or(to.ID, id.At(now)),
		Tenant:      it.Tenant,
		Destination: to.Destination,
		Kind:        to.Kind,
		Lane:        it.Lane,
		Subject:     it.Subject,
		Payload:     it.Payload,
		Labels:      to.Labels,
		Data:        to.Data,
		ReplayOf:    it.ReplayOf,
		FallbackOf:  it.ID,
		Created:     now,
	}
}

// storeRetry is the wait after an outcome could not be stored.
const storeRetry = time.Second

// store passes an outcome to the writer until it is durable: an attempt that is not
// stored would be made twice.
func (q *Queue) store(o *Outcome) bool {
	for {
		err := q.writer.Do(q.ctx, &write{outcome: o})
		if err == nil {
			return true
		}
		if q.ctx.Err() != nil {
			return false
		}
		q.cfg.Log.Warn("an outcome is not stored yet", "delivery", o.Item.ID, "error", err)
		select {
		case <-q.ctx.Done():
			return false
		case <-time.After(storeRetry):
		}
	}
}

// close stores closings without waiting. A closing that is not stored is decided
// again by the next owner. Called with mu held.
func (q *Queue) close(list []Closing) {
	for _, c := range list {
		q.done.Go(func() {
			if err := q.writer.Do(q.ctx, &write{closing: &c}); err != nil {
				q.cfg.Log.Warn("the end of a delivery was not stored; it is decided again later",
					"delivery", c.Item.ID, "error", err)
			}
			q.metrics.ended(c.Item.Kind, c.State)
		})
	}
}

// flush stores a batch in one transaction.
func (q *Queue) flush(ctx context.Context, list []*write) error {
	var outcomes []*Outcome
	var closings []*Closing
	var works []func(context.Context, *db.Tx) error
	for _, w := range list {
		switch {
		case w.outcome != nil:
			outcomes = append(outcomes, w.outcome)
		case w.closing != nil:
			closings = append(closings, w.closing)
		default:
			works = append(works, w.work)
		}
	}
	var after func()
	err := q.cfg.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		stored, err := q.update(ctx, tx, outcomes)
		if err != nil {
			return err
		}
		if err := q.end(ctx, tx, closings); err != nil {
			return err
		}
		for _, work := range works {
			if err := work(ctx, tx); err != nil {
				return err
			}
		}
		if err := q.insertAttempts(ctx, tx, stored); err != nil {
			return err
		}
		if err := storePauses(ctx, tx, stored); err != nil {
			return err
		}
		after = nil
		if q.cfg.Record != nil && len(stored) > 0 {
			after, err = q.cfg.Record(ctx, tx, stored)
		}
		return err
	})
	if err == nil && after != nil {
		after()
	}
	return err
}

var outcomeColumns = []string{
	"id",
	"expected",
	"state",
	"why",
	"attempts",
	"failures",
	"next_at",
	"ended_at",
}

// state is the new state of a delivery in the order of outcomeColumns.
func (o *Outcome) state(now time.Time) []any {
	it := o.Item
	v := &o.Verdict
	ended := int64(0)
	if v.State != StateWaiting {
		ended = now.UnixMicro()
	}
	attempts := it.Attempts
	if v.made {
		attempts++
	}
	failures := it.Failures
	if v.Counts {
		failures++
	}
	return []any{
		it.ID,
		it.Attempts,
		v.State,
		v.Why,
		attempts,
		failures,
		now.Add(v.Wait).UnixMicro(),
		ended,
	}
}

// update stores the new states of deliveries, and returns the outcomes that are
// stored. The count of attempts is an optimistic lock: if two processes sent a
// delivery, one result is stored.
func (q *Queue) update(ctx context.Context, tx *db.Tx, list []*Outcome) (stored []*Outcome, err error) {
	now := q.cfg.Now()
	rows := make([][]any, len(list))
	for i, o := range list {
		rows[i] = o.state(now)
	}
	changed := make(map[string]bool, len(list))
	err = tx.Join(ctx, outcomeColumns, rows, `UPDATE delivery
		SET state = input.state, why = input.why, attempts = input.attempts, failures = input.failures,
			next_at = input.next_at, ended_at = input.ended_at
		FROM input
		WHERE delivery.id = input.id AND delivery.attempts = input.expected AND `+stillWaiting("delivery")+`
		RETURNING delivery.id`, func(row db.Row) error {
		deliveryID, err := db.ScanText(row)
		changed[deliveryID] = true
		return err
	})
	for _, o := range list {
		o.lost = !changed[o.Item.ID]
		if !o.lost {
			stored = append(stored, o)
		}
	}
	return stored, err
}

var closingColumns = []string{
	"id",
	"state",
	"why",
	"ended_at",
}

// row is the end of a delivery in the order of closingColumns.
func (c *Closing) row(now int64) []any {
	return []any{
		c.Item.ID,
		c.State,
		c.Why,
		now,
	}
}

func (q *Queue) end(ctx context.Context, tx *db.Tx, list []*Closing) error {
	now := q.cfg.Now().UnixMicro()
	rows := make([][]any, len(list))
	for i, c := range list {
		rows[i] = c.row(now)
	}
	return tx.Join(ctx, closingColumns, rows, `UPDATE delivery
		SET state = input.state, why = input.why, ended_at = input.ended_at
		FROM input WHERE delivery.id = input.id AND `+stillWaiting("delivery"), nil)
}

var attemptColumns = []string{
	"delivery_id",
	"n",
	"tenant",
	"at",
	"took",
	"status",
	"outcome",
	"error",
	"request",
	"body",
	"response",
	"answer",
}

const (
	keepAnswer = 16 << 10
	keepBody   = 16 << 10
	keepError  = 1000
)

// row is an attempt in the order of attemptColumns.
func (o *Outcome) row() []any {
	result := o.Verdict.State
	if result == StateWaiting {
		result = "retry"
	}
	r := &o.Result
	return []any{
		o.Item.ID,
		o.Item.Attempts + 1,
		o.Item.Tenant,
		o.At.UnixMicro(),
		o.Took.Microseconds(),
		r.Status,
		result,
		clean(r.Error, keepError),
		encodeHeaders(r.Request),
		head(r.Body, keepBody),
		encodeHeaders(r.Response),
		head(r.Answer, keepAnswer),
	}
}

// insertAttempts stores the attempts of a batch, and the deliveries that replace
// failed ones.
func (q *Queue) insertAttempts(ctx context.Context, tx *db.Tx, list []*Outcome) error {
	var rows [][]any
	var fallbacks []*Item
	for _, o := range list {
		if o.Verdict.made {
			rows = append(rows, o.row())
		}
		if o.fallback != nil {
			fallbacks = append(fallbacks, o.fallback)
		}
	}
	if err := tx.Insert(ctx, "attempt", attemptColumns, "", rows); err != nil {
		return err
	}
	return q.Insert(ctx, tx, fallbacks)
}

// encodeHeaders writes a list of headers as JSON.
func encodeHeaders(list []Header) []byte {
	size := 2
	for _, h := range list {
		size += len(h.Name) + len(h.Value) + len(`{"name":"","value":""},`)
	}
	b := append(make([]byte, 0, size), '[')
	for i, h := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = appendText(b, h.Name)
		b = append(b, `,"value":`...)
		b = appendText(b, h.Value)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendText appends a string as JSON.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // strings are always encoded
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func head(b []byte, n int) []byte {
	if b == nil {
		return []byte{}
	}
	return b[:min(len(b), n)]
}

// clean makes foreign text fit for both databases: valid UTF-8 without NUL, at
// most n bytes.
func clean(s string, n int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
