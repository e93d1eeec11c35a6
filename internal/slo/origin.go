package slo

import (
	"cmp"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Passive monitoring finds origins that no longer accept connections, from the requests that fail for this reason
// (status 521, or what the rules of the account count as unreachable). An origin is down when three conditions hold:
//
//	for five minutes, each of its answers was "unreachable"
//	it gave another answer than a failure in the last 24 hours
//	these requests are more than a tenth of its property's requests
//
// It is up again with its first other answer. Silence changes nothing. Alerts of an origin that goes up and down begin
// at most once in eight hours, and three times in one issue, which ends after a day without failures.
const (
	downAfter      = 300
	answeredWithin = 86_400
	downPercent    = 10
	startEvery     = 8 * 3600
	maxStarts      = 3
	issueFor       = 86_400
	quietFor       = 3600 // an origin that was never down is dropped after this time without failures
)

// Limits of passive monitoring.
const (
	maxAccountOrigins = 20_000  // in a shard, of those that no objective counts
	maxOutages        = 100_000 // in a shard
)

// originName names an origin of a zone.
type originName struct{ account, zone, origin string }

func (n originName) compare(o originName) int {
	return cmp.Or(cmp.Compare(n.account, o.account), cmp.Compare(n.zone, o.zone), cmp.Compare(n.origin, o.origin))
}

// clone copies the texts, which share the memory of a whole record.
func (n originName) clone() originName {
	return originName{strings.Clone(n.account), strings.Clone(n.zone), strings.Clone(n.origin)}
}

// originSample is the answers of one origin in one tick.
type originSample struct {
	at   int64
	key  tally.Key
	zone uint32 // series of the zone
	name originName
	Tally
}

// tickCount is the number of requests that did not reach an origin in a tick.
type tickCount struct {
	At int64  `json:"t"`
	N  uint64 `json:"n"`
}

// outage is the state of an origin that could not be reached lately. It is stored as JSON.
type outage struct {
	Since   int64       `json:"since,omitempty"`   // first tick since which each answer is "unreachable"; 0 = none
	Other   int64       `json:"other,omitempty"`   // newest tick with another answer
	Last    int64       `json:"last"`              // newest tick with a request that did not reach it
	Counts  []tickCount `json:"counts,omitempty"`  // of the last five minutes, ascending
	Down    int64       `json:"down,omitempty"`    // time since which the conditions hold; 0 = it is not down
	Starts  int         `json:"starts,omitempty"`  // alerts of this issue
	Started int64       `json:"started,omitempty"` // time of the last one
	Open    bool        `json:"open,omitempty"`    // its end was not sent
	Told    bool        `json:"told,omitempty"`    // it was sent: it is not replayed history

	name    originName
	zone    uint32
	changed bool // since it was stored
}

// add counts the answers of a tick.
func (o *outage) add(at int64, t Tally) {
	o.changed = true
	if t.Total > t.Bad {
		o.Other = max(o.Other, at)
	}
	if t.Bad > 0 {
		o.Last = max(o.Last, at)
		i, found := slices.BinarySearchFunc(o.Counts, at, func(c tickCount, at int64) int { return cmp.Compare(c.At, at) })
		if !found {
			o.Counts = slices.Insert(o.Counts, i, tickCount{At: at})
		}
		o.Counts[i].N += t.Bad
		if at > o.Other && (o.Since == 0 || at < o.Since) {
			o.Since = at
		}
	}
	if o.Since != 0 && o.Since <= o.Other {
		o.Since = 0
		if i := slices.IndexFunc(o.Counts, func(c tickCount) bool { return c.At > o.Other }); i >= 0 {
			o.Since = o.Counts[i].At
		}
	}
}

// recent is the number of requests in the last five minutes that did not reach the origin.
func (o *outage) recent(clock int64) (n uint64) {
	old := 0
	for old < len(o.Counts) && o.Counts[old].At+Tick <= clock-downAfter {
		old++
	}
	if old > 0 {
		o.Counts = slices.Delete(o.Counts, 0, old)
		o.changed = true
	}
	for _, c := range o.Counts {
		n += c.N
	}
	return n
}

// over reports whether nothing about the origin matters any more.
func (o *outage) over(clock int64) bool {
	switch {
	case o.Down != 0:
		return false
	case o.Starts > 0:
		return clock-max(o.Last, o.Started) >= issueFor
	case o.Since == 0:
		return clock-o.Last >= downAfter
	}
	return clock-o.Last >= quietFor
}

// originEvent is the start or end of an alert about an origin.
type originEvent struct {
	at      int64
	name    originName
	event   string // Start or End
	started int64
	since   int64  // first tick without another answer
	failed  uint64 // in the last five minutes
	total   uint64 // of the property, in the last five minutes
	told    bool
}

// originMonitor watches the origins of a shard.
type originMonitor struct {
	outages map[tally.Key]*outage
	dropped []originName // outages that are over, and stored
	pending []originSample
	events  []originEvent

	// answered reports whether an origin gave an answer other than a failure in the last 24 hours.
	answered func(tally.Key) bool
}

// add passes on the samples up to a tick.
func (m *originMonitor) add(at int64) {
	n := 0
	for ; n < len(m.pending) && m.pending[n].at <= at; n++ {
		p := &m.pending[n]
		o := m.outages[p.key]
		if o == nil && (p.Bad == 0 || len(m.outages) >= maxOutages) {
			continue
		}
		if o == nil {
			o = &outage{name: p.name.clone(), zone: p.zone}
			m.outages[p.key] = o
		}
		o.add(p.at, p.Tally)
	}
	m.pending = m.pending[n:]
}

// evaluateOrigins updates the states of origins at the engine's clock.
func (e *engine) evaluateOrigins() {
	m := &e.origins
	if len(m.outages) == 0 {
		return
	}
	first := len(m.events)
	clock := e.Clock()
	for key, o := range m.outages {
		e.evaluateOrigin(key, o, clock)
		if o.over(clock) {
			delete(m.outages, key)
			m.dropped = append(m.dropped, o.name)
		}
	}
	slices.SortFunc(m.events[first:], func(a, b originEvent) int { return a.name.compare(b.name) })
}

func (e *engine) evaluateOrigin(key tally.Key, o *outage, clock int64) {
	failed := o.recent(clock)
	event := func(kind string) {
		o.changed = true
		e.origins.events = append(e.origins.events, originEvent{
			at:      clock,
			name:    o.name,
			event:   kind,
			started: o.Started,
			since:   o.Since,
			failed:  failed,
			total:   e.Sums(o.zone, D28)[M5].Total,
			told:    o.Told,
		})
	}
	if o.Down != 0 && o.Since == 0 {
		o.Down = 0
		o.changed = true
		if o.Open {
			o.Open = false
			event(End)
		}
	}
	if o.Since == 0 || o.Last+Tick-o.Since < downAfter || failed == 0 ||
		100*failed <= downPercent*e.Sums(o.zone, D28)[M5].Total {
		return
	}
	if o.Down == 0 {
		if !e.origins.answered(key) {
			return
		}
		o.Down = clock
		o.changed = true
	}
	if !o.Open && o.Starts < maxStarts && (o.Started == 0 || clock-o.Started >= startEvery) {
		o.Open = true
		o.Starts++
		o.Started = clock
		o.Told = clock >= e.alertFrom
		event(Start)
	}
}

// answers are the origins that answered, of those that no objective counts on their own: 16 bytes for each slot of the
// table. The id of an origin is the tick of an answer, at most an hour before the newest one.
type answers struct {
	ticks      *tally.Index
	perAccount map[string]int
	changed    map[originName]int64 // since they were stored
}

// note notes an answer. Stored times move once an hour; the first one is set back by a part of an hour, so that not all
// origins move at once.
func (a *answers) note(key tally.Key, name originName, at int64) (full bool) {
	tick, known := a.ticks.Get(key)
	switch {
	case known && at < int64(tick)*Tick+3600:
		return false
	case !known && a.perAccount[name.account] >= maxAccountOrigins:
		return true
	case !known:
		a.perAccount[strings.Clone(name.account)]++
		at -= int64(crc32.ChecksumIEEE([]byte(name.origin))%360) * Tick
	}
	a.ticks.Set(key, uint32(at/Tick))
	a.changed[name.clone()] = at
	return false
}

// within reports whether an origin answered in the last 24 hours.
func (a *answers) within(key tally.Key, clock int64) bool {
	tick, known := a.ticks.Get(key)
	return known && clock-int64(tick)*Tick <= answeredWithin
}
