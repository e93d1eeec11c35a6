package incident

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

var incidentColumns = []string{
	"id",
	"kind",
	"name",
	"impact",
	"status",
	"started_at",
	"scheduled_until",
	"resolved_at",
	"automatic",
	"postmortem",
	"created_by",
	"created_at",
	"modified_at",
}

// row is an incident in the order of incidentColumns.
func (i *Incident) row() []any {
	return []any{
		i.ID,
		string(i.Kind),
		i.Name,
		string(i.Impact),
		string(i.State),
		i.StartedOn.Micros(),
		microsOf(i.ScheduledUntil),
		microsOf(i.ResolvedOn),
		i.Automatic,
		i.Postmortem,
		i.CreatedBy,
		i.CreatedOn.Micros(),
		i.ModifiedOn.Micros(),
	}
}

// microsOf is a time as it is stored; 0 = never.
func microsOf(t web.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Micros()
}

// timeOf is a stored time; the zero Time = never.
func timeOf(micros int64) web.Time {
	if micros == 0 {
		return web.Time{}
	}
	return web.TimeOf(micros)
}

func scanIncident(row db.Row) (*Incident, error) {
	i := &Incident{}
	var started, until, resolved, created, modified int64
	err := row.Scan(
		&i.ID,
		&i.Kind,
		&i.Name,
		&i.Impact,
		&i.State,
		&started,
		&until,
		&resolved,
		&i.Automatic,
		&i.Postmortem,
		&i.CreatedBy,
		&created,
		&modified,
	)
	i.StartedOn = web.TimeOf(started)
	i.ScheduledUntil = timeOf(until)
	i.ResolvedOn = timeOf(resolved)
	i.CreatedOn = web.TimeOf(created)
	i.ModifiedOn = web.TimeOf(modified)
	return i, err
}

// selectIncidents reads incidents with their components. rest follows the table's name i.
func selectIncidents(ctx context.Context, tx *db.Tx, rest string, args ...any) ([]*Incident, error) {
	columns := "i." + strings.Join(incidentColumns, ", i.")
	list, err := db.Collect(ctx, tx, scanIncident, `SELECT `+columns+` FROM incident i `+rest, args...)
	if err != nil {
		return nil, err
	}
	return list, loadAffected(ctx, tx, list)
}

// loadAffected sets the components of incidents, in their order.
func loadAffected(ctx context.Context, tx *db.Tx, list []*Incident) error {
	if len(list) == 0 {
		return nil
	}
	byID := map[string]*Incident{}
	ids := make([]string, len(list))
	for k, i := range list {
		i.Components = []ComponentHealth{}
		byID[i.ID] = i
		ids[k] = i.ID
	}
	var args []any
	in := db.Parameters(&args, ids)
	return db.Each(ctx, tx, func(row db.Row) error {
		var incidentID string
		var c ComponentHealth
		if err := row.Scan(&incidentID, &c.ID, &c.Name, &c.Health); err != nil {
			return err
		}
		i := byID[incidentID]
		i.Components = append(i.Components, c)
		return nil
	}, `SELECT a.incident_id, a.component_id, c.name, a.status FROM affected a JOIN component c ON c.id = a.component_id
		WHERE a.incident_id IN (`+in+`) ORDER BY c.position, c.id`, args...)
}

// loadUpdates sets the updates of incidents, the newest first.
func loadUpdates(ctx context.Context, tx *db.Tx, list []*Incident) error {
	if len(list) == 0 {
		return nil
	}
	byID := map[string]*Incident{}
	ids := make([]string, len(list))
	for k, i := range list {
		byID[i.ID] = i
		ids[k] = i.ID
	}
	var args []any
	in := db.Parameters(&args, ids)
	return db.Each(ctx, tx, func(row db.Row) error {
		u, incidentID, err := scanUpdate(row)
		if err != nil {
			return err
		}
		i := byID[incidentID]
		i.Updates = append(i.Updates, u)
		return nil
	}, `SELECT id, incident_id, status, message, at, author, components, modified_at FROM incident_update
		WHERE incident_id IN (`+in+`) ORDER BY incident_id, at DESC, id DESC`, args...)
}

func scanUpdate(row db.Row) (u Update, incidentID string, err error) {
	var at, modified int64
	var components string
	err = row.Scan(
		&u.ID,
		&incidentID,
		&u.State,
		&u.Message,
		&at,
		&u.Author,
		&components,
		&modified,
	)
	if err != nil {
		return u, "", err
	}
	u.At = web.TimeOf(at)
	u.ModifiedOn = timeOf(modified)
	if err := json.Unmarshal([]byte(components), &u.Components); err != nil {
		return u, "", fmt.Errorf("components of the update %s: %w", u.ID, err)
	}
	return u, incidentID, nil
}

