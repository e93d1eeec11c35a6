package feature

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// Action is something that a member can do from the palette. Most lead to a page; with Post, the palette submits a form
// to Href.
type Action struct {
	Label      string // begins with a verb: "Create a policy"
	Words      string // synonyms by which it is found, too: "rule notification"
	Href       string // {account_id} is replaced
	Icon       string
	Permission string // in the account; see [Finder.Permission]
	Console    bool   // the permission is needed in the installation
	Post       bool
}

// In is the action in an account; ok is false when the principal may not do it there.
func (a Action) In(who *web.Principal, account string) (_ Action, ok bool) {
	f := Finder{Permission: a.Permission, Console: a.Console}
	if !f.allows(Search{Who: who, Account: account}) {
		return Action{}, false
	}
	a.Href = strings.ReplaceAll(a.Href, "{account_id}", account)
	return a, true
}

// Offer returns the actions that depend on the account's present state, such as "Acknowledge" for the alerts that fire.
// Their Href is complete.
type Offer struct {
	Permission string
	Actions    func(ctx context.Context, account string) ([]Action, error)
}
