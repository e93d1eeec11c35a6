package producer

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// TokenPrefix begins the value of a product team's token. The value is made
// like an account's ([account.NewToken]): random, with a checksum, stored as
// its SHA-256 alone.
const TokenPrefix = "blfp_"

// Permissions are the rights of every token of a team: in every account, for the
// products of the team's catalogue.
func Permissions() web.Permissions {
	return web.Permissions{account.AuditWrite, account.AlertsSend, account.TrafficWrite, account.CatalogWrite}
}

// Token is a product team's credential, without its value.
type Token struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	IPAllow    []string `json:"ip_allow" doc:"CIDRs or addresses; empty = from anywhere"`
	CreatedOn  web.Time `json:"created_on"`
	ExpiresOn  web.Time `json:"expires_on,omitzero" doc:"Left out: never"`
	LastUsedOn web.Time `json:"last_used_on,omitzero" doc:"To the minute; left out: never"`
}

// NewToken is a token with its value, which is known only when it is created.
type NewToken struct {
	Token
	Value string `json:"value" doc:"The secret; it is shown only once"`
}

// TokenCreate is the body that creates a token.
type TokenCreate struct {
	Name      string   `json:"name" minLength:"1" maxLength:"200"`
	ExpiresOn web.Time `json:"expires_on,omitzero" doc:"Left out: never"`
	IPAllow   []string `json:"ip_allow,omitempty" maxItems:"50" doc:"CIDRs or addresses from which it may be used; empty = anywhere"`
}

// CreateToken creates a token of a team.
func (f *Feature) CreateToken(ctx context.Context, teamID string, spec TokenCreate) (NewToken, error) {
	now := f.now()
	t, err := newToken(spec, now)
	if err != nil {
		return NewToken{}, err
	}
	var expires int64
	if !t.ExpiresOn.IsZero() {
		expires = t.ExpiresOn.Micros()
	}
	value, hash := account.NewToken(TokenPrefix)

	err = f.change(ctx, func(tx *db.Tx) error {
		team, err := loadTeam(ctx, tx, teamID)
		if err != nil {
			return err
		}
		// The row's lock keeps two creations from passing the limit together.
		if _, err := tx.Exec(ctx, `UPDATE team SET modified_at = modified_at WHERE id = $1`, teamID); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM token WHERE team_id = $1`, teamID).Scan(&n); err != nil {
			return err
		}
		if n >= maxTokens {
			return errs.New(errs.CodeLimit, "the product team has %d tokens, the most it may have", n)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO token (id, team_id, name, hash, ip_allow, created_at, expires_at, last_used_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`,
			t.ID, teamID, t.Name, hash[:], strings.Join(t.IPAllow, " "), now.UnixMicro(), expires)
		if err != nil {
			return err
		}
		return f.cfg.Record(ctx, tx, tokenEvent(f.cfg.OperatorAccount, "create", team, t))
	})
	if err != nil {
		return NewToken{}, err
	}
	return NewToken{Token: t, Value: value}, nil
}

func newToken(spec TokenCreate, now time.Time) (Token, error) {
	t := Token{
		ID:        id.At(now),
		Name:      strings.TrimSpace(spec.Name),
		CreatedOn: web.TimeOf(now.UnixMicro()),
		ExpiresOn: spec.ExpiresOn,
		IPAllow:   []string{},
	}
	var faults errs.List
	if !oneLine(t.Name) {
		faults = append(faults, errs.At(errs.CodeInvalid, "/name",
			"name must have 1 to %d characters in one line", catalogue.MaxTitle))
	}
	if !spec.ExpiresOn.IsZero() && !spec.ExpiresOn.After(now) {
		faults = append(faults, errs.At(errs.CodeOutOfRange, "/expires_on", "expires_on must be in the future"))
	}
	networks, fault := parseNetworks(spec.IPAllow)
	if fault != nil {
		faults = append(faults, fault)
	}
	for _, n := range networks {
		t.IPAllow = append(t.IPAllow, n.String())
	}
	return t, faults.Or()
}

