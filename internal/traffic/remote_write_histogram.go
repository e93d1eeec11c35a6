package traffic

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// promHistogram is a native histogram of Prometheus at a time in milliseconds. Its buckets have indexes: bucket i of
// schema s closes at 2^(i/2^s); with custom bounds (schema -53) it closes at custom[i].
type promHistogram struct {
	at, start int64
	sum       float64
	count     float64
	schema    int32
	zero      float64 // observations in the zero bucket
	zeroUpTo  float64
	positive  promBuckets
	negative  promBuckets
	custom    []float64
	gauge     bool
}

// promBuckets are buckets as they are sent: runs of indexes, and for each index a difference to the one before, or a
// number as a float.
type promBuckets struct {
	spans  []promSpan
	deltas []int64
	counts []float64
}

type promSpan struct {
	offset int32 // from the end of the run before; of the first run, its index
	length uint32
}

const (
	customSchema = -53
	maxBuckets   = 10_000 // of one histogram
	hintGauge    = 3
)

// addHistogram reads prometheus.Histogram, whose fields are the same in both versions but for start_timestamp = 17.
func (s *promSeries) addHistogram(data []byte, starts bool) error {
	h := &promHistogram{}
	s.histograms = append(s.histograms, h)
	return protoFields(data, func(n protowire.Number, value uint64, data []byte) error {
		switch n {
		case 1, 6:
			*h.countOf(n) = float64(value)
		case 2, 7:
			*h.countOf(n - 1) = math.Float64frombits(value)
		case 3:
			h.sum = math.Float64frombits(value)
		case 4:
			h.schema = int32(protowire.DecodeZigZag(value & math.MaxUint32))
		case 5:
			h.zeroUpTo = math.Float64frombits(value)
		case 8:
			return h.negative.addSpan(data)
		case 9:
			return h.negative.addDeltas(value, data)
		case 10:
			return addDoubles(&h.negative.counts, value, data)
		case 11:
			return h.positive.addSpan(data)
		case 12:
			return h.positive.addDeltas(value, data)
		case 13:
			return addDoubles(&h.positive.counts, value, data)
		case 14:
			h.gauge = value == hintGauge
		case 15:
			h.at = int64(value)
		case 16:
			return addDoubles(&h.custom, value, data)
		case 17:
			if starts {
				h.start = int64(value)
			}
		}
		return nil
	})
}

// countOf returns the destination of a field with a number of observations.
func (h *promHistogram) countOf(n protowire.Number) *float64 {
	if n == 1 {
		return &h.count
	}
	return &h.zero
}

func (b *promBuckets) addSpan(data []byte) error {
	if len(b.spans) == maxBuckets {
		return tooManyBuckets()
	}
	var one promSpan
	err := protoFields(data, func(n protowire.Number, value uint64, _ []byte) error {
		switch n {
		case 1:
			one.offset = int32(protowire.DecodeZigZag(value & math.MaxUint32))
		case 2:
			one.length = uint32(value)
		}
		return nil
	})
	b.spans = append(b.spans, one)
	return err
}

// addDeltas reads sint64, packed or one by one.
func (b *promBuckets) addDeltas(value uint64, packed []byte) error {
	if packed == nil {
		b.deltas = append(b.deltas, protowire.DecodeZigZag(value))
		return nil
	}
	for len(packed) > 0 {
		value, size := protowire.ConsumeVarint(packed)
		if size < 0 {
			return badWrite("the buckets of a histogram are cut off")
		}
		if len(b.deltas) == maxBuckets {
			return tooManyBuckets()
		}
		packed = packed[size:]
		b.deltas = append(b.deltas, protowire.DecodeZigZag(value))
	}
	return nil
}

// addDoubles reads double, packed or one by one.
func addDoubles(list *[]float64, value uint64, packed []byte) error {
	if packed == nil {
		*list = append(*list, math.Float64frombits(value))
		return nil
	}
	for len(packed) > 0 {
		value, size := protowire.ConsumeFixed64(packed)
		if size < 0 {
			return badWrite("the buckets of a histogram are cut off")
		}
		if len(*list) == maxBuckets {
			return tooManyBuckets()
		}
		packed = packed[size:]
		*list = append(*list, math.Float64frombits(value))
	}
	return nil
}

func tooManyBuckets() error { return badWrite("a histogram has more than 10,000 buckets") }

// each calls f with the index and the observations of each bucket. It is false when there are fewer numbers than the
// runs name.
func (b *promBuckets) each(f func(index int64, n float64)) bool {
	index := int64(0)
	next := 0
	n := float64(0)
	for _, span := range b.spans {
		index += int64(span.offset)
		for range span.length {
			switch {
			case next < len(b.counts):
				n = b.counts[next]
			case next < len(b.deltas):
				n += float64(b.deltas[next])
			default:
				return false
			}
			f(index, n)
			next++
			index++
		}
	}
	return true
}

// within is the number of observations up to a threshold. It is false when the threshold is not a bound of a bucket.
func (h *promHistogram) within(threshold time.Duration) (float64, bool) {
	last, ok := h.bucketUpTo(threshold)
	if !ok {
		return 0, false
	}
	good := float64(0)
	add := func(index int64, n float64) {
		if index <= last {
			good += n
		}
	}
	if !h.positive.each(add) {
		return 0, false
	}
	if h.schema == customSchema {
		return good, true
	}
	if h.zeroUpTo > threshold.Seconds() {
		return 0, false
	}
	below := h.negative.each(func(_ int64, n float64) { good += n })
	return good + h.zero, below
}

// bucketUpTo is the index of the bucket that a threshold closes.
func (h *promHistogram) bucketUpTo(threshold time.Duration) (int64, bool) {
	seconds := threshold.Seconds()
	if h.schema == customSchema {
		for i, bound := range h.custom {
			if isThreshold(bound, threshold) {
				return int64(i), true
			}
		}
		return 0, false
	}
	if h.schema < -4 || h.schema > 8 {
		return 0, false
	}
	exact := math.Ldexp(math.Log2(seconds), int(h.schema))
	index := math.Round(exact)
	return int64(index), math.Abs(exact-index) < 1e-9
}

// isThreshold reports whether a bound in seconds is a threshold, to the nanosecond.
func isThreshold(bound float64, threshold time.Duration) bool {
	return bound > 0 && time.Duration(bound*float64(time.Second)+0.5) == threshold
}
