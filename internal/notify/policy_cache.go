package notify

import (
	"context"
	"slices"
	"sync"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// policyCache keeps the policies of accounts whose alerts come often. With one
// process, a change of a policy evicts them; with several processes a stamp shows
// whether the rows are unchanged.
type policyCache struct {
	mu      sync.Mutex // guards what follows
	changes uint64     // raised by every change of this process
	known   map[string]cachedPolicies
}

type cachedPolicies struct {
	stamp stamp
	list  []Policy // never changed
}

// stamp differs when policies were added, changed or removed.
type stamp struct{ count, modified int64 }

const mostCached = 10_000 // accounts

// forget drops what is known of an account.
func (c *policyCache) forget(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	delete(c.known, account)
}

// policies are those of an account, for a decision. The list is the caller's.
func (n *Feature) policies(ctx context.Context, account string) ([]Policy, error) {
	c := &n.cache
	c.mu.Lock()
	found, ok := c.known[account]
	changes := c.changes
	c.mu.Unlock()
	if ok && !n.shared() {
		return slices.Clone(found.list), nil
	}
	var now cachedPolicies
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		err = tx.QueryRow(ctx, `SELECT count(*), COALESCE(max(modified_at), 0) FROM policy WHERE account_id = $1`,
			account).Scan(&now.stamp.count, &now.stamp.modified)
		if err != nil || ok && now.stamp == found.stamp {
			now.list = found.list
			return err
		}
		now.list, err = policiesOf(ctx, tx, account)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.changes == changes { // else the rows may be older than a change
		if len(c.known) >= mostCached {
			clear(c.known)
		}
		c.known[account] = now
	}
	c.mu.Unlock()
	return slices.Clone(now.list), nil
}
