package audit

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// recentChanges answers which changes preceded an alert from memory. Reading and
// decoding the last hour for each alert cost 8 ms of CPU an alert, and most of the
// decoded events were Belfry's own about alerts, so that a storm fed itself. Here
// every event of an account is looked at once: the database leaves out Belfry's own by
// their product before anything is decoded, and a question costs a look at the head
// and at a few lists.
//
// It holds the accounts that had an alert lately. The record stays the only source: a
// view is made from it, follows it by seq, and may be dropped at any time. Safe for
// concurrent use.
type recentChanges struct {
	reader *ledger.Reader
	isView func(*record.Record) bool
	now    func() time.Time

	mu       sync.Mutex // guards views; a view has a lock of its own
	views    map[string]*changeView
	held     atomic.Int64 // changes of all views
	decoded  func()       // counts an event that was decoded, for metrics and tests
	searched func()       // counts a look at the database
}

// Limits of the views. The oldest changes are dropped first: in an account with very
// many, an alert then misses changes that came long before it. A change takes
// about 300 bytes, so that all views together take at most some 60 MB.
const (
	recentViews   = 500
	recentLoad    = 5000    // changes that a new view begins with at most
	recentOfView  = 5000    // changes of one view
	recentOfAll   = 200_000 // changes of all views; beyond it the view that was not used for the longest time is dropped
	recentWinners = 32      // decoded events that a view keeps, because alerts of one cause list the same
)

// recentFor is how long ago an alert may have begun to be answered by the
// account's view of the present. Older ones, as a replay has them, share a view
// for each hour.
const recentFor = 2 * precedingSpan

// recentChange has the attributes of an event by which preceding changes are selected.
type recentChange struct {
	seq, at int64 // at: Unix microseconds
	zone    string
	whole   bool // it names no property
	set     string
	thing   resourceKey
}

type resourceKey struct{ product, kind, id string }

// changeView is the changes of one account, in lists that are ordered by time,
// the newest first.
type changeView struct {
	mu      sync.Mutex // guards everything; locked while the database is read
	account string
	since   int64 // changes of [since, before) are there, in Unix microseconds
	before  int64
	upTo    int64        // events below this seq were looked at
	looked  time.Time    // when the last look at the head began; zero = it must be filled
	stale   bool         // events that it may hold were erased
	used    time.Time    // guarded by the mutex of recentChanges
	holds   atomic.Int64 // len(all), for the bound over all views
	all     []*recentChange
	whole   []*recentChange
	zones   map[string][]*recentChange
	things  map[resourceKey][]*recentChange
	winners map[int64]*record.Record // by seq
}

func newRecentChanges(reader *ledger.Reader, now func() time.Time, isView func(*record.Record) bool) *recentChanges {
	return &recentChanges{
		reader:   reader,
		isView:   isView,
		now:      now,
		views:    map[string]*changeView{},
		decoded:  func() {},
		searched: func() {},
	}
}

