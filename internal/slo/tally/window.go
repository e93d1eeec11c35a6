package tally

import (
	"fmt"
	"strings"
	"time"
)

// Tick is the step in seconds: requests are counted in ticks, and objectives are evaluated at their ends.
const Tick = 10

// Window is a stretch of time over which each series is summed.
type Window uint8

// The windows: those of the pairs (Google SRE workbook, chapter 5), and the periods of a budget: two that slide and the
// calendar month, which comes last because it restarts instead.
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
	WindowCount
)

const (
	sliding     = int(Month) // number of the windows that slide
	short       = int(D28)   // number of the windows that every line has
	periodCount = int(WindowCount) - short
	everyWindow = 1<<WindowCount - 1
)

var (
	windowSeconds = [WindowCount]int64{300, 1800, 3600, 7200, 21600, 86400, 259200, 28 * 86400, 30 * 86400, 0}
	windowNames   = [WindowCount]string{"5m", "30m", "1h", "2h", "6h", "1d", "3d", "28d", "30d", "month"}
)

// Seconds is the window's length; 0 for the month.
func (w Window) Seconds() int64 { return windowSeconds[w] }

// String is the window's name: 5m, 1h, 3d, month.
func (w Window) String() string { return windowNames[w] }

// MarshalText writes the window's name.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads a window's name.
func (w *Window) UnmarshalText(b []byte) error {
	for i, name := range windowNames {
		if name == string(b) {
			*w = Window(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a window; there are %s", b, strings.Join(windowNames[:], ", "))
}

// Levels define how blocks are compacted as they age: a block of Size seconds is kept until everything in it is Keep
// seconds old. Sizes divide each other and a day, so that a merge never straddles the edge of a window or a month.
// A window W is thereby exact over a stretch between W and W+g, where g is the size of the level that reaches W: 3 % of
// the shortest window, 2 % of 30m, below 1 % of the others. It is exact over W whenever the clock is a multiple of g.
var Levels = [...]struct{ Size, Keep int64 }{
	{Tick, 300},
	{30, 3600},
	{150, 21_600},
	{600, 86_400},
	{1800, 259_200},
	{7200, 31 * 86_400}, // the longest month
}

// LevelCount is the number of levels.
const LevelCount = len(Levels)

// windowLevel is, for each window, the level of the blocks that leave it next.
var windowLevel = [sliding]int{M5: 0, M30: 1, H1: 1, H2: 2, H6: 2, D1: 3, D3: 4, D28: 5, D30: 5}

// Level is the level of the blocks that leave a sliding window.
func (w Window) Level() int { return windowLevel[w] }

// MonthOf is the calendar month (UTC) that contains the tick before clock, in Unix seconds.
func MonthOf(clock int64) (from, to int64) {
	t := time.Unix(clock-Tick, 0).UTC()
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return first.Unix(), first.AddDate(0, 1, 0).Unix()
}

// AlignDown is the largest multiple of size that is not after t.
func AlignDown(t, size int64) int64 {
	r := t % size
	if r < 0 {
		r += size
	}
	return t - r
}

// windowSet is a set of windows, as bits.
type windowSet uint16

// windowsOf is the set of windows that contain the block [start, end) at a clock.
func windowsOf(clock, start, end int64) (in windowSet) {
	for w := range sliding {
		if end > clock-windowSeconds[w] {
			in |= 1 << w
		}
	}
	if from, _ := MonthOf(clock); start >= from {
		in |= 1 << Month
	}
	return in
}
