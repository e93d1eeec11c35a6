package producer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// Rows of the sections of a team's page.
const (
	hubRejects  = 5
	hubTokens   = 5
	hubActivity = 10
)

// teamHead is the top of each of a team's pages.
type teamHead struct {
	Team
	Hub      ui.Hub
	Href     string
	CanWrite bool
}

// head reads the team of the path; current is the label of the tab.
func (p *pages) head(v *page.Visit, current string) (teamHead, error) {
	t, err := p.Team(v.Context(), v.PathValue("producer_id"))
	if err != nil {
		return teamHead{}, err
	}
	rejected, err := p.rejectsByOwner(v.Context(), scopeTeam)
	if err != nil {
		return teamHead{}, err
	}
	return p.headOf(v, t, rejected[t.ID], current), nil
}

func (p *pages) headOf(v *page.Visit, t Team, rejected int64, current string) teamHead {
	href := teamPath(t.ID)
	h := teamHead{Team: t, Href: href, CanWrite: canWrite(v)}
	h.Hub = ui.Hub{
		Back:  ui.Link{Label: "Product teams", Href: TeamsPath},
		Icon:  "package",
		Title: t.Name,
		Tabs: []ui.Link{
			{Label: "Team", Href: href, Icon: "package"},
			{Label: "Catalogue", Href: href + "/catalogue", Icon: "book-open"},
			{Label: "Rejected events", Href: href + "/rejects", Icon: "octagon-alert", Count: int(rejected)},
			{Label: "Tokens", Href: href + "/tokens", Icon: "key"},
			{Label: "Versions", Href: href + "/history", Icon: "history"},
		},
	}
	if t.ContactEmail != "" {
		h.Hub.Subtitle = ui.Sentence{{Text: t.ContactEmail}}
	}
	if h.CanWrite {
		h.Hub.Actions = []ui.Link{
			{Label: "Edit", Href: href + "/settings", Icon: "pencil", Key: "e"},
			{Label: "Create a token", Href: href + "/tokens/new", Icon: "key", Primary: true},
		}
		h.Hub.More = []ui.Link{{Label: "Delete the team", Href: href + "/delete", Icon: "trash-2", Danger: true}}
	}
	for i := range h.Hub.Tabs {
		h.Hub.Tabs[i].Current = h.Hub.Tabs[i].Label == current
	}
	return h
}

// teamPage is the data of the template "team".
type teamPage struct {
	Head     teamHead
	Metrics  []ui.Metric
	Rejects  []rejectView
	Rejected int64 // in the last 24 hours
	Declared []declaredView
	Applied  bool
	Teach    string // commands that apply a catalogue
	Tokens   []tokenView
	Activity *ui.Activity
}

// declaredView is a product with the names that it declares.
type declaredView struct {
	Product, Title string
	AlertTypes     []string
	Topics         []string
}

// teamFacts are the numbers of a team's page.
type teamFacts struct {
	team     Team
	tokens   []Token
	lastUsed time.Time // of any token; zero = never
	days     []int64   // recorded events, the oldest first; nil = not counted
	hours    []int64   // rejected events, the oldest first
	rejected int64
	catalog  StoredCatalogue
}

func (p *pages) showTeam(v *page.Visit) error {
	facts, err := p.readTeam(v.Context(), v.PathValue("producer_id"))
	if err != nil {
		return err
	}
	h := p.headOf(v, facts.team, facts.rejected, "Team")
	h.Hub.Status = facts.status(p.now())
	h.Hub.Properties = p.properties(h, facts)

	out := teamPage{
		Head:     h,
		Metrics:  facts.metrics(h.Href, p.now()),
		Rejected: facts.rejected,
		Declared: p.declared(facts.catalog.Catalog),
		Applied:  facts.catalog.Version > 0,
		Teach:    p.applyCommand(h.ID, TokenPrefix+"..."),
	}
	for _, t := range facts.tokens[:min(len(facts.tokens), hubTokens)] {
		out.Tokens = append(out.Tokens, p.tokenView(h.ID, t))
	}
	if out.Rejects, err = p.rejectSamples(v, facts); err != nil {
		return err
	}
	if out.Activity, err = p.teamActivity(v, h.ID); err != nil {
		return err
	}
	return showTeamPage(v, h, "team", ui.Faults{}, out)
}

