package app

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// entry is a line of a navigation. It is shown when its page is registered and the visitor may open it, so an entry may
// be added before its feature.
type entry struct {
	section     string // the name by which pages refer to it
	group       string
	label, icon string
	key         string // "g" and this
	path        string // with {account_id} in a customer's navigation
	permission  string // web.AnyPermission: any right in the account
}

const (
	accountPath = "/accounts/{account_id}"
	firingPath  = accountPath + "/firing"
	consolePath = "/console"
	systemPath  = consolePath + "/system"
	docsPath    = "/docs"
)

// alertsEntry shows the number of firing alerts.
var alertsEntry = entry{"alerts", "Alerts", "Alerts", "siren", "e", accountPath + "/alerts", account.NotificationsRead}

// customerNav is the navigation of an account's members.
var customerNav = []entry{
	{"overview", "", "Overview", "house", "o", accountPath, web.AnyPermission},
	{"audit", "Record", "Audit log", "scroll-text", "a", accountPath + "/audit", account.AuditRead},
	{"summary", "Record", "Summary", "trending-up", "u", accountPath + "/audit/summary", account.AuditRead},
	{"rejects", "Record", "Rejected events", "octagon-alert", "r", accountPath + "/audit/rejects", account.AuditRead},
	{"integrity", "Record", "Integrity", "shield-check", "i", accountPath + "/audit/integrity", account.AuditRead},
	{"inbox", "Alerts", "Inbox", "inbox", "d", accountPath + "/inbox", account.NotificationsRead},
	alertsEntry,
	{"notifications", "Alerts", "Notifications", "bell", "n", accountPath + "/notifications", account.NotificationsRead},
	{"objectives", "Alerts", "Objectives", "target", "b", accountPath + "/objectives", account.SLORead},
	{"flags", "Release", "Flags", "flag", "f", accountPath + "/flags", account.FlagsRead},
	{"members", "Account", "Members", "users", "m", accountPath + "/members", account.MembersRead},
	{"tokens", "Account", "API tokens", "key", "k", accountPath + "/tokens", account.TokensRead},
	{"properties", "Account", "Properties", "globe", "z", accountPath + "/properties", account.AccountsRead},
	{"settings", "Account", "Settings", "settings", ",", accountPath + "/settings", account.AccountsRead},
}

// operatorNav is the navigation of the operators' console.
var operatorNav = []entry{
	{"console", "", "Start", "house", "h", consolePath, account.AccountsRead},
	{"producers", "Integrations", "Product teams", "package", "p", "/console/producers", account.CatalogWrite},
	{"rejects", "Integrations", "Rejected events", "octagon-alert", "r", "/console/rejects", account.CatalogWrite},
	{"incidents", "Status", "Incidents", "siren", "i", incident.ConsolePath, account.AccountsRead},
	{"status", "Status", "Status page", "radio", "t", incident.PagePath, account.AccountsRead},
	{"accounts", "Installation", "Accounts", "building-2", "a", account.AccountsPath, account.AccountsRead},
	{"operators", "Installation", "Operators", "users", "o", account.OperatorsPath, account.AccountsWrite},
	{"jobs", "Installation", "Jobs", "workflow", "j", "/console/jobs", account.AccountsRead},
	{"system", "Installation", "System", "activity", "s", systemPath, account.AccountsRead},
}

// profile is part of both navigations, for visitors with a session.
var profile = entry{"profile", "You", "Profile", "user-cog", "", account.ProfilePath, ""}

// Shell is the frame of a page: the navigation of the account's members
// or, with accountID "" and a section of the console, that of the operators.
// Other pages without an account (a profile, an error) have the navigation that the
// visitor used last.
func (p *pages) Shell(r *http.Request, who *web.Principal, accountID, section string) ui.Shell {
	if who == nil {
		return ui.Shell{Face: ui.Plain, Home: "/"}
	}
	ctx := r.Context()
	staff := who.Installation || who.Superoperator
	if accountID == "" && !ofConsole(section) {
		accountID = p.lastAccount(r, who)
	}
	s := ui.Shell{Home: "/", Docs: docsPath, Framed: r.Header.Get("Sec-Fetch-Dest") == "iframe"}
	switch {
	case accountID != "":
		s.Face = ui.Customer
		s.Home = pathIn(accountPath, accountID)
		s.Account = p.accountOf(ctx, who, accountID, section)
		s.TimeZone = p.app.Account.TimeZoneName(ctx, accountID)
		s.Nav = p.nav(customerNav, who, accountID, section)
		s.Find = findOf(accountPath, accountID, who)
		s.Bell = p.bell(ctx, who, accountID)
		s.Bell.Live = pathIn(firingPath, accountID)
		s.Firing = p.firing(ctx, who, accountID)
		for i, item := range s.Nav {
			if item.Href == pathIn(alertsEntry.path, accountID) {
				s.Nav[i].Count = s.Firing
				s.Nav[i].Tone = ui.Bad
				s.Nav[i].Live = pathIn(firingPath, accountID)
				s.Bell.Live = "" // the navigation asks already
			}
		}
		if staff {
			s.Other = p.console(who)
			if len(who.Grants[accountID]) == 0 && who.Can("", account.AccountsRead) {
				s.Looking = ui.Looking{Account: s.Account.Name, Leave: account.CustomerPath(accountID)}
			}
		}
	case staff:
		s.Face = ui.Operator
		s.Home = consolePath
		s.Nav = p.nav(operatorNav, who, "", section)
		s.Find = findOf(consolePath, "", who)
	default:
		s.Face = ui.Plain
	}
	if who.Session {
		s.User = ui.User{Name: firstOf(who.Name, who.Email, who.ID), Email: who.Email, SignOut: account.SignOutPath}
		if who.AccountID == "" && s.Face != ui.Plain { // a person, not a customer's portal
			s.Nav = append(s.Nav, ui.NavItem{
				Section: profile.group,
				Label:   profile.label,
				Href:    profile.path,
				Icon:    profile.icon,
				Current: section == profile.section,
			})
		}
	}
	return s
}

