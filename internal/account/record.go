package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// record writes audit events of by's actions, in the transaction of the change.
func (f *Feature) record(ctx context.Context, tx *db.Tx, by *web.Principal, list ...event.Audit) error {
	for i, e := range list {
		if e.Actor.Type == "" {
			list[i] = feature.By(e, by)
		}
	}
	return f.cfg.Record(ctx, tx, list...)
}

// change runs fn in a writing transaction and wakes the relay after it.
func (f *Feature) change(ctx context.Context, fn func(*db.Tx) error) error {
	return f.cfg.Change(ctx, fn)
}

// clip shortens s to at most n bytes at a character's boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
