package slo

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// reading is what the database says of an objective.
type reading struct {
	counted  bool // a batch has summed it
	shard    int64
	line     uint32
	first    int64 // the line's first tick
	clock    int64
	dataAt   int64
	sums     sums
	standing []standing
	history  []bucket // of the line, as far back as the firing pairs' short windows; nil unless a pair fires
}

// standsFiring reports whether a pair fires.
func (r *reading) standsFiring() bool {
	return slices.ContainsFunc(r.standing, func(st standing) bool { return st.state == firing })
}

// readingOf reads one objective as it was last committed.
func readingOf(ctx context.Context, tx *db.Tx, o *Objective) (reading, error) {
	list, err := readingsOf(ctx, tx, o.account, []*Objective{o})
	if err != nil {
		return reading{}, err
	}
	return list[0], nil
}

// readingsOf reads the sums and states of objectives of one account as they were
// last committed: the process that answers need not own the shard.
func readingsOf(ctx context.Context, tx *db.Tx, account string, list []*Objective) ([]reading, error) {
	out := make([]reading, len(list))
	at := make(map[string]int, len(list))
	for i, o := range list {
		out[i].standing = make([]standing, len(o.rules))
		at[o.ID] = i
	}
	one := "" // the only one that is asked for
	if len(list) == 1 {
		one = list[0].ID
	}
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var objective, pair string
		var state int64
		var st standing
		if err := rows.Scan(&objective, &pair, &state, &st.since, &st.began, &st.told); err != nil {
			return err
		}
		st.state = pairState(state)
		if i, ok := at[objective]; ok {
			if k := slices.IndexFunc(list[i].rules, func(p Pair) bool { return p.key() == pair }); k >= 0 {
				out[i].standing[k] = st
			}
		}
		return nil
	}, `SELECT s.objective_id, s.pair, s.state, s.since, s.began, s.told FROM objective o JOIN standing s ON s.objective_id = o.id
		WHERE o.account_id = $1 AND ($2 = '' OR o.id = $2)`, account, one)
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var objective, text string
		var line int64
		var r reading
		if err := rows.Scan(&objective, &r.shard, &line, &r.first, &r.clock, &r.dataAt, &text); err != nil {
			return err
		}
		i, ok := at[objective]
		if !ok {
			return nil
		}
		r.counted, r.line, r.standing = true, uint32(line), out[i].standing
		var err error
		r.sums, err = decodeSums(text)
		out[i] = r
		return err
	}, `SELECT o.id, r.shard, r.line, l.first_at, r.clock, r.data_at, r.sums FROM objective o JOIN reading r ON r.objective_id = o.id
		JOIN line l ON l.shard = r.shard AND l.id = r.line WHERE o.account_id = $1 AND ($2 = '' OR o.id = $2)`, account, one)
	return out, err
}

