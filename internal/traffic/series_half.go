package traffic

import "slices"

// pointHalf says which of the two values a point of latency has. The buckets of a classic histogram are series of their
// own, and Prometheus may send those of one scrape in several requests.
type pointHalf int

const (
	wholePoint   pointHalf = iota
	allRequests            // the bucket +Inf
	goodRequests           // the bucket that the threshold closes
)

// halfSeen is a half that waits for the other one of its time.
type halfSeen struct {
	At    int64     `json:"t"`
	Half  pointHalf `json:"h"`
	Value uint64    `json:"v"`
}

// maxHalves limits the halves of a series that wait. Those of buckets that a histogram does not have wait in vain.
const maxHalves = 8

// join returns the whole point of a half, or nil while the other half is missing. Where the source has no room for
// another series, it returns the half, which difference refuses.
func (s sourceState) join(p *point) *point {
	key := p.series.key()
	last := s[key]
	if last == nil {
		if len(s) >= maxSourceSeries {
			return p
		}
		last = &seriesState{}
		s[key] = last
	}
	if last.At != 0 && p.at <= last.At {
		return nil // repeated or late
	}
	i := slices.IndexFunc(last.Halves, func(h halfSeen) bool { return h.At == p.at && h.Half != p.half })
	if i < 0 {
		last.wait(halfSeen{p.at, p.half, p.values[0]})
		return nil
	}
	both := *p
	both.half = wholePoint
	both.values = []uint64{p.values[0], last.Halves[i].Value}
	if p.half == goodRequests {
		slices.Reverse(both.values)
	}
	last.Halves = slices.DeleteFunc(last.Halves, func(h halfSeen) bool { return h.At <= p.at })
	return &both
}

// wait adds a half; the oldest is dropped when there are too many.
func (s *seriesState) wait(h halfSeen) {
	s.Halves = slices.DeleteFunc(s.Halves, func(old halfSeen) bool { return old.At == h.At && old.Half == h.Half })
	s.Halves = append(s.Halves, h)
	if len(s.Halves) > maxHalves {
		s.Halves = slices.Delete(s.Halves, 0, 1)
	}
}

// familyBefore is the time of the last point of the same metric of the source before a point: a series that appears
// later than the first ones, such as the first failure, began after it. 0 = there is none.
func (s sourceState) familyBefore(p *point) int64 {
	f := s[p.family.key()]
	if p.family == (digestOf{}) || f == nil || p.at <= f.Start {
		return 0
	}
	before := f.At
	if before >= p.at {
		before = f.Before
	}
	if before == 0 || before >= p.at {
		before = f.Start
	}
	return max(before, p.at-int64(maxFirst))
}

// seen notes the time of a point in its family.
func (s sourceState) seen(p *point) {
	if p.family == (digestOf{}) {
		return
	}
	key := p.family.key()
	f := s[key]
	switch {
	case f == nil:
		s[key] = &seriesState{Start: p.at, At: p.at}
	case p.at > f.At:
		f.Before = f.At
		f.At = p.at
	}
}
