package slo

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// A composite objective is computed from the sums of other objectives, its members, in each window. It has no counts of
// its own, so the members may be counted by different shards, and corrections of the members hold for it as well.
//
//	all:       the worst member in the window. A pair fires if it would fire for one member at the composite's target
//	weighted:  the failure ratios of the members, by weights that sum to 100; members without requests are left out

// CompositeMode says how the members are combined.
type CompositeMode string

// The modes.
const (
	CompositeAll      CompositeMode = "all"
	CompositeWeighted CompositeMode = "weighted"
)

// The bounds of a composite.
const (
	minMembers = 2
	maxMembers = 20
	allWeights = 100
)

// kindComposite is the kind of a composite objective, which has no series.
const kindComposite = "composite"

// Composite makes an objective of other objectives.
type Composite struct {
	Mode    CompositeMode     `json:"mode" enum:"all,weighted" doc:"all: the worst member counts. weighted: the failure ratios count by their weights"`
	Members []CompositeMember `json:"members" doc:"2 to 20 objectives of the account with the same window, none of them composite"`
}

// CompositeMember is a member of a composite objective.
type CompositeMember struct {
	Objective string `json:"objective" maxLength:"64" doc:"Id"`
	Weight    int64  `json:"weight,omitempty" minimum:"0" maximum:"100" doc:"For the mode weighted; all weights sum to 100"`
}

// text describes the composite for people.
func (c *Composite) text() string {
	if c.Mode == CompositeWeighted {
		return fmt.Sprintf("%d objectives by weight", len(c.Members))
	}
	return fmt.Sprintf("all of %d objectives", len(c.Members))
}

// composite checks the description of a composite, without its members.
func (c *checker) composite(o *Objective) {
	in := o.Composite
	if in == nil {
		return
	}
	if o.Match != (Match{Zone: o.Match.Zone}) {
		c.fault(errs.CodeInvalid, "/match", "a composite objective has members instead of a match: leave out match")
	}
	o.Match = Match{} // the members decide
	if o.SLI != "" {
		c.fault(errs.CodeInvalid, "/sli", "a composite objective has the ratios of its members: leave out sli and latency")
	}
	if in.Mode != CompositeAll && in.Mode != CompositeWeighted {
		c.fault(errs.CodeInvalid, "/composite/mode", "the mode must be all or weighted, not %q", clip(string(in.Mode), 40))
	}
	if n := len(in.Members); n < minMembers || n > maxMembers {
		c.fault(errs.CodeOutOfRange, "/composite/members", "name %d to %d objectives, not %d", minMembers, maxMembers, n)
		return
	}
	sum := int64(0)
	seen := map[string]bool{}
	for i, m := range in.Members {
		at := fmt.Sprintf("/composite/members/%d", i)
		switch {
		case m.Objective == "":
			c.fault(errs.CodeMissingField, at+"/objective", "name the objective by its id")
		case seen[m.Objective]:
			c.fault(errs.CodeInvalid, at+"/objective", "the objective is listed twice")
		}
		seen[m.Objective] = true
		switch {
		case in.Mode == CompositeWeighted && (m.Weight < 1 || m.Weight >= allWeights):
			c.fault(errs.CodeOutOfRange, at+"/weight", "the weight must be 1 to %d", allWeights-1)
		case in.Mode == CompositeAll && m.Weight != 0:
			c.fault(errs.CodeInvalid, at+"/weight", "the mode all has no weights")
		}
		sum += m.Weight
	}
	if in.Mode == CompositeWeighted && sum != allWeights {
		c.fault(errs.CodeInvalid, "/composite/members", "the weights must sum to %d, not %d", allWeights, sum)
	}
}

// checkMembers checks the members of a composite against the stored objectives, and sets its property if they have the
// same one.
func checkMembers(ctx context.Context, tx *db.Tx, o *Objective) error {
	if o.Composite == nil {
		return nil
	}
	var faults errs.List
	fault := func(i int, format string, args ...any) {
		at := fmt.Sprintf("/composite/members/%d/objective", i)
		faults = append(faults, errs.At(errs.CodeInvalid, at, format, args...))
	}
	for i, m := range o.Composite.Members {
		member, err := findObjective(ctx, tx, o.account, m.Objective)
		switch {
		case isGone(err):
			fault(i, "the account has no objective with the id %s", clip(m.Objective, 64))
			continue
		case err != nil:
			return err
		case member.ID == o.ID:
			fault(i, "an objective cannot be its own member")
		case member.Composite != nil:
			fault(i, "%s is composite: name its members instead", member.Name)
		case member.Window != o.Window:
			fault(i, "%s has the window %s, and the composite %s: they must be the same", member.Name, member.Window, o.Window)
		}
		if i == 0 {
			o.Match.Zone = member.Match.Zone
		} else if o.Match.Zone != member.Match.Zone {
			o.Match.Zone = ""
		}
	}
	return faults.Or()
}

