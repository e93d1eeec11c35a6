package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
)

// What the external tests need of the inside.

// Bundle is one event's file of proof.
func (r *Record) BundleForTest(proof []byte, vkey string) ([]byte, error) {
	return r.bundle(proof, vkey)
}

// SetBudget changes how long a page may be looked for.
func (r *Reader) SetBudget(d time.Duration) { r.budget = d }

// SetPatience changes how long a commit may take.
func (l *Ledger) SetPatience(d time.Duration) { l.patience = d }

// EnvelopeOf gives the hashed bytes of a prepared event.
func EnvelopeOf(p *Pending) []byte { return p.sealed.envelope }

// FacetKeys are the keys by which an event is found.
func FacetKeys(e *Event) [5]int64 { return facetKeys(e) }

// BloomMayHold asks a tile's filter.
func BloomMayHold(b []byte, key int64) bool { return bloomMayHold(b, key) }

// LookedUp gives how many ids an append of these events asks the database for.
func LookedUp(ctx context.Context, d *db.DB, now func() time.Time, events []*Pending) (known int, err error) {
	err = d.Tx(ctx, func(tx *db.Tx) error {
		w, err := NewLedger(d, now, nil, nil).open(ctx, tx, events)
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
	Beside Beside
}

// FlushTogether commits calls as the group commit does that found them waiting.
func FlushTogether(ctx context.Context, l *Ledger, calls ...Call) []error {
	list := make([]*appendCall, len(calls))
	for i, c := range calls {
		list[i] = &appendCall{events: c.Events, beside: c.Beside}
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
	scrub := &Scrubber{d, 0, s.Damaged, newMetrics(nil)}
	found, err := scrub.round(ctx)
	if err == nil {
		s.Damaged(found, true)
	}
	return found, err
}

// ErasePerson is what the job of an erasure does for an actor.
func ErasePerson(ctx context.Context, r *Reader, l *Ledger, account, person string, fields []string) (int, error) {
	n, _, err := (&Feature{reader: r, ledger: l}).erasePerson(ctx, account, person, &selection{fields: fields, found: map[string]bool{}})
	return n, err
}

// Recent answers what preceded an alert, and counts what that costs.
type Recent struct {
	*recentChanges
	Decoded, Searched int
}

// NewRecent makes the views of recent changes.
func NewRecent(d *db.DB, now func() time.Time, isView func(*Record) bool) *Recent {
	r := &Recent{recentChanges: newRecentChanges(d, now, isView)}
	r.decoded = func() { r.Decoded++ }
	r.searched = func() { r.Searched++ }
	return r
}

// Preceding is what the feature answers.
func (r *Recent) Preceding(ctx context.Context, t Trouble, limit int) ([]Preceding, int, error) {
	return r.preceding(ctx, t, limit)
}

// Compare is what the signer does when it starts.
func (s *Signer) Compare(ctx context.Context) error { return s.compare(ctx) }

// Held is how many changes the views hold, and of how many resources the view of
// an account has a list.
func (r *Recent) Held(account string) (changes int64, resources int) {
	return r.held.Load(), len(r.views[account].things)
}

// RegisterErasure adds the job of an erasure as the feature does.
func RegisterErasure(queue *jobs.Queue, d *db.DB, r *Reader, l *Ledger, relay *bus.Relay, ownRecorded func(context.Context, string) error) {
	self := func(context.Context, string, string, string, string, string, map[string]any) error { return nil }
	f := &Feature{db: d, reader: r, ledger: l, relay: relay, self: self, ownRecorded: ownRecorded, now: time.Now, log: slog.New(slog.DiscardHandler)}
	queue.Register(jobs.Kind{Name: jobErase, Permission: "audit:erase", Run: func(ctx context.Context, j *jobs.Job) (any, error) {
		return f.runErasure(ctx, j, queue, time.Hour)
	}})
}

// JobErase is the name of an erasure's job.
const JobErase = jobErase
