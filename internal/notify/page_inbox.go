package notify

import (
	"net/url"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addInbox() {
	const base = "/accounts/{account_id}/inbox"
	p.Get(base, account.NotificationsRead, p.showInbox)
	p.Post(base+"/chosen", account.NotificationsRead, p.actOnInbox)
	p.Post(base+"/read-all", account.NotificationsRead, p.readInbox)
	p.Post(base+"/{entry_id}/open", account.NotificationsRead, p.openEntry)
}

// InboxPagePath is the page of the visitor's inbox.
func InboxPagePath(accountID string) string { return "/accounts/" + accountID + "/inbox" }

// ownInbox is the visitor's inbox; ok is false for visitors who have none, such as operators.
func ownInbox(v *page.Visit) (member string, ok bool) {
	member, err := inboxOf(v.Who, "")
	return member, err == nil
}

// shownEntry is an entry of the inbox.
type shownEntry struct {
	InboxEntry
	Href   string // opens the alert and marks the entry as read
	Tone   ui.Tone
	Unread bool
	Said   string // the summary, unless the subject says the same
}

// inboxPage is the data of the template "inbox".
type inboxPage struct {
	Path      string
	Self      string // URL of the live part; "" for an older part of the list
	None      bool   // the visitor has no inbox
	Tabs      []ui.Link
	Part      string
	Selection ui.Selection
	Unread    int
	Rows      []shownEntry
	Next      string
	Policies  string // page
}

var inboxTabs = []ui.Link{
	{Label: "Inbox", Icon: "inbox", Href: inboxOpen},
	{Label: "Unread", Icon: "circle-dot", Href: inboxUnread},
	{Label: "Snoozed", Icon: "alarm-clock", Href: inboxSnoozed},
	{Label: "Archived", Icon: "archive", Href: inboxArchived},
}

func (p *pages) showInbox(v *page.Visit) error {
	u := v.Request.URL
	out := inboxPage{Path: InboxPagePath(v.Account), Policies: NotificationsPath(v.Account), Part: v.Query("part")}
	if out.Part == "" {
		out.Part = inboxOpen
	}
	if inboxParts[out.Part] == "" {
		return errs.At(errs.CodeInvalid, "part", "part is open, unread, snoozed or archived")
	}
	view := page.View{Template: "inbox", Section: "inbox", Title: "Inbox"}
	member, ok := ownInbox(v)
	if !ok {
		out.None = true
		view.Data = out
		return v.Show(view)
	}
	var err error
	if out.Unread, err = p.unread(v.Context(), v.Account, member); err != nil {
		return err
	}
	for _, t := range inboxTabs {
		t.Current = t.Href == out.Part
		if t.Href == inboxUnread {
			t.Count = out.Unread
		}
		t.Href = ui.With(u, "part", t.Href)
		out.Tabs = append(out.Tabs, t)
	}
	out.Selection = ui.Selection{Form: "chosen", Action: out.Path + "/chosen", Noun: "entries", Acts: inboxActs(out.Part)}
	list, err := page.ReadList(v, 50, entryPosition, func(after web.Keyset, limit int) ([]InboxEntry, error) {
		return p.inbox(v.Context(), v.Account, member, out.Part, after, limit)
	})
	if err != nil {
		return err
	}
	out.Next = list.Next
	if v.Query("cursor") == "" {
		out.Self = ui.With(u)
	}
	for _, e := range list.Items {
		out.Rows = append(out.Rows, p.shownEntry(v, e))
	}
	view.Data = out
	return v.Show(view)
}

func (p *pages) shownEntry(v *page.Visit, e InboxEntry) shownEntry {
	s := shownEntry{
		InboxEntry: e,
		Href:       InboxPagePath(v.Account) + "/" + url.PathEscape(e.ID) + "/open",
		Unread:     e.ReadAt.IsZero(),
	}
	if e.State == stateFiring {
		s.Tone = severityTone(e.Severity)
	}
	if e.Summary != e.Subject {
		s.Said = e.Summary
	}
	return s
}

// inboxActs are the acts on chosen entries of a part.
func inboxActs(part string) []ui.BulkAct {
	acts := []ui.BulkAct{
		{Label: "Mark as read", Icon: "check-check", Value: "read"},
		{Label: "Mark as unread", Icon: "circle-dot", Value: "unread"},
	}
	switch part {
	case inboxArchived:
		return append(acts, ui.BulkAct{Label: "Move to the inbox", Icon: "inbox", Value: "restore"})
	case inboxSnoozed:
		acts = append(acts, ui.BulkAct{Label: "Wake now", Icon: "bell-ring", Value: "wake"})
	default:
		acts = append(acts,
			ui.BulkAct{Label: "Snooze for an hour", Icon: "alarm-clock", Value: "hour"},
			ui.BulkAct{Label: "Snooze for a day", Icon: "calendar-clock", Value: "day"})
	}
	return append(acts, ui.BulkAct{Label: "Archive", Icon: "archive", Value: "archive"})
}

// actOnInbox changes the chosen entries.
func (p *pages) actOnInbox(v *page.Visit) error {
	member, ok := ownInbox(v)
	if !ok {
		return errs.New(errs.CodeForbidden, "you have no inbox in this account")
	}
	ids := v.Values("id", 64)
	ids = ids[:min(len(ids), mostChosen)]
	now := p.Now()
	var c inboxChange
	switch v.Field("act", 16) {
	case "read":
		c.read = instant(now)
	case "unread":
		c.read = instant(time.Time{})
	case "archive":
		c.archived = instant(now)
	case "restore":
		c.archived = instant(time.Time{})
	case "wake":
		c.snoozed = instant(time.Time{})
	case "hour":
		c.snoozed = instant(now.Add(time.Hour))
		c.read = instant(time.Time{})
	case "day":
		c.snoozed = instant(now.AddDate(0, 0, 1))
		c.read = instant(time.Time{})
	default:
		return errs.At(errs.CodeInvalid, "act", "this is not an act on an inbox")
	}
	if len(ids) == 0 {
		return v.Redirect(InboxPagePath(v.Account), "nothing-chosen")
	}
	if _, err := p.changeEntries(v.Context(), v.Account, member, ids, c); err != nil {
		return err
	}
	return v.Redirect(InboxPagePath(v.Account), "inbox-changed")
}

// readInbox marks all entries as read.
func (p *pages) readInbox(v *page.Visit) error {
	member, ok := ownInbox(v)
	if !ok {
		return errs.New(errs.CodeForbidden, "you have no inbox in this account")
	}
	if _, err := p.changeEntries(v.Context(), v.Account, member, nil, inboxChange{read: instant(p.Now())}); err != nil {
		return err
	}
	return v.Redirect(InboxPagePath(v.Account), "inbox-read")
}

// openEntry marks an entry as read and opens its alert.
func (p *pages) openEntry(v *page.Visit) error {
	member, ok := ownInbox(v)
	if !ok {
		return errs.New(errs.CodeForbidden, "you have no inbox in this account")
	}
	e, err := p.changeEntry(v.Context(), v.Account, member, v.PathValue("entry_id"), inboxChange{read: instant(p.Now())})
	if err != nil {
		return err
	}
	return v.Redirect(alertPath(v.Account, e.AlertID), "")
}

// inboxChoices are the inboxes that a policy names, with the names of their members.
func (p *pages) inboxChoices(v *page.Visit, chosen []ui.Choice) ([]ui.Choice, error) {
	list := slices.Clone(chosen)
	for i, c := range list {
		name, err := p.inboxName(v.Context(), v.Account, c.Value)
		if err != nil {
			return nil, err
		}
		list[i].Label = name
		list[i].Icon = "inbox"
	}
	return list, nil
}
