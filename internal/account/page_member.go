package account

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addMemberHub() {
	const one = "/accounts/{account_id}/members/{member_id}"
	p.Get(one, MembersRead, p.showMember)
	p.Get(one+"/edit", MembersWrite, p.showMemberForm)
	p.Post(one, MembersWrite, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.changeRole,
		Fields: []string{"role"},
		Render: p.renderMemberForm,
		Then:   p.roleChanged,
	}.Handle)
	p.Post(one+"/invite", MembersWrite, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.inviteMember,
		Render: p.renderMember,
		Then:   p.memberInvited,
	}.Handle)
	p.Confirm(one+"/link", MembersWrite, p.confirmMemberLink, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.createMemberLink,
		Render: p.renderMember,
		Then:   p.showMemberLink,
	}.Handle)
	p.Confirm(one+"/remove", MembersWrite, p.confirmRemoveMember, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.removeMember,
		Render: p.renderMember,
		Then:   p.memberRemoved,
	}.Handle)
}

// memberForm is the input for a change of the member of the path.
type memberForm struct {
	Role string

	member       Member
	link         OneTimeURL // created just now
	confirmation Confirmation
}

func (p *pages) parseMember(v *page.Visit) (memberForm, error) {
	m, err := p.Member(v.Context(), v.Account, v.PathValue("member_id"))
	return memberForm{Role: v.Field("role", 64), member: m}, err
}

// memberPage is the data of the template "member".
type memberPage struct {
	Hub      ui.Hub
	Member   memberView
	Path     string
	Groups   []permissionGroup // of the role
	Roles    string            // page of all roles
	SignIns  []signInView
	Activity *ui.Activity
	Mails    bool
	CanWrite bool // the visitor may change and remove the member
	Faults   ui.Faults
}

// Confirmed reports whether alert mail may go to the member's address.
func (d memberPage) Confirmed() bool { return d.Member.Confirmed }

// signInView is a session of the member that entered the account.
type signInView struct {
	Browser string
	IP      string
	At      time.Time
}

func (p *pages) showMember(v *page.Visit) error {
	f, err := p.parseMember(v)
	if err != nil {
		return err
	}
	return p.renderMember(v, &f, ui.Faults{})
}

func (p *pages) renderMember(v *page.Visit, f *memberForm, faults ui.Faults) (err error) {
	m := p.memberView(v, f.member)
	if m.Confirmed, err = p.AddressConfirmed(v.Context(), v.Account, m.ID); err != nil {
		return err
	}
	data := memberPage{
		Member:   m,
		Path:     m.Href,
		Groups:   permissionGroups(m.Role.named()),
		Roles:    MembersPath(v.Account) + "/roles",
		Mails:    p.MailsLinks(),
		CanWrite: m.May,
		Faults:   faults,
	}
	if data.Activity, err = p.activity(v, feature.About{Actor: m.ID}); err != nil {
		return err
	}
	if data.Activity != nil {
		data.Activity.Title = "Activity"
		data.Activity.Note = "what " + m.Name + " did in this account"
		data.Activity.Empty = m.Name + " has done nothing that the audit log records yet."
		data.Activity.Live = data.Path
	}
	if data.SignIns, err = p.signIns(v.Context(), v.Account, m.ID); err != nil {
		return err
	}
	data.setHub(v)
	return v.Show(page.View{Section: "members", Title: m.Name, Template: "member", Status: faults.Status, Data: data})
}

// signIns lists the present sessions of a member that have entered the account, the newest first.
func (f *Feature) signIns(ctx context.Context, accountID, personID string) (list []signInView, err error) {
	scan := func(row db.Row) (s signInView, err error) {
		var agent string
		var created int64
		err = row.Scan(&agent, &s.IP, &created)
		s.Browser = browserName(agent)
		s.At = moment(created).Time
		return s, err
	}
	now := f.micros()
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scan, `SELECT s.user_agent, s.ip, s.created_at
			FROM session s JOIN session_account e ON e.session_id = s.id AND e.account_id = $2
			WHERE s.person_id = $1 AND s.portal = '' AND s.expires_at > $3 AND s.seen_at > $4
			ORDER BY s.id DESC LIMIT $5`, personID, accountID, now, now-IdleTime.Microseconds(), hubRows)
		return err
	})
	return list, err
}

