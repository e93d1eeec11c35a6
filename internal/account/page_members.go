package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addMembers() {
	const base = "/accounts/{account_id}/members"
	p.Get(base, MembersRead, p.showMembers)
	p.Post(base, MembersWrite, page.Form[newMemberForm]{
		Parse:  parseNewMember,
		Do:     p.addMember,
		Fields: []string{"email", "name", "role"},
		Render: p.renderMembers,
		Then:   p.showNewMemberLink,
	}.Handle)
	p.Get(base+"/{member_id}", MembersRead, p.showMember)
	p.Post(base+"/{member_id}", MembersWrite, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.changeRole,
		Fields: []string{"role"},
		Render: p.renderMember,
		Then:   p.roleChanged,
	}.Handle)
	p.Post(base+"/{member_id}/link", MembersWrite, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.createMemberLink,
		Render: p.renderMember,
		Then:   p.showMemberLink,
	}.Handle)
	p.Confirm(base+"/{member_id}/remove", MembersWrite, p.confirmRemoveMember, page.Form[memberForm]{
		Parse:  p.parseMember,
		Do:     p.removeMember,
		Render: p.renderMember,
		Then:   p.memberRemoved,
	}.Handle)
	p.addPortalSessions()
}

// roleView is a role with its description.
type roleView struct {
	Role        Role
	Description string
}

// rolesOf lists all roles, and as options of a select those that the visitor may
// grant.
func rolesOf(v *page.Visit) (views []roleView, options [][2]string) {
	for _, r := range Roles() {
		views = append(views, roleView{r, r.Description()})
		if covers(v.Who, v.Account, r.Permissions()) {
			options = append(options, [2]string{string(r), string(r)})
		}
	}
	return views, options
}

// memberView is a member with what the visitor may do.
type memberView struct {
	Member
	Href    string
	You     bool
	Expired bool // pending, and its links have expired
	Link    bool // the visitor may create a sign-in link
}

func (p *pages) memberView(v *page.Visit, m Member) memberView {
	return memberView{
		Member:  m,
		Href:    memberPath(v.Account, m.ID),
		You:     m.ID == v.Who.ID,
		Expired: m.Status == StatusPending && m.InvitedUntil.Micros() <= p.micros(),
		Link:    mayChangeMember(v, m) && (m.ours || v.Who.Superoperator),
	}
}

// mayChangeMember reports whether the visitor may change or remove a member.
func mayChangeMember(v *page.Visit, m Member) bool {
	return v.Can(MembersWrite) && covers(v.Who, v.Account, m.Role.Permissions())
}

func memberPath(accountID, memberID string) string { return MembersPath(accountID) + "/" + memberID }

// membersPage is the data of the template "members".
type membersPage struct {
	Path     string
	Rows     []memberView
	Next     string
	CanWrite bool
	Roles    []roleView
	Options  [][2]string // roles that the visitor may grant
	Form     newMemberForm
	Portal   string // page of the customers' sessions
}

// newMemberForm is the input for a new member.
type newMemberForm struct {
	Email  string
	Name   string
	Role   string
	Faults ui.Faults

	added NewMember
}

func parseNewMember(v *page.Visit) (newMemberForm, error) {
	return newMemberForm{Email: v.Field("email", 254), Name: v.Field("name", 800), Role: v.Field("role", 64)}, nil
}

// showMembers offers the role that is most likely next: the first member of an
// account should be an owner.
func (p *pages) showMembers(v *page.Visit) error {
	role := Viewer
	if covers(v.Who, v.Account, Owner.Permissions()) {
		has, err := p.hasOwner(v.Context(), v.Account)
		if err != nil {
			return err
		}
		if !has {
			role = Owner
		}
	}
	return p.renderMembers(v, &newMemberForm{Role: string(role)}, ui.Faults{})
}

