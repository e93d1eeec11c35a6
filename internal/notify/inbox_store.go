package notify

import (
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

var inboxColumns = []string{
	"id",
	"account_id",
	"member_id",
	"root_key",
	"alert_id",
	"alert_type",
	"subject",
	"summary",
	"severity",
	"zone_name",
	"state",
	"started_at",
	"ended_at",
	"read_at",
	"archived_at",
	"snoozed_until",
	"changed_at",
}

// putEntries stores a message in the inboxes of the recipients. A start makes an entry, or
// brings the one of its incident back; an end changes it and leaves it read, if it was.
func (n *Feature) putEntries(ctx context.Context, m *Message, list []Recipient) error {
	now := n.Now()
	started := m.At
	ended := int64(0)
	if m.Event == event.AlertEnd {
		ended = m.At.UnixMicro()
		started = m.Started
	}
	rows := make([][]any, 0, len(list))
	for _, r := range list {
		rows = append(rows, []any{
			n.ids.next(now),
			m.Account,
			r.ID,
			m.Incident,
			m.root.id,
			m.Type,
			m.Subject,
			m.Summary,
			m.Severity,
			m.Property,
			stateOfEvent(m.Event),
			started.UnixMicro(),
			ended,
			0,
			0,
			0,
			now.UnixMicro(),
		})
	}
	conflict := `ON CONFLICT (account_id, member_id, root_key) DO UPDATE SET state = excluded.state, summary = excluded.summary,
		severity = excluded.severity, ended_at = excluded.ended_at, changed_at = excluded.changed_at`
	return n.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := tx.Insert(ctx, "inbox_entry", inboxColumns, conflict, rows); err != nil {
			return err
		}
		for _, r := range list {
			if err := trimInbox(ctx, tx, m.Account, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// trimInbox deletes the entries beyond the newest of a member.
func trimInbox(ctx context.Context, tx *db.Tx, accountID, member string) error {
	_, err := tx.Exec(ctx, `DELETE FROM inbox_entry WHERE account_id = $1 AND member_id = $2 AND id <= (
		SELECT id FROM inbox_entry WHERE account_id = $1 AND member_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)`,
		accountID, member, maxInbox)
	return err
}

// The parts of an inbox.
const (
	inboxOpen     = "open" // neither archived nor snoozed
	inboxUnread   = "unread"
	inboxSnoozed  = "snoozed"
	inboxArchived = "archived"
)

// inboxParts are the conditions of the parts; $3 is the time.
var inboxParts = map[string]string{
	inboxOpen:     `archived_at = 0 AND snoozed_until <= $3`,
	inboxUnread:   `archived_at = 0 AND snoozed_until <= $3 AND read_at = 0`,
	inboxSnoozed:  `archived_at = 0 AND snoozed_until > $3`,
	inboxArchived: `archived_at > 0 AND CAST($3 AS BIGINT) > 0`,
}

const selectEntry = `SELECT id, account_id, member_id, alert_id, alert_type, subject, summary, severity, zone_name, state,
	started_at, ended_at, read_at, archived_at, snoozed_until, changed_at FROM inbox_entry
	WHERE account_id = $1 AND member_id = $2`

func (n *Feature) scanEntry(row db.Row) (e InboxEntry, err error) {
	var accountID string
	var started, ended, read, archived, snoozed int64
	err = row.Scan(
		&e.ID,
		&accountID,
		&e.Member,
		&e.AlertID,
		&e.Type,
		&e.Subject,
		&e.Summary,
		&e.Severity,
		&e.Property,
		&e.State,
		&started,
		&ended,
		&read,
		&archived,
		&snoozed,
		&e.changed,
	)
	e.StartedAt = timeOf(started)
	e.EndedAt = timeOf(ended)
	e.ReadAt = timeOf(read)
	e.ArchivedAt = timeOf(archived)
	e.SnoozedUntil = timeOf(snoozed)
	e.URL = n.URL + alertPath(accountID, e.AlertID)
	return e, err
}

// inbox lists the entries of a part, the newest first, after a position.
func (n *Feature) inbox(
	ctx context.Context, accountID, member, part string, after web.Keyset, limit int,
) (list []InboxEntry, err error) {
	before := after.ID
	if before == "" {
		before = "~" // after every id
	}
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, n.scanEntry, selectEntry+` AND `+inboxParts[part]+`
			AND id < $4 ORDER BY id DESC LIMIT $5`, accountID, member, n.Now().UnixMicro(), before, limit)
		return err
	})
	return list, err
}

func entryPosition(e InboxEntry) web.Keyset { return web.Keyset{ID: e.ID} }

// changedEntries are the entries that changed after a time, in the order of their changes.
func (n *Feature) changedEntries(
	ctx context.Context, accountID, member string, after int64,
) (list []InboxEntry, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, n.scanEntry, selectEntry+` AND changed_at > $3 ORDER BY changed_at LIMIT $4`,
			accountID, member, after, maxInbox)
		return err
	})
	return list, err
}

