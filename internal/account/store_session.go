package account

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/belfryhq/belfry/internal/platform/db"
)

const sessionColumns = `hash, id, person_id, account_id, portal, via_link, ip, user_agent,
	created_at, seen_at, expires_at, maker_type, maker_id, networks`

func scanSession(row db.Row) (s Session, err error) {
	var hash []byte
	var portal, networks string
	var created, seen, expires int64
	err = row.Scan(
		&hash,
		&s.ID,
		&s.PersonID,
		&s.accountID,
		&portal,
		&s.viaLink,
		&s.IP,
		&s.UserAgent,
		&created,
		&seen,
		&expires,
		&s.maker.kind,
		&s.maker.id,
		&networks,
	)
	if err != nil {
		return s, err
	}
	copy(s.hash[:], hash)
	s.CreatedOn = moment(created)
	s.LastUsedOn = moment(seen)
	s.ExpiresOn = moment(expires)
	if s.networks, err = parseNetworks(networks); err != nil {
		return s, err
	}
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
	_, err = tx.Exec(ctx, `INSERT INTO session (`+sessionColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		s.hash[:],
		s.ID,
		s.PersonID,
		s.accountID,
		portal,
		s.viaLink,
		s.IP,
		s.UserAgent,
		s.CreatedOn.Micros(),
		s.LastUsedOn.Micros(),
		s.ExpiresOn.Micros(),
		s.maker.kind,
		s.maker.id,
		joinNetworks(s.networks),
	)
	return err
}

// listPortalSessions lists an account's customers' sessions after an id,
// ascending; sessions that have ended may be among them.
func listPortalSessions(ctx context.Context, tx *db.Tx, accountID, after string, limit int) ([]Session, error) {
	return db.Collect(ctx, tx, scanSession, `SELECT `+sessionColumns+` FROM session
		WHERE account_id = $1 AND portal <> '' AND id > $2
		ORDER BY id LIMIT $3`, accountID, after, limit)
}

func deletePortalSession(ctx context.Context, tx *db.Tx, accountID, sessionID string) (Session, error) {
	s, err := scanSession(tx.QueryRow(ctx, `DELETE FROM session
		WHERE account_id = $1 AND portal <> '' AND id = $2
		RETURNING `+sessionColumns, accountID, sessionID))
	return s, missing(err, "session")
}

// madeBy lists the customers' sessions that depend on a maker's rights.
func madeBy(ctx context.Context, tx *db.Tx, makerID string) ([]Hash, error) {
	return db.Collect(ctx, tx, scanHash, `SELECT hash FROM session WHERE maker_id = $1 AND portal <> ''`, makerID)
}

// deleteMadeBy ends the customers' sessions and unused links of a maker.
func deleteMadeBy(ctx context.Context, tx *db.Tx, makerID string) ([]Hash, error) {
	if _, err := tx.Exec(ctx, `DELETE FROM link WHERE maker_id = $1`, makerID); err != nil {
		return nil, err
	}
	return db.Collect(ctx, tx, scanHash, `DELETE FROM session
		WHERE maker_id = $1 AND portal <> ''
		RETURNING hash`, makerID)
}

// enter stores that a session has entered an account; false if it had before.
func enter(ctx context.Context, tx *db.Tx, sessionID, accountID string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO session_account (session_id, account_id) VALUES ($1, $2)
		ON CONFLICT (session_id, account_id) DO NOTHING`, sessionID, accountID)
	return n == 1, err
}

// listEntered lists the accounts that a session has entered.
func listEntered(ctx context.Context, tx *db.Tx, sessionID string) ([]string, error) {
	return db.Collect(ctx, tx, scanString, `SELECT account_id FROM session_account
		WHERE session_id = $1
		ORDER BY account_id LIMIT $2`, sessionID, MaxAccounts)
}

func scanString(row db.Row) (s string, err error) {
	err = row.Scan(&s)
	return s, err
}

// listSessions lists a person's sessions, newest first.
func listSessions(ctx context.Context, tx *db.Tx, personID string) ([]Session, error) {
	return db.Collect(ctx, tx, scanSession, `SELECT `+sessionColumns+` FROM session
		WHERE person_id = $1
		ORDER BY id DESC LIMIT $2`, personID, MaxSessions)
}

// trimSessions deletes the oldest sessions of a person, so that one more is within
// the limit.
func trimSessions(ctx context.Context, tx *db.Tx, personID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE person_id = $1 AND id NOT IN
		(SELECT id FROM session WHERE person_id = $1 ORDER BY id DESC LIMIT $2)`, personID, MaxSessions-1)
	return err
}

