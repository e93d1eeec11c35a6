package account

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const (
	// SignInPath is the page that consumes one-time links. Its GET shows a
	// button and its POST signs in, so that a program which only looks at
	// links does not use them up. The link's secret is in the query, which is
	// not logged.
	SignInPath = "/sign-in"
	// LinkParameter is the query parameter of a link's secret.
	LinkParameter = "link"
	// LinkTime is how long a one-time link is good.
	LinkTime = 15 * time.Minute

	signInAction = "sign_in"
	resetTime    = 15 * time.Minute // after a sign-in by link a new password needs no old one
)

// NewLoginLink makes a one-time link for a person: the path and query of the
// page that consumes it. An empty email means the first of the operators, who
// is made when there is none (the first start). CodeNotFound: nobody has the
// address.
func (d *Directory) NewLoginLink(ctx context.Context, email string) (path string, err error) {
	if email != "" {
		if email, err = foldEmail(email); err != nil {
			return "", err
		}
	}
	err = d.change(ctx, func(tx *db.Tx) error {
		var p Person
		if email != "" {
			p, err = loadPersonByEmail(ctx, tx, email)
		} else if p, err = firstStaff(ctx, tx); errs.Is(err, errs.CodeNotFound) {
			p, err = d.ensurePerson(ctx, tx, Person{Email: "operator@localhost", Name: "Operator", Staff: true})
		}
		if err != nil {
			return err
		}
		if path, err = d.newPersonLink(ctx, tx, p.ID); err != nil {
			return err
		}
		return d.recordForPerson(ctx, tx, Belfry(), p.ID, "create", "sign_in_link", p.ID)
	})
	return path, err
}

func firstStaff(ctx context.Context, tx *db.Tx) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM person WHERE staff ORDER BY id LIMIT 1`))
	return p, missing(err, "operator")
}

// HasOperators reports whether there is a person who may do everything.
func (d *Directory) HasOperators(ctx context.Context) (bool, error) {
	err := d.db.View(ctx, func(tx *db.Tx) error {
		_, err := firstStaff(ctx, tx)
		return err
	})
	if errs.Is(err, errs.CodeNotFound) {
		return false, nil
	}
	return err == nil, err
}

// AddOperator makes a person one of the operators. A person whom an account
// made loses password, sessions and links: the account may hold them.
func (d *Directory) AddOperator(ctx context.Context, by *web.Principal, email, name string) (Person, error) {
	if !by.Superoperator {
		return Person{}, errs.New(errs.CodeForbidden, "only operators make operators")
	}
	email, err := foldEmail(email)
	if err == nil {
		name, err = text("/name", name, 200)
	}
	if err != nil {
		return Person{}, err
	}
	var p Person
	var ended []Hash
	err = d.change(ctx, func(tx *db.Tx) error {
		if p, err = d.ensurePerson(ctx, tx, Person{Email: email, Name: name, Staff: true}); err != nil {
			return err
		}
		if p.home != "" {
			if ended, err = vouch(ctx, tx, p); err != nil {
				return err
			}
		} else if ended, err = sessionHashes(ctx, tx, p.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE person SET staff = TRUE WHERE id = $1`, p.ID); err != nil {
			return err
		}
		p.Staff, p.home = true, ""
		return d.record(ctx, tx, by, event.NewAudit(Installation, "create", "operator", p.ID, p.Email).Changed(nil, p))
	})
	d.credentials.forget(ended...)
	return p, err
}

// newPersonLink stores a one-time link and gives its path.
func (d *Directory) newPersonLink(ctx context.Context, tx *db.Tx, personID string) (string, error) {
	return d.newLink(ctx, tx, link{personID: personID})
}

func (d *Directory) newLink(ctx context.Context, tx *db.Tx, l link) (string, error) {
	secret := id.Secret(secretBytes)
	now := d.micros()
	if err := insertLink(ctx, tx, HashOf(secret), l, now, now+LinkTime.Microseconds()); err != nil {
		return "", err
	}
	return SignInPath + "?" + url.Values{LinkParameter: {secret}}.Encode(), nil
}

