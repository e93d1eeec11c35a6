package audit

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
)

// Incident describes an incident whose preceding changes are searched, in the terms
// of the record.
type Incident struct {
	Account           string
	Zone              string // id; empty = the whole account
	Product, Type, ID string // the resource that it is about; empty = none
	Began             time.Time
}

// Preceding is a change that came before an incident began, or a whole change set
// as one. That it came before does not say that it is the cause.
type Preceding struct {
	Record *record.Record // of a set, the one closest to the incident's resource, then the newest
	Set    int            // events of the change set that were seen; 1 = it has no other
	Near   Nearness
	Before time.Duration // how long before the incident began; negative: within the bucket that shows it
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
	precedingGrace = 30 * time.Second // the resolution of a bucket, by which the beginning of an incident is known
)

// ownCauses are the Belfry resource types whose changes can explain an incident. The
// others (sign-ins, members, policies, the alert itself) do not affect how requests
// are served.
var ownCauses = []string{"objective"}

// Preceding finds the changes of the hour before an incident began that could
// bear on it: same resource, same zone, or the whole account; the nearest and
// newest first, a change set once, views and failed attempts not at all. more
// counts those past limit.
func (f *Feature) Preceding(ctx context.Context, t Incident, limit int) (list []Preceding, more int, err error) {
	return f.recent.preceding(ctx, t, limit)
}

// RelevantToTraffic reports whether an event can bear on how requests are served:
// every change of a product, and of Belfry's own the updates of ownCauses.
func RelevantToTraffic(r *record.Record) bool {
	e := &r.Event
	return e.Resource.Product != event.Product || e.Action.Type == "update" && slices.Contains(ownCauses, e.Resource.Type)
}
