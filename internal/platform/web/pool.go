package web

import (
	"net/netip"
	"sync"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// pool limits how many requests, live streams or downloads are open at once: in all,
// and for each holder (client address, principal, account), so that no holder can
// occupy all slots.
type pool struct {
	name      string // of the counted requests, in error texts
	places    int
	principal int // slots of one principal, or of one address without authentication
	account   int // slots of one account

	mu   sync.Mutex // guards the fields below
	open int
	held map[string]int // slots by holder
}

// The shares of a pool: a tenth for a principal, a quarter for an account, but
// never so few that one ordinary client notices.
const (
	principalShare = 10
	accountShare   = 4
	leastShare     = 32
)

func newPool(name string, places int) *pool {
	share := func(part int) int { return min(places, max(leastShare, places/part)) }
	return &pool{
		name: name, places: places,
		principal: share(principalShare),
		account:   share(accountShare),
		held:      map[string]int{},
	}
}

// holder is a name by which slots are counted.
type holder struct {
	key   string
	limit int
	noun  string // in error texts
}

func (p *pool) ofAddress(addr netip.Addr) holder {
	return holder{"address:" + network(addr), p.principal, "client address"}
}

func (p *pool) ofPrincipal(who *Principal) holder {
	return holder{"principal:" + who.Key(), p.principal, "credential"}
}

func (p *pool) ofAccount(id string) holder { return holder{"account:" + id, p.account, "account"} }

// place is one occupied slot. It belongs to the goroutine of its request.
type place struct {
	pool *pool // nil after release
	keys []string
}

// enter occupies a slot for the holders. Errors: CodeUnavailable when
// the pool is full, CodeRateLimited when a holder has its share.
func (p *pool) enter(holders ...holder) (*place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open >= p.places {
		return nil, errs.New(errs.CodeUnavailable, "the server has as many %s open as it can serve at once (%d)",
			p.name, p.places).After(slotWait)
	}
	pl := &place{pool: p}
	for _, h := range holders {
		if err := pl.count(h); err != nil {
			pl.uncount()
			return nil, err
		}
	}
	p.open++
	return pl, nil
}

// add counts the slot for one more holder.
func (pl *place) add(h holder) error {
	if pl == nil || pl.pool == nil {
		return nil // outside of a server
	}
	pl.pool.mu.Lock()
	defer pl.pool.mu.Unlock()
	return pl.count(h)
}

// replace counts the slot for h instead of all earlier holders.
func (pl *place) replace(h holder) error {
	if pl == nil || pl.pool == nil {
		return nil
	}
	pl.pool.mu.Lock()
	defer pl.pool.mu.Unlock()
	before := pl.keys
	pl.keys = nil
	if err := pl.count(h); err != nil {
		pl.keys = before
		return err
	}
	after := pl.keys
	pl.keys = before
	pl.uncount()
	pl.keys = after
	return nil
}

// release frees the slot; a second call does nothing.
func (pl *place) release() {
	if pl == nil || pl.pool == nil {
		return
	}
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.uncount()
	p.open--
	pl.pool = nil
}

// count and uncount are called with the pool's lock.
func (pl *place) count(h holder) error {
	if pl.pool.held[h.key] >= h.limit {
		return errs.New(errs.CodeRateLimited, "%d %s of this %s are open, which is its share",
			h.limit, pl.pool.name, h.noun).After(slotWait)
	}
	pl.pool.held[h.key]++
	pl.keys = append(pl.keys, h.key)
	return nil
}

func (pl *place) uncount() {
	for _, key := range pl.keys {
		if pl.pool.held[key]--; pl.pool.held[key] == 0 {
			delete(pl.pool.held, key)
		}
	}
	pl.keys = nil
}

// network names the network that one client commands: an IPv4 address, or the
// /64 of an IPv6 address (RFC 4291, 2.5.1: a subscriber has at least that).
func network(addr netip.Addr) string {
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