// SignInWithLink consumes a one-time link, of a person or of customers' pages,
// and sets the cookie. Call it on POST; the request must come from our own
// page. CodeSignIn when the link is not known, was used or is too old;
// CodeRateLimited; CodeCrossOrigin.
func (d *Directory) SignInWithLink(w http.ResponseWriter, r *http.Request, secret string) (*Session, error) {
	ctx := r.Context()
	if err := d.admit(r, "link", ""); err != nil {
		return nil, err
	}
	refused := errs.New(errs.CodeSignIn, "the link is not valid: it was used already, or is older than %v", LinkTime)
	if len(secret) != secretLen {
		d.metrics.signIns.WithLabelValues("link", "failed").Inc()
		return nil, refused
	}
	s, value, err := d.begin(r, func(tx *db.Tx) (Session, error) {
		l, err := consumeLink(ctx, tx, HashOf(secret), d.micros())
		if errors.Is(err, sql.ErrNoRows) {
			return Session{}, refused
		}
		return Session{PersonID: l.personID, accountID: l.accountID, Portal: l.portal, viaLink: true}, err
	})
	return d.welcome(w, "link", s, value, err)
}

// SignInWithPassword signs a person in and sets the cookie. An unknown address
// and a wrong password answer the same (CodeSignIn), after the same time.
// CodeRateLimited; CodeCrossOrigin.
func (d *Directory) SignInWithPassword(w http.ResponseWriter, r *http.Request, email, password string) (*Session, error) {
	ctx := r.Context()
	refused := errs.New(errs.CodeSignIn, "the address or the password is not right")
	folded, err := foldEmail(email)
	if err != nil || len(password) > MaxPassword {
		d.metrics.signIns.WithLabelValues("password", "failed").Inc()
		return nil, refused // told by its form alone
	}
	if err := d.admit(r, "password", folded); err != nil {
		return nil, err
	}
	var person Person
	var principal web.Principal
	err = d.db.View(ctx, func(tx *db.Tx) (err error) {
		if person, err = loadPersonByEmail(ctx, tx, folded); err != nil {
			return err
		}
		principal, err = person.principal(ctx, tx)
		return err
	})
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return nil, err
	}
	ok, err := d.hashing.verify(ctx, person.password, password)
	if err != nil {
		return nil, err
	}
	if !ok {
		d.metrics.signIns.WithLabelValues("password", "failed").Inc()
		if person.ID != "" {
			principal.IP = web.ClientAddr(ctx)
			for _, accountID := range recordsOf(&principal) {
				d.deny(&principal, accountID, signInAction, "password")
			}
		}
		return nil, refused
	}
	s, value, err := d.begin(r, func(tx *db.Tx) (Session, error) {
		// The password may have changed while it was compared.
		now, err := loadPerson(ctx, tx, person.ID)
		if err == nil && now.password != person.password {
			err = refused
		}
		return Session{PersonID: person.ID}, err
	})
	return d.welcome(w, "password", s, value, err)
}

// admit refuses what comes from a page of another site (somebody could be
// signed in as somebody else without noticing) or too often.
func (d *Directory) admit(r *http.Request, method, person string) error {
	if err := d.cross.Check(r); err != nil {
		return errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
	}
	if err := d.attempts.take(person, web.ClientAddr(r.Context())); err != nil {
		d.metrics.signIns.WithLabelValues(method, "limited").Inc()
		return err
	}
	return nil
}

