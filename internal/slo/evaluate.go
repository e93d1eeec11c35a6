package slo

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// alertState is the state of one window pair of an objective:
//
//	         both windows above                short window no longer above
//	quiet --------------------------> firing ------------------------------> quiet
//	   \                                 ^
//	    \ a faster pair fires            | that pair ended a short window ago, and the
//	     v                               | traffic since burns above this pair's factor
//	   covered --------------------------+
//	     \---- no longer above ----> quiet
//
// A firing pair whose short window has no request keeps its state: silence is not health.
type alertState uint8

const (
	quiet alertState = iota
	firing
	covered // a faster pair has alerted about the same failures
)

// pairState is the persisted state of one window pair.
type pairState struct {
	state alertState

	// since is, while firing, the tick at which the pair began to fire; while covered, the time since which no faster
	// pair fires, and 0 while one does.
	since int64

	began   int64 // firing: the beginning of the burn
	alerted bool  // firing: the start was sent as an alert, so the end is sent too
}

// watch is an objective with the series that it applies to: 48 bytes.
type watch struct {
	*Objective
	series uint32
	next   uint32      // 1 + the index of the series' next watch; 0 = none
	pairs  []pairState // by pair; nil = all are quiet
	dataAt int64       // end of the newest tick with a request; 0 = none
}

// states are the states of all pairs.
func (w *watch) states() []pairState {
	all := make([]pairState, len(w.rules))
	copy(all, w.pairs)
	return all
}

// Reading is the tally and the burn rate of one window.
type Reading struct {
	Window Window  `json:"window"`
	Burn   float64 `json:"burn" doc:"How many times faster than sustainable the budget goes"`
	Total  uint64  `json:"total"`
	Bad    uint64  `json:"bad"`
}

func (o *Objective) read(s *windowSums, w Window) Reading {
	return Reading{w, burnRate(s[w], o.allowed), s[w].Total, s[w].Bad}
}

// The events of a transition.
const (
	Start = "start"
	End   = "end"
)

// Transition is the start or end of a pair's firing, with the numbers of that moment.
type Transition struct {
	At          int64 // Unix seconds, in the time of the counts
	Objective   *Objective
	Pair        Pair
	Event       string // Start or End
	Long, Short Reading
	BudgetLeft  float64 // 1 = untouched, below 0 = overspent
	ExhaustedIn *int64  // seconds; nil = the budget does not shrink
	Began       int64   // beginning of the burn
	Since       int64   // start of the firing
	Also        []AlsoBurning
	AlsoMore    bool // there are more of them
	alert       bool // it is sent as an alert; false for replayed history
}

// AlertID is the id of the transition's alert. It is derived from objective, pair and firing tick, so that a repeat
// after a crash has the same id.
func (t *Transition) AlertID() string {
	return alertID(t.Objective.ID, t.Pair.key(), t.Since, t.Event)
}

// Correlation is the correlation id of start and end: the alert id of the start.
func (t *Transition) Correlation() string {
	return alertID(t.Objective.ID, t.Pair.key(), t.Since, Start)
}

