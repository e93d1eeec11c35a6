package audit

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// perPage is how many events one page of the list has; the next comes when its
// end is seen.
const perPage = 60

// explorerPage is the data of the template "explorer".
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
	Filters ui.Filters
	Toggles []ui.Link
	Exports []ui.Link
	Curl    string
	Live    string

	Rows    []eventRow
	Next    string // URL of the older events
	Newest  string // URL of the first page, when this is another
	Looking *looking
	Hidden  int     // views that were left out
	Unknown string  // parameters that filter nothing
	Lesson  *lesson // what an empty record says
	Narrow  string  // why nothing can be said about this range
	Reset   string
	Detail  *detailPage

	matched *matched // nil = not counted
}

// looking describes a text search.
type looking struct {
	Text   string
	Looked int
	Back   time.Time // how far, when it is not the end
	Older  string
}

// state is an explorer's URL, read.
type state struct {
	visit
	raw     []record.Filter // of the URL, with all ids of a person
	filters []record.Filter // resolved
	unknown []string
	period  ui.Range
	text    string // q
	views   bool   // shown
	event   string // open
}

func (p *pages) state(v visit) (state, error) {
	q := v.Request.URL.Query()
	raw, unknown := filtersOf(q)
	s := state{
		visit:   v,
		unknown: unknown,
		period:  ui.ParseRange(v.Request.URL, v.now, ""),
		text:    strings.TrimSpace(q.Get("q")),
		views:   q.Get("views") != "",
		event:   q.Get("event"),
	}
	var err error
	if s.raw, err = p.samePerson(v.Context(), v.Account, raw); err != nil {
		return s, err
	}
	s.filters, err = p.resolveFilters(v.Context(), v.Account, s.raw)
	return s, err
}

// query is the question to the reader, without its page.
func (s state) query() ledger.Query {
	q := ledger.Query{Filters: s.filters}
	if !s.period.Since.IsZero() {
		q.Since = max(0, s.period.Since.UnixMicro())
	}
	if !s.period.Before.IsZero() {
		q.Before = max(1, s.period.Before.UnixMicro())
	}
	return q
}

