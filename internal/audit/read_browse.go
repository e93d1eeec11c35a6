package audit

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// Browsed is a page of the record for people: what they asked for, and how far
// the search for it came.
type Browsed struct {
	Records []*Record
	Next    *Position // where to go on; nil at the end of the record
	Looked  int       // events that the filters let through and that were looked at
	Hidden  int       // of these, left out by keep
	Cut     bool      // the time ran out before the page was full
}

// browseChunk is how many events one read takes while it looks for text.
const browseChunk = 200

// Browse gives up to limit events that match q and that keep wants, newest
// first. A change set that is cut by the end of the page is completed (up to
// maxFold events), so that it folds into one row. Unlike List it does not fail
// when nothing is found within the budget: it gives what it has and Next.
func (r *Reader) Browse(ctx context.Context, account string, q Query, limit int, keep func(*Record) bool) (*Browsed, error) {
	m, err := compile(q.Conds)
	if err != nil {
		return nil, err
	}
	q.Patient = !m.indexed()
	q.Limit = limit + 1
	b := &Browsed{}
	started := time.Now()
	var last *Record // that was looked at
	for {
		page, err := r.List(ctx, account, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Records {
			if len(b.Records) >= limit && !b.folds(rec) {
				b.Next = &Position{last.at, last.Seq}
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
		q.After, q.Limit = page.Next, browseChunk
		if time.Since(started) > r.budget {
			b.Next, b.Cut = page.Next, len(b.Records) < limit
			return b, nil
		}
	}
}

// maxFold bounds the events of one folded change set.
const maxFold = 1000

// folds reports whether rec belongs to the change set at the end of the page.
func (b *Browsed) folds(rec *Record) bool {
	last := b.Records[len(b.Records)-1]
	return rec.Event.ChangeSet != "" && len(b.Records) < maxFold && sameSet(last, rec)
}

// sameSet reports whether two events are parts of one change by one actor.
func sameSet(a, b *Record) bool {
	return a.Event.ChangeSet != "" && a.Event.ChangeSet == b.Event.ChangeSet && a.Event.Actor.ID == b.Event.Actor.ID && a.Event.Actor.Type == b.Event.Actor.Type
}

// says reports whether the names and ids of who and what have a text, in any
// case. lower is in lower case.
func (r *Record) says(lower string) bool {
	e := &r.Event
	for _, s := range []string{e.Actor.Name, e.Actor.Email, e.Actor.ID, e.Actor.TokenName, e.Resource.Name, e.Resource.ID, e.Resource.Type, e.Zone.Name, e.Action.Type, e.ID, reasonText(e)} {
		if s != "" && strings.Contains(strings.ToLower(s), lower) {
			return true
		}
	}
	if o := e.Actor.OnBehalfOf; o != nil {
		return strings.Contains(strings.ToLower(o.Email), lower) || strings.Contains(strings.ToLower(o.ID), lower)
	}
	return false
}

func reasonText(e *Event) string {
	if e.Reason == nil {
		return ""
	}
	return e.Reason.Text
}

// signedHead is the last checkpoint of an account that was signed and stored.
type signedHead struct {
	Size int64
	At   time.Time
	Note string
}

// signedHead gives the zero value for an account that was never signed for.
func (r *Reader) signedHead(ctx context.Context, account string) (h signedHead, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		var at int64
		err := tx.QueryRow(ctx, `SELECT s.size, s.at, s.note FROM signed s JOIN account a ON a.key = s.account WHERE a.id = $1`, account).Scan(&h.Size, &at, &h.Note)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		h.At = time.UnixMicro(at).UTC()
		return err
	})
	return h, err
}