// unread counts the unread entries that are neither archived nor snoozed.
func (n *Feature) unread(ctx context.Context, accountID, member string) (count int, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM inbox_entry WHERE account_id = $1 AND member_id = $2
			AND `+inboxParts[inboxUnread], accountID, member, n.Now().UnixMicro()).Scan(&count)
	})
	return count, err
}

// inboxChange has the fields that an act sets; times of 0 clear them.
type inboxChange struct {
	read, archived, snoozed *int64
}

// changeEntries changes entries of a member and returns how many there were.
func (n *Feature) changeEntries(
	ctx context.Context, accountID, member string, ids []string, c inboxChange,
) (changed int64, err error) {
	sets := []string{"changed_at = $3"}
	args := []any{accountID, member, n.Now().UnixMicro()}
	for _, one := range []struct {
		column string
		value  *int64
	}{{"read_at", c.read}, {"archived_at", c.archived}, {"snoozed_until", c.snoozed}} {
		if one.value != nil {
			sets = append(sets, one.column+" = "+db.Parameters(&args, []int64{*one.value}))
		}
	}
	err = n.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		text := `UPDATE inbox_entry SET ` + strings.Join(sets, ", ") + ` WHERE account_id = $1 AND member_id = $2`
		if ids != nil {
			text += ` AND id IN (` + db.Parameters(&args, ids) + `)`
		}
		changed, err = tx.Exec(ctx, text, args...)
		return err
	})
	return changed, err
}

// changeEntry changes one entry and returns it.
func (n *Feature) changeEntry(
	ctx context.Context, accountID, member, entryID string, c inboxChange,
) (e InboxEntry, err error) {
	changed, err := n.changeEntries(ctx, accountID, member, []string{entryID}, c)
	if err == nil && changed == 0 {
		err = errs.New(errs.CodeNotFound, "there is no such entry in this inbox")
	}
	if err != nil {
		return e, err
	}
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		e, err = n.scanEntry(tx.QueryRow(ctx, selectEntry+` AND id = $3`, accountID, member, entryID))
		return err
	})
	return e, err
}

// pruneInbox deletes entries after their time. Those of members who have left stay until then; no one can read them.
func (n *Feature) pruneInbox(ctx context.Context) error {
	oldest := n.Now().Add(-n.Limits.Keep).UnixMicro()
	return n.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM inbox_entry WHERE id IN (
			SELECT id FROM inbox_entry WHERE started_at < $1 AND state <> 'firing' LIMIT $2)`, oldest, 10*pruneBatch)
		return err
	})
}

// instant is a time for an inboxChange; the zero time clears.
func instant(t time.Time) *int64 {
	us := int64(0)
	if !t.IsZero() {
		us = t.UnixMicro()
	}
	return &us
}