func (d *memberPage) setHub(v *page.Visit) {
	m := d.Member
	d.Hub = ui.Hub{
		Back:       ui.Link{Label: "Members", Href: MembersPath(v.Account)},
		Avatar:     &ui.Person{Name: m.Name, Kind: "user"},
		Title:      m.Name,
		Status:     m.Words(),
		Properties: []ui.PropertyGroup{d.properties(v)},
	}
	if m.You {
		d.Hub.Subtitle = ui.Sentence{{Text: "This is you"}}
	}
	if m.Link && m.State != stateActive {
		if d.Mails {
			d.Hub.Actions = append(d.Hub.Actions, ui.Link{
				Label: "Send the invitation again", Icon: "mail", Href: m.Href + "/invite", Post: true, Primary: true,
			})
		}
		d.Hub.Actions = append(d.Hub.Actions, ui.Link{
			Label: "Copy a link", Icon: "link", Href: m.Href + "/link", Primary: !d.Mails,
		})
	}
	if m.May {
		d.Hub.Actions = append(d.Hub.Actions, ui.Link{
			Label: "Change the role", Icon: "shield", Href: m.Href + "/edit", Key: "e",
		})
	}
	if m.Link && m.State == stateActive {
		d.Hub.More = append(d.Hub.More, ui.Link{Label: "Create a sign-in link", Icon: "link", Href: m.Href + "/link"})
	}
	if href := changesLink(v, "member", m.ID); href != "" {
		d.Hub.More = append(d.Hub.More, ui.Link{Label: "Changes of this membership", Icon: "scroll-text", Href: href})
	}
	if m.May {
		remove := "Remove from the account"
		switch {
		case m.You:
			remove = "Leave the account"
		case m.State != stateActive:
			remove = "Withdraw the invitation"
		}
		d.Hub.More = append(d.Hub.More, ui.Link{Label: remove, Icon: "user-x", Href: m.Href + "/remove", Danger: true})
	}
}

func (d *memberPage) properties(v *page.Visit) ui.PropertyGroup {
	m := d.Member
	role := ui.Property{Label: "Role", Links: []ui.Link{{
		Label: string(m.Role),
		Href:  MembersPath(v.Account) + "?role=" + string(m.Role),
	}}, Note: m.Role.Description()}
	email := ui.Property{Label: "Email", Text: m.Email, Icon: "mail", Note: "confirmed"}
	if !m.Confirmed {
		email.Note = "Not confirmed yet"
	}
	g := ui.PropertyGroup{Properties: []ui.Property{role, email}}
	if m.May {
		g.Title = "Properties"
		g.Action = ui.Link{Label: "Edit", Href: m.Href + "/edit"}
	}
	active := ui.Property{Label: "Last active", At: m.LastActiveOn.Time, Ago: true}
	if m.LastActiveOn.IsZero() {
		active.Text = "never"
	}
	signIn := ui.Property{Label: "Last sign-in here", At: m.LastEnteredOn.Time, Ago: true}
	if m.LastEnteredOn.IsZero() {
		signIn.Text = "never"
	}
	g.Properties = append(g.Properties, active, signIn)
	if m.State != stateActive {
		until := ui.Property{Label: "Invitation valid until", At: m.InvitedUntil.Time}
		if m.InvitedUntil.IsZero() {
			until.Text = "no valid link"
		}
		g.Properties = append(g.Properties, until)
		if !m.MailedOn.IsZero() {
			g.Properties = append(g.Properties, ui.Property{Label: "Invitation sent", At: m.MailedOn.Time, Ago: true})
		}
	}
	g.Properties = append(g.Properties, ui.Property{Label: "Member since", At: m.CreatedOn.Time},
		ui.Property{Label: "Id", Copy: m.ID, Text: clip(m.ID, 8) + "…"})
	return g
}

// memberFormPage is the data of the template "member-form".
type memberFormPage struct {
	Path    string
	Member  memberView
	Chosen  string
	Roles   []roleView
	Options [][2]string
	Matrix  string
	Faults  ui.Faults
}

func (p *pages) showMemberForm(v *page.Visit) error {
	f, err := p.parseMember(v)
	if err != nil {
		return err
	}
	f.Role = string(f.member.Role)
	return p.renderMemberForm(v, &f, ui.Faults{})
}

func (p *pages) renderMemberForm(v *page.Visit, f *memberForm, faults ui.Faults) error {
	data := memberFormPage{
		Path:   memberPath(v.Account, f.member.ID),
		Member: p.memberView(v, f.member),
		Chosen: f.Role,
		Matrix: MembersPath(v.Account) + "/roles",
		Faults: faults,
	}
	data.Roles, data.Options = rolesOf(v)
	return v.Show(page.View{
		Section:  "members",
		Title:    "Role of " + f.member.Name,
		Template: "member-form",
		Status:   faults.Status,
		Data:     data,
	})
}

func (p *pages) changeRole(v *page.Visit, f *memberForm) error {
	_, err := p.ChangeRole(v.Context(), v.Who, v.Account, f.member.ID, Role(f.Role))
	return err
}

func (p *pages) roleChanged(v *page.Visit, f *memberForm) error {
	return v.Redirect(memberPath(v.Account, f.member.ID), "role-changed")
}

func (p *pages) inviteMember(v *page.Visit, f *memberForm) error {
	if !p.MailsLinks() {
		return p.createMemberLink(v, f)
	}
	_, err := p.SendInvitation(v.Context(), v.Who, v.Account, f.member.ID)
	return err
}