// readRecent reads the history of the lines on which a pair fires, as far back as
// the longest short window of such a pair needs. Lists and single objectives get
// the same, so that two pages cannot say different things.
func readRecent(ctx context.Context, tx *db.Tx, list []*Objective, readings []reading) error {
	type need struct {
		since int64
		lines map[uint32][]bucket
	}
	shards := map[int64]*need{}
	for i := range readings {
		r := &readings[i]
		for k, p := range list[i].rules {
			if !r.counted || r.standing[k].state != firing {
				continue
			}
			n := shards[r.shard]
			if n == nil {
				n = &need{since: r.clock, lines: map[uint32][]bucket{}}
				shards[r.shard] = n
			}
			// A column that straddles the window's edge counts as inside, as in the engine's sums.
			n.since = min(n.since, r.clock-p.Short.Seconds()-levels[windowLevel[p.Short]].Size)
			n.lines[r.line] = nil
		}
	}
	for shard, n := range shards {
		if err := readHistory(ctx, tx, shard, n.since, n.lines); err != nil {
			return err
		}
	}
	for i := range readings {
		if r := &readings[i]; shards[r.shard] != nil && r.standsFiring() {
			r.history = shards[r.shard].lines[r.line]
		}
	}
	return nil
}

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
const silence = 15 * time.Minute

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
	silent := r.dataAt == 0 || now.Sub(time.Unix(r.dataAt, 0)) > silence
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
		return text + exhaustedWords(s.Budget.Left, s.Budget.ExhaustedIn, first.Short.Window)
	case s.State == NoData:
		return "There is no data" + since + "."
	case s.Budget.Left <= 0:
		return o.Name + " is not burning now, but its budget is spent: " + shareWords(1-s.Budget.Achieved/100) + " of the requests failed, and the target allows " + shareWords(o.allowed.ratio()) + "."
	}
	leftNow := leftWords(s.Budget.Left) + " of the budget is left."
	if p := o.rising(s, r); p != nil {
		s.Rising = true
		return o.Name + " has burned its budget " + times(p.Short.Burn) + " times too fast over the last " + span(p.Short.Window.Seconds()) + ". " + leftNow
	}
	text := o.Name + " is on track: " + leftNow + o.chanceWords(r.sums[o.Window])
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
	st := r.standing[i]
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
		out.State, out.Why = "held", heldWords(r.sums[p.Long], need, o.Guard.MinTotal)
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

// Past is a transition that was.
type Past struct {
	ID          string   `json:"id"`
	At          web.Time `json:"at" doc:"When it happened in the counts"`
	Event       string   `json:"event" enum:"start,end"`
	Sentence    string   `json:"sentence"`
	Pair        Pair     `json:"pair"`
	Long        Reading  `json:"long"`
	Short       Reading  `json:"short"`
	BudgetLeft  float64  `json:"budget_left"`
	ExhaustedIn *int64   `json:"exhausted_in_seconds,omitempty"`
	Began       web.Time `json:"began_at"`
	Told        bool     `json:"told" doc:"It was sent as an alert; history that was replayed is not"`
	Correlation string   `json:"correlation_id"`

	objective string
}

// pastPlace is where a list of transitions goes on.
type pastPlace struct {
	At int64  `json:"a"`
	ID string `json:"i"`
}

// Transitions are an objective's, newest first, before a place and since a time.
func (f *Feature) Transitions(ctx context.Context, o *Objective, since int64, before pastPlace, limit int) (list []Past, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = readPast(ctx, tx, `SELECT id, at, detail FROM transition WHERE objective_id = $1 AND at >= $2 AND (at, id) < ($3, $4) ORDER BY at DESC, id DESC LIMIT $5`,
			o.ID, since, before.At, before.ID, limit)
		return err
	})
	return list, err
}

// lately are the newest transitions of all of an account's objectives.
func (f *Feature) lately(ctx context.Context, accountID string, limit int) (list []Past, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = readPast(ctx, tx, `SELECT id, at, detail FROM transition WHERE account_id = $1 ORDER BY at DESC, id DESC LIMIT $2`, accountID, limit)
		return err
	})
	return list, err
}

func readPast(ctx context.Context, tx *db.Tx, query string, args ...any) (list []Past, err error) {
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var p Past
		var at int64
		var text string
		if err := rows.Scan(&p.ID, &at, &text); err != nil {
			return err
		}
		var d detail
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return err
		}
		p.At, p.Event, p.Sentence, p.Pair, p.Long, p.Short = seconds(at), d.Event, d.Sentence, d.Pair, d.Long, d.Short
		p.BudgetLeft, p.ExhaustedIn, p.Began, p.Told, p.objective = d.BudgetLeft, d.ExhaustedIn, seconds(d.Began), d.Told, d.Objective.ID
		p.Correlation = alertID(p.objective, d.Pair.key(), d.Since, Start)
		list = append(list, p)
		return nil
	}, query, args...)
	return list, err
}

// newestPast is the place before which everything lies.
var newestPast = pastPlace{1 << 60, ""}
