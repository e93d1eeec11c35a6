package account

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// A customers' session lasts between these, an hour unless asked otherwise.
const (
	MinPortalTime = time.Minute
	MaxPortalTime = IdleTime
)

// Portal is the scope of a session of the customers' pages. Its user is known to
// the company that uses Belfry, not to Belfry.
type Portal struct {
	Member    PortalMember `json:"member"`
	Role      Role         `json:"role"`
	Sections  []string     `json:"sections"`             // of audit, notifications, slo
	ReturnURL string       `json:"return_url,omitempty"` // target of the page's link back
	Seconds   int64        `json:"expires_in"`           // length of the session
}

// PortalMember is the user of a customers' session.
type PortalMember struct {
	ID    string `json:"id"`
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
}

// permissions are the permissions of the role within the sections.
func (p *Portal) permissions() web.Permissions { return p.Role.within(p.Sections) }

// principal is the actor of the session. Its id begins with portal:, so that a
// customers' session is never mistaken for a member in the audit log: the
// operators' company chooses the name, the address and the id of its user.
func (p *Portal) principal(accountID, sessionID string) web.Principal {
	return web.Principal{
		Kind:        web.KindPortal,
		ID:          "portal:" + accountID + ":" + p.Member.ID,
		Name:        p.Member.Name,
		Email:       p.Member.Email,
		AccountID:   accountID,
		Permissions: p.permissions(),
		Session:     true,
		SessionID:   sessionID,
		OnBehalfOf:  p.Member.ID,
	}
}

// PortalURL makes a URL that opens the customers' pages once. The session has at
// most the permissions of the principal, ends with the token that created it and
// works from the token's networks only.
func (f *Feature) PortalURL(
	ctx context.Context, by *web.Principal, accountID string, p Portal,
) (openURL string, expires web.Time, err error) {
	if err := p.check(); err != nil {
		return "", web.Time{}, err
	}
	if !p.Role.Valid() {
		return "", web.Time{}, mayGrant(by, accountID, p.Role)
	}
	if !covers(by, accountID, p.permissions()) {
		return "", web.Time{}, errs.At(errs.CodeForbidden, "/role",
			"you can only grant permissions that you have: the role %s has more in this account", p.Role)
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := refuseMember(ctx, tx, accountID, p.Member); err != nil {
			return err
		}
		limits, err := f.limitsOf(ctx, tx, by, accountID)
		if err != nil {
			return err
		}
		end := f.micros() + LinkTime.Microseconds()
		if limits.until != 0 {
			end = min(end, limits.until)
		}
		expires = moment(end)
		l := signInLink{
			accountID: accountID,
			portal:    &p,
			maker:     makerOf(by),
			limits:    limits,
		}
		path, err := f.newLink(ctx, tx, l, end)
		if err != nil {
			return err
		}
		openURL = f.cfg.URL + path
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "create", "portal_session", p.Member.ID, p.Member.Name).Changed(nil, p))
	})
	return openURL, expires, err
}

