package slo

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// Tick is the engine's step in seconds: what is counted is placed in ticks, and
// decisions are taken at their ends.
const Tick = 10

// levels are how columns compact as they age: one of Size seconds stays until
// everything in it is Keep old. Sizes divide each other and a day, so that a
// merge never straddles a window's edge or a month's. A window W is thereby
// exact over [W, W+g), where g is the size of the level that reaches it: 3 % of
// the shortest window, 2 % of 30m, below 1 % of the others; and exact over W
// whenever the clock is a multiple of g.
var levels = [...]struct{ Size, Keep int64 }{
	{Tick, 300},
	{30, 3600},
	{150, 21_600},
	{600, 86_400},
	{1800, 259_200},
	{7200, 31 * 86_400}, // the longest month
}

const levelCount = len(levels)

// windowLevel is the level of the columns that are about to leave a window.
var windowLevel = [sliding]int{M5: 0, M30: 1, H1: 1, H2: 2, H6: 2, D1: 3, D3: 4, D28: 5, D30: 5}

// Longest is how far back a late count may lie, in seconds.
const Longest = 30 * 86_400

// column is a stretch of time and what every line counted in it. Data is never
// changed in place.
type column struct {
	start int64
	data  []byte
}

// place names a column.
type place struct {
	level int
	start int64
}

// sums are what a line counted in each window, derived from the columns.
type sums [windowCount]Tally

// piece is what one line counted in one tick.
type piece struct {
	at   int64 // beginning of the tick
	line uint32
	Tally
}

// engine is the state of one shard: columns, the sums that follow from them, and
// the alerts that stand. It has no clock of its own: time is what the counts
// say. It belongs to one goroutine.
//
//	pieces -> by tick -> columns, sums of the windows that hold them
//	each tick: what leaves a window is subtracted, columns compact,
//	           lines that changed are judged -> transitions
type engine struct {
	clock   int64 // end of the newest tick, Unix seconds; 0 = nothing was counted yet
	columns [levelCount][]column
	sums    []sums     // by line
	first   []int64    // by line: the tick in which it was first counted
	watches [][]*watch // by line

	dirty   bitset // lines that changed since they were judged
	touched bitset // lines that changed since touched was cleared

	changed     map[place]bool // columns that changed since they were stored
	transitions []Transition
	tellFrom    int64 // transitions before it are history: kept, not told
	refused     int   // pieces that were older than anything kept
	updates     int   // pieces added
}

func newEngine() *engine {
	return &engine{changed: map[place]bool{}}
}

// restore makes the sums of the columns; clock, columns and first are in place.
func (e *engine) restore() error {
	lines := len(e.first)
	e.sums = make([]sums, lines)
	e.watches = make([][]*watch, lines)
	e.dirty.grow(lines)
	e.touched.grow(lines)
	for level := range e.columns {
		for _, c := range e.columns[level] {
			in := e.holding(c.start, c.start+levels[level].Size)
			err := decodeColumn(c.data, func(x entry) {
				if int(x.line) >= lines {
					return
				}
				for w := range e.sums[x.line] {
					if in&(1<<w) != 0 {
						e.sums[x.line][w].add(x.Tally)
					}
				}
			})
			if err != nil {
				return fmt.Errorf("%w: level %d, start %d", err, level, c.start)
			}
		}
	}
	return nil
}

// newLine makes room for a line and gives its id: they are dense.
func (e *engine) newLine(first int64) uint32 {
	e.sums = append(e.sums, sums{})
	e.first = append(e.first, first)
	e.watches = append(e.watches, nil)
	e.dirty.grow(len(e.sums))
	e.touched.grow(len(e.sums))
	return uint32(len(e.sums) - 1)
}

const everyWindow = 1<<windowCount - 1

// holding are the windows, as bits, that a column lies in at the present clock.
func (e *engine) holding(start, end int64) (in uint) {
	for w := range sliding {
		if end > e.clock-windowSeconds[w] {
			in |= 1 << w
		}
	}
	if from, _ := monthOf(e.clock); start >= from {
		in |= 1 << Month
	}
	return in
}

