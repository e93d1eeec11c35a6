package traffic

import (
	"cmp"
	"io"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Width is the interval that lines of logs are gathered in, in seconds.
const Width = 10

// Bounds of a tally's memory, of about 300 bytes a count.
const (
	maxCells       = 100_000   // of one request
	maxReplayCells = 2_000_000 // of a whole log: seven months of one busy host
)

// Tally gathers lines of access logs into counts of [Width] seconds, by zone,
// hostname and origin. It belongs to one goroutine.
type Tally struct {
	cells map[cell]*Count
	seen  []*Count // in the order of their first line
	most  int
}

type cell struct {
	zone, hostname, origin string
	at                     int64
}

// NewTally makes an empty one that holds at most so many counts.
func NewTally(most int) *Tally { return &Tally{cells: map[cell]*Count{}, most: most} }

// Add counts one line. zone is what the log belongs to; empty, the line's own
// zone stands for it, else its hostname. CodeMissingField when there is neither;
// CodeTooLarge when the tally holds as many counts as it may.
func (t *Tally) Add(zone string, e Entry) error {
	if zone == "" {
		zone = cmp.Or(e.Zone, e.Hostname)
	}
	if zone == "" {
		return errs.At(errs.CodeMissingField, "/zone", "the line names no zone and no host: say which zone the log is of")
	}
	at := e.At - e.At%Width
	k := cell{zone, e.Hostname, e.Origin, at}
	c := t.cells[k]
	if c == nil {
		if len(t.seen) == t.most {
			return errs.New(errs.CodeTooLarge, "the lines make more than %d counts of %d seconds; send fewer at once", t.most, Width)
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

// Len is the number of counts.
func (t *Tally) Len() int { return len(t.seen) }

// Counts are the counts, by time; those of one interval in the order of their
// first lines.
func (t *Tally) Counts() []Count {
	list := make([]Count, len(t.seen))
	for i, c := range t.seen {
		list[i] = *c
	}
	slices.SortStableFunc(list, func(a, b Count) int { return cmp.Compare(a.At, b.At) })
	return list
}

// Summary says what a log held.
type Summary struct {
	Lines    int         // that are requests
	Refused  int         // lines that are not
	First    error       // why the first refused line is none
	Line     int         // which it is, from 1
	Reasons  []Reason    // the first different ones, of [Format.ReadCounts]
	Statuses map[int]int // lines by status
}

// Reason is why lines are no requests.
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

// ReadCounts gathers a whole log into counts, for replays in event time. zone is
// the zone of all lines; empty: what each line says, else unnamed. A line with no
// zone at all is refused.
func (f Format) ReadCounts(r io.Reader, zone, unnamed string) ([]Count, Summary, error) {
	t, s := NewTally(maxReplayCells), Summary{Statuses: map[int]int{}}
	err := f.Read(r, func(line int, e Entry, fault error) error {
		if fault == nil {
			fault = t.Add(cmp.Or(zone, e.Zone, e.Hostname, unnamed), e)
			if fault != nil && errs.Is(fault, errs.CodeTooLarge) {
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