func tokenEvent(accountID, action string, team Team, t Token) event.Audit {
	shown := map[string]any{"name": t.Name, "ip_allow": t.IPAllow}
	if !t.ExpiresOn.IsZero() {
		shown["expires_on"] = t.ExpiresOn.String()
	}
	e := event.NewAudit(accountID, action, "producer_token", t.ID, t.Name)
	e.Metadata = map[string]any{"producer": team.Name, "producer_id": team.ID}
	if action == "create" {
		return e.Changed(nil, shown)
	}
	return e.Changed(shown, nil)
}

func parseNetworks(entries []string) ([]netip.Prefix, *errs.Error) {
	var list []netip.Prefix
	for _, s := range entries {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err := netip.ParseAddr(s)
			if err != nil || addr.Zone() != "" {
				return nil, errs.At(errs.CodeInvalid, "/ip_allow",
					"ip_allow takes addresses and CIDRs such as 192.0.2.0/24, not %s", catalogue.Quote(s))
			}
			addr = addr.Unmap()
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

const tokenColumns = `id, name, ip_allow, created_at, expires_at, last_used_at`

func scanToken(row db.Row, more ...any) (Token, error) {
	var t Token
	var allow string
	var created, expires, used int64
	targets := []any{
		&t.ID,
		&t.Name,
		&allow,
		&created,
		&expires,
		&used,
	}
	err := row.Scan(append(targets, more...)...)
	t.IPAllow = append([]string{}, strings.Fields(allow)...)
	t.CreatedOn = web.TimeOf(created)
	if expires != 0 {
		t.ExpiresOn = web.TimeOf(expires)
	}
	if used != 0 {
		t.LastUsedOn = web.TimeOf(used)
	}
	return t, err
}

// Tokens lists a team's tokens, newest first; there are at most 100.
func (f *Feature) Tokens(ctx context.Context, teamID string) (list []Token, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		if _, err := loadTeam(ctx, tx, teamID); err != nil {
			return err
		}
		scan := func(row db.Row) (Token, error) { return scanToken(row) }
		list, err = db.Collect(ctx, tx, scan,
			`SELECT `+tokenColumns+` FROM token WHERE team_id = $1 ORDER BY id DESC`, teamID)
		return err
	})
	return list, err
}

