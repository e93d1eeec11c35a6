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
	// The secret is in the fragment, which browsers do not send, so that no
	// proxy and no log contains it.
	SignInPath = "/sign-in"
	// LinkParameter is the parameter of a link's secret, in the fragment and in
	// the form.
	LinkParameter = "link"
	// LinkTime is how long a one-time link is valid.
	LinkTime = 15 * time.Minute

	signInAction = "sign_in"
	resetTime    = 15 * time.Minute // after a sign-in by link a new password needs no current one
)

// NewLoginLink creates a one-time link for a person: the path and fragment of the
// page that consumes it. An empty email means the first operator, who is created
// if there is none (the first start). CodeNotFound: no person has the address;
// CodeStateConflict: several accounts have a person with it, and no operator has
// it.
func (f *Feature) NewLoginLink(ctx context.Context, email string) (path string, err error) {
	if email != "" {
		if email, err = foldEmail(email); err != nil {
			return "", err
		}
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		var p Person
		if email != "" {
			p, err = onePerson(ctx, tx, email)
		} else if p, err = firstStaff(ctx, tx); errs.Is(err, errs.CodeNotFound) {
			p, err = f.ensurePerson(ctx, tx, Person{Email: FirstOperator, Name: "Operator", Staff: true})
		}
		if err != nil {
			return err
		}
		if path, err = f.newPersonLink(ctx, tx, p.ID, ""); err != nil {
			return err
		}
		return f.recordForPerson(ctx, tx, feature.Belfry(), p.ID, "create", "sign_in_link")
	})
	return path, err
}

// FirstOperator is the address of the operator whom the first start creates; it
// can be changed on the operators' page.
const FirstOperator = "operator@localhost"

// onePerson finds the person with an address in all accounts: the one for whom the
// operators vouch, else the only one.
func onePerson(ctx context.Context, tx *db.Tx, email string) (Person, error) {
	list, err := listPersons(ctx, tx, email)
	switch {
	case err != nil:
		return Person{}, err
	case len(list) == 0:
		return Person{}, errs.New(errs.CodeNotFound, "there is no such user")
	case len(list) > 1 && list[0].home != "":
		return Person{}, errs.New(errs.CodeStateConflict,
			"members of %d accounts have this address: create the link on the members' page of the account", len(list))
	}
	return list[0], nil
}

