package ledger

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// What the external tests need of the inside.

// SetBudget changes how long a page may be looked for.
func (r *Reader) SetBudget(d time.Duration) { r.budget = d }

// SetPatience changes how long a commit may take.
func (l *Ledger) SetPatience(d time.Duration) { l.patience = d }

// LookedUp returns how many ids an append of these events asks the database for.
func LookedUp(ctx context.Context, d *db.DB, now func() time.Time, events []*Pending) (known int, err error) {
	err = d.Tx(ctx, func(tx *db.Tx) error {
		w, err := New(Config{DB: d, Now: now}).open(ctx, tx, events)
		if err == nil {
			known = len(w.known)
		}
		return err
	})
	return known, err
}

// Call is one call of Append.
type Call struct {
	Events []*Pending
	Before TxHook
}

// FlushTogether commits calls as the group commit does that found them waiting.
func FlushTogether(ctx context.Context, l *Ledger, calls ...Call) []error {
	list := make([]*appendCall, len(calls))
	for i, c := range calls {
		list[i] = &appendCall{events: c.Events, before: c.Before}
	}
	failed := make([]error, len(calls))
	err := l.flush(ctx, list)
	for i, c := range list {
		if failed[i] = err; err == nil {
			failed[i] = c.err
		}
	}
	return failed
}

// BuildSpans makes what is missing of the second level of digests.
func BuildSpans(ctx context.Context, l *Ledger) error { return l.buildSpans(ctx) }

// ScrubRound reads the whole record again, at once.
func ScrubRound(ctx context.Context, d *db.DB, s *Signer) (map[string]string, error) {
	scrub := &Scrubber{db: d, damaged: s.Damaged, checked: func(error) {}}
	found, err := scrub.round(ctx)
	if err == nil {
		s.Damaged(found, true)
	}
	return found, err
}

// ErasePerson erases an actor, as the erasure job does.
func ErasePerson(ctx context.Context, r *Reader, l *Ledger, account, actorID string, fields []string) (int, error) {
	n, _, err := l.ErasePerson(ctx, r, account, actorID, &Selection{Fields: fields})
	return n, err
}

// Compare compares the databases with the log topic, as the signer does when it starts.
func (s *Signer) Compare(ctx context.Context) error { return s.compare(ctx) }
