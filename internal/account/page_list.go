package account

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// The lists of an account's properties, members and tokens have a limited length: a page reads the whole list, and
// filters and sorts it in memory.

// byName is the key of a list that is sorted by name.
func byName(name string) string { return strings.ToLower(name) }

// newestFirst is the key of a list that begins with the newest time; rows without a time are last.
func newestFirst(at time.Time) string {
	if at.IsZero() {
		return "z"
	}
	return fmt.Sprintf("%019d", math.MaxInt64-at.UnixMicro())
}

// soonestFirst is the key of a list that begins with the earliest time; rows without a time are last.
func soonestFirst(at time.Time) string {
	if at.IsZero() {
		return "z"
	}
	return fmt.Sprintf("%019d", at.UnixMicro())
}

// passes reports whether the filters of the URL on a key let a value pass.
func passes(v *page.Visit, key, value string) bool {
	q := v.Request.URL.Query()
	wanted := q[key]
	return (len(wanted) == 0 || slices.Contains(wanted, value)) && !slices.Contains(q[key+".not"], value)
}

// searched reports whether the texts of a row have words that begin with every word of the search.
func searched(v *page.Visit, id, title string, names ...string) bool {
	query := strings.TrimSpace(page.Cut(v.Query("q"), feature.MaxQuery))
	return query == "" || len(feature.Best(query, 1, []feature.Match{{ID: id, Title: title, Names: names}})) > 0
}

// chosenAsk is the data of the template "confirm-chosen": the question before an act on several rows.
type chosenAsk struct {
	Title  string
	Text   string
	Label  string // of the button
	Back   string
	Action string // path that the form is sent to
	Act    string
	Items  []chosenItem
}

// chosenItem is one of the rows.
type chosenItem struct{ ID, Name, Note string }

// confirmedField says in the form of an act on several rows that the question was answered.
const confirmedField = "confirmed"

// wasConfirmed reports whether the visitor has answered the question before an act.
func wasConfirmed(v *page.Visit) bool { return v.Field(confirmedField, 8) == "yes" }

// askChosen asks before an act on several rows.
func askChosen(v *page.Visit, section string, ask chosenAsk) error {
	ask.Action = v.Request.URL.Path
	return v.Show(page.View{Section: section, Title: ask.Title, Template: "confirm-chosen", Data: ask})
}

// hubRows is the length of a section of the page of one object.
const hubRows = 10

// activity reads the newest events about an object for its page; nil without the permission to read the audit log.
func (p *pages) activity(v *page.Visit, about feature.About) (*ui.Activity, error) {
	if p.cfg.Activity == nil || !v.Can(AuditRead) {
		return nil, nil
	}
	a, err := p.cfg.Activity(v.Context(), v.Who, v.Account, about, hubRows)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// counted is a number with its noun: "1 property", "12 properties".
func counted(n int, one, many string) string {
	text, err := ui.Plural(n, one, many)
	if err != nil {
		return many // unreachable: n is a number
	}
	return text
}
