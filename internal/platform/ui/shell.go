package ui

import "time"

// Face is the audience of a page. Customers' pages and the operators' console have
// different navigations and looks, so that they are not confused.
type Face uint8

// The faces.
const (
	Customer Face = iota // a member of an account
	Operator             // the team that runs Belfry
	Plain                // no session: sign-in, an expired link, an error; centred, no navigation
	Public               // for everybody: the status page; a column without navigation
)

// String is the face's word in the page.
func (f Face) String() string {
	return [...]string{"customer", "operator", "plain", "public"}[f]
}

// Tone is the meaning of a colour. A colour is never used alone: a word or an icon is always next to it.
type Tone string

// The tones.
const (
	Neutral Tone = ""
	Good    Tone = "good"   // holds, delivered, added
	Warn    Tone = "warn"   // needs a look soon
	Bad     Tone = "bad"    // firing, failed, removed
	Info    Tone = "info"   // worth knowing
	Accent  Tone = "accent" // chosen, current
)

// Shell is the frame of a page.
type Shell struct {
	Title    string // in the tab, before "Belfry"
	Face     Face
	Account  Account
	User     User
	Nav      []NavItem
	Home     string   // where the mark leads: the overview of the account, or the console
	Docs     string   // path of the documentation; "" = no link
	Find     Find     // the search; zero = none
	Bell     Bell     // the news of the visitor; zero = none
	Firing   int      // alerts that fire in the account, in front of the tab's title
	Other    Link     // the way to the other face, if this user has one
	Flash    *Flash   // shown once, after a redirect
	Modules  []string // assets to load as modules after Belfry's own
	Status   int      // HTTP status; 0 is 200
	TimeZone string   // IANA name of the account's zone; "" = times are in that of the browser
	Looking  Looking  // an operator in a customer's account
	Framed   bool     // shown inside a customer portal: no sidebar

	// Name replaces "Belfry" in the tab; "" = Belfry.
	Name string
	// Feeds are the feeds of the page, for the browser: Label, Href, and the media type as Hint.
	Feeds []Link
	// MaxAge is how long caches may keep the page, whose ETag they then ask for; 0 = they keep nothing.
	MaxAge time.Duration
}

// Find holds the paths of the search and of the command palette.
type Find struct {
	Page    string // the search page, which works without scripts
	Items   string // JSON of the objects that match ?q=
	Actions string // JSON of what the visitor can do
	Scope   string // names the account and the visitor, for the recent pages that the browser keeps
}

// Bell leads to what is new for the visitor.
type Bell struct {
	Href  string // a page; "" = no bell
	Count int    // of news that the visitor has not seen
	Live  string // path of a fragment that keeps the count up to date, where no entry of the navigation has one
}

// Account is the account that the page is about. Others are those that the
// user may switch to.
type Account struct {
	ID, Name string
	Others   []Link
}

// User is the person who is signed in. SignOut is the path that ends the session by POST.
type User struct {
	Name, Email, SignOut string
}

// Looking says that an operator looks into the account of a customer. Leave is the path that leads back.
type Looking struct{ Account, Leave string }

// NavItem is one line of the navigation. A Section different from the line
// before begins a group with that heading. Key is the letter of "g, letter".
type NavItem struct {
	Section, Label, Href, Icon, Key string
	Count                           int    // shown when > 0
	Tone                            Tone   // of the count: Bad for firing alerts
	Live                            string // path of a fragment that keeps the count up to date
	Current                         bool
}

// Link is an entry of a menu, a row of tabs, a list of presets or the actions
// of a [Hub]. Post makes it a form with one button, for actions that change
// state. Primary and Key belong to actions: Primary is the one filled button of
// a page, and Key is a letter that presses the button.
type Link struct {
	Label, Href, Icon, Hint string
	Key                     string
	Count                   int
	Current, Danger, Post   bool
	Primary                 bool
}

// Flash is one sentence about what was just done.
type Flash struct {
	Tone Tone
	Text string
}
