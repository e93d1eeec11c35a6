package slo

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// State is the state of an objective.
type State string

// The states, the worst first. Silence is not health, and an objective whose requests succeed again is not healthy
// before its alert has ended:
//
//	ok -> burning -> recovering -> ok      a failure moves recovering back to burning
//	 \-> no_data                           burning stays burning without data
const (
	Burning    State = "burning"
	Recovering State = "recovering"
	NoData     State = "no_data"
	Healthy    State = "ok"
)

// cleanAfter is the number of seconds without failures after which a burning objective is recovering: three ticks, so
// that one good tick in an outage does not look like a repair.
const cleanAfter = 3 * Tick

// Status is an objective as of the newest counts.
type Status struct {
	ObjectiveID string       `json:"objective_id"`
	State       State        `json:"state" enum:"burning,recovering,no_data,ok" doc:"recovering: an alert still fires, and the failures have stopped"`
	Sentence    string       `json:"sentence" doc:"The state for people"`
	Rising      bool         `json:"rising" doc:"A short window burns above its pair's factor, and the long one does not yet"`
	AsOf        web.Time     `json:"as_of,omitzero" doc:"End of the newest tick, in the time of the counts"`
	DataAt      web.Time     `json:"data_at,omitzero" doc:"End of the newest tick with a request"`
	Budget      BudgetStatus `json:"budget"`
	Pairs       []PairStatus `json:"pairs"`

	Corrections []ActiveCorrection `json:"corrections,omitempty" doc:"Corrections of the period, and those that lie ahead, with what they leave out"`

	burnNow  Reading // the burn rate that pages show
	chance   bool    // burnNow is above 1 and could be chance
	pace     string  // the rate behind ExhaustedIn, as a text
	cleanFor int64   // recovering: seconds since the failures stopped
}

// BudgetStatus is the state of the budget.
type BudgetStatus struct {
	Window      Window  `json:"window"`
	Left        float64 `json:"left" doc:"1 = untouched, 0 = spent, below = overspent"`
	Achieved    float64 `json:"achieved" doc:"Percent of the requests that were good"`
	Total       uint64  `json:"total"`
	Bad         uint64  `json:"bad"`
	Excluded    uint64  `json:"excluded_total,omitempty" doc:"Requests that corrections leave out"`
	ExcludedBad uint64  `json:"excluded_bad,omitempty" doc:"Failed requests that corrections leave out"`
	Burn        float64 `json:"burn" doc:"Over the last hour: 1 = exactly sustainable"`
	ExhaustedIn *int64  `json:"exhausted_in_seconds,omitempty" doc:"At the present rate: that of the short window of the firing pair, else of the last hour; left out when the budget does not shrink"`
}

// PairStatus is the state of one pair of windows, with its reason.
type PairStatus struct {
	Pair        string    `json:"pair"`
	Factor      float64   `json:"factor"`
	Severity    Severity  `json:"severity"`
	State       string    `json:"state" enum:"quiet,firing,covered,held,no_data" doc:"covered: a faster pair reports the same failures. held: too few failures to distinguish from chance. no_data: it fires, and nothing has been counted since"`
	Long        Reading   `json:"long"`
	Short       Reading   `json:"short"`
	Need        uint64    `json:"need,omitempty" doc:"Fewest failures in the long window at this traffic"`
	Why         string    `json:"why,omitempty" doc:"The state for people"`
	Since       *web.Time `json:"since,omitempty" doc:"Start of the firing"`
	Began       *web.Time `json:"began_at,omitempty" doc:"Beginning of the burn"`
	ResolvesIn  *int64    `json:"resolves_in_seconds,omitempty" doc:"If no further request fails"`
	Correlation string    `json:"correlation_id,omitempty" doc:"Of its alerts"`
}

// Status reads the status of one of an account's objectives.
func (f *Feature) Status(ctx context.Context, accountID, objectiveID string) (o *Objective, s Status, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		if o, err = findObjective(ctx, tx, accountID, objectiveID); err != nil {
			return err
		}
		list := []*Objective{o}
		readings, err := readingsOf(ctx, tx, accountID, list)
		if err == nil {
			err = readRecent(ctx, tx, list, readings)
		}
		if err != nil {
			return err
		}
		s = o.status(readings[0], f.now())
		s.Corrections, err = activeCorrections(ctx, tx, o, &readings[0], o.Window.Begins(max(readings[0].clock, Tick)))
		return err
	})
	return o, s, err
}

