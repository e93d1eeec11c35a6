package account

import (
	"context"
	"net/http"
	"net/url"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) mountMembers() {
	const base = "/accounts/{account_id}/members"
	p.Mount("GET "+base, MembersRead, false, p.showMembers)
	p.Mount("POST "+base, MembersWrite, false, p.addMember)
	p.Mount("GET "+base+"/{member_id}", MembersRead, false, p.showMember)
	p.Mount("POST "+base+"/{member_id}", MembersWrite, false, p.changeRole)
	p.Mount("POST "+base+"/{member_id}/link", MembersWrite, false, p.makeLink)
	p.Mount("GET "+base+"/{member_id}/remove", MembersWrite, false, p.askRemove)
	p.Mount("POST "+base+"/{member_id}/remove", MembersWrite, false, p.removeMember)
	p.Mount("GET "+base+"/portal", MembersRead, false, p.showPortalSessions)
	p.Mount("POST "+base+"/portal/{session_id}/end", MembersWrite, false, p.endPortalSession)
}

// roleOption is a role as the forms offer it.
type roleOption struct {
	Role        Role
	Description string
	Mine        bool // the visitor may hand it out
}

func rolesFor(v visit) (list []roleOption) {
	for _, r := range Roles() {
		list = append(list, roleOption{r, r.Description(), covers(v.who, v.account, r.Permissions())})
	}
	return list
}

// choices are the options of a select.
func choices(list []roleOption) (options [][2]string) {
	for _, r := range list {
		if r.Mine {
			options = append(options, [2]string{string(r.Role), string(r.Role)})
		}
	}
	return options
}

// memberForm is what was typed about a new member.
type memberForm struct {
	Email, Name, Role string
	Faults            ui.Faults
}

// showMembers offers the role that is most likely next: the first member of an
// account should be an owner.
func (p *pages) showMembers(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	role := Viewer
	if covers(v.who, v.account, Owner.Permissions()) {
		has, err := p.hasOwner(v.ctx, v.account)
		if err != nil {
			return err
		}
		if !has {
			role = Owner
		}
	}
	return p.renderMembers(w, v, memberForm{Role: string(role)})
}

