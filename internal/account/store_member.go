package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Person can sign in. The API calls it a user.
//
// A person whom an account invited belongs to that account, its home: the account
// may create sign-in links for the person, who is therefore a different person
// from any other with the same address. The operators vouch for the persons that
// they add.
type Person struct {
	ID         string   `json:"id"`
	Email      string   `json:"email"`
	Name       string   `json:"name"`
	Staff      bool     `json:"staff" doc:"An operator, with all permissions in all accounts"`
	CreatedOn  web.Time `json:"created_on"`
	SignedInOn web.Time `json:"signed_in_on,omitzero"`

	password string // encoded argon2id; "" = none
	home     string // the account that may make sign-in links for the person; "" = the operators
}

// maxSameAddress limits the persons with one address that a query returns.
const maxSameAddress = 100

const personColumns = `id, email, name, password, staff, home, created_at, signed_in_at`

func scanPerson(row db.Row) (p Person, err error) {
	var created, signedInAt int64
	err = row.Scan(&p.ID, &p.Email, &p.Name, &p.password, &p.Staff, &p.home, &created, &signedInAt)
	p.CreatedOn = moment(created)
	p.SignedInOn = moment(signedInAt)
	return p, err
}

func loadPerson(ctx context.Context, tx *db.Tx, personID string) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM person WHERE id = $1`, personID))
	return p, missing(err, "user")
}

// loadPersonAt finds the person with an address in one home.
func loadPersonAt(ctx context.Context, tx *db.Tx, email, home string) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM person
		WHERE email = $1 AND home = $2`, email, home))
	return p, missing(err, "user")
}

// listPersons lists the persons with an address: the one for whom the operators
// vouch first, then in the order of their last sign-ins, newest first.
func listPersons(ctx context.Context, tx *db.Tx, email string) ([]Person, error) {
	return db.Collect(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM person
		WHERE email = $1
		ORDER BY CASE WHEN home = '' THEN 0 ELSE 1 END, signed_in_at DESC, id LIMIT $2`, email, maxSameAddress)
}

// insertPerson stores a new person; false if its home has a person with the address.
func insertPerson(ctx context.Context, tx *db.Tx, p Person) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO person (`+personColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
		ON CONFLICT (email, home) DO NOTHING`, p.row()...)
	return n == 1, err
}

// row has the values of personColumns but the last one.
func (p Person) row() []any {
	return []any{
		p.ID,
		p.Email,
		p.Name,
		p.password,
		p.Staff,
		p.home,
		p.CreatedOn.Micros(),
	}
}

// deletePerson deletes a person with sessions, links and networks, but without
// memberships.
func deletePerson(ctx context.Context, tx *db.Tx, personID string) (ended []Hash, err error) {
	if ended, err = deleteSessions(ctx, tx, personID, ""); err != nil {
		return nil, err
	}
	if err := deleteLinks(ctx, tx, personID); err != nil {
		return nil, err
	}
	for _, text := range []string{
		`DELETE FROM known_network WHERE person_id = $1`,
		`DELETE FROM news_seen WHERE person_id = $1`,
		`DELETE FROM list_view WHERE owner_id = $1`,
	} {
		if _, err := tx.Exec(ctx, text, personID); err != nil {
			return nil, err
		}
	}
	_, err = tx.Exec(ctx, `DELETE FROM person WHERE id = $1`, personID)
	return ended, err
}

// lockPerson makes other transactions that lock the same person wait.
func lockPerson(ctx context.Context, tx *db.Tx, personID string) error {
	_, err := tx.Exec(ctx, `UPDATE person SET id = id WHERE id = $1`, personID)
	return err
}

func setPassword(ctx context.Context, tx *db.Tx, personID, encoded string) error {
	_, err := tx.Exec(ctx, `UPDATE person SET password = $2 WHERE id = $1`, personID, encoded)
	return err
}

func setSignedIn(ctx context.Context, tx *db.Tx, personID string, at int64) error {
	_, err := tx.Exec(ctx, `UPDATE person SET signed_in_at = $2 WHERE id = $1`, personID, at)
	return err
}

// The states of a membership.
const (
	StatusActive  = "active"
	StatusPending = "pending"
)

// Member is a person's membership in one account.
type Member struct {
	ID            string   `json:"id" doc:"The id of the user"`
	Email         string   `json:"email"`
	Name          string   `json:"name"`
	Role          Role     `json:"role" enum:"owner,admin,operator,editor,viewer,auditor"`
	Status        string   `json:"status" enum:"active,pending" doc:"pending until the person has accepted: by signing in with the account's link, or on their own page of invitations"`
	CreatedOn     web.Time `json:"created_on"`
	InvitedUntil  web.Time `json:"invited_until,omitzero" doc:"The end of the newest sign-in link of a pending member; missing if there is no link"`
	LastEnteredOn web.Time `json:"last_entered_on,omitzero" doc:"The last time at which a session of the member entered this account"`
	LastActiveOn  web.Time `json:"last_active_on,omitzero" doc:"The last request of the member to this account, with the precision of a minute"`
	MailedOn      web.Time `json:"invitation_sent_on,omitzero" doc:"When the last invitation mail was sent"`
	Confirmed     bool     `json:"email_confirmed" doc:"The person has opened a link in a mail to the address, or the operators vouch for it. Alert mail is sent to confirmed addresses only"`

	accepted bool
	ours     bool // the person is the account's own
}

const selectMember = `SELECT p.id, p.email, p.name, m.role, p.signed_in_at, m.created_at, m.accepted_at, m.entered_at,
		COALESCE((SELECT max(l.expires_at) FROM link l WHERE l.person_id = p.id), 0), p.home, p.confirmed_by,
		m.active_at, m.mailed_at
	FROM member m JOIN person p ON p.id = m.person_id WHERE m.account_id = $1`

func scanMember(row db.Row) (m Member, err error) {
	var signedInAt, created, accepted, entered, invited, active, mailed int64
	var home, confirmedBy string
	err = row.Scan(
		&m.ID,
		&m.Email,
		&m.Name,
		&m.Role,
		&signedInAt,
		&created,
		&accepted,
		&entered,
		&invited,
		&home,
		&confirmedBy,
		&active,
		&mailed,
	)
	m.LastActiveOn = moment(max(entered, active))
	m.MailedOn = moment(mailed)
	m.Confirmed = addressState{home == "", confirmedBy}.confirmed(true)
	m.CreatedOn = moment(created)
	m.LastEnteredOn = moment(entered)
	m.accepted = accepted != 0
	m.ours = home != ""
	if m.Status = StatusPending; m.accepted && signedInAt != 0 {
		m.Status = StatusActive
	} else {
		m.InvitedUntil = moment(invited)
	}
	return m, err
}

func loadMember(ctx context.Context, tx *db.Tx, accountID, memberID string) (Member, error) {
	m, err := scanMember(tx.QueryRow(ctx, selectMember+` AND m.person_id = $2`, accountID, memberID))
	return m, missing(err, "member")
}

func listMembers(ctx context.Context, tx *db.Tx, accountID, after string, limit int) ([]Member, error) {
	return db.Collect(ctx, tx, scanMember, selectMember+` AND m.person_id > $2
		ORDER BY m.person_id LIMIT $3`, accountID, after, limit)
}

// isMember reports whether a member of the account, pending or not, has the address.
func isMember(ctx context.Context, tx *db.Tx, accountID, email string) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM member m JOIN person p ON p.id = m.person_id
		WHERE m.account_id = $1 AND p.email = $2`, accountID, email).Scan(&n)
	return n > 0, err
}

