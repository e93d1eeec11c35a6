package account

import (
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) mountProfile() {
	p.Mount("GET "+ProfilePath, "", false, p.showProfile)
	p.Mount("POST "+ProfilePath+"/password", "", false, p.setPassword)
	p.Mount("POST "+ProfilePath+"/sessions/{session_id}/end", "", false, p.endSession)
	p.Mount("GET "+ProfilePath+"/delete", "", false, p.askDeleteSelf)
	p.Mount("POST "+ProfilePath+"/delete", "", false, p.deleteSelf)
	p.Mount("GET "+InvitationsPath, "", false, p.showInvitations)
	p.Mount("POST "+InvitationsPath+"/{invitation}/accept", "", false, p.acceptInvitation)
	p.Mount("POST "+InvitationsPath+"/{invitation}/decline", "", false, p.declineInvitation)
}

// self is the session of the request, of a person who has an account with us.
func (p *pages) self(v visit) (*Session, error) {
	s, _, err := p.SessionFromRequest(v.ctx, v.r)
	if err != nil || s.PersonID == "" {
		return nil, errs.New(errs.CodeForbidden, "the profile is for people who are signed in with a session of their own")
	}
	return s, nil
}

// shownSession is a session as people recognise it.
type shownSession struct {
	Session
	Browser string
}

func (p *pages) renderProfile(w http.ResponseWriter, v visit, f ui.Faults) error {
	s, err := p.self(v)
	if err != nil {
		return err
	}
	me, err := p.Profile(v.ctx, s.PersonID)
	if err != nil {
		return err
	}
	list, err := p.Sessions(v.ctx, s.PersonID, s)
	if err != nil {
		return err
	}
	invited, err := p.Invitations(v.ctx, s.PersonID)
	if err != nil {
		return err
	}
	sessions := make([]shownSession, len(list))
	for i, one := range list {
		sessions[i] = shownSession{one, browser(one.UserAgent)}
	}
	return p.show(w, v, "profile", view{section: "profile", title: "Profile", status: f.Status, data: map[string]any{
		"Me": me, "Sessions": sessions, "Faults": f, "Current": me.HasPassword && !p.fresh(s), "Fresh": me.HasPassword && p.fresh(s),
		"Path": ProfilePath, "Least": MinPassword, "Invitations": len(invited), "InvitationsPath": InvitationsPath,
	}})
}

// fresh reports whether the session may replace a forgotten password.
func (p *pages) fresh(s *Session) bool {
	return s.viaLink && p.micros() < s.CreatedOn.Micros()+resetTime.Microseconds()
}

func (p *pages) showProfile(w http.ResponseWriter, r *http.Request) error {
	return p.renderProfile(w, personVisit(r), ui.Faults{})
}

func (p *pages) setPassword(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	s, err := p.self(v)
	if err != nil {
		return err
	}
	if r.PostFormValue("password") != r.PostFormValue("again") {
		err = errs.At(errs.CodeInvalid, "/again", "the two are not the same")
	} else {
		err = p.SetPassword(v.ctx, v.who, s, r.PostFormValue("current"), r.PostFormValue("password"))
	}
	if err != nil {
		f, ok := ui.FaultsOf(err, "current", "password", "again")
		if !ok {
			return err
		}
		if wait := errs.All(err)[0].RetryAfter; wait > 0 {
			f.Say("", "Too many attempts. Try again in "+waiting(wait)+".")
		}
		f.Say("current", "This is not your present password.")
		ui.RetryAfter(w, err)
		return p.renderProfile(w, v, f)
	}
	return goTo(w, r, ProfilePath, "password")
}

func (p *pages) endSession(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	s, err := p.self(v)
	if err != nil {
		return err
	}
	if id := r.PathValue("session_id"); id == s.ID {
		return p.signOut(w, r)
	} else if err := p.RevokeSession(v.ctx, v.who, s.PersonID, id); err != nil {
		return err
	}
	return goTo(w, r, ProfilePath, "session-ended")
}

func (p *pages) askDeleteSelf(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	if _, err := p.self(v); err != nil {
		return err
	}
	return p.show(w, v, "question", view{section: "profile", title: "Delete yourself", data: question{
		Title: "Delete your sign-in?",
		Text: "You leave every account, your sessions end, and your name, address and password are deleted. " +
			"What you did stays in the audit logs of the accounts. This cannot be undone.",
		Action: ProfilePath + "/delete", Label: "Delete my sign-in", Back: ProfilePath}})
}

func (p *pages) deleteSelf(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	s, err := p.self(v)
	if err != nil {
		return err
	}
	if err := p.DeletePerson(v.ctx, v.who, s.PersonID); err != nil {
		f, ok := ui.FaultsOf(err)
		if !ok {
			return err
		}
		return p.renderProfile(w, v, f)
	}
	p.setCookie(w, false, "", time.Time{})
	return goTo(w, r, SignInPath, "")
}

// InvitationsPath is the page of the accounts that invite the person who is
// signed in.
const InvitationsPath = "/invitations"

func (p *pages) showInvitations(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	s, err := p.self(v)
	if err != nil {
		return err
	}
	list, err := p.Invitations(v.ctx, s.PersonID)
	if err != nil {
		return err
	}
	return p.show(w, v, "invitations", view{section: "profile", title: "Invitations", data: map[string]any{"Rows": list, "Path": InvitationsPath}})
}

func (p *pages) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	s, err := p.self(v)
	if err != nil {
		return err
	}
	joined, err := p.AcceptInvitation(v.ctx, v.who, s, r.PathValue("invitation"))
	if err != nil {
		return err
	}
	return goTo(w, r, AccountPath(joined.AccountID), "")
}

func (p *pages) declineInvitation(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	s, err := p.self(v)
	if err != nil {
		return err
	}
	if err := p.DeclineInvitation(v.ctx, v.who, s, r.PathValue("invitation")); err != nil {
		return err
	}
	return goTo(w, r, InvitationsPath, "invitation-declined")
}
