package traffic

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// Visitors and proxies choose origins, hostnames and path classes: a program that tries random ones must not fill the
// memory of the error budgets. An account has a limited number of each; the requests of further ones are counted under
// the name [OtherName], so that no request is lost.
const (
	OtherName = "other"

	// DefaultNames is the limit of each kind of name, unless the configuration has another one.
	DefaultNames = 20_000

	namesKept  = 48        // hours after which a name that is not seen is forgotten
	touchAfter = 6         // hours after which a name that is seen again is stored as seen
	maxNames   = 2_000_000 // names of all accounts in memory, about 50 MB
	namesStale = time.Hour // sets are read again after it: another process may have forgotten or added names
	fullStale  = 10 * time.Second
	overEvery  = time.Minute    // between two writes about an account that is over its limit
	recordOver = 24 * time.Hour // between two audit events about it
)

// nameKind is the kind of object that has the name.
type nameKind string

const (
	originName    nameKind = "origin"
	hostnameName  nameKind = "hostname"
	pathClassName nameKind = "path_class"
)

var nameKinds = []nameKind{originName, hostnameName, pathClassName}

// nameKey identifies a name in memory by a hash: two names with one hash count as one.
type nameKey uint64

var nameSeed = maphash.MakeSeed()

func keyOfName(kind nameKind, name string) nameKey {
	var h maphash.Hash
	h.SetSeed(nameSeed)
	h.WriteString(string(kind)) // a hash accepts all writes
	h.WriteByte(0)
	h.WriteString(name)
	return nameKey(h.Sum64())
}

// accountNames are the names of one account.
type accountNames struct {
	mu     sync.Mutex        // guards the fields below; taken for a whole batch
	seen   map[nameKey]int64 // hour
	number map[nameKind]int
	loaded time.Time // zero = not yet
	over   map[nameKind]*overNames
}

// overNames are names past the limit that are not stored yet.
type overNames struct {
	requests int64
	example  string
	stored   time.Time
}

// nameSets are the names of all accounts. Like a cache, it has two generations: the accounts that are not used are
// dropped, and read from the database again.
type nameSets struct {
	mu         sync.Mutex // guards the fields below
	young, old map[string]*accountNames
	added      int // names that were added to sets since old was replaced
}

// of returns the set of an account.
func (n *nameSets) of(accountID string) *accountNames {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.added > maxNames/2 {
		n.old = n.young
		n.young = map[string]*accountNames{}
		n.added = 0
	}
	a := n.young[accountID]
	if a == nil {
		if a = n.old[accountID]; a == nil {
			a = &accountNames{}
		}
		n.young[accountID] = a
	}
	return a
}

func (n *nameSets) grew(by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.added += by
}

// named is a name in a batch, with the number of its requests.
type named struct {
	kind     nameKind
	name     *string
	requests int64
}

// limitNames replaces names past the limit of the account by [OtherName], and returns the requests that have one. It
// stores new names in a transaction of its own, before the counts: a name without counts harms nothing.
func (f *Feature) limitNames(ctx context.Context, accountID string, list []named) (other int64, err error) {
	a := f.names.of(accountID)
	a.mu.Lock()
	defer a.mu.Unlock()
	hour := f.now().Unix() / 3600
	var fresh []named // not known, or to be stored as seen
	for _, one := range list {
		if *one.name == "" || *one.name == OtherName {
			continue
		}
		if seen, ok := a.seen[keyOfName(one.kind, *one.name)]; !ok || hour-seen >= touchAfter {
			fresh = append(fresh, one)
		}
	}
	if len(fresh) == 0 {
		return 0, nil
	}
	if a.stale(f.now(), f.maxNames) {
		if err := f.loadNames(ctx, accountID, a); err != nil {
			return 0, err
		}
	}
	var rows [][]any
	added := map[nameKey]int64{}
	number := map[nameKind]int{}
	for _, one := range fresh {
		key := keyOfName(one.kind, *one.name)
		seen, stored := a.seen[key]
		if _, done := added[key]; done || stored && hour-seen < touchAfter {
			continue
		}
		if !stored {
			if a.number[one.kind]+number[one.kind] >= f.maxNames {
				other += one.requests
				a.leftOut(one)
				*one.name = OtherName
				continue
			}
			number[one.kind]++
		}
		added[key] = hour
		rows = append(rows, []any{
			accountID,
			string(one.kind),
			*one.name,
			hour,
		})
	}
	if err := f.storeNames(ctx, accountID, a, rows); err != nil {
		return 0, err
	}
	for key, hour := range added {
		a.seen[key] = hour
	}
	for kind, n := range number {
		a.number[kind] += n
		f.names.grew(n)
	}
	return other, nil
}

// stale reports whether a set must be read before a new name is looked at.
func (a *accountNames) stale(now time.Time, most int) bool {
	age := now.Sub(a.loaded)
	if a.loaded.IsZero() || age > namesStale {
		return true
	}
	for _, kind := range nameKinds {
		if a.number[kind] >= most && age > fullStale {
			return true
		}
	}
	return false
}

// leftOut notes a name past the limit.
func (a *accountNames) leftOut(one named) {
	o := a.over[one.kind]
	if o == nil {
		o = &overNames{}
		a.over[one.kind] = o
	}
	o.requests += one.requests
	o.example = *one.name
}

