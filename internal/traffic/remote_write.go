package traffic

import (
	"cmp"
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// promSeries is one series of a remote write request of either version.
type promSeries struct {
	labels     []promLabel // in the order of the request; __name__ is one of them
	samples    []promSample
	histograms []*promHistogram
	exemplars  int  // they are not counted
	gauge      bool // 2.0: the metadata says that it neither counts nor is a histogram
}

type promLabel struct{ name, value string }

// promSample is a value at a time in milliseconds; start is when the counter began, 0 =
// not known.
type promSample struct {
	value float64
	at    int64
	start int64
}

// get is the value of a label; empty when the series does not have it.
func (s *promSeries) get(name string) string {
	for _, l := range s.labels {
		if l.name == name {
			return l.value
		}
	}
	return ""
}

func badWrite(what string) error {
	return errs.New(errs.CodeInvalid, "the body is not a remote write request: %s", what)
}

// protoFields calls each with the fields of a message: value of a number, data of all others.
func protoFields(b []byte, each func(n protowire.Number, value uint64, data []byte) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return badWrite("a field has no valid tag")
		}
		b = b[size:]
		var value uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			value, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			value, size = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return badWrite("a field is cut off")
		}
		b = b[size:]
		if err := each(n, value, data); err != nil {
			return err
		}
	}
	return nil
}

// staleNaN is the value of a series that its target no longer has.
const staleNaN = 0x7ff0000000000002

// Limits of one request.
const (
	maxPromSeries  = 20_000
	maxPromSymbols = 200_000
	maxPromLabels  = 64
)

// parseWrite1 reads prometheus.WriteRequest: timeseries = 1.
func parseWrite1(body []byte) (list []*promSeries, err error) {
	err = protoFields(body, func(n protowire.Number, _ uint64, data []byte) error {
		if n != 1 {
			return nil
		}
		if len(list) == maxPromSeries {
			return tooManyPoints()
		}
		s := &promSeries{}
		list = append(list, s)
		return protoFields(data, func(n protowire.Number, _ uint64, data []byte) error {
			switch n {
			case 1:
				return s.addLabel1(data)
			case 2:
				return s.addSample(data, false)
			case 3:
				s.exemplars++
			case 4:
				return s.addHistogram(data, false)
			}
			return nil
		})
	})
	return list, err
}

func (s *promSeries) addLabel1(data []byte) error {
	if len(s.labels) == maxPromLabels {
		return badWrite("a series has more than 64 labels")
	}
	var l promLabel
	err := protoFields(data, func(n protowire.Number, _ uint64, data []byte) error {
		switch n {
		case 1:
			l.name = string(data)
		case 2:
			l.value = string(data)
		}
		return nil
	})
	s.labels = append(s.labels, l)
	return err
}

// addSample reads value = 1, timestamp = 2, and in 2.0 start_timestamp = 3.
func (s *promSeries) addSample(data []byte, starts bool) error {
	var one promSample
	err := protoFields(data, func(n protowire.Number, value uint64, _ []byte) error {
		switch {
		case n == 1:
			one.value = math.Float64frombits(value)
		case n == 2:
			one.at = int64(value)
		case n == 3 && starts:
			one.start = int64(value)
		}
		return nil
	})
	s.samples = append(s.samples, one)
	return err
}

// parseWrite2 reads io.prometheus.write.v2.Request: symbols = 4, timeseries = 5.
func parseWrite2(body []byte) (list []*promSeries, err error) {
	var symbols []string
	var series [][]byte
	if err := protoFields(body, func(n protowire.Number, _ uint64, data []byte) error {
		switch n {
		case 4:
			symbols = append(symbols, string(data))
		case 5:
			series = append(series, data)
		}
		if len(symbols) > maxPromSymbols || len(series) > maxPromSeries {
			return tooManyPoints()
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if len(symbols) > 0 && symbols[0] != "" {
		return nil, badWrite("the first symbol is not empty")
	}
	for _, data := range series {
		s := &promSeries{}
		list = append(list, s)
		created := int64(0)
		if err := protoFields(data, func(n protowire.Number, value uint64, data []byte) error {
			switch n {
			case 1:
				return s.addRefs(symbols, value, data)
			case 2:
				return s.addSample(data, true)
			case 3:
				return s.addHistogram(data, true)
			case 4:
				s.exemplars++
			case 5:
				return s.addMetadata(data)
			case 6: // created_timestamp of the first drafts of 2.0
				created = int64(value)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		if len(s.labels)%2 != 0 {
			return nil, badWrite("a series has a label without a value")
		}
		pairs := s.labels
		s.labels = nil
		for i := 0; i < len(pairs); i += 2 {
			s.labels = append(s.labels, promLabel{pairs[i].name, pairs[i+1].name})
		}
		for i := range s.samples {
			s.samples[i].start = cmp.Or(s.samples[i].start, created)
		}
		for _, h := range s.histograms {
			h.start = cmp.Or(h.start, created)
		}
	}
	return list, nil
}

// addRefs reads label references, packed or one by one; each becomes a name in labels.
func (s *promSeries) addRefs(symbols []string, value uint64, packed []byte) error {
	add := func(ref uint64) error {
		if ref >= uint64(len(symbols)) {
			return badWrite("a label refers to a symbol that is not there")
		}
		if len(s.labels) == 2*maxPromLabels {
			return badWrite("a series has more than 64 labels")
		}
		s.labels = append(s.labels, promLabel{name: symbols[ref]})
		return nil
	}
	if packed == nil {
		return add(value)
	}
	for len(packed) > 0 {
		ref, size := binary.Uvarint(packed)
		if size <= 0 {
			return badWrite("the references of a label are cut off")
		}
		packed = packed[size:]
		if err := add(ref); err != nil {
			return err
		}
	}
	return nil
}

// Types of the metadata of 2.0 that count. 0 is not known; the others are gauges, summaries and the like.
const (
	typeUnknown   = 0
	typeCounter   = 1
	typeHistogram = 3
)

// addMetadata reads type = 1.
func (s *promSeries) addMetadata(data []byte) error {
	return protoFields(data, func(n protowire.Number, value uint64, _ []byte) error {
		if n == 1 {
			s.gauge = value != typeUnknown && value != typeCounter && value != typeHistogram
		}
		return nil
	})
}