// refuseMember refuses a customers' session for a person who has a sign-in in
// Belfry, so that the session is never mistaken for a member of the account.
func refuseMember(ctx context.Context, tx *db.Tx, accountID string, m PortalMember) error {
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM person WHERE id = $1`, m.ID).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return errs.At(errs.CodeStateConflict, "/member/id",
			"member.id is the id of a user of Belfry; send the id of the person in your own system")
	}
	if m.Email == "" {
		return nil
	}
	is, err := isMember(ctx, tx, accountID, m.Email)
	if err == nil && is {
		err = errs.At(errs.CodeStateConflict, "/member/email",
			"a member of the account has the address %s; members use their own sign-in", m.Email)
	}
	return err
}

// PortalSession is an open customers' session.
type PortalSession struct {
	ID         string       `json:"id"`
	Member     PortalMember `json:"member"`
	Role       Role         `json:"role" enum:"owner,admin,operator,editor,viewer,auditor"`
	Sections   []string     `json:"sections"`
	IP         string       `json:"ip_address" doc:"Of the browser that opened it"`
	UserAgent  string       `json:"user_agent"`
	CreatedOn  web.Time     `json:"created_on"`
	LastUsedOn web.Time     `json:"last_used_on" doc:"With the precision of a minute"`
	ExpiresOn  web.Time     `json:"expires_on"`
}

func portalSession(s Session) PortalSession {
	return PortalSession{
		ID:         s.ID,
		Member:     s.Portal.Member,
		Role:       s.Portal.Role,
		Sections:   s.Portal.Sections,
		IP:         s.IP,
		UserAgent:  s.UserAgent,
		CreatedOn:  s.CreatedOn,
		LastUsedOn: s.LastUsedOn,
		ExpiresOn:  s.ExpiresOn,
	}
}

// PortalSessions lists the account's open customers' sessions after an id,
// ascending.
func (f *Feature) PortalSessions(ctx context.Context, accountID, after string, limit int) ([]PortalSession, error) {
	list := []PortalSession{}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		for len(list) < limit { // expired sessions are removed once an hour
			found, err := listPortalSessions(ctx, tx, accountID, after, limit)
			if err != nil {
				return err
			}
			for _, s := range found {
				after = s.ID
				if open, err := f.open(ctx, tx, s); err != nil {
					return err
				} else if open && len(list) < limit {
					list = append(list, portalSession(s))
				}
			}
			if len(found) < limit {
				return nil
			}
		}
		return nil
	})
	return list, err
}

// open reports whether a customers' session may still be used.
func (f *Feature) open(ctx context.Context, tx *db.Tx, s Session) (bool, error) {
	if f.micros() >= s.ends() {
		return false, nil
	}
	return f.upholds(ctx, tx, s.maker, s.accountID, s.Portal)
}

// RevokePortalSession ends a customers' session, at once in this process.
func (f *Feature) RevokePortalSession(ctx context.Context, by *web.Principal, accountID, sessionID string) error {
	var ended Session
	err := f.change(ctx, func(tx *db.Tx) (err error) {
		if ended, err = deletePortalSession(ctx, tx, accountID, sessionID); err != nil {
			return err
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "revoke", "portal_session", ended.ID, ended.Portal.Member.Name))
	})
	f.credentials.Evict(ended.hash)
	return err
}

// check completes and checks the input.
func (p *Portal) check() error {
	var err error
	if p.Member.ID, err = checkText("/member/id", p.Member.ID, 128); err != nil {
		return err
	}
	if p.Member.Email != "" {
		if p.Member.Email, err = foldEmail(p.Member.Email); err != nil {
			return errs.At(errs.CodeInvalid, "/member/email", "member.email is not an address such as ana@example.com")
		}
	}
	if p.Member.Name != "" {
		if p.Member.Name, err = checkText("/member/name", p.Member.Name, 200); err != nil {
			return err
		}
	}
	all := slices.Sorted(maps.Keys(sections))
	if len(p.Sections) == 0 {
		p.Sections = all
	}
	for _, name := range p.Sections {
		if _, ok := sections[name]; !ok {
			return errs.At(errs.CodeInvalid, "/sections", "there is no section %q; there are %s", clip(name, 32),
				strings.Join(all, ", "))
		}
	}
	p.Sections = slices.Compact(slices.Sorted(slices.Values(p.Sections)))
	if p.ReturnURL != "" {
		u, err := url.Parse(p.ReturnURL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" ||
			len(p.ReturnURL) > 2048 {
			return errs.At(errs.CodeInvalid, "/return_url", "return_url is not an http(s) URL of at most 2048 characters")
		}
	}
	if p.Seconds == 0 {
		p.Seconds = 3600
	}
	if t := time.Duration(min(p.Seconds, 1<<31)) * time.Second; t < MinPortalTime || t > MaxPortalTime {
		return errs.At(errs.CodeOutOfRange, "/expires_in", "expires_in is between %d and %d seconds",
			int(MinPortalTime/time.Second), int(MaxPortalTime/time.Second))
	}
	return nil
}