// begin makes the session that who describes. The one that the browser had
// before ends with it, so that a session id known to somebody else is never
// given more rights.
func (d *Directory) begin(r *http.Request, who func(*db.Tx) (Session, error)) (s Session, value string, err error) {
	ctx := r.Context()
	value = id.Secret(secretBytes)
	var earlier []Hash
	err = d.change(ctx, func(tx *db.Tx) error {
		if s, err = who(tx); err != nil {
			return err
		}
		now := d.micros()
		s.ID, s.hash = id.At(d.now()), HashOf(value)
		s.IP, s.UserAgent = web.ClientAddr(ctx).String(), clip(r.UserAgent(), 256)
		s.CreatedOn, s.LastUsedOn = moment(now), moment(now)
		s.ExpiresOn = moment(now + SessionTime.Microseconds())
		if s.Portal != nil {
			s.ExpiresOn = moment(now + s.Portal.Seconds*1e6)
		}
		earlier = earlier[:0]
		for _, portal := range []bool{true, false} {
			if c, err := r.Cookie(d.cookieName(portal)); err == nil {
				earlier = append(earlier, HashOf(c.Value))
			}
		}
		for _, h := range earlier {
			if _, err := deleteSessionByHash(ctx, tx, h); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if s.Portal == nil {
			if err := trimSessions(ctx, tx, s.PersonID); err != nil {
				return err
			}
			if err := setSignedIn(ctx, tx, s.PersonID, now); err != nil {
				return err
			}
		}
		if err := insertSession(ctx, tx, s); err != nil {
			return err
		}
		return d.recordSession(ctx, tx, &s, signInAction)
	})
	d.credentials.forget(earlier...)
	return s, value, err
}

// welcome ends a sign-in: the count and the cookies.
func (d *Directory) welcome(w http.ResponseWriter, method string, s Session, value string, err error) (*Session, error) {
	if s.Portal != nil {
		method = "portal"
	}
	if err != nil {
		d.metrics.signIns.WithLabelValues(method, "failed").Inc()
		return nil, err
	}
	d.metrics.signIns.WithLabelValues(method, "ok").Inc()
	portal := s.Portal != nil
	d.setCookie(w, !portal, "", time.Time{})
	d.setCookie(w, portal, value, s.ExpiresOn.Time)
	return &s, nil
}

// SignOut ends the request's session, if there is one, and takes its cookies
// away. The request must come from our own page.
func (d *Directory) SignOut(w http.ResponseWriter, r *http.Request) error {
	if err := d.cross.Check(r); err != nil {
		return errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
	}
	ctx := r.Context()
	for _, portal := range []bool{true, false} {
		c, err := r.Cookie(d.cookieName(portal))
		if err != nil {
			continue
		}
		h := HashOf(c.Value)
		err = d.change(ctx, func(tx *db.Tx) error {
			s, err := loadSession(ctx, tx, h)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := d.recordSession(ctx, tx, &s, "sign_out"); err != nil {
				return err
			}
			_, err = deleteSessionByHash(ctx, tx, h)
			return err
		})
		d.credentials.forget(h)
		if err != nil {
			return err
		}
		d.setCookie(w, portal, "", time.Time{})
	}
	return nil
}

// recordSession records a sign-in or sign-out of the session's own principal.
func (d *Directory) recordSession(ctx context.Context, tx *db.Tx, s *Session, action string) error {
	if s.Portal != nil {
		p := s.Portal.principal(s.accountID)
		p.IP = web.ClientAddr(ctx)
		return d.record(ctx, tx, &p, event.NewAudit(s.accountID, action, "session", s.ID, p.Name))
	}
	person, err := loadPerson(ctx, tx, s.PersonID)
	if err != nil {
		return err
	}
	p, err := person.principal(ctx, tx)
	if err != nil {
		return err
	}
	p.IP = web.ClientAddr(ctx)
	return d.recordForPerson(ctx, tx, &p, s.PersonID, action, "session", s.ID)
}

// recordForPerson records an act on a person in each account that they belong
// to; for operators in the installation's.
func (d *Directory) recordForPerson(ctx context.Context, tx *db.Tx, by *web.Principal, personID, action, resource, resourceID string) error {
	person, err := loadPerson(ctx, tx, personID)
	if err != nil {
		return err
	}
	subject, err := person.principal(ctx, tx)
	if err != nil {
		return err
	}
	for _, accountID := range recordsOf(&subject) {
		if err := d.record(ctx, tx, by, event.NewAudit(accountID, action, resource, resourceID, person.Email)); err != nil {
			return err
		}
	}
	return nil
}

// recordsOf are the accounts in whose record the acts of a person stand.
func recordsOf(p *web.Principal) []string {
	var list []string
	if p.Superoperator || len(p.Grants) == 0 {
		list = append(list, Installation)
	}
	for accountID := range p.Grants {
		list = append(list, accountID)
	}
	return list
}