// countMembers counts an account's members, and the owners who have accepted.
func countMembers(ctx context.Context, tx *db.Tx, accountID string) (members, owners int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE role = 'owner' AND accepted_at <> 0)
		FROM member WHERE account_id = $1`, accountID).Scan(&members, &owners)
	return members, owners, err
}

// memberRow is a new membership; its times are in microseconds.
type memberRow struct {
	accountID string
	personID  string
	role      Role
	created   int64
	accepted  int64 // 0 = pending
}

func insertMember(ctx context.Context, tx *db.Tx, m memberRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO member (account_id, person_id, role, created_at, accepted_at, entered_at)
		VALUES ($1, $2, $3, $4, $5, 0)`, m.row()...)
	return err
}

func (m memberRow) row() []any {
	return []any{
		m.accountID,
		m.personID,
		string(m.role),
		m.created,
		m.accepted,
	}
}

// acceptMember accepts the pending membership of a person in their home.
func acceptMember(ctx context.Context, tx *db.Tx, personID string, at int64) error {
	_, err := tx.Exec(ctx, `UPDATE member SET accepted_at = $2 WHERE person_id = $1 AND accepted_at = 0`, personID, at)
	return err
}

// moveMember moves a membership to another person, who accepts it.
func moveMember(ctx context.Context, tx *db.Tx, accountID, from, to string, at int64) error {
	_, err := tx.Exec(ctx, `UPDATE member SET person_id = $3, accepted_at = $4
		WHERE account_id = $1 AND person_id = $2`, accountID, from, to, at)
	return err
}

func setEntered(ctx context.Context, tx *db.Tx, accountID, personID string, at int64) error {
	_, err := tx.Exec(ctx, `UPDATE member SET entered_at = $3
		WHERE account_id = $1 AND person_id = $2`, accountID, personID, at)
	return err
}

func setRole(ctx context.Context, tx *db.Tx, accountID, personID string, role Role) error {
	_, err := tx.Exec(ctx, `UPDATE member SET role = $3
		WHERE account_id = $1 AND person_id = $2`, accountID, personID, string(role))
	return err
}

func deleteMember(ctx context.Context, tx *db.Tx, accountID, personID string) error {
	if err := deleteViewsOf(ctx, tx, accountID, personID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM member WHERE account_id = $1 AND person_id = $2`, accountID, personID)
	return err
}

// Membership is one account of a person.
type Membership struct {
	AccountID   string `json:"account_id"`
	AccountName string `json:"account_name"`
	Role        Role   `json:"role"`
	Closed      bool   `json:"account_closed,omitempty" doc:"The account is closed: it can be read and exported"`
}

// permissions are the permissions that the membership gives.
func (m Membership) permissions() web.Permissions {
	if m.Closed {
		return m.Role.readOnly()
	}
	return m.Role.Permissions()
}

func scanMembership(row db.Row) (m Membership, err error) {
	return m, row.Scan(&m.AccountID, &m.AccountName, &m.Role, &m.Closed)
}

// listMemberships lists the accounts that a person has accepted, the oldest
// account first.
func listMemberships(ctx context.Context, tx *db.Tx, personID string) ([]Membership, error) {
	return db.Collect(ctx, tx, scanMembership, `SELECT m.account_id, a.name, m.role, a.closed_at <> 0
		FROM member m JOIN account a ON a.id = m.account_id
		WHERE m.person_id = $1 AND m.accepted_at <> 0
		ORDER BY m.account_id LIMIT $2`, personID, MaxAccounts)
}
