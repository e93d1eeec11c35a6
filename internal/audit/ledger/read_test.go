package ledger_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// oracle is the naive reading of a record: all events in memory.
type oracle struct{ events []*oracleEvent }

// oracleEvent is one event that the test published.
type oracleEvent struct {
	id        string
	seq, at   int64
	action    string
	result    string
	actor     string
	actorType string
	email, ip string
	iface     string
	product   string
	resource  string
	zone      string // as published: a known zone's name, or an unknown one
	zoneID    string
	changeSet string
	status    int
}

// zones that are known here, by name.

func (e *oracleEvent) json() string {
	m := members{
		"id":          e.id,
		"occurred_at": time.UnixMicro(e.at).UTC().Format(time.RFC3339Nano),
		"action":      members{"type": e.action, "result": e.result},
		"interface":   e.iface,
		"actor":       members{"type": e.actorType, "id": e.actor, "email": e.email, "ip_address": e.ip},
		"resource":    members{"product": e.product, "type": "t", "id": e.resource},
		"change_set":  e.changeSet,
		"request":     members{"status_code": e.status},
	}
	if e.zone != "" {
		m["zone"] = e.zone
	}
	return asJSON(m)
}

// has returns the values by which a filter of this name finds the event.
func (e *oracleEvent) has(field string) []string {
	switch field {
	case "id":
		return []string{e.id}
	case "action_type":
		return []string{e.action}
	case "action_result":
		return []string{e.result}
	case "actor_id":
		return []string{e.actor}
	case "actor_email":
		return []string{e.email}
	case "actor_type":
		return []string{e.actorType, map[string]string{
			"user":        "user",
			"token":       "account",
			"integration": "account",
			"staff":       "cloudflare_admin",
			"system":      "system",
		}[e.actorType]}
	case "interface":
		return []string{e.iface}
	case "resource_product":
		return []string{e.product}
	case "resource_id":
		return []string{e.resource}
	case "change_set":
		return []string{e.changeSet}
	case "raw_status_code":
		return []string{strconv.Itoa(e.status)}
	case "zone": // the id; the name where no zone was known by it
		if e.zoneID != "" {
			return []string{e.zoneID}
		}
		return []string{e.zone}
	case "zone_id":
		return []string{e.zoneID}
	case "zone_name":
		return []string{e.zone}
	}
	panic(field)
}

func (e *oracleEvent) matches(filters []record.Filter) bool {
	for _, c := range filters {
		if len(c.Values) == 0 {
			continue
		}
		found := false
		if c.Field == "actor_ip_address" {
			for _, v := range c.Values {
				found = found || v == e.ip || strings.Contains(v, "/") &&
					netip.MustParsePrefix(v).Contains(netip.MustParseAddr(e.ip))
			}
		} else {
			for _, v := range e.has(c.Field) {
				found = found || v != "" && slices.Contains(c.Values, v)
			}
		}
		if found == c.Not {
			return false
		}
	}
	return true
}

// list returns the ids of everything that a query matches, in its order.
func (o *oracle) list(q ledger.Query) []string {
	var found []*oracleEvent
	for _, e := range o.events {
		if e.at >= q.Since && (q.Before == 0 || e.at < q.Before) && e.matches(q.Filters) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *oracleEvent) int {
		order := cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
		if !q.Ascending {
			order = -order
		}
		return order
	})
	ids := make([]string, len(found))
	for i, e := range found {
		ids[i] = e.id
	}
	return ids[min(q.Skip, len(ids)):]
}

// fillRandom stores n random events: a live stream whose times are often equal,
// and imports of old events in no order.
func (w *world) fillRandom(r *rand.Rand, account string, n int) *oracle {
	w.T.Helper()
	w.Zones = knownZones
	o := &oracle{}
	pick := func(prefix string, n int) string { return prefix + strconv.Itoa(int(r.ExpFloat64()*float64(n)/3)) }
	at := start.Add(-1000 * time.Hour).UnixMicro()
	for len(o.events) < n {
		importing := r.IntN(4) == 0
		size := 1 + r.IntN(400)
		var list []string
		var part []*oracleEvent
		for range size {
			when := at
			if importing {
				when = start.Add(-time.Duration(r.IntN(2000)) * time.Hour).UnixMicro()
			} else if r.IntN(3) == 0 {
				at += int64(r.IntN(3)) * 1_000_000
			}
			e := &oracleEvent{
				id:        fmt.Sprint("e-", len(o.events)+len(part)),
				at:        when,
				action:    pick("act", 5),
				result:    []string{"success", "failure"}[r.IntN(2)],
				actor:     pick("u", 20),
				actorType: []string{"user", "token", "integration", "staff", "system"}[r.IntN(5)],
				email:     pick("m", 4) + "@example.com",
				ip:        fmt.Sprintf("192.0.2.%d", r.IntN(8)),
				iface:     []string{"UI", "API"}[r.IntN(2)],
				product:   pick("p", 6),
				resource:  pick("r", 200),
				zone:      []string{"", "one.example", "two.example", "nobody.example"}[r.IntN(4)],
				changeSet: pick("c", 9),
				status:    200 + r.IntN(3),
			}
			e.zoneID = knownZones[e.zone]
			part, list = append(part, e), append(list, e.json())
		}
		for i, p := range w.Append(account, list...) {
			if p.Status != ledger.Accepted {
				w.T.Fatalf("%s: %s", p.Event.ID, p.Status)
			}
			part[i].seq = p.Seq
		}
		o.events = append(o.events, part...)
	}
	return o
}

