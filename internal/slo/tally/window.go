package tally

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Tick is the step in seconds: requests are counted in ticks, and objectives are evaluated at their ends.
const Tick = 10

const day = 86_400

// Window is a stretch of time over which each series is summed.
type Window uint8

// The windows: those of the pairs (Google SRE workbook, chapter 5), which every series has, and the periods of budgets,
// which a series has if one of its objectives does. Periods slide by 7 to 90 days (see [Days]), or restart with the
// calendar week, month or quarter (UTC).
const (
	M5 Window = iota
	M30
	H1
	H2
	H6
	D1
	D3
	D28
	D30
	Month
	Week
	Quarter
)

const (
	short = int(D28) // number of the windows that every line has

	fewestDays = 7
	mostDays   = 90
	ofDays     = Window(16) // plus n: the period of n days
	windowEnd  = ofDays + mostDays + 1
)

// MinDays and MaxDays bound the periods that slide.
const (
	MinDays = fewestDays
	MaxDays = mostDays
)

var (
	windowSeconds = [windowEnd]int64{300, 1800, 3600, 7200, 21600, day, 3 * day, 28 * day, 30 * day}
	windowNames   = [windowEnd]string{"5m", "30m", "1h", "2h", "6h", "1d", "3d", "28d", "30d", "month", "week", "quarter"}

	calendar = [...]Window{Week, Month, Quarter}
	rolling  = rollingPeriods()

	periodCount = len(calendar) + len(rolling)
)

// rollingPeriods lists the periods that slide, and sets their lengths and names.
func rollingPeriods() (list []Window) {
	for n := fewestDays; n <= mostDays; n++ {
		w, _ := Days(n)
		windowSeconds[w] = int64(n) * day
		windowNames[w] = strconv.Itoa(n) + "d"
		list = append(list, w)
	}
	return list
}

// Days is the period of n days that slides; ok is false when there is none.
func Days(n int) (w Window, ok bool) {
	switch {
	case n < fewestDays || n > mostDays:
		return 0, false
	case n == 28:
		return D28, true
	case n == 30:
		return D30, true
	}
	return ofDays + Window(n), true
}

// Seconds is the window's length; 0 for a period of the calendar.
func (w Window) Seconds() int64 { return windowSeconds[w] }

// IsPeriod reports whether the window is the period of a budget, not one of a pair.
func (w Window) IsPeriod() bool { return w >= D28 }

// IsCalendar reports whether the window is a period of the calendar.
func (w Window) IsCalendar() bool { return w == Week || w == Month || w == Quarter }

// String is the window's name: 5m, 1h, 3d, 45d, month.
func (w Window) String() string { return windowNames[w] }

// MarshalText writes the window's name.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

var errNoWindow = errors.New("not a window")

// UnmarshalText reads a window's name.
func (w *Window) UnmarshalText(b []byte) error {
	if len(b) > 0 {
		for i := range windowNames {
			if windowNames[i] == string(b) {
				*w = Window(i)
				return nil
			}
		}
	}
	return fmt.Errorf("%q is %w; there are %s, %dd to %dd, week, month and quarter", b, errNoWindow,
		strings.Join(windowNames[:short], ", "), fewestDays, mostDays)
}

// Levels define how blocks are compacted as they age: a block of Size seconds is kept until everything in it is Keep
// seconds old. Sizes divide each other and a day, so that a merge never straddles the edge of a window or a period of
// the calendar. A window W is thereby exact over a stretch between W and W+g, where g is the size of the level that
// reaches W: 3 % of the shortest window, 2 % of 30m and of the shortest periods past 31 days, about 1 % or less of the
// others. It is exact over W whenever the clock is a multiple of g.
var Levels = [...]struct{ Size, Keep int64 }{
	{Tick, 300},
	{30, 3600},
	{150, 21_600},
	{600, day},
	{1800, 3 * day},
	{7200, 31 * day}, // the longest month
	{day, 92 * day},  // the longest quarter
}

// LevelCount is the number of levels.
const LevelCount = len(Levels)

// Level is the level of the blocks that leave a sliding window.
func (w Window) Level() int {
	for level, l := range Levels {
		if windowSeconds[w] <= l.Keep {
			return level
		}
	}
	return LevelCount - 1
}

// shortLevel is the level of each short window.
var shortLevel = [short]int{M5: 0, M30: 1, H1: 1, H2: 2, H6: 2, D1: 3, D3: 4}

// PeriodOf is the period of the calendar that contains the tick before clock, in Unix seconds. Weeks begin on Monday.
func (w Window) PeriodOf(clock int64) (from, to int64) {
	t := time.Unix(clock-Tick, 0).UTC()
	first := func(month time.Month, dayOfMonth int) time.Time {
		return time.Date(t.Year(), month, dayOfMonth, 0, 0, 0, 0, time.UTC)
	}
	switch w {
	case Week:
		monday := first(t.Month(), t.Day()-(int(t.Weekday())+6)%7)
		return monday.Unix(), monday.AddDate(0, 0, 7).Unix()
	case Quarter:
		begin := first((t.Month()-1)/3*3+1, 1)
		return begin.Unix(), begin.AddDate(0, 3, 0).Unix()
	}
	begin := first(t.Month(), 1)
	return begin.Unix(), begin.AddDate(0, 1, 0).Unix()
}

// Begins is the time from which on a period counts, at a clock.
func (w Window) Begins(clock int64) int64 {
	if w.IsCalendar() {
		from, _ := w.PeriodOf(clock)
		return from
	}
	return clock - windowSeconds[w]
}

// AlignDown is the largest multiple of size that is not after t.
func AlignDown(t, size int64) int64 {
	r := t % size
	if r < 0 {
		r += size
	}
	return t - r
}

// edges are a clock, and the beginnings of its periods of the calendar.
type edges struct {
	clock int64
	from  [len(calendar)]int64
}

func edgesOf(clock int64) edges {
	e := edges{clock: clock}
	for i, w := range calendar {
		e.from[i], _ = w.PeriodOf(clock)
	}
	return e
}

// windowSet is a set of windows.
type windowSet struct {
	short   uint16 // as bits
	periods [2]uint64
	every   bool // all windows are in the set
}

// has reports whether a period is in the set.
func (in *windowSet) has(w Window) bool { return in.periods[w>>6&1]>>(w&63)&1 != 0 }

func (in *windowSet) put(w Window) { in.periods[w>>6&1] |= 1 << (w & 63) }

// windowsOf is the set of windows that contain the block [start, end).
func (e *edges) windowsOf(start, end int64) (in windowSet) {
	count := 0
	for w := range short {
		if end > e.clock-windowSeconds[w] {
			in.short |= 1 << w
			count++
		}
	}
	for _, w := range rolling {
		if end > e.clock-windowSeconds[w] {
			in.put(w)
			count++
		}
	}
	for i, w := range calendar {
		if start >= e.from[i] {
			in.put(w)
			count++
		}
	}
	in.every = count == short+periodCount
	return in
}
