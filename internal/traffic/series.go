package traffic

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// Limits of metrics.
const (
	maxSources      = 5000           // of an account
	maxSourceSeries = 2000           // of one source
	sourcesKept     = 48 * time.Hour // after its last point, a source is forgotten
	maxFirst        = time.Hour      // between the start of a new series and its first point, which is counted then
)

// digestOf identifies a source or a series by its parts.
type digestOf [16]byte

func newDigest(parts ...string) digestOf {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return digestOf(h.Sum(nil)[:16])
}

// key is the digest in the state of a source.
func (d digestOf) key() string { return base64.RawStdEncoding.EncodeToString(d[:]) }

// point is one value of a series of requests: of a histogram, or of a counter.
type point struct {
	index  int // in the request
	source digestOf
	series digestOf
	start  int64 // Unix nanoseconds; of a cumulative series 0 = not known
	at     int64
	delta  bool // values are of [start, at) alone

	// family is shared by the series of one metric of a source: a series that is new when the others are known
	// began after their last point. Zero = not known.
	family digestOf
	native bool // a native histogram of Prometheus

	values []uint64  // the number of requests, then of each bucket
	bounds []float64 // of the buckets, in seconds, inclusive

	// latency is not 0 for a point of latency by this threshold: its values are all requests and the good ones.
	// A half has one of them, and is counted when the other half of the same time is there.
	latency time.Duration
	half    pointHalf

	entry     Entry // its status, host, origin and zone
	pathClass string
	ref       string // name of the zone
	how       *Counting
}

// seriesState is the last point of a series.
type seriesState struct {
	Start  int64    `json:"b,omitempty"`
	At     int64    `json:"t"`
	Values []uint64 `json:"v,omitempty"`

	Before int64      `json:"q,omitempty"` // of a family, the point before At
	Halves []halfSeen `json:"h,omitempty"` // of a series of latency, halves without the other one
}

// sourceState are the series of a source, by their digests.
type sourceState map[string]*seriesState

// difference returns the values in [from, at) that a point adds to a series. counted is false for
// a point that adds nothing: a repeated or late one, or the first of a counter whose
// beginning is not known (begins).
func (s sourceState) difference(p *point) (from int64, values []uint64, counted, begins, full bool) {
	key := p.series.key()
	last := s[key]
	if last == nil {
		if len(s) >= maxSourceSeries {
			return 0, nil, false, false, true
		}
		last = &seriesState{}
		s[key] = last
	}
	before := *last
	switch {
	case p.delta && before.At != 0 && p.start < before.At, !p.delta && before.At != 0 && p.at <= before.At:
		return 0, nil, false, false, false
	}
	last.Start = p.start
	last.At = p.at
	if p.delta {
		last.Values = nil
		return p.start, p.values, true, false, false
	}
	last.Values = p.values
	if before.At == 0 {
		if p.start > 0 && p.at-p.start <= int64(maxFirst) {
			return p.start, p.values, true, false, false
		}
		if from := s.familyBefore(p); from > 0 {
			return from, p.values, true, false, false
		}
		return 0, nil, false, true, false
	}
	if before.reset(p) {
		return max(p.start, before.At), p.values, true, false, false
	}
	values = make([]uint64, len(p.values))
	for i, v := range p.values {
		values[i] = v - before.Values[i]
	}
	return before.At, values, true, false, false
}

// reset reports whether a cumulative series began again before the point.
func (s *seriesState) reset(p *point) bool {
	if len(s.Values) != len(p.values) || p.start > s.At || s.Start != 0 && p.start != 0 && p.start != s.Start {
		return true
	}
	for i, v := range p.values {
		if v < s.Values[i] {
			return true
		}
	}
	return false
}

// pointsOutcome counts points by their result.
type pointsOutcome struct {
	counted int // including those that add nothing
	begins  int // series whose first point only sets where they begin
	full    []*point
}

// addPoints turns points into counts of the batch, by the states of their sources, in
// the transaction that stores both.
func (b *batch) addPoints(ctx context.Context, tx *db.Tx, points []*point) (out pointsOutcome, err error) {
	bySource := map[digestOf][]*point{}
	var sources []digestOf
	for _, p := range points {
		if bySource[p.source] == nil {
			sources = append(sources, p.source)
		}
		bySource[p.source] = append(bySource[p.source], p)
	}
	// All processes lock rows in the same order.
	slices.SortFunc(sources, func(x, y digestOf) int { return bytes.Compare(x[:], y[:]) })
	now := b.f.now().UnixMicro()
	for _, source := range sources {
		list := bySource[source]
		state, err := b.lockSource(ctx, tx, source, now)
		if err != nil {
			return out, err
		}
		if state == nil {
			out.full = append(out.full, list...)
			continue
		}
		slices.SortStableFunc(list, func(x, y *point) int { return cmp.Compare(x.at, y.at) })
		for _, p := range list {
			if p.half != wholePoint {
				if p = state.join(p); p == nil {
					out.counted++
					continue
				}
			}
			from, values, counted, begins, full := state.difference(p)
			state.seen(p)
			switch {
			case full:
				out.full = append(out.full, p)
				continue
			case begins:
				out.begins++
			case counted:
				if err := b.addDifference(ctx, p, from, values); err != nil {
					return out, err
				}
			}
			out.counted++
		}
		text, err := json.Marshal(state)
		if err != nil {
			return out, err
		}
		if _, err := tx.Exec(ctx, `UPDATE source SET state = $3 WHERE account_id = $1 AND source = $2`,
			b.from.Account, source[:], text); err != nil {
			return out, err
		}
	}
	return out, nil
}

