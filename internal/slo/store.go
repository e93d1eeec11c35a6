package slo

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// MaxObjectives is the largest number of objectives of an account.
const MaxObjectives = 500

// storedConfig is the part of an objective that is stored as JSON.
type storedConfig struct {
	Target float64 `json:"target"`
	Window string  `json:"window"`
	Pairs  any     `json:"pairs"`
	Guard  Guard   `json:"guard"`
	NoData string  `json:"no_data,omitempty"`

	Composite *Composite `json:"composite,omitempty"`
}

const selectObjective = `SELECT id, account_id, name, zone_id, kind, value, sli, config, created_at, modified_at,
	alert_type FROM objective `

// selectObjectives reads and compiles objectives; rest is the end of the query.
func selectObjectives(ctx context.Context, tx *db.Tx, rest string, args ...any) ([]*Objective, error) {
	var list []*Objective
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var objectiveID, owner, kind, value, text, alertType string
		var created, modified int64
		var spec ObjectiveSpec
		err := rows.Scan(&objectiveID, &owner, &spec.Name, &spec.Match.Zone, &kind, &value, &spec.SLI, &text,
			&created, &modified, &alertType)
		if err != nil {
			return err
		}
		var c storedConfig
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return fmt.Errorf("objective %s: %w", objectiveID, err)
		}
		switch kind {
		case kindOrigin:
			spec.Match.Origin = value
		case kindHostname:
			spec.Match.Hostname = value
		case kindPathClass:
			spec.Match.PathClass = value
		}
		spec.Target = c.Target
		spec.Window = c.Window
		spec.Pairs = c.Pairs
		spec.Guard = c.Guard
		spec.NoData = c.NoData
		spec.Composite = c.Composite
		zone := spec.Match.Zone
		o, err := compile(spec)
		if err != nil {
			return fmt.Errorf("objective %s: %w", objectiveID, err)
		}
		o.ID = objectiveID
		o.account = owner
		o.AlertType = alertType
		o.Match.Zone = zone
		o.CreatedOn = web.TimeOf(created)
		o.ModifiedOn = web.TimeOf(modified)
		list = append(list, o)
		return nil
	}, selectObjective+rest, args...)
	return list, err
}

var errNoObjective = errs.New(errs.CodeNotFound, "there is no such objective in this account")

func findObjective(ctx context.Context, tx *db.Tx, accountID, objectiveID string) (*Objective, error) {
	list, err := selectObjectives(ctx, tx, `WHERE account_id = $1 AND id = $2`, accountID, objectiveID)
	if err == nil && len(list) == 0 {
		err = errNoObjective
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Objective reads one of an account's objectives.
func (f *Feature) Objective(ctx context.Context, accountID, objectiveID string) (o *Objective, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		o, err = findObjective(ctx, tx, accountID, objectiveID)
		return err
	})
	return o, err
}

// Objectives reads an account's objectives after an id.
func (f *Feature) Objectives(ctx context.Context, accountID, after string, limit int) (list []*Objective, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = selectObjectives(ctx, tx, `WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3`, accountID, after,
			limit)
		return err
	})
	return list, err
}

// resolve compiles a spec and finds its zone.
func (f *Feature) resolve(ctx context.Context, accountID string, spec ObjectiveSpec) (*Objective, error) {
	o, err := compile(spec)
	if err != nil {
		return nil, err
	}
	o.account = accountID
	if o.Composite != nil {
		return o, nil
	}
	ref, pointer := o.Match.Zone, "/match/zone"
	switch {
	case ref != "":
	case o.Match.Hostname != "":
		ref, pointer = o.Match.Hostname, "/match/hostname"
	default:
		ref, pointer = o.Match.Origin, "/match/origin"
	}
	zone, _, err := f.cfg.Zone(ctx, accountID, ref)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return nil, err
	}
	if err != nil || zone == "" {
		return nil, errs.At(errs.CodeInvalid, pointer,
			"the account has no property that is called %s: it appears with its first requests, or is added by hand",
			clip(ref, 100))
	}
	o.Match.Zone = zone
	return o, nil
}

// Create makes an objective.
func (f *Feature) Create(ctx context.Context, accountID string, spec ObjectiveSpec) (*Objective, error) {
	o, err := f.resolve(ctx, accountID, spec)
	if err != nil {
		return nil, err
	}
	return o, f.insert(ctx, o)
}

// insert stores a new objective.
func (f *Feature) insert(ctx context.Context, o *Objective) error {
	accountID := o.account
	now := f.now()
	o.ID = id.At(now)
	o.CreatedOn = web.TimeOf(now.UnixMicro())
	o.ModifiedOn = o.CreatedOn
	return f.change(ctx, func(tx *db.Tx, note func(changedObjective) error) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM objective WHERE account_id = $1`, accountID).Scan(&n); err != nil {
			return err
		}
		if n >= MaxObjectives {
			return errs.New(errs.CodeLimit, "the account has %d objectives, which is the most it may have", MaxObjectives)
		}
		if err := nameIsFree(ctx, tx, o); err != nil {
			return err
		}
		if err := checkMembers(ctx, tx, o); err != nil {
			return err
		}
		text, err := json.Marshal(o.stored())
		if err != nil {
			return err
		}
		k := o.seriesKey()
		_, err = tx.Exec(ctx, `INSERT INTO objective
			(id, account_id, name, zone_id, kind, value, sli, config, created_at, modified_at, alert_type)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			o.ID, accountID, o.Name, k.zone, k.kind, k.value, k.sli, string(text),
			o.CreatedOn.Micros(), o.ModifiedOn.Micros(), o.AlertType)
		if err != nil {
			return err
		}
		if err := f.correctObjective(ctx, tx, o); err != nil {
			return err
		}
		if err := f.noteAndEvaluate(ctx, tx, note, []*Objective{o}); err != nil {
			return err
		}
		return f.audit(ctx, tx, "create", o, nil, o)
	})
}

