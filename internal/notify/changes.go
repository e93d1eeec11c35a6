package notify

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// The changes that preceded an alert are looked up once, outside of any
// transaction: before its first message is sent, for a limited time, and in the
// background when that time was too short.

// maxChanges limits the changes that are stored with an alert; the rest are counted.
const maxChanges = 5

// sharedChanges is one lookup for all alerts of a batch that have the same result.
// It begins after the commit of the batch, so that no change that was recorded
// before any of its alerts can be missed.
type sharedChanges struct {
	mu   sync.Mutex // guards what follows; held while it is asked
	done bool
	list []Change
	more int
}

// changesKey holds everything that the changes before an alert depend on. The
// beginning of a condition is known to no more than a second.
type changesKey struct {
	account, zone string
	resource      event.AlertResource
	began         int64 // seconds
}

// shareChanges lets the alerts of a batch with the same key share one lookup.
func shareChanges(list []*prepared) {
	shared := map[changesKey]*sharedChanges{}
	for _, p := range list {
		if p.status != ingest.Accepted || p.rootKey != p.key {
			continue
		}
		key := changesKey{account: p.alert.Account, zone: p.zone.ID, began: p.began.Unix()}
		if p.alert.Resource != nil {
			key.resource = *p.alert.Resource
		}
		if shared[key] == nil {
			shared[key] = &sharedChanges{}
		}
		p.changes = shared[key]
	}
}

// ask returns the result, and looks it up when this is the first call or the
// earlier ones failed.
func (s *sharedChanges) ask(ctx context.Context, n *Feature, q ChangesQuery) ([]Change, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		list, more, err := n.Changes(ctx, q)
		if err != nil {
			return nil, 0, err
		}
		s.done = true
		s.list = list
		s.more = more
	}
	return s.list, s.more, nil
}

// lookups are the lookups in progress.
type lookups struct {
	mu    sync.Mutex
	calls map[string]*lookup // by alert
	done  sync.WaitGroup     // of lookups in progress; upkeep waits for them
}

// lookup is a lookup in progress. answer is set before answered is closed, and
// nil when the lookup failed; done is closed when the answer is stored.
type lookup struct {
	answered, done chan struct{}
	answer         *foundChanges
}

// foundChanges is a result that is not stored yet.
type foundChanges struct {
	key  string
	list []Change
	more int
}

func (f *foundChanges) store(ctx context.Context, tx *db.Tx) error {
	list, err := json.Marshal(f.list)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE alert SET changes = $2, changes_more = $3, changes_state = 'found' WHERE alert_key = $1`,
		f.key, list, f.more)
	return err
}

// awaitChanges returns the changes before the alert of a message, or nil when they
// are stored already, are not found in the time that a message may wait, or do not
// belong into the message.
func (n *Feature) awaitChanges(ctx context.Context, it *delivery.Item) *foundChanges {
	if it.Payload != it.Subject || n.Changes == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.Limits.Changes)
	defer cancel()
	c := n.lookUp(ctx, it.Subject, outgoingOf(it).alert)
	select {
	case <-c.answered:
		return c.answer
	case <-ctx.Done():
		return nil
	}
}

// lookUp starts a lookup, or joins the one in progress. The result is stored also
// when all callers have stopped waiting. p is the alert when it was just stored by
// this process, so that it need not be read; otherwise nil.
func (n *Feature) lookUp(ctx context.Context, key string, p *prepared) *lookup {
	n.lookups.mu.Lock()
	defer n.lookups.mu.Unlock()
	if c := n.lookups.calls[key]; c != nil {
		return c
	}
	c := &lookup{answered: make(chan struct{}), done: make(chan struct{})}
	n.lookups.calls[key] = c
	if p != nil && p.asked {
		p = nil // it may have the changes already
	} else if p != nil {
		p.asked = true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	n.lookups.done.Go(func() {
		defer cancel()
		if err := n.findChanges(ctx, key, p, c); err != nil {
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
func (n *Feature) findChanges(ctx context.Context, key string, p *prepared, c *lookup) error {
	answer, err := n.askChanges(ctx, key, p)
	c.answer = answer
	close(c.answered)
	if err != nil || answer == nil {
		return err
	}
	return n.queue.Commit(ctx, answer.store)
}

// askChanges returns nil when the alert has its changes already.
func (n *Feature) askChanges(ctx context.Context, key string, p *prepared) (*foundChanges, error) {
	var q ChangesQuery
	if p != nil {
		q = ChangesQuery{Account: p.alert.Account, Zone: p.zone.ID, Began: p.began, Until: p.at, Limit: maxChanges}
		if p.alert.Resource != nil {
			q.Resource = *p.alert.Resource
		}
	} else {
		var pending bool
		var err error
		if q, pending, err = n.changesQuery(ctx, key); err != nil || !pending {
			return nil, err
		}
	}
	var list []Change
	var more int
	var err error
	if p != nil && p.changes != nil {
		list, more, err = p.changes.ask(ctx, n, q)
	} else {
		list, more, err = n.Changes(ctx, q)
	}
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
	return &foundChanges{key, list, more}, nil
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
		case <-n.lookUp(ctx, key, nil).done:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
