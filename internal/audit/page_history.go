package audit

import (
	"bytes"
	"net/url"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// maxVersions is how many versions of a resource one page compares.
const maxVersions = 200

// historyPage is a resource's life: what it is now and who made each part so,
// then its versions, the newest first.
type historyPage struct {
	Name, Product, Type, ID string
	Zone                    string
	Back, All               string
	Members                 []held
	Gone                    *version // the event that deleted it
	Versions                []version
	Cut                     bool // there are older ones
	Silent                  bool // no event says values
}

// held is one part of the resource's present value, and who changed it last.
type held struct {
	Name, Value string
	Actor, Kind string
	At          time.Time
	Href        string
	First       bool // as old as what the record knows
}

// version is one event of the resource.
type version struct {
	Row     eventRow
	Changes []ui.Change
	More    int
	Outside []string // members that changed since the version before, outside of the record
}

// resource answers for one resource, named by product, type and id.
func (p *pages) resource(pv *page.Visit) error {
	v := p.visit(pv)
	q := v.Request.URL.Query()
	data := &historyPage{
		Product: q.Get("resource_product"),
		Type:    q.Get("resource_type"),
		ID:      q.Get("resource_id"),
		Back:    v.base(),
	}
	if data.Product == "" || data.Type == "" || data.ID == "" {
		return errs.At(errs.CodeMissingFilter, "resource_id",
			"a history is that of one resource: resource_product, resource_type and resource_id name it")
	}
	data.All = v.base() + query(url.Values{
		"resource_product": {data.Product},
		"resource_type":    {data.Type},
		"resource_id":      {data.ID},
	})
	found, err := p.reader.List(v.Context(), v.Account, ledger.Query{
		Limit: maxVersions,
		Filters: []record.Filter{
			{Field: "resource_id", Values: []string{data.ID}},
			{Field: "resource_product", Values: []string{data.Product}},
			{Field: "resource_type", Values: []string{data.Type}},
		},
	})
	if err != nil {
		return err
	}
	if len(found.Records) == 0 {
		return errs.New(errs.CodeNotFound, "the audit log has no event of this resource")
	}
	data.Cut = found.Next != nil
	newest := found.Records[0]
	data.Name = visible(newest.ResourceName())
	data.Zone = visible(newest.Event.Zone.Name)
	l := rowList{pages: p, visit: v, explorerURL: v.Request.URL}
	p.fillHistory(data, l, found.Records)
	data.ID = visible(data.ID)
	data.Product = visible(data.Product)
	data.Type = visible(record.Humanize(data.Type))
	return v.Show(page.View{
		Section:  "audit",
		Title:    "History of " + data.Name,
		Template: "history",
		Data:     data,
		Modules:  []string{recordModule},
	})
}

func (p *pages) fillHistory(data *historyPage, l rowList, newestFirst []*record.Record) {
	changes := slices.DeleteFunc(slices.Clone(newestFirst), p.isView)
	slices.Reverse(changes)
	b := newBlame()
	for _, r := range changes {
		one := version{Row: l.row(r), Outside: b.take(r)}
		one.Changes = shownChanges(record.Diff(jsontext.Value(visible(string(r.Event.Before))),
			jsontext.Value(visible(string(r.Event.After)))))
		if r.Event.Before == nil || r.Event.After == nil { // created or deleted: the whole value, member by member
			one.Changes = shownChanges(wholeChanges(r))
		}
		if n := len(one.Changes); n > maxListed {
			one.Changes = one.Changes[:maxListed]
			one.More = n - maxListed
		}
		data.Versions = append(data.Versions, one)
	}
	slices.Reverse(data.Versions)
	day := ""
	for i := range data.Versions {
		one := &data.Versions[i].Row
		if d := one.At.Format(time.DateOnly); d != day {
			day = d
			one.Day = one.At
		}
	}
	data.Silent = !b.spoke
	if b.gone != nil {
		data.Gone = &data.Versions[slices.IndexFunc(data.Versions, func(v version) bool {
			return v.Row.ID == "e-"+b.gone.Event.ID
		})]
		return
	}
	for _, name := range b.names() {
		by := b.by[name]
		data.Members = append(data.Members, held{
			Name:  visible(name),
			Value: shortJSON(b.state[name]),
			Actor: visible(by.ActorName()),
			Kind:  by.Event.Actor.Type,
			At:    by.Event.At(),
			Href:  l.href(by.Event.ID),
			First: by == changes[0] && data.Cut,
		})
	}
}

// wholeChanges lists the members of the one side that there is.
func wholeChanges(r *record.Record) []record.Change {
	side, op := r.Event.After, "added"
	if side == nil {
		side, op = r.Event.Before, "removed"
	}
	if side.Kind() != '{' {
		return record.Diff(r.Event.Before, r.Event.After)
	}
	empty := jsontext.Value(`{}`)
	if op == "added" {
		return record.Diff(empty, side)
	}
	return record.Diff(side, empty)
}

// blame follows a resource's top-level members from event to event, as git
// blame follows lines. An event may carry the whole value or only what it
// changed: a member that neither side names stays as it was.
type blame struct {
	state map[string]jsontext.Value
	by    map[string]*record.Record // who set the present value
	gone  *record.Record            // the event that deleted it, until an event creates it again
	spoke bool                      // some event said values
}

func newBlame() *blame {
	return &blame{state: map[string]jsontext.Value{}, by: map[string]*record.Record{}}
}

// take goes on with the next event. outside are the members whose value before
// the event differs from the recorded one: they were changed without an event
// (drift).
func (b *blame) take(r *record.Record) (outside []string) {
	e := &r.Event
	if e.Action.Result == "failure" || e.Before == nil && e.After == nil {
		return nil
	}
	b.spoke = true
	earlier, later := topLevel(e.Before), topLevel(e.After)
	for name, old := range earlier {
		if known, ok := b.state[name]; ok && !bytes.Equal(known, old) {
			outside = append(outside, name)
		}
	}
	slices.Sort(outside)
	if e.After == nil {
		b.gone = r
		clear(b.state)
		clear(b.by)
		return outside
	}
	b.gone = nil
	for name := range earlier {
		if _, ok := later[name]; !ok {
			delete(b.state, name)
			delete(b.by, name)
		}
	}
	for name, now := range later {
		// Unchanged by this event: an earlier one is to blame, if there is one.
		if old, ok := earlier[name]; ok && bytes.Equal(old, now) && b.by[name] != nil && !slices.Contains(outside, name) {
			continue
		}
		if known, ok := b.state[name]; ok && bytes.Equal(known, now) {
			continue
		}
		b.state[name] = now
		b.by[name] = r
	}
	return outside
}

func (b *blame) names() []string {
	list := make([]string, 0, len(b.state))
	for name := range b.state {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// topLevel are an object's members; a value of another kind is one member, "value".
func topLevel(v jsontext.Value) map[string]jsontext.Value {
	if v == nil {
		return nil
	}
	var m map[string]jsontext.Value
	if v.Kind() != '{' || json.Unmarshal(v, &m) != nil {
		return map[string]jsontext.Value{"value": v}
	}
	return m
}
