package account

import (
	"embed"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/page"
)

//go:embed page_*.html
var pageFiles embed.FS

// Paths of pages that others link to.
const (
	SignOutPath  = "/sign-out"
	ProfilePath  = "/profile"
	AccountsPath = "/console/accounts" // the operators' list
)

// AccountPath is the first page of an account.
func AccountPath(accountID string) string { return "/accounts/" + accountID }

// RecordPath is the page of an account's audit log.
func RecordPath(accountID string) string { return AccountPath(accountID) + "/audit" }

// TokensPath is the page of an account's API tokens.
func TokensPath(accountID string) string { return AccountPath(accountID) + "/tokens" }

// MembersPath is the page of an account's members.
func MembersPath(accountID string) string { return AccountPath(accountID) + "/members" }

// PropertiesPath is the page of an account's zones, which pages call properties.
func PropertiesPath(accountID string) string { return AccountPath(accountID) + "/properties" }

// SettingsPath is the page of an account's settings.
func SettingsPath(accountID string) string { return AccountPath(accountID) + "/settings" }

// pageSize is the number of items of one page of a list.
const pageSize = 100

// pages are the feature's pages in the dashboard.
type pages struct {
	*Feature
	*page.Set
}

// flashes are shown once on the page after a form.
var flashes = page.Flashes{
	"account-changed":       "Account saved.",
	"account-closed":        "Account closed.",
	"account-reopened":      "Account reopened. Its tokens have to be created again.",
	"ownership-given":       "Ownership transferred. You are an admin now.",
	"account-created":       "Account created.",
	"confirmation-sent":     "Confirmation mail sent. Its link is valid for 24 hours.",
	"invitation-declined":   "Invitation declined.",
	"invitation-sent":       "Invitation sent. Its link is valid for 7 days.",
	"invitation-withdrawn":  "Invitation withdrawn. Its links do not work any more.",
	"invitations-sent":      "Invitations sent.",
	"some-invitations-sent": "Invitations sent, except to members who have accepted or got one within 15 minutes.",
	"members-removed":       "Members removed from this account.",
	"member-removed":        "Member removed from this account.",
	"operator-changed":      "Operator saved.",
	"operator-removed":      "Operator removed.",
	"password-set":          "Password set. Your other sessions have ended.",
	"nothing-chosen":        "Nothing was selected.",
	"properties-changed":    "Properties saved.",
	"properties-deleted":    "Properties deleted. Recorded events keep their names.",
	"property-confirmed":    "Property confirmed.",
	"property-created":      "Property added. Events and traffic can refer to it now.",
	"property-deleted":      "Property deleted. Recorded events keep its name.",
	"property-changed":      "Property saved.",
	"role-changed":          "Role changed. It applies from the member's next request.",
	"session-ended":         "Session ended.",
	"sessions-ended":        "Your other sessions have ended.",
	"signed-out":            "You are signed out.",
	"tokens-revoked":        "Tokens revoked. They cannot be used any more.",
	"token-revoked":         "Token revoked. It cannot be used any more.",
}

// Pages registers the pages: sign-in, the profile, an account's tokens, members
// and properties, and the operators' pages. Call it once, after New.
func (f *Feature) Pages(kit *page.Kit) error {
	set, err := kit.Parse(pageFiles, flashes)
	if err != nil {
		return err
	}
	p := &pages{f, set}
	p.addSignIn()
	p.addTokens()
	p.addMembers()
	p.addConfirmations()
	p.addProperties()
	p.addSettings()
	p.addProfile()
	p.addViews()
	p.addAccounts()
	p.addOperators()
	return nil
}

// auditLink is the URL of the account's audit log with a filter, as pairs of
// names and values; "" for visitors who may not read the log.
func auditLink(v *page.Visit, filter ...string) string {
	if !v.Can(AuditRead) {
		return ""
	}
	q := url.Values{}
	for i := 0; i < len(filter); i += 2 {
		q.Set(filter[i], filter[i+1])
	}
	return RecordPath(v.Account) + "?" + q.Encode()
}

// changesLink is the URL of the audit log's events about one of Belfry's own
// resources.
func changesLink(v *page.Visit, resourceType, id string) string {
	return auditLink(v, "resource_product", "belfry", "resource_type", resourceType, "resource_id", id)
}

// waitWords is a wait in words: 40 seconds, 3 minutes.
func waitWords(d time.Duration) string {
	if d >= 2*time.Minute {
		return strconv.Itoa(int(math.Ceil(d.Minutes()))) + " minutes"
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds()))) + " seconds"
}