// monthOf is the calendar month (UTC) of the tick that ends at the clock.
func monthOf(clock int64) (from, to int64) {
	t := time.Unix(clock-Tick, 0).UTC()
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return first.Unix(), first.AddDate(0, 1, 0).Unix()
}

// process adds what was counted. Pieces are taken in the order of their ticks,
// and the clock moves along with them: each tick that ends is judged before the
// next begins. What belongs to a tick that has ended is patched into its true
// column and judged with the newest tick.
func (e *engine) process(pieces []piece) error {
	slices.SortFunc(pieces, func(a, b piece) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Compare(a.line, b.line)
	})
	var entries []entry
	for i := 0; i < len(pieces); {
		at := pieces[i].at
		entries = entries[:0]
		for ; i < len(pieces) && pieces[i].at == at; i++ {
			p := pieces[i]
			if n := len(entries); n > 0 && entries[n-1].line == p.line {
				entries[n-1].add(p.Tally)
			} else {
				entries = append(entries, entry{p.line, p.Tally})
			}
		}
		if at+Tick > e.clock {
			if err := e.advance(at + Tick); err != nil {
				return err
			}
		}
		if err := e.addAt(at, entries); err != nil {
			return err
		}
	}
	return e.judge()
}

// addAt adds entries of one tick, which has ended by the clock.
func (e *engine) addAt(at int64, entries []entry) error {
	to, ok := e.placeOf(at)
	if !ok {
		e.refused += len(entries)
		return nil
	}
	i, found := e.find(to)
	list := e.columns[to.level]
	if found {
		data, err := mergeColumns(entries, list[i].data)
		if err != nil {
			return err
		}
		list[i].data = data
	} else {
		e.columns[to.level] = slices.Insert(list, i, column{to.start, encodeColumn(entries)})
	}
	e.changed[to] = true
	e.updates += len(entries)
	in := e.holding(to.start, to.start+levels[to.level].Size)
	for _, x := range entries {
		s := &e.sums[x.line]
		if in == everyWindow { // the newest tick, mostly
			for w := range s {
				s[w].add(x.Tally)
			}
		} else {
			for m := in; m != 0; m &= m - 1 {
				s[bits.TrailingZeros(m)].add(x.Tally)
			}
		}
		e.mark(x.line)
		for _, w := range e.watches[x.line] {
			w.dataAt = max(w.dataAt, at+Tick)
		}
	}
	return nil
}

func (e *engine) mark(line uint32) {
	e.dirty.set(line)
	e.touched.set(line)
}

// placeOf is the column in which a tick lies now; ok is false when it has been
// dropped. It says of a tick what compact did with the columns around it.
func (e *engine) placeOf(at int64) (p place, ok bool) {
	for k := range levelCount - 1 {
		up := levels[k+1].Size
		if floor(at, up)+up > e.clock-levels[k].Keep {
			return place{k, floor(at, levels[k].Size)}, true
		}
	}
	last := levels[levelCount-1]
	start := floor(at, last.Size)
	return place{levelCount - 1, start}, start+last.Size > e.clock-last.Keep
}

func floor(t, size int64) int64 {
	if r := t % size; r < 0 {
		return t - r - size
	}
	return t - t%size
}

func (e *engine) find(p place) (int, bool) {
	return slices.BinarySearchFunc(e.columns[p.level], p.start, func(c column, start int64) int { return cmp.Compare(c.start, start) })
}

// advance moves the clock, tick by tick: a ratio can rise because good traffic
// leaves a window, so that every tick is judged.
func (e *engine) advance(to int64) error {
	if e.clock == 0 {
		e.clock = to
		return nil
	}
	// After a silence everything has left, and nothing more can happen.
	empty := e.clock + levels[levelCount-1].Keep + levels[levelCount-1].Size
	for e.clock < to {
		if e.clock > empty {
			e.clock = to
			break
		}
		if err := e.judge(); err != nil {
			return err
		}
		if err := e.step(); err != nil {
			return err
		}
	}
	return nil
}

