package audit

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// detailPage is the data of the template "event": one event in full, in a pane next to
// the list or on a page of its own.
type detailPage struct {
	Pane         bool // next to the list
	Close        string
	Permalink    string
	Actor, Kind  string
	Sentence     ui.Sentence
	Plain        string // the sentence as text
	Tab          string // event, json, proof
	Tabs         []ui.Link
	Marks        []badge
	Failed, View bool
	Description  string
	Covered      bool

	Who      []filterValue
	Email    filterValue
	Token    filterValue
	Behalf   filterValue
	Resource filterValue
	Product  filterValue
	Type     filterValue
	Zone     filterValue
	Action   filterValue
	Address  filterValue
	Via      filterValue
	Set      filterValue
	Scope    string
	Agent    string

	At, RecordedAt time.Time
	Late           string // how much later it was recorded, when that matters
	Reason         string
	ReasonURL      string
	Seq            int64
	ID             string
	SubmittedBy    string
	Erased         []string
	Related        []filterValue
	Request        []fact

	Changes  []ui.Change
	More     int // changes that are not listed
	Before   any
	After    any
	Only     string // "Before" or "After" when there is one side alone
	Metadata jsontext.Value
	JSON     jsontext.Value

	History string
	Around  *around
	Curl    string
	Link    string
	Proof   *proofPage
}

// filterValue is a value by which the record can be filtered. In reports that the page shows a list next to it, which a
// click filters.
type filterValue struct {
	Key, Value, Label, Href string
	Mono, In                bool
}

// fact is one line of a list of facts.
type fact struct{ Name, Text string }

// around lists the events before and after an event, on its zone or else in
// the account.
type around struct {
	Where         string
	Earlier       []eventRow
	Later         []eventRow
	Before, After string // URLs of more
}

// interfaces are the interfaces of events, in words for people.
var interfaces = map[string]string{"UI": "web pages", "API": "API", "CLI": "command line", "SYSTEM": "system"}

func (p *pages) event(pv *page.Visit) error {
	v := p.visit(pv)
	d, err := p.detailOf(v, v.PathValue("event_id"), false)
	if err != nil {
		return err
	}
	return v.Show(page.View{Section: "audit", Title: d.Plain, Template: "event", Data: d, Modules: []string{recordModule}})
}

// maxListed is how many changed members are listed; the diff below has all.
const maxListed = 40

