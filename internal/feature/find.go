package feature

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of a search.
const (
	MaxMatches    = 20                     // of one kind
	MaxQuery      = 256                    // bytes of the text that is searched for
	FindTimeout   = 300 * time.Millisecond // for one kind; a slower one is left out
	findersAtOnce = 4                      // kinds that are searched at once
)

// Finder finds the objects of one kind for the search page, the palette and the pickers of forms.
type Finder struct {
	Kind  string // in URLs and in the API: "policy"
	Label string // plural, for people: "Policies"
	Icon  string

	// Permission is needed in the account of the search (web.AnyPermission: any right there), and in the installation
	// if Console is set.
	Permission string
	Console    bool

	// Find returns at most limit matches, the best first. An empty query returns the matches that a picker offers before
	// the user types. It reads a bounded number of rows, whatever the account holds. For a finder with Console, account
	// may be empty.
	Find func(ctx context.Context, account, query string, limit int) ([]Match, error)
}

// Match is an object that a search has found.
type Match struct {
	ID     string
	Title  string
	Detail string // a second line: the state, the address, the property
	Href   string
	Icon   string // empty = that of the kind
	Tone   ui.Tone
	Count  int64 // events, where the object is a value of events; 0 = not counted
	At     time.Time
	Names  []string // further names by which the object is found: addresses, aliases
}

// Group holds the matches of one kind.
type Group struct {
	Kind    string
	Label   string
	Icon    string
	Matches []Match
}

// Found is the result of a search. Late names the kinds that were left out because they took too long or failed.
type Found struct {
	Groups []Group
	Late   []string
}

// Finders are the finders of all features, in the order in which their groups are shown.
type Finders []Finder

// Search is a search in an account; an empty Account searches the installation.
type Search struct {
	Who     *web.Principal
	Account string
	Query   string
	Kind    string // only this kind; empty = all
	Limit   int    // of each kind
}

// allows reports whether the principal may search for objects of the kind.
func (f *Finder) allows(s Search) bool {
	switch {
	case f.Console:
		return s.Who.Can("", f.Permission)
	case s.Account == "":
		return false
	case f.Permission == web.AnyPermission:
		return s.Who.Reaches(s.Account)
	}
	return s.Who.Can(s.Account, f.Permission)
}

// Search asks the finders of all kinds that the principal may see, some of them at once. The error joins the failures
// of single kinds, for the log; the groups of the others are complete.
func (list Finders) Search(ctx context.Context, s Search) (Found, error) {
	s.Query = strings.TrimSpace(clip(strings.ToValidUTF8(s.Query, ""), MaxQuery))
	s.Limit = min(max(s.Limit, 1), MaxMatches)
	var asked []Finder
	for _, f := range list {
		if (s.Kind == "" || s.Kind == f.Kind) && f.allows(s) {
			asked = append(asked, f)
		}
	}

	groups := make([]Group, len(asked))
	faults := make([]error, len(asked))
	slots := make(chan struct{}, findersAtOnce)
	var running sync.WaitGroup
	for i, f := range asked {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			groups[i], faults[i] = f.ask(ctx, s)
		})
	}
	running.Wait()

	var found Found
	var failed []error
	for i, g := range groups {
		switch {
		case faults[i] != nil:
			found.Late = append(found.Late, asked[i].Label)
			if !errors.Is(faults[i], context.DeadlineExceeded) {
				failed = append(failed, fmt.Errorf("find %s: %w", asked[i].Kind, faults[i]))
			}
		case len(g.Matches) > 0:
			found.Groups = append(found.Groups, g)
		}
	}
	return found, errors.Join(failed...)
}

// ask calls one finder. The answer of a finder that ignores the deadline is dropped as well.
func (f *Finder) ask(ctx context.Context, s Search) (Group, error) {
	ctx, cancel := context.WithTimeout(ctx, FindTimeout)
	defer cancel()
	matches, err := f.Find(ctx, s.Account, s.Query, s.Limit)
	if ctx.Err() != nil {
		return Group{}, ctx.Err()
	}
	return Group{f.Kind, f.Label, f.Icon, matches[:min(len(matches), s.Limit)]}, err
}

// Pasted reports whether a query can be an id that was pasted: one word of at least 8 characters with a digit, or an
// id of Belfry.
func Pasted(query string) bool {
	return id.Valid(query) || len(query) >= 8 && !strings.ContainsFunc(query, unicode.IsSpace) &&
		strings.ContainsFunc(query, unicode.IsDigit)
}

// Ranks of a match, the best first.
const (
	rankID = iota
	rankTitle
	rankPrefix
	rankWord
	rankName
	rankNone
)

// Best returns the matches whose id is the query, or whose names have words that begin with all words of the query, the
// best first. Matches of the same rank keep their order; an empty query returns the first.
func Best(query string, limit int, list []Match) []Match {
	type ranked struct {
		Match
		rank int
	}
	folded := strings.ToLower(query)
	words := strings.Fields(folded)
	var out []ranked
	for _, m := range list {
		if rank := m.rank(query, folded, words); rank < rankNone {
			out = append(out, ranked{m, rank})
		}
	}
	slices.SortStableFunc(out, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	found := make([]Match, 0, min(len(out), limit))
	for _, m := range out[:min(len(out), limit)] {
		found = append(found, m.Match)
	}
	return found
}

// Searched reports whether a row passes the search of a list: its id is the query, or its texts have words that begin
// with all words of the query.
func Searched(query, rowID, title string, names ...string) bool {
	query = strings.TrimSpace(clip(strings.ToValidUTF8(query, ""), MaxQuery))
	return query == "" || len(Best(query, 1, []Match{{ID: rowID, Title: title, Names: names}})) > 0
}

func (m *Match) rank(query, folded string, words []string) int {
	title := strings.ToLower(m.Title)
	switch {
	case query == "":
		return rankTitle
	case query == m.ID:
		return rankID
	case folded == title:
		return rankTitle
	case strings.HasPrefix(title, folded):
		return rankPrefix
	case beginAll(title, words):
		return rankWord
	}
	names := title
	for _, name := range m.Names {
		names += " " + strings.ToLower(name)
	}
	if beginAll(names, words) {
		return rankName
	}
	return rankNone
}

// beginAll reports whether each word begins a word of text, which is in lower case. Words of names such as
// "shop.example" begin after a mark too.
func beginAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !begins(text, w) })
}

func begins(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		if i == 0 || !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			return true
		}
		from = i + len(word)
	}
}
