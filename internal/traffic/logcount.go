package traffic

import (
	"cmp"
	"io"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Width is the interval by which lines of logs are counted, in seconds.
const Width = 10

// Limits of LogCounts; a count takes about 300 bytes of memory.
const (
	maxCells       = 100_000   // of one request
	maxReplayCells = 2_000_000 // of a whole log: seven months of one busy host
)

// LogCounts counts lines of access logs by [Width] seconds, zone, hostname and
// origin. It belongs to one goroutine.
type LogCounts struct {
	cells map[cell]*cellCounts
	seen  []*cellCounts // in the order of their first line
	size  int           // counts that Counts returns, at most
	most  int
}

type cell struct {
	zone, hostname, origin string
	at                     int64
}

// cellCounts are the counts of one cell: availability, and latency by threshold.
type cellCounts struct {
	Count
	latency []time.Duration
	timed   int64   // requests whose duration is known
	slow    []int64 // of these, slower than each threshold
}

// NewLogCounts makes an empty LogCounts of at most so many counts.
func NewLogCounts(most int) *LogCounts { return &LogCounts{cells: map[cell]*cellCounts{}, most: most} }

// ZoneOf is the zone of a line: that of the log, or else the zone in the line, or else
// its hostname; empty when there is none of them.
func (e *Entry) ZoneOf(log string) string { return cmp.Or(log, e.Zone, e.Hostname) }

// Add counts one line. zone is the zone of the log; empty means the zone in the
// line, or else its hostname. latency are the thresholds by which its duration is
// counted, always the same for one zone. CodeMissingField when there is no zone;
// CodeTooLarge when the limit of counts is reached. An ignored line is not counted.
func (t *LogCounts) Add(zone string, e Entry, latency []time.Duration) error {
	zone = e.ZoneOf(zone)
	if zone == "" {
		return errs.At(errs.CodeMissingField, "/zone", "the line names no zone and no host: name the zone of the log")
	}
	if e.Ignored {
		return nil
	}
	at := e.At - e.At%Width
	k := cell{zone, e.Hostname, e.Origin, at}
	c := t.cells[k]
	if c == nil {
		if t.size+1+len(latency) > t.most {
			return errs.New(errs.CodeTooLarge, "the lines make more than %d counts of %d seconds; send fewer at once",
				t.most, Width)
		}
		t.size += 1 + len(latency)
		c = &cellCounts{
			Count: Count{
				Zone:  zone,
				Count: event.Count{At: at, Seconds: Width, Hostname: e.Hostname, Origin: e.Origin},
			},
			latency: latency,
		}
		if len(latency) > 0 {
			c.slow = make([]int64, len(latency))
		}
		t.cells[k] = c
		t.seen = append(t.seen, c)
	}
	c.Total++
	if e.Bad {
		c.Bad++
	}
	if e.Unreachable {
		c.Unreachable++
	}
	if e.Timed {
		c.timed++
		for i, threshold := range c.latency {
			if e.Took > threshold {
				c.slow[i]++
			}
		}
	}
	return nil
}

// Counts returns the counts by time; within one interval, in the order of their
// first lines, availability before latency.
func (t *LogCounts) Counts() []Count {
	list := make([]Count, 0, t.size)
	for _, c := range t.seen {
		list = append(list, c.Count)
		if c.timed == 0 {
			continue
		}
		for i, threshold := range c.latency {
			one := c.Count
			one.SLI = event.LatencySLI(threshold)
			one.Total = c.timed
			one.Bad = c.slow[i]
			one.Unreachable = 0
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b Count) int { return cmp.Compare(a.At, b.At) })
	return list
}

// Summary describes a whole log.
type Summary struct {
	Lines    int         // lines that are requests
	Refused  int         // other lines
	First    error       // the fault of the first refused line
	Line     int         // its number, from 1
	Reasons  []Reason    // the first different faults
	Statuses map[int]int // lines by status
	Ignored  int         // of Lines, those that the rules ignore
}

// Reason is a fault that lines have.
type Reason struct {
	Message string
	Line    int    // the first such line, from 1
	Text    string // of this line, masked (see Sample)
	Lines   int
}

const maxReasons = 3 // of one summary

// Refuse counts a line that is no request, with its number and its text.
func (s *Summary) Refuse(line int, text []byte, fault error) {
	s.Refused++
	if s.First == nil {
		s.First = fault
		s.Line = line
	}
	message := errs.All(fault)[0].Message
	for i := range s.Reasons {
		if s.Reasons[i].Message == message {
			s.Reasons[i].Lines++
			return
		}
	}
	if len(s.Reasons) < maxReasons {
		s.Reasons = append(s.Reasons, Reason{message, line, Sample(text), 1})
	}
}

// ReadCounts counts a whole log, for replays in event time. zone is the zone of all
// lines; empty means the zone in each line, or else unnamed. A line without a zone
// is refused.
func (f Format) ReadCounts(r io.Reader, zone, unnamed string) ([]Count, Summary, error) {
	t := NewLogCounts(maxReplayCells)
	s := Summary{Statuses: map[int]int{}}
	p := Parser{Format: f}
	err := p.Read(r, func(line int, text []byte, e Entry, fault error) error {
		if fault == nil {
			fault = t.Add(cmp.Or(e.ZoneOf(zone), unnamed), e, nil)
			if errs.Is(fault, errs.CodeTooLarge) {
				return fault
			}
		}
		if fault != nil {
			s.Refuse(line, text, fault)
			return nil
		}
		s.Lines++
		s.Statuses[e.Status]++
		return nil
	})
	return t.Counts(), s, err
}
