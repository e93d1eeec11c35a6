package slo

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// State is the answer to: is anything wrong?
type State string

// The states of an objective, the worst first. Silence is not health, and an
// objective whose requests succeed again is not healthy before its alert ended:
//
//	ok -> burning -> recovering -> ok      a failure takes recovering back to burning
//	 \-> no_data                           burning stays burning while nothing is counted
const (
	Burning    State = "burning"
	Recovering State = "recovering"
	NoData     State = "no_data"
	Healthy    State = "ok"
)

// cleanAfter is for how many seconds the failures must have stopped before a
// burning objective counts as recovering: three ticks, so that one good tick in
// an outage does not look like a repair.
const cleanAfter = 3 * Tick

// silence is after how long without a request an objective has no data.
const silentAfter = 15 * time.Minute

// Status is an objective as of the newest counts.
type Status struct {
	ObjectiveID string       `json:"objective_id"`
	State       State        `json:"state" enum:"burning,recovering,no_data,ok" doc:"recovering: an alert still fires, and the failures have stopped"`
	Sentence    string       `json:"sentence" doc:"The state for people"`
	Rising      bool         `json:"rising" doc:"A short window burns above its pair's factor, and the long one does not yet"`
	AsOf        web.Time     `json:"as_of,omitzero" doc:"End of the newest tick, by the counts' own time"`
	DataAt      web.Time     `json:"data_at,omitzero" doc:"End of the newest tick with a request"`
	Budget      BudgetStatus `json:"budget"`
	Pairs       []PairStatus `json:"pairs"`

	burnNow  Reading // the one burn rate that pages show
	chance   bool    // that rate is above 1 and could be chance
	pace     string  // from which window the end of the budget is reckoned
	cleanFor int64   // recovering: seconds since the failures stopped
}

// BudgetStatus is what is left of the budget.
type BudgetStatus struct {
	Window      Window  `json:"window"`
	Left        float64 `json:"left" doc:"1 = untouched, 0 = spent, below = overspent"`
	Achieved    float64 `json:"achieved" doc:"Percent of the requests that were good"`
	Total       uint64  `json:"total"`
	Bad         uint64  `json:"bad"`
	Burn        float64 `json:"burn" doc:"Over the last hour: 1 = exactly sustainable"`
	ExhaustedIn *int64  `json:"exhausted_in_seconds,omitempty" doc:"At the present rate: that of the short window of the pair that fires, else of the last hour; left out when the budget does not shrink now"`
}

// PairStatus is one pair of windows, and why it fires or does not.
type PairStatus struct {
	Pair        string    `json:"pair"`
	Factor      float64   `json:"factor"`
	Severity    Severity  `json:"severity"`
	State       string    `json:"state" enum:"quiet,firing,covered,held,no_data" doc:"covered: a faster pair reports the same failures. held: too few failures to tell from chance. no_data: fires on, and nothing has been counted since"`
	Long        Reading   `json:"long"`
	Short       Reading   `json:"short"`
	Need        uint64    `json:"need,omitempty" doc:"Fewest failures in the long window at this traffic"`
	Why         string    `json:"why,omitempty" doc:"The state for people"`
	Since       *web.Time `json:"since,omitempty" doc:"Since when it fires"`
	Began       *web.Time `json:"began_at,omitempty" doc:"Since when the budget burned"`
	ResolvesIn  *int64    `json:"resolves_in_seconds,omitempty" doc:"If it stays clean"`
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
		return nil
	})
	return o, s, err
}

func seconds(at int64) web.Time {
	if at == 0 {
		return web.Time{}
	}
	return web.TimeOf(at * 1e6)
}