// hasOwner reports whether the account has an owner, accepted or invited.
func (d *Directory) hasOwner(ctx context.Context, accountID string) (has bool, err error) {
	err = d.db.View(ctx, func(tx *db.Tx) error {
		var n int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM member WHERE account_id = $1 AND role = 'owner'`, accountID).Scan(&n)
		has = n > 0
		return err
	})
	return has, err
}

// shownMember is a member as the pages show them.
type shownMember struct {
	Member
	Href    string
	You     bool
	Expired bool // pending, and no link is good any more
	Link    bool // the visitor may make a sign-in link
}

func (p *pages) shownMember(v visit, m Member) shownMember {
	return shownMember{Member: m, Href: MembersPath(v.account) + "/" + m.ID, You: m.ID == v.who.ID,
		Expired: m.Status == StatusPending && m.InvitedUntil.Micros() <= p.micros(),
		Link:    v.can(MembersWrite) && covers(v.who, v.account, m.Role.Permissions()) && (m.ours || v.who.Superoperator)}
}

func (p *pages) renderMembers(w http.ResponseWriter, v visit, f memberForm) error {
	list, err := page(p.API, v.paging(), "members "+v.account, func(m Member) string { return m.ID },
		func(after string, limit int) ([]Member, error) { return p.Members(v.ctx, v.account, after, limit) })
	if err != nil {
		return err
	}
	rows := make([]shownMember, len(list.Items))
	for i, m := range list.Items {
		rows[i] = p.shownMember(v, m)
	}
	roles := rolesFor(v)
	return p.show(w, v, "members", view{section: "members", title: "Members", status: f.Faults.Status, data: map[string]any{
		"Rows": rows, "Next": v.older(list.Cursor), "May": v.can(MembersWrite), "Path": MembersPath(v.account),
		"Roles": roles, "Choices": choices(roles), "Form": f, "Portal": portalPath(v.account),
	}})
}

// addMember answers with the page that shows the one-time link, where there is
// one: it is not kept.
func (p *pages) addMember(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	f := memberForm{Email: clip(r.PostFormValue("email"), 254), Name: clip(r.PostFormValue("name"), 800), Role: r.PostFormValue("role")}
	made, err := p.AddMember(v.ctx, v.who, v.account, f.Email, f.Name, Role(f.Role))
	if err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "email", "name", "role"); !ok {
			return err
		}
		return p.renderMembers(w, v, f)
	}
	return p.showLink(w, v, made.Member, made.SignInURL, true)
}

// showLink is the only page that has the link.
func (p *pages) showLink(w http.ResponseWriter, v visit, m Member, link string, added bool) error {
	return p.show(w, v, "member-link", view{section: "members", title: m.Name, data: shownLink{
		Name: m.Name, Email: m.Email, Link: link, Added: added, Path: MembersPath(v.account)}})
}

// shownLink is a one-time link, or a person who needs none.
type shownLink struct {
	Name, Email, Link string
	Added             bool
	Path              string
}

// memberPage is one member, with what the visitor may do about them.
func (p *pages) memberPage(w http.ResponseWriter, v visit, memberID string, f ui.Faults) error {
	m, err := p.Member(v.ctx, v.account, memberID)
	if err != nil {
		return err
	}
	if m.Confirmed, err = p.AddressConfirmed(v.ctx, v.account, m.ID); err != nil {
		return err
	}
	roles := rolesFor(v)
	may := v.can(MembersWrite) && covers(v.who, v.account, m.Role.Permissions())
	return p.show(w, v, "member", view{section: "members", title: m.Name, status: f.Status, data: map[string]any{
		"Member": p.shownMember(v, m), "Role": string(m.Role), "Words": m.Role.Description(), "Roles": roles, "Choices": choices(roles),
		"May": may, "Path": MembersPath(v.account), "Href": MembersPath(v.account) + "/" + m.ID,
		"Record": p.recordOf(v, "member", m.ID), "Faults": f,
	}})
}

func (p *pages) showMember(w http.ResponseWriter, r *http.Request) error {
	return p.memberPage(w, accountVisit(r), r.PathValue("member_id"), ui.Faults{})
}

func (p *pages) changeRole(w http.ResponseWriter, r *http.Request) error {
	v, id := accountVisit(r), r.PathValue("member_id")
	if _, err := p.ChangeRole(v.ctx, v.who, v.account, id, Role(r.PostFormValue("role"))); err != nil {
		f, ok := ui.FaultsOf(err, "role")
		if !ok {
			return err
		}
		return p.memberPage(w, v, id, f)
	}
	return goTo(w, r, MembersPath(v.account)+"/"+id, "member-role")
}

func (p *pages) makeLink(w http.ResponseWriter, r *http.Request) error {
	v, id := accountVisit(r), r.PathValue("member_id")
	link, err := p.MemberLink(v.ctx, v.who, v.account, id)
	if err != nil {
		f, ok := ui.FaultsOf(err)
		if !ok {
			return err
		}
		return p.memberPage(w, v, id, f)
	}
	m, err := p.Member(v.ctx, v.account, id)
	if err != nil {
		return err
	}
	return p.showLink(w, v, m, link, false)
}

func (p *pages) askRemove(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	m, err := p.Member(v.ctx, v.account, r.PathValue("member_id"))
	if err != nil {
		return err
	}
	href := MembersPath(v.account) + "/" + m.ID
	q := question{Title: "Remove " + m.Name + " from this account?", Action: href + "/remove", Label: "Remove the member", Back: href,
		Text: "Their sessions lose the account at once. Tokens that they made stay, and so does what they did in the audit log. " +
			"If they belong to no other account, their name, address and password are deleted."}
	if m.ID == v.who.ID {
		q.Title, q.Label = "Leave this account?", "Leave the account"
		q.Text = "This is you: you lose this account at once. Tokens that you made stay, and so does what you did in the audit log. " +
			"If you belong to no other account, your name, address and password are deleted."
	}
	return p.show(w, v, "question", view{section: "members", title: "Remove a member", data: q})
}

func (p *pages) removeMember(w http.ResponseWriter, r *http.Request) error {
	v, id := accountVisit(r), r.PathValue("member_id")
	if err := p.RemoveMember(v.ctx, v.who, v.account, id); err != nil {
		f, ok := ui.FaultsOf(err)
		if !ok {
			return err
		}
		return p.memberPage(w, v, id, f)
	}
	if id == v.who.ID && !v.who.Superoperator {
		return goTo(w, r, "/", "") // the members' page is not theirs any more
	}
	return goTo(w, r, MembersPath(v.account), "member-removed")
}

func portalPath(accountID string) string { return MembersPath(accountID) + "/portal" }

// shownPortalSession is a customers' session as the page shows it.
type shownPortalSession struct {
	PortalSession
	Browser, Record string
}

func (p *pages) showPortalSessions(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	list, err := page(p.API, v.paging(), "portal sessions "+v.account, func(s PortalSession) string { return s.ID },
		func(after string, limit int) ([]PortalSession, error) {
			return p.PortalSessions(v.ctx, v.account, after, limit)
		})
	if err != nil {
		return err
	}
	rows := make([]shownPortalSession, len(list.Items))
	for i, s := range list.Items {
		rows[i] = shownPortalSession{PortalSession: s, Browser: browser(s.UserAgent)}
		if v.can(AuditRead) {
			who := (&Portal{Member: s.Member}).principal(v.account, s.ID)
			rows[i].Record = RecordPath(v.account) + "?" + url.Values{"actor_id": {who.ID}}.Encode()
		}
	}
	return p.show(w, v, "portal-sessions", view{section: "members", title: "Customer sessions", data: map[string]any{
		"Rows": rows, "Next": v.older(list.Cursor), "May": v.can(MembersWrite), "Path": portalPath(v.account), "Back": MembersPath(v.account),
	}})
}

func (p *pages) endPortalSession(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	if err := p.RevokePortalSession(v.ctx, v.who, v.account, r.PathValue("session_id")); err != nil {
		return err
	}
	return goTo(w, r, portalPath(v.account), "session-ended")
}
