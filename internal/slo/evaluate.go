package slo

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// A pair of windows of an objective is in one of these states:
//
//	         both windows above                short window no longer above
//	quiet --------------------------> firing ------------------------------> quiet
//	   \                                 ^
//	    \ a faster pair fires            | it ended a short window ago, and what was
//	     v                               | counted since burns above this pair's factor
//	   covered --------------------------+
//	     \---- no longer above ----> quiet
//
// A firing pair whose short window holds no request keeps its state: silence is
// not health.
type alertState uint8

const (
	quiet alertState = iota
	firing
	covered // its cause has been told by a faster pair
)

// pairState is the persisted state of one window pair.
type pairState struct {
	state   alertState
	since   int64 // firing: the tick at which it began to fire; covered: since when no faster pair fires, 0 while one does
	began   int64 // firing: since when the series burned
	alerted bool  // firing: the start was sent as an alert; its end is too
}

// watch is an objective on the series that it judges.
type watch struct {
	*Objective
	series uint32
	pairs  []pairState // by pair
	dataAt int64       // end of the newest tick with a request; 0 = none
}

// Reading is what a window showed.
type Reading struct {
	Window Window  `json:"window"`
	Burn   float64 `json:"burn" doc:"How many times faster than sustainable the budget goes"`
	Total  uint64  `json:"total"`
	Bad    uint64  `json:"bad"`
}

func (o *Objective) read(s *sums, w Window) Reading {
	return Reading{w, burn(s[w], o.allowed), s[w].Total, s[w].Bad}
}

// The events of a transition.
const (
	Start = "start"
	End   = "end"
)

// Transition is a pair that began to fire or stopped.
type Transition struct {
	At          int64 // Unix seconds, by the counts' own time
	Objective   *Objective
	Pair        Pair
	Event       string // Start or End
	Long, Short Reading
	BudgetLeft  float64 // 1 = untouched, below 0 = overspent
	ExhaustedIn *int64  // seconds; nil = it does not shrink
	Began       int64   // since when the series burned
	Since       int64   // when the pair began to fire; At of its start
	alert       bool    // people are to be told: it is not a replay of what is long past
}

// AlertID is the id of a transition's alert: of objective, pair and firing tick,
// so that a repeat after a crash has the same one. The start's is the
// correlation id of both.
func (t *Transition) AlertID() string {
	return alertID(t.Objective.ID, t.Pair.key(), t.Since, t.Event)
}

// Correlation is the id of the start.
func (t *Transition) Correlation() string {
	return alertID(t.Objective.ID, t.Pair.key(), t.Since, Start)
}

func alertID(objective, pair string, since int64, event string) string {
	sum := sha256.Sum256([]byte("belfry burn\x00" + objective + "\x00" + pair + "\x00" + strconv.FormatInt(since, 10) + "\x00" + event))
	return hex.EncodeToString(sum[:16])
}

// judge evaluates every objective whose series changed since it was judged.
func (e *engine) evaluateDirty() (err error) {
	e.dirty.drain(func(series uint32) {
		for _, w := range e.watches[series] {
			if failed := e.evaluate(w); failed != nil {
				err = failed
			}
		}
	})
	return err
}

// fires reports whether both windows of a pair burn above its factor. A series
// that is younger than the long window, by its age in seconds, is taken as one
// that was clean before at the same traffic: else the first minute of an outage
// would look like three bad days.
func (o *Objective) fires(p *Pair, s *sums, age int64) bool {
	if s[p.Short].Bad == 0 {
		return false // most series, mostly
	}
	return above(s[p.Long].extrapolated(age, p.Long.Seconds()), p.factor(), o.allowed) && above(s[p.Short], p.factor(), o.allowed)
}

// need is the fewest failures in the pair's long window that are not chance;
// held reports that there are fewer, or too few requests.
func (o *Objective) need(p *Pair, s *sums) (need uint64, held bool) {
	need = max(o.thresholds.need(s[p.Long].Total), uint64(o.Guard.MinBad))
	return need, s[p.Long].Bad < need || s[p.Long].Total < uint64(o.Guard.MinTotal)
}

