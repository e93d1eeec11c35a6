package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Person is somebody who can sign in. Outside it is called a user.
type Person struct {
	ID         string   `json:"id"`
	Email      string   `json:"email"`
	Name       string   `json:"name"`
	Staff      bool     `json:"staff" doc:"One of the operators: may do everything"`
	CreatedOn  web.Time `json:"created_on"`
	SignedInOn web.Time `json:"signed_in_on,omitzero"`

	password string // encoded argon2id; "" = none
	home     string // the account that may make sign-in links for the person; "" = the operators
}

const personColumns = `id, email, name, password, staff, home, created_at, signed_in_at`

func scanPerson(row interface{ Scan(...any) error }) (p Person, err error) {
	var created, signedIn int64
	err = row.Scan(&p.ID, &p.Email, &p.Name, &p.password, &p.Staff, &p.home, &created, &signedIn)
	p.CreatedOn, p.SignedInOn = moment(created), moment(signedIn)
	return p, err
}

func loadPerson(ctx context.Context, tx *db.Tx, personID string) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM person WHERE id = $1`, personID))
	return p, missing(err, "user")
}

func loadPersonByEmail(ctx context.Context, tx *db.Tx, email string) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM person WHERE email = $1`, email))
	return p, missing(err, "user")
}

// insertPerson stores a new person; false when the address is taken.
func insertPerson(ctx context.Context, tx *db.Tx, p Person) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO person (`+personColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (email) DO NOTHING`,
		p.ID, p.Email, p.Name, p.password, p.Staff, p.home, p.CreatedOn.Micros())
	return n == 1, err
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

// Member is a person's place in one account.
type Member struct {
	ID        string   `json:"id" doc:"The id of the user"`
	Email     string   `json:"email"`
	Name      string   `json:"name"`
	Role      Role     `json:"role" enum:"owner,admin,operator,editor,viewer,auditor"`
	Status    string   `json:"status" enum:"active,invited" doc:"invited until the first sign-in"`
	CreatedOn web.Time `json:"created_on"`
}

const selectMember = `SELECT p.id, p.email, p.name, m.role, p.signed_in_at, m.created_at FROM member m JOIN person p ON p.id = m.person_id WHERE m.account_id = $1`

func scanMember(row interface{ Scan(...any) error }) (m Member, err error) {
	var signedIn, created int64
	err = row.Scan(&m.ID, &m.Email, &m.Name, &m.Role, &signedIn, &created)
	m.CreatedOn = moment(created)
	if m.Status = "invited"; signedIn != 0 {
		m.Status = "active"
	}
	return m, err
}

func loadMember(ctx context.Context, tx *db.Tx, accountID, memberID string) (Member, error) {
	m, err := scanMember(tx.QueryRow(ctx, selectMember+` AND m.person_id = $2`, accountID, memberID))
	return m, missing(err, "member")
}

func listMembers(ctx context.Context, tx *db.Tx, accountID, after string, limit int) ([]Member, error) {
	return collect(ctx, tx, scanMember, selectMember+` AND m.person_id > $2 ORDER BY m.person_id LIMIT $3`, accountID, after, limit)
}

func countMembers(ctx context.Context, tx *db.Tx, accountID string) (members, owners int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE role = 'owner') FROM member WHERE account_id = $1`, accountID).Scan(&members, &owners)
	return members, owners, err
}

func insertMember(ctx context.Context, tx *db.Tx, accountID, personID string, role Role, at int64) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO member (account_id, person_id, role, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (account_id, person_id) DO NOTHING`,
		accountID, personID, string(role), at)
	return n == 1, err
}

func setRole(ctx context.Context, tx *db.Tx, accountID, personID string, role Role) error {
	_, err := tx.Exec(ctx, `UPDATE member SET role = $3 WHERE account_id = $1 AND person_id = $2`, accountID, personID, string(role))
	return err
}

func deleteMember(ctx context.Context, tx *db.Tx, accountID, personID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM member WHERE account_id = $1 AND person_id = $2`, accountID, personID)
	return err
}

// Membership is one account of a person.
type Membership struct {
	AccountID   string `json:"account_id"`
	AccountName string `json:"account_name"`
	Role        Role   `json:"role"`
}

// listMemberships gives a person's accounts, the oldest account first.
func listMemberships(ctx context.Context, tx *db.Tx, personID string) ([]Membership, error) {
	scan := func(row interface{ Scan(...any) error }) (m Membership, err error) {
		return m, row.Scan(&m.AccountID, &m.AccountName, &m.Role)
	}
	return collect(ctx, tx, scan, `SELECT m.account_id, a.name, m.role FROM member m JOIN account a ON a.id = m.account_id WHERE m.person_id = $1 ORDER BY m.account_id LIMIT $2`, personID, MaxAccounts)
}
