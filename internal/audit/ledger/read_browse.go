package ledger

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
)

// Browsed is a page of the record for people: what they asked for, and how far
// the search for it came.
type Browsed struct {
	Records []*record.Record
	Next    *Position // where to go on; nil at the end of the record
	Looked  int       // events that the filters let through and that were looked at
	Hidden  int       // of these, left out by keep
	Cut     bool      // the time ran out before the page was full
}

// browseChunk is how many events one read takes while it looks for text.
const browseChunk = 200

// Browse gives up to limit events that match q and that keep wants, newest
// first. A change set that is cut by the end of the page is completed (up to
// MaxFold events), so that it folds into one row. Unlike List it does not fail
// when nothing is found within the budget: it returns the events so far, and Next.
func (r *Reader) Browse(
	ctx context.Context,
	account string,
	q Query,
	limit int,
	keep func(*record.Record) bool,
) (*Browsed, error) {
	m, err := record.Compile(q.Filters)
	if err != nil {
		return nil, err
	}
	q.Patient = !m.Indexed()
	q.Limit = limit + 1
	b := &Browsed{}
	started := time.Now()
	var last *record.Record // that was looked at
	for {
		page, err := r.List(ctx, account, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Records {
			if len(b.Records) >= limit && !b.folds(rec) {
				b.Next = &Position{last.Event.Micros(), last.Seq}
				return b, nil
			}
			b.Looked++
			last = rec
			if keep != nil && !keep(rec) {
				b.Hidden++
				continue
			}
			b.Records = append(b.Records, rec)
		}
		if page.Next == nil {
			return b, nil
		}
		q.After = page.Next
		q.Limit = browseChunk
		if time.Since(started) > r.budget {
			b.Next = page.Next
			b.Cut = len(b.Records) < limit
			return b, nil
		}
	}
}

// MaxFold bounds the events of one folded change set.
const MaxFold = 1000

// folds reports whether rec belongs to the change set at the end of the page.
func (b *Browsed) folds(rec *record.Record) bool {
	last := b.Records[len(b.Records)-1]
	return rec.Event.ChangeSet != "" && len(b.Records) < MaxFold && last.SameChangeSet(rec)
}
