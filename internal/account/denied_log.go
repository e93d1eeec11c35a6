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
func (l *denials) add(key denialKey, who web.Principal, count int, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.seen[key]
	if one == nil {
		if len(l.seen) >= l.limit {
			return false
		}
		one = &denial{who: who, first: at}
		l.seen[key] = one
	}
	one.count += count
	return true
}

func (l *denials) take() map[denialKey]*denial {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.seen
	l.seen = map[denialKey]*denial{}
	return taken
}

// Denied records a request of a known principal that was refused for lack of
// permission ([web.Denied]). The event goes to the principal's own account, so
// that requests never write to the audit log of a foreign account.
func (d *Directory) Denied(_ context.Context, p *web.Principal, route, accountID string) {
	own := homeOf(p, accountID)
	if own == "" {
		return // producers and operators have no account; web counts them
	}
	d.deny(p, own, "access", route)
}

// homeOf is the account in whose record the principal's refused requests
// belong; "" when it has none.
func homeOf(p *web.Principal, accountID string) string {
	switch {
	case p == nil || p.Kind == web.KindProducer:
		return ""
	case p.AccountID != "":
		return p.AccountID
	case len(p.Grants[accountID]) > 0:
		return accountID
	}
	oldest := "" // ids sort by the time of their making
	for accountID := range p.Grants {
		if oldest == "" || accountID < oldest {
			oldest = accountID
		}
	}
	return oldest
}

func (d *Directory) deny(p *web.Principal, accountID, action, route string) {
	now := d.now()
	key := denialKey{accountID, string(p.Kind), p.ID, action, route, now.Unix() / 60}
	if !d.denials.add(key, *p, 1, now) {
		d.metrics.dropped.Inc()
	}
}

// flushDenials records the refused requests. After a failure they stay in memory.
func (d *Directory) flushDenials(ctx context.Context) error {
	taken := d.denials.take()
	for batch := range slices.Chunk(slices.Collect(maps.Keys(taken)), denialBatch) {
		err := d.change(ctx, func(tx *db.Tx) error {
			for _, key := range batch {
				if err := d.record(ctx, tx, &taken[key].who, taken[key].event(key)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			for key, one := range taken {
				if !d.denials.add(key, one.who, one.count, one.first) {
					d.metrics.dropped.Add(float64(one.count))
				}
			}
			return err
		}
		for _, key := range batch {
			delete(taken, key)
		}
	}
	return nil
}

// event is the audit event of refused requests.
func (one *denial) event(key denialKey) event.Audit {
	e := event.NewAudit(key.account, key.action, "route", key.route, "")
	if key.action == signInAction {
		e = event.NewAudit(key.account, key.action, "session", one.who.ID, one.who.Name)
	}
	e.Action.Result = "failure"
	e.OccurredAt = web.Time{Time: one.first}.String()
	e.Metadata = map[string]any{"count": one.count, "route": key.route}
	return e
}