// loadNames reads the names of an account.
func (f *Feature) loadNames(ctx context.Context, accountID string, a *accountNames) error {
	seen := map[nameKey]int64{}
	number := map[nameKind]int{}
	oldest := f.now().Unix()/3600 - namesKept
	err := f.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT kind, name, seen FROM traffic_name WHERE account_id = $1 AND seen >= $2
			LIMIT $3`, accountID, oldest, len(nameKinds)*f.maxNames)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind, name string
			var hour int64
			if err := rows.Scan(&kind, &name, &hour); err != nil {
				return err
			}
			seen[keyOfName(nameKind(kind), name)] = hour
			number[nameKind(kind)]++
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	f.names.grew(max(0, len(seen)-len(a.seen)))
	a.seen = seen
	a.number = number
	a.loaded = f.now()
	if a.over == nil {
		a.over = map[nameKind]*overNames{}
	}
	return nil
}

// storeNames stores names as seen, and from time to time what was left out.
func (f *Feature) storeNames(ctx context.Context, accountID string, a *accountNames, rows [][]any) error {
	var due []nameKind
	for _, kind := range nameKinds {
		if o := a.over[kind]; o != nil && o.requests > 0 && f.now().Sub(o.stored) >= overEvery {
			due = append(due, kind)
		}
	}
	if len(rows)+len(due) == 0 {
		return nil
	}
	// All processes lock rows in the same order.
	slices.SortFunc(rows, func(x, y []any) int {
		if x[1] != y[1] {
			return compareText(x[1], y[1])
		}
		return compareText(x[2], y[2])
	})
	err := f.cfg.Change(ctx, func(tx *db.Tx) error {
		if err := tx.Insert(ctx, "traffic_name", []string{"account_id", "kind", "name", "seen"},
			"ON CONFLICT (account_id, kind, name) DO UPDATE SET seen = excluded.seen", rows); err != nil {
			return err
		}
		for _, kind := range due {
			if err := f.storeOver(ctx, tx, accountID, kind, a.over[kind]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, kind := range due {
		a.over[kind] = &overNames{stored: f.now()}
	}
	return nil
}

func compareText(x, y any) int {
	a, _ := x.(string)
	b, _ := y.(string)
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// storeOver stores that an account is over its limit, and records it once a day.
func (f *Feature) storeOver(ctx context.Context, tx *db.Tx, accountID string, kind nameKind, o *overNames) error {
	now := f.now().UnixMicro()
	var last, recorded int64
	err := tx.QueryRow(ctx, `SELECT at, recorded_at FROM traffic_names_over WHERE account_id = $1 AND kind = $2`,
		accountID, string(kind)).Scan(&last, &recorded)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	record := now-recorded >= recordOver.Microseconds()
	if record {
		recorded = now
	}
	again := now-last > overKept.Microseconds() // an earlier time, which is over
	if _, err := tx.Exec(ctx, `INSERT INTO traffic_names_over
			(account_id, kind, since, at, requests, example, recorded_at) VALUES ($1, $2, $3, $3, $4, $5, $6)
		ON CONFLICT (account_id, kind) DO UPDATE SET at = excluded.at, example = excluded.example,
			recorded_at = excluded.recorded_at,
			since = CASE WHEN $7 THEN excluded.since ELSE traffic_names_over.since END,
			requests = CASE WHEN $7 THEN excluded.requests ELSE traffic_names_over.requests + excluded.requests END`,
		accountID, string(kind), now, o.requests, o.example, recorded, again); err != nil || !record {
		return err
	}
	f.log.Warn("an account has more names in its traffic than it may have", "account", accountID, "kind", string(kind),
		"limit", f.maxNames)
	return f.cfg.Record(ctx, tx, event.NewAudit(accountID, "limit", "traffic_names", string(kind), string(kind)).
		With(map[string]any{"limit": f.maxNames, "example": o.example}))
}

// limitCounts limits the names of the good counts of a batch.
func (b *batch) limitCounts(ctx context.Context) error {
	for _, accountID := range b.accountsOf() {
		var list []named
		for i := range b.good {
			c := &b.good[i]
			if c.Account != accountID {
				continue
			}
			requests := c.Count.Total
			if c.Count.SLI != "" {
				requests = 0 // most are about the requests of another count
			}
			list = append(list, namesOf(&c.Count.Origin, &c.Count.Hostname, &c.Count.PathClass, requests)...)
		}
		other, err := b.f.limitNames(ctx, accountID, list)
		if err != nil {
			return err
		}
		b.renamed += other
	}
	return nil
}

func namesOf(origin, hostname, pathClass *string, requests int64) []named {
	return []named{
		{originName, origin, requests},
		{hostnameName, hostname, requests},
		{pathClassName, pathClass, requests},
	}
}

// accountsOf lists the accounts of the good counts.
func (b *batch) accountsOf() (list []string) {
	for i := range b.good {
		if id := b.good[i].Account; len(list) == 0 || list[len(list)-1] != id && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// limitPoints limits the names of points.
func (m *metricBatch) limitPoints(ctx context.Context) error {
	var list []named
	for _, p := range m.points {
		list = append(list, namesOf(&p.entry.Origin, &p.entry.Hostname, &p.pathClass, 1)...)
	}
	renamed, err := m.f.limitNames(ctx, m.from.Account, list)
	m.renamed = renamed
	return err
}

// deleteOldNames forgets the names that were not seen for two days, a thousand in a transaction.
func (f *Feature) deleteOldNames(ctx context.Context) error {
	oldest := f.now().Unix()/3600 - namesKept
	for {
		var n int64
		err := f.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM traffic_name WHERE (account_id, kind, name) IN (
				SELECT account_id, kind, name FROM traffic_name WHERE seen < $1 LIMIT 1000)`, oldest)
			return err
		})
		if err != nil || n < 1000 {
			return err
		}
	}
}