// burning reports whether what a faster pair told of still goes on, at the
// factor of pair i: the short windows of all pairs before it are above, and hold
// nothing but what was counted after the faster pair ended. Windows that only
// drain after a repair tell nobody a second time.
func (o *Objective) burning(i int, s *sums, ended int64) bool {
	for _, faster := range o.rules[:i] {
		if ended < faster.Short.Seconds() || !above(s[faster.Short], o.rules[i].factor(), o.allowed) {
			return false
		}
	}
	return true
}

// evaluate moves the states of an objective's pairs, the fastest first.
func (e *engine) evaluate(w *watch) error {
	s := &e.sums[w.series]
	inhibited := false // a faster pair fires
	for i := range w.rules {
		p := &w.rules[i]
		st := &w.pairs[i]
		on := w.fires(p, s, e.clock-e.first[w.series])
		switch {
		case st.state == firing && s[p.Short].Total == 0:
		case st.state == firing && !on:
			e.addTransition(w, *p, End, *st)
			*st = pairState{}
		case st.state == covered && !on:
			*st = pairState{}
		case st.state == firing, !on:
		default: // quiet or covered, and above
			if _, held := w.need(p, s); held {
				break
			}
			if inhibited {
				*st = pairState{state: covered}
				break
			}
			if st.state == covered {
				if st.since == 0 {
					st.since = e.clock
				}
				if !w.burning(i, s, e.clock-st.since) {
					break
				}
			}
			began, err := e.began(w, *p)
			if err != nil {
				return err
			}
			*st = pairState{firing, e.clock, began, e.clock >= e.alertFrom}
			e.addTransition(w, *p, Start, *st)
		}
		inhibited = inhibited || st.state == firing
	}
	return nil
}

func (e *engine) addTransition(w *watch, p Pair, event string, st pairState) {
	e.transitions = append(e.transitions, w.transition(&e.sums[w.series], e.clock, p, event, st))
}

// transition is what a pair did, with the numbers of that moment.
func (o *Objective) transition(s *sums, at int64, p Pair, event string, st pairState) Transition {
	t := Transition{At: at, Objective: o, Pair: p, Event: event, Long: o.read(s, p.Long), Short: o.read(s, p.Short),
		Began: st.began, Since: st.since, alert: st.alerted}
	left := budgetOf(o.Window, s[o.Window], o.allowed, at)
	t.BudgetLeft = left.Left
	// The short window is the present rate; the long one still holds the time before the failures.
	if in, ok := left.exhaustion(t.Short.Burn); ok {
		t.ExhaustedIn = &in
	}
	return t
}

// began looks back for the start of the run that led to the alert: the first
// bucket above the sustainable rate since the short window was last at or below
// it. Older buckets are coarser, and so is what they tell.
func (e *engine) began(w *watch, p Pair) (int64, error) {
	list, err := e.history(w.series, e.clock-p.Long.Seconds())
	if err != nil {
		return 0, err
	}
	began := e.clock - Tick
	var recent Tally // of the buckets that end in the short window before list[i].End
	from := len(list)
	for i := len(list) - 1; i >= 0; i-- {
		for from > 0 && list[from-1].End > list[i].End-p.Short.Seconds() {
			from--
			recent.add(list[from].Tally)
		}
		if !above(recent, 1000, w.allowed) {
			// The run began inside of this window: where the excess of
			// failures since is largest.
			if at, ok := onset(list[from:i+1], w.allowed); ok {
				began = at
			}
			break
		}
		if above(list[i].Tally, 1000, w.allowed) {
			began = list[i].Start
		}
		recent.subtract(list[i].Tally)
	}
	return began, nil
}

// onset is the bucket from which to the end of the list there are the most
// failures beyond what is allowed; ok is false where there are none.
func onset(list []bucket, allowed share) (at int64, ok bool) {
	sum, most := 0.0, 0.0
	for i := len(list) - 1; i >= 0; i-- {
		if sum += float64(list[i].Bad) - float64(list[i].Total)*allowed.ratio(); sum > most {
			at, most, ok = list[i].Start, sum, true
		}
	}
	return at, ok
}