// nav lists the entries of a navigation that the visitor may open.
func (p *pages) nav(entries []entry, who *web.Principal, accountID, section string) []ui.NavItem {
	var list []ui.NavItem
	for _, e := range entries {
		if p.opens(e, who, accountID) {
			list = append(list, ui.NavItem{
				Section: e.group,
				Label:   e.label,
				Href:    pathIn(e.path, accountID),
				Icon:    e.icon,
				Key:     e.key,
				Current: e.section == section,
			})
		}
	}
	return list
}

// opens reports whether the entry's page exists and the visitor may see it.
func (p *pages) opens(e entry, who *web.Principal, accountID string) bool {
	switch {
	case !p.kit.Has("GET " + e.path):
		return false
	case e.permission == web.AnyPermission:
		return who.Reaches(accountID)
	}
	return who.Can(accountID, e.permission)
}

func pathIn(path, accountID string) string {
	return strings.Replace(path, "{account_id}", accountID, 1)
}

// console is the link to the operators' console; zero if the visitor may open no page of it.
func (p *pages) console(who *web.Principal) ui.Link {
	for _, preferred := range []string{"console", "producers", "system", "rejects", "jobs"} {
		for _, e := range operatorNav {
			if e.section == preferred && p.opens(e, who, "") {
				return ui.Link{Label: "Operators' console", Href: e.path, Icon: "square-terminal"}
			}
		}
	}
	return ui.Link{}
}

// accountOf returns the account with those to which the visitor may switch; a
// switch opens the same kind of page.
func (p *pages) accountOf(ctx context.Context, who *web.Principal, accountID, section string) ui.Account {
	a := ui.Account{ID: accountID, Name: firstOf(p.app.accountName(ctx, accountID), "Account")}
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
		a.Others = append(a.Others, ui.Link{
			Label:   firstOf(p.app.accountName(ctx, id), id),
			Href:    pathIn(to.path, id),
			Icon:    "building-2",
			Current: id == accountID,
		})
	}
	slices.SortStableFunc(a.Others, func(x, y ui.Link) int {
		return strings.Compare(strings.ToLower(x.Label), strings.ToLower(y.Label))
	})
	return a
}

// reached lists the accounts of the visitor's memberships, by id.
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

// firstAccount returns the first of the visitor's accounts by name; "" if there is none.
func (p *pages) firstAccount(ctx context.Context, who *web.Principal) string {
	ids := p.reached(who)
	if len(ids) == 0 {
		return ""
	}
	slices.SortStableFunc(ids, func(x, y string) int {
		return strings.Compare(strings.ToLower(p.app.accountName(ctx, x)), strings.ToLower(p.app.accountName(ctx, y)))
	})
	return ids[0]
}

// The last place cookie has the account of the browser's last page, or "console".
// It only chooses a navigation; the session decides about permissions.
const (
	lastPlaceCookie = "belfry_last_place"
	lastPlaceTime   = 30 * 24 * time.Hour
	lastIsConsole   = "console"
)

// lastAccount returns the account of the visitor's last page if the visitor still
// reaches it, or the first of their accounts. It is "" for operators who used the
// console last, and for people without an account.
func (p *pages) lastAccount(r *http.Request, who *web.Principal) string {
	last := ""
	if c, err := r.Cookie(lastPlaceCookie); err == nil {
		last = c.Value
	}
	staff := who.Installation || who.Superoperator
	switch {
	case who.AccountID != "":
		return who.AccountID
	case last != lastIsConsole && who.Reaches(last) && (!staff || p.app.accountName(r.Context(), last) != ""):
		return last
	case staff:
		return ""
	}
	return p.firstAccount(r.Context(), who)
}

// rememberPlace stores the visitor's account or the console in the cookie, if it
// has changed. Fragments, which a page requests by itself, are not visits.
func (p *pages) rememberPlace(w http.ResponseWriter, r *http.Request, accountID string) {
	p.noteTour(r.Context(), r.URL.Path, accountID)
	place := accountID
	if place == "" && (r.URL.Path == consolePath || strings.HasPrefix(r.URL.Path, consolePath+"/")) {
		place = lastIsConsole
	}
	if place == "" || r.Method != http.MethodGet || ui.Fragment(r) {
		return
	}
	if c, err := r.Cookie(lastPlaceCookie); err == nil && c.Value == place {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name:     lastPlaceCookie,
		Value:    place,
		Path:     "/",
		MaxAge:   int(lastPlaceTime / time.Second),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
		Secure:   strings.HasPrefix(p.app.URL(), "https://"),
	})
}

// ofConsole reports whether a section belongs to the operators' navigation.
func ofConsole(section string) bool {
	return slices.ContainsFunc(operatorNav, func(e entry) bool { return e.section == section })
}

// firing returns the number of firing alerts in the account; 0 if the visitor may not see them.
func (p *pages) firing(ctx context.Context, who *web.Principal, accountID string) int {
	if !who.Can(accountID, account.NotificationsRead) {
		return 0
	}
	n, err := p.app.Notify.Firing(ctx, accountID)
	if err != nil { // the page itself reports the error
		p.app.Log.WarnContext(ctx, "the firing alerts cannot be counted for the navigation", "error", err)
	}
	return n
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
