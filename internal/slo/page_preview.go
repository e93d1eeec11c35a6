package slo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// previewPart is the preview beside the form: what the target means, what the objective would have paged, and when
// its pairs fire.
type previewPart struct {
	Tried     bool     // it is up to date with the form
	Faults    []string // why there is no preview
	Meaning   string
	Basis     string
	Left      string // of the budget
	Bar       float64
	Tone      ui.Tone
	Proposal  string // the proposed target, as it is typed; "" = none
	Proposed  string // sentence
	Alerts    string // sentence
	Rows      []previewRow
	More      int
	Note      string // how exact it is
	Compare   []compareRow
	Unchanged bool // the form is as the stored objective
	Pairs     []pairMeaning
	Evaluated bool
}

// previewRow is an alert that the objective would have sent.
type previewRow struct {
	At     time.Time
	Pair   string
	Kind   Severity
	Tone   ui.Tone
	Lasted string
	Burn   string
}

// compareRow is a number of the stored objective beside that of the form.
type compareRow struct {
	Name    string
	Before  string
	After   string
	Changed bool
}

// pairMeaning says when a pair fires.
type pairMeaning struct {
	Name     string
	Severity Severity
	Ratio    string // share of failed requests above which it fires
	Outage   string // time until a total outage fires it
	Spent    string // part of the budget that is spent then
}

// shownPreviewAlerts is how many alerts the preview lists.
const shownPreviewAlerts = 6

// previewPart evaluates the form.
func (p *pages) previewPart(v *page.Visit, f *objectiveForm) (previewPart, error) {
	part := previewPart{Tried: true}
	spec, err := f.checked()
	if spec.Name == "" {
		spec.Name = "The objective" // it may be named last
	}
	if err != nil {
		_, err = f.spec()
	}
	if err == nil && spec.Match.Zone == "" && spec.Match.Hostname == "" && spec.Match.Origin == "" {
		return part, nil // the form is not far enough
	}
	var o *Objective
	if err == nil {
		o, err = p.resolve(v.Context(), v.Account, spec)
	}
	if err != nil {
		if errs.KindOf(err) != errs.Invalid {
			return part, err
		}
		for _, one := range errs.All(err) {
			part.Faults = append(part.Faults, ui.FullSentence(one.Message))
		}
		return part, nil
	}
	if f.Existing != nil {
		o.ID = f.Existing.ID
	}
	counts, err := p.previewCounts(v.Context(), o)
	if err != nil {
		return part, err
	}
	after, err := p.evaluated(v.Context(), o, counts)
	if err != nil {
		return part, err
	}
	part.show(o, after)
	if f.Existing != nil {
		before, err := p.evaluated(v.Context(), f.Existing, counts)
		if err != nil {
			return part, err
		}
		part.compare(f.Existing, o, before, after)
	}
	return part, nil
}

