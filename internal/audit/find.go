package audit

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// Limits of one search of the audit log. Nothing here walks the log: an event is found by its id or through the
// digests, and names come from the roll-ups and the newest events.
const (
	searchTime    = 200 * time.Millisecond // for the digests
	censusEvents  = 1000                   // newest events whose actors and resources are offered
	censusTTL     = 15 * time.Second
	censusCache   = 500 // accounts
	censusDays    = 30  // of the counts of products and actions
	matchedEvents = 5   // of an actor or resource whose id was pasted
)

// finders find events, and the values by which the audit log is filtered.
func (f *Feature) finders() feature.Finders {
	read := account.AuditRead
	s := f.search
	return feature.Finders{
		{Kind: "event", Label: "Events", Icon: "scroll-text", Permission: read, Find: s.findEvents},
		{Kind: "actor", Label: "Actors", Icon: "user", Permission: read, Find: s.findActors},
		{Kind: "resource", Label: "Resources", Icon: "box", Permission: read, Find: s.findResources},
		{Kind: "product", Label: "Products", Icon: "package", Permission: read, Find: s.findProducts},
		{Kind: "action", Label: "Actions", Icon: "zap", Permission: read, Find: s.findActions},
	}
}

// actions are the feature's entries of the palette.
func (f *Feature) actions() []feature.Action {
	base := account.RecordPath("{account_id}")
	return []feature.Action{
		{
			Label: "Export the audit log", Words: "download csv ndjson ocsf siem events", Icon: "download",
			Href: base + "/export", Permission: account.AuditExport,
		},
		{
			Label: "Verify the record", Words: "proof integrity checkpoint tamper signed", Icon: "shield-check",
			Href: base + "/integrity", Permission: account.AuditRead,
		},
		{
			Label: "See failed actions", Words: "failure errors denied", Icon: "circle-x",
			Href: base + "?action_result=failure", Permission: account.AuditRead,
		},
	}
}

// searcher answers searches of the audit log.
type searcher struct {
	*Feature
	reader *ledger.Reader // with a short budget
	census *cache.Cache[string, *census]
}

func newSearcher(f *Feature) *searcher {
	return &searcher{
		Feature: f,
		reader:  f.quick,
		census:  cache.New[string, *census](censusCache, censusTTL, f.now),
	}
}

// census counts the names in the newest events of an account, the most frequent first.
type census struct {
	actors    []feature.Match
	active    []Active // actors but for Belfry itself and the set-up
	people    *people
	resources []feature.Match
	products  []feature.Match
	actions   []feature.Match
}

// findEvents finds an event by its id, and else the newest events of the actor or resource with this id.
func (s *searcher) findEvents(ctx context.Context, accountID, text string, limit int) ([]feature.Match, error) {
	if !feature.Pasted(text) {
		return nil, nil
	}
	rec, err := s.reader.Get(ctx, accountID, text)
	if err == nil {
		return []feature.Match{s.eventMatch(accountID, rec)}, nil
	}
	if !errs.Is(err, errs.CodeNotFound) {
		return nil, err
	}
	for _, field := range []string{"resource_id", "actor_id"} {
		page, err := s.reader.List(ctx, accountID, ledger.Query{
			Limit:   min(limit, matchedEvents),
			Filters: []record.Filter{{Field: field, Values: []string{text}}},
		})
		if errs.Is(err, errs.CodeNarrowRange) { // the budget is spent
			return nil, context.DeadlineExceeded
		}
		if err != nil || len(page.Records) == 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		var list []feature.Match
		for _, rec := range page.Records {
			list = append(list, s.eventMatch(accountID, rec))
		}
		return list, nil
	}
	return nil, nil
}

func (s *searcher) eventMatch(accountID string, rec *record.Record) feature.Match {
	e := &rec.Event
	m := feature.Match{
		ID:     e.ID,
		Title:  clip(s.said(rec).String()),
		Detail: visible(e.Action.Type + ", " + e.Resource.Product),
		Href:   account.RecordPath(accountID) + "/events/" + url.PathEscape(e.ID),
		At:     e.At(),
	}
	if e.Action.Result == "failure" {
		m.Tone = ui.Bad
	}
	return m
}

func (s *searcher) findActors(ctx context.Context, accountID, text string, limit int) ([]feature.Match, error) {
	c, err := s.censusOf(ctx, accountID)
	if err != nil {
		return nil, err
	}
	return feature.Best(text, limit, c.actors), nil
}

func (s *searcher) findResources(ctx context.Context, accountID, text string, limit int) ([]feature.Match, error) {
	c, err := s.censusOf(ctx, accountID)
	if err != nil {
		return nil, err
	}
	return feature.Best(text, limit, c.resources), nil
}

func (s *searcher) findProducts(ctx context.Context, accountID, text string, limit int) ([]feature.Match, error) {
	c, err := s.censusOf(ctx, accountID)
	if err != nil {
		return nil, err
	}
	return feature.Best(text, limit, c.products), nil
}

func (s *searcher) findActions(ctx context.Context, accountID, text string, limit int) ([]feature.Match, error) {
	c, err := s.censusOf(ctx, accountID)
	if err != nil {
		return nil, err
	}
	return feature.Best(text, limit, c.actions), nil
}

