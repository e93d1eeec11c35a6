package slo

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Preview is an objective over the last 28 days, as if it had existed: its budget, and the alerts that it would have
// sent.
type Preview struct {
	From     web.Time `json:"from" doc:"28 days before the newest counts, or the first count"`
	Until    web.Time `json:"until" doc:"End of the newest counts"`
	Basis    string   `json:"basis" enum:"objective,property,none" doc:"The requests that were evaluated: those that the objective applies to, those of the whole property because the part is not counted on its own yet, or none because nothing was counted"`
	Total    uint64   `json:"total" doc:"Requests"`
	Bad      uint64   `json:"bad" doc:"Failed requests"`
	Excluded uint64   `json:"excluded_total,omitempty" doc:"Requests that corrections leave out"`
	Allowed  uint64   `json:"allowed" doc:"Requests that may fail, at this traffic"`
	Left     float64  `json:"budget_left" doc:"1 = untouched, 0 = spent, below = overspent"`

	Proposed      *float64 `json:"proposed_target,omitempty" doc:"The highest usual target that would have left at least half of its budget; left out when there are too few requests, or none fits"`
	ProposedSpent float64  `json:"proposed_spent,omitempty" doc:"Part of its budget that the proposed target would have spent"`

	Pages    int            `json:"pages" doc:"Alerts with the severity page"`
	Tickets  int            `json:"tickets" doc:"Alerts with the severity ticket"`
	Alerts   []PreviewAlert `json:"alerts" doc:"The newest 50"`
	Complete bool           `json:"complete" doc:"All counts were evaluated within the time limit"`
	Coarse   web.Time       `json:"coarse_until" doc:"Counts before this time are stored in steps of two hours: shorter failures in them are spread over their step, so that real alerts may have begun sooner, or been more"`
}

// PreviewAlert is an alert that an objective would have sent.
type PreviewAlert struct {
	At         web.Time  `json:"at"`
	EndedAt    *web.Time `json:"ended_at,omitempty" doc:"Left out when it would still fire"`
	Pair       string    `json:"pair"`
	Severity   Severity  `json:"severity"`
	Burn       float64   `json:"burn" doc:"Over the long window, at the start"`
	BudgetLeft float64   `json:"budget_left" doc:"At the start"`
}

// The bases of a preview.
const (
	basisObjective = "objective"
	basisZone      = "property"
	basisNone      = "none"
)

// Limits of a preview.
const (
	previewLength  = 28 * 86_400
	previewTime    = 2 * time.Second
	previewAlerts  = 50
	previewsAtOnce = 2 // in the process
)

// fineFor is the age in seconds up to which counts are stored in steps of at most half an hour.
var fineFor = func() (age int64) {
	for _, l := range tally.Levels {
		if l.Size <= 1800 {
			age = l.Keep
		}
	}
	return age
}()

// usualTargets are the targets that a preview may propose.
var usualTargets = []float64{99.999, 99.99, 99.95, 99.9, 99.5, 99, 98, 95}

// Preview evaluates an objective that is not stored on the counts of the last 28 days.
func (f *Feature) Preview(ctx context.Context, accountID string, spec ObjectiveSpec) (Preview, error) {
	o, err := f.resolve(ctx, accountID, spec)
	if err != nil {
		return Preview{}, err
	}
	if o.Composite != nil {
		return Preview{}, errNoPreview
	}
	if err := f.setPresent(ctx, o); err != nil {
		return Preview{}, err
	}
	counts, err := f.previewCounts(ctx, o)
	if err != nil {
		return Preview{}, err
	}
	return f.evaluated(ctx, o, counts)
}

var errNoPreview = errs.At(errs.CodeInvalid, "/composite",
	"a composite objective has no counts of its own: preview its members")

// previewed is the counts that a preview evaluates.
type previewed struct {
	basis string
	clock int64
	list  []bucket // of the last 28 days, oldest first, without what corrections exclude

	excluded uint64 // requests that corrections exclude
}

// previewCounts reads the counts of the objective's series, or else those of its whole zone.
func (f *Feature) previewCounts(ctx context.Context, o *Objective) (p previewed, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		key := o.seriesKey()
		for _, try := range []struct {
			basis string
			key   seriesKey
		}{
			{basisObjective, key},
			{basisZone, seriesKey{key.account, key.zone, kindZone, "", ""}},
		} {
			p, err = countsOfSeries(ctx, tx, try.key)
			p.basis = try.basis
			if err != nil {
				return err
			}
			if len(p.list) > 0 {
				return p.leaveOut(ctx, tx, o)
			}
		}
		p.basis = basisNone
		return nil
	})
	return p, err
}