// status judges a reading at a moment of the wall's clock. Every page, list and
// answer takes its state, sentence and numbers from here.
func (o *Objective) status(r reading, now time.Time) Status {
	total := r.sums[o.Window]
	left := budgetOf(o.Window, total, o.allowed, max(r.clock, Tick))
	s := Status{
		ObjectiveID: o.ID,
		AsOf:        seconds(r.clock),
		DataAt:      seconds(r.dataAt),
		Budget: BudgetStatus{
			Window:   o.Window,
			Left:     left.Left,
			Total:    total.Total,
			Bad:      total.Bad,
			Burn:     burn(r.sums[H1], o.allowed),
			Achieved: 100,
		},
	}
	if total.Total > 0 {
		s.Budget.Achieved = 100 * float64(total.Total-total.Bad) / float64(total.Total)
	}
	silent := r.dataAt == 0 || now.Sub(time.Unix(r.dataAt, 0)) > silentAfter
	for i, p := range o.rules {
		s.Pairs = append(s.Pairs, o.pairStatus(r, i, p, silent))
	}
	first := s.firing()
	s.State = o.state(&s, r, first, silent)
	o.setPace(&s, r, first, left)
	s.Sentence = o.sentence(&s, r, first, silent)
	return s
}

// firing is the fastest pair that fires; nil when none does.
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

// cleanFor is for how many seconds no bucket of a history has had more failures
// than the target allows; ok is false when nothing was counted in that time,
// because silence is no repair.
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

// stopped reports whether the requests fail no longer as often as to burn the
// budget: then no forecast of when a pair fires holds.
func stopped(r reading, allowed share) bool {
	if clean, ok := cleanFor(r.history, allowed, r.clock); ok && clean >= cleanAfter {
		return true
	}
	return r.sums[M5].Total > 0 && !above(r.sums[M5], 1000, allowed)
}

// setPace sets the burn rate that pages show, and when the budget ends at the
// present rate. While a pair fires they are those of its windows; afterwards the
// last hour still holds the failures, so that the last five minutes decide
// whether the budget shrinks at all.
func (o *Objective) setPace(s *Status, r reading, first *PairStatus, left budget) {
	hour, recent := o.read(&r.sums, H1), o.read(&r.sums, M5)
	rate := hour
	s.burnNow = hour
	significant := hour.Bad >= o.thresholds.need(hour.Total) // a rate that could be chance says nothing about the future
	switch {
	case s.State == Recovering:
		s.burnNow, rate, s.pace = first.Long, Reading{}, "no failures for "+clockSpan(float64(s.cleanFor))
	case first != nil:
		s.burnNow, rate, significant = first.Long, first.Short, true
	case recent.Total > 0:
		s.burnNow = recent
		if recent.Burn <= 1 {
			rate, s.pace = Reading{}, "hardly any failures in the last 5 min"
			if recent.Bad == 0 {
				s.pace = "no failures in the last 5 min"
			}
		}
	}
	s.chance = s.burnNow.Burn > 1 && first == nil && s.burnNow.Bad < o.thresholds.need(s.burnNow.Total)
	if s.pace == "" {
		s.pace = "at the rate of the last " + span(rate.Window.Seconds())
	}
	if in, ok := left.exhaustion(rate.Burn); ok && (left.Left <= 0 || significant) {
		s.Budget.ExhaustedIn = &in
	}
}

