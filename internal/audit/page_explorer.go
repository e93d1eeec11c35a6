package audit

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// perPage is how many events one page of the list has; the next comes when its
// end is seen.
const perPage = 60

// explorerPage is what the explorer's template sees.
type explorerPage struct {
	URL     string // of the explorer without filters
	Size    int64
	Signed  ledger.SignedHead
	Matched string // how many events fit the filters; "" without filters, or when it is not known
	Self    string // this page
	Poll    string // the part of the head that is asked for again
	New     newRows
	Tabs    []ui.Link
	Framed  bool
	Query   string
	Chips   []ui.Chip
	Keep    []ui.Hidden
	Range   ui.Range
	Menus   []filterMenu
	Toggles []ui.Link
	Exports []ui.Link
	Curl    string
	Live    string

	Rows    []row
	Next    string // URL of what is older
	Newest  string // URL of the first page, when this is another
	Looking *looking
	Hidden  int     // views that were left out
	Unknown string  // parameters that filter nothing
	Lesson  *lesson // what an empty record says
	Narrow  string  // why nothing can be said about this range
	Reset   string
	Detail  *detailPage
}

// looking says what a text search did.
type looking struct {
	Text   string
	Looked int
	Back   time.Time // how far, when it is not the end
	Older  string
}

// filterMenu is a menu of values to filter by.
type filterMenu struct {
	Label, Icon string
	Items       []ui.Link
}

// state is an explorer's URL, read.
type state struct {
	visit
	conds   []record.Filter
	unknown []string
	period  ui.Range
	text    string // q
	views   bool   // shown
	event   string // open
}

func (p *Dashboard) state(v visit) (state, error) {
	q := v.url.Query()
	raw, unknown := filtersOf(q)
	s := state{
		visit:   v,
		unknown: unknown,
		period:  ui.ParseRange(v.url, v.now, ""),
		text:    strings.TrimSpace(q.Get("q")),
		views:   q.Get("views") != "",
		event:   q.Get("event"),
	}
	var err error
	s.conds, err = p.resolveFilters(v.ctx, v.account, raw)
	return s, err
}

// query is the question to the reader, without its page.
func (s state) query() ledger.Query {
	q := ledger.Query{Filters: s.conds}
	if !s.period.Since.IsZero() {
		q.Since = max(0, s.period.Since.UnixMicro())
	}
	if !s.period.Before.IsZero() {
		q.Before = max(1, s.period.Before.UnixMicro())
	}
	return q
}

// keep leaves out views, and what does not say the text.
func (p *Dashboard) keep(s state) (keep func(*record.Record) bool, views *int) {
	views = new(int)
	lower := strings.ToLower(s.text)
	return func(r *record.Record) bool {
		if lower != "" && !r.Mentions(lower) {
			return false
		}
		if !s.views && p.isView(r) {
			*views++
			return false
		}
		return true
	}, views
}

func (p *Dashboard) explorer(w http.ResponseWriter, r *http.Request) error {
	v := p.visit(r)
	fragment := ""
	if ui.Fragment(r) {
		fragment = ui.Target(r)
	}
	known := glossary{}
	var menus []filterMenu
	if fragment == "" {
		known, menus = p.glossary(v)
		if to, ok := p.searched(v, known); ok {
			http.Redirect(w, r, to, http.StatusSeeOther)
			return nil
		}
	}
	s, err := p.state(v)
	if err != nil {
		return err
	}
	page := &explorerPage{URL: v.base()}
	var flash *ui.Flash
	if s.event != "" {
		switch page.Detail, err = p.detailOf(v, s.event, true); {
		case errs.Is(err, errs.CodeNotFound) && fragment == "":
			flash = &ui.Flash{Tone: ui.Warn, Text: "There is no event " + s.event + " in this account's audit log"}
		case err != nil:
			return err
		}
	}
	page.Self = v.url.Path + query(withoutOpen(v.url.Query()))
	if fragment == headID {
		return p.head(w, v, page, s)
	}
	if fragment == "" { // before the rows: an event that comes in between is counted rather than missed
		if page.Size, err = p.reader.Size(s.ctx, s.account); err != nil {
			return err
		}
		if err := p.fillNew(page, s); err != nil {
			return err
		}
	}
	if fragment != "detail" {
		if err := p.fillRows(page, s); err != nil {
			return err
		}
	}
	if fragment == "" {
		if err := p.fillFrame(page, s, known, menus); err != nil {
			return err
		}
	}
	shell := p.Shell(r, v.who, v.account, "audit")
	shell.Title = "Audit log"
	shell.Flash = flash
	page.Framed = shell.Framed
	shell.Modules = append(shell.Modules, "x/audit/page_record.js")
	return p.set.Render(w, r, shell, "explorer", page)
}

