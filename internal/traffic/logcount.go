package traffic

import (
	"cmp"
	"io"
	"slices"

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
	cells map[cell]*Count
	seen  []*Count // in the order of their first line
	most  int
}

type cell struct {
	zone, hostname, origin string
	at                     int64
}

// NewLogCounts makes an empty LogCounts of at most so many counts.
func NewLogCounts(most int) *LogCounts { return &LogCounts{cells: map[cell]*Count{}, most: most} }

// Add counts one line. zone is the zone of the log; empty means the zone in the
// line, or else its hostname. CodeMissingField when there is none of them;
// CodeTooLarge when the limit of counts is reached.
func (t *LogCounts) Add(zone string, e Entry) error {
	if zone == "" {
		zone = cmp.Or(e.Zone, e.Hostname)
	}
	if zone == "" {
		return errs.At(errs.CodeMissingField, "/zone", "the line names no zone and no host: name the zone of the log")
	}
	at := e.At - e.At%Width
	k := cell{zone, e.Hostname, e.Origin, at}
	c := t.cells[k]
	if c == nil {
		if len(t.seen) == t.most {
			return errs.New(errs.CodeTooLarge, "the lines make more than %d counts of %d seconds; send fewer at once",
				t.most, Width)
		}
		c = &Count{Zone: zone, Count: event.Count{At: at, Seconds: Width, Hostname: e.Hostname, Origin: e.Origin}}
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
	return nil
}

// Counts returns the counts by time; within one interval, in the order of their
// first lines.
func (t *LogCounts) Counts() []Count {
	list := make([]Count, len(t.seen))
	for i, c := range t.seen {
		list[i] = *c
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
	Reasons  []Reason    // the first different faults, of [Format.ReadCounts]
	Statuses map[int]int // lines by status
}

// Reason is a fault that lines have.
type Reason struct {
	Message string
	Line    int // the first such line, from 1
	Lines   int
}

const maxReasons = 3 // of one summary

func (s *Summary) refuse(line int, fault error) {
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
		s.Reasons = append(s.Reasons, Reason{message, line, 1})
	}
}

// ReadCounts counts a whole log, for replays in event time. zone is the zone of all
// lines; empty means the zone in each line, or else unnamed. A line without a zone
// is refused.
func (f Format) ReadCounts(r io.Reader, zone, unnamed string) ([]Count, Summary, error) {
	t := NewLogCounts(maxReplayCells)
	s := Summary{Statuses: map[int]int{}}
	err := f.Read(r, func(line int, e Entry, fault error) error {
		if fault == nil {
			fault = t.Add(cmp.Or(zone, e.Zone, e.Hostname, unnamed), e)
			if errs.Is(fault, errs.CodeTooLarge) {
				return fault
			}
		}
		if fault != nil {
			s.refuse(line, fault)
			return nil
		}
		s.Lines++
		s.Statuses[e.Status]++
		return nil
	})
	return t.Counts(), s, err
}
