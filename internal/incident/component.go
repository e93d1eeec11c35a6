package incident

import (
	"context"
	"database/sql"
	"errors"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// ComponentCreate is the body that creates a component.
type ComponentCreate struct {
	Name        string `json:"name" minLength:"1" maxLength:"200"`
	Description string `json:"description,omitempty" maxLength:"1000"`
	Group       string `json:"group,omitempty" maxLength:"200" doc:"Heading on the status page"`
	Location    string `json:"location,omitempty" maxLength:"16" doc:"Code of a site, such as AMS"`
	Position    int64  `json:"position,omitempty" minimum:"0" maximum:"1000000" doc:"0: after the others"`
}

// ComponentUpdate is the body that changes a component.
type ComponentUpdate struct {
	Name        *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Description *string `json:"description,omitempty" maxLength:"1000"`
	Group       *string `json:"group,omitempty" maxLength:"200"`
	Location    *string `json:"location,omitempty" maxLength:"16"`
	Position    *int64  `json:"position,omitempty" minimum:"0" maximum:"1000000"`
}

const componentColumns = `id, name, description, group_name, location, position, created_at, modified_at`

func scanComponent(row db.Row) (Component, error) {
	var c Component
	var created, modified int64
	err := row.Scan(
		&c.ID,
		&c.Name,
		&c.Description,
		&c.Group,
		&c.Location,
		&c.Position,
		&created,
		&modified,
	)
	c.Health = Operational
	c.CreatedOn = web.TimeOf(created)
	c.ModifiedOn = web.TimeOf(modified)
	return c, err
}

// selectComponents reads all components in their order.
func selectComponents(ctx context.Context, tx *db.Tx) ([]Component, error) {
	list, err := db.Collect(ctx, tx, scanComponent, `SELECT `+componentColumns+` FROM component
		WHERE deleted_at = 0 ORDER BY position, id LIMIT $1`, maxComponents)
	return grouped(list), err
}

// grouped keeps the components of a group together, where its first one is.
func grouped(list []Component) []Component {
	var order []string
	byGroup := map[string][]Component{}
	for _, c := range list {
		if len(byGroup[c.Group]) == 0 {
			order = append(order, c.Group)
		}
		byGroup[c.Group] = append(byGroup[c.Group], c)
	}
	out := make([]Component, 0, len(list))
	for _, group := range order {
		out = append(out, byGroup[group]...)
	}
	return out
}

// Components lists all components in their order, with their present status.
func (f *Feature) Components(ctx context.Context) (list []Component, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		if list, err = selectComponents(ctx, tx); err != nil {
			return err
		}
		return setHealth(ctx, tx, list)
	})
	return list, err
}

// setHealth sets the present status of components.
func setHealth(ctx context.Context, tx *db.Tx, list []Component) error {
	worst := map[string]Health{}
	err := db.Each(ctx, tx, func(row db.Row) error {
		var componentID string
		var h Health
		if err := row.Scan(&componentID, &h); err != nil {
			return err
		}
		if h.rank() > worst[componentID].rank() {
			worst[componentID] = h
		}
		return nil
	}, `SELECT component_id, status FROM outage WHERE to_at = 0 LIMIT $1`, maxOpen*maxComponents)
	for i := range list {
		if h := worst[list[i].ID]; h != "" {
			list[i].Health = h
		}
	}
	return err
}

// Component reads a component; CodeNotFound when there is none.
func (f *Feature) Component(ctx context.Context, componentID string) (c Component, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		c, err = loadComponent(ctx, tx, componentID)
		return err
	})
	return c, err
}

func loadComponent(ctx context.Context, tx *db.Tx, componentID string) (Component, error) {
	c, err := scanComponent(tx.QueryRow(ctx, `SELECT `+componentColumns+` FROM component
		WHERE id = $1 AND deleted_at = 0`, componentID))
	if errors.Is(err, sql.ErrNoRows) {
		return c, errs.At(errs.CodeNotFound, "component_id", "there is no such component")
	}
	if err != nil {
		return c, err
	}
	one := []Component{c}
	err = setHealth(ctx, tx, one)
	return one[0], err
}

// check checks the fields that operators set.
func (c *Component) check() error {
	k := &checker{}
	c.Name = k.line("/name", c.Name, true)
	c.Description = k.text("/description", c.Description, 1000, false)
	c.Group = k.line("/group", c.Group, false)
	c.Location = k.location("/location", c.Location)
	return k.err()
}