func timeOf(at int64) web.Time {
	if at == 0 {
		return web.Time{}
	}
	return web.TimeOf(at * 1e6)
}

// status derives the status from a reading. now is the time of the machine, for the detection of silence. Every page,
// list and answer takes its state, sentence and numbers from here.
func (o *Objective) status(r reading, now time.Time) Status {
	total := r.sums.Budget()
	left := budgetOf(o.Window, total, o.allowed, max(r.clock, Tick))
	s := Status{
		ObjectiveID: o.ID,
		AsOf:        timeOf(r.clock),
		DataAt:      timeOf(r.dataAt),
		Budget: BudgetStatus{
			Window:   o.Window,
			Left:     left.Left,
			Total:    total.Total,
			Bad:      total.Bad,
			Burn:     burnRate(r.sums[H1], o.allowed),
			Achieved: 100,
		},
	}
	for _, x := range r.excluded {
		s.Budget.Excluded += x.Total
		s.Budget.ExcludedBad += x.Bad
	}
	if total.Total > 0 {
		s.Budget.Achieved = 100 * float64(total.Total-total.Bad) / float64(total.Total)
	}
	silent := r.dataAt == 0 || now.Sub(time.Unix(r.dataAt, 0)) > o.silence()
	for i, p := range o.rules {
		s.Pairs = append(s.Pairs, o.pairStatus(r, i, p, silent))
	}
	first := s.firing()
	s.State = o.state(&s, r, first, silent)
	o.setPace(&s, r, first, left)
	s.Rising = s.State == Healthy && s.Budget.Left > 0 && o.rising(&s, r) != nil
	s.Sentence = o.sentence(&s, r, first, silent)
	return s
}

// firing is the fastest firing pair; nil when none fires.
func (s *Status) firing() *PairStatus {
	for i := range s.Pairs {
		if s.Pairs[i].Since != nil {
			return &s.Pairs[i]
		}
	}
	return nil
}

func (o *Objective) state(s *Status, r reading, first *PairStatus, silent bool) State {
	if first == nil {
		if silent {
			return NoData
		}
		return Healthy
	}
	if !silent {
		if clean, ok := cleanFor(r.history, o.allowed, r.clock); ok && clean >= cleanAfter {
			s.cleanFor = clean
			return Recovering
		}
	}
	return Burning
}

// cleanFor is the number of seconds for which no bucket had more failures than the target allows. ok is false when
// nothing was counted in that time, because silence is not a repair.
func cleanFor(history []bucket, allowed share, clock int64) (clean int64, ok bool) {
	for i := len(history) - 1; i >= 0; i-- {
		if above(history[i].Tally, 1000, allowed) {
			return clock - history[i].End, ok
		}
		ok = true
	}
	if len(history) == 0 {
		return 0, false
	}
	return clock - history[0].Start, ok
}

// stopped reports whether the requests no longer fail often enough to burn the budget. A forecast of when a pair fires
// would then be wrong.
func stopped(r reading, allowed share) bool {
	if clean, ok := cleanFor(r.history, allowed, r.clock); ok && clean >= cleanAfter {
		return true
	}
	return r.sums[M5].Total > 0 && !above(r.sums[M5], 1000, allowed)
}

// setPace sets the burn rate that pages show, and when the budget is spent at the present rate. While a pair fires,
// both come from its windows. Afterwards the last hour still contains the failures, so the last five minutes decide
// whether the budget shrinks at all.
func (o *Objective) setPace(s *Status, r reading, first *PairStatus, left budget) {
	hour := o.read(&r.sums, H1)
	recent := o.read(&r.sums, M5)
	rate := hour
	s.burnNow = hour
	significant := hour.Bad >= o.thresholds.need(hour.Total) // a rate that could be chance predicts nothing
	switch {
	case s.State == Recovering:
		s.burnNow = first.Long
		rate = Reading{}
		s.pace = "no failures for " + clockSpan(float64(s.cleanFor))
	case first != nil:
		s.burnNow = first.Long
		rate = first.Short
		significant = true
	case recent.Total > 0 && recent.Burn <= 1:
		s.burnNow = recent
		rate = Reading{}
		s.pace = "hardly any failures in the last 5 min"
		if recent.Bad == 0 {
			s.pace = "no failures in the last 5 min"
		}
	case recent.Total > 0:
		s.burnNow = recent
	}
	s.chance = s.burnNow.Burn > 1 && first == nil && s.burnNow.Bad < o.thresholds.need(s.burnNow.Total)
	if s.pace == "" {
		s.pace = "at the rate of the last " + span(rate.Window.Seconds())
	}
	if in, ok := left.exhaustion(rate.Burn); ok && (left.Left <= 0 || significant) {
		s.Budget.ExhaustedIn = &in
	}
}