// view finds or makes the view that holds the changes before a moment.
func (c *recentChanges) view(account string, began time.Time) *changeView {
	now := c.now()
	name := account
	fresh := changeView{account: account, since: now.Add(-recentFor - precedingSpan).UnixMicro(), before: math.MaxInt64}
	if now.Sub(began) > recentFor {
		hour := began.Truncate(time.Hour)
		name += hour.Format(" 2006-01-02T15")
		fresh.since = hour.Add(-precedingSpan).UnixMicro()
		fresh.before = hour.Add(time.Hour + precedingGrace).UnixMicro()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.views[name]
	if v == nil {
		v = &fresh
		c.views[name] = v
	}
	v.used = now
	for len(c.views) > 1 && (len(c.views) > recentViews || c.held.Load() > recentOfAll) {
		c.evict()
	}
	return v
}

// evict drops the view that was not used for the longest time; mu is locked.
func (c *recentChanges) evict() {
	oldest := ""
	for name, v := range c.views {
		if oldest == "" || v.used.Before(c.views[oldest].used) {
			oldest = name
		}
	}
	v := c.views[oldest]
	delete(c.views, oldest)
	c.held.Add(-v.holds.Swap(dropped))
}

// preceding finds the changes before an incident; see [Feature.Preceding].
func (c *recentChanges) preceding(ctx context.Context, t Incident, limit int) (list []Preceding, more int, err error) {
	asked := c.now()
	v := c.view(t.Account, t.Began)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.looked.IsZero() {
		err = c.load(ctx, v)
	} else if !v.looked.After(asked) {
		// A look that began after the question was asked has seen all that the
		// question may expect.
		err = c.follow(ctx, v)
	}
	if err == nil && v.stale {
		err = c.load(ctx, v)
	}
	if err != nil {
		return nil, 0, err
	}
	found, more := v.choose(t, limit)
	for _, p := range found {
		if p.Record, err = c.open(ctx, v, p.seq); err != nil {
			return nil, 0, err
		}
		list = append(list, p.Preceding)
	}
	return list, more, nil
}

// actionErased is the action of Belfry's own event that ends an erasure.
const actionErased = "erased"

// ownChanges are the events of Belfry's own that a view reads: of the updates a few
// kinds bear on requests (see ownCauses), which is decided when they are decoded; and
// an erasure empties the view, in every process, because it holds opened events.
var ownChanges = ledger.Omission{Product: event.Product, Except: [2]string{"update", actionErased}}

// dropped is the number of changes of a view that is evicted: what a question that
// still works on it adds is counted no more.
const dropped = math.MinInt64 / 2

// count notes that a view holds more changes, or fewer.
func (c *recentChanges) count(v *changeView, n int64) {
	if v.holds.Add(n) >= 0 {
		c.held.Add(n)
	}
}

// load fills a new view; v.mu is locked.
func (c *recentChanges) load(ctx context.Context, v *changeView) error {
	began := c.now()
	c.count(v, -int64(len(v.all)))
	v.all = nil
	v.whole = nil
	v.zones = map[string][]*recentChange{}
	v.things = map[resourceKey][]*recentChange{}
	v.winners = map[int64]*record.Record{}
	v.looked = time.Time{}

	c.searched()
	size, err := c.reader.ChangesBetween(ctx, v.account, ledger.ChangeQuery{
		Since:  v.since,
		Before: v.before,
		Omit:   ownChanges,
		Limit:  recentLoad,
	}, func(rec *record.Record) { c.see(v, rec) })
	if err != nil || size == 0 {
		return err // without a record the next question loads again
	}
	v.upTo = size
	v.looked = began
	v.stale = false
	return nil
}

// follow reads the events since the last read; v.mu is locked.
func (c *recentChanges) follow(ctx context.Context, v *changeView) error {
	began := c.now()
	c.searched()
	size, err := c.reader.ChangesFrom(ctx, v.account, v.upTo, ownChanges, func(rec *record.Record) {
		v.upTo = rec.Seq + 1
		v.stale = v.stale || rec.Event.Resource.Product == event.Product && rec.Event.Action.Type == actionErased
		c.see(v, rec)
	})
	if err != nil {
		return err
	}
	v.upTo = size
	v.looked = began
	return nil
}

// see adds an event to a view if it is a change that may be listed; v.mu is locked.
func (c *recentChanges) see(v *changeView, rec *record.Record) {
	c.decoded()
	at := rec.Event.Micros()
	if at < v.since || at >= v.before || rec.Event.Action.Result == "failure" || !RelevantToTraffic(rec) || c.isView(rec) {
		return
	}
	before := len(v.all)
	v.add(changeOf(rec))
	c.count(v, int64(len(v.all)-before))
}

func changeOf(r *record.Record) *recentChange {
	e := &r.Event
	x := &recentChange{
		seq:   r.Seq,
		at:    e.Micros(),
		zone:  e.Zone.ID,
		whole: e.Zone.ID == "" && e.Zone.Name == "",
		thing: resourceKey{e.Resource.Product, e.Resource.Type, e.Resource.ID},
	}
	if e.ChangeSet != "" {
		x.set = e.ChangeSet + "\x00" + e.Actor.Type + "\x00" + e.Actor.ID
	}
	return x
}

// add puts a change into its lists, and takes the oldest out when there are too
// many.
func (v *changeView) add(x *recentChange) {
	v.all = insertByTime(v.all, x)
	if x.whole {
		v.whole = insertByTime(v.whole, x)
	} else if x.zone != "" {
		v.zones[x.zone] = insertByTime(v.zones[x.zone], x)
	}
	v.things[x.thing] = insertByTime(v.things[x.thing], x)
	if len(v.all) <= recentOfView {
		return
	}
	// The oldest of all is the oldest of each list that it is in.
	oldest := v.all[len(v.all)-1]
	v.all = dropLast(v.all)
	if oldest.whole {
		v.whole = dropLast(v.whole)
	} else if oldest.zone != "" {
		dropFrom(v.zones, oldest.zone)
	}
	dropFrom(v.things, oldest.thing)
}

func dropLast(list []*recentChange) []*recentChange {
	list[len(list)-1] = nil
	return list[:len(list)-1]
}

func dropFrom[K comparable](lists map[K][]*recentChange, key K) {
	if lists[key] = dropLast(lists[key]); len(lists[key]) == 0 {
		delete(lists, key)
	}
}

func byTimeDescending(a, b *recentChange) int {
	return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.seq, a.seq))
}