// compositesWith lists the composite objectives that have one of the objectives as a member, by id.
func compositesWith(ctx context.Context, tx *db.Tx, accountID string, ids ...string) ([]*Objective, error) {
	all, err := selectObjectives(ctx, tx, `WHERE account_id = $1 AND kind = $2 ORDER BY id`, accountID, kindComposite)
	return slices.DeleteFunc(all, func(o *Objective) bool {
		return !slices.ContainsFunc(o.Composite.Members, func(m CompositeMember) bool {
			return slices.Contains(ids, m.Objective)
		})
	}), err
}

// refuseMember refuses the change of a member that would leave a composite without it. after is nil for a deletion.
func refuseMember(ctx context.Context, tx *db.Tx, before, after *Objective) error {
	if before.Composite != nil || after != nil && after.Composite == nil && after.Window == before.Window {
		return nil
	}
	list, err := compositesWith(ctx, tx, before.account, before.ID)
	if err != nil || len(list) == 0 {
		return err
	}
	if after != nil && after.Composite == nil {
		return errs.At(errs.CodeStateConflict, "/window",
			"the objective is a member of %s, which has the window %s: remove it there first", list[0].Name, list[0].Window)
	}
	return errs.New(errs.CodeStateConflict,
		"the objective is a member of %s: remove it there first", list[0].Name)
}

// memberReading is a member of a composite, with its reading.
type memberReading struct {
	*Objective
	reading
	weight uint64
}

// composeReadings sets the readings of the composite objectives of a list.
func composeReadings(ctx context.Context, tx *db.Tx, list []*Objective, out []reading) error {
	at := map[string]int{}
	for i, o := range list {
		at[o.ID] = i
	}
	for i, o := range list {
		if o.Composite == nil {
			continue
		}
		parts := make([]memberReading, 0, len(o.Composite.Members))
		for _, m := range o.Composite.Members {
			p := memberReading{weight: uint64(m.Weight)}
			if k, ok := at[m.Objective]; ok {
				p.Objective = list[k]
				p.reading = out[k]
			} else {
				member, err := findObjective(ctx, tx, o.account, m.Objective)
				if err != nil {
					return err
				}
				p.Objective = member
				if p.reading, err = readingOf(ctx, tx, member); err != nil {
					return err
				}
			}
			parts = append(parts, p)
		}
		out[i].compose(o, parts)
	}
	return nil
}

// compose computes the reading of a composite from those of its members. Without data of one of them, it has none.
func (r *reading) compose(o *Objective, parts []memberReading) {
	r.composite = o
	r.parts = parts
	r.exclusions = nil
	r.dataAt = parts[0].dataAt
	for _, p := range parts {
		r.counted = r.counted || p.counted
		r.clock = max(r.clock, p.clock)
		r.first = max(r.first, p.first)
		r.dataAt = min(r.dataAt, p.dataAt)
	}
	for w := range r.sums {
		r.sums[w] = o.combine(parts, func(i int) Tally { return parts[i].sums[w] })
	}
}

// combine combines a tally of each member into one, by the composite's mode.
func (o *Objective) combine(parts []memberReading, of func(i int) Tally) (sum Tally) {
	if o.Composite.Mode == CompositeAll {
		for i := range parts {
			if t := of(i); worse(t, sum) {
				sum = t
			}
		}
		return sum
	}
	// The sum has as many requests that one more failure of any member is at most one more failure of the sum: the guard
	// against chance takes it for a number of requests.
	weights := uint64(0)
	for i := range parts {
		if of(i).Total > 0 {
			weights += parts[i].weight
		}
	}
	for i := range parts {
		if t := of(i); t.Total > 0 {
			if n := weights * t.Total / parts[i].weight; sum.Total == 0 || n < sum.Total {
				sum.Total = n
			}
		}
	}
	for i := range parts {
		if t := of(i); t.Total > 0 {
			sum.Bad += scaled(sum.Total*parts[i].weight, t.Bad, t.Total)
		}
	}
	if weights > 0 {
		sum.Bad /= weights
	}
	return sum
}

// worse reports whether the failure ratio of a is above that of b, or as high with more requests. No requests are best.
func worse(a, b Tally) bool {
	if a.Total == 0 || b.Total == 0 {
		return a.Total > b.Total
	}
	ah, al := bits.Mul64(a.Bad, b.Total)
	bh, bl := bits.Mul64(b.Bad, a.Total)
	return cmp.Or(cmp.Compare(ah, bh), cmp.Compare(al, bl), cmp.Compare(a.Total, b.Total)) > 0
}

// evidence has the counts that a pair is evaluated on.
type evidence struct {
	sums   windowSums
	age    int64 // of the series, in seconds
	silent func(Window) bool
}

