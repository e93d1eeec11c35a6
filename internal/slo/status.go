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
	history  []bucket // of the line, where something fires and it was read
}

// standsFiring reports whether a pair fires.
func (r *reading) standsFiring() bool {
	return slices.ContainsFunc(r.standing, func(st standing) bool { return st.state == firing })
}

// readingOf is the reading of one objective.
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

// State is the answer to: is anything wrong?
type State string

// The states. Silence is not health.
const (
	Burning State = "burning"
	Healthy State = "ok"
	NoData  State = "no_data"
)

// silence is after how long without a request an objective has no data.
const silence = 15 * time.Minute

// Status is an objective as of the newest counts.
type Status struct {
	ObjectiveID string       `json:"objective_id"`
	State       State        `json:"state" enum:"burning,ok,no_data"`
	Sentence    string       `json:"sentence" doc:"The state for people"`
	Rising      bool         `json:"rising" doc:"A short window burns above its pair's factor, and the long one does not yet"`
	AsOf        web.Time     `json:"as_of,omitzero" doc:"End of the newest tick, by the counts' own time"`
	DataAt      web.Time     `json:"data_at,omitzero" doc:"End of the newest tick with a request"`
	Budget      BudgetStatus `json:"budget"`
	Pairs       []PairStatus `json:"pairs"`

	burnNow Reading
}

// BudgetStatus is what is left of the budget.
type BudgetStatus struct {
	Window      Window  `json:"window"`
	Left        float64 `json:"left" doc:"1 = untouched, 0 = spent, below = overspent"`
	Achieved    float64 `json:"achieved" doc:"Percent of the requests that were good"`
	Total       uint64  `json:"total"`
	Bad         uint64  `json:"bad"`
	Burn        float64 `json:"burn" doc:"Over the last hour: 1 = exactly sustainable"`
	ExhaustedIn *int64  `json:"exhausted_in_seconds,omitempty" doc:"At the last hour's rate; left out when the budget does not shrink"`
}

// PairStatus is one pair of windows, and why it fires or does not.
type PairStatus struct {
	Pair        string    `json:"pair"`
	Factor      float64   `json:"factor"`
	Severity    Severity  `json:"severity"`
	State       string    `json:"state" enum:"quiet,firing,covered,held,no_data" doc:"covered: a faster pair tells of the same cause. held: too few failures to tell from chance. no_data: fires on, and nothing has been counted since"`
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
		r, err := readingOf(ctx, tx, o)
		if err == nil && r.counted && r.standsFiring() {
			lines := map[uint32][]bucket{r.line: nil}
			err = readHistory(ctx, tx, r.shard, lines)
			r.history = lines[r.line]
		}
		s = o.status(r, f.now())
		return err
	})
	return o, s, err
}

func seconds(at int64) web.Time {
	if at == 0 {
		return web.Time{}
	}
	return web.TimeOf(at * 1e6)
}