func deleteSession(ctx context.Context, tx *db.Tx, personID, sessionID string) (Session, error) {
	s, err := scanSession(tx.QueryRow(ctx, `DELETE FROM session
		WHERE person_id = $1 AND id = $2
		RETURNING `+sessionColumns, personID, sessionID))
	return s, missing(err, "session")
}

func deleteSessionByHash(ctx context.Context, tx *db.Tx, h Hash) (Session, error) {
	return scanSession(tx.QueryRow(ctx, `DELETE FROM session WHERE hash = $1 RETURNING `+sessionColumns, h[:]))
}

// deleteSessions ends all sessions of a person but one, and returns their hashes.
func deleteSessions(ctx context.Context, tx *db.Tx, personID, but string) ([]Hash, error) {
	return db.Collect(ctx, tx, scanHash, `DELETE FROM session
		WHERE person_id = $1 AND id <> $2
		RETURNING hash`, personID, but)
}

func sessionHashes(ctx context.Context, tx *db.Tx, personID string) ([]Hash, error) {
	return db.Collect(ctx, tx, scanHash, `SELECT hash FROM session WHERE person_id = $1`, personID)
}

func scanHash(row db.Row) (h Hash, err error) {
	var b []byte
	err = row.Scan(&b)
	copy(h[:], b)
	return h, err
}

// signInLink is a one-time link.
type signInLink struct {
	personID  string
	accountID string // of a customers' session; of a person's, the one that created it
	portal    *Portal
	maker     maker // of a customers' session
	limits    credentialLimits
	mailed    bool // only a mail to the person has it
}

func insertLink(ctx context.Context, tx *db.Tx, h Hash, l signInLink, created, expires int64) error {
	portal, err := encodePortal(l.portal)
	if err != nil {
		return err
	}
	if l.personID != "" {
		_, err := tx.Exec(ctx, `DELETE FROM link WHERE person_id = $1 AND hash NOT IN
			(SELECT hash FROM link WHERE person_id = $1 ORDER BY created_at DESC, hash LIMIT $2)`, l.personID, MaxLinks-1)
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO link (hash, created_at, expires_at, `+linkColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		h[:],
		created,
		expires,
		l.personID,
		l.accountID,
		portal,
		l.maker.kind,
		l.maker.id,
		joinNetworks(l.limits.networks),
		l.limits.until,
		l.mailed,
	)
	return err
}

const linkColumns = `person_id, account_id, portal, maker_type, maker_id, networks, bound_until, mailed`

func scanLink(row db.Row) (l signInLink, err error) {
	var portal, networks string
	err = row.Scan(&l.personID, &l.accountID, &portal, &l.maker.kind, &l.maker.id, &networks, &l.limits.until,
		&l.mailed)
	if err != nil {
		return l, err
	}
	if l.limits.networks, err = parseNetworks(networks); err != nil {
		return l, err
	}
	l.portal, err = decodePortal(portal)
	return l, err
}

// loadLink reads a link without using it; sql.ErrNoRows if it has expired.
func loadLink(ctx context.Context, tx *db.Tx, h Hash, now int64) (signInLink, error) {
	return scanLink(tx.QueryRow(ctx, `SELECT `+linkColumns+` FROM link WHERE hash = $1 AND expires_at > $2`, h[:], now))
}

// consumeLink deletes and returns a link: one of several concurrent requests gets
// it, the others get sql.ErrNoRows.
func consumeLink(ctx context.Context, tx *db.Tx, h Hash, now int64) (signInLink, error) {
	return scanLink(tx.QueryRow(ctx, `DELETE FROM link
		WHERE hash = $1 AND expires_at > $2
		RETURNING `+linkColumns, h[:], now))
}

func deleteLinks(ctx context.Context, tx *db.Tx, personID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM link WHERE person_id = $1`, personID)
	return err
}

// purge removes links and sessions that ended.
func (f *Feature) purge(ctx context.Context) error {
	now := f.micros()
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM link WHERE expires_at <= $1`, now); err != nil {
			return err
		}
		idle := now - IdleTime.Microseconds()
		if _, err := tx.Exec(ctx, `DELETE FROM session WHERE expires_at <= $1 OR seen_at <= $2`, now, idle); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM session_account
			WHERE session_id NOT IN (SELECT id FROM session)`)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM sent_mail WHERE at <= $1`, now-inviteMailsTime.Microseconds()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM confirmation WHERE expires_at <= $1`, now); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM known_network WHERE at <= $1`, now-networkTime.Microseconds())
		return err
	})
}
