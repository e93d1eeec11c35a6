package notify

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// The changes that preceded an alert are looked up once, outside of any transaction:
// before it is stored, for a limited time. Where that time was too short, they are
// looked up before its first message is sent, again for a limited time, and in the
// background.

// maxChanges limits the changes that are stored with an alert; the rest are counted.
const maxChanges = 5

// changesKey holds everything that the changes before an alert depend on. The
// beginning of a condition is known to no more than a second.
type changesKey struct {
	account, zone string
	resource      event.AlertResource
	began         int64 // seconds
}

// findPreceding looks up the changes before the alerts of a request or of a batch of
// records; alerts with the same key share one lookup. Alerts without a result by the
// deadline are stored with their changes pending. The lookups are in progress until the
// caller calls stored.
func (n *Feature) findPreceding(ctx context.Context, list []*prepared) (stored func()) {
	if n.Changes == nil {
		return func() {}
	}
	stored = n.lookups.begin()
	as := n.asOf()
	for _, p := range list {
		p.changesAsOf = as
	}
	ctx, cancel := context.WithTimeout(ctx, n.Limits.Changes/5)
	defer cancel()
	shared := map[changesKey]*foundChanges{}
	for _, p := range list {
		if p.status == ingest.Rejected || p.alert.Event == event.AlertEnd {
			continue
		}
		q := p.changesQuery()
		key := changesKey{account: q.Account, zone: q.Zone, resource: q.Resource, began: q.Began.Unix()}
		found, asked := shared[key]
		if !asked && ctx.Err() == nil {
			var err error
			if found, err = n.ask(ctx, q); err != nil && ctx.Err() == nil {
				n.Log.Warn("the changes before an alert are not found yet", "alert", p.alert.ID, "error", err)
			}
			shared[key] = found
		}
		p.changes = found
	}
	return stored
}

func (p *prepared) changesQuery() ChangesQuery {
	q := ChangesQuery{Account: p.alert.Account, Zone: p.zone.ID, Began: p.began, Until: p.at, Limit: maxChanges}
	if p.alert.Resource != nil {
		q.Resource = *p.alert.Resource
	}
	return q
}

// ask returns nil with an error.
func (n *Feature) ask(ctx context.Context, q ChangesQuery) (*foundChanges, error) {
	list, more, err := n.Changes(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(list) > maxChanges {
		more += len(list) - maxChanges
		list = list[:maxChanges]
	}
	if list == nil {
		list = []Change{}
	}
	return &foundChanges{list, more}, nil
}

// lookups are the lookups in progress.
type lookups struct {
	mu     sync.Mutex
	calls  map[string]*lookup         // by alert
	before map[chan struct{}]struct{} // of alerts that are not stored yet; closed when they are
	done   sync.WaitGroup             // of lookups in progress; upkeep waits for them
}

// begin registers lookups for alerts that are not stored yet; the function ends them.
func (l *lookups) begin() (end func()) {
	done := make(chan struct{})
	l.mu.Lock()
	l.before[done] = struct{}{}
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		delete(l.before, done)
		l.mu.Unlock()
		close(done)
	}
}

// open returns the lookups in progress: each channel is closed when one has ended.
func (l *lookups) open() (list []chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		list = append(list, c.done)
	}
	return slices.AppendSeq(list, maps.Keys(l.before))
}

// lookup is a lookup in progress for an alert that is stored. answer is set before
// answered is closed, and nil when the lookup failed; done is closed when the answer is
// stored.
type lookup struct {
	answered, done chan struct{}
	answer         *foundChanges
}

// changesAge is how long changes in memory are used for a message. Afterwards they are read again, because an erasure
// in another process may have reached the stored ones.
const changesAge = 5 * time.Second

// asOf is a point in time and in the order of erasures.
type asOf struct {
	at       time.Time
	erasures int64 // begun and ended in this process
}

func (n *Feature) asOf() asOf { return asOf{n.Now(), n.erasures.Load()} }

// current reports whether changes that were read then can still be sent: no erasure has begun or ended since.
func (n *Feature) current(then asOf) bool {
	return n.erasures.Load() == then.erasures && n.Now().Sub(then.at) < changesAge
}

// foundChanges is the result of a lookup. It is never changed.
type foundChanges struct {
	list []Change
	more int
}