// status is what a reading means, now.
func (o *Objective) status(r reading, now time.Time) Status {
	total := r.sums[o.Window]
	left := budgetOf(o.Window, total, o.allowed, max(r.clock, Tick))
	hour := o.read(&r.sums, H1)
	s := Status{ObjectiveID: o.ID, AsOf: seconds(r.clock), DataAt: seconds(r.dataAt), burnNow: hour,
		Budget: BudgetStatus{Window: o.Window, Left: left.Left, Total: total.Total, Bad: total.Bad, Burn: hour.Burn, Achieved: 100}}
	if total.Total > 0 {
		s.Budget.Achieved = 100 * float64(total.Total-total.Bad) / float64(total.Total)
	}
	// A rate that could be chance says nothing about the future.
	if in, ok := left.exhaustion(hour.Burn); ok && (left.Left <= 0 || hour.Bad >= o.thresholds.need(hour.Total)) {
		s.Budget.ExhaustedIn = &in
	}
	silent := r.dataAt == 0 || now.Sub(time.Unix(r.dataAt, 0)) > silence
	var first *PairStatus
	for i, p := range o.rules {
		s.Pairs = append(s.Pairs, o.pairStatus(r, i, p, silent))
	}
	for i := range s.Pairs {
		if s.Pairs[i].Since != nil && first == nil {
			first = &s.Pairs[i]
		}
	}
	since := " since " + time.Unix(r.dataAt, 0).UTC().Format("2 Jan, 15:04 UTC")
	if r.dataAt == 0 {
		since = " yet"
	}
	switch {
	case first != nil:
		s.State = Burning
		s.Sentence = o.Name + " is burning its budget " + times(first.Long.Burn) + " times too fast." + exhaustedWords(s.Budget.Left, s.exhaustedAt(first.Long.Burn, left))
		if silent {
			s.Sentence += " There has been no data" + since + "."
		} else if first.ResolvesIn != nil {
			s.Sentence += " It resolves in " + clockSpan(float64(*first.ResolvesIn)) + " if it stays clean."
		}
	case silent:
		s.State = NoData
		s.Sentence = "There is no data" + since + "."
	case s.Budget.Left <= 0:
		s.State = Healthy
		s.Sentence = "Nothing burns now, but the budget is spent: " + leftWords(1-s.Budget.Achieved/100) + " of the requests failed, and " + leftWords(o.allowed.ratio()) + " may."
	default:
		s.State = Healthy
		s.Sentence = o.Name + " keeps its promise: " + leftWords(s.Budget.Left) + " of the budget is left."
		if p := s.rising(); p != nil {
			s.Rising = true
			s.Sentence = o.Name + " burns " + times(p.Short.Burn) + " times too fast over the last " + p.Short.Window.String() + ". " + leftWords(s.Budget.Left) + " of the budget is left."
			break
		}
		s.Sentence += o.chanceWords(total)
		for _, p := range s.Pairs {
			if p.State == "held" {
				s.Sentence += " " + p.Why
				break
			}
		}
	}
	return s
}

// rising is the fastest pair whose short window burns above its factor while the
// long one does not yet; nil when there is none, or the guard holds it back.
func (s *Status) rising() *PairStatus {
	for i := range s.Pairs {
		p := &s.Pairs[i]
		if p.State == "quiet" && p.Short.Burn > p.Factor && p.Long.Burn <= p.Factor && p.Short.Bad >= p.Need {
			return p
		}
	}
	return nil
}

func (s *Status) exhaustedAt(rate float64, left budget) *int64 {
	if in, ok := left.exhaustion(rate); ok {
		return &in
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
			out.State, out.Why = "no_data", "It fires on: nothing has been counted in the last "+p.Short.String()+", and silence is not health."
			break
		}
		if r.history == nil {
			break
		}
		in := resolvesIn(r.history, p, o.allowed, r.clock)
		out.ResolvesIn = &in
		out.Why = "It resolves in " + clockSpan(float64(in)) + " if it stays clean."
	case st.state == covered:
		out.State, out.Why = "covered", "A faster pair tells of the same cause."
	case on && held:
		out.State, out.Why = "held", heldWords(r.sums[p.Long], need, o.Guard.MinTotal)
	case out.Long.Burn > p.Factor && out.Short.Burn > p.Factor && !on:
		out.Why = "It has been counted for " + span(r.clock-r.first) + " only; the rest of " + p.Long.String() + " is taken as clean."
	case out.Short.Total == 0 && out.Long.Total > 0:
		out.Why = "Nothing was counted in the last " + p.Short.String() + "."
	case out.Long.Burn > p.Factor:
		out.Why = "It was burning; the last " + p.Short.String() + " no longer do."
	case out.Short.Burn > p.Factor:
		if d, ok := detection(p, o.allowed, float64(out.Short.Bad)/float64(out.Short.Total)); ok {
			out.Why = "At the rate of the last " + p.Short.String() + " the long window takes " + span(int64(d)) + " to fire."
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