// CreateComponent adds a component.
func (f *Feature) CreateComponent(ctx context.Context, in ComponentCreate) (Component, error) {
	now := f.now()
	c := Component{
		ID:          id.At(now),
		Name:        in.Name,
		Description: in.Description,
		Group:       in.Group,
		Location:    in.Location,
		Position:    in.Position,
		Health:      Operational,
		CreatedOn:   web.TimeOf(now.UnixMicro()),
		ModifiedOn:  web.TimeOf(now.UnixMicro()),
	}
	if err := c.check(); err != nil {
		return Component{}, err
	}
	err := f.change(ctx, func(tx *db.Tx) error {
		var n, last int64
		err := tx.QueryRow(ctx, `SELECT count(*), coalesce(max(position), 0) FROM component WHERE deleted_at = 0`).
			Scan(&n, &last)
		switch {
		case err != nil:
			return err
		case n >= maxComponents:
			return errs.New(errs.CodeLimit, "there are %d components, the most that there may be", n)
		case in.Position == 0:
			c.Position = last + 10
		}
		_, err = tx.Exec(ctx, `INSERT INTO component
			(id, name, description, group_name, location, position, created_at, modified_at, deleted_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0)`,
			c.ID, c.Name, c.Description, c.Group, c.Location, c.Position, now.UnixMicro())
		if err != nil {
			return componentTaken(err, c)
		}
		created := event.NewAudit(f.cfg.OperatorAccount, "create", "status_component", c.ID, c.Name)
		return f.cfg.Record(ctx, tx, created.Changed(nil, c.recorded()))
	})
	return c, err
}

func componentTaken(err error, c Component) error {
	if db.Unique(err) {
		return errs.At(errs.CodeExists, "/name", "there is a component of this name in the group already")
	}
	return err
}

// recorded is a component as the audit log shows it.
func (c *Component) recorded() map[string]any {
	return map[string]any{
		"name":        c.Name,
		"description": c.Description,
		"group":       c.Group,
		"location":    c.Location,
		"position":    c.Position,
	}
}

// UpdateComponent changes the fields that are not nil.
func (f *Feature) UpdateComponent(
	ctx context.Context, componentID string, in ComponentUpdate,
) (c Component, err error) {
	now := f.now().UnixMicro()
	err = f.change(ctx, func(tx *db.Tx) error {
		if c, err = loadComponent(ctx, tx, componentID); err != nil {
			return err
		}
		if err := web.IfMatch(ctx, c); err != nil {
			return err
		}
		before := c.recorded()
		for _, field := range []struct{ to, from *string }{
			{&c.Name, in.Name},
			{&c.Description, in.Description},
			{&c.Group, in.Group},
			{&c.Location, in.Location},
		} {
			if field.from != nil {
				*field.to = *field.from
			}
		}
		if in.Position != nil {
			c.Position = *in.Position
		}
		if err := c.check(); err != nil {
			return err
		}
		c.ModifiedOn = web.TimeOf(now)
		_, err := tx.Exec(ctx, `UPDATE component
			SET name = $2, description = $3, group_name = $4, location = $5, position = $6, modified_at = $7 WHERE id = $1`,
			c.ID, c.Name, c.Description, c.Group, c.Location, c.Position, now)
		if err != nil {
			return componentTaken(err, c)
		}
		updated := event.NewAudit(f.cfg.OperatorAccount, "update", "status_component", c.ID, c.Name)
		return f.cfg.Record(ctx, tx, updated.Changed(before, c.recorded()))
	})
	return c, err
}

// DeleteComponent removes a component that no open incident affects. Old incidents keep its name.
func (f *Feature) DeleteComponent(ctx context.Context, componentID string) error {
	return f.change(ctx, func(tx *db.Tx) error {
		c, err := loadComponent(ctx, tx, componentID)
		if err != nil {
			return err
		}
		if err := web.IfMatch(ctx, c); err != nil {
			return err
		}
		var open int
		err = tx.QueryRow(ctx, `SELECT count(*) FROM affected a JOIN incident i ON i.id = a.incident_id
			WHERE a.component_id = $1 AND i.resolved_at = 0`, componentID).Scan(&open)
		switch {
		case err != nil:
			return err
		case open > 0:
			return errs.New(errs.CodeStateConflict,
				"%d open incidents or maintenances affect the component: end them first", open)
		}
		if _, err := tx.Exec(ctx, `UPDATE component SET deleted_at = $2 WHERE id = $1`, componentID,
			f.now().UnixMicro()); err != nil {
			return err
		}
		removed := event.NewAudit(f.cfg.OperatorAccount, "delete", "status_component", c.ID, c.Name)
		return f.cfg.Record(ctx, tx, removed.Changed(c.recorded(), nil))
	})
}
