package account

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// throttle limits the attempts to sign in: per client address, per person from
// one client address, and per person from all addresses. The last limit is higher
// and does not apply in networks from which the person has signed in before, so
// that an attacker cannot lock a person out. It also limits an account's
// invitations.
type throttle struct {
	now func() time.Time

	mu      sync.Mutex // guards buckets
	buckets map[string]bucket
}

// bucket is a token bucket.
type bucket struct {
	left float64
	at   time.Time
}

// allowance is the size of a bucket and the time in which it regains one attempt.
type allowance struct {
	size  float64
	every time.Duration
}

var (
	perAddress       = allowance{30, 5 * time.Second}
	perPersonAddress = allowance{6, time.Minute}
	perPerson        = allowance{60, 30 * time.Second}
	perAccount       = allowance{200, 20 * time.Second} // invitations
)

// clientOf names the client of a request: an address, of IPv6 a /64, which a
// subscriber has at least.
func clientOf(addr netip.Addr) string {
	if addr.Is6() && !addr.Is4In6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.Unmap().String()
}

// networkOf is the network of a client: a /24, of IPv6 a /64.
func networkOf(addr netip.Addr) string {
	if addr = addr.Unmap(); addr.Is4() {
		if p, err := addr.Prefix(24); err == nil {
			return p.String()
		}
	}
	return clientOf(addr)
}

// attempt counts one attempt; CodeRateLimited when there were too many. person is
// the address in the form, empty for a link; known reports that the person has
// signed in from the client's network before.
func (a *throttle) attempt(person string, addr netip.Addr, known bool) error {
	from := clientOf(addr)
	list := []spent{{"a " + from, perAddress}}
	if person != "" {
		list = append(list, spent{"pa " + from + " " + person, perPersonAddress})
		if !known {
			list = append(list, spent{"p " + person, perPerson})
		}
	}
	return a.spend(list, "too many attempts to sign in")
}

// invite counts one invitation of an account.
func (a *throttle) invite(accountID string) error {
	return a.spend([]spent{{"i " + accountID, perAccount}}, "the account has invited too many members in a short time")
}

// spent is one bucket that an attempt takes from.
type spent struct {
	key string
	allowance
}

const maxAttempts = 100_000

// How long, and how many, networks from which a person signed in are stored.
const (
	networkTime = 180 * 24 * time.Hour
	maxNetworks = 20
)

// noteNetwork stores the network of a sign-in.
func noteNetwork(ctx context.Context, tx *db.Tx, personID, network string, at int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO known_network (person_id, network, at) VALUES ($1, $2, $3)
		ON CONFLICT (person_id, network) DO UPDATE SET at = excluded.at`, personID, network, at)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM known_network WHERE person_id = $1 AND network NOT IN
		(SELECT network FROM known_network WHERE person_id = $1 ORDER BY at DESC, network LIMIT $2)`, personID, maxNetworks)
	return err
}

// knowsNetwork reports whether every person with a password at an address has
// signed in from a network before. One of several is not enough: an account could
// add a person with the address of a victim and sign in from its own networks.
func knowsNetwork(ctx context.Context, tx *db.Tx, email, network string) (bool, error) {
	var persons, knowing int
	err := tx.QueryRow(ctx, `SELECT count(*), count(k.network) FROM person p LEFT JOIN known_network k ON k.person_id = p.id AND k.network = $2
		WHERE p.email = $1 AND p.password <> ''`, email, network).Scan(&persons, &knowing)
	return persons > 0 && persons == knowing, err
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, buckets: map[string]bucket{}}
}

// spend takes one from each bucket, or from none.
func (a *throttle) spend(list []spent, refusal string) error {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range list {
		b := a.fill(l.key, l.allowance, now)
		if b.left < 1 {
			wait := time.Duration((1 - b.left) * float64(l.every))
			return errs.New(errs.CodeRateLimited, "%s", refusal).After(max(time.Second, wait))
		}
	}
	a.evict(now)
	for _, l := range list {
		b := a.fill(l.key, l.allowance, now)
		b.left--
		a.buckets[l.key] = b
	}
	return nil
}

func (a *throttle) fill(key string, l allowance, now time.Time) bucket {
	b, ok := a.buckets[key]
	if !ok {
		return bucket{l.size, now}
	}
	b.left = min(l.size, b.left+float64(now.Sub(b.at))/float64(l.every))
	b.at = now
	return b
}

// evict bounds the number of buckets. Those unused for an hour are full again and
// go first; if that is not enough, an arbitrary tenth goes.
func (a *throttle) evict(now time.Time) {
	if len(a.buckets) < maxAttempts {
		return
	}
	for key, b := range a.buckets {
		if now.Sub(b.at) > time.Hour {
			delete(a.buckets, key)
		}
	}
	for key := range a.buckets {
		if len(a.buckets) < maxAttempts*9/10 {
			return
		}
		delete(a.buckets, key)
	}
}
