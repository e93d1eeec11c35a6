package account

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const (
	// SignInPath is the page that consumes one-time links. Its GET shows a
	// button and its POST signs in, so that link scanners do not use them up.
	// The secret is in the fragment, which browsers do not send: no proxy and
	// no log has it.
	SignInPath = "/sign-in"
	// LinkParameter is the parameter of a link's secret, in the fragment and in
	// the form.
	LinkParameter = "link"
	// LinkTime is how long a one-time link is valid.
	LinkTime = 15 * time.Minute

	signInAction = "sign_in"
	resetTime    = 15 * time.Minute // after a sign-in by link a new password needs no old one
)

// NewLoginLink creates a one-time link for a person: the path and fragment of the
// page that consumes it. An empty email means the first operator, who is created
// if there is none (the first start). CodeNotFound: no person has the address;
// CodeStateConflict: several accounts have a person with it, and no operator has
// it.
func (d *Directory) NewLoginLink(ctx context.Context, email string) (path string, err error) {
	if email != "" {
		if email, err = foldEmail(email); err != nil {
			return "", err
		}
	}
	err = d.change(ctx, func(tx *db.Tx) error {
		var p Person
		if email != "" {
			p, err = onePerson(ctx, tx, email)
		} else if p, err = firstStaff(ctx, tx); errs.Is(err, errs.CodeNotFound) {
			p, err = d.ensurePerson(ctx, tx, Person{Email: FirstOperator, Name: "Operator", Staff: true})
		}
		if err != nil {
			return err
		}
		if path, err = d.newPersonLink(ctx, tx, p.ID, ""); err != nil {
			return err
		}
		return d.recordForPerson(ctx, tx, feature.Belfry(), p.ID, "create", "sign_in_link", p.ID)
	})
	return path, err
}

// FirstOperator is the address of the operator whom a first start makes; the
// operators' page changes it.
const FirstOperator = "operator@localhost"

// onePerson finds the person whom an address means without an account: the one
// for whom the operators vouch, else the only one.
func onePerson(ctx context.Context, tx *db.Tx, email string) (Person, error) {
	list, err := listPersons(ctx, tx, email)
	switch {
	case err != nil:
		return Person{}, err
	case len(list) == 0:
		return Person{}, errs.New(errs.CodeNotFound, "there is no such user")
	case len(list) > 1 && list[0].home != "":
		return Person{}, errs.New(errs.CodeStateConflict,
			"%d accounts have a member of their own with this address: make the link on the members' page of the account that is meant", len(list))
	}
	return list[0], nil
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

// newPersonLink stores a one-time link and gives its path; accountID is the
// account in whose name it is made, which a sign-in with it enters.
func (d *Directory) newPersonLink(ctx context.Context, tx *db.Tx, personID, accountID string) (string, error) {
	return d.newLink(ctx, tx, link{personID: personID, accountID: accountID}, d.micros()+LinkTime.Microseconds())
}

func (d *Directory) newLink(ctx context.Context, tx *db.Tx, l link, end int64) (string, error) {
	secret := id.Secret(secretBytes)
	if err := insertLink(ctx, tx, HashOf(secret), l, d.micros(), end); err != nil {
		return "", err
	}
	return SignInPath + "#" + url.Values{LinkParameter: {secret}}.Encode(), nil
}

// SignInWithLink consumes a one-time link, of a person or of customers' pages,
// and sets the cookie. Call it on POST; the request must come from our own
// page. The first sign-in of a person whom an account invited accepts the
// invitation. CodeSignIn when the link is not known, was used or is too old;
// CodeRateLimited; CodeCrossOrigin.
func (d *Directory) SignInWithLink(w http.ResponseWriter, r *http.Request, secret string) (*Session, error) {
	if err := d.admit(r, "link", ""); err != nil {
		return nil, err
	}
	ctx := r.Context()
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
		if err != nil {
			return Session{}, err
		}
		s := Session{PersonID: l.personID, Portal: l.portal, viaLink: true, maker: l.maker, networks: l.bounds.networks,
			until: l.bounds.until}
		if l.portal == nil {
			s.enters = l.accountID
			return s, nil
		}
		s.accountID = l.accountID
		// The maker of the link may have lost the permission in the meantime.
		if ok, err := d.upholds(ctx, tx, l.maker, l.accountID, l.portal); err != nil {
			return s, err
		} else if !ok || !within(l.bounds.networks, web.ClientAddr(ctx)) {
			return s, refused
		}
		return s, nil
	})
	return d.welcome(w, "link", s, value, err)
}

