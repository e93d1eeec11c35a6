package incident

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// followSchedule begins and ends the maintenance that is due.
func (f *Feature) followSchedule(ctx context.Context) error {
	var due []string
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		due, err = db.Collect(ctx, tx, db.ScanText, `SELECT id FROM incident
			WHERE resolved_at = 0 AND kind = 'maintenance' AND automatic
			AND (status = 'scheduled' AND started_at <= $1 OR status = 'in_progress' AND scheduled_until <= $1)
			ORDER BY started_at LIMIT $2`, f.now().UnixMicro(), maxOpen)
		return err
	})
	for _, incidentID := range due {
		if err == nil {
			err = f.change(ctx, func(tx *db.Tx) error { return f.advance(ctx, tx, incidentID) })
		}
	}
	return err
}

// advance begins a maintenance that is due and ends one that is over. Another process may have done it already: changes
// wait for each other at the clock.
func (f *Feature) advance(ctx context.Context, tx *db.Tx, incidentID string) error {
	i, err := loadIncident(ctx, tx, incidentID)
	if err != nil {
		return err
	}
	now := f.now()
	// Nothing is announced of a maintenance that lies in the past.
	silent := now.Sub(i.ScheduledUntil.Time) > time.Hour
	step := func(to State, at web.Time, message string) error {
		was := i.copied()
		if last := i.Updates[0].At; last.After(at.Time) {
			at = last
		}
		i.State = to
		u := Update{State: to, At: at, Message: message}
		return f.publish(ctx, tx, publication{incident: i, was: was, update: u, silent: silent})
	}
	if i.Open() && i.Automatic && i.State == Scheduled && !now.Before(i.StartedOn.Time) {
		if err := step(InProgress, i.StartedOn, "The maintenance has begun."); err != nil {
			return err
		}
	}
	if i.Open() && i.Automatic && i.State == InProgress && !now.Before(i.ScheduledUntil.Time) {
		return step(Completed, i.ScheduledUntil, "The maintenance is complete.")
	}
	return nil
}
