package account

import (
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// InvitationsPath is the page of the accounts that invite the visitor.
const InvitationsPath = "/invitations"

func (p *pages) addProfile() {
	p.Get(ProfilePath, "", p.showProfile)
	p.Get(ProfilePath+"/password", "", p.showPassword)
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
	Hub             ui.Hub
	Path            string
	Me              Profile
	Sessions        []sessionView
	MailsLinks      bool
	Invitations     int
	InvitationsPath string
	Activity        *ui.Activity
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
		MailsLinks:      p.MailsLinks(),
		Invitations:     len(invited),
		InvitationsPath: InvitationsPath,
		Faults:          faults,
	}
	for _, one := range sessions {
		data.Sessions = append(data.Sessions, sessionView{one, browserName(one.UserAgent)})
	}
	if data.Activity, err = p.ownActivity(v, &me); err != nil {
		return err
	}
	data.setHub(s)
	return v.Show(page.View{Section: "profile", Title: "Profile", Template: "profile", Status: faults.Status, Data: data})
}

func (d *profilePage) setHub(s *Session) {
	me := d.Me
	d.Hub = ui.Hub{
		Avatar:   &ui.Person{Name: me.Name, Kind: "user"},
		Title:    me.Name,
		Subtitle: ui.Sentence{{Text: me.Email}},
		Actions: []ui.Link{
			{Label: passwordWords(&me), Icon: "key", Href: ProfilePath + "/password", Key: "e"},
		},
		More: []ui.Link{
			{Label: "Delete my sign-in", Icon: "user-x", Href: ProfilePath + "/delete", Danger: true},
		},
	}
	if me.Staff {
		d.Hub.Status = ui.Status{Label: "Operator", Tone: ui.Warn}
	}
	address := ui.Property{Label: "Address", Text: me.Email, Icon: "mail", Note: "confirmed: alerts are sent to it"}
	if !me.Confirmed {
		address.Note = "not confirmed: no alert is sent to it"
	}
	password := ui.Property{Label: "Password", Text: "set"}
	if !me.HasPassword {
		password.Text = "none"
	}
	link := ui.Property{Label: "One-time link", Text: "by mail, from the sign-in page"}
	if !d.MailsLinks {
		link.Text = "from an owner of an account"
		if me.Staff {
			link.Text = "from another operator"
		}
	}
	d.Hub.Properties = []ui.PropertyGroup{
		{Properties: []ui.Property{address, {Label: "Added", At: me.CreatedOn.Time}, {
			Label: "Id", Copy: me.ID, Text: clip(me.ID, 8) + "…",
		}}},
		{Title: "Sign-in", Action: ui.Link{Label: "Password", Href: ProfilePath + "/password"}, Properties: []ui.Property{
			password, link, {Label: "This session", At: s.CreatedOn.Time, Ago: true},
		}},
	}
}

// passwordWords name the form of the password.
func passwordWords(me *Profile) string {
	if me.HasPassword {
		return "Change the password"
	}
	return "Set a password"
}

// activityAccounts is how many accounts the profile reads the newest acts of a person from.
const activityAccounts = 5

// ownActivity reads the newest acts of the person in their accounts; nil where the person may read no audit log.
func (p *pages) ownActivity(v *page.Visit, me *Profile) (*ui.Activity, error) {
	if p.cfg.Activity == nil {
		return nil, nil
	}
	type source struct{ id, name string }
	var sources []source
	if me.Staff {
		sources = append(sources, source{Installation, "Installation"})
	}
	for _, m := range me.Accounts {
		sources = append(sources, source{m.AccountID, m.AccountName})
	}
	sources = slices.DeleteFunc(sources, func(s source) bool { return !v.Who.Can(s.id, AuditRead) })
	if len(sources) == 0 {
		return nil, nil
	}
	out := &ui.Activity{Title: "What you did", Note: "the newest acts in your accounts", Empty: "Nothing yet."}
	for _, s := range sources[:min(len(sources), activityAccounts)] {
		a, err := p.cfg.Activity(v.Context(), v.Who, s.id, feature.About{Actor: me.ID}, hubRows)
		if err != nil {
			return nil, err
		}
		for _, row := range a.Rows {
			if len(sources) > 1 {
				row.Note = strings.TrimPrefix(row.Note+" · "+s.name, " · ")
			}
			out.Rows = append(out.Rows, row)
		}
		if len(sources) == 1 {
			out.All = a.All
		}
	}
	slices.SortStableFunc(out.Rows, func(a, b ui.ActivityRow) int { return b.At.Compare(a.At) })
	out.Rows = out.Rows[:min(len(out.Rows), hubRows)]
	return out, nil
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

// passwordPage is the data of the template "password".
type passwordPage struct {
	Path        string
	Me          Profile
	Title       string
	AskCurrent  bool // the current password is needed to set a new one
	Fresh       bool // it is not needed: the session began with a one-time link
	MinPassword int
	Faults      ui.Faults
}

func (p *pages) showPassword(v *page.Visit) error {
	s, err := p.ownSession(v)
	if err != nil {
		return err
	}
	return p.renderPasswordForm(v, &passwordForm{session: s}, ui.Faults{})
}

func (p *pages) renderPasswordForm(v *page.Visit, f *passwordForm, faults ui.Faults) error {
	if wait := faults.RetryAfter; wait > 0 {
		faults.Say("", "Too many attempts. Try again in "+waitWords(wait)+".")
	}
	faults.Say("current", "This is not your current password.")
	me, err := p.Profile(v.Context(), f.session.PersonID)
	if err != nil {
		return err
	}
	data := passwordPage{
		Path:        ProfilePath,
		Me:          me,
		Title:       passwordWords(&me),
		AskCurrent:  me.HasPassword && !p.fresh(f.session),
		Fresh:       me.HasPassword && p.fresh(f.session),
		MinPassword: MinPassword,
		Faults:      faults,
	}
	return v.Show(page.View{
		Section:  "profile",
		Title:    data.Title,
		Template: "password",
		Status:   faults.Status,
		Data:     data,
	})
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
