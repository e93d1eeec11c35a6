package audit

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Trouble is what changes are looked for that came before it: an alert, in the
// words of the record.
type Trouble struct {
	Account           string
	Zone              string // id; empty = the whole account
	Product, Type, ID string // the resource that it is about; empty = none
	Began             time.Time
}

// Preceding is a change that came before a trouble began, or a whole change set
// as one. That it came before does not say that it is the cause.
type Preceding struct {
	Record *Record // of a set, the one closest to the trouble's resource, then the newest
	Set    int     // events of the change set that were seen; 1 = it stands alone
	Near   Nearness
	Before time.Duration // how long before the trouble began; negative: within the bucket that shows it
}

// Nearness says why a change is listed, the nearest first.
type Nearness int

// The reasons.
const (
	SameResource Nearness = iota
	SameZone
	WholeAccount // it names no zone, so it belongs to all of them
)

// String is the reason as people read it.
func (n Nearness) String() string {
	return [...]string{"the same resource", "the same property", "the whole account"}[n]
}

// Bounds of a search for what preceded.
const (
	precedingSpan  = time.Hour
	precedingGrace = 30 * time.Second // a trouble is seen by the bucket: its beginning is known no finer
	precedingRead  = 500              // events that one of the two reads takes at most
)

// ownCauses are what of Belfry's own can bear on a trouble when it is changed:
// the rest of its record (sign-ins, members, policies, the alert itself) moves
// nothing that serves requests.
var ownCauses = []string{"objective"}

// Preceding finds the changes of the hour before a trouble began that could
// bear on it: same resource, same zone, or the whole account; the nearest and
// newest first, a change set once, views and failed attempts not at all. more
// counts those past limit.
func (f *Feature) Preceding(ctx context.Context, t Trouble, limit int) (list []Preceding, more int, err error) {
	return f.reader.Preceding(ctx, t, limit, f.isView)
}

// Preceding is [Feature.Preceding]; isView tells the views.
func (r *Reader) Preceding(ctx context.Context, t Trouble, limit int, isView func(*Record) bool) (list []Preceding, more int, err error) {
	q := Query{Since: t.Began.Add(-precedingSpan).UnixMicro(), Before: t.Began.Add(precedingGrace).UnixMicro(), Limit: precedingRead}
	found := map[string]*Record{}
	read := func(q Query) error {
		page, err := r.List(ctx, t.Account, q)
		if err != nil && !errs.Is(err, errs.CodeNarrowRange) {
			return err
		}
		if err != nil { // it looked for as long as it may, and nothing was there
			return nil
		}
		for _, rec := range page.Records {
			found[rec.Event.ID] = rec
		}
		return nil
	}
	// The zone's own by its digest, so that a busy account does not crowd them
	// out; then the newest of all, for the account's and the resource's.
	if t.Zone != "" {
		zone := q
		zone.Conds = []Cond{{Field: "zone", Values: []string{t.Zone}}}
		if err := read(zone); err != nil {
			return nil, 0, err
		}
	}
	if err := read(q); err != nil {
		return nil, 0, err
	}
	sets := map[string]int{} // change set -> its place in list
	for _, rec := range found {
		near, ok := t.near(rec)
		if !ok || isView(rec) || rec.Event.Action.Result == "failure" {
			continue
		}
		p := Preceding{Record: rec, Set: 1, Near: near, Before: t.Began.Sub(rec.Event.At())}
		key := rec.Event.ChangeSet
		if key != "" {
			key += "\x00" + rec.Event.Actor.Type + "\x00" + rec.Event.Actor.ID
			if i, ok := sets[key]; ok {
				known := list[i]
				if nearer(p, known) < 0 {
					list[i] = p
				}
				list[i].Set = known.Set + 1
				continue
			}
			sets[key] = len(list)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, nearer)
	if len(list) > limit {
		list, more = list[:limit], len(list)-limit
	}
	return list, more, nil
}

// nearer orders by nearness, then the newest first, then by place in the log.
func nearer(a, b Preceding) int {
	return cmp.Or(cmp.Compare(a.Near, b.Near), cmp.Compare(a.Before, b.Before), cmp.Compare(b.Record.Seq, a.Record.Seq))
}

// near reports why a change could bear on the trouble; false when it could not.
func (t Trouble) near(r *Record) (Nearness, bool) {
	e := &r.Event
	if e.Resource.Product == ReservedProduct && (e.Action.Type != "update" || !slices.Contains(ownCauses, e.Resource.Type)) {
		return 0, false
	}
	switch {
	case t.ID != "" && e.Resource.ID == t.ID && e.Resource.Product == t.Product && e.Resource.Type == t.Type:
		return SameResource, true
	case e.Zone.ID == "" && e.Zone.Name == "":
		return WholeAccount, true
	case t.Zone == "" || e.Zone.ID == t.Zone:
		return SameZone, true
	}
	return 0, false
}
