package incident

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// IncidentCreate is the body that declares an incident.
type IncidentCreate struct {
	Name       string            `json:"name" minLength:"1" maxLength:"200"`
	Impact     Impact            `json:"impact,omitempty" enum:"none,minor,major,critical" doc:"minor when left out"`
	State      State             `json:"status,omitempty" enum:"investigating,identified,monitoring,resolved" doc:"investigating when left out"`
	Message    string            `json:"message" minLength:"1" maxLength:"10000" doc:"The first update"`
	Components []ComponentHealth `json:"components,omitempty" maxItems:"200" doc:"Affected components with their status"`
	StartedOn  web.Time          `json:"started_at,omitzero" doc:"At most 366 days ago; now when left out"`
	Silent     bool              `json:"silent,omitempty" doc:"Sends no alert and no message to subscribers"`
}

// MaintenanceCreate is the body that schedules a maintenance.
type MaintenanceCreate struct {
	Name       string   `json:"name" minLength:"1" maxLength:"200"`
	Impact     Impact   `json:"impact,omitempty" enum:"none,minor,major,critical" doc:"minor when left out"`
	Message    string   `json:"message" minLength:"1" maxLength:"10000"`
	Components []string `json:"components,omitempty" maxItems:"200" doc:"Ids of the components that are under maintenance meanwhile"`
	From       web.Time `json:"scheduled_for"`
	Until      web.Time `json:"scheduled_until"`
	Automatic  *bool    `json:"automatic,omitempty" doc:"It begins and ends as scheduled; true when left out. A maintenance of the past is complete at once"`
	Silent     bool     `json:"silent,omitempty" doc:"Sends no alert and no message to subscribers"`
}

// UpdateCreate is the body that publishes an update.
type UpdateCreate struct {
	State      State             `json:"status,omitempty" enum:"investigating,identified,monitoring,resolved,scheduled,in_progress,completed,canceled" doc:"The new status; unchanged when left out"`
	Impact     Impact            `json:"impact,omitempty" enum:"none,minor,major,critical" doc:"The new impact; unchanged when left out"`
	Message    string            `json:"message" minLength:"1" maxLength:"10000"`
	Components []ComponentHealth `json:"components,omitempty" maxItems:"200" doc:"Components whose status changes; the end of the incident makes all of them operational"`
	At         web.Time          `json:"at,omitzero" doc:"Not before the last update; now when left out"`
	Silent     bool              `json:"silent,omitempty" doc:"Sends no alert and no message to subscribers"`
}

