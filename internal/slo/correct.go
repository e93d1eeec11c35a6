package slo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Correction reads one of an account's corrections.
func (f *Feature) Correction(ctx context.Context, accountID, correctionID string) (c *Correction, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		c, err = findCorrection(ctx, tx, accountID, correctionID)
		return err
	})
	return c, err
}

// CorrectionFilter limits a list of corrections.
type CorrectionFilter struct {
	Objective string            // id: its own, and those of its property
	Zone      string            // id of a property
	States    []CorrectionState // none = all
}

// Corrections reads the corrections of an account before an id, the newest first.
func (f *Feature) Corrections(
	ctx context.Context, accountID string, only CorrectionFilter, before string, limit int,
) (list []*Correction, err error) {
	states := make([]string, len(only.States))
	for i, state := range only.States {
		states[i] = string(state)
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		zone := "?" // matches none
		pattern := "%"
		if only.Objective != "" {
			o, err := findObjective(ctx, tx, accountID, only.Objective)
			if err != nil {
				return err
			}
			zone = o.Match.Zone
			pattern = `%"` + o.ID + `"%`
		}
		list, err = selectCorrections(ctx, tx, `WHERE account_id = $1 AND ($2 = '' OR id < $2)
			AND (zone_id = $3 OR objectives LIKE $4) AND ($5 = '' OR zone_id = $5)
			AND ($6 = '' OR $6 LIKE '%' || state || '%') ORDER BY id DESC LIMIT $7`,
			accountID, before, zone, pattern, only.Zone, strings.Join(states, " "), limit)
		return err
	})
	return list, err
}

// Correct requests a correction. It is active at once, unless it needs the approval of a second member.
func (f *Feature) Correct(ctx context.Context, accountID string, in CorrectionCreate) (*Correction, error) {
	now := f.now()
	c, err := in.check(now)
	if err != nil {
		return nil, err
	}
	if err := f.setTargets(ctx, accountID, c, in); err != nil {
		return nil, err
	}
	c.ID = id.At(now)
	c.account = accountID
	c.RequestedBy = memberOf(web.CurrentPrincipal(ctx))
	c.CreatedOn = web.TimeOf(now.UnixMicro())
	c.ModifiedOn = c.CreatedOn
	err = f.change(ctx, func(tx *db.Tx, note func(changedObjective) error) error {
		objectives, err := c.targets(ctx, tx)
		if err != nil {
			return err
		}
		if err := checkCorrections(ctx, tx, accountID, now.Unix()-kept, len(objectives)); err != nil {
			return err
		}
		if err := exclude(ctx, tx, c, objectives); err != nil {
			return err
		}
		if c.GivesBack, err = givesBack(ctx, tx, c, objectives); err != nil {
			return err
		}
		c.setApproval(now)
		if c.State == Pending {
			err = include(ctx, tx, c)
		} else {
			err = f.noteAndEvaluate(ctx, tx, note, objectives)
		}
		if err != nil {
			return err
		}
		if c.requestEvent, err = f.auditCorrection(ctx, tx, "create", nil, c); err != nil {
			return err
		}
		return writeCorrection(ctx, tx, c)
	})
	return c, err
}

// setTargets sets the property or the objectives of a correction.
func (f *Feature) setTargets(ctx context.Context, accountID string, c *Correction, in CorrectionCreate) error {
	switch {
	case (in.Zone == "") == (len(in.Objectives) == 0):
		return errs.At(errs.CodeMissingField, "/objectives",
			"name the objectives by their ids, or the property whose objectives are corrected as zone, not both")
	case len(in.Objectives) > maxTargets:
		return errs.At(errs.CodeTooLarge, "/objectives",
			"name at most %d objectives, or a property to correct all of its objectives", maxTargets)
	case in.Zone == "":
		c.Objectives = slices.Compact(slices.Sorted(slices.Values(in.Objectives)))
		return nil
	}
	zone, _, err := f.cfg.Zone(ctx, accountID, in.Zone)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return err
	}
	if err != nil || zone == "" {
		return errs.At(errs.CodeInvalid, "/zone", "the account has no property that is called %s", clip(in.Zone, 100))
	}
	c.Zone = zone
	return nil
}

// targets reads the objectives that the correction is for.
func (c *Correction) targets(ctx context.Context, tx *db.Tx) ([]*Objective, error) {
	if c.Zone != "" {
		return selectObjectives(ctx, tx, `WHERE account_id = $1 AND zone_id = $2 AND kind <> $3 ORDER BY id`,
			c.account, c.Zone, kindComposite)
	}
	var list []*Objective
	for i, objectiveID := range c.Objectives {
		o, err := findObjective(ctx, tx, c.account, objectiveID)
		if isGone(err) && c.State != Pending {
			err = errs.At(errs.CodeInvalid, fmt.Sprintf("/objectives/%d", i),
				"the account has no objective with the id %s", clip(objectiveID, 64))
		} else if isGone(err) {
			continue // deleted since the request
		}
		if err != nil {
			return nil, err
		}
		if o.Composite != nil {
			return nil, errs.At(errs.CodeInvalid, fmt.Sprintf("/objectives/%d", i),
				"%s is composite: correct its members, and it is corrected with them", o.Name)
		}
		list = append(list, o)
	}
	return list, nil
}

