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

// Visitors choose the host names in traffic: a program that tries random hosts
// must not fill an account's list of zones or its audit log. Traffic creates a
// limited number of zones; the requests to further hosts are counted for
// [OtherZone].
const (
	MaxSeenAnHour = 50   // new zones from traffic in an hour
	MaxSeen       = 1000 // zones that are known from traffic only
	seenTime      = time.Hour

	// OtherZone is the name of the zone for hosts without a zone.
	OtherZone = "other"
)

// EnsureZone finds a zone by id, name or alias, and creates it if traffic shows a
// hostname or origin for the first time. Past the limits of the account it
// returns the zone [OtherZone]. CodeInvalid if ref is no hostname or origin.
func (f *Feature) EnsureZone(ctx context.Context, accountID, ref string) (zoneID, name string, err error) {
	z, err := f.findZone(ctx, accountID, ref)
	if err != nil || z.ID != "" {
		return z.ID, z.Name, err
	}
	key := ZoneKey(ref)
	if _, isHost := hostKey(key); !isHost || len(key) > 255 || id.Valid(key) {
		return "", "", notAlias(ref)
	}
	// Without this cache, an account past its limits would query the database for
	// every unknown hostname.
	over, err := f.seenOver.Get(ctx, accountID, func(ctx context.Context) (over bool, err error) {
		err = f.db.View(ctx, func(tx *db.Tx) error {
			over, err = f.seenLimit(ctx, tx, accountID)
			return err
		})
		return over, err
	})
	if err != nil {
		return "", "", err
	}
	if !over {
		z, err = f.addSeenZone(ctx, accountID, hostAsRead(key))
	}
	if err == nil && z.ID == "" {
		z, err = f.otherZone(ctx, accountID)
	}
	return z.ID, z.Name, err
}

// seenLimit reports whether traffic may create no more zones now.
func (f *Feature) seenLimit(ctx context.Context, tx *db.Tx, accountID string) (bool, error) {
	var all, recent int
	since := f.micros() - seenTime.Microseconds()
	err := tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE created_at > $2) FROM zone
		WHERE account_id = $1 AND seen`, accountID, since).Scan(&all, &recent)
	return all >= MaxSeen || recent >= MaxSeenAnHour, err
}

// addSeenZone makes a zone of a hostname; ID "" past the limits.
func (f *Feature) addSeenZone(ctx context.Context, accountID, name string) (z Zone, err error) {
	over := false
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if z, err = lookupZone(ctx, tx, accountID, name); err != nil || z.ID != "" {
			return err // another transaction was first
		}
		if over, err = f.seenLimit(ctx, tx, accountID); err != nil || over {
			return err
		}
		z = Zone{Name: name, Aliases: []string{}, Environment: Production}
		if err := f.storeZone(ctx, tx, accountID, &z); err != nil {
			return err
		}
		return f.recordSeen(ctx, tx, accountID, z)
	})
	if err != nil {
		return Zone{}, err
	}
	if over {
		f.seenOver.Evict(accountID)
	}
	f.evictZones(accountID, Zone{Name: name}, z)
	return z, nil
}

// recordSeen records one zone from traffic an hour, with the number of further
// zones since the last event.
func (f *Feature) recordSeen(ctx context.Context, tx *db.Tx, accountID string, z Zone) error {
	var last, others int64
	now := f.micros()
	err := tx.QueryRow(ctx, `SELECT told_at, untold FROM zone_seen_report
		WHERE account_id = $1`, accountID).Scan(&last, &others)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil && now-last < seenTime.Microseconds() {
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
	if others > 0 {
		metadata["others_since_the_last_event"] = others
	}
	return f.record(ctx, tx, feature.Belfry(), e.With(metadata))
}

// otherZone finds or creates the zone for hostnames past the limits.
func (f *Feature) otherZone(ctx context.Context, accountID string) (z Zone, err error) {
	if z, err = f.findZone(ctx, accountID, OtherZone); err != nil || z.ID != "" {
		return z, err
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if z, err = lookupZone(ctx, tx, accountID, OtherZone); err != nil || z.ID != "" {
			return err
		}
		z = Zone{Name: OtherZone, Aliases: []string{}, Environment: Production, Verified: true}
		if err := f.storeZone(ctx, tx, accountID, &z); err != nil {
			return err
		}
		e := withZone(event.NewAudit(accountID, "create", "zone", z.ID, z.Name), z.ID).Changed(nil, z)
		e.Reason = &event.AuditReason{Text: "Traffic showed more new hostnames than the limit for new properties. " +
			"Requests to the others are counted here, until a property is added for their hostname."}
		return f.record(ctx, tx, feature.Belfry(), e)
	})
	if err != nil {
		return Zone{}, err
	}
	f.evictZones(accountID, z)
	return z, nil
}