// SignInWithPassword signs a person in and sets the cookie. Accounts may have
// persons of their own with one address: the password says which is meant, and
// where it is that of several, the account of the page that is asked for. An
// unknown address and a wrong password answer the same (CodeSignIn), after the
// same time. CodeRateLimited; CodeCrossOrigin.
func (d *Directory) SignInWithPassword(
	w http.ResponseWriter, r *http.Request, email, password string,
) (*Session, error) {
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
	var known []candidate
	err = d.db.View(ctx, func(tx *db.Tx) (err error) {
		known, err = candidates(ctx, tx, folded)
		return err
	})
	if err != nil {
		return nil, err
	}
	stored := make([]string, len(known))
	for i, c := range known {
		stored[i] = c.person.password
	}
	right, err := d.hashing.verifyAny(ctx, clientOf(web.ClientAddr(ctx)), stored, password)
	if err != nil {
		return nil, err
	}
	if len(right) == 0 {
		d.metrics.signIns.WithLabelValues("password", "failed").Inc()
		d.failed(ctx, known)
		return nil, refused
	}
	person := known[right[0]].person
	enters := accountOfPath(localPath(r.PostFormValue(nextParameter)))
	for _, i := range right {
		if len(known[i].principal.Grants[enters]) > 0 {
			person = known[i].person
			break
		}
	}
	s, value, err := d.begin(r, func(tx *db.Tx) (Session, error) {
		// The password may have changed while it was compared.
		now, err := loadPerson(ctx, tx, person.ID)
		if err == nil && now.password != person.password || errs.Is(err, errs.CodeNotFound) {
			err = refused
		}
		return Session{PersonID: person.ID, enters: enters}, err
	})
	return d.welcome(w, "password", s, value, err)
}

// candidate is one of the persons whom an address may mean.
type candidate struct {
	person    Person
	principal web.Principal
}

func candidates(ctx context.Context, tx *db.Tx, email string) (list []candidate, err error) {
	persons, err := listPersons(ctx, tx, email)
	if err != nil {
		return nil, err
	}
	for _, p := range persons {
		c := candidate{person: p}
		if c.principal, err = p.principal(ctx, tx); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// failed gathers a failed sign-in for the installation's record and for the
// accounts of the person who is meant. Where only accounts know the address,
// and several of them, it stands in none of theirs: any account could write an
// address down to watch who uses it.
func (d *Directory) failed(ctx context.Context, known []candidate) {
	if len(known) == 0 {
		return
	}
	who := known[0].principal
	who.IP = web.ClientAddr(ctx)
	accounts := []string{Installation}
	if len(known) == 1 || known[0].person.home == "" {
		accounts = recordsOf(&who)
	}
	for _, accountID := range accounts {
		d.deny(&who, accountID, signInAction, "password")
	}
}

// accountOfPath is the account that a page's path names by its id.
func accountOfPath(path string) string {
	rest, ok := strings.CutPrefix(path, "/accounts/")
	if !ok || len(rest) < 32 || !id.Valid(rest[:32]) {
		return ""
	}
	return rest[:32]
}

// admit refuses requests from pages of other sites, which could sign a user in as
// another one without notice, and too many attempts.
func (d *Directory) admit(r *http.Request, method, email string) error {
	if err := d.cross.Check(r); err != nil {
		return errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
	}
	if err := d.throttle(r.Context(), email); err != nil {
		d.metrics.signIns.WithLabelValues(method, "limited").Inc()
		return err
	}
	return nil
}

// throttle counts an attempt to sign in, with the address where there is one.
func (d *Directory) throttle(ctx context.Context, email string) error {
	addr := web.ClientAddr(ctx)
	known := false
	if email != "" {
		err := d.db.View(ctx, func(tx *db.Tx) (err error) {
			known, err = knowsNetwork(ctx, tx, email, networkOf(addr))
			return err
		})
		if err != nil {
			return err
		}
	}
	return d.limiter.attempt(email, addr, known)
}

// begin creates the session that who describes, and ends the browser's former one:
// a session id that an attacker may know never gets more rights (session
// fixation).
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
			if s.until != 0 {
				s.ExpiresOn = moment(min(s.ExpiresOn.Micros(), s.until))
			}
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
			if err := acceptMember(ctx, tx, s.PersonID, now); err != nil {
				return err
			}
			if err := noteNetwork(ctx, tx, s.PersonID, networkOf(web.ClientAddr(ctx)), now); err != nil {
				return err
			}
		}
		if err := insertSession(ctx, tx, s); err != nil {
			return err
		}
		return d.recordSignIn(ctx, tx, &s)
	})
	d.credentials.Evict(earlier...)
	return s, value, err
}

// welcome ends a sign-in: the count and the cookies.
func (d *Directory) welcome(
	w http.ResponseWriter, method string, s Session, value string, err error,
) (*Session, error) {
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
			if err := d.recordSignOut(ctx, tx, &s); err != nil {
				return err
			}
			_, err = deleteSessionByHash(ctx, tx, h)
			return err
		})
		d.credentials.Evict(h)
		if err != nil {
			return err
		}
		d.setCookie(w, portal, "", time.Time{})
	}
	return nil
}