// readTeam reads the facts of a team in five queries.
func (p *pages) readTeam(ctx context.Context, teamID string) (facts teamFacts, err error) {
	if facts.team, err = p.Team(ctx, teamID); err != nil {
		return facts, err
	}
	if facts.tokens, err = p.Tokens(ctx, teamID); err != nil {
		return facts, err
	}
	slices.SortStableFunc(facts.tokens, func(a, b Token) int { return b.LastUsedOn.Compare(a.LastUsedOn.Time) })
	if len(facts.tokens) > 0 {
		facts.lastUsed = facts.tokens[0].LastUsedOn.Time
	}
	if facts.catalog, err = p.Catalogue(ctx, teamID, 0); err != nil && !errs.Is(err, errs.CodeNotFound) {
		return facts, err
	}
	if facts.hours, err = p.rejectHours(ctx, Rejects{Team: teamID}); err != nil {
		return facts, err
	}
	for _, n := range facts.hours {
		facts.rejected += n
	}
	facts.days = p.eventDays(ctx, facts.catalog.Catalog)
	return facts, nil
}

// shownDays is the length of the counts of a team's events.
const shownDays = 14

// eventDays counts the events of a catalogue's products by day, the oldest first; nil when they cannot be counted in a
// short time, so that the page shows no count.
func (p *pages) eventDays(ctx context.Context, c catalogue.Catalogue) []int64 {
	if p.cfg.Pages.EventDays == nil {
		return nil
	}
	counts, err := p.cfg.Pages.EventDays(ctx)
	if err != nil {
		return nil
	}
	days := make([]int64, shownDays)
	today := p.now().UTC().Truncate(24 * time.Hour)
	for _, one := range counts {
		back := int(today.Sub(one.Day) / (24 * time.Hour))
		declares := func(d catalogue.Declaration) bool { return d.Product == one.Product }
		if back >= 0 && back < shownDays && slices.ContainsFunc(c.Products, declares) {
			days[shownDays-1-back] += one.Count
		}
	}
	return days
}

// rejectHours counts the rejected events of the last 24 hours by hour, the oldest first.
func (f *Feature) rejectHours(ctx context.Context, of Rejects) ([]int64, error) {
	k := of.key()
	first := f.firstHour()
	hours := make([]int64, 24)
	err := f.db.View(ctx, func(tx *db.Tx) error {
		return db.Each(ctx, tx, func(row db.Row) error {
			var hour, n int64
			if err := row.Scan(&hour, &n); err != nil {
				return err
			}
			if at := hour - first; at >= 0 && at < int64(len(hours)) {
				hours[at] += n
			}
			return nil
		}, `SELECT hour, n FROM fault WHERE scope = $1 AND owner = $2 AND hour >= $3 AND code = 0`, k.scope, k.owner, first)
	})
	return hours, err
}

// silentAfter is the time without a use of a token after which a team is silent.
const silentAfter = 24 * time.Hour

// status says whether the team sends events.
func (f teamFacts) status(now time.Time) ui.Status {
	today := len(f.days) == shownDays && f.days[shownDays-1] > 0
	switch {
	case f.rejected > 0:
		n, err := ui.Plural(f.rejected, "event rejected", "events rejected")
		if err != nil {
			n = "Events rejected" // unreachable: an integer is a number
		}
		return ui.Status{Label: n, Tone: ui.Bad}
	case f.catalog.Version == 0:
		return ui.Status{Label: "No catalogue", Tone: ui.Warn}
	case today || !f.lastUsed.IsZero() && now.Sub(f.lastUsed) < silentAfter:
		return ui.Status{Label: "Sending", Tone: ui.Good}
	case f.lastUsed.IsZero() && f.lastDay() == 0:
		return ui.Status{Label: "No events yet", Tone: ui.Warn}
	}
	return ui.Status{Label: "Silent", Tone: ui.Warn}
}

// lastDay is how many days ago the last event was recorded, from 1 for today; 0 = none in two weeks.
func (f teamFacts) lastDay() int {
	for i := range f.days {
		if f.days[len(f.days)-1-i] > 0 {
			return i + 1
		}
	}
	return 0
}

