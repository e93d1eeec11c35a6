package slo

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// OriginErrorAlertType is the type of alerts about the share of an origin's requests that fail, as belfry.yaml declares
// it. Its policies name properties and one of three targets. For each of them there is an objective, which exists as
// long as such a policy: its alerts have this type.
const OriginErrorAlertType = "http_alert_origin_error"

// OriginPolicy is a notification policy of the type http_alert_origin_error.
type OriginPolicy struct {
	Account string
	Zones   []string // ids, names or aliases
	Target  string   // 99.7, 99.8 or 99.9
}

// originTargets are the targets that a policy may name.
var originTargets = map[string]float64{"99.7": 99.7, "99.8": 99.8, "99.9": 99.9}

// originPair is the one pair of these objectives.
var originPair = Pair{Long: H1, Short: M5, Factor: 14.4, Severity: Page}

// originObjective identifies one of these objectives.
type originObjective struct {
	account, zone string
	target        float64
}

// followPolicies creates the objectives that policies of origin errors need, and deletes those that none needs.
func (f *Feature) followPolicies(ctx context.Context) error {
	if f.cfg.OriginPolicies == nil {
		return nil
	}
	policies, err := f.cfg.OriginPolicies(ctx)
	if err != nil {
		return err
	}
	want := map[originObjective]string{} // to the name of the property
	for _, p := range policies {
		target, ok := originTargets[p.Target]
		if !ok {
			continue
		}
		for _, ref := range p.Zones {
			zone, name, err := f.cfg.Zone(ctx, p.Account, ref)
			if err != nil && !errs.Is(err, errs.CodeNotFound) {
				return err
			}
			if err == nil && zone != "" {
				want[originObjective{p.Account, zone, target}] = name
			}
		}
	}
	var present []*Objective
	err = f.db.View(ctx, func(tx *db.Tx) error {
		present, err = selectObjectives(ctx, tx, `WHERE alert_type = $1 ORDER BY id`, OriginErrorAlertType)
		return err
	})
	if err != nil {
		return err
	}
	var failed error
	for _, o := range present {
		key := originObjective{o.account, o.Match.Zone, o.Target}
		if _, needed := want[key]; needed {
			delete(want, key)
			continue
		}
		failed = errors.Join(failed, f.remove(ctx, o.account, o.ID, nil))
	}
	for key, name := range want {
		failed = errors.Join(failed, f.createForPolicies(ctx, key, name))
	}
	return failed
}

func (f *Feature) createForPolicies(ctx context.Context, key originObjective, zoneName string) error {
	target := strconv.FormatFloat(key.target, 'f', -1, 64)
	o, err := f.resolve(ctx, key.account, ObjectiveSpec{
		Name:   fmt.Sprintf("Origin errors of %s at %s %%", clip(zoneName, 70), target),
		Match:  Match{Zone: key.zone},
		Target: key.target,
		Window: D30.String(),
		Pairs:  []Pair{originPair},
		NoData: noDataOff,
	})
	if err != nil {
		return err
	}
	o.AlertType = OriginErrorAlertType
	err = f.insert(ctx, o)
	if errs.Is(err, errs.CodeExists) || errs.Is(err, errs.CodeLimit) {
		// Another process was faster, or the account has no place for it.
		f.log.DebugContext(ctx, "objective of a policy not created", "account", key.account, "error", err)
		return nil
	}
	return err
}

// refuseFollowing refuses the change of an objective that follows policies.
func refuseFollowing(o *Objective) error {
	if o.AlertType == "" {
		return nil
	}
	return errs.New(errs.CodeStateConflict,
		"the objective exists for the notification policies of the type %s: change these instead", o.AlertType)
}

// alertFilters are the values by which policies choose the objective's alerts.
func (o *Objective) alertFilters() map[string][]string {
	if o.AlertType != OriginErrorAlertType {
		return map[string][]string{"zones": {o.Match.Zone}, "objectives": {o.ID}}
	}
	return map[string][]string{"zones": {o.Match.Zone}, "slo": {strconv.FormatFloat(o.Target, 'f', -1, 64)}}
}
