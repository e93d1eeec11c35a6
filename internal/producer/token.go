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

// Permissions are what every token of a product team may do: in every account,
// for the products of the team's catalogue.
func Permissions() web.Permissions {
	return web.Permissions{"audit:write", "alerts:send", "traffic:write", "catalog:write"}
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

// NewToken is a token at the only moment at which its value is known.
type NewToken struct {
	Token
	Value string `json:"value" doc:"The secret; it is shown this once"`
}

// TokenSpec is what a new token shall be.
type TokenSpec struct {
	Name      string   `json:"name" minLength:"1" maxLength:"200"`
	ExpiresOn web.Time `json:"expires_on,omitzero" doc:"Left out: never"`
	IPAllow   []string `json:"ip_allow,omitempty" maxItems:"50" doc:"CIDRs or addresses from which it may be used; empty = anywhere"`
}

// CreateToken makes a token of a team.
func (r *Registry) CreateToken(ctx context.Context, teamID string, spec TokenSpec) (NewToken, error) {
	now := r.now()
	t := Token{ID: id.At(now), Name: strings.TrimSpace(spec.Name), CreatedOn: web.TimeOf(now.UnixMicro()), ExpiresOn: spec.ExpiresOn, IPAllow: []string{}}
	var list errs.List
	if !oneLine(t.Name) {
		list = append(list, errs.At(errs.CodeInvalid, "/name", "name must have 1 to %d characters in one line", catalogue.MaxTitle))
	}
	if !spec.ExpiresOn.IsZero() && !spec.ExpiresOn.After(now) {
		list = append(list, errs.At(errs.CodeOutOfRange, "/expires_on", "expires_on must be in the future"))
	}
	networks, fault := parseNetworks(spec.IPAllow)
	if fault != nil {
		list = append(list, fault)
	}
	if err := list.Or(); err != nil {
		return NewToken{}, err
	}
	for _, n := range networks {
		t.IPAllow = append(t.IPAllow, n.String())
	}
	value, hash := account.NewToken(TokenPrefix)
	var expires int64
	if !t.ExpiresOn.IsZero() {
		expires = t.ExpiresOn.Micros()
	}
	err := r.change(ctx, func(tx *db.Tx) error {
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
		_, err = tx.Exec(ctx, `INSERT INTO token (id, team_id, name, hash, ip_allow, created_at, expires_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`,
			t.ID, teamID, t.Name, hash[:], strings.Join(t.IPAllow, " "), now.UnixMicro(), expires)
		if err != nil {
			return err
		}
		return r.audit(ctx, tx, tokenEvent(r.cfg.OperatorAccount, "create", team, t))
	})
	if err != nil {
		return NewToken{}, err
	}
	return NewToken{t, value}, nil
}

func tokenEvent(account, action string, team Team, t Token) event.Audit {
	shown := map[string]any{"name": t.Name, "ip_allow": t.IPAllow}
	if !t.ExpiresOn.IsZero() {
		shown["expires_on"] = t.ExpiresOn.String()
	}
	e := event.NewAudit(account, action, "producer_token", t.ID, t.Name)
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
				return nil, errs.At(errs.CodeInvalid, "/ip_allow", "ip_allow takes addresses and CIDRs such as 192.0.2.0/24, not %s", catalogue.Quote(s))
			}
			addr = addr.Unmap()
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

const tokenColumns = `id, name, ip_allow, created_at, expires_at, last_used_at`

func scanToken(row scanner, more ...any) (Token, error) {
	var t Token
	var allow string
	var created, expires, used int64
	err := row.Scan(append([]any{&t.ID, &t.Name, &allow, &created, &expires, &used}, more...)...)
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
func (r *Registry) Tokens(ctx context.Context, teamID string) (list []Token, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		if _, err := loadTeam(ctx, tx, teamID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+tokenColumns+` FROM token WHERE team_id = $1 ORDER BY id DESC`, teamID)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			t, err := scanToken(rows)
			if err != nil {
				return err
			}
			list = append(list, t)
		}
		return rows.Err()
	})
	return list, err
}