func (o *Objective) stored() storedConfig {
	return storedConfig{o.Target, o.Window.String(), o.Pairs, o.Guard, o.NoData, o.Composite}
}

func nameIsFree(ctx context.Context, tx *db.Tx, o *Objective) error {
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM objective WHERE account_id = $1 AND name = $2 AND id <> $3`,
		o.account, o.Name, o.ID).Scan(&n)
	if err == nil && n > 0 {
		err = errs.At(errs.CodeExists, "/name", "another objective of the account is called %s", o.Name)
	}
	return err
}

// Replace changes an objective. check, if given, sees the present one in the transaction and may refuse. Alerts of
// pairs that the new objective does not have end.
func (f *Feature) Replace(
	ctx context.Context, accountID, objectiveID string, spec ObjectiveSpec, check func(present *Objective) error,
) (*Objective, error) {
	o, err := f.resolve(ctx, accountID, spec)
	if err != nil {
		return nil, err
	}
	o.ID = objectiveID
	err = f.change(ctx, func(tx *db.Tx, note func(changedObjective) error) error {
		before, err := findObjective(ctx, tx, accountID, objectiveID)
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(before); err != nil {
				return err
			}
		}
		if err := refuseFollowing(before); err != nil {
			return err
		}
		if err := nameIsFree(ctx, tx, o); err != nil {
			return err
		}
		if err := refuseMember(ctx, tx, before, o); err != nil {
			return err
		}
		if err := checkMembers(ctx, tx, o); err != nil {
			return err
		}
		o.CreatedOn = before.CreatedOn
		o.ModifiedOn = web.TimeOf(f.now().UnixMicro())
		text, err := json.Marshal(o.stored())
		if err != nil {
			return err
		}
		k, old := o.seriesKey(), before.seriesKey()
		err = f.end(ctx, tx, before, func(p Pair) bool {
			return k != old || !slices.ContainsFunc(o.rules, func(q Pair) bool { return p.key() == q.key() })
		})
		if err != nil {
			return err
		}
		if k != old {
			if err := endSilence(ctx, tx, accountID, o.ID, f.now().Unix()); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM reading WHERE objective_id = $1`, o.ID); err != nil {
				return err
			}
			if err := f.correctObjective(ctx, tx, o); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE objective SET name = $3, zone_id = $4, kind = $5, value = $6, sli = $7,
			config = $8, modified_at = $9 WHERE account_id = $1 AND id = $2`,
			accountID, o.ID, o.Name, k.zone, k.kind, k.value, k.sli, string(text), o.ModifiedOn.Micros())
		if err != nil {
			return err
		}
		if before.Match.Zone != o.Match.Zone {
			if err := note(before.ref()); err != nil {
				return err
			}
		}
		if err := f.noteAndEvaluate(ctx, tx, note, []*Objective{o}); err != nil {
			return err
		}
		return f.audit(ctx, tx, "update", o, before, o)
	})
	return o, err
}

// Remove deletes an objective with its history. Its alerts end.
func (f *Feature) Remove(
	ctx context.Context, accountID, objectiveID string, check func(present *Objective) error,
) error {
	return f.remove(ctx, accountID, objectiveID, func(present *Objective) error {
		if check != nil {
			if err := check(present); err != nil {
				return err
			}
		}
		return refuseFollowing(present)
	})
}

// remove deletes an objective of any creator.
func (f *Feature) remove(
	ctx context.Context, accountID, objectiveID string, check func(present *Objective) error,
) error {
	return f.change(ctx, func(tx *db.Tx, note func(changedObjective) error) error {
		o, err := findObjective(ctx, tx, accountID, objectiveID)
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(o); err != nil {
				return err
			}
		}
		if err := refuseMember(ctx, tx, o, nil); err != nil {
			return err
		}
		if err := errors.Join(note(o.ref()), f.end(ctx, tx, o, func(Pair) bool { return true })); err != nil {
			return err
		}
		if err := endSilence(ctx, tx, accountID, o.ID, f.now().Unix()); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM reading WHERE objective_id = $1`,
			`DELETE FROM exclusion WHERE objective_id = $1`,
			`DELETE FROM transition WHERE objective_id = $1`,
			`DELETE FROM objective WHERE id = $1`,
		} {
			if _, err := tx.Exec(ctx, query, o.ID); err != nil {
				return err
			}
		}
		return f.audit(ctx, tx, "delete", o, o, nil)
	})
}

// end ends the alerts of pairs that are no longer evaluated.
func (f *Feature) end(ctx context.Context, tx *db.Tx, o *Objective, gone func(Pair) bool) error {
	r, err := readingOf(ctx, tx, o)
	if err != nil {
		return err
	}
	var ended []Transition
	for i, p := range o.rules {
		st := r.pairs[i]
		if st.state == quiet || !gone(p) {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM standing WHERE objective_id = $1 AND pair = $2`, o.ID, p.key()); err != nil {
			return err
		}
		if st.state == firing {
			ended = append(ended, o.transition(&r.sums, max(st.since, f.now().Unix()), p, End, st))
		}
	}
	return storeTransitions(ctx, tx, ended)
}

// audit records a change of an objective, in its transaction.
func (f *Feature) audit(ctx context.Context, tx *db.Tx, action string, o *Objective, before, after any) error {
	e := event.NewAudit(o.account, action, "objective", o.ID, o.Name).Changed(before, after)
	e.Zone = o.Match.Zone
	return f.cfg.Record(ctx, tx, e)
}
