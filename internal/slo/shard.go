package slo

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// The kinds of lines.
const (
	kindZone      = "zone"
	kindOrigin    = "origin"
	kindHostname  = "hostname"
	kindPathClass = "path_class"
)

// lineKey is what a line counts: the requests of a zone, or of one origin,
// hostname or path class in it, by one SLI ("" is availability).
type lineKey struct{ account, zone, kind, value, sli string }

// line is what the objective judges.
func (o *Objective) line() lineKey {
	k := lineKey{o.account, o.Match.Zone, kindZone, "", o.SLI}
	switch m := o.Match; {
	case m.Origin != "":
		k.kind, k.value = kindOrigin, m.Origin
	case m.Hostname != "":
		k.kind, k.value = kindHostname, m.Hostname
	case m.PathClass != "":
		k.kind, k.value = kindPathClass, m.PathClass
	}
	return k
}

type zoneKey struct{ account, zone string }

// What is refused, and bounds of what one shard holds.
const (
	maxTraffic    = 4 << 20
	maxSeconds    = 3600
	maxCount      = 1_000_000_000_000 // requests in one count
	ahead         = 120               // seconds that a count may end after its message was sent
	seenFor       = 24 * 3600         // the topic is kept as long: a repeat from it is known
	tellFor       = 3600              // a transition this long before its message was sent is history
	linesPerShard = 1 << 26
	linesOfOne    = 20_000 // of an account in a shard
)

type batchID [16]byte

// shard is the state of one partition in this process, as far as it is
// committed. It belongs to the Handle of its partition; after a fault it is
// dropped and read anew.
type shard struct {
	*engine
	id                int32
	revision, version int64
	fresh             bool // the database has no row of it yet

	lines      map[lineKey]uint32
	ofAccount  map[string]int // lines
	objectives map[zoneKey][]*Objective
	wanted     map[lineKey]bool // lines beyond those of zones
	seen       map[batchID]int64
	newest     int64 // newest time of a message, by the bus
	pruned     int64

	stored map[place]int // chunks of each column that the database has
	saved  map[*watch][]standing

	// Of the batch at hand.
	newLines []lineKey
	newSeen  []seenRow
	refusals map[string]int
}

type seenRow struct {
	id batchID
	at int64
}

func newShard(id int32) *shard {
	return &shard{engine: newEngine(), id: id, lines: map[lineKey]uint32{}, ofAccount: map[string]int{}, objectives: map[zoneKey][]*Objective{},
		wanted: map[lineKey]bool{}, seen: map[batchID]int64{}, stored: map[place]int{}, saved: map[*watch][]standing{}, refusals: map[string]int{}}
}

// promise adds an objective, and watches its line if that is there.
func (s *shard) promise(o *Objective) {
	at := zoneKey{o.account, o.Match.Zone}
	s.objectives[at] = append(s.objectives[at], o)
	k := o.line()
	if k.kind != kindZone || k.sli != "" {
		s.wanted[k] = true
	}
	if line, ok := s.lines[k]; ok {
		s.attach(o, line)
	}
}

func (s *shard) attach(o *Objective, line uint32) *watch {
	w := &watch{Objective: o, line: line, standing: make([]standing, len(o.rules))}
	s.watches[line] = append(s.watches[line], w)
	s.mark(line)
	return w
}

// read makes pieces of a batch's records. What it refuses it counts by reason.
func (s *shard) read(b *bus.Batch) []piece {
	var pieces []piece
	for _, rec := range b.Records {
		at := rec.Time.Unix()
		s.newest = max(s.newest, at)
		var t event.Traffic
		if len(rec.Value) > maxTraffic || json.Unmarshal(rec.Value, &t) != nil || !id.Valid(t.Account) || t.Zone == "" || t.ID == "" {
			s.refusals["unreadable"]++
			continue
		}
		sum := sha256.Sum256([]byte(t.Account + "\x00" + t.ID))
		key := batchID(sum[:16])
		if _, ok := s.seen[key]; ok {
			s.refusals["repeat"]++
			continue
		}
		s.seen[key] = at
		s.newSeen = append(s.newSeen, seenRow{key, at})
		for _, c := range t.Counts {
			pieces = s.place(&t, c, at, pieces)
		}
	}
	s.tellFrom = s.newest - tellFor
	return pieces
}