// sentence says the state for people.
func (o *Objective) sentence(s *Status, r reading, first *PairStatus, silent bool) string {
	since := " since " + time.Unix(r.dataAt, 0).UTC().Format("2 Jan, 15:04 UTC")
	if r.dataAt == 0 {
		since = " yet"
	}
	switch {
	case s.State == Recovering:
		text := o.Name + " is recovering. The failures stopped " + clockSpan(float64(s.cleanFor)) + " ago."
		if first.ResolvesIn != nil {
			text += " The alert ends in " + clockSpan(float64(*first.ResolvesIn)) + " if it stays clean."
		}
		return text
	case s.State == Burning:
		text := o.Name + " is burning its budget " + times(first.Long.Burn) + " times too fast over the last " + span(first.Long.Window.Seconds()) + "."
		if silent {
			return text + " There has been no data" + since + "."
		}
		return text + exhaustionText(s.Budget.Left, s.Budget.ExhaustedIn, first.Short.Window)
	case s.State == NoData:
		return "There is no data" + since + "."
	case s.Budget.Left <= 0:
		return o.Name + " is not burning now, but its budget is spent: " + percentText(1-s.Budget.Achieved/100) + " of the requests failed, and the target allows " + percentText(o.allowed.ratio()) + "."
	}
	leftNow := leftText(s.Budget.Left) + " of the budget is left."
	if p := o.rising(s, r); p != nil {
		s.Rising = true
		return o.Name + " has burned its budget " + times(p.Short.Burn) + " times too fast over the last " + span(p.Short.Window.Seconds()) + ". " + leftNow
	}
	text := o.Name + " is on track: " + leftNow + o.chanceText(r.sums[o.Window])
	for _, p := range s.Pairs {
		if p.State == "held" {
			return text + " " + p.Why
		}
	}
	return text
}

// rising is the fastest pair whose short window burns above its factor while the
// long one does not yet. It is nil when there is none, when the guard against
// chance holds the pair back, and when the last five minutes no longer burn.
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
	need, held := o.need(&p, &r.sums)
	on := o.fires(&p, &r.sums, r.clock-r.first)
	out := PairStatus{Pair: p.String(), Factor: p.Factor, Severity: p.Severity, State: "quiet",
		Long: o.read(&r.sums, p.Long), Short: o.read(&r.sums, p.Short), Need: need}
	switch {
	case st.state == firing:
		out.State = "firing"
		since, began := seconds(st.since), seconds(st.began)
		out.Since, out.Began, out.Correlation = &since, &began, alertID(o.ID, p.key(), st.since, Start)
		if r.sums[p.Short].Total == 0 || silent {
			out.State, out.Why = "no_data", "It keeps firing: nothing was counted in the last "+span(p.Short.Seconds())+", and no data does not mean no failures."
			break
		}
		if r.history == nil {
			break
		}
		in := resolvesIn(r.history, p, o.allowed, r.clock)
		out.ResolvesIn = &in
		out.Why = "It ends in " + clockSpan(float64(in)) + " if it stays clean."
		if clean, ok := cleanFor(r.history, o.allowed, r.clock); !ok || clean < cleanAfter {
			out.Why = "It ends " + clockSpan(float64(in)) + " after the failures stop."
		}
	case st.state == covered:
		out.State, out.Why = "covered", "A faster pair reports the same failures."
		if st.since != 0 {
			out.Why = "A faster pair reported these failures and has ended. They have not left the window of " + span(p.Long.Seconds()) + " yet."
		}
	case on && held:
		out.State, out.Why = "held", heldText(r.sums[p.Long], need, o.Guard.MinTotal)
	case out.Long.Burn > p.Factor && out.Short.Burn > p.Factor && !on:
		out.Why = "It has been counted for " + span(r.clock-r.first) + " only. The rest of " + span(p.Long.Seconds()) + " counts as free of errors."
	case out.Short.Total == 0 && out.Long.Total > 0:
		out.Why = "Nothing was counted in the last " + span(p.Short.Seconds()) + "."
	case out.Long.Burn > p.Factor:
		out.Why = "It burned before. In the last " + span(p.Short.Seconds()) + " it no longer burns above the factor."
	case out.Short.Burn > p.Factor && stopped(r, o.allowed):
		out.Why = "The failures have stopped. They have not left the window of " + span(p.Short.Seconds()) + " yet."
	case out.Short.Burn > p.Factor:
		if d, ok := detection(p, o.allowed, float64(out.Short.Bad)/float64(out.Short.Total)); ok {
			out.Why = "At the rate of the last " + span(p.Short.Seconds()) + " the long window takes " + span(int64(d)) + " to fire."
		}
	}
	return out
}