func (f teamFacts) metrics(href string, now time.Time) []ui.Metric {
	var list []ui.Metric
	if f.days != nil {
		events := ui.Columns{Label: "Recorded events by day, last 14 days", From: "14 days ago", To: "today"}
		today := now.UTC().Truncate(24 * time.Hour)
		var sum int64
		for i, n := range f.days {
			day := today.AddDate(0, 0, i+1-shownDays).Format("2 January")
			events.Columns = append(events.Columns, ui.Column{Title: fmt.Sprintf("%s: %d", day, n), Count: float64(n)})
			sum += n
		}
		list = append(list, ui.Metric{
			Label: "Events today (UTC)", Value: strconv.FormatInt(f.days[shownDays-1], 10), Icon: "scroll-text",
			Note: fmt.Sprintf("%d in 14 days, in all accounts", sum), Columns: &events,
		})
	}
	rejects := ui.Columns{Label: "Rejected events by hour, last 24 hours", From: "24 h ago", To: "now"}
	for i, n := range f.hours {
		hour := now.UTC().Add(time.Duration(i-23) * time.Hour).Format("15:00 UTC")
		rejects.Columns = append(rejects.Columns, ui.Column{Title: fmt.Sprintf("%s: %d", hour, n), Bad: float64(n)})
	}
	rejected := ui.Metric{
		Label: "Rejected, 24 h", Value: strconv.FormatInt(f.rejected, 10), Icon: "octagon-alert", Href: href + "/rejects",
		Columns: &rejects,
	}
	if f.rejected > 0 {
		rejected.Tone = ui.Bad
	}
	seen := ui.Metric{Label: "Token last used", Icon: "key", Value: "Never", Href: href + "/tokens"}
	if !f.lastUsed.IsZero() {
		seen.Value = age(now.Sub(f.lastUsed))
		seen.Note = f.tokens[0].Name
	}
	version := ui.Metric{Label: "Catalogue", Icon: "book-open", Value: "None", Href: href + "/catalogue"}
	if f.catalog.Version > 0 {
		version.Value = "Version " + strconv.FormatInt(f.catalog.Version, 10)
		version.Note = "Applied " + f.catalog.AppliedOn.UTC().Format("2 January 2006") + " (UTC)"
	}
	return append(list, rejected, seen, version)
}

// age is a time ago in its largest unit; uses of tokens are known to the minute.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return "Now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

func (p *pages) properties(h teamHead, f teamFacts) []ui.PropertyGroup {
	group := ui.PropertyGroup{Properties: []ui.Property{
		{Label: "Id", Copy: h.ID, Text: h.ID[:8] + "…" + h.ID[28:]},
		{Label: "Contact", Text: h.ContactEmail, Icon: "at-sign"},
		{Label: "Created", At: h.CreatedOn.Time},
		{Label: "Changed", At: h.ModifiedOn.Time},
	}}
	if h.CanWrite {
		group.Action = ui.Link{Label: "Edit", Href: h.Href + "/settings"}
	}
	applied := ui.PropertyGroup{Title: "Catalogue", Properties: []ui.Property{{Label: "Version", Text: "none"}}}
	if c := f.catalog; c.Version > 0 {
		applied.Action = ui.Link{Label: "File", Href: h.Href + "/history/" + strconv.FormatInt(c.Version, 10)}
		by := ui.Person{Name: cmp.Or(c.AppliedBy.Name, c.AppliedBy.ID), Kind: c.AppliedBy.Type}
		applied.Properties = []ui.Property{
			{Label: "Version", Text: strconv.FormatInt(c.Version, 10), Href: applied.Action.Href},
			{Label: "Applied", At: c.AppliedOn.Time, Ago: true},
			{Label: "By", Person: &by},
		}
		for _, one := range c.Catalog.Products {
			applied.Properties = append(applied.Properties, ui.Property{Label: "Product", Text: one.Product, Mono: true})
		}
	}
	return []ui.PropertyGroup{group, applied}
}

// declared are the names that a catalogue's products own.
func (p *pages) declared(c catalogue.Catalogue) (list []declaredView) {
	for _, one := range c.Products {
		shown := declaredView{Product: one.Product, Title: one.Title}
		for _, n := range p.sections.Names(one) {
			switch n.Kind {
			case "alert_type":
				shown.AlertTypes = append(shown.AlertTypes, n.Name)
			case "topic":
				shown.Topics = append(shown.Topics, n.Name)
			}
		}
		list = append(list, shown)
	}
	return list
}

// rejectSamples are the newest rejected events, with the names of their tokens.
func (p *pages) rejectSamples(v *page.Visit, facts teamFacts) (rows []rejectView, err error) {
	items, _, err := p.ListRejects(v.Context(), Rejects{Team: facts.team.ID}, RejectFilter{}, RejectPlace{}, hubRejects)
	if err != nil {
		return nil, err
	}
	for _, one := range items {
		row := newRejectView(v, one, "")
		row.Href = teamPath(facts.team.ID) + "/rejects?event=" + one.ID
		row.Sender = one.By
		if i := slices.IndexFunc(facts.tokens, func(t Token) bool { return t.ID == one.By }); i >= 0 {
			row.Sender = facts.tokens[i].Name
		} else if row.Sender, err = p.sender(v.Context(), Rejects{Account: one.Account}, one); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// teamActivity reads the newest changes of the team, which are recorded in the installation's own account; nil without
// the permission to read its audit log.
func (p *pages) teamActivity(v *page.Visit, teamID string) (*ui.Activity, error) {
	if p.cfg.Activity == nil || !v.Who.Can(p.cfg.OperatorAccount, account.AuditRead) {
		return nil, nil
	}
	about := feature.About{ResourceType: "producer", ResourceID: teamID}
	a, err := p.cfg.Activity(v.Context(), v.Who, p.cfg.OperatorAccount, about, hubActivity)
	return &a, err
}
