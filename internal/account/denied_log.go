package account

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// denials counts refused requests of known principals, so that the audit log gets
// one event a minute for each principal and route, however many requests there
// are. Failed sign-ins are counted here too: an event for each would reveal, by
// the time that writing it takes, which addresses are known.
type denials struct {
	mu    sync.Mutex // guards seen
	seen  map[denialKey]*denial
	limit int
}

type denialKey struct {
	account, kind, principal, action, route string
	minute                                  int64
}

type denial struct {
	who   web.Principal
	count int
	first time.Time
}

const (
	maxDenials  = 10_000
	denialBatch = 500 // in one transaction, so that other writers have their turn
)

func newDenials() *denials {
	return &denials{seen: map[denialKey]*denial{}, limit: maxDenials}
}

// add counts refused requests; false when the log is full.
func (d *denials) add(key denialKey, who web.Principal, count int, at time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.seen[key]
	if one == nil {
		if len(d.seen) >= d.limit {
			return false
		}
		one = &denial{who: who, first: at}
		d.seen[key] = one
	}
	one.count += count
	return true
}

// drain returns the counts and resets them.
func (d *denials) drain() map[denialKey]*denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	drained := d.seen
	d.seen = map[denialKey]*denial{}
	return drained
}

// Denied records a request of a known principal that was refused for lack of
// permission ([web.Denied]). The event goes to the principal's own account, so
// that requests never write to the audit log of a foreign account.
func (f *Feature) Denied(_ context.Context, p *web.Principal, route, accountID string) {
	own := homeOf(p, accountID)
	if own == "" {
		return // producers and operators have no account; web counts them
	}
	f.deny(p, own, "access", route)
}

// homeOf returns the account whose audit log gets the principal's refused
// requests; "" if there is none.
func homeOf(p *web.Principal, accountID string) string {
	switch {
	case p == nil || p.Kind == web.KindProducer:
		return ""
	case p.AccountID != "":
		return p.AccountID
	case len(p.Grants[accountID]) > 0:
		return accountID
	}
	oldest := "" // ids are in the order of creation
	for accountID := range p.Grants {
		if oldest == "" || accountID < oldest {
			oldest = accountID
		}
	}
	return oldest
}

func (f *Feature) deny(p *web.Principal, accountID, action, route string) {
	now := f.now()
	key := denialKey{accountID, string(p.Kind), p.ID, action, route, now.Unix() / 60}
	if !f.denials.add(key, *p, 1, now) {
		f.metrics.dropped.Inc()
	}
}

// flushDenials records the refused requests. After a failure they stay in memory.
func (f *Feature) flushDenials(ctx context.Context) error {
	waiting := f.denials.drain()
	for batch := range slices.Chunk(slices.Collect(maps.Keys(waiting)), denialBatch) {
		err := f.change(ctx, func(tx *db.Tx) error {
			for _, key := range batch {
				if err := f.record(ctx, tx, &waiting[key].who, waiting[key].event(key)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			for key, one := range waiting {
				if !f.denials.add(key, one.who, one.count, one.first) {
					f.metrics.dropped.Add(float64(one.count))
				}
			}
			return err
		}
		for _, key := range batch {
			delete(waiting, key)
		}
	}
	return nil
}

// event is the audit event of refused requests.
func (d *denial) event(key denialKey) event.Audit {
	e := event.NewAudit(key.account, key.action, "route", key.route, "")
	if key.action == signInAction {
		e = event.NewAudit(key.account, key.action, "session", d.who.ID, d.who.Name)
	}
	e.Action.Result = "failure"
	e.OccurredAt = web.Time{Time: d.first}.String()
	e.Metadata = map[string]any{"count": d.count, "route": key.route}
	return e
}