// detailOf reads everything about one event.
func (p *pages) detailOf(v visit, id string, pane bool) (*detailPage, error) {
	rec, err := p.reader.Get(v.Context(), v.Account, id)
	if err != nil {
		return nil, err
	}
	e := &rec.Event
	l := rowList{pages: p, visit: v, explorerURL: v.Request.URL, live: pane}
	d := &detailPage{
		Pane:        pane,
		Permalink:   v.base() + "/events/" + url.PathEscape(e.ID),
		Actor:       visible(rec.ActorName()),
		Kind:        e.Actor.Type,
		Sentence:    l.sentenceOf(rec),
		Plain:       visible(p.sentence(rec)),
		Marks:       badges(rec),
		Failed:      e.Action.Result == "failure",
		View:        p.isView(rec),
		Description: visible(e.Action.Description),
		At:          e.At(),
		Seq:         rec.Seq,
		ID:          e.ID,
		SubmittedBy: rec.SubmittedBy.Type + " " + rec.SubmittedBy.ID,
		Erased:      rec.Erased,
		Scope:       e.Resource.Scope,
		Close:       v.base(),
	}
	if pane {
		d.Close = ui.With(v.Request.URL, "event", "", "tab", "", "verify", "")
	}
	d.Link = p.URL() + d.Permalink
	d.Curl = p.curl(v.api() + "/audit/events/" + url.PathEscape(e.ID))
	d.Reason, d.ReasonURL = why(e)
	d.tabs(v)
	p.values(d, v, rec)
	d.times(rec)
	d.changes(rec)
	size, err := p.reader.SignedSize(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	d.Covered = rec.Seq < size
	switch d.Tab {
	case "json":
		d.JSON, err = rec.Shown()
		d.JSON = jsontext.Value(visible(string(d.JSON)))
	case "proof":
		d.Proof, err = p.proofOf(v, rec)
	default:
		queryWithin(v.Context(), 700*time.Millisecond, func(ctx context.Context) error { return p.surround(ctx, d, v, rec) })
	}
	return d, err
}

// tabs keep what else the URL says.
func (d *detailPage) tabs(v visit) {
	d.Tab = v.Request.URL.Query().Get("tab")
	if d.Tab != "json" && d.Tab != "proof" {
		d.Tab = "event"
	}
	for _, t := range []struct{ name, label, icon string }{
		{"event", "Event", "scroll-text"},
		{"json", "JSON", "braces"},
		{"proof", "Proof", "fingerprint"},
	} {
		name := t.name
		if name == "event" {
			name = ""
		}
		href := ui.With(v.Request.URL, "tab", name, "verify", "")
		d.Tabs = append(d.Tabs, ui.Link{Label: t.label, Icon: t.icon, Href: href, Current: d.Tab == t.name})
	}
}

// values fills the values that the record can be filtered by.
func (p *pages) values(d *detailPage, v visit, rec *record.Record) {
	e := &rec.Event
	of := func(key, val, label string, mono bool) filterValue {
		if val == "" {
			return filterValue{}
		}
		href := v.base() + query(url.Values{key: {val}})
		if d.Pane {
			href = ui.Filtered(v.Request.URL, key, val, false)
		}
		return filterValue{Key: key, Value: val, Label: visible(cmp.Or(label, val)), Href: href, Mono: mono, In: d.Pane}
	}
	a := e.Actor
	d.Who = append(d.Who, of("actor_id", a.ID, cmp.Or(a.Name, a.Email, a.TokenName, a.ID), false))
	d.Email = of("actor_email", a.Email, "", false)
	if a.Email == cmp.Or(a.Name, a.Email) {
		d.Email = filterValue{}
	}
	d.Token = of("actor_token_name", a.TokenName, "", false)
	if a.TokenName == "" {
		d.Token = of("actor_token_id", a.TokenID, "", true)
	}
	if o := a.OnBehalfOf; o != nil {
		d.Behalf = filterValue{Label: visible(cmp.Or(o.Email, o.ID, "an erased "+o.Type))}
	}
	d.Resource = of("resource_id", e.Resource.ID, rec.ResourceName(), false)
	d.Product = of("resource_product", e.Resource.Product, "", false)
	d.Type = of("resource_type", e.Resource.Type, record.Humanize(e.Resource.Type), false)
	d.Zone = of("zone", cmp.Or(e.Zone.ID, e.Zone.Name), cmp.Or(e.Zone.Name, e.Zone.ID), false)
	d.Action = of("action_type", e.Action.Type, "", true)
	d.Address = of("actor_ip_address", a.IPAddress, "", true)
	d.Via = of("interface", e.Interface, interfaces[e.Interface], false)
	d.Set = of("change_set", e.ChangeSet, "", true)
	for _, one := range e.Related {
		rel := of("resource_id", one.ID, cmp.Or(one.Name, one.ID), false)
		rel.Value = record.Humanize(one.Type)
		d.Related = append(d.Related, rel)
	}
	if q := e.Request; q != nil {
		for _, f := range []fact{{"Request", q.Method + " " + q.URI}, {"Id", q.ID}, {"Agent", q.UserAgent}} {
			if f.Text != "" && f.Text != " " {
				d.Request = append(d.Request, fact{f.Name, visible(f.Text)})
			}
		}
		if q.StatusCode != 0 {
			d.Request = append(d.Request, fact{"Status", strconv.Itoa(q.StatusCode)})
		}
	}
	if e.Resource.ID != "" {
		d.History = v.base() + "/history" +
			query(url.Values{
				"resource_product": {e.Resource.Product},
				"resource_type":    {e.Resource.Type},
				"resource_id":      {e.Resource.ID},
			})
	}
	if string(e.Metadata) != "{}" {
		d.Metadata = jsontext.Value(visible(string(e.Metadata)))
	}
}

func (d *detailPage) times(rec *record.Record) {
	if t, err := time.Parse(record.TimeLayout, rec.RecordedAt); err == nil {
		d.RecordedAt = t
		if gap := t.Sub(d.At); gap > time.Minute || gap < -time.Minute {
			d.Late = ui.Words(gap.Abs())
			if gap < 0 {
				d.Late += " before"
			} else {
				d.Late += " after"
			}
		}
	}
}

// changes compares before and after.
func (d *detailPage) changes(rec *record.Record) {
	e := &rec.Event
	before := jsontext.Value(visible(string(e.Before)))
	after := jsontext.Value(visible(string(e.After)))
	switch {
	case e.Before == nil && e.After == nil:
	case e.Before == nil:
		d.Only = "After"
		d.After = []byte(after)
	case e.After == nil:
		d.Only = "Before"
		d.Before = []byte(before)
	default:
		d.Before = []byte(before)
		d.After = []byte(after)
		d.Changes = shownChanges(record.Diff(before, after))
		if n := len(d.Changes); n > maxListed {
			d.Changes = d.Changes[:maxListed]
			d.More = n - maxListed
		}
	}
}

// shownChanges are changes as a page lists them.
func shownChanges(list []record.Change) []ui.Change {
	out := make([]ui.Change, 0, len(list))
	for _, c := range list {
		out = append(out, ui.Change{Path: dottedPath(c.Path), Op: c.Op, Old: shortJSON(c.Before), New: shortJSON(c.After)})
	}
	return out
}

// dottedPath writes a pointer as people do: mechanisms.email.0.id.
func dottedPath(pointer string) string {
	if pointer == "" {
		return "the whole value"
	}
	s := ""
	for _, t := range event.PointerTokens(pointer) {
		if s != "" {
			s += "."
		}
		s += t
	}
	return s
}

// shortJSON is a value in a list of changes: the diff has it whole.
func shortJSON(v jsontext.Value) string {
	const most = 300
	s := visible(string(v))
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// withOtherIDs changes the ids of a row that the list may show as well.
func (r *eventRow) withOtherIDs() {
	r.Day = time.Time{}
	r.Dated = true
	r.ID = "around-" + r.ID
	for i := range r.Fold {
		r.Fold[i].withOtherIDs()
	}
}

// aroundRows is how many events before and after are shown.
const aroundRows = 3

// surround finds what happened before and after on the event's zone, or in the
// account where it has none.
func (p *pages) surround(ctx context.Context, d *detailPage, v visit, rec *record.Record) error {
	e := &rec.Event
	at := ledger.PositionOf(rec)
	a := &around{Where: "in this account"}
	base := url.Values{}
	var filters []record.Filter
	if zone := cmp.Or(e.Zone.ID, e.Zone.Name); zone != "" {
		filters = []record.Filter{{Field: "zone", Values: []string{zone}}}
		a.Where = "on " + visible(cmp.Or(e.Zone.Name, e.Zone.ID))
		base.Set("zone", zone)
	}
	if e.ChangeSet != "" { // its own parts are no context
		filters = append(filters, record.Filter{Field: "change_set", Not: true, Values: []string{e.ChangeSet}})
	}
	l := rowList{pages: p, visit: v, explorerURL: v.Request.URL, fold: true}
	if d.Pane {
		l.target = "detail"
	}
	for _, ascending := range []bool{true, false} {
		found, err := p.reader.Browse(ctx, v.Account, ledger.Query{Filters: filters, After: at, Ascending: ascending},
			4*aroundRows, nil)
		if err != nil {
			return err
		}
		rows := l.rows(found.Records)
		rows = rows[:min(len(rows), aroundRows)]
		for i := range rows {
			rows[i].withOtherIDs()
		}
		if ascending {
			for i := len(rows) - 1; i >= 0; i-- {
				a.Later = append(a.Later, rows[i])
			}
		} else {
			a.Earlier = rows
		}
	}
	span := func(since, before time.Time) string {
		q := url.Values{"since": {since.Format(time.RFC3339Nano)}, "before": {before.Format(time.RFC3339Nano)}}
		for k, val := range base {
			q[k] = val
		}
		return v.base() + query(q)
	}
	a.Before = span(d.At.Add(-time.Hour), d.At)
	a.After = span(d.At.Add(time.Microsecond), d.At.Add(time.Hour))
	if len(a.Earlier)+len(a.Later) > 0 {
		d.Around = a
	}
	return nil
}
