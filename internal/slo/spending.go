package slo

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Spending shows how an objective's budget was spent, as far as the stored counts tell: by day, week, and the parts
// of the property that are counted on their own. Statuses of responses are not stored.
type Spending struct {
	AsOf    web.Time    `json:"as_of,omitzero" doc:"End of the newest tick, in the time of the counts"`
	Window  Window      `json:"window"`
	Failed  uint64      `json:"failed" doc:"Failed requests in the window"`
	Total   uint64      `json:"total" doc:"Requests in the window"`
	Allowed float64     `json:"allowed" doc:"Requests that may fail, at the traffic of the window"`
	Spent   float64     `json:"spent" doc:"Part of the budget that is spent: 1 = all of it"`
	Days    []SpentTime `json:"days" doc:"The days (UTC) of the window, oldest first"`
	Before  *SpentTime  `json:"before,omitempty" doc:"The window before this one; left out when its counts are not all kept"`
	Weeks   []SpentTime `json:"weeks" doc:"Periods of seven days that end with the newest counts, newest first; complete ones only"`
	Parts   []SpentPart `json:"parts" doc:"Hostnames, origins and path classes of the property that are counted on their own, because an objective names them. A request may belong to several of them"`
}

// SpentTime is the spending of one stretch of time.
type SpentTime struct {
	Start   web.Time `json:"start"`
	End     web.Time `json:"end"`
	Total   uint64   `json:"total"`
	Bad     uint64   `json:"bad"`
	Reached *float64 `json:"reached,omitempty" doc:"Percent of the requests that were good; left out without requests"`
	Spent   float64  `json:"spent" doc:"Part of the whole budget: 1 = all of it"`
}

// SpentPart is the spending of one part of a zone.
type SpentPart struct {
	Kind  string  `json:"kind" enum:"hostname,origin,path_class"`
	Value string  `json:"value"`
	Total uint64  `json:"total" doc:"Requests in the window"`
	Bad   uint64  `json:"bad" doc:"Failed requests in the window"`
	Share float64 `json:"share" doc:"Part of the objective's failures: 1 = all of them"`
}

// maxParts is how many parts of a zone are read.
const maxParts = 20

// week is the length of a period that is compared.
const week = 7 * 86_400

// Spending reads what spent the budget of one of an account's objectives.
func (f *Feature) Spending(ctx context.Context, accountID, objectiveID string) (s Spending, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		o, err := findObjective(ctx, tx, accountID, objectiveID)
		if err != nil {
			return err
		}
		list, err := timelinesOf(ctx, tx, []*Objective{o}, 0)
		if err != nil {
			return err
		}
		s, err = spendingOf(ctx, tx, o, &list[0])
		return err
	})
	return s, err
}

// spendingOf divides the failures of a timeline.
func spendingOf(ctx context.Context, tx *db.Tx, o *Objective, t *timeline) (Spending, error) {
	s := Spending{Window: o.Window, Days: []SpentTime{}, Weeks: []SpentTime{}, Parts: []SpentPart{}}
	if !t.reading.counted {
		return s, nil
	}
	s.AsOf = timeOf(t.clock)
	sum := tally.Sum(t.clock, o.Window, t.list).Budget()
	s.Total = sum.Total
	s.Failed = sum.Bad
	s.Allowed = float64(sum.Total) * o.allowed.ratio()
	s.Spent = 1 - budgetOf(o.Window, sum, o.allowed, t.clock).Left
	// Failures spend alike, whenever they happened: each spends the same part of the budget.
	each := 0.0
	if sum.Bad > 0 {
		each = s.Spent / float64(sum.Bad)
	}
	s.Days = spentDays(o, t, each)
	s.Weeks = spentWeeks(t, each)
	s.Before = spentBefore(o, t)
	if o.seriesKey().kind != kindZone || sum.Bad == 0 {
		return s, nil
	}
	var err error
	s.Parts, err = spentParts(ctx, tx, o, t, sum.Bad)
	return s, err
}

// spentIn is the spending of a stretch; each is the part of the budget that one failure spends.
func spentIn(from, to int64, t Tally, each float64) SpentTime {
	s := SpentTime{Start: timeOf(from), End: timeOf(to), Total: t.Total, Bad: t.Bad, Spent: each * float64(t.Bad)}
	if t.Total > 0 {
		reached := 100 * float64(t.Total-t.Bad) / float64(t.Total)
		s.Reached = &reached
	}
	return s
}

// inWindow reports whether a bucket is in the objective's window. It is the rule of the engine's sums.
func inWindow(o *Objective, b *bucket, clock int64) bool {
	return b.End > o.Window.Begins(clock)
}

func spentDays(o *Objective, t *timeline, each float64) []SpentTime {
	const day = 86_400
	days := map[int64]Tally{}
	first := tally.AlignDown(t.clock-1, day)
	for i := range t.list {
		b := &t.list[i]
		if !inWindow(o, b, t.clock) {
			continue
		}
		at := tally.AlignDown(b.Start, day)
		sum := days[at]
		sum.Add(b.Tally)
		days[at] = sum
		first = min(first, at)
	}
	list := []SpentTime{}
	for at := first; at < t.clock; at += day {
		list = append(list, spentIn(at, at+day, days[at], each))
	}
	return list
}

// spentBefore is the window before the present one; nil when not all of its counts are kept.
func spentBefore(o *Objective, t *timeline) *SpentTime {
	to := o.Window.Begins(t.clock)
	from := o.Window.Begins(to)
	if from < t.clock-kept || from < t.reading.first {
		return nil
	}
	var sum Tally
	for _, b := range t.list {
		if b.End > from && b.End <= to {
			sum.Add(b.Tally)
		}
	}
	each := 0.0
	if sum.Bad > 0 {
		each = burnRate(sum, o.allowed) / float64(sum.Bad)
	}
	s := spentIn(from, to, sum, each)
	return &s
}