func (f *foundChanges) encode() ([]byte, error) {
	if len(f.list) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal(f.list)
}

// store attaches the result to an alert that was stored without it.
func (f *foundChanges) store(ctx context.Context, tx *db.Tx, key string) error {
	list, err := f.encode()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE alert SET changes = $2, changes_more = $3, changes_state = 'found' WHERE alert_key = $1`,
		key, list, f.more)
	return err
}

// awaitChanges returns the changes before the alert of a message, or nil when they
// are stored already, are not found in the time that a message may wait, or do not
// belong into the message.
func (n *Feature) awaitChanges(ctx context.Context, it *delivery.Item) *foundChanges {
	if it.Payload != it.Subject || n.Changes == nil {
		return nil
	}
	if p := outgoingOf(it).alert; p != nil && p.changes != nil {
		if !n.current(p.changesAsOf) {
			return nil // they are in the database
		}
		return p.changes
	}
	ctx, cancel := context.WithTimeout(ctx, n.Limits.Changes)
	defer cancel()
	c := n.lookUp(ctx, it.Subject)
	select {
	case <-c.answered:
		return c.answer
	case <-ctx.Done():
		return nil
	}
}

// lookUp starts a lookup for a stored alert, or joins the one in progress. The result
// is stored also when all callers have stopped waiting.
func (n *Feature) lookUp(ctx context.Context, key string) *lookup {
	n.lookups.mu.Lock()
	defer n.lookups.mu.Unlock()
	if c := n.lookups.calls[key]; c != nil {
		return c
	}
	c := &lookup{answered: make(chan struct{}), done: make(chan struct{})}
	n.lookups.calls[key] = c
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	n.lookups.done.Go(func() {
		defer cancel()
		if err := n.findChanges(ctx, key, c); err != nil {
			n.Log.Warn("the changes before an alert are not found yet", "alert", key, "error", err)
		}
		n.lookups.mu.Lock()
		delete(n.lookups.calls, key)
		n.lookups.mu.Unlock()
		close(c.done)
	})
	return c
}

// findChanges looks the changes up, passes them to the callers that wait for c, and
// stores them.
func (n *Feature) findChanges(ctx context.Context, key string, c *lookup) error {
	answer, err := n.askChanges(ctx, key)
	c.answer = answer
	close(c.answered)
	if err != nil || answer == nil {
		return err
	}
	return n.queue.Commit(ctx, func(ctx context.Context, tx *db.Tx) error { return answer.store(ctx, tx, key) })
}

// askChanges returns nil when the alert has its changes already.
func (n *Feature) askChanges(ctx context.Context, key string) (*foundChanges, error) {
	q, pending, err := n.changesQuery(ctx, key)
	if err != nil || !pending {
		return nil, err
	}
	return n.ask(ctx, q)
}

func (n *Feature) changesQuery(ctx context.Context, key string) (q ChangesQuery, pending bool, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		var state string
		var content []byte
		var began, at int64
		err := tx.QueryRow(ctx,
			`SELECT account_id, zone_id, content, began_at, occurred_at, changes_state FROM alert
			WHERE alert_key = $1`, key).Scan(&q.Account, &q.Zone, &content, &began, &at, &state)
		if err != nil {
			return err
		}
		var a event.Alert
		if err := json.Unmarshal(content, &a); err != nil {
			return err
		}
		if a.Resource != nil {
			q.Resource = *a.Resource
		}
		q.Began = time.UnixMicro(began).UTC()
		q.Until = time.UnixMicro(at).UTC()
		q.Limit = maxChanges
		pending = state == "pending"
		return nil
	})
	return q, pending, err
}

// findMissing repeats the lookup for alerts of the last hour whose changes are not
// known. Their messages may have been sent without them; the page shows them.
func (n *Feature) findMissing(ctx context.Context) error {
	now := n.Now()
	var keys []string
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		keys, err = db.Collect(ctx, tx, db.ScanText, `SELECT alert_key FROM alert
			WHERE changes_state = 'pending' AND received_at > $1
			ORDER BY received_at DESC LIMIT 50`, now.Add(-time.Hour).UnixMicro())
		return err
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		select {
		case <-n.lookUp(ctx, key).done:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
