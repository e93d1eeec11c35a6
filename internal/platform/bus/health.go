package bus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
)

// State describes the consumption of a partition. It follows from progress (the
// position moves while the log's end does), not from a ping.
type State string

// The states, best first.
const (
	OK        State = "ok"
	Lagging   State = "lagging"    // it moves, with more than LagLimit records to go
	Stalled   State = "stalled"    // records wait, and it does not move
	NoMembers State = "no_members" // no consumer of Belfry's (of the group) has it
	AheadOf   State = "ahead"      // the position is beyond the log's end
)

// Health is the state of one partition.
type Health struct {
	Group     string
	Topic     string
	Partition int32
	State     State
	Next      int64     // position
	End       int64     // end of the log; -1 = not known
	Since     time.Time // of the last progress, or of the claim
	Error     string    // of the handler, while it retries
}

// Lag is the number of records that wait.
func (h Health) Lag() int64 { return max(0, h.End-h.Next) }

// progress is a measurement of a partition, compared with the next one.
type progress struct {
	next  int64
	end   int64
	moved time.Time
}

// advance is the progress after another measurement.
func (p progress) advance(next, end int64, now time.Time) progress {
	if p.moved.IsZero() || next != p.next || next >= end {
		p.moved = now
	}
	p.next, p.end = next, end
	return p
}

// judge derives the state from the progress.
func judge(p progress, now time.Time, lagLimit int64, stallAfter time.Duration) State {
	switch lag := p.end - p.next; {
	case lag < 0:
		return AheadOf
	case lag > 0 && now.Sub(p.moved) >= stallAfter:
		return Stalled
	case lag > lagLimit:
		return Lagging
	}
	return OK
}

// watch reads the ends of the partitions' logs, and the owners of the partitions,
// until ctx ends.
func (c *Consumer) watch(ctx context.Context) {
	tick := time.NewTicker(c.cfg.HealthEvery)
	defer tick.Stop()
	admin := kadm.NewClient(c.cl)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, c.cfg.HealthEvery)
		ends, err := admin.ListEndOffsets(limited, c.cfg.Topics...)
		cancel()
		if err != nil {
			continue // the positions age, and show as stalled if it lasts
		}
		now := time.Now()
		c.mu.Lock()
		for at, p := range c.owned {
			if end, ok := ends.Lookup(at.topic, at.partition); ok && end.Err == nil {
				p.mu.Lock()
				next, idle := p.pos.Next, len(p.queue) == 0 && p.last == nil
				p.mu.Unlock()
				seen := c.ends[at].advance(next, end.Offset, now)
				c.ends[at] = seen
				// A client reports nothing about a batch that it can decode in part.
				if idle && next < end.Offset && now.Sub(seen.moved) >= c.cfg.HealthEvery {
					p.suspect()
				}
			}
		}
		c.mu.Unlock()
		c.lookForOwners(ctx, admin, ends, now)
	}
}