func (p *pages) memberInvited(v *page.Visit, f *memberForm) error {
	if f.link.URL != "" {
		return p.showMemberLink(v, f)
	}
	return v.Redirect(memberPath(v.Account, f.member.ID), "invitation-sent")
}

func (p *pages) confirmMemberLink(v *page.Visit) (page.Confirm, error) {
	m, err := p.Member(v.Context(), v.Account, v.PathValue("member_id"))
	c := page.Confirm{
		Section: "members",
		Title:   "Create a sign-in link for " + m.Name + "?",
		Text: "The link signs in once as " + m.Name + ", for instance instead of a forgotten password. It is valid for 15 " +
			"minutes. Anyone who has the link becomes this person, so send it in a way that you trust.",
		Label: "Create the link",
		Back:  memberPath(v.Account, m.ID),
	}
	if m.Status == StatusPending {
		c.Title = "Create an invitation link for " + m.Name + "?"
		c.Text = "The link accepts the invitation and signs in as " + m.Name + ". It is valid for 7 days and works once. " +
			"Anyone who has the link becomes this person, so send it in a way that you trust."
	}
	return c, err
}

func (p *pages) createMemberLink(v *page.Visit, f *memberForm) (err error) {
	f.link, err = p.MemberLink(v.Context(), v.Who, v.Account, f.member.ID)
	return err
}

func (p *pages) showMemberLink(v *page.Visit, f *memberForm) error {
	m := f.member
	return showLink(v, "members", linkPage{
		Name:    m.Name,
		Email:   m.Email,
		Link:    f.link.URL,
		Expires: f.link.ExpiresOn.Time,
		Path:    memberPath(v.Account, m.ID),
	})
}

func (p *pages) confirmRemoveMember(v *page.Visit) (page.Confirm, error) {
	m, err := p.Member(v.Context(), v.Account, v.PathValue("member_id"))
	c := page.Confirm{
		Section: "members",
		Title:   "Remove " + m.Name + " from this account?",
		Text: "The member loses access to this account at once. Tokens that the member created stay valid, and " +
			"recorded events stay in the audit log. If this is the member's only account, the name, address and " +
			"password are deleted.",
		Label:  "Remove the member",
		Back:   memberPath(v.Account, m.ID),
		Danger: true,
	}
	switch {
	case m.ID == v.Who.ID:
		c.Title = "Leave this account?"
		c.Text = "This is you. You lose access to this account at once. Tokens that you created stay valid, and " +
			"recorded events stay in the audit log. If this is your only account, your name, address and password " +
			"are deleted."
		c.Label = "Leave the account"
	case m.Status == StatusPending:
		c.Title = "Withdraw the invitation of " + m.Name + "?"
		c.Text = "Its links stop working at once. You can invite the address again."
		c.Label = "Withdraw the invitation"
	}
	return c, err
}

func (p *pages) removeMember(v *page.Visit, f *memberForm) error {
	return p.RemoveMember(v.Context(), v.Who, v.Account, f.member.ID)
}

func (p *pages) memberRemoved(v *page.Visit, f *memberForm) error {
	if f.member.ID == v.Who.ID && !v.Who.Superoperator {
		return v.Redirect("/", "") // the visitor left, and has no permission to see the members
	}
	if f.member.Status == StatusPending {
		return v.Redirect(MembersPath(v.Account), "invitation-withdrawn")
	}
	return v.Redirect(MembersPath(v.Account), "member-removed")
}

// rolesPage is the data of the template "roles-page": which role has which permission.
type rolesPage struct {
	Path   string
	Roles  []roleView
	Mine   Role // of the visitor; "" = none
	Groups []roleGroup
}

// roleGroup is a group of permissions with the roles that have them.
type roleGroup struct {
	Name string
	Rows []roleRow
}

type roleRow struct {
	Words string
	Name  string
	Has   []bool // by role, in the order of Roles
}

func (p *pages) showRoles(v *page.Visit) error {
	data := rolesPage{Path: MembersPath(v.Account), Groups: roleMatrix()}
	data.Roles, _ = rolesOf(v)
	if m, err := p.Member(v.Context(), v.Account, v.Who.ID); err == nil {
		data.Mine = m.Role
	}
	return v.Show(page.View{Section: "members", Title: "Roles", Template: "roles-page", Data: data})
}

// roleMatrix is the table of roles and permissions. An owner has every permission.
func roleMatrix() (groups []roleGroup) {
	for _, w := range permissionWords {
		if w.permission == Everything {
			continue
		}
		if len(groups) == 0 || groups[len(groups)-1].Name != w.group {
			groups = append(groups, roleGroup{Name: w.group})
		}
		row := roleRow{Words: w.words, Name: w.permission}
		for _, r := range Roles() {
			row.Has = append(row.Has, r.Permissions().Has(w.permission))
		}
		g := &groups[len(groups)-1]
		g.Rows = append(g.Rows, row)
	}
	return groups
}
