package account

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// A session lasts until it was idle for IdleTime or is SessionTime old.
const (
	IdleTime    = 12 * time.Hour
	SessionTime = 30 * 24 * time.Hour
)

// Session is one browser that is signed in.
type Session struct {
	ID         string   `json:"id"`
	Current    bool     `json:"current" doc:"It is the session of this request"`
	IP         string   `json:"ip_address" doc:"Of the sign-in"`
	UserAgent  string   `json:"user_agent"`
	CreatedOn  web.Time `json:"created_on"`
	LastUsedOn web.Time `json:"last_used_on" doc:"With the precision of a minute"`
	ExpiresOn  web.Time `json:"expires_on"`

	PersonID string  `json:"-"` // "" for a customers' session
	Portal   *Portal `json:"-"` // of a customers' session, else nil

	accountID string // of a customers' session
	hash      Hash
	viaLink   bool           // made with a one-time link
	maker     maker          // of a customers' session
	networks  []netip.Prefix // from which it may be used; empty = anywhere
	enters    string         // of a new session: the requested account
	until     int64          // of a new session: the end of the token that created it; 0 = none
}

// ends is the end of the session unless it is used again, in microseconds.
func (s *Session) ends() int64 {
	return min(s.ExpiresOn.Micros(), s.LastUsedOn.Micros()+IdleTime.Microseconds())
}

// cookieName returns the name of a cookie. __Host- binds a cookie to this host and
// to TLS (RFC 6265bis, 4.1.3.2). Customers' pages have a separate cookie, because
// they may be in a frame of another site.
func (f *Feature) cookieName(portal bool) string {
	switch {
	case portal && f.cfg.Secure:
		return "__Host-belfry-portal"
	case portal:
		return "belfry_portal"
	case f.cfg.Secure:
		return "__Host-belfry"
	}
	return "belfry_session"
}

// setCookie sets the session cookie of the browser; an empty value removes it.
func (f *Feature) setCookie(w http.ResponseWriter, portal bool, value string, ends time.Time) {
	c := &http.Cookie{
		Name:     f.cookieName(portal),
		Value:    value,
		Path:     "/",
		HttpOnly: true,
		Secure:   f.cfg.Secure,
		SameSite: http.SameSiteLaxMode,
	}
	if portal && f.cfg.Secure { // also sent in a frame of another site
		c.SameSite = http.SameSiteNoneMode
		c.Partitioned = true
	}
	if value == "" {
		c.MaxAge = -1
	} else {
		c.MaxAge = max(1, int(ends.Sub(f.now())/time.Second))
	}
	http.SetCookie(w, c)
}