// Health lists the partitions that this member owns, and those that no consumer of
// Belfry's has, by topic and partition.
func (c *Consumer) Health() []Health {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Health
	for at, p := range c.owned {
		p.mu.Lock()
		h := Health{
			Group:     c.cfg.Group,
			Topic:     at.topic,
			Partition: at.partition,
			State:     OK,
			Next:      p.pos.Next,
			End:       -1,
			Since:     p.pos.At,
		}
		if p.last != nil {
			h.Error = p.last.Error()
		}
		stored := p.pos.At
		p.mu.Unlock()
		if seen, ok := c.ends[at]; ok {
			seen.next = h.Next
			h.End, h.Since = max(seen.end, h.Next), seen.moved
			h.State = judge(seen, now, c.cfg.LagLimit, c.cfg.StallAfter)
			if h.State == AheadOf && stored.After(now.Add(-2*c.cfg.HealthEvery)) {
				h.State = OK // it moved after the look at the end
			}
		}
		list = append(list, h)
	}
	for at, u := range c.unowned {
		if c.owned[at] == nil {
			list = append(list, Health{
				Group:     c.cfg.Group,
				Topic:     at.topic,
				Partition: at.partition,
				State:     NoMembers,
				Next:      u.next,
				End:       u.end,
				Since:     u.since,
				Error:     u.why,
			})
		}
	}
	slices.SortFunc(list, func(a, b Health) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}

// Ready is nil while the brokers answer, every owned partition moves, and every
// other partition is with another consumer of Belfry's; otherwise the reason for
// /readyz.
func (c *Consumer) Ready() error {
	for _, h := range c.Health() {
		if wait := time.Since(h.Since); h.State == NoMembers && wait >= c.cfg.UnownedAfter {
			return fmt.Errorf("consumer %s: no consumer of Belfry's has had %s/%d for %v: %s",
				h.Group, h.Topic, h.Partition, wait.Round(time.Second), h.Error)
		}
		if h.State == Stalled || h.State == AheadOf {
			reason := fmt.Errorf("consumer %s is %s at %s/%d: offset %d of %d",
				h.Group, h.State, h.Topic, h.Partition, h.Next, h.End)
			if h.Error != "" {
				reason = fmt.Errorf("%w: %s", reason, h.Error)
			}
			return reason
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault.err != nil && time.Since(c.fault.at) < c.cfg.StallAfter {
		return fmt.Errorf("consumer %s: %w", c.cfg.Group, c.fault.err)
	}
	return nil
}

// metrics are the counters of one consumer.
type metrics struct {
	records  *prometheus.CounterVec
	retries  *prometheus.CounterVec
	fenced   *prometheus.CounterVec
	restarts *prometheus.CounterVec
	skipped  *prometheus.CounterVec
	foreign  *prometheus.CounterVec
	lag      *prometheus.Desc
	state    *prometheus.Desc
}

func newMetrics(group string) metrics {
	labels := prometheus.Labels{"group": group}
	counter := func(name, help string, names ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, names)
	}
	return metrics{
		records: counter("belfry_bus_consumed_total", "Records stored.", "topic"),
		retries: counter("belfry_bus_retries_total",
			"Batches that could not be stored and come again, by the kind of the error.", "topic", "reason"),
		fenced: counter("belfry_bus_fenced_total", "Batches dropped because another owner has the partition.", "topic"),
		restarts: counter("belfry_bus_restarts_total", "Positions that did not fit the log and began again, by reason.",
			"topic", "reason"),
		skipped: counter("belfry_bus_skipped_total", "Stretches of batches that cannot be decoded and were skipped.",
			"topic"),
		foreign: counter("belfry_bus_foreign_total", "Records that Belfry did not publish, ignored on a topic of its own.",
			"topic"),
		lag: prometheus.NewDesc("belfry_bus_lag_records",
			"Records that wait in a partition that this process, or no consumer of Belfry's, has.",
			[]string{"topic", "partition"}, labels),
		state: prometheus.NewDesc("belfry_bus_partition_state", "1 for the state that such a partition is in.",
			[]string{"topic", "partition", "state"}, labels),
	}
}

// collector gives a consumer's metrics to Prometheus.
type collector struct{ c *Consumer }

func (m metrics) counters() []*prometheus.CounterVec {
	return []*prometheus.CounterVec{m.records, m.retries, m.fenced, m.restarts, m.skipped, m.foreign}
}

// Describe implements prometheus.Collector.
func (k collector) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range k.c.m.counters() {
		v.Describe(ch)
	}
	ch <- k.c.m.lag
	ch <- k.c.m.state
}

// Collect implements prometheus.Collector.
func (k collector) Collect(ch chan<- prometheus.Metric) {
	for _, v := range k.c.m.counters() {
		v.Collect(ch)
	}
	for _, h := range k.c.Health() {
		partition := fmt.Sprint(h.Partition)
		if h.End >= 0 {
			ch <- prometheus.MustNewConstMetric(k.c.m.lag, prometheus.GaugeValue, float64(h.Lag()), h.Topic, partition)
		}
		ch <- prometheus.MustNewConstMetric(k.c.m.state, prometheus.GaugeValue, 1, h.Topic, partition, string(h.State))
	}
}