// RevokeToken ends a token: at once in this process, within five seconds in
// the others.
func (f *Feature) RevokeToken(ctx context.Context, teamID, tokenID string) error {
	err := f.change(ctx, func(tx *db.Tx) error {
		team, err := loadTeam(ctx, tx, teamID)
		if err != nil {
			return err
		}
		row := tx.QueryRow(ctx, `SELECT `+tokenColumns+` FROM token WHERE team_id = $1 AND id = $2`, teamID, tokenID)
		t, err := scanToken(row)
		if !id.Valid(tokenID) || errors.Is(err, sql.ErrNoRows) {
			return errs.At(errs.CodeNotFound, "token_id", "the product team has no such token")
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM token WHERE id = $1`, tokenID); err != nil {
			return err
		}
		return f.cfg.Record(ctx, tx, tokenEvent(f.cfg.OperatorAccount, "revoke", team, t))
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked++
	clear(f.cached)
	return err
}

// Bounds of the cache of tokens.
const (
	cacheTime  = 5 * time.Second
	cacheLimit = 10_000
	touchTime  = time.Minute // between two writes of a token's last use
)

// cachedToken is a token as it was read from the database.
type cachedToken struct {
	id, name   string
	team       string // id
	teamName   string
	expires    int64
	networks   []netip.Prefix
	lastUsed   int64
	validUntil time.Time
}

// Authenticate finds the team of a request whose token begins with [TokenPrefix].
// Errors: CodeAuthentication, CodeTokenExpired, CodeTokenAddress, CodeUnavailable.
func (f *Feature) Authenticate(ctx context.Context, req *http.Request) (*web.Principal, error) {
	value, ok := web.Bearer(req)
	if !ok {
		return nil, errs.New(errs.CodeAuthentication, "the request has no bearer token")
	}
	hash, err := account.ParseToken(TokenPrefix, value)
	if err != nil {
		return nil, err
	}
	t, err := f.token(ctx, hash)
	if err != nil {
		return nil, err
	}
	now := f.now()
	addr := web.ClientAddr(ctx)
	if t.expires != 0 && now.UnixMicro() >= t.expires {
		return nil, errs.New(errs.CodeTokenExpired, "the token expired at %s", web.TimeOf(t.expires))
	}
	holdsAddr := func(n netip.Prefix) bool { return n.Contains(addr) }
	if len(t.networks) > 0 && !slices.ContainsFunc(t.networks, holdsAddr) {
		return nil, errs.New(errs.CodeTokenAddress, "the token may not be used from %s", addr)
	}
	if !web.Rechecking(ctx) {
		f.touch(hash, t, now.UnixMicro())
	}
	p := &web.Principal{
		Kind:        web.KindProducer,
		ID:          t.team,
		Name:        t.teamName,
		TokenID:     t.id,
		TokenName:   t.name,
		Permissions: Permissions(),
		IP:          addr,
	}
	if t.expires != 0 {
		p.Ends = time.UnixMicro(t.expires)
	}
	return p, nil
}

// token reads a token from the cache or the database.
func (f *Feature) token(ctx context.Context, hash account.Hash) (cachedToken, error) {
	f.mu.Lock()
	t, ok := f.cached[hash]
	revoked := f.revoked
	f.mu.Unlock()
	if ok && f.now().Before(t.validUntil) {
		return t, nil
	}
	var one Token
	t = cachedToken{}
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		row := tx.QueryRow(ctx, `
			SELECT token.id, token.name, ip_allow, token.created_at, expires_at, last_used_at, team.id, team.name
			FROM token JOIN team ON team.id = token.team_id
			WHERE hash = $1 AND deleted_at = 0`, hash[:])
		one, err = scanToken(row, &t.team, &t.teamName)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return t, errs.New(errs.CodeAuthentication, "the token is not known, or was revoked")
	}
	if err != nil {
		return t, err
	}
	t.id = one.ID
	t.name = one.Name
	if !one.ExpiresOn.IsZero() {
		t.expires = one.ExpiresOn.Micros()
	}
	if !one.LastUsedOn.IsZero() {
		t.lastUsed = one.LastUsedOn.Micros()
	}
	var fault *errs.Error
	if t.networks, fault = parseNetworks(one.IPAllow); fault != nil {
		return t, fault // a stored list that cannot be read must not mean "anywhere"
	}
	t.validUntil = f.now().Add(cacheTime)

	f.mu.Lock()
	defer f.mu.Unlock()
	// A token that was read before a revocation is not cached.
	if f.revoked == revoked {
		if len(f.cached) >= cacheLimit {
			clear(f.cached)
		}
		f.cached[hash] = t
	}
	return t, nil
}

// touch stores a token's use for Run to write, at most once a minute for a token.
func (f *Feature) touch(hash account.Hash, t cachedToken, now int64) {
	if now-t.lastUsed < touchTime.Microseconds() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.cached[hash]; ok {
		c.lastUsed = now
		f.cached[hash] = c
	}
	if _, queued := f.touched[t.id]; !queued && len(f.touched) < cacheLimit {
		f.touched[t.id] = now
	}
}

// writeTouched writes the last uses of tokens.
func (f *Feature) writeTouched(ctx context.Context) error {
	f.mu.Lock()
	list := f.touched
	f.touched = map[string]int64{}
	f.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	err := f.db.Tx(ctx, func(tx *db.Tx) error {
		for token, at := range list {
			_, err := tx.Exec(ctx, `UPDATE token SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, token, at)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		for token, at := range list {
			if _, newer := f.touched[token]; !newer {
				f.touched[token] = at
			}
		}
	}
	return err
}