// randomQuery makes a query that often matches something.
func (o *oracle) randomQuery(r *rand.Rand) ledger.Query {
	q := ledger.Query{Ascending: r.IntN(2) == 0, Limit: []int{1, 7, 50, 1000}[r.IntN(4)]}
	some := func() *oracleEvent { return o.events[r.IntN(len(o.events))] }
	if r.IntN(3) == 0 {
		q.Since = some().at
	}
	if r.IntN(3) == 0 {
		q.Before = some().at + int64(r.IntN(2))
	}
	if r.IntN(4) == 0 {
		q.Skip = r.IntN(60)
	}
	fields := []string{"actor_id", "resource_id", "resource_product", "action_type", "zone", // by the digests
		"id", "action_result", "actor_email", "actor_type", "interface", "change_set", "raw_status_code", "zone_id",
		"zone_name", "actor_ip_address"}
	for range r.IntN(4) {
		field := fields[r.IntN(len(fields))]
		if r.IntN(2) == 0 {
			field = fields[r.IntN(5)]
		}
		c := record.Filter{Field: field, Not: r.IntN(5) == 0}
		for range r.IntN(4) {
			if field == "actor_ip_address" {
				c.Values = append(c.Values, some().ip, "192.0.2.4/31")
				continue
			}
			values := some().has(field)
			if field == "zone" {
				values = append(values, some().zone)
			}
			c.Values = append(c.Values, values[r.IntN(len(values))])
		}
		closed := []string{"action_result", "actor_type", "actor_context", "interface", "raw_status_code", "actor_ip_address"}
		if r.IntN(10) == 0 && !slices.Contains(closed, field) {
			c.Values = append(c.Values, "nothing has this")
		}
		q.Filters = append(q.Filters, c)
	}
	return q
}

// walk reads all pages of a query, and checks each.
func (w *world) walk(account string, q ledger.Query, most int) []string {
	w.T.Helper()
	var ids []string
	for pages := 0; ; pages++ {
		page, err := w.Reader.List(w.T.Context(), account, q)
		if err != nil {
			w.T.Fatalf("%+v: %v", q, err)
		}
		if len(page.Records) > q.Limit || page.Next != nil && len(page.Records) != q.Limit {
			w.T.Fatalf("%+v: a page of %d, with a next one: %v", q, len(page.Records), page.Next != nil)
		}
		for _, r := range page.Records {
			ids = append(ids, r.Event.ID)
		}
		if page.Next == nil || len(ids) >= most {
			return ids
		}
		q.After = page.Next
		q.Skip = 0
	}
}

func TestListsAreThoseOfANaiveReader(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := rand.New(rand.NewPCG(3, 4))
		o := w.fillRandom(r, accountA, 2000)
		w.fillRandom(r, accountB, 300) // another account's events are never seen
		found, digests := 0, 0
		for i := range 100 {
			q := o.randomQuery(r)
			const most = 200 // a few pages of each; the walk through everything is another test
			want := o.list(q)
			got := w.walk(accountA, q, most)
			if len(got) < min(len(want), most) || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
				t.Fatalf("query %d %+v:\ngot  %d %v\nwant %d %v", i, q, len(got), got[:min(len(got), 20)], len(want),
					want[:min(len(want), 20)])
			}
			if found += len(got); slices.ContainsFunc(q.Filters, func(c record.Filter) bool {
				return !c.Not && len(c.Values) > 0 &&
					slices.Contains([]string{"actor_id", "resource_id", "resource_product", "action_type", "zone"}, c.Field)
			}) {
				digests++
			}
		}
		if found < 1500 || digests < 30 {
			t.Errorf("only %d events were found, %d queries went by the digests", found, digests)
		}
	})
}

func TestAWalkSeesEachEventOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := rand.New(rand.NewPCG(5, 6))
		o := w.fillRandom(r, accountA, 1200)
		for _, q := range []ledger.Query{
			{Limit: 97},
			{Limit: 1000, Ascending: true},
			{
				Limit:   97,
				Filters: []record.Filter{{Field: "resource_product", Values: []string{"p0"}}},
			},
			{
				Limit:     5,
				Ascending: true,
				Filters: []record.Filter{
					{Field: "zone", Values: []string{"z-1", "one.example"}},
					{Field: "resource_product", Values: []string{"p0", "p1"}},
				},
			},
			{Limit: 50, Filters: []record.Filter{{Field: "zone", Values: []string{"nobody.example"}, Not: true}}},
		} {
			if got, want := w.walk(accountA, q, 1<<30), o.list(q); !slices.Equal(got, want) {
				t.Errorf("%+v: %d events, want %d", q, len(got), len(want))
			}
		}
	})
}

// Events that arrive during a walk lie before its cursor or are seen; what was
// there before is seen once all the same.
func TestAWalkIsNotDisturbedByWhatArrives(t *testing.T) {
	w := newWorld(t, "")
	r := rand.New(rand.NewPCG(7, 8))
	o := w.fillRandom(r, accountA, 600)
	old := len(o.events)
	q := ledger.Query{Limit: 40, Filters: []record.Filter{{Field: "resource_product", Values: []string{"p0", "p1", "p2"}}}}
	want := o.list(q)
	var got []string
	for {
		page, err := w.Reader.List(t.Context(), accountA, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range page.Records {
			if rec.Seq < int64(old) {
				got = append(got, rec.Event.ID)
			}
		}
		if page.Next == nil {
			break
		}
		q.After = page.Next
		var late []string
		for i := range 30 {
			late = append(late, minimal(members{
				"id":          fmt.Sprint("late-", len(got), "-", i),
				"resource":    members{"product": "p0", "type": "t", "id": "r"},
				"occurred_at": start.Add(-time.Duration(r.IntN(2000)) * time.Hour).Format(time.RFC3339),
			}))
		}
		w.Append(accountA, late...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d of %d events", len(got), len(want))
	}
}

func TestASearchThatFindsNothingInItsTimeSaysSo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.FillTo(accountA, 1500)
		w.Reader.SetBudget(0)
		for name, filters := range map[string][]record.Filter{
			"by time":   {{Field: "actor_email", Values: []string{"nobody"}}},
			"by digest": {{Field: "actor_id", Values: []string{"u1"}}, {Field: "actor_email", Values: []string{"nobody"}}},
		} {
			page, err := w.Reader.List(t.Context(), accountA, ledger.Query{Limit: 10, Filters: filters})
			if !errs.Is(err, errs.CodeNarrowRange) {
				t.Errorf("%s: %v %+v", name, err, page)
			}
		}
		// One that has found something gives it and goes on from there.
		q := ledger.Query{Limit: 1000, Filters: []record.Filter{{Field: "id", Values: []string{"fill-1499", "fill-3"}}}}
		for _, want := range []string{"fill-1499", "fill-3"} {
			page, err := w.Reader.List(t.Context(), accountA, q)
			if err != nil || len(page.Records) != 1 || page.Records[0].Event.ID != want ||
				(page.Next != nil) != (want == "fill-1499") {
				t.Fatalf("%s: %v %+v", want, err, page)
			}
			q.After = page.Next
		}
		// Without a filter nothing is searched for.
		if page, err := w.Reader.List(t.Context(), accountA, ledger.Query{Limit: 10, Skip: 1200}); err != nil ||
			len(page.Records) != 10 || page.Next == nil {
			t.Errorf("%v %+v", err, page)
		}
	})
}

func TestAFilterThatCannotBeAskedIsRefused(t *testing.T) {
	w := newWorld(t, "")
	for _, c := range []struct {
		cond record.Filter
		code errs.Code
	}{
		{record.Filter{Field: "colour", Values: []string{"red"}}, errs.CodeInvalid},
		{record.Filter{Field: "actor_ip_address", Values: []string{"192.0.2.0/33"}}, errs.CodeInvalid},
		{record.Filter{Field: "actor_id", Values: make([]string, 101)}, errs.CodeOutOfRange},
	} {
		if _, err := w.Reader.List(t.Context(), accountA, ledger.Query{
			Limit:   1,
			Filters: []record.Filter{c.cond},
		}); !errs.Is(err, c.code) {
			t.Errorf("%+v: %v", c.cond, err)
		}
	}
	page, err := w.Reader.List(t.Context(), accountA, ledger.Query{Limit: 1})
	if err != nil || len(page.Records) != 0 || page.Next != nil {
		t.Errorf("an account without events: %v %+v", err, page)
	}
}
