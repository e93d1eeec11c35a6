package account

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addMembers() {
	const base = "/accounts/{account_id}/members"
	p.Get(base, MembersRead, p.showMembers)
	p.Get(base+"/roles", MembersRead, p.showRoles)
	p.Get(base+"/new", MembersWrite, p.showNewMember)
	p.Post(base, MembersWrite, page.Form[newMemberForm]{
		Parse:  parseNewMember,
		Do:     p.addMember,
		Fields: []string{"email", "name", "role"},
		Render: p.renderNewMember,
		Then:   p.memberAdded,
	}.Handle)
	p.Post(base+"/chosen", MembersWrite, p.changeMembers)
	p.addMemberHub()
	p.addPortalSessions()
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

// roleView is a role with its description.
type roleView struct {
	Role        Role
	Description string
}

// States of a member on pages.
const (
	stateActive  = "active"
	statePending = "pending"
	stateExpired = "expired"
)

// memberView is a member with what the visitor may do.
type memberView struct {
	Member
	Href  string
	You   bool
	State string // active, pending, expired
	Link  bool   // the visitor may create a sign-in link
	May   bool   // the visitor may change and remove the member
}

func (p *pages) memberView(v *page.Visit, m Member) memberView {
	may := mayChangeMember(v, m)
	view := memberView{
		Member: m,
		Href:   memberPath(v.Account, m.ID),
		You:    m.ID == v.Who.ID,
		State:  stateActive,
		Link:   may && (m.ours || v.Who.Superoperator),
		May:    may,
	}
	if m.Status == StatusPending {
		view.State = statePending
		if m.InvitedUntil.IsZero() || m.InvitedUntil.Micros() <= p.micros() {
			view.State = stateExpired
		}
	}
	return view
}

// Words is the state as a label with its tone.
func (m memberView) Words() ui.Status {
	switch m.State {
	case statePending:
		return ui.Status{Label: "Invited", Tone: ui.Info}
	case stateExpired:
		return ui.Status{Label: "Invited, link expired", Tone: ui.Warn}
	}
	return ui.Status{Label: "Active", Tone: ui.Good}
}

// mayChangeMember reports whether the visitor may change or remove a member.
func mayChangeMember(v *page.Visit, m Member) bool {
	return v.Can(MembersWrite) && covers(v.Who, v.Account, m.Role.Permissions())
}

func memberPath(accountID, memberID string) string { return MembersPath(accountID) + "/" + memberID }

// membersPage is the data of the template "members".
type membersPage struct {
	Path      string
	Rows      []memberView
	Next      string
	Total     int
	Shown     int
	CanWrite  bool
	Mails     bool   // invitations are sent by mail
	Portal    string // page of the customers' sessions
	Filters   ui.Filters
	Selection ui.Selection
}

var memberSorts = []ui.Choice{
	{Value: "name", Label: "By name"},
	{Value: "active", Label: "Last active first"},
	{Value: "newest", Label: "Newest first"},
	{Value: "role", Label: "By role"},
}

func (p *pages) showMembers(v *page.Visit) error {
	u := v.Request.URL
	all, err := p.Members(v.Context(), v.Account, "", MaxMembers)
	if err != nil {
		return err
	}
	rows := []memberView{}
	for _, m := range all {
		view := p.memberView(v, m)
		if v.Passes("role", string(m.Role)) && v.Passes("state", view.State) &&
			feature.Searched(v.Query("q"), m.ID, m.Name, m.Email) {
			rows = append(rows, view)
		}
	}
	data := membersPage{
		Path:     MembersPath(v.Account),
		Total:    len(all),
		Shown:    len(rows),
		CanWrite: v.Can(MembersWrite),
		Mails:    p.MailsLinks(),
		Portal:   portalPath(v.Account),
	}
	sort := ui.SortOf(u, memberSorts...)
	list, err := page.SortedList(v, pageSize, rows, func(m memberView) (key, id string) { return m.key(sort), m.ID })
	if err != nil {
		return err
	}
	data.Rows = list.Items
	data.Next = list.Next
	data.Filters = memberFilters(v)
	if err := v.Views("members", &data.Filters); err != nil {
		return err
	}
	data.Selection = ui.Selection{Form: "chosen", Action: data.Path + "/chosen", Noun: "members", Acts: []ui.BulkAct{
		{Label: "Remove", Icon: "user-x", Value: "remove", Danger: true},
	}}
	if data.Mails {
		invite := ui.BulkAct{Label: "Send the invitations again", Icon: "mail", Value: "invite"}
		data.Selection.Acts = append([]ui.BulkAct{invite}, data.Selection.Acts...)
	}
	return v.Show(page.View{Section: "members", Title: "Members", Template: "members", Data: data})
}

// key is the member's key in an order of the list.
func (m memberView) key(sort string) string {
	switch sort {
	case "active":
		return page.NewestFirst(m.LastActiveOn.Time)
	case "newest":
		return page.NewestFirst(m.CreatedOn.Time)
	case "role":
		for i, r := range Roles() {
			if r == m.Role {
				return string(rune('a'+i)) + page.ByName(m.Name)
			}
		}
	}
	return page.ByName(m.Name)
}

func memberFilters(v *page.Visit) ui.Filters {
	roles := ui.FilterKey{Key: "role", Label: "Role", Icon: "shield", Only: true}
	for _, r := range Roles() {
		roles.Options = append(roles.Options, ui.Choice{Value: string(r), Detail: r.Description()})
	}
	states := ui.FilterKey{Key: "state", Label: "State", Icon: "circle-dot", Only: true, Options: []ui.Choice{
		{Value: stateActive, Label: "active"},
		{Value: statePending, Label: "invited"},
		{Value: stateExpired, Label: "invited, link expired"},
	}}
	f := ui.NewFilters(v.Request.URL, "Search members", roles, states)
	f.Sort = ui.Sorts(v.Request.URL, memberSorts...)
	f.Display = &ui.Display{Name: "members", Columns: []ui.ListColumn{
		{Key: "role", Label: "Role"},
		{Key: "state", Label: "State"},
		{Key: "active", Label: "Last active"},
		{Key: "since", Label: "Member since"},
	}}
	return f
}

// changeMembers acts on the chosen members: it sends their invitations again, or removes them after a question.
func (p *pages) changeMembers(v *page.Visit) error {
	ids := v.Values("id", 64)
	act := v.Field("act", 16)
	path := MembersPath(v.Account)
	switch {
	case len(ids) == 0 || len(ids) > pageSize || act != "remove" && act != "invite":
		return v.Redirect(path, "nothing-chosen")
	case act == "remove" && !v.Confirmed():
		return p.askRemoveMembers(v, ids)
	}
	sent := 0
	for _, memberID := range ids {
		var err error
		if act == "remove" {
			err = p.RemoveMember(v.Context(), v.Who, v.Account, memberID)
		} else {
			_, err = p.SendInvitation(v.Context(), v.Who, v.Account, memberID)
		}
		switch {
		case err == nil:
			sent++
		case errs.Is(err, errs.CodeNotFound):
		case act == "invite" && (errs.Is(err, errs.CodeStateConflict) || errs.Is(err, errs.CodeRateLimited)):
		default:
			return err
		}
	}
	switch {
	case act == "remove":
		return v.Redirect(path, "members-removed")
	case sent < len(ids):
		return v.Redirect(path, "some-invitations-sent")
	}
	return v.Redirect(path, "invitations-sent")
}

func (p *pages) askRemoveMembers(v *page.Visit, ids []string) error {
	ask := page.Chosen{
		Section: "members",
		Title:   "Remove " + counted(len(ids), "member", "members") + " from this account?",
		Text: "They lose access to this account at once, and their invitations are withdrawn. Tokens that they created " +
			"stay valid, and recorded events stay in the audit log.",
		Label:  "Remove them",
		Back:   MembersPath(v.Account),
		Act:    "remove",
		Danger: true,
	}
	for _, memberID := range ids {
		m, err := p.Member(v.Context(), v.Account, memberID)
		if err != nil {
			return err
		}
		note := string(m.Role)
		if m.ID == v.Who.ID {
			note += ", this is you"
		}
		ask.Items = append(ask.Items, page.ChosenItem{ID: m.ID, Name: m.Name, Note: note})
	}
	return v.AskChosen(ask)
}

// newMemberForm is the input for a new member.
type newMemberForm struct {
	Email  string
	Name   string
	Role   string
	Faults ui.Faults

	added NewMember
	sent  bool // by mail
}

func parseNewMember(v *page.Visit) (newMemberForm, error) {
	return newMemberForm{Email: v.Field("email", 254), Name: v.Field("name", 800), Role: v.Field("role", 64)}, nil
}

// newMemberPage is the data of the template "member-new".
type newMemberPage struct {
	Path    string
	Form    newMemberForm
	Roles   []roleView
	Options [][2]string // roles that the visitor may grant
	Mails   bool
}

// showNewMember offers the role that is most likely next: the first member of an
// account should be an owner.
func (p *pages) showNewMember(v *page.Visit) error {
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
	return p.renderNewMember(v, &newMemberForm{Role: string(role)}, ui.Faults{})
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

func (p *pages) renderNewMember(v *page.Visit, f *newMemberForm, faults ui.Faults) error {
	f.Faults = faults
	data := newMemberPage{Path: MembersPath(v.Account), Form: *f, Mails: p.MailsLinks()}
	data.Roles, data.Options = rolesOf(v)
	return v.Show(page.View{
		Section:  "members",
		Title:    "Invite a member",
		Template: "member-new",
		Status:   faults.Status,
		Data:     data,
	})
}

// addMember adds the member and, with a mail server, sends the invitation. If the mail cannot be sent, the page shows
// the link instead.
func (p *pages) addMember(v *page.Visit, f *newMemberForm) (err error) {
	f.added, err = p.AddMember(v.Context(), v.Who, v.Account, f.Email, f.Name, Role(f.Role))
	if err != nil || !p.MailsLinks() || f.added.SignInURL == "" {
		return err
	}
	_, err = p.SendInvitation(v.Context(), v.Who, v.Account, f.added.ID)
	f.sent = err == nil
	p.logged("send an invitation", err)
	return nil
}

// memberAdded shows the one-time link, if the invitation was not sent by mail. The response is then not a redirect,
// because the link is not stored.
func (p *pages) memberAdded(v *page.Visit, f *newMemberForm) error {
	m := f.added
	if f.sent {
		return v.Redirect(memberPath(v.Account, m.ID), "invitation-sent")
	}
	return showLink(v, "members", linkPage{
		Name:    m.Name,
		Email:   m.Email,
		Link:    m.SignInURL,
		Added:   true,
		Expires: m.InvitedUntil.Time,
		NotSent: p.MailsLinks() && m.SignInURL != "",
		Path:    MembersPath(v.Account),
	})
}

// linkPage is the data of the template "one-time-link".
type linkPage struct {
	Name    string
	Email   string
	Link    string // "" for a person who has signed in before
	Added   bool   // the person was added just now
	Expires time.Time
	NotSent bool // a mail should have been sent, and was not
	Path    string
}

func showLink(v *page.Visit, section string, data linkPage) error {
	return v.Show(page.View{Section: section, Title: data.Name, Template: "one-time-link", Data: data})
}