// setPresent gives an objective that is previewed the id of the stored one with its name: what corrects that one holds
// for the preview as well.
func (f *Feature) setPresent(ctx context.Context, o *Objective) error {
	return f.db.View(ctx, func(tx *db.Tx) error {
		list, err := selectObjectives(ctx, tx, `WHERE account_id = $1 AND name = $2`, o.account, o.Name)
		if err == nil && len(list) == 1 {
			o.ID = list[0].ID
		}
		return err
	})
}

// leaveOut leaves out what corrections of the objective exclude: exactly, if it is stored and counts these requests, or
// else the blocks in their times.
func (p *previewed) leaveOut(ctx context.Context, tx *db.Tx, o *Objective) error {
	list, err := selectCorrections(ctx, tx, `WHERE account_id = $1 AND state = 'active' AND to_at > $2 ORDER BY id`,
		o.account, p.clock-previewLength)
	if err != nil {
		return err
	}
	var exclusions []exclusion
	for _, c := range list {
		if c.appliesTo(o) {
			from, to := rangeOf(p.clock, c.From.Unix(), c.To.Unix())
			exclusions = append(exclusions, exclusion{correction: c.ID, from: from, to: to, series: -1})
		}
	}
	if len(exclusions) == 0 {
		return nil
	}
	before := sumOf(p.list)
	counted, err := p.counted(ctx, tx, o)
	switch {
	case err != nil:
		return err
	case counted != nil:
		p.list = slices.DeleteFunc(counted, func(b bucket) bool { return b.End <= p.clock-previewLength })
	default:
		p.list = without(p.list, excludedOf(p.list, exclusions, nil)...)
	}
	p.excluded = before.Total - sumOf(p.list).Total
	return nil
}

// counted is the history of the stored objective without what corrections exclude; nil when it is not stored, or counts
// other requests.
func (p *previewed) counted(ctx context.Context, tx *db.Tx, o *Objective) ([]bucket, error) {
	if o.ID == "" || p.basis != basisObjective {
		return nil, nil
	}
	present, err := findObjective(ctx, tx, o.account, o.ID)
	if err != nil || present.seriesKey() != o.seriesKey() {
		return nil, err
	}
	list, err := timelinesOf(ctx, tx, []*Objective{present}, previewLength+tally.Levels[D28.Level()].Size)
	if err != nil || !list[0].reading.counted {
		return nil, err
	}
	return list[0].list, nil
}

func sumOf(list []bucket) (sum Tally) {
	for _, b := range list {
		sum.Add(b.Tally)
	}
	return sum
}

// countsOfSeries reads the last 28 days of a series, from all shards that have counted it.
func countsOfSeries(ctx context.Context, tx *db.Tx, k seriesKey) (p previewed, err error) {
	type stored struct {
		shard int64
		id    uint32
		clock int64
	}
	var found []stored
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var s stored
		err := rows.Scan(&s.shard, &s.id, &s.clock)
		found = append(found, s)
		p.clock = max(p.clock, s.clock)
		return err
	}, `SELECT l.shard, l.id, s.clock FROM line l JOIN shard s ON s.id = l.shard
		WHERE l.account_id = $1 AND l.zone_id = $2 AND l.kind = $3 AND l.value = $4 AND l.sli = $5`,
		k.account, k.zone, k.kind, k.value, k.sli)
	if err != nil {
		return p, err
	}
	for _, s := range found {
		series := map[uint32][]bucket{s.id: nil}
		// A block at the window's edge counts as inside, as in the engine's sums.
		since := p.clock - previewLength - tally.Levels[D28.Level()].Size
		if err := readHistory(ctx, tx, s.shard, since, series); err != nil {
			return p, err
		}
		for _, b := range series[s.id] {
			if b.End > p.clock-previewLength {
				p.list = append(p.list, b)
			}
		}
	}
	slices.SortStableFunc(p.list, func(a, b bucket) int { return cmp.Compare(a.Start, b.Start) })
	return p, nil
}