// show describes a preview.
func (d *previewPart) show(o *Objective, p Preview) {
	for _, rule := range o.rules {
		d.Pairs = append(d.Pairs, meaningOf(o, rule))
	}
	d.Evaluated = p.Total > 0
	switch {
	case p.Basis == basisNone:
		d.Basis = "No request of this property has been counted in the last 28 days, so there is nothing to evaluate yet."
		return
	case p.Basis == basisZone:
		d.Basis = "This part is not counted on its own yet. The numbers are those of all requests of the property."
	}
	d.Meaning = fmt.Sprintf("Of %s requests in %s, %s may fail; %s did.",
		grouped(p.Total), p.length(), grouped(p.Allowed), grouped(p.Bad))
	d.Left = leftText(p.Left)
	d.Bar = 100 * min(1, max(0, p.Left))
	d.Tone = ui.Good
	if p.Left < 0.25 {
		d.Tone = ui.Warn
	}
	if p.Left <= 0 {
		d.Tone = ui.Bad
	}
	switch {
	case p.Proposed != nil && *p.Proposed != o.Target:
		d.Proposal = strconv.FormatFloat(*p.Proposed, 'f', -1, 64)
		d.Proposed = "Proposed from these counts: " + d.Proposal + " %. It would have spent " +
			shareOfBudget(p.ProposedSpent) + " of its budget."
	case p.Proposed != nil:
		d.Proposed = "This is the target that these counts suggest: it would have spent " + shareOfBudget(p.ProposedSpent) +
			" of its budget."
	default:
		d.Proposed = "There are too few requests, or too many failures, to propose a target."
	}
	d.Alerts = alertsSentence(p)
	for _, a := range p.Alerts[:min(len(p.Alerts), shownPreviewAlerts)] {
		row := previewRow{
			At:     a.At.Time,
			Pair:   a.Pair,
			Kind:   a.Severity,
			Tone:   ui.Warn,
			Lasted: "still fires",
			Burn:   times(a.Burn) + "×",
		}
		if a.Severity == Page {
			row.Tone = ui.Bad
		}
		if a.EndedAt != nil {
			row.Lasted = "for " + roughSpan(int64(a.EndedAt.Sub(a.At.Time).Seconds()))
		}
		d.Rows = append(d.Rows, row)
	}
	d.More = p.Pages + p.Tickets - len(d.Rows)
	if p.From.Before(p.Coarse.Time) {
		d.Note = "Counts older than three days are stored in steps of two hours. Shorter failures in them are spread over " +
			"their step, so real alerts may have begun sooner, or been more."
	}
	if !p.Complete {
		d.Note = "The evaluation took too long and was stopped: there may be more alerts. " + d.Note
	}
}

// length is the time of the counts: "the last 28 days".
func (p *Preview) length() string {
	days := int(math.Round(p.Until.Sub(p.From.Time).Hours() / 24))
	if days < 2 {
		return "the last " + span(int64(p.Until.Sub(p.From.Time).Seconds()))
	}
	return fmt.Sprintf("the last %d days", days)
}

// alertsSentence sums up the alerts of a preview.
func alertsSentence(p Preview) string {
	if p.Pages+p.Tickets == 0 {
		return "It would have sent no alert."
	}
	var parts []string
	if p.Pages > 0 {
		parts = append(parts, countText(uint64(p.Pages), "page", "pages"))
	}
	if p.Tickets > 0 {
		parts = append(parts, countText(uint64(p.Tickets), "ticket", "tickets"))
	}
	return "It would have sent " + strings.Join(parts, " and ") + "."
}

// compare lists what changes, and the numbers of the stored objective beside those of the form, on the same counts.
func (d *previewPart) compare(old, o *Objective, before, after Preview) {
	add := func(name, a, b string) { d.Compare = append(d.Compare, compareRow{name, a, b, a != b}) }
	changed := func(name, a, b string) {
		if a != b {
			add(name, a, b)
		}
	}
	changed("Applies to", cmp.Or(old.Part(), "the whole property"), cmp.Or(o.Part(), "the whole property"))
	changed("Target", old.Percent(), o.Percent())
	changed("Window", old.WindowText(), o.WindowText())
	changed("Pairs", pairsText(old), pairsText(o))
	changed("Guard", guardText(old.Guard), guardText(o.Guard))
	if d.Unchanged = len(d.Compare) == 0; d.Unchanged || after.Total == 0 {
		return
	}
	add("May fail in 28 days", grouped(before.Allowed), grouped(after.Allowed))
	add("Budget left of 28 days", leftText(before.Left), leftText(after.Left))
	add("Pages", strconv.Itoa(before.Pages), strconv.Itoa(after.Pages))
	add("Tickets", strconv.Itoa(before.Tickets), strconv.Itoa(after.Tickets))
}

// guardText names the parts of a guard.
func guardText(g Guard) string {
	text := "chance 1 in " + grouped(uint64(math.Round(1/g.Alpha)))
	if g.MinTotal > 0 {
		text += ", at least " + countText(uint64(g.MinTotal), "request", "requests")
	}
	if g.MinBad > 0 {
		text += ", at least " + countText(uint64(g.MinBad), "failure", "failures")
	}
	return text
}