// SessionFromRequest finds the session of the request's cookie and its
// principal. If the browser has both cookies, the customers' one counts, because
// it has fewer permissions. Errors: CodeAuthentication, CodeUnavailable.
func (f *Feature) SessionFromRequest(ctx context.Context, r *http.Request) (*Session, *web.Principal, error) {
	for _, portal := range []bool{true, false} {
		cookie, err := r.Cookie(f.cookieName(portal))
		if err != nil || len(cookie.Value) != secretLen {
			continue
		}
		c, err := f.session(ctx, r, HashOf(cookie.Value))
		if errs.KindOf(err) == errs.Unauthenticated {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		p := c.principal
		p.IP = web.ClientAddr(ctx)
		p.Ends = time.UnixMicro(c.ends)
		if !within(c.networks, p.IP) {
			return nil, nil, f.refused("address",
				errs.New(errs.CodeTokenAddress, "the session may not be used from %s", p.IP))
		}
		if !web.Rechecking(ctx) { // the request that opened a stream was recorded
			f.entering(ctx, r, c, &p)
		}
		return c.session, &p, nil
	}
	return nil, nil, f.refused("session",
		errs.New(errs.CodeAuthentication, "the request has neither a token nor a session"))
}

// hasSessionCookie reports whether the request has a session cookie, valid or not.
func (f *Feature) hasSessionCookie(r *http.Request) bool {
	for _, portal := range []bool{true, false} {
		if _, err := r.Cookie(f.cookieName(portal)); err == nil {
			return true
		}
	}
	return false
}

// session returns the credential of a session that has not ended. Requests that an
// open page or stream sends by itself do not postpone the end of an idle session.
func (f *Feature) session(ctx context.Context, r *http.Request, h Hash) (*credential, error) {
	c, err := f.credentials.Get(ctx, h, func(ctx context.Context) (*credential, error) {
		return f.loadSessionCredential(ctx, h)
	})
	if err != nil {
		return nil, err
	}
	now := f.micros()
	if now >= c.ends {
		return nil, errs.New(errs.CodeAuthentication, "the session has ended")
	}
	if !web.Rechecking(ctx) && !ui.Refresh(r) && c.stale(now) {
		f.uses.session(h, now)
	}
	return c, nil
}

func (f *Feature) loadSessionCredential(ctx context.Context, h Hash) (*credential, error) {
	c := &credential{}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		s, err := loadSession(ctx, tx, h)
		if err != nil {
			return err
		}
		c.session = &s
		c.ends = s.ends()
		c.networks = s.networks
		c.noted.Store(s.LastUsedOn.Micros())
		if s.Portal != nil {
			c.principal = s.Portal.principal(s.accountID, s.ID)
			if ok, err := f.upholds(ctx, tx, s.maker, s.accountID, s.Portal); err != nil || ok {
				return err
			}
			return sql.ErrNoRows
		}
		accounts, err := listEntered(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		for _, accountID := range accounts {
			c.entered.Store(accountID, true)
		}
		person, err := loadPerson(ctx, tx, s.PersonID)
		if err != nil {
			return err
		}
		c.principal, err = person.principal(ctx, tx)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) || errs.Is(err, errs.CodeNotFound) {
		return nil, errs.New(errs.CodeAuthentication, "the session has ended")
	}
	return c, err
}

// principal is the person with their current permissions.
func (p Person) principal(ctx context.Context, tx *db.Tx) (web.Principal, error) {
	out := web.Principal{Kind: web.KindUser, ID: p.ID, Name: p.Name, Email: p.Email, Session: true}
	if p.Staff {
		out.Kind = web.KindStaff
		out.Installation = true
		out.Superoperator = true
	}
	memberships, err := listMemberships(ctx, tx, p.ID)
	if err != nil {
		return out, err
	}
	out.Grants = make(map[string]web.Permissions, len(memberships))
	for _, m := range memberships {
		out.Grants[m.AccountID] = m.permissions()
	}
	return out, nil
}

// Sessions lists the sessions of a person that have not ended, newest first (at
// most [MaxSessions]). current is the session of the request; nil = none.
func (f *Feature) Sessions(ctx context.Context, personID string, current *Session) ([]Session, error) {
	var list []Session
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		list, err = listSessions(ctx, tx, personID)
		return err
	})
	now := f.micros()
	live := []Session{}
	for _, s := range list {
		if now < s.ends() {
			s.Current = current != nil && s.ID == current.ID
			live = append(live, s)
		}
	}
	return live, err
}

// RevokeSession ends one session of a person.
func (f *Feature) RevokeSession(ctx context.Context, by *web.Principal, personID, sessionID string) error {
	var ended Session
	err := f.change(ctx, func(tx *db.Tx) (err error) {
		ended, err = deleteSession(ctx, tx, personID, sessionID)
		if err != nil {
			return err
		}
		person, err := loadPerson(ctx, tx, personID)
		if err != nil {
			return err
		}
		return f.recordWhereEntered(ctx, tx, by, ended.ID, "revoke", person.Email)
	})
	f.credentials.Evict(ended.hash)
	return err
}

// RevokeOtherSessions ends all sessions of a person but one, and returns how many.
func (f *Feature) RevokeOtherSessions(ctx context.Context, by *web.Principal, s *Session) (int, error) {
	var ended []Hash
	err := f.change(ctx, func(tx *db.Tx) error {
		list, err := listSessions(ctx, tx, s.PersonID)
		if err != nil {
			return err
		}
		person, err := loadPerson(ctx, tx, s.PersonID)
		if err != nil {
			return err
		}
		for _, one := range list {
			if one.ID == s.ID {
				continue
			}
			if err := f.recordWhereEntered(ctx, tx, by, one.ID, "revoke", person.Email); err != nil {
				return err
			}
		}
		ended, err = deleteSessions(ctx, tx, s.PersonID, s.ID)
		return err
	})
	f.credentials.Evict(ended...)
	return len(ended), err
}