// fillRows reads one page of the list.
func (p *Dashboard) fillRows(page *explorerPage, s state) error {
	q := s.query()
	cursor := s.url.Query().Get("cursor")
	name := "audit.page " + s.account
	if cursor != "" {
		q.After = &ledger.Position{}
		if err := p.cursors.Decode(name, cursor, q.After); err != nil {
			return err
		}
		page.Newest = ui.With(s.url)
	}
	keep, views := p.keep(s)
	found, err := p.reader.Browse(s.ctx, s.account, q, perPage, keep)
	if narrow(err) {
		page.Narrow = errs.All(err)[0].Message
		page.Reset = s.base()
		return nil
	}
	if err != nil {
		return err
	}
	l := list{
		Dashboard: p,
		visit:     s.visit,
		url:       s.url,
		open:      s.event,
		target:    "detail",
		fold:      !s.url.Query().Has("change_set"),
		live:      true,
	}
	page.Rows = l.rows(found.Records)
	page.Hidden = *views
	page.Reset = s.base()
	if s.filtered() && cursor == "" && !found.Cut {
		page.Matched = grouped(uint64(len(found.Records))) + map[bool]string{true: "+"}[found.Next != nil]
	}
	if found.Next != nil {
		older := *s.url
		values := older.Query()
		values.Set("cursor", p.cursors.Encode(name, found.Next))
		older.RawQuery = values.Encode()
		page.Next = older.Path + "?" + older.RawQuery
	}
	if s.text != "" || found.Cut {
		page.Looking = &looking{Text: s.text, Looked: found.Looked}
		if found.Next != nil {
			page.Looking.Back = time.UnixMicro(found.Next.At).UTC()
			page.Looking.Older = page.Next
		}
		if len(page.Rows) == 0 {
			page.Next = "" // said above the empty list
		}
	}
	return nil
}

// fillFrame is what stands around the rows.
func (p *Dashboard) fillFrame(page *explorerPage, s state, known glossary, menus []filterMenu) error {
	if err := p.fillSize(page, s); err != nil {
		return err
	}
	page.Tabs = p.tabs(s.visit, "Events")
	page.Query = s.text
	page.Range = s.period
	page.Menus = menus
	page.Unknown = strings.Join(s.unknown, ", ")
	page.Chips = ui.Chips(s.url, chipKeys...)
	p.nameChips(s.visit, page)
	page.Keep = ui.KeepQuery(s.url, "q", "event", "tab", "verify")
	q := withoutOpen(s.url.Query())
	page.Live = s.base() + "/live" + query(q)
	people := q.Get("actor_type") == "user"
	page.Toggles = []ui.Link{
		{
			Label:   "People only",
			Icon:    "user",
			Current: people,
			Href:    ui.With(s.url, "actor_type", map[bool]string{false: "user"}[people]),
		},
		{
			Label:   "Show reads",
			Icon:    map[bool]string{true: "eye", false: "eye-off"}[s.views],
			Current: s.views,
			Href:    ui.With(s.url, "views", map[bool]string{false: "shown"}[s.views]),
		},
	}
	asked := apiQuery(s)
	page.Curl = p.curl(s.api() + "/logs/audit" + query(asked))
	if s.mayExport() {
		page.Exports = exports(s.visit, asked, page.exported(s))
	}
	if known.untaught() && len(page.Chips) == 0 && s.text == "" {
		page.Lesson = p.lesson(s.visit)
	}
	return nil
}

