package audit

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// eventRow is one line of the record: an event, or events that stand next to each
// other and belong together: those of one change set, or of one run of set-up
// work by a token or the operators.
type eventRow struct {
	ID, Href    string
	Actor, Kind string
	Sentence    ui.Sentence
	Note        string // why
	NoteURL     string
	Product     string
	Action      string
	At          time.Time
	Tone        ui.Tone
	Low         bool // a view
	Current     bool // open next to the list
	Target      string
	Marks       []badge
	Day         time.Time // set on the first row of a day (UTC)
	Dated       bool      // the row shows its date, because no heading does

	Fold   []eventRow // the change set's events, at most maxInline of them; Href leads to all
	Folded int        // how many it has here
}

// badge is a badge: only where it says something.
type badge struct {
	Label, Icon string
	Tone        ui.Tone
}

// maxInline is how many events of a change set a page holds, folded; a link
// leads to the others.
const maxInline = 20

// rowList makes rows for one place.
type rowList struct {
	*pages
	visit
	explorerURL *url.URL // of the explorer with its filters
	open        string   // the event that is open next to the list
	target      string   // where a row opens; "" = as a page of its own
	fold        bool
	live        bool // parts of a sentence filter the list that they stand in
}

// rows folds and groups records, which are in the order of the list.
func (l rowList) rows(records []*record.Record) []eventRow {
	var out []eventRow
	var day string
	for i := 0; i < len(records); {
		n := 1
		for l.fold && i+n < len(records) && records[i].SameChangeSet(records[i+n]) {
			n++
		}
		if run := l.run(records[i:]); n == 1 && run >= leastRun {
			n = run
		}
		var one eventRow
		if n > 1 {
			one = l.folded(records[i : i+n])
		} else {
			one = l.row(records[i])
		}
		if d := one.At.Format(time.DateOnly); d != day {
			day = d
			one.Day = one.At
		}
		out = append(out, one)
		i += n
	}
	return out
}

// A run is a row of changes to Belfry itself that one token, or the operators,
// made within a short time, as a set-up program does. One line for all of it
// leaves the page to what people and products did.
const (
	leastRun = 4
	runTime  = time.Minute // between two of its events
)

// run is how many of the first records are one run.
func (l rowList) run(records []*record.Record) int {
	n := 0
	for l.fold && n < len(records) {
		e := &records[n].Event
		machine := e.Actor.Type == "token" || e.Actor.Type == "staff" || e.Actor.Type == "system"
		if !machine || e.Resource.Product != event.Product || e.ChangeSet != "" || e.Action.Result == "failure" ||
			e.Resource.Type == "alert" {
			break
		}
		if first := &records[0].Event; n > 0 && (e.Actor.ID != first.Actor.ID || e.Actor.Type != first.Actor.Type ||
			records[n-1].Event.At().Sub(e.At()).Abs() > runTime) {
			break
		}
		n++
	}
	return n
}

// row is one event's.
func (l rowList) row(r *record.Record) eventRow {
	e := &r.Event
	one := eventRow{
		ID:       "e-" + e.ID,
		Href:     l.href(e.ID),
		Actor:    visible(r.ActorName()),
		Kind:     e.Actor.Type,
		Sentence: l.sentenceOf(r),
		Product:  e.Resource.Product,
		Action:   e.Action.Type,
		At:       e.At(),
		Low:      l.isView(r),
		Current:  e.ID == l.open,
		Target:   l.target,
		Marks:    badges(r),
	}
	if e.Action.Result == "failure" {
		one.Tone = ui.Bad
	}
	one.Note, one.NoteURL = why(e)
	return one
}

func (l rowList) href(id string) string {
	if l.target == "" {
		return l.base() + "/events/" + url.PathEscape(id)
	}
	return ui.With(l.explorerURL, "event", id, "tab", "", "verify", "")
}

// sentenceOf links the marked parts to the explorer where the page has no list that a click could filter.
func (l rowList) sentenceOf(r *record.Record) ui.Sentence {
	s := l.rowSentence(r)
	if l.live {
		return s
	}
	return linked(s, l.base())
}

// rowSentence is the event's sentence as a row shows it: long names are cut, and a failure is said by the row's badge.
func (f *Feature) rowSentence(r *record.Record) ui.Sentence {
	s := f.said(r)
	if last := len(s) - 1; last >= 0 {
		s[last].Text = strings.TrimSuffix(s[last].Text, " (failed)")
	}
	for i := range s {
		s[i].Text = clip(s[i].Text)
	}
	return s
}

// linked links the marked parts of a sentence to the explorer at base.
func linked(s ui.Sentence, base string) ui.Sentence {
	for i := range s {
		if s[i].Key != "" {
			s[i].Href = base + query(url.Values{s[i].Key: {s[i].Value}})
		}
	}
	return s
}

