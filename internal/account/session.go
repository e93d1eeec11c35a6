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
	enters    string         // while it begins: the account that is asked for
	until     int64          // while it begins: the end of the token that made it; 0 = none
}

// ends is when the session is over unless it is used again, in microseconds.
func (s *Session) ends() int64 {
	return min(s.ExpiresOn.Micros(), s.LastUsedOn.Micros()+IdleTime.Microseconds())
}

// The names of the cookies. __Host- binds a cookie to this very host and to TLS
// (RFC 6265bis, 4.1.3.2). Customers' pages have a cookie of their own, because
// they may be framed by another site.
func (d *Directory) cookieName(portal bool) string {
	switch {
	case portal && d.cfg.Secure:
		return "__Host-belfry-portal"
	case portal:
		return "belfry_portal"
	case d.cfg.Secure:
		return "__Host-belfry"
	}
	return "belfry_session"
}

// setCookie gives the browser a session; an empty value takes it away.
func (d *Directory) setCookie(w http.ResponseWriter, portal bool, value string, ends time.Time) {
	c := &http.Cookie{Name: d.cookieName(portal), Value: value, Path: "/", HttpOnly: true, Secure: d.cfg.Secure,
		SameSite: http.SameSiteLaxMode}
	if portal && d.cfg.Secure {
		c.SameSite, c.Partitioned = http.SameSiteNoneMode, true // works inside a frame of another site
	}
	if value == "" {
		c.MaxAge = -1
	} else {
		c.MaxAge = max(1, int(ends.Sub(d.now())/time.Second))
	}
	http.SetCookie(w, c)
}

// SessionFromRequest finds the session of the request's cookie and its
// principal. Where a browser has both cookies, the customers' one counts: it
// may do less. Errors: CodeAuthentication, CodeUnavailable.
func (d *Directory) SessionFromRequest(ctx context.Context, r *http.Request) (*Session, *web.Principal, error) {
	for _, portal := range []bool{true, false} {
		cookie, err := r.Cookie(d.cookieName(portal))
		if err != nil || len(cookie.Value) != secretLen {
			continue
		}
		c, err := d.session(ctx, r, HashOf(cookie.Value))
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
			return nil, nil, d.refused("address", errs.New(errs.CodeTokenAddress, "the session may not be used from %s", p.IP))
		}
		if !web.Rechecking(ctx) { // an open stream enters nothing anew
			d.entering(ctx, r, c, &p)
		}
		return c.session, &p, nil
	}
	return nil, nil, d.refused("session",
		errs.New(errs.CodeAuthentication, "the request has neither a token nor a session"))
}

// hasSessionCookie reports whether the request claims to belong to a session.
func (d *Directory) hasSessionCookie(r *http.Request) bool {
	for _, portal := range []bool{true, false} {
		if _, err := r.Cookie(d.cookieName(portal)); err == nil {
			return true
		}
	}
	return false
}

// session is the live credential of a session. What an open page or stream asks
// for by itself is not a use that postpones the end of an idle session.
func (d *Directory) session(ctx context.Context, r *http.Request, h Hash) (*credential, error) {
	c, err := d.credentials.Get(ctx, h,
		func(ctx context.Context) (*credential, error) { return d.loadSessionCredential(ctx, h) })
	if err != nil {
		return nil, err
	}
	now := d.micros()
	if now >= c.ends {
		return nil, errs.New(errs.CodeAuthentication, "the session is over")
	}
	if !web.Rechecking(ctx) && !ui.Refresh(r) && c.stale(now) {
		d.uses.session(h, now)
	}
	return c, nil
}

func (d *Directory) loadSessionCredential(ctx context.Context, h Hash) (*credential, error) {
	c := &credential{}
	err := d.db.View(ctx, func(tx *db.Tx) error {
		s, err := loadSession(ctx, tx, h)
		if err != nil {
			return err
		}
		c.session, c.ends, c.networks = &s, s.ends(), s.networks
		c.noted.Store(s.LastUsedOn.Micros())
		if s.Portal != nil {
			c.principal = s.Portal.principal(s.accountID, s.ID)
			if ok, err := d.upholds(ctx, tx, s.maker, s.accountID, s.Portal); err != nil || ok {
				return err
			}
			return sql.ErrNoRows
		}
		accounts, err := entered(ctx, tx, s.ID)
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
		return nil, errs.New(errs.CodeAuthentication, "the session is over")
	}
	return c, err
}

// principal is the person with what they may do now.
func (p Person) principal(ctx context.Context, tx *db.Tx) (web.Principal, error) {
	out := web.Principal{Kind: web.KindUser, ID: p.ID, Name: p.Name, Email: p.Email, Session: true}
	if p.Staff {
		out.Kind, out.Installation, out.Superoperator = web.KindStaff, true, true
	}
	memberships, err := listMemberships(ctx, tx, p.ID)
	if err != nil {
		return out, err
	}
	out.Grants = make(map[string]web.Permissions, len(memberships))
	for _, m := range memberships {
		out.Grants[m.AccountID] = m.Role.Permissions()
	}
	return out, nil
}

// Sessions lists the live sessions of a person, newest first (at most
// [MaxSessions]). current is the one that asks; nil = none.
func (d *Directory) Sessions(ctx context.Context, personID string, current *Session) ([]Session, error) {
	var list []Session
	err := d.db.View(ctx, func(tx *db.Tx) (err error) {
		list, err = listSessions(ctx, tx, personID)
		return err
	})
	now := d.micros()
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
func (d *Directory) RevokeSession(ctx context.Context, by *web.Principal, personID, sessionID string) error {
	var gone Session
	err := d.change(ctx, func(tx *db.Tx) (err error) {
		gone, err = deleteSession(ctx, tx, personID, sessionID)
		if err != nil {
			return err
		}
		person, err := loadPerson(ctx, tx, personID)
		if err != nil {
			return err
		}
		return d.recordWhereEntered(ctx, tx, by, gone.ID, "revoke", person.Email)
	})
	d.credentials.Evict(gone.hash)
	return err
}