// checkCorrections refuses more corrections than an account may have.
func checkCorrections(ctx context.Context, tx *db.Tx, accountID string, since int64, objectives int) error {
	var corrections, exclusions int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM correction
		WHERE account_id = $1 AND state IN ('pending', 'active') AND to_at > $2`, accountID, since).Scan(&corrections)
	if err != nil {
		return err
	}
	err = tx.QueryRow(ctx, `SELECT count(*) FROM exclusion WHERE account_id = $1 AND to_at > $2`, accountID, since).
		Scan(&exclusions)
	switch {
	case err != nil:
		return err
	case corrections >= MaxCorrections:
		return errs.New(errs.CodeLimit, "the account has %d corrections, which is the most it may have", MaxCorrections)
	case exclusions+objectives > maxExclusions:
		return errs.New(errs.CodeLimit, "the account has %d corrections of single objectives, and may have %d",
			exclusions, maxExclusions)
	}
	return nil
}

// exclude stores the exclusions of a correction.
func exclude(ctx context.Context, tx *db.Tx, c *Correction, objectives []*Objective) error {
	for _, o := range objectives {
		counts := countedObjective{Objective: o}
		if _, err := counts.find(ctx, tx); err != nil {
			return err
		}
		from, to := rangeOf(counts.clock, c.From.Unix(), c.To.Unix())
		if err := insertExclusion(ctx, tx, o, c.ID, from, to); err != nil {
			return err
		}
	}
	return nil
}

func insertExclusion(ctx context.Context, tx *db.Tx, o *Objective, correctionID string, from, to int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO exclusion
		(id, account_id, zone_id, objective_id, correction_id, from_at, to_at, shard, line)
		VALUES ($1, $2, $3, $4, $5, $6, $7, -1, -1)`,
		id.New(), o.account, o.Match.Zone, o.ID, correctionID, from, to)
	return err
}

// include removes the exclusions of a correction.
func include(ctx context.Context, tx *db.Tx, c *Correction) error {
	_, err := tx.Exec(ctx, `DELETE FROM exclusion WHERE correction_id = $1`, c.ID)
	return err
}

// givesBack computes the effect of a correction whose exclusions are stored.
func givesBack(ctx context.Context, tx *db.Tx, c *Correction, objectives []*Objective) ([]GivesBack, error) {
	list, err := countedOf(ctx, tx, objectives)
	out := make([]GivesBack, 0, len(list))
	for i := range list {
		out = append(out, c.effect(&list[i]).GivesBack)
	}
	return out, err
}

// noteAndEvaluate follows a change of the exclusions of objectives.
func (f *Feature) noteAndEvaluate(
	ctx context.Context, tx *db.Tx, note func(changedObjective) error, objectives []*Objective,
) error {
	for _, o := range objectives {
		if err := note(o.ref()); err != nil {
			return err
		}
	}
	if err := f.evaluateNow(ctx, tx, objectives...); err != nil || len(objectives) == 0 {
		return err
	}
	var ids []string
	var composites []*Objective
	for _, o := range objectives {
		ids = append(ids, o.ID)
		if o.Composite != nil {
			composites = append(composites, o)
		}
	}
	with, err := compositesWith(ctx, tx, objectives[0].account, ids...)
	if err != nil {
		return err
	}
	return f.evaluateComposites(ctx, tx, append(composites, with...), f.now().Unix()-alertFor)
}

// Approve makes a pending correction active. Who requested it may not approve it, and neither may a token.
func (f *Feature) Approve(ctx context.Context, accountID, correctionID string) (*Correction, error) {
	return f.decide(ctx, accountID, correctionID, "approve", func(c *Correction) error {
		who := web.CurrentPrincipal(ctx)
		switch {
		case c.State != Pending:
			return errs.New(errs.CodeStateConflict, "the correction is %s: only a pending one can be approved", c.State)
		case isToken(who):
			return errs.New(errs.CodeForbidden, "a correction of this size is approved by a member, not by a token")
		case memberOf(who).Key == c.RequestedBy.Key:
			return errs.New(errs.CodeForbidden, "who requested a correction may not approve it: ask another member")
		}
		c.State = Active
		return nil
	})
}

// isToken reports whether a principal is a program.
func isToken(who *web.Principal) bool {
	return who != nil && (who.Kind == web.KindToken || who.Kind == web.KindProducer)
}