// clip cuts a name that would fill the page; the event's own page has it whole.
func clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// why is the reason in words, and its link.
func why(e *record.Event) (text, link string) {
	if e.Reason == nil {
		return "", ""
	}
	return visible(cmp.Or(e.Reason.Text, e.Reason.URL)), webLink(e.Reason.URL)
}

// webLink lets through what a browser may be sent to from a page of ours.
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return s
}

func badges(r *record.Record) []badge {
	var list []badge
	e := &r.Event
	if e.Action.Result == "failure" {
		list = append(list, badge{"failed", "circle-x", ui.Bad})
	}
	switch e.Actor.Type {
	case "staff":
		list = append(list, badge{"staff", "shield", ui.Warn})
	case "integration":
		list = append(list, badge{"integration", "plug", ui.Info})
	}
	if e.Actor.ThroughPortal() {
		list = append(list, badge{"customer portal", "plug", ui.Info})
	}
	if len(r.Erased) > 0 {
		list = append(list, badge{"erased fields", "eye-off", ui.Neutral})
	}
	return list
}

// folded is one row for the events of one change set, or of one run.
func (l rowList) folded(set []*record.Record) eventRow {
	first := set[0]
	one := l.row(first)
	one.ID = setID(first)
	one.Sentence = l.setSentence(set)
	one.Folded = len(set)
	one.Href = l.base() + query(url.Values{"change_set": {first.Event.ChangeSet}})
	if first.Event.ChangeSet == "" {
		newest := first.Event.At()
		oldest := set[len(set)-1].Event.At()
		if newest.Before(oldest) {
			newest, oldest = oldest, newest
		}
		one.Href = l.base() + query(url.Values{"actor_id": {first.Event.Actor.ID}, "resource_product": {event.Product},
			"since": {oldest.Format(time.RFC3339Nano)}, "before": {newest.Add(time.Microsecond).Format(time.RFC3339Nano)}})
	}
	one.Action, one.Product = common(set)
	one.Low = false
	one.Current = false
	one.Tone = ui.Neutral
	one.Marks = nil
	failed := 0
	seen := map[badge]bool{}
	for i, r := range set {
		for _, m := range badges(r) {
			if m.Tone == ui.Bad {
				failed++
			} else if !seen[m] {
				seen[m] = true
				one.Marks = append(one.Marks, m)
			}
		}
		one.Current = one.Current || r.Event.ID == l.open
		if i < maxInline {
			part := l.row(r)
			part.Note = ""
			part.NoteURL = "" // the set's own
			one.Fold = append(one.Fold, part)
		}
	}
	if failed > 0 {
		one.Marks = append([]badge{{strconv.Itoa(failed) + " failed", "circle-x", ui.Bad}}, one.Marks...)
	}
	return one
}

// setSentence says what a change set did: "Ana changed 14 files in one change
// set"; of a run, without its last words.
func (l rowList) setSentence(set []*record.Record) ui.Sentence {
	verb := record.Past(set[0].Event.Action.Type)
	kind := set[0].Event.Resource.Type
	zone := set[0].Event.Zone
	things := map[string]bool{}
	for _, r := range set {
		e := &r.Event
		if record.Past(e.Action.Type) != verb {
			verb = "changed"
		}
		if e.Resource.Type != kind {
			kind = "resource"
		}
		if e.Zone != zone {
			zone = record.ZoneRef{}
		}
		things[e.Resource.Product+"\x00"+e.Resource.Type+"\x00"+e.Resource.ID] = true
	}
	what := strconv.Itoa(len(things)) + " " + many(kind)
	if len(things) == 1 {
		what = record.Humanize(kind) + " " + clip(set[0].ResourceName()) + ", " + strconv.Itoa(len(set)) + " times,"
	}
	s := ui.Sentence{markPart(set[0], set[0].ActorPart()), {Text: " " + verb + " "}, {Text: what, Strong: true}}
	if zone.Name != "" {
		s = append(s, ui.Part{Text: " in "}, markPart(set[0], record.Part{Text: zone.Name, Role: record.NamesZone}))
	}
	if set[0].Event.ChangeSet != "" {
		s = append(s, ui.Part{Text: " in one change set"})
	}
	for i := range s {
		if !l.live && s[i].Key != "" {
			s[i].Href = l.base() + query(url.Values{s[i].Key: {s[i].Value}})
		}
	}
	return visibleParts(s)
}

// common is the action and product that all share.
func common(set []*record.Record) (action, product string) {
	action = set[0].Event.Action.Type
	product = set[0].Event.Resource.Product
	for _, r := range set {
		if r.Event.Action.Type != action {
			action = ""
		}
		if r.Event.Resource.Product != product {
			product = ""
		}
	}
	return action, product
}

// setID names a change set's row.
func setID(r *record.Record) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.Event.ChangeSet, r.Event.Actor.Type, r.Event.Actor.ID,
		r.Event.ID}, "\x00")))
	return "s-" + hex.EncodeToString(sum[:8])
}