// pairsText names the pairs: a named set, or each.
func pairsText(o *Objective) string {
	if name, ok := o.Pairs.(string); ok {
		return name
	}
	var list []string
	for _, p := range o.rules {
		list = append(list, p.String()+" at "+factorText(p.Factor))
	}
	return strings.Join(list, ", ")
}

// meaningOf says when a pair fires.
func meaningOf(o *Objective, p Pair) pairMeaning {
	m := pairMeaning{
		Name:     p.String() + " at " + factorText(p.Factor),
		Severity: p.Severity,
		Ratio:    percentText(p.Factor * o.allowed.ratio()),
		Outage:   "never",
	}
	if seconds, ok := detection(p, o.allowed, 1); ok {
		m.Outage = "after " + span(max(1, int64(seconds)))
	}
	period := budgetOf(o.Window, Tally{}, o.allowed, Tick).Period
	m.Spent = shareOfBudget(p.Factor * float64(p.Long.Seconds()) / float64(period))
	return m
}

// suggestedParts is how many parts of a zone a picker offers.
const suggestedParts = 20

// partItem is a suggestion of a picker.
type partItem struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
}

type partGroup struct {
	Kind  string     `json:"kind"`
	Label string     `json:"label"`
	Items []partItem `json:"items"`
}

type partGroups struct {
	Groups []partGroup `json:"groups"`
}

// findParts answers a picker with the hostnames, origins or path classes of a zone that were seen: those that are
// counted on their own, and the zone's aliases.
func (p *pages) findParts(v *page.Visit) error {
	kind := v.Query("kind")
	if !slices.Contains([]string{kindHostname, kindOrigin, kindPathClass}, kind) {
		return errs.At(errs.CodeInvalid, "kind", "kind is hostname, origin or path_class")
	}
	query := strings.ToLower(strings.TrimSpace(page.Cut(v.Query("q"), 255)))
	zoneID, name, err := p.cfg.Zone(v.Context(), v.Account, v.PathValue("zone_id"))
	if err != nil {
		return err
	}
	if zoneID == "" {
		return errs.New(errs.CodeNotFound, "there is no such property in this account")
	}
	var items []partItem
	add := func(value, origin string) {
		known := slices.ContainsFunc(items, func(i partItem) bool { return i.ID == value })
		if !known && len(items) < suggestedParts && strings.Contains(strings.ToLower(value), query) {
			items = append(items, partItem{ID: value, Title: value, Detail: origin})
		}
	}
	var seen []string
	err = p.db.View(v.Context(), func(tx *db.Tx) (err error) {
		seen, err = db.Collect(v.Context(), tx, db.ScanText, `SELECT DISTINCT value FROM line
			WHERE account_id = $1 AND zone_id = $2 AND kind = $3 ORDER BY value LIMIT 200`, v.Account, zoneID, kind)
		return err
	})
	if err != nil {
		return err
	}
	for _, value := range seen {
		add(value, "counted")
	}
	if kind == kindHostname && strings.Contains(name, ".") {
		add(name, "name of the property")
	}
	if p.cfg.Aliases != nil && kind != kindPathClass {
		aliases, err := p.cfg.Aliases(v.Context(), v.Account, zoneID)
		if err != nil {
			return err
		}
		for _, alias := range aliases {
			host := !strings.ContainsAny(alias, ":/*")
			if host == (kind == kindHostname) && !strings.Contains(alias, "*") {
				add(alias, "alias of the property")
			}
		}
	}
	out := partGroups{Groups: []partGroup{}}
	if len(items) > 0 {
		out.Groups = append(out.Groups, partGroup{Kind: kind, Label: "Seen", Items: items})
	}
	v.Writer.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(v.Writer).Encode(out)
}