// hasOwner reports whether the account has an owner, accepted or invited.
func (f *Feature) hasOwner(ctx context.Context, accountID string) (has bool, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		var n int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM member WHERE account_id = $1 AND role = 'owner'`, accountID).Scan(&n)
		has = n > 0
		return err
	})
	return has, err
}

func (p *pages) renderMembers(v *page.Visit, f *newMemberForm, faults ui.Faults) error {
	list, err := page.ReadList(v, pageSize, memberKey, func(after web.Keyset, limit int) ([]Member, error) {
		return p.Members(v.Context(), v.Account, after.ID, limit)
	})
	if err != nil {
		return err
	}
	f.Faults = faults
	rows := page.Map(list, func(m Member) memberView { return p.memberView(v, m) })
	data := membersPage{
		Path:     MembersPath(v.Account),
		Rows:     rows.Items,
		Next:     rows.Next,
		CanWrite: v.Can(MembersWrite),
		Form:     *f,
		Portal:   portalPath(v.Account),
	}
	data.Roles, data.Options = rolesOf(v)
	return v.Show(page.View{Section: "members", Title: "Members", Template: "members", Status: faults.Status, Data: data})
}

func (p *pages) addMember(v *page.Visit, f *newMemberForm) (err error) {
	f.added, err = p.AddMember(v.Context(), v.Who, v.Account, f.Email, f.Name, Role(f.Role))
	return err
}

// showNewMemberLink shows the one-time link, if there is one. The response is not
// a redirect, because the link is not stored.
func (p *pages) showNewMemberLink(v *page.Visit, f *newMemberForm) error {
	m := f.added
	return showLink(v, "members", linkPage{
		Name:  m.Name,
		Email: m.Email,
		Link:  m.SignInURL,
		Added: true,
		Path:  MembersPath(v.Account),
	})
}

// linkPage is the data of the template "one-time-link".
type linkPage struct {
	Name  string
	Email string
	Link  string // "" for a person who has signed in before
	Added bool   // the person was added just now
	Path  string
}

func showLink(v *page.Visit, section string, data linkPage) error {
	return v.Show(page.View{Section: section, Title: data.Name, Template: "one-time-link", Data: data})
}

// memberForm is the input for a change of the member of the path.
type memberForm struct {
	Role string

	member       Member
	link         string // created just now
	confirmation Confirmation
}

func (p *pages) parseMember(v *page.Visit) (memberForm, error) {
	m, err := p.Member(v.Context(), v.Account, v.PathValue("member_id"))
	return memberForm{Role: v.Field("role", 64), member: m}, err
}

// memberPage is the data of the template "member".
type memberPage struct {
	Path      string
	Member    memberView
	Role      roleView
	Roles     []roleView
	Options   [][2]string // roles that the visitor may grant
	CanWrite  bool        // the visitor may change and remove the member
	Confirmed bool        // alert mail may go to the member's address
	Changes   string      // audit log: changes of the membership
	Faults    ui.Faults
}

func (p *pages) showMember(v *page.Visit) error {
	f, err := p.parseMember(v)
	if err != nil {
		return err
	}
	return p.renderMember(v, &f, ui.Faults{})
}

func (p *pages) renderMember(v *page.Visit, f *memberForm, faults ui.Faults) error {
	m := f.member
	confirmed, err := p.AddressConfirmed(v.Context(), v.Account, m.ID)
	if err != nil {
		return err
	}
	data := memberPage{
		Confirmed: confirmed,
		Path:      MembersPath(v.Account),
		Member:    p.memberView(v, m),
		Role:      roleView{m.Role, m.Role.Description()},
		CanWrite:  mayChangeMember(v, m),
		Changes:   changesLink(v, "member", m.ID),
		Faults:    faults,
	}
	data.Roles, data.Options = rolesOf(v)
	return v.Show(page.View{Section: "members", Title: m.Name, Template: "member", Status: faults.Status, Data: data})
}

func (p *pages) changeRole(v *page.Visit, f *memberForm) error {
	_, err := p.ChangeRole(v.Context(), v.Who, v.Account, f.member.ID, Role(f.Role))
	return err
}

func (p *pages) roleChanged(v *page.Visit, f *memberForm) error {
	return v.Redirect(memberPath(v.Account, f.member.ID), "role-changed")
}

func (p *pages) createMemberLink(v *page.Visit, f *memberForm) (err error) {
	f.link, err = p.MemberLink(v.Context(), v.Who, v.Account, f.member.ID)
	return err
}

func (p *pages) showMemberLink(v *page.Visit, f *memberForm) error {
	m := f.member
	return showLink(v, "members", linkPage{Name: m.Name, Email: m.Email, Link: f.link, Path: MembersPath(v.Account)})
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
	if m.ID == v.Who.ID {
		c.Title = "Leave this account?"
		c.Text = "This is you. You lose access to this account at once. Tokens that you created stay valid, and " +
			"recorded events stay in the audit log. If this is your only account, your name, address and password " +
			"are deleted."
		c.Label = "Leave the account"
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
	return v.Redirect(MembersPath(v.Account), "member-removed")
}
