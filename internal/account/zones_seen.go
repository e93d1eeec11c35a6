package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Names in traffic are chosen by visitors: a program that tries random hosts
// must neither fill the customer's list of properties nor their record. So many
// zones come from traffic in an hour, and so many may be there that nothing has
// confirmed; the requests to further hosts are counted for [OtherZone].
const (
	MaxSeenAnHour = 50
	MaxSeen       = 1000
	seenTime      = time.Hour

	// OtherZone is the name of the zone that takes what has no zone of its own.
	OtherZone = "other"
)

// EnsureZone finds a zone by id, name or alias, and makes it when traffic shows
// a hostname or origin for the first time. Past the hourly budget of the
// account it is the zone [OtherZone]. CodeInvalid when ref is no hostname or
// origin.
func (d *Directory) EnsureZone(ctx context.Context, accountID, ref string) (zoneID, name string, err error) {
	z, err := d.findZone(ctx, accountID, ref)
	if err != nil || z.ID != "" {
		return z.ID, z.Name, err
	}
	key := ZoneKey(ref)
	if _, isHost := hostKey(key); !isHost || len(key) > 255 || id.Valid(key) {
		return "", "", notAlias(ref)
	}
	// Past its budget an account would otherwise ask the database for every stray
	// hostname.
	over, err := d.seenOver.Get(ctx, accountID, func(ctx context.Context) (over bool, err error) {
		err = d.db.View(ctx, func(tx *db.Tx) error {
			over, err = d.budgetSpent(ctx, tx, accountID)
			return err
		})
		return over, err
	})
	if err != nil {
		return "", "", err
	}
	if !over {
		z, err = d.addSeenZone(ctx, accountID, hostAsRead(key))
	}
	if err == nil && z.ID == "" {
		z, err = d.otherZone(ctx, accountID)
	}
	return z.ID, z.Name, err
}

// budgetSpent reports whether traffic may bring no more zones now.
func (d *Directory) budgetSpent(ctx context.Context, tx *db.Tx, accountID string) (bool, error) {
	var all, recent int
	err := tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE created_at > $2) FROM zone
		WHERE account_id = $1 AND seen`,
		accountID, d.micros()-seenTime.Microseconds()).Scan(&all, &recent)
	return all >= MaxSeen || recent >= MaxSeenAnHour, err
}

// addSeenZone makes a zone of a hostname; ID "" when the budget is spent.
func (d *Directory) addSeenZone(ctx context.Context, accountID, name string) (z Zone, err error) {
	spent := false
	err = d.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if z, err = lookupZone(ctx, tx, accountID, name); err != nil || z.ID != "" {
			return err // another transaction was first
		}
		if spent, err = d.budgetSpent(ctx, tx, accountID); err != nil || spent {
			return err
		}
		z = Zone{Name: name, Aliases: []string{}, Environment: Production}
		if err := d.storeZone(ctx, tx, accountID, &z); err != nil {
			return err
		}
		return d.recordSeen(ctx, tx, accountID, z)
	})
	if err != nil {
		return Zone{}, err
	}
	if spent {
		d.seenOver.Evict(accountID)
	}
	d.forgetZone(accountID, Zone{Name: name}, z)
	return z, nil
}

// recordSeen records the first zone that traffic brings in an hour, with how
// many came since the last one that was recorded.
func (d *Directory) recordSeen(ctx context.Context, tx *db.Tx, accountID string, z Zone) error {
	var told, untold int64
	now := d.micros()
	err := tx.QueryRow(ctx, `SELECT told_at, untold FROM zone_seen_report
		WHERE account_id = $1`, accountID).Scan(&told, &untold)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil && now-told < seenTime.Microseconds() {
		_, err = tx.Exec(ctx, `UPDATE zone_seen_report SET untold = untold + 1 WHERE account_id = $1`, accountID)
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO zone_seen_report (account_id, told_at, untold) VALUES ($1, $2, 0)
		ON CONFLICT (account_id) DO UPDATE SET told_at = excluded.told_at, untold = 0`, accountID, now)
	if err != nil {
		return err
	}
	e := withZone(event.NewAudit(accountID, "create", "zone", z.ID, z.Name), z.ID).Changed(nil, z)
	metadata := map[string]any{"seen_in_traffic": true}
	if untold > 0 {
		metadata["others_since_the_last_event"] = untold
	}
	return d.record(ctx, tx, feature.Belfry(), e.With(metadata))
}

// otherZone finds or creates the zone for hostnames beyond the budget.
func (d *Directory) otherZone(ctx context.Context, accountID string) (z Zone, err error) {
	if z, err = d.findZone(ctx, accountID, OtherZone); err != nil || z.ID != "" {
		return z, err
	}
	err = d.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if z, err = lookupZone(ctx, tx, accountID, OtherZone); err != nil || z.ID != "" {
			return err
		}
		z = Zone{Name: OtherZone, Aliases: []string{}, Environment: Production, Verified: true}
		if err := d.storeZone(ctx, tx, accountID, &z); err != nil {
			return err
		}
		e := withZone(event.NewAudit(accountID, "create", "zone", z.ID, z.Name), z.ID).Changed(nil, z)
		e.Reason = &event.AuditReason{Text: "Traffic showed more new hostnames than become properties by themselves. The requests to the others are counted here; a property that is added by hand takes its own."}
		return d.record(ctx, tx, feature.Belfry(), e)
	})
	if err != nil {
		return Zone{}, err
	}
	d.forgetZone(accountID, z)
	return z, nil
}