// lockSource reads the state of a source, and keeps other processes from it until the
// transaction ends; nil = the account has no room for another source.
func (b *batch) lockSource(ctx context.Context, tx *db.Tx, source digestOf, now int64) (sourceState, error) {
	n, err := tx.Exec(ctx, `UPDATE source SET at = $3 WHERE account_id = $1 AND source = $2`,
		b.from.Account, source[:], now)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		var all int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM source WHERE account_id = $1`, b.from.Account).
			Scan(&all); err != nil {
			return nil, err
		}
		if all >= maxSources {
			return nil, nil
		}
		if _, err := tx.Exec(ctx, `INSERT INTO source (account_id, source, state, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (account_id, source) DO UPDATE SET at = excluded.at`, b.from.Account, source[:], []byte("{}"),
			now); err != nil {
			return nil, err
		}
	}
	var text []byte
	if err := tx.QueryRow(ctx, `SELECT state FROM source WHERE account_id = $1 AND source = $2`,
		b.from.Account, source[:]).Scan(&text); err != nil {
		return nil, err
	}
	state := sourceState{}
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, fmt.Errorf("series of a source of account %s: %w", b.from.Account, err)
	}
	return state, nil
}

// addDifference adds the counts of a difference: availability, and latency by the
// thresholds that are bounds of the buckets.
func (b *batch) addDifference(ctx context.Context, p *point, from int64, values []uint64) error {
	total := values[0]
	if total == 0 || p.entry.Ignored {
		return nil
	}
	count := event.Count{
		Hostname:  p.entry.Hostname,
		Origin:    p.entry.Origin,
		PathClass: p.pathClass,
		Total:     clampCount(total),
	}
	if p.latency > 0 {
		count.SLI = event.LatencySLI(p.latency)
		count.Bad = clampCount(total - min(values[1], total))
		return b.addSpread(ctx, p, count, from)
	}
	if p.entry.Bad {
		count.Bad = count.Total
	}
	if p.entry.Unreachable {
		count.Unreachable = count.Total
	}
	counts := []event.Count{count}
	for _, threshold := range p.how.Latency {
		bound := p.bound(threshold)
		if bound < 0 {
			continue
		}
		good := uint64(0)
		for _, v := range values[1 : bound+2] {
			good += v
		}
		one := count
		one.SLI = event.LatencySLI(threshold)
		one.Bad = clampCount(total - min(good, total))
		one.Unreachable = 0
		counts = append(counts, one)
	}
	for _, c := range counts {
		if err := b.addSpread(ctx, p, c, from); err != nil {
			return err
		}
	}
	return nil
}

// addSpread adds a count of the time from the last point to this one.
func (b *batch) addSpread(ctx context.Context, p *point, c event.Count, from int64) error {
	for _, piece := range spreadCount(c, from, p.at) {
		if err := b.add(ctx, p.index, Count{Zone: p.ref, Count: piece}, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// bound is the index of the bucket that a threshold closes; -1 = it lies between bounds.
func (p *point) bound(threshold time.Duration) int {
	return slices.IndexFunc(p.bounds, func(b float64) bool { return isThreshold(b, threshold) })
}

func clampCount(n uint64) int64 { return int64(min(n, maxTotal)) }

// spreadCount divides a count over [from, to), in Unix nanoseconds, into counts of an
// hour at most.
func spreadCount(c event.Count, from, to int64) []event.Count {
	begin := from / int64(time.Second)
	seconds := max(1, to/int64(time.Second)-begin)
	n := (seconds + maxSeconds - 1) / maxSeconds
	list := make([]event.Count, 0, n)
	for i := range n {
		part := func(all int64) int64 { return all/n*(i+1) + all%n*(i+1)/n - (all/n*i + all%n*i/n) }
		one := c
		one.At = begin + seconds*i/n
		one.Seconds = max(1, begin+seconds*(i+1)/n-one.At)
		one.Total = part(c.Total)
		one.Bad = min(part(c.Bad), one.Total)
		one.Unreachable = min(part(c.Unreachable), one.Bad)
		list = append(list, one)
	}
	return list
}

// deleteOldSources forgets the sources that have sent nothing for long.
func (f *Feature) deleteOldSources(ctx context.Context) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM source WHERE (account_id, source) IN (
			SELECT account_id, source FROM source WHERE at < $1 LIMIT 1000)`, f.now().Add(-sourcesKept).UnixMicro())
		return err
	})
}
