package slo

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// CorrectionPreview has the numbers that a correction would change if it were requested now.
type CorrectionPreview struct {
	State      CorrectionState   `json:"state" enum:"pending,active" doc:"pending: it would wait for the approval of a second member"`
	Approval   string            `json:"needs_approval,omitempty" doc:"Why it would need the approval of a second member"`
	Objectives []CorrectedBudget `json:"objectives" doc:"Those of which requests were counted"`
}

// CorrectedBudget is the budget of an objective before and after a correction.
type CorrectedBudget struct {
	GivesBack
	Before float64 `json:"budget_left_before" doc:"1 = untouched, 0 = spent, below = overspent"`
	After  float64 `json:"budget_left_after"`
}

// previewedID is the id of a correction that is not stored.
const previewedID = "preview"

// PreviewCorrection computes what a correction would change, and stores nothing. The reason may be missing.
func (f *Feature) PreviewCorrection(
	ctx context.Context, accountID string, in CorrectionCreate,
) (CorrectionPreview, error) {
	if strings.TrimSpace(in.Reason) == "" {
		in.Reason = previewedID
	}
	now := f.now()
	c, err := in.check(now)
	if err != nil {
		return CorrectionPreview{}, err
	}
	if err := f.setTargets(ctx, accountID, c, in); err != nil {
		return CorrectionPreview{}, err
	}
	c.ID = previewedID
	c.account = accountID
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	out := CorrectionPreview{Objectives: []CorrectedBudget{}}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		objectives, err := c.targets(ctx, tx)
		if err != nil {
			return err
		}
		list, err := countedOf(ctx, tx, objectives)
		for i := range list {
			o := &list[i]
			from, to := rangeOf(o.clock, c.From.Unix(), c.To.Unix())
			fresh := exclusion{correction: c.ID, from: from, to: to, series: -1}
			o.excluded = append(o.excluded, fresh.share(o.list, o.excluded...))
			o.exclusions = append(o.exclusions, fresh)
			out.Objectives = append(out.Objectives, c.effect(o))
		}
		return err
	})
	for _, one := range out.Objectives {
		c.GivesBack = append(c.GivesBack, one.GivesBack)
	}
	c.setApproval(now)
	out.State = c.State
	out.Approval = c.Approval
	return out, err
}

// effect computes the effect of a correction on an objective that has its exclusions.
func (c *Correction) effect(o *countedObjective) CorrectedBudget {
	g := GivesBack{ObjectiveID: o.ID, Objective: o.Name, From: c.From, To: c.To}
	for k, x := range o.exclusions {
		if x.correction != c.ID {
			continue
		}
		g.From = timeOf(x.from)
		g.To = timeOf(x.to)
		for _, b := range o.excluded[k] {
			g.Total += b.Total
			g.Bad += b.Bad
		}
	}
	before := budgetOf(o.Window, o.sumsWithout(c.ID).Budget(), o.allowed, o.clock)
	after := budgetOf(o.Window, o.sumsWithout("").Budget(), o.allowed, o.clock)
	g.Budget = after.Left - before.Left
	return CorrectedBudget{g, before.Left, after.Left}
}