// RevokeToken ends a token: at once in this process, within five seconds in
// the others.
func (r *Registry) RevokeToken(ctx context.Context, teamID, tokenID string) error {
	err := r.change(ctx, func(tx *db.Tx) error {
		team, err := loadTeam(ctx, tx, teamID)
		if err != nil {
			return err
		}
		t, err := scanToken(tx.QueryRow(ctx, `SELECT `+tokenColumns+` FROM token WHERE team_id = $1 AND id = $2`, teamID, tokenID))
		if !id.Valid(tokenID) || errors.Is(err, sql.ErrNoRows) {
			return errs.At(errs.CodeNotFound, "token_id", "the product team has no such token")
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM token WHERE id = $1`, tokenID); err != nil {
			return err
		}
		return r.audit(ctx, tx, tokenEvent(r.cfg.OperatorAccount, "revoke", team, t))
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revoked++
	clear(r.cached)
	return err
}

// Of the cache of tokens that were used.
const (
	cacheTime  = 5 * time.Second
	cacheLimit = 10_000
	touchTime  = time.Minute // between two writes of a token's last use
)

// cachedToken is a token as it was read from the database.
type cachedToken struct {
	id, name   string
	team, org  string // the team's id and name
	expires    int64
	networks   []netip.Prefix
	lastUsed   int64
	validUntil time.Time
}

// Authenticate finds the product team of a request with a token that begins
// with [TokenPrefix]; the app asks it for these only. Errors:
// CodeAuthentication, CodeTokenExpired, CodeTokenAddress, CodeUnavailable.
func (r *Registry) Authenticate(ctx context.Context, req *http.Request) (*web.Principal, error) {
	value, ok := web.Bearer(req)
	if !ok {
		return nil, errs.New(errs.CodeAuthentication, "the request has no bearer token")
	}
	hash, err := account.ParseToken(TokenPrefix, value)
	if err != nil {
		return nil, err
	}
	t, err := r.token(ctx, hash)
	if err != nil {
		return nil, err
	}
	now, addr := r.now(), web.ClientAddr(ctx)
	if t.expires != 0 && now.UnixMicro() >= t.expires {
		return nil, errs.New(errs.CodeTokenExpired, "the token expired at %s", web.TimeOf(t.expires))
	}
	if len(t.networks) > 0 && !slices.ContainsFunc(t.networks, func(n netip.Prefix) bool { return n.Contains(addr) }) {
		return nil, errs.New(errs.CodeTokenAddress, "the token may not be used from %s", addr)
	}
	if !web.Rechecking(ctx) {
		r.touch(hash, t, now.UnixMicro())
	}
	p := &web.Principal{Kind: web.KindProducer, ID: t.team, Name: t.org, Permissions: Permissions(), IP: addr}
	if t.expires != 0 {
		p.Ends = time.UnixMicro(t.expires)
	}
	return p, nil
}

// token reads a token from the cache or the database.
func (r *Registry) token(ctx context.Context, hash account.Hash) (cachedToken, error) {
	r.mu.Lock()
	t, ok := r.cached[hash]
	revoked := r.revoked
	r.mu.Unlock()
	if ok && r.now().Before(t.validUntil) {
		return t, nil
	}
	var one Token
	t = cachedToken{}
	err := r.db.View(ctx, func(tx *db.Tx) (err error) {
		one, err = scanToken(tx.QueryRow(ctx, `SELECT token.id, token.name, ip_allow, token.created_at, expires_at, last_used_at, team.id, team.name
			FROM token JOIN team ON team.id = token.team_id WHERE hash = $1 AND deleted_at = 0`, hash[:]), &t.team, &t.org)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return t, errs.New(errs.CodeAuthentication, "the token is not known, or was revoked")
	}
	if err != nil {
		return t, err
	}
	t.id, t.name = one.ID, one.Name
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
	t.validUntil = r.now().Add(cacheTime)
	r.mu.Lock()
	defer r.mu.Unlock()
	// What was read before a revocation is not kept.
	if r.revoked == revoked {
		if len(r.cached) >= cacheLimit {
			clear(r.cached)
		}
		r.cached[hash] = t
	}
	return t, nil
}

// tokenOf is the producer's token of a request that was authenticated just now.
func (r *Registry) tokenOf(req *http.Request) (cachedToken, bool) {
	value, ok := web.Bearer(req)
	if !ok {
		return cachedToken{}, false
	}
	hash, err := account.ParseToken(TokenPrefix, value)
	if err != nil {
		return cachedToken{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.cached[hash]
	return t, ok
}

// touch notes a use, to be written by Run: at most once a minute for a token.
func (r *Registry) touch(hash account.Hash, t cachedToken, now int64) {
	if now-t.lastUsed < touchTime.Microseconds() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.cached[hash]; ok {
		c.lastUsed = now
		r.cached[hash] = c
	}
	if _, waits := r.touched[t.id]; !waits && len(r.touched) < cacheLimit {
		r.touched[t.id] = now
	}
}

// writeTouched writes the noted uses.
func (r *Registry) writeTouched(ctx context.Context) error {
	r.mu.Lock()
	list := r.touched
	r.touched = map[string]int64{}
	r.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	err := r.db.Tx(ctx, func(tx *db.Tx) error {
		for token, at := range list {
			if _, err := tx.Exec(ctx, `UPDATE token SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, token, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for token, at := range list {
			if _, newer := r.touched[token]; !newer {
				r.touched[token] = at
			}
		}
	}
	return err
}