// place adds the pieces of one count to the lines that it belongs to.
func (s *shard) place(t *event.Traffic, c event.Count, sent int64, to []piece) []piece {
	if c.Seconds == 0 {
		c.Seconds = Tick
	}
	switch {
	case c.Total < 0 || c.Bad < 0 || c.Bad > c.Total || c.Total > maxCount || c.Seconds < 0 || c.Seconds > maxSeconds || c.At <= 0:
		s.refusals["unreadable"]++
		return to
	case c.At > sent+ahead || c.At+c.Seconds > sent+ahead+maxSeconds:
		s.refusals["future"]++
		return to
	case c.At+c.Seconds <= s.clock-levels[levelCount-1].Keep || c.At < sent-Longest-86400:
		s.refusals["old"]++
		return to
	}
	count := Tally{uint64(c.Total), uint64(c.Bad)}
	sli := c.SLI
	if sli == availability {
		sli = ""
	}
	for _, k := range [...]lineKey{
		{t.Account, t.Zone, kindZone, "", sli},
		{t.Account, t.Zone, kindOrigin, c.Origin, sli},
		{t.Account, t.Zone, kindHostname, c.Hostname, sli},
		{t.Account, t.Zone, kindPathClass, c.PathClass, sli},
	} {
		if k.kind != kindZone && k.value == "" || (k.kind != kindZone || sli != "") && !s.wanted[k] {
			continue
		}
		if line, ok := s.line(k, floor(c.At, Tick)); ok {
			to = spread(c.At, c.Seconds, count, line, to)
		} else {
			s.refusals["limit"]++
		}
	}
	return to
}

// line finds or makes a line. What is counted in one batch comes in any order:
// the line begins with the earliest.
func (s *shard) line(k lineKey, at int64) (uint32, bool) {
	if line, ok := s.lines[k]; ok {
		if int(line) >= len(s.first)-len(s.newLines) {
			s.first[line] = min(s.first[line], at)
		}
		return line, true
	}
	if len(s.first) >= linesPerShard || s.ofAccount[k.account] >= linesOfOne {
		return 0, false
	}
	line := s.newLine(at)
	s.lines[k] = line
	s.ofAccount[k.account]++
	s.newLines = append(s.newLines, k)
	for _, o := range s.objectives[zoneKey{k.account, k.zone}] {
		if o.line() == k {
			s.attach(o, line)
		}
	}
	return line, true
}

// committed forgets what is in the database now.
func (s *shard) committed() {
	for p := range s.changed {
		if i, ok := s.find(p); ok {
			s.stored[p] = chunks(s.columns[p.level][i].data)
		} else {
			delete(s.stored, p)
		}
	}
	clear(s.changed)
	s.touched.drain(func(line uint32) {
		for _, w := range s.watches[line] {
			s.saved[w] = slices.Clone(w.standing)
		}
	})
	s.newLines, s.newSeen, s.transitions = nil, nil, nil
	s.refused, s.updates = 0, 0
	clear(s.refusals)
	s.version++
	s.fresh = false
	if old := s.newest - seenFor; old > s.pruned+600 {
		for k, at := range s.seen {
			if at < old {
				delete(s.seen, k)
			}
		}
		s.pruned = old
	}
}

// Handle counts a batch and stores what follows from it in one transaction.
func (f *Feature) Handle(ctx context.Context, b *bus.Batch) error {
	for attempt := 0; ; attempt++ {
		s, err := f.shard(ctx, b.Partition)
		if err != nil {
			return err
		}
		began := f.now()
		pieces := s.read(b)
		if err := s.process(pieces); err != nil {
			f.drop(b.Partition)
			return fmt.Errorf("shard %d: %w", b.Partition, err)
		}
		took := f.now().Sub(began)
		err = f.store(ctx, b, s)
		if errors.Is(err, errStale) && attempt < 5 {
			f.drop(b.Partition) // an objective changed, or another process had the shard
			continue
		}
		if err != nil {
			f.drop(b.Partition)
			return err
		}
		f.note(s, took.Seconds())
		if len(s.transitions) > 0 {
			f.wake()
		}
		s.committed()
		return nil
	}
}

func (f *Feature) note(s *shard, took float64) {
	f.metrics.seconds.Observe(took)
	f.metrics.updates.Add(float64(s.updates))
	if s.refused > 0 {
		s.refusals["old"] += s.refused
	}
	for reason, n := range s.refusals {
		f.metrics.refused.WithLabelValues(reason).Add(float64(n))
	}
	for _, t := range s.transitions {
		f.metrics.transitions.WithLabelValues(t.Event).Inc()
	}
	name := fmt.Sprint(s.id)
	lines, bytes := s.size()
	f.metrics.watermark.WithLabelValues(name).Set(float64(s.clock))
	f.metrics.lines.WithLabelValues(name).Set(float64(lines))
	f.metrics.bytes.WithLabelValues(name).Set(float64(bytes))
}

// shard is the state of a partition, read from the database when this process
// has none.
func (f *Feature) shard(ctx context.Context, partition int32) (*shard, error) {
	f.mu.Lock()
	s := f.shards[partition]
	f.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := f.load(ctx, partition)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shards[partition] = s
	return s, nil
}

func (f *Feature) drop(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.shards, partition)
}