func firstStaff(ctx context.Context, tx *db.Tx) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM person WHERE staff ORDER BY id LIMIT 1`))
	return p, missing(err, "operator")
}

// HasOperators reports whether there is an operator.
func (f *Feature) HasOperators(ctx context.Context) (bool, error) {
	err := f.db.View(ctx, func(tx *db.Tx) error {
		_, err := firstStaff(ctx, tx)
		return err
	})
	if errs.Is(err, errs.CodeNotFound) {
		return false, nil
	}
	return err == nil, err
}

// newPersonLink stores a one-time link and returns its path; accountID is the
// account that creates it, and that a sign-in with it enters.
func (f *Feature) newPersonLink(ctx context.Context, tx *db.Tx, personID, accountID string) (string, error) {
	return f.newLink(ctx, tx, signInLink{personID: personID, accountID: accountID}, f.micros()+LinkTime.Microseconds())
}

func (f *Feature) newLink(ctx context.Context, tx *db.Tx, l signInLink, end int64) (string, error) {
	secret := id.Secret(secretBytes)
	if err := insertLink(ctx, tx, HashOf(secret), l, f.micros(), end); err != nil {
		return "", err
	}
	return SignInPath + "#" + url.Values{LinkParameter: {secret}}.Encode(), nil
}

// SignInWithLink consumes a one-time link, of a person or of customers' pages,
// and sets the cookie. Call it on POST; the request must come from a page of this
// server. The first sign-in of a person whom an account invited accepts the
// invitation. CodeSignIn if the link is unknown, was used or is too old;
// CodeRateLimited; CodeCrossOrigin.
func (f *Feature) SignInWithLink(w http.ResponseWriter, r *http.Request, secret string) (*Session, error) {
	if err := f.admit(r, "link", ""); err != nil {
		return nil, err
	}
	ctx := r.Context()
	refused := errs.New(errs.CodeSignIn, "the link is not valid: it was used already, or is too old")
	if len(secret) != secretLen {
		f.metrics.signIns.WithLabelValues("link", "failed").Inc()
		return nil, refused
	}
	s, value, err := f.newSession(r, func(tx *db.Tx) (Session, error) {
		l, err := consumeLink(ctx, tx, HashOf(secret), f.micros())
		if errors.Is(err, sql.ErrNoRows) {
			return Session{}, refused
		}
		if err != nil {
			return Session{}, err
		}
		s := Session{
			PersonID: l.personID,
			Portal:   l.portal,
			viaLink:  true,
			maker:    l.maker,
			networks: l.limits.networks,
			until:    l.limits.until,
		}
		if l.portal == nil {
			s.enters = l.accountID
			if l.mailed {
				return s, f.confirmByLink(ctx, tx, l.personID)
			}
			return s, nil
		}
		s.accountID = l.accountID
		// The maker of the link may have lost the permission in the meantime.
		if ok, err := f.upholds(ctx, tx, l.maker, l.accountID, l.portal); err != nil {
			return s, err
		} else if !ok || !within(l.limits.networks, web.ClientAddr(ctx)) {
			return s, refused
		}
		return s, nil
	})
	return f.completeSignIn(w, "link", s, value, err)
}

// SignInWithPassword signs a person in and sets the cookie. Several accounts may
// have a person with the same address: the password selects one of them, and if
// several have the same password, the account of the requested page does. An
// unknown address and a wrong password have the same error (CodeSignIn), after
// the same time. CodeRateLimited; CodeCrossOrigin.
func (f *Feature) SignInWithPassword(
	w http.ResponseWriter, r *http.Request, email, password string,
) (*Session, error) {
	ctx := r.Context()
	refused := errs.New(errs.CodeSignIn, "the address or the password is not right")
	folded, err := foldEmail(email)
	if err != nil || len(password) > MaxPassword {
		f.metrics.signIns.WithLabelValues("password", "failed").Inc()
		return nil, refused // without a look at the database
	}
	if err := f.admit(r, "password", folded); err != nil {
		return nil, err
	}
	var known []candidate
	err = f.db.View(ctx, func(tx *db.Tx) (err error) {
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
	right, err := f.hashing.verifyAny(ctx, clientOf(web.ClientAddr(ctx)), stored, password)
	if err != nil {
		return nil, err
	}
	if len(right) == 0 {
		f.metrics.signIns.WithLabelValues("password", "failed").Inc()
		f.failed(ctx, known)
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
	s, value, err := f.newSession(r, func(tx *db.Tx) (Session, error) {
		// The password may have changed while it was compared.
		now, err := loadPerson(ctx, tx, person.ID)
		if err == nil && now.password != person.password || errs.Is(err, errs.CodeNotFound) {
			err = refused
		}
		return Session{PersonID: person.ID, enters: enters}, err
	})
	return f.completeSignIn(w, "password", s, value, err)
}

// candidate is one of the persons with an address.
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

// failed counts a failed sign-in for the audit log of the installation and for
// those of the person's accounts. If several accounts have a person with the
// address and the operators do not vouch for one, none of their logs gets it:
// otherwise an account could invite an address to watch its use.
func (f *Feature) failed(ctx context.Context, known []candidate) {
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
		f.deny(&who, accountID, signInAction, "password")
	}
}

// accountOfPath returns the id of the account in a page's path; "" if there is none.
func accountOfPath(path string) string {
	rest, ok := strings.CutPrefix(path, "/accounts/")
	if !ok || len(rest) < 32 || !id.Valid(rest[:32]) {
		return ""
	}
	return rest[:32]
}

// admit refuses requests from pages of other sites, which could sign a user in as
// another one without their knowledge, and too many attempts.
func (f *Feature) admit(r *http.Request, method, email string) error {
	if err := f.cross.Check(r); err != nil {
		return errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
	}
	if err := f.throttle(r.Context(), email); err != nil {
		f.metrics.signIns.WithLabelValues(method, "limited").Inc()
		return err
	}
	return nil
}

// throttle counts an attempt to sign in; email is empty for a link.
func (f *Feature) throttle(ctx context.Context, email string) error {
	addr := web.ClientAddr(ctx)
	known := false
	if email != "" {
		err := f.db.View(ctx, func(tx *db.Tx) (err error) {
			known, err = knowsNetwork(ctx, tx, email, networkOf(addr))
			return err
		})
		if err != nil {
			return err
		}
	}
	return f.limiter.attempt(email, addr, known)
}

// newSession stores the session that describe returns, and ends the browser's
// earlier sessions: a session id that an attacker may know never gets more rights
// (session fixation).
func (f *Feature) newSession(
	r *http.Request, describe func(*db.Tx) (Session, error),
) (s Session, value string, err error) {
	ctx := r.Context()
	value = id.Secret(secretBytes)
	earlier := f.cookieHashes(r)

	err = f.change(ctx, func(tx *db.Tx) error {
		if s, err = describe(tx); err != nil {
			return err
		}
		now := f.micros()
		s.ID = id.At(f.now())
		s.hash = HashOf(value)
		s.IP = web.ClientAddr(ctx).String()
		s.UserAgent = clip(r.UserAgent(), 256)
		s.CreatedOn = moment(now)
		s.LastUsedOn = moment(now)
		s.ExpiresOn = moment(now + SessionTime.Microseconds())
		if s.Portal != nil {
			s.ExpiresOn = moment(now + s.Portal.Seconds*1e6)
			if s.until != 0 {
				s.ExpiresOn = moment(min(s.ExpiresOn.Micros(), s.until))
			}
		}

		for _, h := range earlier {
			if _, err := deleteSessionByHash(ctx, tx, h); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if s.Portal == nil {
			if err := storeSignIn(ctx, tx, s.PersonID, now); err != nil {
				return err
			}
		}
		if err := insertSession(ctx, tx, s); err != nil {
			return err
		}
		return f.recordSignIn(ctx, tx, &s)
	})
	f.credentials.Evict(earlier...)
	return s, value, err
}

// cookieHashes returns the hashes of the request's session cookies.
func (f *Feature) cookieHashes(r *http.Request) (list []Hash) {
	for _, portal := range []bool{true, false} {
		if c, err := r.Cookie(f.cookieName(portal)); err == nil {
			list = append(list, HashOf(c.Value))
		}
	}
	return list
}

// storeSignIn stores the changes of a person's sign-in, before the session is stored.
func storeSignIn(ctx context.Context, tx *db.Tx, personID string, now int64) error {
	if err := trimSessions(ctx, tx, personID); err != nil {
		return err
	}
	if err := setSignedIn(ctx, tx, personID, now); err != nil {
		return err
	}
	if err := acceptMember(ctx, tx, personID, now); err != nil {
		return err
	}
	return noteNetwork(ctx, tx, personID, networkOf(web.ClientAddr(ctx)), now)
}

// completeSignIn counts a sign-in and sets its cookies.
func (f *Feature) completeSignIn(
	w http.ResponseWriter, method string, s Session, value string, err error,
) (*Session, error) {
	if s.Portal != nil {
		method = "portal"
	}
	if err != nil {
		f.metrics.signIns.WithLabelValues(method, "failed").Inc()
		return nil, err
	}
	f.metrics.signIns.WithLabelValues(method, "ok").Inc()
	portal := s.Portal != nil
	f.setCookie(w, !portal, "", time.Time{})
	f.setCookie(w, portal, value, s.ExpiresOn.Time)
	return &s, nil
}

// SignOut ends the request's sessions and removes their cookies. The request must
// come from a page of this server.
func (f *Feature) SignOut(w http.ResponseWriter, r *http.Request) error {
	if err := f.cross.Check(r); err != nil {
		return errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
	}
	ctx := r.Context()
	for _, portal := range []bool{true, false} {
		c, err := r.Cookie(f.cookieName(portal))
		if err != nil {
			continue
		}
		h := HashOf(c.Value)
		err = f.change(ctx, func(tx *db.Tx) error {
			s, err := loadSession(ctx, tx, h)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := f.recordSignOut(ctx, tx, &s); err != nil {
				return err
			}
			_, err = deleteSessionByHash(ctx, tx, h)
			return err
		})
		f.credentials.Evict(h)
		if err != nil {
			return err
		}
		f.setCookie(w, portal, "", time.Time{})
	}
	return nil
}