// approvable reports whether the correction waits for approval, and a principal is not the one who requested it. It
// does not check permissions.
func (c *Correction) approvable(who *web.Principal) bool {
	return c.State == Pending && !isToken(who) && memberOf(who).Key != c.RequestedBy.Key
}

// Reject ends a pending correction. Who requested it may do so too.
func (f *Feature) Reject(ctx context.Context, accountID, correctionID string) (*Correction, error) {
	return f.decide(ctx, accountID, correctionID, "reject", func(c *Correction) error {
		if c.State != Pending {
			return errs.New(errs.CodeStateConflict, "the correction is %s: only a pending one can be rejected", c.State)
		}
		c.State = Rejected
		return nil
	})
}

// RemoveCorrection takes a correction back: its counts count again. A pending one is rejected.
func (f *Feature) RemoveCorrection(ctx context.Context, accountID, correctionID string) (*Correction, error) {
	return f.decide(ctx, accountID, correctionID, "delete", func(c *Correction) error {
		switch c.State {
		case Pending:
			c.State = Rejected
		case Active:
			c.State = Removed
		default:
			return errs.New(errs.CodeStateConflict, "the correction is %s already", c.State)
		}
		return nil
	})
}

// decide changes the state of a correction.
func (f *Feature) decide(
	ctx context.Context, accountID, correctionID, action string, to func(*Correction) error,
) (c *Correction, err error) {
	err = f.change(ctx, func(tx *db.Tx, note func(changedObjective) error) error {
		if c, err = findCorrection(ctx, tx, accountID, correctionID); err != nil {
			return err
		}
		before := *c
		objectives, err := before.present(ctx, tx)
		if err != nil {
			return err
		}
		if err := to(c); err != nil {
			return err
		}
		who := memberOf(web.CurrentPrincipal(ctx))
		c.DecidedBy = &who
		c.ModifiedOn = web.TimeOf(f.now().UnixMicro())
		switch c.State {
		case Active:
			if err = exclude(ctx, tx, c, objectives); err == nil {
				c.GivesBack, err = givesBack(ctx, tx, c, objectives)
			}
		case Removed:
			err = inherit(ctx, tx, c, objectives)
		}
		if err == nil && c.State != Rejected {
			err = f.noteAndEvaluate(ctx, tx, note, objectives)
		}
		if err != nil {
			return err
		}
		if c.decisionEvent, err = f.auditCorrection(ctx, tx, action, &before, c); err != nil {
			return err
		}
		return writeCorrection(ctx, tx, c)
	})
	return c, err
}

// present reads the objectives of the correction that still exist.
func (c Correction) present(ctx context.Context, tx *db.Tx) ([]*Objective, error) {
	c.State = Pending
	return c.targets(ctx, tx)
}

// inherit removes the exclusions of a correction. Where other corrections of an objective cover the same time, its
// counts are theirs from now on.
func inherit(ctx context.Context, tx *db.Tx, c *Correction, objectives []*Objective) error {
	all, err := readExclusions(ctx, tx, c.account, "", 0)
	if err != nil {
		return err
	}
	for _, o := range objectives {
		ranges := rangesOf(all[o.ID])
		for _, other := range slices.Sorted(maps.Keys(ranges)) {
			if other == c.ID {
				continue
			}
			for _, r := range intersect(ranges[c.ID], ranges[other]) {
				if err := insertExclusion(ctx, tx, o, other, r.from, r.to); err != nil {
					return err
				}
			}
		}
	}
	return include(ctx, tx, c)
}

// correctObjective gives a new objective, or one whose requests are others now, the exclusions of the corrections that
// apply to it.
func (f *Feature) correctObjective(ctx context.Context, tx *db.Tx, o *Objective) error {
	if _, err := tx.Exec(ctx, `DELETE FROM exclusion WHERE objective_id = $1`, o.ID); err != nil {
		return err
	}
	if o.Composite != nil {
		return nil
	}
	list, err := selectCorrections(ctx, tx, `WHERE account_id = $1 AND state = 'active' AND to_at > $2 ORDER BY id`,
		o.account, f.now().Unix()-kept)
	for _, c := range list {
		if err == nil && c.appliesTo(o) {
			err = exclude(ctx, tx, c, []*Objective{o})
		}
	}
	return err
}

// auditCorrection records a change of a correction, in its transaction, and returns the id of the event.
func (f *Feature) auditCorrection(
	ctx context.Context, tx *db.Tx, action string, before, after *Correction,
) (eventID string, err error) {
	var was any
	if before != nil {
		was = before
	}
	e := event.NewAudit(after.account, action, "correction", after.ID, after.name()).Changed(was, after).At(f.now())
	e.Zone = after.Zone
	return e.ID, f.cfg.Record(ctx, tx, e)
}
