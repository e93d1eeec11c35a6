package notify

import (
	"context"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// What Belfry's own events are about.
const (
	resourceAlert       = "alert"
	resourceAlertGroup  = "alert_group"
	resourcePolicy      = "notification_policy"
	resourceDestination = "notification_destination"
)

// record writes to the audit log what a principal did, in its transaction.
func (n *Feature) record(
	ctx context.Context, tx *db.Tx, by *web.Principal, e event.Audit,
) error {
	return n.Record(ctx, tx, feature.By(e, by))
}

// recordByBelfry records a change that no principal made, with its reason.
func (n *Feature) recordByBelfry(ctx context.Context, tx *db.Tx, e event.Audit, why string) error {
	e = feature.By(e, feature.Belfry())
	if why != "" {
		e.Reason = &event.AuditReason{Text: cut(why, 500)}
	}
	return n.Record(ctx, tx, e)
}

func moment(t time.Time) web.Time { return web.Time{Time: t.UTC().Truncate(time.Microsecond)} }

// timeOf is the Time of the database's microseconds; 0 is never.
func timeOf(us int64) web.Time {
	if us == 0 {
		return web.Time{}
	}
	return web.TimeOf(us)
}

// webTime is the API's form of a time; the zero time is never.
func webTime(t time.Time) web.Time {
	if t.IsZero() {
		return web.Time{}
	}
	return moment(t)
}

func micros(t web.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Micros()
}

// cut shortens s to at most n bytes at a character's boundary.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

func itoa(i int) string { return strconv.Itoa(i) }

// or is the first error that there is.
func or(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}
