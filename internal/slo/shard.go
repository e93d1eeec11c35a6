package slo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Kinds of series.
const (
	kindZone      = "zone"
	kindOrigin    = "origin"
	kindHostname  = "hostname"
	kindPathClass = "path_class"
)

// seriesKey identifies a series: the requests of a zone, or of one origin, hostname or path class in it, by one SLI (""
// is availability).
type seriesKey struct{ account, zone, kind, value, sli string }

// seriesKey identifies the series that the objective applies to.
func (o *Objective) seriesKey() seriesKey {
	k := seriesKey{o.account, o.Match.Zone, kindZone, "", o.SLI}
	switch m := o.Match; {
	case o.Composite != nil:
		k.kind = kindComposite
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

// Limits of a message and of a shard.
const (
	maxTraffic       = 4 << 20
	maxSeconds       = 3600
	maxCount         = 1_000_000_000_000 // requests in one count
	ahead            = 120               // seconds by which a count may end after its message was sent
	seenFor          = 24 * 3600         // the retention of the topic, so that every repeat is detected
	alertFor         = 3600              // a transition older than this when its message was sent is history
	maxSeries        = 1 << 26
	maxAccountSeries = 20_000   // in a shard
	residentLimit    = 16 << 20 // bytes of encoded blocks that a shard keeps in memory
)

type batchID [16]byte

// shardState is the committed state of one partition in this process. Only the Handle of the partition uses it; after
// an error it is dropped and read again.
type shardState struct {
	*engine
	id      int32
	version int64
	applied int64 // number of the last change of an objective that it knows
	fresh   bool  // the database has no row for it yet

	series     *tally.Index   // the ids of the series by their keys
	wanted     *tally.Index   // keys of the series that exist because an objective applies to them
	perAccount map[string]int // series
	objectives map[zoneKey][]*Objective
	composites map[string][]*Objective // by the id of a member
	seen       map[batchID]int64
	newest     int64 // newest time of a message, from the bus
	pruned     int64

	resident int                    // bytes of encoded blocks that are kept in memory
	behind   bool                   // some readings are older than the counts
	dueFrom  uint32                 // the series from which on the next batch writes readings
	saved    map[*watch][]pairState // the stored states of the watches with a pair that is not quiet

	exclusions    map[string][]exclusion // by objective
	newExclusions []exclusion            // that got a series

	excludedBy map[string]excludedSeries // by exclusion
	free       []uint32                  // series of exclusions that were removed, ascending
	reused     map[uint32]seriesKey      // series whose line was freed or used again, since they were stored

	answers answers // of origins

	// The current batch.
	decoded   event.Traffic
	samples   []sample
	zone      zoneSeries
	due       []uint32 // series whose readings the batch writes
	newSeries []seriesKey
	newSeen   []seenRow
	refusals  map[string]int
	unfilled  []*watch           // watches of new series that have exclusions
	changed   map[string]bool    // objectives that changed while the batch was counted, by id
	tracked   map[tally.Key]bool // origins whose answers are passed on, because they could not be reached
	expired   []originName       // whose answers the batch removes
}

type seenRow struct {
	id batchID
	at int64
}

func newShardState(partition int32) *shardState {
	series := tally.NewIndex()
	s := &shardState{
		engine:     newEngine(),
		id:         partition,
		series:     series,
		wanted:     series.Sibling(),
		perAccount: map[string]int{},
		objectives: map[zoneKey][]*Objective{},
		composites: map[string][]*Objective{},
		seen:       map[batchID]int64{},
		saved:      map[*watch][]pairState{},
		refusals:   map[string]int{},
		changed:    map[string]bool{},
		exclusions: map[string][]exclusion{},
		excludedBy: map[string]excludedSeries{},
		reused:     map[uint32]seriesKey{},
		tracked:    map[tally.Key]bool{},
		answers: answers{
			ticks:      series.Sibling(),
			perAccount: map[string]int{},
			changed:    map[originName]int64{},
		},
	}
	s.origins.outages = map[tally.Key]*outage{}
	s.origins.answered = s.originAnswered
	return s
}

// addObjective adds an objective, and attaches it to its series if that exists; rewatch follows.
func (s *shardState) addObjective(o *Objective) *watch {
	at := zoneKey{o.account, o.Match.Zone}
	s.objectives[at] = append(s.objectives[at], o)
	if o.Composite != nil {
		for _, m := range o.Composite.Members {
			s.composites[m.Objective] = append(s.composites[m.Objective], o)
		}
		return nil
	}
	k := o.seriesKey()
	key := s.keyOf(&k)
	if (k.kind != kindZone || k.sli != "") && !s.wanted.Has(key) {
		s.wanted.Put(key, 0)
	}
	if series, ok := s.series.Get(key); ok {
		return s.attach(o, series)
	}
	return nil
}

// keyOf is a key in the indexes.
func (s *shardState) keyOf(k *seriesKey) tally.Key {
	return s.series.Key(k.account, k.zone, k.kind, k.value, k.sli)
}

// read makes samples of a batch's records. It counts what it refuses by reason.
func (s *shardState) read(b *bus.Batch) []sample {
	samples := s.samples[:0]
	for _, rec := range b.Records {
		at := rec.Time.Unix()
		s.newest = max(s.newest, at)
		t := &s.decoded
		if len(rec.Value) > maxTraffic || decodeTraffic(rec.Value, t) != nil ||
			!id.Valid(t.Account) || t.Zone == "" || t.ID == "" {
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
		s.zone = zoneSeries{}
		for i := range t.Counts {
			samples = s.addCount(t, &t.Counts[i], at, samples)
		}
	}
	s.alertFrom = s.newest - alertFor
	s.samples = samples
	return samples
}

// addCount appends the samples of one count, for each series that it belongs to.
func (s *shardState) addCount(t *event.Traffic, c *event.Count, sent int64, to []sample) []sample {
	if c.Seconds == 0 {
		c.Seconds = Tick
	}
	switch {
	case c.Total < 0 || c.Bad < 0 || c.Bad > c.Total || c.Total > maxCount,
		c.Unreachable < 0 || c.Unreachable > c.Bad,
		c.Seconds < 0 || c.Seconds > maxSeconds || c.At <= 0:
		s.refusals["unreadable"]++
		return to
	case c.At > sent+ahead || c.At+c.Seconds > sent+ahead+maxSeconds:
		s.refusals["future"]++
		return to
	case c.At+c.Seconds <= s.Clock()-kept || c.At < sent-Longest-86400:
		s.refusals["old"]++
		return to
	}
	count := Tally{Total: uint64(c.Total), Bad: uint64(c.Bad)}
	sli := c.SLI
	if sli == availability {
		sli = ""
	}
	var zone uint32
	monitored := false // the count is one of a zone's requests, which the shard counts
	for _, part := range [...]struct{ kind, value string }{
		{kindZone, ""},
		{kindOrigin, c.Origin},
		{kindHostname, c.Hostname},
		{kindPathClass, c.PathClass},
	} {
		if part.kind != kindZone && part.value == "" {
			continue
		}
		k := seriesKey{t.Account, t.Zone, part.kind, part.value, sli}
		series, found := s.seriesFor(&k, tally.AlignDown(c.At, Tick))
		switch found {
		case seriesCounted:
			to = spread(c.At, c.Seconds, count, series, to)
		case limited:
			s.refusals["limit"]++
		}
		switch {
		case part.kind == kindZone && sli == "" && found == seriesCounted:
			zone = series
			monitored = true
		case part.kind == kindOrigin && monitored:
			s.addOrigin(t, c, zone, found == seriesCounted)
		}
	}
	return to
}

// lookup is the result of seriesFor.
type lookup uint8

const (
	seriesCounted lookup = iota
	unwanted             // no objective applies to it
	limited              // the shard or the account has as many series as it may have
)

// zoneSeries is the series of a record's zone, once it is known.
type zoneSeries struct {
	id    uint32
	known bool
}

// seriesFor finds or adds a series. The zones' own series are counted always, others only if an objective applies to
// them. The counts of a batch come in any order, so a new series begins with the earliest.
func (s *shardState) seriesFor(k *seriesKey, at int64) (uint32, lookup) {
	always := k.kind == kindZone && k.sli == ""
	if always && s.zone.known {
		return s.zone.id, seriesCounted
	}
	key := s.keyOf(k)
	series, ok := s.series.Get(key)
	switch {
	case ok && !always && !s.watched(series), !ok && !always && !s.wanted.Has(key):
		return 0, unwanted
	case ok && int(series) >= s.Len()-len(s.newSeries):
		s.SetFirst(series, min(s.First(series), at))
		return series, seriesCounted
	case ok:
		if always {
			s.zone = zoneSeries{series, true}
		}
		return series, seriesCounted
	case s.Len() >= maxSeries || s.perAccount[k.account] >= maxAccountSeries:
		return 0, limited
	}
	series = s.AddSeries(at)
	s.series.Put(key, series)
	s.perAccount[strings.Clone(k.account)]++ // the key shares the memory of a whole record
	s.newSeries = append(s.newSeries, *k)
	for _, o := range s.objectives[zoneKey{k.account, k.zone}] {
		if o.seriesKey() == *k {
			w := s.watch(o, series)
			if len(s.exclusions[o.ID]) > 0 {
				s.unfilled = append(s.unfilled, w)
			}
		}
	}
	return series, seriesCounted
}

// markStored follows the commit of a batch: memory and database are equal now.
func (s *shardState) markStored() {
	s.MarkStored()
	s.Release(s.resident)
	s.setSaved()
	s.newSeries = nil
	s.newSeen = nil
	s.newExclusions = nil
	clear(s.reused)
	s.originsStored()
	s.transitions = nil
	s.refused = 0
	s.updates = 0
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

// setSaved follows the reading or storing of the pair states.
func (s *shardState) setSaved() {
	for w := range s.restated {
		if w.pairs == nil {
			delete(s.saved, w)
		} else {
			s.saved[w] = w.pairs
		}
	}
	clear(s.restated)
}

// Handle counts a batch and stores its consequences in one transaction.
func (f *Feature) Handle(ctx context.Context, b *bus.Batch) error {
	for attempt := 0; ; attempt++ {
		s, err := f.shard(ctx, b.Partition)
		if err != nil {
			return err
		}
		err = f.handle(ctx, b, s)
		if errors.Is(err, errStale) && attempt < 5 {
			f.drop(b.Partition) // another process had the shard
			continue
		}
		if err != nil {
			f.drop(b.Partition)
			return fmt.Errorf("shard %d: %w", b.Partition, err)
		}
		return nil
	}
}

// handle counts a batch with the objectives of this moment. Objectives that change meanwhile are left out of what is
// stored, and are evaluated on the batch afterwards.
func (f *Feature) handle(ctx context.Context, b *bus.Batch, s *shardState) error {
	if err := f.refresh(ctx, s, false); err != nil {
		return err
	}
	if err := f.count(ctx, b, s.read(b), s); err != nil {
		return err
	}
	for len(s.changed) > 0 {
		clear(s.changed)
		if err := f.refresh(ctx, s, true); err != nil {
			return err
		}
		if err := f.count(ctx, nil, nil, s); err != nil {
			return err
		}
	}
	return nil
}

// count adds samples, evaluates and stores the consequences; b is nil when no batch is committed.
func (f *Feature) count(ctx context.Context, b *bus.Batch, samples []sample, s *shardState) error {
	began := f.now()
	s.Load = f.loader(ctx, s.id)
	for _, w := range s.unfilled {
		if err := s.attachExclusions(w); err != nil {
			return err
		}
	}
	s.unfilled = nil
	if err := s.process(samples); err != nil {
		return err
	}
	took := f.now().Sub(began)
	s.takeDue()
	if err := f.store(ctx, b, s); err != nil {
		return err
	}
	f.observe(s, took.Seconds())
	if len(s.transitions) > 0 || len(s.origins.events) > 0 {
		f.cfg.Wake()
	}
	s.markStored()
	return nil
}

// observe updates the metrics after a batch; took is in seconds.
func (f *Feature) observe(s *shardState, took float64) {
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
	f.metrics.watermark.WithLabelValues(name).Set(float64(s.Clock()))
	f.metrics.lines.WithLabelValues(name).Set(float64(s.Len()))
	f.metrics.bytes.WithLabelValues(name).Set(float64(s.Resident()))
}

// shard returns the state of a partition, and reads it from the database when this process has none.
func (f *Feature) shard(ctx context.Context, partition int32) (*shardState, error) {
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