func alertID(objective, pair string, since int64, event string) string {
	parts := []string{"belfry burn", objective, pair, strconv.FormatInt(since, 10), event}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// evaluateDirty evaluates the objectives of the series that changed since the last evaluation. A series that is neither
// above a rule nor has a pair that is not quiet stays as it is.
func (e *engine) evaluateDirty() error {
	e.suspects = e.Suspects(e.suspects[:0])
	for _, series := range e.suspects {
		for w := range e.watchesOf(series) {
			e.evaluate(w)
		}
	}
	e.evaluateOrigins()
	return e.setBegan()
}

// fires reports whether both windows of a pair burn above its factor. A series that is younger (age, in seconds) than
// the long window is assumed to have been healthy before, at the same traffic. Otherwise the first minute of an outage
// would look like three bad days.
func (o *Objective) fires(p *Pair, s *windowSums, age int64) bool {
	if s[p.Short].Bad == 0 {
		return false // the common case
	}
	return above(extrapolated(s[p.Long], age, p.Long.Seconds()), p.factor(), o.allowed) &&
		above(s[p.Short], p.factor(), o.allowed)
}

// need is the smallest number of failures in the pair's long window that is not explained by chance. held reports that
// there are fewer failures than that, or too few requests.
func (o *Objective) need(p *Pair, s *windowSums) (need uint64, held bool) {
	need = max(o.thresholds.need(s[p.Long].Total), uint64(o.Guard.MinBad))
	return need, s[p.Long].Bad < need || s[p.Long].Total < uint64(o.Guard.MinTotal)
}

// burning reports whether failures continue after a faster pair ended at the time ended: the short windows of all
// faster pairs burn above the factor of pair i, and contain only traffic since that end. Without this check, old
// failures leaving the long window would alert again after the repair.
func (o *Objective) burning(i int, s *windowSums, ended int64) bool {
	for _, faster := range o.rules[:i] {
		if ended < faster.Short.Seconds() || !above(s[faster.Short], o.rules[i].factor(), o.allowed) {
			return false
		}
	}
	return true
}

// evaluate updates the states of an objective's pairs. setBegan completes the transitions.
func (e *engine) evaluate(w *watch) {
	seen := evidence{sums: e.sums(w), age: e.Clock() - e.First(w.series)}
	seen.silent = func(window Window) bool { return e.silent(w, &seen.sums, window) }
	pairs := w.states()
	for _, c := range w.changePairs(pairs, e.Clock(), e.alertFrom, func(*Pair) evidence { return seen }) {
		if c.event == Start {
			e.starts = append(e.starts, burnStart{w, c.pair, len(e.transitions)})
		}
		e.transitions = append(e.transitions, w.transition(&c.sums, e.Clock(), w.rules[c.pair], c.event, c.state))
	}
	e.setPairs(w, pairs)
}

// pairChange is the start or end of a pair's firing.
type pairChange struct {
	pair  int
	event string    // Start or End
	state pairState // the new one of a start, and the one that ends
	sums  windowSums
}

// changePairs updates the states of an objective's pairs, the fastest first, and returns what begins and ends.
func (o *Objective) changePairs(
	pairs []pairState, clock, alertFrom int64, see func(*Pair) evidence,
) (changes []pairChange) {
	inhibited := false // a faster pair fires
	for i := range o.rules {
		p := &o.rules[i]
		st := &pairs[i]
		seen := see(p)
		on := o.fires(p, &seen.sums, seen.age)
		switch {
		case st.state == firing && seen.silent(p.Short):
		case st.state == firing && !on:
			changes = append(changes, pairChange{i, End, *st, seen.sums})
			*st = pairState{}
		case st.state == covered && !on:
			*st = pairState{}
		case st.state == firing, !on:
		default: // quiet or covered, and above
			if _, held := o.need(p, &seen.sums); held {
				break
			}
			if inhibited {
				*st = pairState{state: covered}
				break
			}
			if st.state == covered {
				if st.since == 0 {
					st.since = clock
				}
				if !o.burning(i, &seen.sums, clock-st.since) {
					break
				}
			}
			*st = pairState{firing, clock, 0, clock >= alertFrom}
			changes = append(changes, pairChange{i, Start, *st, seen.sums})
		}
		inhibited = inhibited || st.state == firing
	}
	return changes
}

// setPairs sets the states of an objective's pairs.
func (e *engine) setPairs(w *watch, pairs []pairState) {
	if slices.Equal(pairs, w.states()) {
		return
	}
	w.pairs = pairs
	if !slices.ContainsFunc(pairs, func(st pairState) bool { return st.state != quiet }) {
		w.pairs = nil
	}
	e.restated[w] = true
	e.setActive(w.series)
}

// burnStart is a pair that began to fire, with its transition.
type burnStart struct {
	watch      *watch
	pair       int
	transition int // index in the engine's transitions
}

// maxHistories is the number of series whose history is read at once: some 150 buckets of 32 bytes each.
const maxHistories = 8192

// setBegan finds the beginnings of the burns that led to alerts. The history of many series is read in one pass over
// the blocks, because a regional outage starts many alerts in one tick.
func (e *engine) setBegan() error {
	for list := range slices.Chunk(e.starts, maxHistories) {
		since := e.Clock()
		var watches []*watch
		for _, st := range list {
			since = min(since, e.Clock()-st.watch.rules[st.pair].Long.Seconds())
			watches = append(watches, st.watch)
		}
		histories, err := e.historiesOf(watches, since)
		if err != nil {
			return err
		}
		for i, st := range list {
			began := st.watch.began(histories[i], st.watch.rules[st.pair], e.Clock())
			st.watch.pairs[st.pair].began = began
			e.transitions[st.transition].Began = began
		}
	}
	e.starts = e.starts[:0]
	return nil
}

// transition makes the transition of a pair, with the numbers of the moment at.
func (o *Objective) transition(s *windowSums, at int64, p Pair, event string, st pairState) Transition {
	t := Transition{
		At:        at,
		Objective: o,
		Pair:      p,
		Event:     event,
		Long:      o.read(s, p.Long),
		Short:     o.read(s, p.Short),
		Began:     st.began,
		Since:     st.since,
		alert:     st.alerted,
	}
	left := budgetOf(o.Window, s.Budget(), o.allowed, at)
	t.BudgetLeft = left.Left
	// The short window has the present rate; the long one still includes the time before the failures.
	if in, ok := left.exhaustion(t.Short.Burn); ok {
		t.ExhaustedIn = &in
	}
	return t
}

// began finds the beginning of the burn that led to an alert: the first bucket above the sustainable rate since the
// short window was last at or below it. Its resolution is that of the buckets, which are coarser the older they are.
// The list may reach further back than the pair's long window.
func (o *Objective) began(list []bucket, p Pair, clock int64) int64 {
	for len(list) > 0 && list[0].End <= clock-p.Long.Seconds() {
		list = list[1:]
	}
	began := clock - Tick
	var recent Tally // of the buckets that end in the short window before list[i].End
	from := len(list)
	for i := len(list) - 1; i >= 0; i-- {
		for from > 0 && list[from-1].End > list[i].End-p.Short.Seconds() {
			from--
			recent.Add(list[from].Tally)
		}
		if !above(recent, 1000, o.allowed) {
			// The burn began inside this window, where the excess of failures since is largest.
			if at, ok := onset(list[from:i+1], o.allowed); ok {
				began = at
			}
			break
		}
		if above(list[i].Tally, 1000, o.allowed) {
			began = list[i].Start
		}
		recent.Subtract(list[i].Tally)
	}
	return began
}

// onset is the start of the bucket from which the excess of failures over the allowed ones, summed to the end of the
// list, is largest. ok is false when there is no excess.
func onset(list []bucket, allowed share) (at int64, ok bool) {
	sum := 0.0
	most := 0.0
	for i := len(list) - 1; i >= 0; i-- {
		sum += float64(list[i].Bad) - float64(list[i].Total)*allowed.ratio()
		if sum > most {
			at = list[i].Start
			most = sum
			ok = true
		}
	}
	return at, ok
}
