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

// allowance is the size of a bucket and the time in which it gains one attempt.
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

// clientOf names the client of a request: an IPv4 address or an IPv6 /64, the
// smallest network of a subscriber.
func clientOf(addr netip.Addr) string {
	if addr.Is6() && !addr.Is4In6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.Unmap().String()
}

// networkOf returns the network of a client: a /24, or an IPv6 /64.
func networkOf(addr netip.Addr) string {
	if addr = addr.Unmap(); addr.Is4() {
		if p, err := addr.Prefix(24); err == nil {
			return p.String()
		}
	}
	return clientOf(addr)
}

// attempt counts one attempt; CodeRateLimited after too many. person is the
// address in the form, empty for a link; known reports that the person has signed
// in from the client's network before.
func (t *throttle) attempt(person string, addr netip.Addr, known bool) error {
	from := clientOf(addr)
	list := []charge{{"a " + from, perAddress}}
	if person != "" {
		list = append(list, charge{"pa " + from + " " + person, perPersonAddress})
		if !known {
			list = append(list, charge{"p " + person, perPerson})
		}
	}
	return t.spend(list, "too many attempts to sign in")
}

// invite counts one invitation of an account.
func (t *throttle) invite(accountID string) error {
	list := []charge{{"i " + accountID, perAccount}}
	return t.spend(list, "the account has invited too many members in a short time")
}

// charge is a bucket from which an attempt takes one.
type charge struct {
	key string
	allowance
}

const maxAttempts = 100_000

// Limits of the stored networks of a person.
const (
	networkTime = 180 * 24 * time.Hour // after the last sign-in from it
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
	err := tx.QueryRow(ctx, `SELECT count(*), count(k.network)
		FROM person p LEFT JOIN known_network k ON k.person_id = p.id AND k.network = $2
		WHERE p.email = $1 AND p.password <> ''`, email, network).Scan(&persons, &knowing)
	return persons > 0 && persons == knowing, err
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, buckets: map[string]bucket{}}
}

// spend takes one from each bucket, or from none.
func (t *throttle) spend(list []charge, refusal string) error {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range list {
		b := t.fill(l.key, l.allowance, now)
		if b.left < 1 {
			wait := time.Duration((1 - b.left) * float64(l.every))
			return errs.New(errs.CodeRateLimited, "%s", refusal).After(max(time.Second, wait))
		}
	}
	t.evict(now)
	for _, l := range list {
		b := t.fill(l.key, l.allowance, now)
		b.left--
		t.buckets[l.key] = b
	}
	return nil
}

func (t *throttle) fill(key string, l allowance, now time.Time) bucket {
	b, ok := t.buckets[key]
	if !ok {
		return bucket{l.size, now}
	}
	b.left = min(l.size, b.left+float64(now.Sub(b.at))/float64(l.every))
	b.at = now
	return b
}

// evict limits the number of buckets. Buckets that were unused for an hour are full
// again and are deleted first; if that is not enough, an arbitrary tenth is deleted.
func (t *throttle) evict(now time.Time) {
	if len(t.buckets) < maxAttempts {
		return
	}
	for key, b := range t.buckets {
		if now.Sub(b.at) > time.Hour {
			delete(t.buckets, key)
		}
	}
	for key := range t.buckets {
		if len(t.buckets) < maxAttempts*9/10 {
			return
		}
		delete(t.buckets, key)
	}
}
