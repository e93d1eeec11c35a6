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

// Portal is what a session of the customers' pages may do. The person is known
// to the operators' company, not to Belfry.
type Portal struct {
	Member    PortalMember `json:"member"`
	Role      Role         `json:"role"`
	Sections  []string     `json:"sections"`             // of audit, notifications, slo
	ReturnURL string       `json:"return_url,omitempty"` // where the page's way back leads
	Seconds   int64        `json:"expires_in"`           // length of the session
}

// PortalMember is who uses a customers' session.
type PortalMember struct {
	ID    string `json:"id"`
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
}

// principal is who acts in the session.
func (p *Portal) principal(accountID string) web.Principal {
	return web.Principal{Kind: web.KindUser, ID: p.Member.ID, Name: p.Member.Name, Email: p.Member.Email,
		AccountID: accountID, Permissions: p.Role.within(p.Sections), Session: true}
}

// PortalURL makes a URL that opens the customers' pages once. The session may
// do no more than the principal.
func (d *Directory) PortalURL(ctx context.Context, by *web.Principal, accountID string, p Portal) (openURL string, expires web.Time, err error) {
	if err := p.check(); err != nil {
		return "", web.Time{}, err
	}
	if !p.Role.Valid() {
		return "", web.Time{}, mayGrant(by, accountID, p.Role)
	}
	if !covers(by, accountID, p.Role.within(p.Sections)) {
		return "", web.Time{}, errs.At(errs.CodeForbidden, "/role", "nobody grants what they do not have: the role %s may do more than you there", p.Role)
	}
	err = d.change(ctx, func(tx *db.Tx) error {
		expires = moment(d.micros() + LinkTime.Microseconds())
		path, err := d.newLink(ctx, tx, link{accountID: accountID, portal: &p})
		if err != nil {
			return err
		}
		openURL = d.cfg.ExternalURL + path
		return d.record(ctx, tx, by, event.NewAudit(accountID, "create", "portal_session", p.Member.ID, p.Member.Name).Changed(nil, p))
	})
	return openURL, expires, err
}

// check completes and checks the wishes.
func (p *Portal) check() error {
	var err error
	if p.Member.ID, err = text("/member/id", p.Member.ID, 128); err != nil {
		return err
	}
	if p.Member.Email != "" {
		if p.Member.Email, err = foldEmail(p.Member.Email); err != nil {
			return errs.At(errs.CodeInvalid, "/member/email", "member.email is not an address such as ana@example.com")
		}
	}
	if p.Member.Name != "" {
		if p.Member.Name, err = text("/member/name", p.Member.Name, 200); err != nil {
			return err
		}
	}
	all := slices.Sorted(maps.Keys(sections))
	if len(p.Sections) == 0 {
		p.Sections = all
	}
	for _, name := range p.Sections {
		if _, ok := sections[name]; !ok {
			return errs.At(errs.CodeInvalid, "/sections", "there is no section %q; there are %s", clip(name, 32), strings.Join(all, ", "))
		}
	}
	p.Sections = slices.Compact(slices.Sorted(slices.Values(p.Sections)))
	if p.ReturnURL != "" {
		u, err := url.Parse(p.ReturnURL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || len(p.ReturnURL) > 2048 {
			return errs.At(errs.CodeInvalid, "/return_url", "return_url is not an http(s) URL of at most 2048 characters")
		}
	}
	if p.Seconds == 0 {
		p.Seconds = 3600
	}
	if t := time.Duration(min(p.Seconds, 1<<31)) * time.Second; t < MinPortalTime || t > MaxPortalTime {
		return errs.At(errs.CodeOutOfRange, "/expires_in", "expires_in is between %d and %d seconds", int(MinPortalTime/time.Second), int(MaxPortalTime/time.Second))
	}
	return nil
}
