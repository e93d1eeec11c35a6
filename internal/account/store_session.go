package account

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/belfryhq/belfry/internal/platform/db"
)

const sessionColumns = `hash, id, person_id, account_id, portal, via_link, ip, user_agent, created_at, seen_at, expires_at`

func scanSession(row interface{ Scan(...any) error }) (s Session, err error) {
	var hash []byte
	var portal string
	var created, seen, expires int64
	err = row.Scan(&hash, &s.ID, &s.PersonID, &s.accountID, &portal, &s.viaLink, &s.IP, &s.UserAgent, &created, &seen, &expires)
	if err != nil {
		return s, err
	}
	copy(s.hash[:], hash)
	s.CreatedOn, s.LastUsedOn, s.ExpiresOn = moment(created), moment(seen), moment(expires)
	s.Portal, err = decodePortal(portal)
	return s, err
}

func decodePortal(stored string) (*Portal, error) {
	if stored == "" {
		return nil, nil
	}
	p := &Portal{}
	if err := json.Unmarshal([]byte(stored), p); err != nil {
		return nil, fmt.Errorf("stored customers' session: %w", err)
	}
	return p, nil
}

func encodePortal(p *Portal) (string, error) {
	if p == nil {
		return "", nil
	}
	b, err := json.Marshal(p)
	return string(b), err
}

func loadSession(ctx context.Context, tx *db.Tx, h Hash) (Session, error) {
	return scanSession(tx.QueryRow(ctx, `SELECT `+sessionColumns+` FROM session WHERE hash = $1`, h[:]))
}

func insertSession(ctx context.Context, tx *db.Tx, s Session) error {
	portal, err := encodePortal(s.Portal)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO session (`+sessionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		s.hash[:], s.ID, s.PersonID, s.accountID, portal, s.viaLink, s.IP, s.UserAgent, s.CreatedOn.Micros(), s.LastUsedOn.Micros(), s.ExpiresOn.Micros())
	return err
}

// listSessions gives a person's sessions, newest first.
func listSessions(ctx context.Context, tx *db.Tx, personID string) ([]Session, error) {
	return collect(ctx, tx, scanSession, `SELECT `+sessionColumns+` FROM session WHERE person_id = $1 ORDER BY id DESC LIMIT $2`, personID, MaxSessions)
}

// trimSessions makes room for one more session of a person.
func trimSessions(ctx context.Context, tx *db.Tx, personID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE person_id = $1 AND id NOT IN (SELECT id FROM session WHERE person_id = $1 ORDER BY id DESC LIMIT $2)`, personID, MaxSessions-1)
	return err
}

func deleteSession(ctx context.Context, tx *db.Tx, personID, sessionID string) (Session, error) {
	s, err := scanSession(tx.QueryRow(ctx, `DELETE FROM session WHERE person_id = $1 AND id = $2 RETURNING `+sessionColumns, personID, sessionID))
	return s, missing(err, "session")
}

func deleteSessionByHash(ctx context.Context, tx *db.Tx, h Hash) (Session, error) {
	return scanSession(tx.QueryRow(ctx, `DELETE FROM session WHERE hash = $1 RETURNING `+sessionColumns, h[:]))
}

// deleteSessions ends all sessions of a person but one, and gives their hashes.
func deleteSessions(ctx context.Context, tx *db.Tx, personID, but string) ([]Hash, error) {
	return collect(ctx, tx, scanHash, `DELETE FROM session WHERE person_id = $1 AND id <> $2 RETURNING hash`, personID, but)
}

func sessionHashes(ctx context.Context, tx *db.Tx, personID string) ([]Hash, error) {
	return collect(ctx, tx, scanHash, `SELECT hash FROM session WHERE person_id = $1`, personID)
}

func scanHash(row interface{ Scan(...any) error }) (h Hash, err error) {
	var b []byte
	err = row.Scan(&b)
	copy(h[:], b)
	return h, err
}

// link is a one-time link.
type link struct {
	personID  string
	accountID string // of a customers' session
	portal    *Portal
}

func insertLink(ctx context.Context, tx *db.Tx, h Hash, l link, created, expires int64) error {
	portal, err := encodePortal(l.portal)
	if err != nil {
		return err
	}
	if l.personID != "" {
		_, err := tx.Exec(ctx, `DELETE FROM link WHERE person_id = $1 AND hash NOT IN (SELECT hash FROM link WHERE person_id = $1 ORDER BY created_at DESC, hash LIMIT $2)`, l.personID, MaxLinks-1)
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO link (hash, person_id, account_id, portal, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		h[:], l.personID, l.accountID, portal, created, expires)
	return err
}

// consumeLink takes a link out of the store: of many who try, one gets it, the
// others sql.ErrNoRows.
func consumeLink(ctx context.Context, tx *db.Tx, h Hash, now int64) (l link, err error) {
	var portal string
	err = tx.QueryRow(ctx, `DELETE FROM link WHERE hash = $1 AND expires_at > $2 RETURNING person_id, account_id, portal`, h[:], now).
		Scan(&l.personID, &l.accountID, &portal)
	if err != nil {
		return l, err
	}
	l.portal, err = decodePortal(portal)
	return l, err
}

func deleteLinks(ctx context.Context, tx *db.Tx, personID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM link WHERE person_id = $1`, personID)
	return err
}

// purge removes links and sessions that ended.
func (d *Directory) purge(ctx context.Context) error {
	now := d.micros()
	return d.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM link WHERE expires_at <= $1`, now); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM session WHERE expires_at <= $1 OR seen_at <= $2`, now, now-IdleTime.Microseconds())
		return err
	})
}