// rising is the fastest pair whose short window burns above its factor while the long one does not yet. It is nil when
// there is none, when the guard holds the pair back, and when the last five minutes no longer burn.
func (o *Objective) rising(s *Status, r reading) *PairStatus {
	for i := range s.Pairs {
		p := &s.Pairs[i]
		if p.State == "quiet" && p.Short.Burn > p.Factor && p.Long.Burn <= p.Factor && p.Short.Bad >= p.Need &&
			above(r.sums[M5], o.rules[i].factor(), o.allowed) {
			return p
		}
	}
	return nil
}

func (o *Objective) pairStatus(r reading, i int, p Pair, silent bool) PairStatus {
	st := r.pairs[i]
	seen := o.evidenceOf(&r, &p)
	r.sums = seen.sums
	need, held := o.need(&p, &r.sums)
	fires := o.fires(&p, &r.sums, seen.age)
	out := PairStatus{
		Pair:     p.String(),
		Factor:   p.Factor,
		Severity: p.Severity,
		State:    "quiet",
		Long:     o.read(&r.sums, p.Long),
		Short:    o.read(&r.sums, p.Short),
		Need:     need,
	}
	switch {
	case st.state == firing:
		o.setFiring(&out, r, p, st, silent)
	case st.state == covered:
		out.State = "covered"
		out.Why = "A faster pair reports the same failures."
		if st.since != 0 {
			out.Why = "A faster pair reported these failures and has ended. They have not left the window of " +
				span(p.Long.Seconds()) + " yet."
		}
	case fires && held:
		out.State = "held"
		out.Why = heldText(r.sums[p.Long], need, o.Guard.MinTotal)
	default:
		out.Why = o.quietReason(&out, r, p, fires)
	}
	return out
}

// setFiring completes the status of a pair that fires.
func (o *Objective) setFiring(out *PairStatus, r reading, p Pair, st pairState, silent bool) {
	since := timeOf(st.since)
	began := timeOf(st.began)
	out.State = "firing"
	out.Since = &since
	out.Began = &began
	out.Correlation = alertID(o.ID, p.key(), st.since, Start)
	switch {
	case r.sums[p.Short].Total == 0 || silent:
		out.State = "no_data"
		out.Why = "It keeps firing: nothing was counted in the last " + span(p.Short.Seconds()) +
			", and no data does not mean no failures."
	case r.history != nil:
		in := resolvesIn(r.history, p, o.allowed, r.clock)
		out.ResolvesIn = &in
		out.Why = "It ends in " + clockSpan(float64(in)) + " if it stays clean."
		if clean, ok := cleanFor(r.history, o.allowed, r.clock); !ok || clean < cleanAfter {
			out.Why = "It ends " + clockSpan(float64(in)) + " after the failures stop."
		}
	}
}

// quietReason explains why a pair does not fire although a window burns or is empty; "" where nothing is to explain.
func (o *Objective) quietReason(out *PairStatus, r reading, p Pair, fires bool) string {
	short := span(p.Short.Seconds())
	switch {
	case out.Long.Burn > p.Factor && out.Short.Burn > p.Factor && !fires:
		return fmt.Sprintf("It has been counted for %s only. The rest of %s counts as free of errors.",
			span(r.clock-r.first), span(p.Long.Seconds()))
	case out.Short.Total == 0 && out.Long.Total > 0:
		return "Nothing was counted in the last " + short + "."
	case out.Long.Burn > p.Factor:
		return "It burned before. In the last " + short + " it no longer burns above the factor."
	case out.Short.Burn > p.Factor && stopped(r, o.allowed):
		return "The failures have stopped. They have not left the window of " + short + " yet."
	case out.Short.Burn > p.Factor:
		ratio := float64(out.Short.Bad) / float64(out.Short.Total)
		if d, ok := detection(p, o.allowed, ratio); ok {
			return fmt.Sprintf("At the rate of the last %s the long window takes %s to fire.", short, span(int64(d)))
		}
	}
	return ""
}
