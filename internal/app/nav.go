package app

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// entry is a line of a navigation. It is shown when its page is mounted and
// the visitor may open it, so a feature's place is here before the feature is.
type entry struct {
	section     string // what a page calls itself when it asks for its shell
	group       string
	label, icon string
	key         string // "g" and this
	path        string // with {account_id} in a customer's navigation
	permission  string // web.AnyPermission: any right in the account
}

const accountPath = "/accounts/{account_id}"

// customerNav is the navigation of an account's members.
var customerNav = []entry{
	{"overview", "", "Overview", "house", "o", accountPath, web.AnyPermission},
	{"audit", "Record", "Audit log", "scroll-text", "a", accountPath + "/audit", account.AuditRead},
	{"summary", "Record", "Summary", "trending-up", "u", accountPath + "/audit/summary", account.AuditRead},
	{"rejects", "Record", "Rejected events", "octagon-alert", "r", accountPath + "/audit/rejects", account.AuditRead},
	{"integrity", "Record", "Integrity", "shield-check", "i", accountPath + "/audit/integrity", account.AuditRead},
	{"alerts", "Alerts", "Alerts", "siren", "e", accountPath + "/alerts", account.NotificationsRead},
	{"notifications", "Alerts", "Notifications", "bell", "n", accountPath + "/notifications", account.NotificationsRead},
	{"objectives", "Alerts", "Objectives", "target", "b", accountPath + "/objectives", account.SLORead},
	{"flags", "Release", "Flags", "flag", "f", accountPath + "/flags", account.FlagsRead},
	{"members", "Account", "Members", "users", "m", accountPath + "/members", account.MembersRead},
	{"tokens", "Account", "API tokens", "key", "k", accountPath + "/tokens", account.TokensRead},
	{"properties", "Account", "Properties", "globe", "z", accountPath + "/properties", account.AccountsRead},
}

// operatorNav is the navigation of the operators' console.
var operatorNav = []entry{
	{"producers", "Integrations", "Product teams", "package", "p", "/console/producers", account.CatalogWrite},
	{"rejects", "Integrations", "Rejected events", "octagon-alert", "r", "/console/rejects", account.CatalogWrite},
	{"accounts", "Installation", "Accounts", "building-2", "a", account.AccountsPath, account.AccountsRead},
	{"operators", "Installation", "Operators", "users", "o", account.OperatorsPath, account.AccountsWrite},
	{"jobs", "Installation", "Jobs", "workflow", "j", "/console/jobs", account.AccountsRead},
	{"system", "Installation", "System", "activity", "s", account.SystemPath, account.AccountsRead},
}

// profile stands in both navigations, for people.
var profile = entry{"profile", "You", "Profile", "user-cog", "", account.ProfilePath, ""}

// Shell is what stands around a page: the navigation of the account's members
// or, with accountID "", that of the operators. Pages that belong to nobody's
// account (a profile, an error) get the navigation that the visitor begins with.
func (p *pages) Shell(r *http.Request, who *web.Principal, accountID, section string) ui.Shell {
	if who == nil {
		return ui.Shell{Face: ui.Plain}
	}
	ctx := r.Context()
	staff := who.Installation || who.Superoperator
	if accountID == "" && !staff {
		accountID = p.firstAccount(ctx, who)
	}
	s := ui.Shell{Framed: r.Header.Get("Sec-Fetch-Dest") == "iframe"}
	switch {
	case accountID != "":
		s.Face = ui.Customer
		s.Account = p.accountOf(ctx, who, accountID, section)
		s.Nav = p.nav(customerNav, who, accountID, section)
		if staff {
			s.Other = p.console(who)
		}
	case staff:
		s.Face = ui.Operator
		s.Nav = p.nav(operatorNav, who, "", section)
	default:
		s.Face = ui.Plain
	}
	if who.Session {
		s.User = ui.User{Name: firstOf(who.Name, who.Email, who.ID), Email: who.Email, SignOut: account.SignOutPath}
		if who.AccountID == "" && s.Face != ui.Plain { // a person, not a customer's portal
			s.Nav = append(s.Nav, ui.NavItem{Section: profile.group, Label: profile.label, Href: profile.path, Icon: profile.icon, Current: section == profile.section})
		}
	}
	return s
}

// nav is a navigation as the visitor sees it.
func (p *pages) nav(entries []entry, who *web.Principal, accountID, section string) []ui.NavItem {
	var list []ui.NavItem
	for _, e := range entries {
		if p.opens(e, who, accountID) {
			list = append(list, ui.NavItem{Section: e.group, Label: e.label, Href: pathIn(e.path, accountID), Icon: e.icon, Key: e.key, Current: e.section == section})
		}
	}
	return list
}

// opens reports whether the entry's page is there and the visitor may see it.
func (p *pages) opens(e entry, who *web.Principal, accountID string) bool {
	switch {
	case !p.mounted["GET "+e.path]:
		return false
	case e.permission == web.AnyPermission:
		return who.Reaches(accountID)
	}
	return who.Can(accountID, e.permission)
}

func pathIn(path, accountID string) string {
	return strings.Replace(path, "{account_id}", accountID, 1)
}

// console is the way to the operators' face.
func (p *pages) console(who *web.Principal) ui.Link {
	for _, preferred := range []string{"accounts", "producers", "system", "rejects", "jobs"} {
		for _, e := range operatorNav {
			if e.section == preferred && p.opens(e, who, "") {
				return ui.Link{Label: "Operators' console", Href: e.path, Icon: "square-terminal"}
			}
		}
	}
	return ui.Link{}
}

// accountOf names the account and those that the visitor may switch to; a
// switch stays on the same kind of page.
func (p *pages) accountOf(ctx context.Context, who *web.Principal, accountID, section string) ui.Account {
	a := ui.Account{ID: accountID, Name: firstOf(p.names(ctx, accountID), "Account")}
	ids := p.reached(who)
	if len(ids) < 2 {
		return a
	}
	here := customerNav[0]
	for _, e := range customerNav {
		if e.section == section {
			here = e
		}
	}
	for _, id := range ids {
		to := here
		if !p.opens(to, who, id) {
			to = customerNav[0]
		}
		a.Others = append(a.Others, ui.Link{Label: firstOf(p.names(ctx, id), id), Href: pathIn(to.path, id), Icon: "building-2", Current: id == accountID})
	}
	slices.SortStableFunc(a.Others, func(x, y ui.Link) int { return strings.Compare(strings.ToLower(x.Label), strings.ToLower(y.Label)) })
	return a
}

// reached are the accounts of the visitor's memberships, by id.
func (p *pages) reached(who *web.Principal) []string {
	var ids []string
	if who.AccountID != "" {
		ids = append(ids, who.AccountID)
	}
	for id, permissions := range who.Grants {
		if len(permissions) > 0 && id != who.AccountID {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// firstAccount is where the visitor begins: the first of their accounts by
// name; "" when there is none.
func (p *pages) firstAccount(ctx context.Context, who *web.Principal) string {
	ids := p.reached(who)
	if len(ids) == 0 {
		return ""
	}
	slices.SortStableFunc(ids, func(x, y string) int {
		return strings.Compare(strings.ToLower(p.names(ctx, x)), strings.ToLower(p.names(ctx, y)))
	})
	return ids[0]
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
