package slo

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// erasedMember replaces a member whose personal data was erased.
var erasedMember = Member{Type: "user", ID: "erased", Name: "erased on request", Key: "erased"}

// eraseChunk bounds a transaction of an erasure.
const eraseChunk = 200

// Erased follows an erasure in some events of an account: the members whom corrections name lose their names if the
// event of their act is among them. Corrections that are older than this record lose theirs with any erasure. It may
// run twice.
func (f *Feature) Erased(ctx context.Context, accountID string, events map[string]bool) error {
	after := ""
	for {
		var last string
		err := f.db.Tx(ctx, func(tx *db.Tx) error {
			list, err := selectCorrections(ctx, tx, `WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3`,
				accountID, after, eraseChunk)
			for _, c := range list {
				last = c.ID
				if err == nil && c.erase(events) {
					err = writeCorrection(ctx, tx, c)
				}
			}
			if len(list) < eraseChunk {
				last = ""
			}
			return err
		})
		if err != nil {
			return err
		}
		if last == "" {
			return f.db.Scrub(ctx)
		}
		after = last
	}
}

// erase removes the members whose events were erased, and reports whether there was one. A pending correction whose
// requester is no longer known is rejected: its requester could approve it.
func (c *Correction) erase(events map[string]bool) (changed bool) {
	gone := func(m *Member, eventID string) bool {
		if m == nil || *m == erasedMember || m.Type == "system" || eventID != "" && !events[eventID] {
			return false
		}
		*m = erasedMember
		return true
	}
	if gone(&c.RequestedBy, c.requestEvent) {
		changed = true
		if c.State == Pending {
			c.State = Rejected
		}
	}
	return gone(c.DecidedBy, c.decisionEvent) || changed
}
