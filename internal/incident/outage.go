package incident

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// writeOutages begins and ends the outages of an incident's components, as of an update. Components of a maintenance
// that has not begun are operational.
func writeOutages(ctx context.Context, tx *db.Tx, i *Incident, u Update) error {
	at := u.At.Micros()
	wanted := map[string]Health{}
	for _, c := range i.Components {
		if c.Health != Operational && i.State != Scheduled && i.Open() {
			wanted[c.ID] = c.Health
		}
	}
	open := map[string]Health{}
	err := db.Each(ctx, tx, func(row db.Row) error {
		var componentID string
		var h Health
		err := row.Scan(&componentID, &h)
		open[componentID] = h
		return err
	}, `SELECT component_id, status FROM outage WHERE incident_id = $1 AND to_at = 0`, i.ID)
	if err != nil {
		return err
	}

	for componentID, h := range open {
		if wanted[componentID] == h {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE outage SET to_at = $3
			WHERE incident_id = $1 AND component_id = $2 AND to_at = 0`, i.ID, componentID, at); err != nil {
			return err
		}
	}
	for componentID, h := range wanted {
		if open[componentID] == h {
			continue
		}
		// Two updates of one microsecond: the later one holds.
		if _, err := tx.Exec(ctx, `INSERT INTO outage (incident_id, component_id, from_at, status, to_at)
			VALUES ($1, $2, $3, $4, 0) ON CONFLICT (incident_id, component_id, from_at)
			DO UPDATE SET status = excluded.status, to_at = 0`, i.ID, componentID, at, string(h)); err != nil {
			return err
		}
	}
	return nil
}

// outage is a time in which a component was worse than operational. A zero End = it still is.
type outage struct {
	Component string
	Incident  string
	Health    Health
	From, End time.Time
}

// weight is the part of the time that counts as down: the same as other status pages count.
func (h Health) weight() float64 {
	switch h {
	case MajorOutage:
		return 1
	case PartialOutage:
		return 0.3
	}
	return 0
}

// day is one day (UTC) of a component.
type day struct {
	Date   time.Time
	Known  bool // the component existed
	Worst  Health
	Down   time.Duration // weighted
	Lasted time.Duration // of the day, or of its part that is over
}

// history are the days of a component up to now, the oldest first. Where incidents overlap, the worst one counts.
func history(list []outage, created, now time.Time, days int) []day {
	today := now.UTC().Truncate(24 * time.Hour)
	out := make([]day, days)
	for n := range out {
		from := today.AddDate(0, 0, n+1-days)
		out[n] = dayOf(list, from, created, now)
	}
	return out
}

// dayOf sweeps over the outages of one day.
func dayOf(list []outage, from, created, now time.Time) day {
	end := from.Add(24 * time.Hour)
	if end.After(now) {
		end = now
	}
	d := day{Date: from, Worst: Operational, Lasted: end.Sub(from)}
	marks := []time.Time{from, end}
	var within []outage
	for _, o := range list {
		if o.End.IsZero() || o.End.After(now) {
			o.End = now
		}
		if !o.From.Before(end) || !o.End.After(from) {
			continue
		}
		within = append(within, o)
		for _, at := range []time.Time{o.From, o.End} {
			if at.After(from) && at.Before(end) {
				marks = append(marks, at)
			}
		}
	}
	d.Known = created.Before(from.Add(24*time.Hour)) || len(within) > 0
	slices.SortFunc(marks, time.Time.Compare)
	for n := range len(marks) - 1 {
		worst := Operational
		for _, o := range within {
			if !o.From.After(marks[n]) && o.End.After(marks[n]) && o.Health.rank() > worst.rank() {
				worst = o.Health
			}
		}
		if worst.rank() > d.Worst.rank() {
			d.Worst = worst
		}
		d.Down += time.Duration(worst.weight() * float64(marks[n+1].Sub(marks[n])))
	}
	return d
}

// uptime is the part of the known time in which the component was up, from 0 to 1.
func uptime(days []day) float64 {
	var down, lasted time.Duration
	for _, d := range days {
		if d.Known {
			down += d.Down
			lasted += d.Lasted
		}
	}
	if lasted <= 0 {
		return 1
	}
	return 1 - float64(down)/float64(lasted)
}
