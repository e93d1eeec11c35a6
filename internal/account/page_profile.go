package account

import (
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// InvitationsPath is the page of the accounts that invite the visitor.
const InvitationsPath = "/invitations"

func (p *pages) addProfile() {
	p.Get(ProfilePath, "", p.showProfile)
	p.Post(ProfilePath+"/password", "", page.Form[passwordForm]{
		Parse:  p.parsePassword,
		Do:     p.setPassword,
		Fields: []string{"current", "password", "again"},
		Render: p.renderPasswordForm,
		Then:   p.passwordSet,
	}.Handle)
	p.Post(ProfilePath+"/sessions/end", "", p.endOtherSessions)
	p.Post(ProfilePath+"/sessions/{session_id}/end", "", p.endSession)
	p.Post(ProfilePath+"/confirmation", "", page.Form[ownConfirmation]{
		Parse:  p.parseOwnConfirmation,
		Do:     p.confirmOwnAddress,
		Render: p.renderOwnConfirmation,
		Then:   p.ownConfirmationSent,
	}.Handle)
	p.Confirm(ProfilePath+"/delete", "", p.confirmDeleteSelf, page.Form[*Session]{
		Parse:  p.ownSession,
		Do:     p.deleteSelf,
		Render: p.renderDeleteFaults,
		Then:   p.selfDeleted,
	}.Handle)
	p.Get(InvitationsPath, "", p.showInvitations)
	p.Post(InvitationsPath+"/{invitation}/accept", "", p.acceptInvitation)
	p.Post(InvitationsPath+"/{invitation}/decline", "", p.declineInvitation)
}

// ownSession returns the session of the request if it belongs to a person, not to
// a customer's user.
func (p *pages) ownSession(v *page.Visit) (*Session, error) {
	s, _, err := p.SessionFromRequest(v.Context(), v.Request)
	if err != nil || s.PersonID == "" {
		return nil, errs.New(errs.CodeForbidden, "the profile is for people who are signed in with a session of their own")
	}
	return s, nil
}

// sessionView is a session with the name of its browser.
type sessionView struct {
	Session
	Browser string
}

// profilePage is the data of the template "profile".
type profilePage struct {
	Path            string
	Me              Profile
	Sessions        []sessionView
	AskCurrent      bool // the current password is needed to set a new one
	Fresh           bool // it is not needed: the session began with a one-time link
	MinPassword     int
	Invitations     int
	InvitationsPath string
	Faults          ui.Faults
}

func (p *pages) showProfile(v *page.Visit) error {
	s, err := p.ownSession(v)
	if err != nil {
		return err
	}
	return p.renderProfile(v, s, ui.Faults{})
}

func (p *pages) renderProfile(v *page.Visit, s *Session, faults ui.Faults) error {
	ctx := v.Context()
	me, err := p.Profile(ctx, s.PersonID)
	if err != nil {
		return err
	}
	sessions, err := p.Sessions(ctx, s.PersonID, s)
	if err != nil {
		return err
	}
	invited, err := p.Invitations(ctx, s.PersonID)
	if err != nil {
		return err
	}
	data := profilePage{
		Path:            ProfilePath,
		Me:              me,
		AskCurrent:      me.HasPassword && !p.fresh(s),
		Fresh:           me.HasPassword && p.fresh(s),
		MinPassword:     MinPassword,
		Invitations:     len(invited),
		InvitationsPath: InvitationsPath,
		Faults:          faults,
	}
	for _, one := range sessions {
		data.Sessions = append(data.Sessions, sessionView{one, browserName(one.UserAgent)})
	}
	return v.Show(page.View{Section: "profile", Title: "Profile", Template: "profile", Status: faults.Status, Data: data})
}

// fresh reports whether the session may replace a forgotten password.
func (p *pages) fresh(s *Session) bool {
	return s.viaLink && p.micros() < s.CreatedOn.Micros()+resetTime.Microseconds()
}

// passwordForm is the input for a new password. Passwords are neither trimmed
// nor shown again.
type passwordForm struct {
	session *Session
	current string
	new     string
	again   string
}

func (p *pages) parsePassword(v *page.Visit) (passwordForm, error) {
	s, err := p.ownSession(v)
	return passwordForm{
		session: s,
		current: v.Request.PostFormValue("current"),
		new:     v.Request.PostFormValue("password"),
		again:   v.Request.PostFormValue("again"),
	}, err
}

func (p *pages) setPassword(v *page.Visit, f *passwordForm) error {
	if f.new != f.again {
		return errs.At(errs.CodeInvalid, "/again", "the passwords are not the same")
	}
	return p.SetPassword(v.Context(), v.Who, f.session, f.current, f.new)
}

func (p *pages) renderPasswordForm(v *page.Visit, f *passwordForm, faults ui.Faults) error {
	if wait := faults.RetryAfter; wait > 0 {
		faults.Say("", "Too many attempts. Try again in "+waitWords(wait)+".")
	}
	faults.Say("current", "This is not your current password.")
	return p.renderProfile(v, f.session, faults)
}

func (p *pages) passwordSet(v *page.Visit, _ *passwordForm) error {
	return v.Redirect(ProfilePath, "password-set")
}

func (p *pages) endSession(v *page.Visit) error {
	s, err := p.ownSession(v)
	if err != nil {
		return err
	}
	sessionID := v.PathValue("session_id")
	if sessionID == s.ID {
		return p.signOut(v)
	}
	if err := p.RevokeSession(v.Context(), v.Who, s.PersonID, sessionID); err != nil {
		return err
	}
	return v.Redirect(ProfilePath, "session-ended")
}

func (p *pages) endOtherSessions(v *page.Visit) error {
	s, err := p.ownSession(v)
	if err != nil {
		return err
	}
	if _, err := p.RevokeOtherSessions(v.Context(), v.Who, s); err != nil {
		return err
	}
	return v.Redirect(ProfilePath, "sessions-ended")
}

// ownConfirmation is a confirmation mail that a person asks for.
type ownConfirmation struct {
	session *Session
	out     Confirmation
}

func (p *pages) parseOwnConfirmation(v *page.Visit) (ownConfirmation, error) {
	s, err := p.ownSession(v)
	return ownConfirmation{session: s}, err
}

// confirmOwnAddress sends the mail in the name of the account that the person belongs to. The operators vouch for the
// addresses of other people.
func (p *pages) confirmOwnAddress(v *page.Visit, f *ownConfirmation) error {
	me, err := p.Profile(v.Context(), f.session.PersonID)
	if err != nil {
		return err
	}
	if me.home == "" {
		return errs.New(errs.CodeStateConflict, "the address is confirmed already")
	}
	f.out, err = p.SendConfirmation(v.Context(), v.Who, me.home, me.ID)
	return err
}

func (p *pages) renderOwnConfirmation(v *page.Visit, f *ownConfirmation, faults ui.Faults) error {
	return p.renderProfile(v, f.session, faults)
}

func (p *pages) ownConfirmationSent(v *page.Visit, f *ownConfirmation) error {
	if f.out.Sent {
		return v.Redirect(ProfilePath, "confirmation-sent")
	}
	data := keptMail{Mail: *f.out.Mail, Back: ProfilePath}
	return v.Show(page.View{Section: "profile", Title: "Confirmation mail", Template: "confirmation-kept", Data: data})
}

func (p *pages) confirmDeleteSelf(v *page.Visit) (page.Confirm, error) {
	_, err := p.ownSession(v)
	return page.Confirm{
		Section: "profile",
		Title:   "Delete your sign-in?",
		Text: "You leave every account, your sessions end, and your name, address and password are deleted. " +
			"Recorded events stay in the audit logs of the accounts. This cannot be undone.",
		Label:  "Delete my sign-in",
		Back:   ProfilePath,
		Danger: true,
	}, err
}

func (p *pages) deleteSelf(v *page.Visit, s **Session) error {
	return p.DeletePerson(v.Context(), v.Who, (*s).PersonID)
}

func (p *pages) renderDeleteFaults(v *page.Visit, s **Session, faults ui.Faults) error {
	return p.renderProfile(v, *s, faults)
}

func (p *pages) selfDeleted(v *page.Visit, _ **Session) error {
	p.setCookie(v.Writer, false, "", time.Time{})
	return v.Redirect(SignInPath, "")
}

// invitationsPage is the data of the template "invitations".
type invitationsPage struct {
	Path string
	Rows []Invitation
}

func (p *pages) showInvitations(v *page.Visit) error {
	s, err := p.ownSession(v)
	if err != nil {
		return err
	}
	list, err := p.Invitations(v.Context(), s.PersonID)
	if err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  "profile",
		Title:    "Invitations",
		Template: "invitations",
		Data:     invitationsPage{Path: InvitationsPath, Rows: list},
	})
}

func (p *pages) acceptInvitation(v *page.Visit) error {
	s, err := p.ownSession(v)
	if err != nil {
		return err
	}
	joined, err := p.AcceptInvitation(v.Context(), v.Who, s, v.PathValue("invitation"))
	if err != nil {
		return err
	}
	return v.Redirect(AccountPath(joined.AccountID), "")
}

func (p *pages) declineInvitation(v *page.Visit) error {
	s, err := p.ownSession(v)
	if err != nil {
		return err
	}
	if err := p.DeclineInvitation(v.Context(), v.Who, s, v.PathValue("invitation")); err != nil {
		return err
	}
	return v.Redirect(InvitationsPath, "invitation-declined")
}