// untaught reports whether no product has sent an event yet: the record holds
// at most what Belfry says of itself.
func (g glossary) untaught() bool {
	return g.answered && (len(g.products) == 0 || len(g.products) == 1 && g.products[0] == event.Product)
}

// apiQuery is the same question to the API, which wants both ends of the time.
func apiQuery(s state) url.Values {
	q := url.Values{}
	raw, _ := filtersOf(s.url.Query())
	for _, c := range raw {
		q[c.Field+map[bool]string{true: ".not"}[c.Not]] = c.Values
	}
	since, before := s.period.Since, s.period.Before
	if since.IsZero() {
		since = time.Unix(0, 0)
	}
	if before.IsZero() {
		before = s.now.Add(24 * time.Hour)
	}
	q.Set("since", since.UTC().Format(time.RFC3339))
	q.Set("before", before.UTC().Format(time.RFC3339))
	return q
}

// exports are files of the events of a question.
func exports(v visit, asked url.Values, which string) []ui.Link {
	link := func(label, icon, hint string, q url.Values) ui.Link {
		return ui.Link{Label: label, Icon: icon, Hint: hint, Href: v.api() + "/audit/export" + query(q)}
	}
	as := func(format string) url.Values {
		q := url.Values{"format": {format}}
		for k, values := range asked {
			q[k] = values
		}
		return q
	}
	return []ui.Link{
		link(which+" as CSV", "file-text", "", as("csv")),
		link(which+" as NDJSON", "file-json", "", as("ndjson")),
		link("The whole audit log", "shield-check", "provable", url.Values{"format": {"ndjson"}}),
	}
}

// nameChips says the names of people, resources and properties that are filtered
// by id. The rows know those that are shown. For others, such as one that is
// excluded, the newest event that names it is read.
func (p *Dashboard) nameChips(v visit, page *explorerPage) {
	names := map[string]string{}
	learn := func(s ui.Sentence) {
		for _, part := range s {
			if part.Key != "" && part.Text != part.Value {
				names[part.Key+"\x00"+part.Value] = part.Text
			}
		}
	}
	for _, r := range page.Rows {
		learn(r.Sentence)
	}
	for i, c := range page.Chips {
		if c.Label == "Property" {
			if _, found, err := p.sources.Zone(v.ctx, v.account, c.Value); err == nil &&
				found != "" { // without a name, the id is shown
				page.Chips[i].Value = visible(found)
				continue
			}
		}
		for _, field := range named[c.Label] {
			known := field + "\x00" + c.Value
			if names[known] == "" {
				within(v.ctx, 300*time.Millisecond, func(ctx context.Context) error {
					q := ledger.Query{Filters: []record.Filter{{Field: field, Values: []string{c.Value}}}, Limit: 1}
					found, err := p.reader.List(ctx, v.account, q)
					if err != nil {
						return err
					}
					for _, r := range found.Records {
						learn(p.said(r))
					}
					return nil
				})
			}
			if names[known] != "" {
				page.Chips[i].Value = names[known]
				break
			}
		}
		page.Chips[i].Value = visible(page.Chips[i].Value)
	}
}

// named are the fields whose values have names in sentences, by the labels of
// their chips.
var named = map[string][]string{"Actor": {"actor_id"}, "Resource": {"resource_id"}, "Property": {"zone"}}