// spentWeeks are the last four weeks.
func spentWeeks(t *timeline, each float64) []SpentTime {
	const weeks = 4
	sums := [weeks]Tally{}
	for _, b := range t.list {
		if i := (t.clock - b.End) / week; i >= 0 && i < weeks {
			sums[i].Add(b.Tally)
		}
	}
	list := []SpentTime{}
	for i, sum := range sums {
		from := t.clock - int64(i+1)*week
		if from < t.reading.first {
			break
		}
		list = append(list, spentIn(from, from+week, sum, each))
	}
	return list
}

// spentParts are the parts of the objective's zone that are counted on their own, the most failures first.
func spentParts(ctx context.Context, tx *db.Tx, o *Objective, t *timeline, failed uint64) ([]SpentPart, error) {
	k := o.seriesKey()
	parts := map[uint32]SpentPart{}
	series := map[uint32][]bucket{}
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var p SpentPart
		err := rows.Scan(&id, &p.Kind, &p.Value)
		parts[uint32(id)] = p
		series[uint32(id)] = nil
		return err
	}, `SELECT id, kind, value FROM line
		WHERE account_id = $1 AND zone_id = $2 AND shard = $3 AND sli = $4 AND kind <> $5 AND kind <> $6
		ORDER BY id LIMIT $7`,
		k.account, k.zone, t.reading.shard, k.sli, kindZone, kindExcluded, maxParts)
	if err != nil || len(parts) == 0 {
		return []SpentPart{}, err
	}
	if err := readHistory(ctx, tx, t.reading.shard, 0, series); err != nil {
		return nil, err
	}
	list := []SpentPart{}
	for id, p := range parts {
		sum := tally.Sum(t.clock, o.Window, t.corrected(series[id])).Budget()
		p.Total = sum.Total
		p.Bad = sum.Bad
		p.Share = float64(sum.Bad) / float64(failed)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b SpentPart) int {
		return cmp.Or(cmp.Compare(b.Bad, a.Bad), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return list, nil
}

// corrected is the history of a part of the property without what corrections of the objective exclude. Where a block
// is excluded in part, the part loses the same share of its requests and failures.
func (t *timeline) corrected(list []bucket) []bucket {
	if len(t.reading.exclusions) == 0 {
		return list
	}
	out := slices.Clone(list)
	for i := range out {
		b := &out[i]
		all := bucketAt(t.all, *b)
		counted := bucketAt(t.list, *b)
		if all.Total > 0 {
			b.Total = scaled(b.Total, counted.Total, all.Total)
		}
		if all.Bad > 0 {
			b.Bad = scaled(b.Bad, counted.Bad, all.Bad)
		}
		b.Total = max(b.Total, b.Bad)
	}
	return out
}

// lastFailure is the newest bucket of a timeline with a failed request.
func (t *timeline) lastFailure() (b bucket, ok bool) {
	for _, b := range slices.Backward(t.list) {
		if b.Bad > 0 {
			return b, true
		}
	}
	return bucket{}, false
}

// failureReach is the length of the shortest window with a failure, plus the block at its edge: the newest failure is
// not older. ok is false when no stored window has one.
func (r *reading) failureReach() (seconds int64, ok bool) {
	for w := range D28 {
		if r.sums[w].Bad > 0 {
			return w.Seconds() + tally.Levels[w.Level()].Size, true
		}
	}
	return kept, r.sums.Budget().Bad > 0
}

// view is an objective with its status and its stored counts, read in one snapshot.
type view struct {
	*Objective
	Status   Status
	timeline timeline
}

// view reads one of an account's objectives. With all, the timeline has all stored counts, else at least the newest
// failure.
func (f *Feature) view(ctx context.Context, accountID, objectiveID string, all bool) (out view, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		o, err := findObjective(ctx, tx, accountID, objectiveID)
		if err != nil {
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
		out.Objective = o
		out.Status = o.status(readings[0], f.now())
		begins := o.Window.Begins(max(readings[0].clock, Tick))
		out.Status.Corrections, err = activeCorrections(ctx, tx, o, &readings[0], begins)
		if err != nil {
			return err
		}
		out.timeline.reading = readings[0]
		reach, failed := readings[0].failureReach()
		if all {
			reach = 0
		} else if !failed {
			return nil
		}
		timelines, err := readTimelines(ctx, tx, readings, reach)
		if err == nil {
			out.timeline = timelines[0]
		}
		return err
	})
	return out, err
}

// since is the time since which an objective has its state; zero when it is not known. newest is its newest transition.
func (s *Status) since(newest *Past) time.Time {
	switch {
	case s.State == NoData:
		return s.DataAt.Time
	case s.State == Healthy && newest != nil:
		return newest.At.Time
	case s.State == Healthy:
		return time.Time{}
	}
	var first time.Time
	for _, p := range s.Pairs {
		if p.Since != nil && (first.IsZero() || p.Since.Before(first)) {
			first = p.Since.Time
		}
	}
	return first
}

func (f *Feature) registerSpending(api *web.API, one string) {
	web.Get(api, web.Op{
		Path: one + "/spending", ID: "get-objective-spending", Tag: apiTag, Permission: account.SLORead,
		Summary: "Get what spent an objective's budget",
		Description: "By day, by week, and by the parts of the property that are counted on their own. " +
			"Statuses of responses are not stored.",
	}, func(ctx context.Context, in *objectiveRef) (Spending, error) {
		return f.Spending(ctx, web.Account(ctx).ID, in.SLO)
	})
}
