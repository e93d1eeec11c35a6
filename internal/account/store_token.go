package account

import (
	"context"
	"net/netip"
	"strings"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Token is an API token without its value.
type Token struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      string   `json:"status" enum:"active,expired"`
	Permissions []string `json:"permissions"`
	IPAllow     []string `json:"ip_allow" doc:"Networks from which it may be used; empty = anywhere"`
	CreatedOn   web.Time `json:"created_on"`
	ExpiresOn   web.Time `json:"expires_on,omitzero"`
	LastUsedOn  web.Time `json:"last_used_on,omitzero" doc:"With the precision of a minute"`
	CreatedBy   Creator  `json:"created_by,omitzero" doc:"Missing for tokens of earlier versions"`

	accountID string
	hash      Hash
	networks  []netip.Prefix
}

// Creator is the creator of a token, with the name of that time.
type Creator struct {
	Type string `json:"type" doc:"user, token, staff or system"`
	ID   string `json:"id"`
	Name string `json:"name,omitzero" doc:"Their name, or e-mail address where they have none"`
}

func creator(by *web.Principal) Creator {
	a := feature.Actor(by)
	c := Creator{Type: a.Type, ID: a.ID, Name: a.Name}
	if c.Name == "" {
		c.Name = a.Email
	}
	return c
}

const tokenColumns = `id, account_id, name, hash, permissions, ip_allow, created_at, expires_at, last_used_at,
	created_by_type, created_by_id, created_by_name`

func scanToken(row db.Row) (t Token, err error) {
	var hash []byte
	var permissions, allow string
	var created, expires, used int64
	err = row.Scan(
		&t.ID,
		&t.accountID,
		&t.Name,
		&hash,
		&permissions,
		&allow,
		&created,
		&expires,
		&used,
		&t.CreatedBy.Type,
		&t.CreatedBy.ID,
		&t.CreatedBy.Name,
	)
	if err != nil {
		return t, err
	}
	copy(t.hash[:], hash)
	t.Permissions = strings.Fields(permissions)
	t.IPAllow = strings.Fields(allow)
	if t.networks, err = parseNetworks(allow); err != nil {
		return t, err
	}
	t.CreatedOn = moment(created)
	t.ExpiresOn = moment(expires)
	t.LastUsedOn = moment(used)
	return t, nil
}

// parseNetworks reads stored CIDRs. It fails on a damaged row, which must not
// widen the limits of a credential.
func parseNetworks(stored string) (list []netip.Prefix, err error) {
	for _, s := range strings.Fields(stored) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func joinNetworks(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}

// expiry is the end of the token's life in microseconds; 0 = never.
func (t Token) expiry() int64 {
	if t.ExpiresOn.IsZero() {
		return 0
	}
	return t.ExpiresOn.Micros()
}

// at sets the status as of a moment.
func (t Token) at(micros int64) Token {
	t.Status = "active"
	if end := t.expiry(); end != 0 && micros >= end {
		t.Status = "expired"
	}
	return t
}

func loadTokenByHash(ctx context.Context, tx *db.Tx, h Hash) (Token, error) {
	return scanToken(tx.QueryRow(ctx, `SELECT `+tokenColumns+` FROM api_token WHERE hash = $1`, h[:]))
}

func loadToken(ctx context.Context, tx *db.Tx, accountID, tokenID string) (Token, error) {
	t, err := scanToken(tx.QueryRow(ctx, `SELECT `+tokenColumns+` FROM api_token
		WHERE account_id = $1 AND id = $2`, accountID, tokenID))
	return t, missing(err, "token")
}

func listTokens(ctx context.Context, tx *db.Tx, accountID, after string, limit int) ([]Token, error) {
	return db.Collect(ctx, tx, scanToken, `SELECT `+tokenColumns+` FROM api_token
		WHERE account_id = $1 AND id > $2
		ORDER BY id LIMIT $3`, accountID, after, limit)
}

func countTokens(ctx context.Context, tx *db.Tx, accountID string) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM api_token WHERE account_id = $1`, accountID).Scan(&n)
	return n, err
}

func insertToken(ctx context.Context, tx *db.Tx, t Token) error {
	_, err := tx.Exec(ctx, `INSERT INTO api_token (`+tokenColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11)`, t.row()...)
	return err
}

// row has the values of tokenColumns but last_used_at.
func (t Token) row() []any {
	return []any{
		t.ID,
		t.accountID,
		t.Name,
		t.hash[:],
		strings.Join(t.Permissions, " "),
		strings.Join(t.IPAllow, " "),
		t.CreatedOn.Micros(),
		t.expiry(),
		t.CreatedBy.Type,
		t.CreatedBy.ID,
		t.CreatedBy.Name,
	}
}

func deleteToken(ctx context.Context, tx *db.Tx, accountID, tokenID string) error {
	if err := deleteViewsOf(ctx, tx, accountID, tokenID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM api_token WHERE account_id = $1 AND id = $2`, accountID, tokenID)
	return err
}
