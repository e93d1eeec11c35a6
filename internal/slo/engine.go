package slo

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Tick is the engine's step in seconds: requests are counted in ticks, and objectives are evaluated at their ends.
const Tick = tally.Tick

// Longest is the greatest age of a late count, in seconds.
const Longest = 30 * 86_400

// kept is the age in seconds past which no count is kept.
var kept = tally.Levels[tally.LevelCount-1].Keep

// windowSums are the tallies of a series in the short windows, by window, and in the period of an objective.
type windowSums = tally.Sums

// sample is the tally of one series in one tick.
type sample = tally.Sample

// engine is the state of one shard: the tallies of its series, the objectives on them and the states of their window
// pairs. It runs on the time of the counts and never reads the clock of the machine. It belongs to one goroutine.
//
//	samples -> by tick -> tally.Set: blocks, sums of the windows that contain them
//	each tick: series that changed and may be above a rule are evaluated -> transitions
type engine struct {
	*tally.Set
	heads   []uint32 // by series: 1 + the index of its first watch; 0, or past the end = it has none
	watches []*watch // nil where one was removed
	free    []uint32 // indices of removed watches

	corrected corrected
	excluded  []sample // of the current tick
	origins   originMonitor

	suspects    []uint32
	starts      []burnStart     // pairs that began to fire in this evaluation
	restated    map[*watch]bool // watches whose pairs changed since they were stored
	transitions []Transition
	alertFrom   int64 // earlier transitions are history: stored, but not alerted
	refused     int   // samples older than the oldest block
	updates     int   // samples added
}

func newEngine() *engine {
	return &engine{Set: tally.New(), restated: map[*watch]bool{}}
}

// watch adds an objective to a series, before the first count of the series or the restoring of its blocks.
func (e *engine) watch(o *Objective, series uint32) *watch {
	own := o.watched()
	e.Watch(series, own.Budget, own.Rules)
	return e.attach(o, series)
}

// watched is the part of an objective that the tallies need.
func (o *Objective) watched() tally.Watched {
	rules := make([]tally.Rule, len(o.rules))
	for i, p := range o.rules {
		rules[i] = tally.Rule{Long: p.Long, Short: p.Short, Limit: burnLimit(p.factor(), o.allowed)}
	}
	return tally.Watched{Budget: o.Window, Rules: rules}
}

// attach adds an objective to the list of its series.
func (e *engine) attach(o *Objective, series uint32) *watch {
	w := &watch{Objective: o, series: series}
	index := uint32(len(e.watches))
	if n := len(e.free); n > 0 {
		index = e.free[n-1]
		e.free = e.free[:n-1]
		e.watches[index] = w
	} else {
		e.watches = append(e.watches, w)
	}
	if int(series) >= len(e.heads) {
		e.heads = append(e.heads, make([]uint32, int(series)+1-len(e.heads))...)
	}
	to := &e.heads[series]
	for *to != 0 {
		to = &e.watches[*to-1].next
	}
	*to = index + 1
	return w
}

// unwatch removes an objective from the list of its series; rewatch follows.
func (e *engine) unwatch(w *watch) {
	to := &e.heads[w.series]
	for e.watches[*to-1] != w {
		to = &e.watches[*to-1].next
	}
	index := *to - 1
	*to = w.next
	e.watches[index] = nil
	e.free = append(e.free, index)
	delete(e.restated, w)
	e.corrected.set(w, nil)
}

// rewatch follows a change of the objectives of a series that may have counts. It reports whether Recount has to
// complete the sums of the series.
func (e *engine) rewatch(series uint32) (recount bool) {
	var list []tally.Watched
	for w := range e.watchesOf(series) {
		list = append(list, w.watched())
	}
	recount = e.Rewatch(series, list)
	e.setActive(series)
	return recount
}

// setActive makes the tallies return a series at every change while one of its pairs is not quiet. With a correction,
// the tallies do not know the ratio, so they return it always.
func (e *engine) setActive(series uint32) {
	active := false
	for w := range e.watchesOf(series) {
		active = active || w.pairs != nil || len(e.corrected.of) > 0 && len(e.corrected.of[w]) > 0
	}
	e.SetActive(series, active)
}

// watched reports whether a series has an objective.
func (e *engine) watched(series uint32) bool {
	return int(series) < len(e.heads) && e.heads[series] != 0
}

// watchesOf are the objectives of a series, in the order in which they were added.
func (e *engine) watchesOf(series uint32) iter.Seq[*watch] {
	return func(yield func(*watch) bool) {
		if !e.watched(series) {
			return
		}
		for n := e.heads[series]; n != 0; n = e.watches[n-1].next {
			if !yield(e.watches[n-1]) {
				return
			}
		}
	}
}

// process adds samples in the order of their ticks and moves the clock along: each tick is evaluated before the next
// begins. A late sample is added to the block of its own time and evaluated with the newest tick.
func (e *engine) process(samples []sample) error {
	byTick := func(a, b sample) int { return cmp.Compare(a.At, b.At) }
	if !slices.IsSortedFunc(samples, byTick) {
		slices.SortFunc(samples, byTick)
	}
	slices.SortStableFunc(e.origins.pending, func(a, b originSample) int { return cmp.Compare(a.at, b.at) })
	for i := 0; i < len(samples); {
		at := samples[i].At
		from := i
		for i < len(samples) && samples[i].At == at {
			i++
		}
		if at+Tick > e.Clock() {
			if err := e.advance(at + Tick); err != nil {
				return err
			}
		}
		if err := e.add(at, samples[from:i]); err != nil {
			return err
		}
		e.origins.add(at)
	}
	e.origins.add(math.MaxInt64)
	return e.evaluateDirty()
}

// add adds the samples of one tick, which must not be in the future.
func (e *engine) add(at int64, samples []sample) error {
	n, ok, err := e.Add(at, samples)
	if err != nil {
		return err
	}
	if !ok {
		e.refused += n
		return nil
	}
	e.updates += n
	if len(e.watches) == 0 {
		return nil
	}
	if err := e.exclude(at, samples); err != nil {
		return err
	}
	for i := range samples {
		for w := range e.watchesOf(samples[i].ID) {
			w.dataAt = max(w.dataAt, at+Tick)
		}
	}
	return nil
}

// advance moves the clock to a time, tick by tick. Every tick is evaluated, because a ratio can rise when good traffic
// leaves a window.
func (e *engine) advance(to int64) error {
	if e.Clock() == 0 {
		e.SetClock(to)
		return nil
	}
	for e.Clock() < to {
		if err := e.evaluateDirty(); err != nil {
			return err
		}
		if e.Idle(to) {
			break
		}
		if err := e.Step(); err != nil {
			return err
		}
	}
	return nil
}

// bucket is the tally of one series from Start to End.
type bucket = tally.Bucket
