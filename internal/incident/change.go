package incident

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// ChangeIncident changes an incident or a maintenance without an update. A new schedule of a maintenance is announced.
func (f *Feature) ChangeIncident(ctx context.Context, incidentID string, in IncidentChange) (i *Incident, err error) {
	now := f.now()
	err = f.change(ctx, func(tx *db.Tx) error {
		if i, err = loadIncident(ctx, tx, incidentID); err != nil {
			return err
		}
		if err := web.IfMatch(ctx, i); err != nil {
			return err
		}
		before := i.copied()
		k := &checker{}
		if in.Name != nil {
			i.Name = k.line("/name", *in.Name, true)
		}
		if in.Impact != nil {
			i.Impact = oneOf(k, "/impact", *in.Impact, impacts)
		}
		if in.Postmortem != nil {
			i.Postmortem = k.text("/postmortem", *in.Postmortem, maxPostmortem, false)
		}
		moved, err := reschedule(k, i, in)
		if err != nil {
			return err
		}
		if moved {
			checkTimes(k, i, now)
		}
		if err := k.err(); err != nil {
			return err
		}
		i.ModifiedOn = web.TimeOf(now.UnixMicro())
		if moved {
			u := Update{State: i.State, At: web.TimeOf(now.UnixMicro()), Message: "New schedule: " + scheduleWords(i) + "."}
			return f.publish(ctx, tx, publication{incident: i, was: before, update: u})
		}
		if err := updateIncident(ctx, tx, i); err != nil {
			return err
		}
		updated := event.NewAudit(f.cfg.OperatorAccount, "update", "incident", i.ID, i.Name)
		return f.cfg.Record(ctx, tx, updated.Changed(before.recorded(), i.recorded()))
	})
	return i, err
}

// reschedule sets the times of a maintenance, and reports whether they are others now.
func reschedule(k *checker, i *Incident, in IncidentChange) (moved bool, err error) {
	if i.Kind != KindMaintenance {
		if !in.From.IsZero() || !in.Until.IsZero() || in.Automatic != nil {
			k.fault("/scheduled_for", "an incident has no schedule")
		}
		return false, nil
	}
	if in.Automatic != nil {
		i.Automatic = *in.Automatic
	}
	from := !in.From.IsZero() && !in.From.Equal(i.StartedOn.Time)
	until := !in.Until.IsZero() && !in.Until.Equal(i.ScheduledUntil.Time)
	if (from || until) && !i.Open() || from && i.State != Scheduled {
		return false, errs.New(errs.CodeStateConflict, "the maintenance is %s: its schedule cannot be changed", i.State)
	}
	if from {
		i.StartedOn = in.From
	}
	if until {
		i.ScheduledUntil = in.Until
	}
	return from || until, nil
}

// scheduleWords are the times of a maintenance in words.
func scheduleWords(i *Incident) string {
	const layout = "2 January 2006, 15:04"
	end := i.ScheduledUntil.UTC()
	if end.Format("2006-01-02") == i.StartedOn.UTC().Format("2006-01-02") {
		return i.StartedOn.UTC().Format(layout) + " to " + end.Format("15:04") + " UTC"
	}
	return i.StartedOn.UTC().Format(layout) + " to " + end.Format(layout) + " UTC"
}

// MessageUpdate is the body that corrects the message of an update.
type MessageUpdate struct {
	Message string `json:"message" minLength:"1" maxLength:"10000"`
}

// CorrectUpdate replaces the message of an update on the page. It sends nothing.
func (f *Feature) CorrectUpdate(
	ctx context.Context, incidentID, updateID string, in MessageUpdate,
) (i *Incident, err error) {
	now := f.now().UnixMicro()
	k := &checker{}
	message := k.text("/message", in.Message, maxMessage, true)
	if err := k.err(); err != nil {
		return nil, err
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		if i, err = loadIncident(ctx, tx, incidentID); err != nil {
			return err
		}
		n := slices.IndexFunc(i.Updates, func(u Update) bool { return u.ID == updateID })
		if n < 0 {
			return errs.At(errs.CodeNotFound, "update_id", "the incident has no such update")
		}
		u := &i.Updates[n]
		before := map[string]any{"update": u.ID, "message": u.Message}
		u.Message = message
		u.ModifiedOn = web.TimeOf(now)
		i.ModifiedOn = web.TimeOf(now)
		if _, err := tx.Exec(ctx, `UPDATE incident_update SET message = $2, modified_at = $3 WHERE id = $1`,
			u.ID, u.Message, now); err != nil {
			return err
		}
		if err := updateIncident(ctx, tx, i); err != nil {
			return err
		}
		corrected := event.NewAudit(f.cfg.OperatorAccount, "correct_update", "incident", i.ID, i.Name)
		return f.cfg.Record(ctx, tx, corrected.Changed(before, map[string]any{"update": u.ID, "message": u.Message}))
	})
	return i, err
}