// censusOf counts the newest events of an account. It is kept for a few seconds: a palette asks with every key.
func (s *searcher) censusOf(ctx context.Context, accountID string) (*census, error) {
	return s.census.Get(ctx, accountID, func(ctx context.Context) (*census, error) {
		page, err := s.reader.List(ctx, accountID, ledger.Query{Limit: censusEvents})
		if err != nil {
			return nil, err
		}
		members, err := s.members(ctx, accountID)
		if err != nil {
			return nil, err
		}
		c := &census{people: newPeople(members, actorsOf(page.Records))}
		actors := newTally()
		resources := newTally()
		kinds := map[string]string{}
		for _, rec := range page.Records { // the newest first
			m := actorMatch(accountID, rec)
			if rec.Event.Actor.Type == "user" {
				m = c.personMatch(accountID, m)
			}
			kinds[m.ID] = rec.Event.Actor.Type
			actors.add(m)
			if rec.Event.Resource.Product != event.Product { // Belfry's own objects have finders of their own
				resources.add(resourceMatch(accountID, rec))
			}
		}
		c.actors = actors.sorted()
		for _, a := range c.actors {
			if kind := kinds[a.ID]; kind != "system" && a.ID != account.BootstrapID {
				c.active = append(c.active, Active{a.Title, kind, a.Href, a.Count, a.At})
			}
		}
		c.resources = resources.sorted()
		return c, s.countNames(ctx, accountID, c)
	})
}

// countNames counts products and actions of the last days by the roll-ups, which know whole days.
func (s *searcher) countNames(ctx context.Context, accountID string, c *census) error {
	titles := map[string]string{}
	categories, err := s.words.Products(ctx)
	if err != nil {
		return err
	}
	for _, category := range categories {
		for _, p := range category.Products {
			titles[p.Value] = p.Label
		}
	}
	tomorrow := s.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 2)
	since := tomorrow.AddDate(0, 0, -censusDays)
	for _, g := range []struct {
		group, key string
		to         *[]feature.Match
	}{
		{"product", "resource_product", &c.products},
		{"action", "action_type", &c.actions},
	} {
		counts, err := s.reader.Summary(ctx, accountID, g.group, since.UnixMicro(), tomorrow.UnixMicro())
		if err != nil {
			return err
		}
		for _, row := range counts {
			m := feature.Match{
				ID:    row.Key,
				Title: visible(row.Key),
				Href:  account.RecordPath(accountID) + query(url.Values{g.key: {row.Key}}),
				Count: row.Count,
			}
			if title := titles[row.Key]; g.group == "product" && title != "" && title != row.Key {
				m.Title = visible(title)
				m.Detail = m.ID
				m.Names = []string{m.ID}
			}
			*g.to = append(*g.to, m)
		}
	}
	return nil
}

// actorsOf lists the actors of events, each once, with the first address.
func actorsOf(records []*record.Record) []ledger.SummaryRow {
	var list []ledger.SummaryRow
	at := map[[2]string]int{}
	for _, rec := range records {
		a := &rec.Event.Actor
		key := [2]string{a.Type, a.ID}
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, ledger.SummaryRow{Key: a.ID, Type: a.Type})
		}
		list[i].Email = cmp.Or(list[i].Email, a.Email)
	}
	return list
}

// personMatch makes the matches of all actors of one person equal, so that they are counted together.
func (c *census) personMatch(accountID string, m feature.Match) feature.Match {
	same := c.people.sameAs(m.ID)
	if len(same) == 1 {
		return m
	}
	m.Names = append(m.Names, same...)
	if member := c.people.memberOf[m.ID]; member != m.ID {
		m.ID = member
		m.Href = account.RecordPath(accountID) + query(url.Values{"actor_id": {member}})
	}
	return m
}

// actorMatch is the actor of an event; ID "" when it was erased.
func actorMatch(accountID string, rec *record.Record) feature.Match {
	a := &rec.Event.Actor
	m := feature.Match{
		ID:     a.ID,
		Title:  clip(visible(rec.ActorName())),
		Detail: visible(cmp.Or(a.Email, a.Type)),
		At:     rec.Event.At(),
		Href:   account.RecordPath(accountID) + query(url.Values{"actor_id": {a.ID}}),
		Names:  []string{a.Email, a.ID},
	}
	if a.Type == "token" || a.TokenID != "" {
		m.Icon = "key"
	}
	return m
}

// resourceMatch is the resource of an event; ID "" when it was erased.
func resourceMatch(accountID string, rec *record.Record) feature.Match {
	r := &rec.Event.Resource
	return feature.Match{
		ID:     r.ID,
		Title:  clip(visible(rec.ResourceName())),
		Detail: visible(r.Type + " of " + r.Product),
		Href: account.RecordPath(accountID) + "/history" + query(url.Values{
			"resource_product": {r.Product}, "resource_type": {r.Type}, "resource_id": {r.ID},
		}),
		Names: []string{r.ID, r.Type},
	}
}

// tally counts matches by their address.
type tally struct {
	at   map[string]int
	list []feature.Match
}

func newTally() *tally { return &tally{at: map[string]int{}} }

// add counts a match; those of erased values are left out.
func (t *tally) add(m feature.Match) {
	if m.ID == "" {
		return
	}
	i, ok := t.at[m.Href]
	if !ok {
		i = len(t.list)
		t.at[m.Href] = i
		t.list = append(t.list, m)
	}
	t.list[i].Count++
}

// sorted are the matches, the most frequent first.
func (t *tally) sorted() []feature.Match {
	slices.SortStableFunc(t.list, func(a, b feature.Match) int { return cmp.Compare(b.Count, a.Count) })
	return t.list
}