// IncidentChange is the body that changes an incident or a maintenance without an update.
type IncidentChange struct {
	Name       *string  `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Impact     *Impact  `json:"impact,omitempty" enum:"none,minor,major,critical"`
	Postmortem *string  `json:"postmortem,omitempty" maxLength:"50000" doc:"Shown below the incident once it is resolved"`
	From       web.Time `json:"scheduled_for,omitzero" doc:"Of a maintenance that has not begun"`
	Until      web.Time `json:"scheduled_until,omitzero" doc:"Of a maintenance that has not ended"`
	Automatic  *bool    `json:"automatic,omitempty" doc:"Of a maintenance"`
}

// publication is an update with what it changes.
type publication struct {
	incident *Incident
	was      *Incident // before; nil = it is declared
	update   Update
	silent   bool
	created  bool
}

// DeclareIncident publishes a new incident.
func (f *Feature) DeclareIncident(ctx context.Context, in IncidentCreate) (*Incident, error) {
	now := f.now()
	k := &checker{}
	i := &Incident{
		ID:        id.At(now),
		Kind:      KindIncident,
		Name:      k.line("/name", in.Name, true),
		Impact:    oneOf(k, "/impact", cmp.Or(in.Impact, ImpactMinor), impacts),
		State:     oneOf(k, "/status", cmp.Or(in.State, Investigating), states[KindIncident]),
		StartedOn: in.StartedOn,
	}
	if i.StartedOn.IsZero() {
		i.StartedOn = web.TimeOf(now.UnixMicro())
	}
	switch {
	case i.StartedOn.After(now):
		k.fault("/started_at", "an incident does not begin in the future: schedule a maintenance instead")
	case now.Sub(i.StartedOn.Time) > maxBack:
		k.fault("/started_at", "expected a time within the last 366 days")
	}
	message := k.text("/message", in.Message, maxMessage, true)
	u := Update{State: i.State, Message: message, At: i.StartedOn}
	err := f.change(ctx, func(tx *db.Tx) error {
		checked := *k
		known, err := componentsByID(ctx, tx)
		if err != nil {
			return err
		}
		u.Components = checked.health("/components", in.Components, known)
		if err := checked.err(); err != nil {
			return err
		}
		i.Components = slices.Clone(u.Components)
		return f.publish(ctx, tx, publication{incident: i, update: u, silent: in.Silent, created: true})
	})
	return i, err
}

// ScheduleMaintenance publishes a new maintenance.
func (f *Feature) ScheduleMaintenance(ctx context.Context, in MaintenanceCreate) (*Incident, error) {
	now := f.now()
	k := &checker{}
	i := &Incident{
		ID:             id.At(now),
		Kind:           KindMaintenance,
		Name:           k.line("/name", in.Name, true),
		Impact:         oneOf(k, "/impact", cmp.Or(in.Impact, ImpactMinor), impacts),
		State:          Scheduled,
		StartedOn:      in.From,
		ScheduledUntil: in.Until,
		Automatic:      in.Automatic == nil || *in.Automatic,
	}
	checkTimes(k, i, now)
	message := k.text("/message", in.Message, maxMessage, true)
	list := make([]ComponentHealth, len(in.Components))
	for n, componentID := range in.Components {
		list[n] = ComponentHealth{ID: componentID, Health: Maintained}
	}
	u := Update{State: Scheduled, Message: message, At: web.TimeOf(now.UnixMicro())}
	if i.StartedOn.Before(u.At.Time) {
		u.At = i.StartedOn
	}
	err := f.change(ctx, func(tx *db.Tx) error {
		checked := *k
		known, err := componentsByID(ctx, tx)
		if err != nil {
			return err
		}
		i.Components = checked.health("/components", list, known)
		if err := checked.err(); err != nil {
			return err
		}
		return f.publish(ctx, tx, publication{incident: i, update: u, silent: in.Silent, created: true})
	})
	if err != nil || !i.Automatic || now.Before(i.StartedOn.Time) {
		return i, err
	}
	if err := f.followSchedule(ctx); err != nil { // it began before now
		return nil, err
	}
	return f.Incident(ctx, i.ID)
}

// checkTimes checks the schedule of a maintenance.
func checkTimes(k *checker, i *Incident, now time.Time) {
	switch {
	case i.StartedOn.IsZero():
		k.fault("/scheduled_for", "expected the time at which the maintenance begins")
	case now.Sub(i.StartedOn.Time) > maxBack || i.StartedOn.Sub(now) > maxAhead:
		k.fault("/scheduled_for", "expected a time within 366 days")
	case !i.ScheduledUntil.After(i.StartedOn.Time):
		k.fault("/scheduled_until", "expected a time after scheduled_for")
	case i.ScheduledUntil.Sub(i.StartedOn.Time) > 31*24*time.Hour:
		k.fault("/scheduled_until", "a maintenance lasts at most 31 days")
	}
}

func componentsByID(ctx context.Context, tx *db.Tx) (map[string]Component, error) {
	list, err := selectComponents(ctx, tx)
	known := make(map[string]Component, len(list))
	for _, c := range list {
		known[c.ID] = c
	}
	return known, err
}

// PublishUpdate publishes an update of an incident or a maintenance that has not ended.
func (f *Feature) PublishUpdate(ctx context.Context, incidentID string, in UpdateCreate) (i *Incident, err error) {
	now := f.now()
	err = f.change(ctx, func(tx *db.Tx) error {
		if i, err = loadIncident(ctx, tx, incidentID); err != nil {
			return err
		}
		p, err := prepare(ctx, tx, i, in, now)
		if err != nil {
			return err
		}
		return f.publish(ctx, tx, p)
	})
	return i, err
}

// prepare checks an update and applies it to the incident.
func prepare(ctx context.Context, tx *db.Tx, i *Incident, in UpdateCreate, now time.Time) (publication, error) {
	p := publication{incident: i, was: i.copied(), silent: in.Silent}
	if !i.Open() {
		return p, errs.New(errs.CodeStateConflict, "it is %s: its updates can be corrected, and no further one is published",
			i.State)
	}
	known, err := componentsByID(ctx, tx)
	if err != nil {
		return p, err
	}
	k := &checker{}
	u := Update{At: in.At, Message: k.text("/message", in.Message, maxMessage, true)}
	u.State = oneOf(k, "/status", cmp.Or(in.State, i.State), states[i.Kind])
	if i.Kind == KindMaintenance && i.State == InProgress && u.State == Scheduled {
		k.fault("/status", "the maintenance has begun")
	}
	i.Impact = oneOf(k, "/impact", cmp.Or(in.Impact, i.Impact), impacts)
	u.Components = k.health("/components", in.Components, known)
	if len(i.Updates) >= maxUpdates {
		return p, errs.New(errs.CodeLimit, "it has %d updates, the most that it may have", maxUpdates)
	}
	if u.At.IsZero() {
		u.At = web.TimeOf(now.UnixMicro())
	}
	if len(i.Updates) > 0 && u.At.Before(i.Updates[0].At.Time) {
		k.fault("/at", "expected a time after the last update, which is of %s", i.Updates[0].At)
	}
	if u.At.After(now) {
		k.fault("/at", "expected a time that is not in the future")
	}
	i.State = u.State
	for _, changed := range u.Components {
		n := slices.IndexFunc(i.Components, func(c ComponentHealth) bool { return c.ID == changed.ID })
		if n < 0 {
			i.Components = append(i.Components, changed)
		} else {
			i.Components[n].Health = changed.Health
		}
	}
	p.update = u
	return p, k.err()
}

// copied is a copy that does not share its components.
func (i *Incident) copied() *Incident {
	c := *i
	c.Components = slices.Clone(i.Components)
	c.Updates = slices.Clone(i.Updates)
	return &c
}

// publish stores an update, the outages that follow from it, its broadcasts and its audit event.
func (f *Feature) publish(ctx context.Context, tx *db.Tx, p publication) error {
	i := p.incident
	now := f.now()
	u := p.update
	u.ID = id.At(now)
	u.Author = authorOf(ctx)
	i.ModifiedOn = web.TimeOf(now.UnixMicro())
	if i.State.Final() {
		i.ResolvedOn = u.At
		for k := range i.Components {
			i.Components[k].Health = Operational
		}
	}
	i.Updates = append([]Update{u}, i.Updates...)
	if p.created {
		if err := f.insertNew(ctx, tx, i); err != nil {
			return err
		}
	} else if err := updateIncident(ctx, tx, i); err != nil {
		return err
	}
	if err := writeAffected(ctx, tx, i); err != nil {
		return err
	}
	if err := insertUpdate(ctx, tx, i, &u, now.UnixMicro()); err != nil {
		return err
	}
	if err := writeOutages(ctx, tx, i, u); err != nil {
		return err
	}
	if !p.silent {
		if err := f.announce(ctx, tx, p, u); err != nil {
			return err
		}
	}
	published := event.NewAudit(f.cfg.OperatorAccount, "publish", "incident", i.ID, i.Name)
	var before any
	if p.was != nil {
		before = p.was.recorded()
	}
	published = published.Changed(before, i.recorded()).With(map[string]any{"message": u.Message, "silent": p.silent})
	return f.cfg.Record(ctx, tx, published)
}

func (f *Feature) insertNew(ctx context.Context, tx *db.Tx, i *Incident) error {
	i.CreatedOn = i.ModifiedOn
	i.CreatedBy = i.Updates[0].Author
	var open int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM incident WHERE resolved_at = 0`).Scan(&open); err != nil {
		return err
	}
	if open >= maxOpen {
		return errs.New(errs.CodeLimit, "%d incidents and maintenances are open, the most that may be", open)
	}
	return insertIncident(ctx, tx, i)
}

// recorded is an incident as the audit log shows it.
func (i *Incident) recorded() map[string]any {
	components := map[string]any{}
	for _, c := range i.Components {
		components[c.Name] = string(c.Health)
	}
	m := map[string]any{
		"kind":       string(i.Kind),
		"name":       i.Name,
		"impact":     string(i.Impact),
		"status":     string(i.State),
		"started_at": i.StartedOn.String(),
		"components": components,
	}
	if i.Kind == KindMaintenance {
		m["scheduled_until"] = i.ScheduledUntil.String()
		m["automatic"] = i.Automatic
	}
	if i.Postmortem != "" {
		m["postmortem"] = i.Postmortem
	}
	return m
}

// authorOf is the name of the principal of a request, or Belfry's.
func authorOf(ctx context.Context) string {
	who := web.CurrentPrincipal(ctx)
	if who == nil {
		who = feature.Belfry()
	}
	return cmp.Or(who.Name, who.Email, who.ID)
}