// evaluated is the preview on counts. A simulation that takes too long, or waits too long for others, leaves an
// incomplete result.
func (f *Feature) evaluated(ctx context.Context, o *Objective, counts previewed) (Preview, error) {
	p := Preview{
		Basis:  counts.basis,
		Until:  timeOf(counts.clock),
		Coarse: timeOf(counts.clock - fineFor),
		Alerts: []PreviewAlert{},
		Left:   1,
	}
	if len(counts.list) == 0 {
		p.Complete = true
		return p, nil
	}
	p.From = timeOf(counts.list[0].Start)
	sum := sumOf(counts.list)
	p.Excluded = counts.excluded
	p.Total = sum.Total
	p.Bad = sum.Bad
	p.Allowed = o.mayFail(sum.Total)
	p.Left = 1 - burnRate(sum, o.allowed)
	p.propose(o, sum)

	inTime, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	alerts, err := f.simulateCounts(inTime, o, counts.list)
	p.Complete = err == nil
	for _, a := range alerts {
		if a.Severity == Page {
			p.Pages++
		} else {
			p.Tickets++
		}
	}
	slices.Reverse(alerts)
	p.Alerts = append(p.Alerts, alerts[:min(len(alerts), previewAlerts)]...)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = nil
	}
	return p, err
}

// propose chooses the highest usual target that would have left half of its budget. It asks for traffic at which ten
// failures are allowed: with less, the counts say little about the target.
func (p *Preview) propose(o *Objective, sum Tally) {
	for _, target := range usualTargets {
		allowed := shareOf(target)
		spec := ObjectiveSpec{Name: o.Name, Match: o.Match, Target: target, Pairs: o.Pairs}
		if scaled(sum.Total, uint64(allowed), uint64(whole)) < 10 || above(sum, 500, allowed) {
			continue
		}
		if _, err := compile(spec); err != nil {
			continue // a pair could never fire
		}
		p.Proposed = &target
		p.ProposedSpent = burnRate(sum, allowed)
		return
	}
}

// simulateCounts runs the engine of [Simulate] over buckets and returns the alerts, the oldest first.
func (f *Feature) simulateCounts(ctx context.Context, o *Objective, list []bucket) (alerts []PreviewAlert, err error) {
	select {
	case f.previews <- struct{}{}:
		defer func() { <-f.previews }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	spec := ObjectiveSpec{
		Name:   o.Name,
		Match:  o.Match,
		SLI:    o.SLI,
		Target: o.Target,
		Window: o.Window.String(),
		Pairs:  o.Pairs,
		Guard:  o.Guard,
	}
	open := map[string]int{} // by pair: the alert that fires
	each := func(t Simulated) error {
		pair := t.Pair + "@" + factorText(t.Factor)
		at, err := time.Parse(time.RFC3339, t.At)
		if err != nil {
			return err
		}
		if t.Event == Start {
			open[pair] = len(alerts)
			alerts = append(alerts, PreviewAlert{
				At:         web.TimeOf(at.UnixMicro()),
				Pair:       t.Pair,
				Severity:   t.Severity,
				Burn:       t.Long.Burn,
				BudgetLeft: t.BudgetLeft,
			})
			return nil
		}
		if i, ok := open[pair]; ok {
			end := web.TimeOf(at.UnixMicro())
			alerts[i].EndedAt = &end
		}
		return nil
	}
	read := func(each func(string, event.Count) error) error {
		for _, b := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			c := event.Count{
				At:        b.Start,
				Seconds:   b.End - b.Start,
				Origin:    o.Match.Origin,
				Hostname:  o.Match.Hostname,
				PathClass: o.Match.PathClass,
				SLI:       o.SLI,
				Total:     int64(b.Total),
				Bad:       int64(b.Bad),
			}
			if err := each("", c); err != nil {
				return err
			}
		}
		return nil
	}
	_, err = Simulate(ctx, spec, each, read)
	return alerts, err
}

type previewIn struct {
	Body ObjectiveSpec
}

func (f *Feature) registerPreview(api *web.API, base string) {
	web.Post(api, web.Op{
		Path: base + "/preview", ID: "preview-objective", Tag: apiTag, Permission: account.SLORead,
		Summary: "Preview an objective on the last 28 days",
		Description: "Stores nothing. Evaluates the objective on the counts that are stored, and proposes a target. " +
			"The evaluation stops after two seconds; complete says whether it saw all counts.",
	}, func(ctx context.Context, in *previewIn) (Preview, error) {
		return f.Preview(ctx, web.Account(ctx).ID, in.Body)
	})
}