// keep leaves out views, and what does not say the text.
func (p *pages) keep(s state) (keep func(*record.Record) bool, views *int) {
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

func (p *pages) explorer(pv *page.Visit) error {
	v := p.visit(pv)
	fragment := ""
	if ui.Fragment(v.Request) {
		fragment = ui.Target(v.Request)
	}
	known := glossary{}
	if fragment == "" {
		known = p.glossary(v)
		if to, ok := p.searched(v, known); ok {
			http.Redirect(v.Writer, v.Request, to, http.StatusSeeOther)
			return nil
		}
	}
	s, err := p.state(v)
	if err != nil {
		return err
	}
	data := &explorerPage{URL: v.base()}
	var flash *ui.Flash
	if s.event != "" {
		switch data.Detail, err = p.detailOf(v, s.event, true); {
		case errs.Is(err, errs.CodeNotFound) && fragment == "":
			flash = &ui.Flash{Tone: ui.Warn, Text: "There is no event " + s.event + " in this account's audit log"}
		case err != nil:
			return err
		}
	}
	data.Self = v.Request.URL.Path + query(withoutOpen(v.Request.URL.Query()))
	if fragment == headID {
		return p.head(v, data, s)
	}
	if fragment == "" { // before the rows: an event that comes in between is counted rather than missed
		if data.Size, err = p.reader.Size(s.Context(), s.Account); err != nil {
			return err
		}
		if err := p.fillNew(data, s); err != nil {
			return err
		}
	}
	if fragment != "detail" {
		if err := p.fillRows(data, s); err != nil {
			return err
		}
	}
	if fragment == "" {
		if err := p.fillFrame(data, s, known); err != nil {
			return err
		}
	}
	data.Framed = v.Framed()
	return v.Show(page.View{
		Section:  "audit",
		Title:    "Audit log",
		Template: "explorer",
		Data:     data,
		Modules:  []string{recordModule},
		Flash:    flash,
	})
}

// fillRows reads one page of the list.
func (p *pages) fillRows(data *explorerPage, s state) error {
	q := s.query()
	cursor := s.Query("cursor")
	if cursor != "" {
		after, err := page.Cursor[ledger.Position](s.Visit)
		if err != nil {
			return err
		}
		q.After = &after
		data.Newest = ui.With(s.Request.URL)
	}
	keep, views := p.keep(s)
	found, err := p.reader.Browse(s.Context(), s.Account, q, perPage, keep)
	if narrow(err) {
		data.Narrow = errs.All(err)[0].Message
		data.Reset = s.base()
		return nil
	}
	if err != nil {
		return err
	}
	l := rowList{
		pages:       p,
		visit:       s.visit,
		explorerURL: s.Request.URL,
		open:        s.event,
		target:      "detail",
		fold:        !s.Request.URL.Query().Has("change_set"),
		live:        true,
	}
	data.Rows = l.rows(found.Records)
	data.Hidden = *views
	data.Reset = s.base()
	if s.filtered() && cursor == "" && !found.Cut {
		m := matched{N: len(found.Records), Hidden: *views}
		if found.Next != nil && s.text == "" {
			if m, err = p.countMatched(s); err != nil {
				return err
			}
		}
		m.More = m.More || found.Next != nil && s.text != ""
		data.matched = &m
		data.Matched = m.String()
	}
	if found.Next != nil {
		data.Next = s.Next(found.Next)
	}
	if s.text != "" || found.Cut {
		data.Looking = &looking{Text: s.text, Looked: found.Looked}
		if found.Next != nil {
			data.Looking.Back = time.UnixMicro(found.Next.At).UTC()
			data.Looking.Older = data.Next
		}
		if len(data.Rows) == 0 {
			data.Next = "" // said above the empty list
		}
	}
	return nil
}

// fillFrame fills the parts of the page around the rows.
func (p *pages) fillFrame(data *explorerPage, s state, known glossary) error {
	if err := p.fillSize(data, s); err != nil {
		return err
	}
	data.Tabs = p.tabs(s.visit, "Events")
	data.Unknown = strings.Join(s.unknown, ", ")
	if err := p.fillFilters(data, s); err != nil {
		return err
	}
	q := withoutOpen(s.Request.URL.Query())
	data.Live = s.base() + "/live" + query(q)
	data.Toggles = toggles(s, q)
	asked := apiQuery(s)
	data.Curl = p.curl(s.api() + "/logs/audit" + query(asked))
	if s.mayExport() {
		data.Exports = append(exports(s.visit, asked, data.exported(s, data.matched)), ui.Link{
			Label: "In the background, with progress", Icon: "workflow", Href: s.base() + "/export" + query(exportable(q)),
		})
	}
	if known.untaught() && len(data.Filters.Chips) == 0 && s.text == "" {
		data.Lesson = p.lesson(s.visit)
	}
	return nil
}

// fillFilters fills the bar above the list. A search or a new filter closes the open event; a chip keeps it.
func (p *pages) fillFilters(data *explorerPage, s state) error {
	keys := filterKeys(s.Account)
	list := &url.URL{Path: s.Request.URL.Path, RawQuery: withoutOpen(s.Request.URL.Query()).Encode()}
	data.Filters = ui.NewFilters(list, "Search, or actor:ana product:shop", keys...)
	data.Filters.Chips = ui.Chips(s.Request.URL, keys...)
	data.Filters.Range = &s.period
	p.nameChips(s.visit, data)
	return s.Views("audit", &data.Filters)
}

// toggles are the switches next to the filters.
func toggles(s state, q url.Values) []ui.Link {
	only := ui.Link{Label: "People only", Icon: "user", Href: ui.With(s.Request.URL, "actor_type", "user")}
	if q.Get("actor_type") == "user" {
		only.Current = true
		only.Href = ui.With(s.Request.URL, "actor_type", "")
	}
	reads := ui.Link{Label: "Show reads", Icon: "eye-off", Href: ui.With(s.Request.URL, "views", "shown")}
	if s.views {
		reads.Current = true
		reads.Icon = "eye"
		reads.Href = ui.With(s.Request.URL, "views", "")
	}
	return []ui.Link{only, reads}
}

// untaught reports whether no product has sent an event yet: the record holds
// at most what Belfry says of itself.
func (g glossary) untaught() bool {
	return g.answered && (len(g.products) == 0 || len(g.products) == 1 && g.products[0] == event.Product)
}

// apiQuery is the same question to the API, which wants both ends of the time.
func apiQuery(s state) url.Values {
	q := url.Values{}
	for _, c := range s.raw {
		name := c.Field
		if c.Not {
			name += ".not"
		}
		q[name] = c.Values
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
func (p *pages) nameChips(v visit, data *explorerPage) {
	names := map[string]string{}
	learn := func(s ui.Sentence) {
		for _, part := range s {
			if part.Key != "" && part.Text != part.Value {
				names[part.Key+"\x00"+part.Value] = part.Text
			}
		}
	}
	for _, r := range data.Rows {
		learn(r.Sentence)
	}
	chips := data.Filters.Chips
	for i, c := range chips {
		if c.Label == "Property" {
			if _, found, err := p.sources.Zone(v.Context(), v.Account, c.Value); err == nil &&
				found != "" { // without a name, the id is shown
				chips[i].Value = visible(found)
				continue
			}
		}
		ids := p.idsOf(v, c)
		for _, field := range named[c.Label] {
			known := field + "\x00" + c.Value
			if names[known] == "" {
				queryWithin(v.Context(), 300*time.Millisecond, func(ctx context.Context) error {
					q := ledger.Query{Filters: []record.Filter{{Field: field, Values: []string{c.Value}}}, Limit: 1}
					found, err := p.reader.List(ctx, v.Account, q)
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
				chips[i].Value = names[known]
				break
			}
		}
		chips[i].Value = visible(chips[i].Value)
		if ids > 1 {
			chips[i].Value += " (" + strconv.Itoa(ids) + " ids)"
		}
	}
}

// idsOf is the number of actor ids that a chip filters by.
func (p *pages) idsOf(v visit, c ui.Chip) int {
	if c.Label != "Actor" {
		return 1
	}
	same, err := p.samePerson(v.Context(), v.Account, []record.Filter{{Field: "actor_id", Values: []string{c.Value}}})
	if err != nil {
		return 1
	}
	return len(same[0].Values)
}

// named are the fields whose values have names in sentences, by the labels of
// their chips.
var named = map[string][]string{"Actor": {"actor_id"}, "Resource": {"resource_id"}, "Property": {"zone"}}

// lesson is shown while the record is empty: how to send the first event.
type lesson struct{ Curl, Tokens string }

func (p *pages) lesson(v visit) *lesson {
	const sample = `{
    "action":   {"type": "update"},
    "actor":    {"type": "user", "id": "ana@example.com"},
    "resource": {"product": "shop", "type": "setting", "id": "payment_timeout"}
  }`
	l := &lesson{
		Curl: p.curl(v.api()+"/audit/events", "\\\n  -H 'Content-Type: application/json'", "\\\n  -d '"+sample+"' \\\n "),
	}
	if v.Can(account.TokensWrite) {
		l.Tokens = account.TokensPath(v.Account)
	}
	return l
}