// loadIncident reads one incident with components and updates; CodeNotFound when there is none.
func loadIncident(ctx context.Context, tx *db.Tx, incidentID string) (*Incident, error) {
	list, err := selectIncidents(ctx, tx, `WHERE i.id = $1`, incidentID)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errs.At(errs.CodeNotFound, "incident_id", "there is no such incident")
	}
	return list[0], loadUpdates(ctx, tx, list)
}

func insertIncident(ctx context.Context, tx *db.Tx, i *Incident) error {
	return tx.Insert(ctx, "incident", incidentColumns, "", [][]any{i.row()})
}

func updateIncident(ctx context.Context, tx *db.Tx, i *Incident) error {
	_, err := tx.Exec(ctx, `UPDATE incident SET name = $2, impact = $3, status = $4, started_at = $5,
		scheduled_until = $6, resolved_at = $7, automatic = $8, postmortem = $9, modified_at = $10 WHERE id = $1`,
		i.ID,
		i.Name,
		string(i.Impact),
		string(i.State),
		i.StartedOn.Micros(),
		microsOf(i.ScheduledUntil),
		microsOf(i.ResolvedOn),
		i.Automatic,
		i.Postmortem,
		i.ModifiedOn.Micros(),
	)
	return err
}

// writeAffected replaces the statuses of an incident's components.
func writeAffected(ctx context.Context, tx *db.Tx, i *Incident) error {
	if _, err := tx.Exec(ctx, `DELETE FROM affected WHERE incident_id = $1`, i.ID); err != nil {
		return err
	}
	rows := make([][]any, len(i.Components))
	for k, c := range i.Components {
		rows[k] = []any{
			i.ID,
			c.ID,
			string(c.Health),
		}
	}
	return tx.Insert(ctx, "affected", []string{"incident_id", "component_id", "status"}, "", rows)
}

func insertUpdate(ctx context.Context, tx *db.Tx, i *Incident, u *Update, now int64) error {
	changed := u.Components
	if changed == nil {
		changed = []ComponentHealth{}
	}
	components, err := json.Marshal(changed)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO incident_update
		(id, incident_id, status, message, at, author, components, created_at, modified_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		u.ID,
		i.ID,
		string(u.State),
		u.Message,
		u.At.Micros(),
		u.Author,
		string(components),
		now,
	)
	return err
}

// Incident reads an incident or a maintenance with its updates; CodeNotFound when there is none.
func (f *Feature) Incident(ctx context.Context, incidentID string) (i *Incident, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		i, err = loadIncident(ctx, tx, incidentID)
		return err
	})
	return i, err
}

// Query selects incidents.
type Query struct {
	Kind      Kind   // "" = both
	State     State  // "" = all
	Open      bool   // only those that have not ended
	Component string // id; "" = all
	Since     int64  // microseconds: they began at or after it; 0 = any time
	Before    int64  // they began before it; 0 = any time
}

// Incidents lists incidents after a position, those that began last first. Updates are left out.
func (f *Feature) Incidents(ctx context.Context, q Query, after web.Keyset, limit int) (list []*Incident, err error) {
	var args []any
	add := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	where := []string{"TRUE"}
	if q.Kind != "" {
		where = append(where, "i.kind = "+add(q.Kind))
	}
	if q.State != "" {
		where = append(where, "i.status = "+add(q.State))
	}
	if q.Open {
		where = append(where, "i.resolved_at = 0")
	}
	if q.Component != "" {
		where = append(where, "EXISTS (SELECT 1 FROM affected x WHERE x.incident_id = i.id AND x.component_id = "+
			add(q.Component)+")")
	}
	if q.Since > 0 {
		where = append(where, "i.started_at >= "+add(q.Since))
	}
	if q.Before > 0 {
		where = append(where, "i.started_at < "+add(q.Before))
	}
	if after.ID != "" {
		where = append(where, fmt.Sprintf("(i.started_at, i.id) < (%s, %s)", add(after.At), add(after.ID)))
	}
	rest := `WHERE ` + strings.Join(where, " AND ") + ` ORDER BY i.started_at DESC, i.id DESC LIMIT ` + add(limit)
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = selectIncidents(ctx, tx, rest, args...)
		return err
	})
	return list, err
}

func incidentKey(i *Incident) web.Keyset { return web.Keyset{At: i.StartedOn.Micros(), ID: i.ID} }

// noRows reports a query without a result.
func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
