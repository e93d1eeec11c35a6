package notify

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of notes.
const (
	maxNote  = 2000 // characters
	maxNotes = 200  // of an alert
)

// AlertNote is a note that a member wrote about an alert.
type AlertNote struct {
	ID        string   `json:"id"`
	Author    string   `json:"author"`
	AuthorID  string   `json:"author_id"`
	Text      string   `json:"text"`
	CreatedAt web.Time `json:"created_at"`
}

const noteColumns = `id, author_id, author_name, text, created_at`

func scanNote(row db.Row) (one AlertNote, err error) {
	var created int64
	err = row.Scan(
		&one.ID,
		&one.AuthorID,
		&one.Author,
		&one.Text,
		&created,
	)
	one.CreatedAt = timeOf(created)
	return one, err
}

// notesOf are the notes about an alert, the oldest first.
func notesOf(ctx context.Context, tx *db.Tx, key string) ([]AlertNote, error) {
	list, err := db.Collect(ctx, tx, scanNote, `SELECT `+noteColumns+` FROM alert_note
		WHERE alert_key = $1 ORDER BY id LIMIT $2`, key, maxNotes)
	if list == nil {
		list = []AlertNote{}
	}
	return list, err
}

// CreateNote adds a note to an alert. The audit log has the act and not the text: a text may name people, and a note
// can be deleted.
func (n *Feature) CreateNote(
	ctx context.Context, by *web.Principal, accountID, alertID, text string,
) (one AlertNote, err error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	invisible := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if text == "" || utf8.RuneCountInString(text) > maxNote || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, invisible) {
		return one, errs.At(errs.CodeInvalid, "/text", "text must have 1 to %d characters, and no control characters but "+
			"line breaks and tabs", maxNote)
	}
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return one, err
	}
	now := n.Now()
	one = AlertNote{
		ID:        n.ids.next(now),
		Author:    cut(cmp.Or(by.Name, by.Email, by.ID), 200),
		AuthorID:  by.ID,
		Text:      text,
		CreatedAt: moment(now),
	}
	err = n.Change(ctx, func(tx *db.Tx) error {
		count := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM alert_note WHERE alert_key = $1`, a.key).Scan(&count); err != nil {
			return err
		}
		if count >= maxNotes {
			return errs.New(errs.CodeLimit, "the alert has %d notes, which is the most it may have", count)
		}
		_, err := tx.Exec(ctx, `INSERT INTO alert_note (account_id, alert_key, `+noteColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			accountID, a.key, one.ID, one.AuthorID, one.Author, one.Text, micros(one.CreatedAt))
		if err != nil {
			return err
		}
		return n.record(ctx, tx, by, event.NewAudit(accountID, "note", resourceAlert, a.ID, name))
	})
	return one, err
}

// Note reads a note about an alert.
func (n *Feature) Note(ctx context.Context, accountID, alertID, noteID string) (one AlertNote, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		a, err := rootAlert(ctx, tx, accountID, alertID)
		if err != nil {
			return err
		}
		one, err = scanNote(tx.QueryRow(ctx, `SELECT `+noteColumns+` FROM alert_note WHERE alert_key = $1 AND id = $2`,
			a.key, noteID))
		if errors.Is(err, sql.ErrNoRows) {
			err = errs.New(errs.CodeNotFound, "the alert has no such note")
		}
		return err
	})
	return one, err
}

// DeleteNote deletes a note. Its author may, and who may change notifications.
func (n *Feature) DeleteNote(ctx context.Context, by *web.Principal, accountID, alertID, noteID string) error {
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return err
	}
	one, err := n.Note(ctx, accountID, alertID, noteID)
	if err != nil {
		return err
	}
	if !mayDeleteNote(by, accountID, one) {
		return errs.New(errs.CodeForbidden, "deleting the note of another member needs the permission %s",
			account.NotificationsWrite)
	}
	return n.Change(ctx, func(tx *db.Tx) error {
		deleted, err := tx.Exec(ctx, `DELETE FROM alert_note WHERE alert_key = $1 AND id = $2`, a.key, noteID)
		if err != nil || deleted == 0 {
			return err
		}
		return n.record(ctx, tx, by, event.NewAudit(accountID, "delete_note", resourceAlert, a.ID, name))
	})
}

func mayDeleteNote(who *web.Principal, accountID string, one AlertNote) bool {
	return who.Can(accountID, account.NotificationsWrite) || one.AuthorID == who.ID && mayAck(who, accountID)
}