// step moves the clock by one tick: subtracts what leaves the windows, then
// compacts what everything shorter has lost.
func (e *engine) step() error {
	before, _ := monthOf(e.clock)
	e.clock += Tick
	for w := range sliding {
		end := e.clock - windowSeconds[w]
		level := windowLevel[w]
		if end%levels[level].Size != 0 {
			continue
		}
		i, found := e.find(place{level, end - levels[level].Size})
		if !found {
			continue
		}
		err := decodeColumn(e.columns[level][i].data, func(x entry) {
			e.sums[x.line][w].subtract(x.Tally)
			e.mark(x.line)
		})
		if err != nil {
			return err
		}
	}
	if from, _ := monthOf(e.clock); from != before {
		for line := range e.sums {
			if e.sums[line][Month].Total > 0 {
				e.sums[line][Month] = Tally{}
				e.mark(uint32(line))
			}
		}
	}
	for k := range levelCount - 1 {
		if err := e.compact(k, e.clock-levels[k].Keep); err != nil {
			return err
		}
	}
	last := levelCount - 1
	for len(e.columns[last]) > 0 && e.columns[last][0].start+levels[last].Size <= e.clock-levels[last].Keep {
		e.changed[place{last, e.columns[last][0].start}] = true
		e.columns[last] = e.columns[last][1:]
	}
	return nil
}

// compact merges the columns of level k that end by a time into one of the next
// level, when that is the end of a whole one. The merged columns are the oldest
// of their level.
func (e *engine) compact(k int, end int64) error {
	size := levels[k+1].Size
	if end%size != 0 {
		return nil
	}
	n := 0
	var parts [][]byte
	for n < len(e.columns[k]) && e.columns[k][n].start < end {
		parts = append(parts, e.columns[k][n].data)
		e.changed[place{k, e.columns[k][n].start}] = true
		n++
	}
	if n == 0 {
		return nil
	}
	data, err := mergeColumns(nil, parts...)
	if err != nil {
		return err
	}
	e.columns[k] = slices.Delete(e.columns[k], 0, n)
	to := place{k + 1, end - size}
	i, found := e.find(to)
	if found {
		if data, err = mergeColumns(nil, data, e.columns[k+1][i].data); err != nil {
			return err
		}
		e.columns[k+1][i].data = data
	} else {
		e.columns[k+1] = slices.Insert(e.columns[k+1], i, column{to.start, data})
	}
	e.changed[to] = true
	return nil
}

// bucket is what one line counted from Start to End.
type bucket struct {
	Start, End int64
	Tally
}

// history is what one line counted since a time, oldest first, as finely as the
// columns still have it.
func (e *engine) history(line uint32, since int64) ([]bucket, error) {
	var list []bucket
	for level := levelCount - 1; level >= 0; level-- {
		for _, c := range e.columns[level] {
			end := c.start + levels[level].Size
			if end <= since {
				continue
			}
			t, err := tallyIn(c.data, line)
			if err != nil {
				return nil, err
			}
			if t.Total > 0 {
				list = append(list, bucket{c.start, end, t})
			}
		}
	}
	return list, nil
}

// tallyIn is what one line counted in a column.
func tallyIn(data []byte, line uint32) (t Tally, err error) {
	err = decodeColumn(data, func(x entry) {
		if x.line == line {
			t = x.Tally
		}
	})
	return t, err
}

// size is what the engine holds: lines, and bytes of encoded columns.
func (e *engine) size() (lines int, bytes int) {
	for level := range e.columns {
		for _, c := range e.columns[level] {
			bytes += len(c.data)
		}
	}
	return len(e.sums), bytes
}

// bitset is a set of lines.
type bitset []uint64

func (b *bitset) grow(n int) {
	for len(*b)*64 < n {
		*b = append(*b, 0)
	}
}

func (b bitset) set(i uint32) { b[i>>6] |= 1 << (i & 63) }

// each gives the lines of the set, ascending.
func (b bitset) each(f func(uint32)) {
	for i, word := range b {
		for ; word != 0; word &= word - 1 {
			f(uint32(i)<<6 + uint32(bits.TrailingZeros64(word)))
		}
	}
}

// drain gives the lines of the set, ascending, and empties it.
func (b bitset) drain(each func(uint32)) {
	for i, word := range b {
		if word == 0 {
			continue
		}
		b[i] = 0
		for ; word != 0; word &= word - 1 {
			each(uint32(i)<<6 + uint32(bits.TrailingZeros64(word)))
		}
	}
}