// evidenceOf returns what a pair is evaluated on, from a stored reading. For a composite of the mode all, it is the
// member for which the pair fires, or else the one that burns most in the long window.
func (o *Objective) evidenceOf(r *reading, p *Pair) evidence {
	if o.Composite == nil || o.Composite.Mode == CompositeWeighted {
		return o.evidenceIn(r.sums, r.clock-r.first)
	}
	var found *memberReading
	for i := range r.parts {
		member := &r.parts[i]
		if !member.counted {
			continue
		}
		_, held := o.need(p, &member.sums)
		if !held && o.fires(p, &member.sums, member.clock-member.first) {
			found = member
			break
		}
		if found == nil || worse(member.sums[p.Long], found.sums[p.Long]) {
			found = member
		}
	}
	if found == nil {
		return o.evidenceIn(r.sums, 0)
	}
	return o.evidenceIn(found.sums, found.clock-found.first)
}

func (o *Objective) evidenceIn(s windowSums, age int64) evidence {
	return evidence{s, age, func(w Window) bool { return s[w].Total == 0 }}
}

// composedTimeline reads the counts of a composite's members, and combines them.
func composedTimeline(ctx context.Context, tx *db.Tx, r *reading, length int64) (t timeline, err error) {
	t = timeline{reading: *r, clock: r.clock}
	readings := make([]reading, len(r.parts))
	for i := range r.parts {
		readings[i] = r.parts[i].reading
	}
	list, err := readTimelines(ctx, tx, readings, length)
	if err != nil {
		return t, err
	}
	all := make([][]bucket, len(list))
	counted := make([][]bucket, len(list))
	for i := range list {
		all[i] = list[i].all
		counted[i] = list[i].list
	}
	t.all = r.composite.composeBuckets(r.parts, all, r.clock)
	t.list = r.composite.composeBuckets(r.parts, counted, r.clock)
	return t, nil
}

// composeBuckets combines the histories of the members. Shards whose clocks differ have compacted the same time to
// different lengths, so that all are brought to the lengths at one clock.
func (o *Objective) composeBuckets(parts []memberReading, lists [][]bucket, clock int64) []bucket {
	aligned := make([]map[stretch]Tally, len(lists))
	all := map[stretch]bool{}
	for i, list := range lists {
		aligned[i] = map[stretch]Tally{}
		for _, b := range list {
			at := stretch{b.Start, b.End}
			if from, to := tally.BlockOf(clock, b.Start); to-from > b.End-b.Start {
				at = stretch{from, to}
			}
			sum := aligned[i][at]
			sum.Add(b.Tally)
			aligned[i][at] = sum
			all[at] = true
		}
	}
	out := make([]bucket, 0, len(all))
	for at := range all {
		t := o.combine(parts, func(i int) Tally { return aligned[i][at] })
		out = append(out, bucket{Start: at.from, End: at.to, Tally: t})
	}
	slices.SortFunc(out, func(a, b bucket) int { return cmp.Compare(a.Start, b.Start) })
	return slices.DeleteFunc(out, func(b bucket) bool { return b.Total == 0 })
}

// evaluateComposites evaluates composite objectives on the stored readings of their members, in the transaction that
// changed these. Rows are locked by ascending id, because several shards may have members.
func (f *Feature) evaluateComposites(ctx context.Context, tx *db.Tx, list []*Objective, alertFrom int64) error {
	byID := func(a, b *Objective) int { return cmp.Compare(a.ID, b.ID) }
	for _, o := range slices.SortedFunc(slices.Values(list), byID) {
		n, err := tx.Exec(ctx, `UPDATE objective SET modified_at = modified_at WHERE id = $1`, o.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			continue // deleted
		}
		if err := evaluateComposite(ctx, tx, o, alertFrom); err != nil {
			return err
		}
	}
	return nil
}

func evaluateComposite(ctx context.Context, tx *db.Tx, o *Objective, alertFrom int64) error {
	r, err := readingOf(ctx, tx, o)
	if err != nil || !r.counted {
		return err
	}
	before := slices.Clone(r.pairs)
	pairs := slices.Clone(r.pairs)
	changes := o.changePairs(pairs, r.clock, alertFrom, func(p *Pair) evidence { return o.evidenceOf(&r, p) })
	var transitions []Transition
	for _, c := range changes {
		p := o.rules[c.pair]
		if c.event == Start {
			list, err := readTimelines(ctx, tx, []reading{r}, p.Long.Seconds())
			if err != nil {
				return err
			}
			pairs[c.pair].began = o.began(list[0].list, p, r.clock)
			c.state.began = pairs[c.pair].began
		}
		transitions = append(transitions, o.transition(&c.sums, r.clock, p, c.event, c.state))
	}
	w := &watch{Objective: o, pairs: pairs}
	if err := writePairStates(ctx, tx, noShard, w, before); err != nil {
		return err
	}
	return storeTransitions(ctx, tx, transitions)
}

// noShard is stored as the shard of the states of composite objectives.
const noShard = -1