// insertByTime inserts a change into a list that is ordered by time.
func insertByTime(list []*recentChange, x *recentChange) []*recentChange {
	i, _ := slices.BinarySearchFunc(list, x, byTimeDescending)
	return slices.Insert(list, i, x)
}

// chosen is a change that is listed; its record is not opened yet.
type chosen struct {
	Preceding
	seq int64
}

// choose takes the changes before an incident: of its resource, then of its
// property, then of the whole account, each the newest first, a change set once.
// more counts those past limit.
func (v *changeView) choose(t Incident, limit int) (list []chosen, more int) {
	from := t.Began.Add(-precedingSpan).UnixMicro()
	until := t.Began.Add(precedingGrace).UnixMicro()
	sets := map[string]int{} // change set -> its place in list
	seen := map[int64]bool{}
	take := func(near Nearness, changes []*recentChange) {
		first, _ := slices.BinarySearchFunc(changes, until, func(x *recentChange, at int64) int {
			if x.at >= at {
				return -1
			}
			return 1
		})
		for _, x := range changes[first:] {
			if x.at < from {
				return
			}
			if seen[x.seq] {
				continue
			}
			seen[x.seq] = true
			if x.set != "" {
				if i, ok := sets[x.set]; ok {
					list[i].Set++
					continue
				}
				sets[x.set] = len(list)
			}
			list = append(list, chosen{Preceding{Set: 1, Near: near, Before: t.Began.Sub(time.UnixMicro(x.at))}, x.seq})
		}
	}
	if t.ID != "" {
		take(SameResource, v.things[resourceKey{t.Product, t.Type, t.ID}])
	}
	if t.Zone != "" {
		take(SameZone, v.zones[t.Zone])
	} else {
		take(SameZone, slices.DeleteFunc(slices.Clone(v.all), func(x *recentChange) bool { return x.whole || x.zone == "" }))
	}
	take(WholeAccount, v.whole)
	if len(list) > limit {
		list, more = list[:limit], len(list)-limit
	}
	return list, more
}

// open reads a selected event; v.mu is locked.
func (c *recentChanges) open(ctx context.Context, v *changeView, seq int64) (*record.Record, error) {
	if rec := v.winners[seq]; rec != nil {
		return rec, nil
	}
	c.searched()
	found, err := c.reader.Range(ctx, v.account, seq, seq+1, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errs.New(errs.CodeUnavailable, "event %d is not in the tables", seq)
	}
	c.decoded()
	if len(v.winners) >= recentWinners {
		clear(v.winners)
	}
	v.winners[seq] = found[0]
	return found[0], nil
}
