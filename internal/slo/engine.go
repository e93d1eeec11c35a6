package slo

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// Tick is the engine's step in seconds: requests are counted in ticks, and objectives are evaluated at their ends.
const Tick = 10

// levels define how blocks are compacted as they age: a block of Size seconds is kept until everything in it is Keep
// seconds old. Sizes divide each other and a day, so that a merge never straddles the edge of a window or a month.
// A window W is thereby exact over a stretch between W and W+g, where g is the size of the level that reaches W: 3 % of
// the shortest window, 2 % of 30m, below 1 % of the others. It is exact over W whenever the clock is a multiple of g.
var levels = [...]struct{ Size, Keep int64 }{
	{Tick, 300},
	{30, 3600},
	{150, 21_600},
	{600, 86_400},
	{1800, 259_200},
	{7200, 31 * 86_400}, // the longest month
}

const levelCount = len(levels)

// windowLevel is, for each window, the level of the blocks that leave it next.
var windowLevel = [sliding]int{M5: 0, M30: 1, H1: 1, H2: 2, H6: 2, D1: 3, D3: 4, D28: 5, D30: 5}

// Longest is the greatest age of a late count, in seconds.
const Longest = 30 * 86_400

// block holds the encoded tallies of all series from start on. Data is replaced, never changed in place.
type block struct {
	start int64
	data  []byte
}

// blockRef names a block.
type blockRef struct {
	level int
	start int64
}

// sums are the tallies of a series by window, derived from the blocks.
type sums [windowCount]Tally

// sample is the tally of one series in one tick.
type sample struct {
	at     int64 // beginning of the tick
	series uint32
	Tally
}

// engine is the state of one shard: blocks, the sums derived from them, and the states of the window pairs. It runs on
// the time of the counts and never reads the clock of the machine. It belongs to one goroutine.
//
//	samples -> by tick -> blocks, sums of the windows that contain them
//	each tick: blocks that leave a window are subtracted, old blocks are compacted,
//	           changed series are evaluated -> transitions
type engine struct {
	clock   int64 // end of the newest tick, Unix seconds; 0 = nothing was counted yet
	blocks  [levelCount][]block
	sums    []sums     // by series
	first   []int64    // by series: the tick of its first count
	watches [][]*watch // by series

	dirty   bitset // series that changed since they were evaluated
	touched bitset // series that changed since touched was cleared

	changed     map[blockRef]bool // blocks that changed since they were stored
	transitions []Transition
	alertFrom   int64 // earlier transitions are history: stored, but not alerted
	refused     int   // samples older than the oldest block
	updates     int   // samples added
}

func newEngine() *engine {
	return &engine{changed: map[blockRef]bool{}}
}

