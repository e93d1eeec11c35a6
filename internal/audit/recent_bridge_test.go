package audit

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// Recent answers what preceded an alert, and counts what that costs.
type Recent struct {
	*recentChanges
	Decoded, Searched int
}

// NewRecent makes the views of recent changes.
func NewRecent(d *db.DB, now func() time.Time, isView func(*record.Record) bool) *Recent {
	r := &Recent{recentChanges: newRecentChanges(ledger.NewReader(d, ledger.SearchBudget), now, isView)}
	r.decoded = func() { r.Decoded++ }
	r.searched = func() { r.Searched++ }
	return r
}

// Preceding calls the feature.
func (r *Recent) Preceding(ctx context.Context, t Incident, limit int) ([]Preceding, int, error) {
	return r.preceding(ctx, t, limit)
}

// Held is how many changes the views hold, and of how many resources the view of
// an account has a list.
func (r *Recent) Held(account string) (changes int64, resources int) {
	return r.held.Load(), len(r.views[account].things)
}