// glossary reads what the menus offer. It is a convenience: when the roll-ups
// do not answer at once, the page does without.
func (p *Dashboard) glossary(v visit) (glossary, []filterMenu) {
	var known glossary
	var menus []filterMenu
	for _, g := range []struct {
		group, key, label, icon string
		to                      *[]string
	}{
		{"product", "resource_product", "Product", "package", &known.products},
		{"action", "action_type", "Action", "zap", &known.actions},
	} {
		menu := filterMenu{Label: g.label, Icon: g.icon}
		answered := within(v.ctx, 300*time.Millisecond, func(ctx context.Context) error {
			counts, err := p.reader.Summary(ctx, v.account, g.group, 0, v.now.Add(record.MaxAhead).UnixMicro())
			for i, c := range counts {
				*g.to = append(*g.to, c.Key)
				if i < 12 {
					n, _ := ui.Compact(c.Count) // an integer is a number
					menu.Items = append(menu.Items, ui.Link{
						Label:   c.Key,
						Hint:    n,
						Href:    ui.Filtered(v.url, g.key, c.Key, false),
						Current: has(v.url, g.key, c.Key),
					})
				}
			}
			return err
		})
		known.answered = answered
		if len(menu.Items) > 1 {
			menus = append(menus, menu)
		}
	}
	only := func(label, icon, key, value string) ui.Link {
		return ui.Link{Label: label, Icon: icon, Href: ui.Filtered(v.url, key, value, false), Current: has(v.url, key, value)}
	}
	return known, append(menus, filterMenu{Label: "Filter by source", Icon: "list-filter", Items: []ui.Link{
		only("Failures", "circle-x", "action_result", "failure"),
		only("API tokens", "key", "actor_type", "token"),
		only("Integrations", "plug", "actor_type", "integration"),
		only("Staff of the operator", "shield", "actor_type", "staff"),
		only("The system itself", "settings", "actor_type", "system"),
		only("Through web pages", "layout-dashboard", "interface", "UI"),
		only("Through the API", "code", "interface", "API"),
		only("From a terminal", "square-terminal", "interface", "CLI"),
	}})
}

func has(u *url.URL, key, value string) bool {
	for _, v := range u.Query()[key] {
		if v == value {
			return true
		}
	}
	return false
}

// lesson is what an empty record says: how the first event gets into it.
type lesson struct{ Curl, Tokens string }

func (p *Dashboard) lesson(v visit) *lesson {
	const event = `{
    "action":   {"type": "update"},
    "actor":    {"type": "user", "id": "ana@example.com"},
    "resource": {"product": "shop", "type": "setting", "id": "payment_timeout"}
  }`
	l := &lesson{
		Curl: p.curl(v.api()+"/audit/events", "\\\n  -H 'Content-Type: application/json'", "\\\n  -d '"+event+"' \\\n "),
	}
	if v.who.Can(v.account, "tokens:write") {
		l.Tokens = p.Tokens(v.account)
	}
	return l
}

// live is the list's live tail: each event as the HTML of its row. The events
// of one change set arrive as one row that grows: a row with the id of one that
// is there takes its place.
func (p *Dashboard) live(w http.ResponseWriter, r *http.Request) error {
	v := p.visit(r)
	s, err := p.state(v)
	if err != nil {
		return err
	}
	explorer := &url.URL{Path: v.base(), RawQuery: v.url.RawQuery}
	l := list{Dashboard: p, visit: v, url: explorer, target: "detail", fold: true, live: true}
	keep, _ := p.keep(s)
	var set []*record.Record
	events, err := p.Tail(v.ctx, v.account, -1, s.conds, func(rec *record.Record) ([]byte, error) {
		if !keep(rec) {
			return nil, nil
		}
		if len(set) > 0 && (!set[0].SameChangeSet(rec) || len(set) == ledger.MaxFold) {
			set = nil
		}
		one := l.row(rec)
		if rec.Event.ChangeSet != "" {
			set = append(set, rec)
			one.ID = setID(set[0])
			if len(set) > 1 {
				id := one.ID
				one = l.folded(set)
				one.ID = id
			}
		}
		html, err := p.set.HTML("audit-row", one)
		return []byte(html), err
	})
	if err != nil {
		return err
	}
	source := events.Source
	events.Source = func(ctx context.Context, lastID string, send func(web.Event) error) error {
		return source(ctx, lastID, func(e web.Event) error {
			if len(e.Data) == 0 {
				return nil
			}
			e.Name = "row"
			return send(e)
		})
	}
	web.ServeEvents(v.ctx, w, r, events)
	return nil
}