// restore computes the sums from clock, blocks and first, which were read from the database.
func (e *engine) restore() error {
	series := len(e.first)
	e.sums = make([]sums, series)
	e.watches = make([][]*watch, series)
	e.dirty.grow(series)
	e.touched.grow(series)
	for level := range e.blocks {
		for _, c := range e.blocks[level] {
			in := e.windowsOf(c.start, c.start+levels[level].Size)
			err := decodeBlock(c.data, func(x entry) {
				if int(x.series) >= series {
					return
				}
				for w := range e.sums[x.series] {
					if in&(1<<w) != 0 {
						e.sums[x.series][w].add(x.Tally)
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

// addSeries adds a series and returns its id. Ids are dense.
func (e *engine) addSeries(first int64) uint32 {
	e.sums = append(e.sums, sums{})
	e.first = append(e.first, first)
	e.watches = append(e.watches, nil)
	e.dirty.grow(len(e.sums))
	e.touched.grow(len(e.sums))
	return uint32(len(e.sums) - 1)
}

const everyWindow = 1<<windowCount - 1

// windowsOf is the set of windows, as bits, that contain a block at the present clock.
func (e *engine) windowsOf(start, end int64) (in uint) {
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

// monthOf is the calendar month (UTC) that contains the tick before clock.
func monthOf(clock int64) (from, to int64) {
	t := time.Unix(clock-Tick, 0).UTC()
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return first.Unix(), first.AddDate(0, 1, 0).Unix()
}

// process adds samples in the order of their ticks and moves the clock along: each tick is evaluated before the next
// begins. A late sample is added to the block of its own time and evaluated with the newest tick.
func (e *engine) process(samples []sample) error {
	slices.SortFunc(samples, func(a, b sample) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Compare(a.series, b.series)
	})
	var entries []entry
	for i := 0; i < len(samples); {
		at := samples[i].at
		entries = entries[:0]
		for ; i < len(samples) && samples[i].at == at; i++ {
			p := samples[i]
			if n := len(entries); n > 0 && entries[n-1].series == p.series {
				entries[n-1].add(p.Tally)
			} else {
				entries = append(entries, entry{p.series, p.Tally})
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
	return e.evaluateDirty()
}

// addAt adds the entries of the tick at to the block that covers it; the tick must not be in the future.
func (e *engine) addAt(at int64, entries []entry) error {
	to, ok := e.blockAt(at)
	if !ok {
		e.refused += len(entries)
		return nil
	}
	i, found := e.find(to)
	list := e.blocks[to.level]
	if found {
		data, err := mergeBlocks(entries, list[i].data)
		if err != nil {
			return err
		}
		list[i].data = data
	} else {
		e.blocks[to.level] = slices.Insert(list, i, block{to.start, encodeBlock(entries)})
	}
	e.changed[to] = true
	e.updates += len(entries)
	in := e.windowsOf(to.start, to.start+levels[to.level].Size)
	for _, x := range entries {
		s := &e.sums[x.series]
		if in == everyWindow { // the common case: the newest tick
			for w := range s {
				s[w].add(x.Tally)
			}
		} else {
			for m := in; m != 0; m &= m - 1 {
				s[bits.TrailingZeros(m)].add(x.Tally)
			}
		}
		e.mark(x.series)
		for _, w := range e.watches[x.series] {
			w.dataAt = max(w.dataAt, at+Tick)
		}
	}
	return nil
}

func (e *engine) mark(series uint32) {
	e.dirty.set(series)
	e.touched.set(series)
}

// blockAt is the inverse of compact: the level and start of the block that now contains a tick. ok is false when that
// block has been dropped.
func (e *engine) blockAt(at int64) (p blockRef, ok bool) {
	for k := range levelCount - 1 {
		up := levels[k+1].Size
		if alignDown(at, up)+up > e.clock-levels[k].Keep {
			return blockRef{k, alignDown(at, levels[k].Size)}, true
		}
	}
	last := levels[levelCount-1]
	start := alignDown(at, last.Size)
	return blockRef{levelCount - 1, start}, start+last.Size > e.clock-last.Keep
}

// alignDown is the largest multiple of size that is not after t.
func alignDown(t, size int64) int64 {
	r := t % size
	if r < 0 {
		r += size
	}
	return t - r
}

func (e *engine) find(p blockRef) (int, bool) {
	return slices.BinarySearchFunc(e.blocks[p.level], p.start, func(c block, start int64) int {
		return cmp.Compare(c.start, start)
	})
}

// advance moves the clock to a time, tick by tick. Every tick is evaluated, because a ratio can rise when good traffic
// leaves a window.
func (e *engine) advance(to int64) error {
	if e.clock == 0 {
		e.clock = to
		return nil
	}
	// After a long silence every block has left every window: the ticks up to the new clock change nothing.
	empty := e.clock + levels[levelCount-1].Keep + levels[levelCount-1].Size
	for e.clock < to {
		if e.clock > empty {
			e.clock = to
			break
		}
		if err := e.evaluateDirty(); err != nil {
			return err
		}
		if err := e.step(); err != nil {
			return err
		}
	}
	return nil
}

// step moves the clock by one tick: it subtracts the blocks that leave a window, then compacts those that no finer
// window needs.
func (e *engine) step() error {
	before, _ := monthOf(e.clock)
	e.clock += Tick
	for w := range sliding {
		end := e.clock - windowSeconds[w]
		level := windowLevel[w]
		if end%levels[level].Size != 0 {
			continue
		}
		i, found := e.find(blockRef{level, end - levels[level].Size})
		if !found {
			continue
		}
		err := decodeBlock(e.blocks[level][i].data, func(x entry) {
			e.sums[x.series][w].subtract(x.Tally)
			e.mark(x.series)
		})
		if err != nil {
			return err
		}
	}
	if from, _ := monthOf(e.clock); from != before {
		for series := range e.sums {
			if e.sums[series][Month].Total > 0 {
				e.sums[series][Month] = Tally{}
				e.mark(uint32(series))
			}
		}
	}
	for k := range levelCount - 1 {
		if err := e.compact(k, e.clock-levels[k].Keep); err != nil {
			return err
		}
	}
	last := levelCount - 1
	for len(e.blocks[last]) > 0 && e.blocks[last][0].start+levels[last].Size <= e.clock-levels[last].Keep {
		e.changed[blockRef{last, e.blocks[last][0].start}] = true
		e.blocks[last] = e.blocks[last][1:]
	}
	return nil
}

// compact merges the blocks of level k up to end into one block of the next level, if such a block ends there. The
// merged blocks are the oldest of their level.
func (e *engine) compact(k int, end int64) error {
	size := levels[k+1].Size
	if end%size != 0 {
		return nil
	}
	n := 0
	var parts [][]byte
	for n < len(e.blocks[k]) && e.blocks[k][n].start < end {
		parts = append(parts, e.blocks[k][n].data)
		e.changed[blockRef{k, e.blocks[k][n].start}] = true
		n++
	}
	if n == 0 {
		return nil
	}
	data, err := mergeBlocks(nil, parts...)
	if err != nil {
		return err
	}
	e.blocks[k] = slices.Delete(e.blocks[k], 0, n)
	to := blockRef{k + 1, end - size}
	i, found := e.find(to)
	if found {
		if data, err = mergeBlocks(nil, data, e.blocks[k+1][i].data); err != nil {
			return err
		}
		e.blocks[k+1][i].data = data
	} else {
		e.blocks[k+1] = slices.Insert(e.blocks[k+1], i, block{to.start, data})
	}
	e.changed[to] = true
	return nil
}

// bucket is the tally of one series from Start to End.
type bucket struct {
	Start, End int64
	Tally
}

// history lists the buckets of one series since a time, oldest first, in the resolution of the blocks.
func (e *engine) history(series uint32, since int64) ([]bucket, error) {
	var list []bucket
	for level := levelCount - 1; level >= 0; level-- {
		for _, c := range e.blocks[level] {
			end := c.start + levels[level].Size
			if end <= since {
				continue
			}
			t, err := tallyOf(c.data, series)
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

// tallyOf is the tally of one series in an encoded block.
func tallyOf(data []byte, series uint32) (t Tally, err error) {
	err = decodeBlock(data, func(x entry) {
		if x.series == series {
			t = x.Tally
		}
	})
	return t, err
}

// size returns the number of series and the bytes of the encoded blocks in memory.
func (e *engine) size() (series int, bytes int) {
	for level := range e.blocks {
		for _, c := range e.blocks[level] {
			bytes += len(c.data)
		}
	}
	return len(e.sums), bytes
}

// bitset is a set of series.
type bitset []uint64

func (b *bitset) grow(n int) {
	for len(*b)*64 < n {
		*b = append(*b, 0)
	}
}

func (b bitset) set(i uint32) { b[i>>6] |= 1 << (i & 63) }

// each calls f for the series of the set, ascending.
func (b bitset) each(f func(uint32)) {
	for i, word := range b {
		for ; word != 0; word &= word - 1 {
			f(uint32(i)<<6 + uint32(bits.TrailingZeros64(word)))
		}
	}
}

// drain calls each for the series of the set, ascending, and empties it.
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
