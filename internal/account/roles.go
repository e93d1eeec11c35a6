package account

import (
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// A permission is the right to do one kind of action in one account. "*" is all
// permissions.
const (
	AuditRead          = "audit:read"
	AuditWrite         = "audit:write"
	AuditExport        = "audit:export"
	AuditErase         = "audit:erase"
	NotificationsRead  = "notifications:read"
	NotificationsWrite = "notifications:write"
	DeliveriesReplay   = "deliveries:replay"
	AlertsSend         = "alerts:send"
	TrafficWrite       = "traffic:write"
	SLORead            = "slo:read"
	SLOWrite           = "slo:write"
	FlagsRead          = "flags:read"
	FlagsWrite         = "flags:write"
	MailRead           = "mail:read"
	MailWrite          = "mail:write"
	MembersRead        = "members:read"
	MembersWrite       = "members:write"
	TokensRead         = "tokens:read"
	TokensWrite        = "tokens:write"
	AccountsRead       = "accounts:read"
	AccountsWrite      = "accounts:write"
	CatalogWrite       = "catalog:write"
	Everything         = "*"
)

// Role is a named set of permissions that a member has in an account.
type Role string

// The roles.
const (
	Owner    Role = "owner"    // everything
	Admin    Role = "admin"    // everything but erasing personal data
	Operator Role = "operator" // reads, and replays deliveries
	Editor   Role = "editor"   // reads, and changes notifications, objectives and flags
	Viewer   Role = "viewer"   // reads
	Auditor  Role = "auditor"  // only the audit log, with exports
)

// grants lists the roles that have each permission, by their initials (o owner,
// a admin, p operator, e editor, v viewer, u auditor).
var grants = []struct{ permission, roles string }{
	{AuditRead, "oapevu"},
	{AuditWrite, "oa"},
	{AuditExport, "oau"},
	{AuditErase, "o"},
	{NotificationsRead, "oapev"},
	{NotificationsWrite, "oae"},
	{DeliveriesReplay, "oap"},
	{AlertsSend, "oa"},
	{TrafficWrite, "oa"},
	{SLORead, "oapev"},
	{SLOWrite, "oae"},
	{FlagsRead, "oapev"},
	{FlagsWrite, "oae"},
	{MailRead, "oapev"},
	{MailWrite, "oa"},
	{MembersRead, "oapev"},
	{MembersWrite, "oa"},
	{TokensRead, "oapev"},
	{TokensWrite, "oa"},
	{AccountsRead, "oapev"},
	{AccountsWrite, "oa"},
	{CatalogWrite, "oa"},
}

// roleTable lists the roles with their initial in grants, the most powerful first.
var roleTable = []struct {
	role        Role
	initial     string
	description string
}{
	{Owner, "o", "Everything in the account."},
	{Admin, "a", "Everything but erasing personal data from the audit log."},
	{Operator, "p", "Reads everything and replays deliveries."},
	{Editor, "e", "Reads everything and changes notifications, objectives and flags."},
	{Viewer, "v", "Reads everything."},
	{Auditor, "u", "Reads, exports and proves the audit log."},
}

// Roles are all roles, the most powerful first.
func Roles() []Role {
	list := make([]Role, len(roleTable))
	for i, r := range roleTable {
		list[i] = r.role
	}
	return list
}

// AllPermissions are all permissions but "*".
func AllPermissions() []string {
	list := make([]string, len(grants))
	for i, g := range grants {
		list[i] = g.permission
	}
	return list
}

// Valid reports whether there is such a role.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// Description is a sentence about the rights of the role.
func (r Role) Description() string {
	for _, one := range roleTable {
		if one.role == r {
			return one.description
		}
	}
	return ""
}

// Permissions are the permissions of a member with the role. An owner has "*",
// which includes permissions of later versions; an unknown role has none.
func (r Role) Permissions() web.Permissions {
	if r == Owner {
		return web.Permissions{Everything}
	}
	return r.named()
}

// named are the role's permissions by name, the owner's too.
func (r Role) named() web.Permissions {
	var set web.Permissions
	for _, one := range roleTable {
		if one.role != r {
			continue
		}
		for _, g := range grants {
			if strings.Contains(g.roles, one.initial) {
				set = append(set, g.permission)
			}
		}
	}
	return set
}

// Sections of the customers' pages, with the permissions that belong to each.
var sections = map[string][]string{
	"audit":         {"audit:"},
	"notifications": {"notifications:", "deliveries:"},
	"slo":           {"slo:"},
}

// within narrows the role to sections of the customers' pages.
func (r Role) within(names []string) web.Permissions {
	return slices.DeleteFunc(r.named(), func(permission string) bool {
		for _, name := range names {
			for _, prefix := range sections[name] {
				if strings.HasPrefix(permission, prefix) {
					return false
				}
			}
		}
		return true
	})
}

// covers reports whether p has all of the permissions in the account, and so may
// grant them.
func covers(p *web.Principal, accountID string, granted web.Permissions) bool {
	for _, permission := range granted {
		if !holds(p, accountID, permission) {
			return false
		}
	}
	return true
}

// holds is [web.Principal.Can], except that only principals with "*" have "*".
func holds(p *web.Principal, accountID, permission string) bool {
	if permission == Everything && p.Installation && !p.Superoperator {
		return false
	}
	return p.Can(accountID, permission)
}
