package account

import (
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// unbuilt are the permissions of features that do not exist yet. The API accepts
// them for tokens, the form does not offer them.
var unbuilt = []string{FlagsRead, FlagsWrite, MailRead, MailWrite}

// permissionWords describe the permissions, in the groups and the order of the
// form. A test checks that none is missing.
var permissionWords = []struct{ group, permission, words, hint string }{
	{"Audit log", AuditRead, "Read the audit log", "Events, history, proofs and checkpoints."},
	{"Audit log", AuditWrite, "Append events", "For products that send their events."},
	{"Audit log", AuditExport, "Export the audit log", "Files with all events."},
	{"Audit log", AuditErase, "Erase personal data", "Cannot be undone. The proofs stay valid."},
	{"Notifications", NotificationsRead, "Read alerts and policies", ""},
	{"Notifications", NotificationsWrite, "Change policies and destinations", ""},
	{"Notifications", DeliveriesReplay, "Send deliveries again", ""},
	{"Notifications", AlertsSend, "Send alerts", "For products and Prometheus."},
	{"Objectives", SLORead, "Read objectives and budgets", ""},
	{"Objectives", SLOWrite, "Change objectives", ""},
	{"Objectives", TrafficWrite, "Send traffic", "Access logs and counts."},
	{"Flags", FlagsRead, "Read and evaluate flags", "For applications."},
	{"Flags", FlagsWrite, "Change flags", ""},
	{"Email", MailRead, "Read messages and their delivery status", ""},
	{"Email", MailWrite, "Send email", ""},
	{"Account", MembersRead, "See members", ""},
	{"Account", MembersWrite, "Add, change and remove members", "Also opens your customers' pages for them."},
	{"Account", TokensRead, "See tokens", "Never their values."},
	{"Account", TokensWrite, "Create and revoke tokens", "Only with permissions that the token has itself."},
	{"Account", AccountsRead, "See the account and its properties", ""},
	{"Account", AccountsWrite, "Change the account and its properties", ""},
	{"Account", CatalogWrite, "Change catalogues", ""},
	{"Everything", Everything, "Everything in this account",
		"Includes permissions of later versions. Prefer the narrow ones above."},
}

// inWords returns the description of a permission, or its name if there is none.
func inWords(permission string) string {
	for _, w := range permissionWords {
		if w.permission == permission {
			return w.words
		}
	}
	return permission
}

// briefly describes a set of permissions for one line of a table.
func briefly(permissions []string) (words string, more int) {
	const shown = 2
	var list []string
	for _, one := range permissions {
		if len(list) < shown {
			list = append(list, inWords(one))
		}
	}
	for i := 1; i < len(list); i++ {
		list[i] = strings.ToLower(list[i][:1]) + list[i][1:]
	}
	return strings.Join(list, ", "), len(permissions) - len(list)
}

// permissionGroup is a group of the form, with the permissions that the visitor
// may grant.
type permissionGroup struct {
	Name    string
	Choices []permissionChoice
}

type permissionChoice struct {
	Permission, Words, Hint string
	Checked                 bool
}

// offered lists the permissions that the principal may grant to a token, and
// counts the others.
func offered(by *web.Principal, accountID string, checked []string) (list []permissionGroup, withheld int) {
	for _, w := range permissionWords {
		if slices.Contains(unbuilt, w.permission) {
			continue
		}
		if !holds(by, accountID, w.permission) {
			withheld++
			continue
		}
		if len(list) == 0 || list[len(list)-1].Name != w.group {
			list = append(list, permissionGroup{Name: w.group})
		}
		g := &list[len(list)-1]
		// The guides and the API use the name, so the hint has it too.
		c := permissionChoice{Permission: w.permission, Words: w.words, Hint: w.permission}
		if w.hint != "" {
			c.Hint += " · " + w.hint
		}
		for _, one := range checked {
			c.Checked = c.Checked || one == w.permission
		}
		g.Choices = append(g.Choices, c)
	}
	return list, withheld
}

// permissionGroups describes a set of permissions, in the groups of the form. Permissions of features that do not exist
// yet are left out.
func permissionGroups(permissions []string) (list []permissionGroup) {
	for _, w := range permissionWords {
		if !slices.Contains(permissions, w.permission) || slices.Contains(unbuilt, w.permission) {
			continue
		}
		if len(list) == 0 || list[len(list)-1].Name != w.group {
			list = append(list, permissionGroup{Name: w.group})
		}
		g := &list[len(list)-1]
		g.Choices = append(g.Choices, permissionChoice{Permission: w.permission, Words: w.words, Hint: w.hint})
	}
	return list
}
