package slo

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

const (
	marksOfChanges = 8
	marksOfAlerts  = 8
	pastRows       = 10
	hubRows        = 10
)

// Parts of the page that ask for themselves.
const (
	partLive     = "objective-live"
	partCharts   = "objective-charts"
	partSpent    = "objective-spent"
	partActivity = "activity"
)

// pairRow is a row of the table of windows.
type pairRow struct {
	PairStatus
	SinceAt time.Time
	LongOn  bool // above the factor
	ShortOn bool
}

// Tone is the colour of a pair's state.
func (p PairStatus) Tone() ui.Tone {
	switch p.State {
	case "firing", "no_data":
		if p.Severity == Page {
			return ui.Bad
		}
		return ui.Warn
	case "covered", "held":
		return ui.Info
	}
	return ui.Good
}

// Word is the state of a pair as a label.
func (p PairStatus) Word() string {
	switch p.State {
	case "firing":
		return "Fires"
	case "no_data":
		return "Fires, no data"
	case "covered":
		return "Covered"
	case "held":
		return "Could be chance"
	}
	return "Quiet"
}

// objectivePage is the data of the template "objective". It answers first whether the budget burns, then since when,
// why, what spent it, and what changed.
type objectivePage struct {
	*Objective
	Status      Status
	Hub         ui.Hub
	Zone        string // name
	Path        string
	Live        string // URL of the fragments
	Headline    string // first sentence of the status
	Rest        string // the other sentences
	Since       time.Time
	Metrics     []ui.Metric
	Ranges      []ui.Link
	Budget      ui.Chart
	Burn        ui.Chart
	Pairs       []pairRow
	Spent       *spentPage
	Corrections objectiveCorrections
	Past        []Past
	Older       string // URL of older transitions
	Activity    *ui.Activity

	timeline timeline
	audit    string // path of the audit log; "" = the visitor may not read it
}

func (p *pages) showOne(v *page.Visit) error {
	part := ""
	if ui.Fragment(v.Request) {
		part = ui.Target(v.Request)
	}
	all := part == "" || part == partCharts || part == partSpent
	one, err := p.view(v.Context(), v.Account, v.PathValue("slo_id"), all)
	if err != nil {
		return err
	}
	o := one.Objective
	rg, _ := RangeOf(v.Query("range"))
	data := objectivePage{
		Objective: o,
		Status:    one.Status,
		Path:      objectivePath(v.Account, o.ID),
		timeline:  one.timeline,
	}
	data.Live = data.Path + "?" + url.Values{"range": {rg.Name}}.Encode()
	data.Headline, data.Rest = cutSentence(one.Status.Sentence)
	if v.Can(account.AuditRead) {
		data.audit = account.RecordPath(v.Account)
	}
	if _, data.Zone, err = p.cfg.Zone(v.Context(), v.Account, o.Match.Zone); err != nil {
		return err
	}
	data.setPairs()
	if part == "" || part == partCharts {
		data.setRanges(rg)
		if err := p.charts(v, &data, rg); err != nil {
			return err
		}
	}
	if part == "" || part == partSpent {
		if err := p.setSpent(v, &data); err != nil {
			return err
		}
	}
	if part == "" || part == partActivity {
		if err := p.setActivity(v, &data); err != nil {
			return err
		}
	}
	if err := p.setCorrections(v, &data); err != nil {
		return err
	}
	past, err := p.past(v, o)
	if err != nil {
		return err
	}
	data.Past = past.Items
	data.Older = past.Next
	newest, err := p.Transitions(v.Context(), o, 0, newestPast, 1)
	if err != nil {
		return err
	}
	var last *Past
	if len(newest) > 0 {
		last = &newest[0]
	}
	data.Since = one.Status.since(last)
	data.setMetrics(p.now())
	data.setHub(v)
	return v.Show(page.View{Section: section, Title: o.Name, Template: "objective", Data: data})
}

func (d *objectivePage) setRanges(rg Range) {
	for _, one := range Ranges {
		d.Ranges = append(d.Ranges, ui.Link{
			Label:   one.Name,
			Href:    d.Path + "?" + url.Values{"range": {one.Name}}.Encode(),
			Current: one.Name == rg.Name,
		})
	}
}

func (p *pages) setActivity(v *page.Visit, data *objectivePage) error {
	if p.cfg.Activity == nil || data.audit == "" {
		return nil
	}
	about := feature.About{ResourceType: "objective", ResourceID: data.ID}
	a, err := p.cfg.Activity(v.Context(), v.Who, v.Account, about, hubRows)
	if err != nil {
		return err
	}
	a.Note = "changes of this objective"
	a.Live = data.Live
	data.Activity = &a
	return nil
}

// setSpent reads what spent the budget.
func (p *pages) setSpent(v *page.Visit, data *objectivePage) error {
	var s Spending
	err := p.db.View(v.Context(), func(tx *db.Tx) (err error) {
		s, err = spendingOf(v.Context(), tx, data.Objective, &data.timeline)
		return err
	})
	data.Spent = spentPageOf(data, s)
	return err
}

// past reads the part of the transitions that the URL names.
func (p *pages) past(v *page.Visit, o *Objective) (page.List[Past], error) {
	position := func(t Past) pastCursor { return pastCursor{t.At.Unix(), t.ID} }
	return page.ReadList(v, pastRows, position, func(after pastCursor, limit int) ([]Past, error) {
		if after == (pastCursor{}) {
			after = newestPast
		}
		return p.Transitions(v.Context(), o, 0, after, limit)
	})
}

// setPairs makes the table of windows.
func (d *objectivePage) setPairs() {
	for _, one := range d.Status.Pairs {
		row := pairRow{
			PairStatus: one,
			LongOn:     one.Long.Burn > one.Factor,
			ShortOn:    one.Short.Burn > one.Factor,
		}
		if one.Since != nil {
			row.SinceAt = one.Since.Time
		}
		d.Pairs = append(d.Pairs, row)
	}
}

// fastest describes the fastest pair: "pages at 14.4×".
func (d *objectivePage) fastest() string {
	if len(d.Pairs) == 0 {
		return ""
	}
	fastest := d.Pairs[0]
	if fastest.Severity == Ticket {
		return "opens a ticket at " + factorText(fastest.Factor)
	}
	return "pages at " + factorText(fastest.Factor)
}

// setMetrics makes the cards.
func (d *objectivePage) setMetrics(now time.Time) {
	s := &d.Status
	left := ui.Metric{
		Label:  "Budget left",
		Icon:   "gauge",
		Value:  s.Budget.LeftText(),
		Tone:   s.BudgetTone(),
		NoData: s.Budget.Total == 0,
		Note:   "nothing was counted yet",
	}
	if s.Budget.Total > 0 {
		left.Progress = float64(s.Budget.Bar())
		left.Note = fmt.Sprintf("%s failed, %s may", grouped(s.Budget.Bad), grouped(d.mayFail(s.Budget.Total)))
	}
	burn := ui.Metric{
		Label: "Burn rate over " + s.BurnNow().WindowText(),
		Icon:  "flame",
		Value: s.BurnNow().BurnText(),
		Note:  d.fastest(),
	}
	switch {
	case s.Chance():
		burn.Note = "could be chance"
	case s.State == Burning:
		burn.Tone = ui.Bad
	case s.State == Recovering, s.Rising:
		burn.Tone = ui.Warn
	}
	ends := ui.Metric{Label: "Budget ends", Icon: "timer", Value: s.EndText(), Note: s.Pace()}
	if first := s.firing(); s.State == Recovering && first.ResolvesIn != nil {
		ends.Label = "Resolves in"
		ends.Value = clockSpan(float64(*first.ResolvesIn))
		ends.Note = "if it stays clean"
	}
	d.Metrics = []ui.Metric{left, burn, ends, d.lastFailure(now)}
}

// mayFail is the number of n requests that the target allows to fail, rounded down.
func (o *Objective) mayFail(n uint64) uint64 { return scaled(n, uint64(o.allowed), uint64(whole)) }

func (d *objectivePage) lastFailure(now time.Time) ui.Metric {
	m := ui.Metric{Label: "Last failure", Icon: "circle-x", Value: "none", Note: "in the stored counts"}
	b, ok := d.timeline.lastFailure()
	if !ok {
		if d.Status.Budget.Total == 0 {
			m.Value = "–"
		}
		return m
	}
	end := time.Unix(b.End, 0).UTC()
	m.Value = ui.Ago(now, end)
	m.Note = end.Format("2 Jan 2006, 15:04:05") + " UTC"
	if size := b.End - b.Start; size > 60 {
		m.Note = "within " + span(size) + " before " + end.Format("2 Jan, 15:04") + " UTC"
	}
	return m
}

// setHub sets the head and the properties.
func (d *objectivePage) setHub(v *page.Visit) {
	write := v.Can(account.SLOWrite)
	d.Hub = ui.Hub{
		Back:     ui.Link{Label: "Objectives", Href: objectivesPath(v.Account)},
		Icon:     "target",
		Title:    d.Name,
		Status:   ui.Status{Label: d.Status.Word(), Tone: d.Status.Tone()},
		Subtitle: ui.Sentence{{Text: d.promise()}},
		Live:     d.Live,
	}
	if write {
		d.Hub.Actions = []ui.Link{{Label: "Edit", Icon: "pencil", Href: d.Path + "/edit", Key: "e"}}
		d.Hub.More = append(d.Hub.More, ui.Link{
			Label: "Duplicate", Icon: "copy", Href: objectivesPath(v.Account) + "/new?" + url.Values{"from": {d.ID}}.Encode(),
		})
	}
	if write {
		href := d.Corrections.New
		if d.Status.State == Burning || d.Status.State == Recovering {
			href += "&kind=" + string(Incident)
		}
		d.Hub.More = append(d.Hub.More,
			ui.Link{Label: "Correct a time…", Icon: "calendar-clock", Href: href},
			ui.Link{Label: "Reset the budget…", Icon: "rotate-ccw", Href: d.Corrections.New + "&kind=" + string(Reset)})
	}
	d.Hub.More = append(d.Hub.More, ui.Link{Label: "Monthly report", Icon: "file-text", Href: reportPath(v.Account)})
	if d.audit != "" {
		d.Hub.More = append(d.Hub.More, ui.Link{
			Label: "Audit log of this objective",
			Icon:  "scroll-text",
			Href:  d.audit + "?" + url.Values{"resource_id": {d.ID}}.Encode(),
		})
	}
	if write {
		d.Hub.More = append(d.Hub.More, ui.Link{Label: "Delete…", Icon: "trash-2", Href: d.Path + "/delete", Danger: true})
	}
	d.Hub.Properties = []ui.PropertyGroup{d.stateGroup(v.Account), d.alertGroup(), d.recordGroup()}
	if write {
		d.Hub.Properties[0].Title = "Objective"
		d.Hub.Properties[0].Action = ui.Link{Label: "Edit", Href: d.Path + "/edit"}
	}
}

// promise is the target as a sentence.
func (d *objectivePage) promise() string {
	what := cmp.Or(d.Zone, deletedZone)
	if part := d.Part(); part != "" {
		what += ", " + part
	}
	return d.Percent() + " of the requests to " + what + " must succeed, " + d.WindowText() + "."
}

func (d *objectivePage) stateGroup(accountID string) ui.PropertyGroup {
	s := &d.Status
	state := ui.Property{Label: "State", Status: d.Hub.Status}
	if !d.Since.IsZero() {
		state.Note = "since " + d.Since.UTC().Format("2 Jan 2006, 15:04") + " UTC"
	}
	zone := ui.Property{Label: "Property", Text: d.Zone, Icon: "globe", Href: zonePath(accountID, d.Match.Zone)}
	if d.Composite != nil {
		zone = ui.Property{Label: "Members"}
		for _, member := range d.timeline.reading.parts {
			zone.Links = append(zone.Links, ui.Link{Label: member.Name, Href: objectivePath(accountID, member.ID)})
		}
	} else if d.Zone == "" {
		zone = ui.Property{Label: "Property", Text: deletedZone}
	}
	target := ui.Property{Label: "Target", Text: d.Percent()}
	window := ui.Property{Label: "Window", Text: d.WindowText()}
	reached := ui.Property{Label: "Reached"}
	if s.Budget.Total > 0 {
		target.Note = percentText(d.allowed.ratio()) + " may fail"
		window.Note = grouped(s.Budget.Total) + " requests"
		reached.Text = reachedText(s.Budget.Achieved)
	}
	g := ui.PropertyGroup{Properties: []ui.Property{state, zone, target, reached, window}}
	if part := d.Part(); part != "" {
		applies := ui.Property{Label: "Applies to", Text: part}
		g.Properties = append(g.Properties[:2], append([]ui.Property{applies}, g.Properties[2:]...)...)
	}
	return g
}

func (d *objectivePage) alertGroup() ui.PropertyGroup {
	g := ui.PropertyGroup{Title: "Alerts"}
	for _, p := range d.rules {
		text := string(p.Severity) + " at " + factorText(p.Factor)
		g.Properties = append(g.Properties, ui.Property{Label: p.String(), Text: text})
	}
	g.Properties = append(g.Properties, ui.Property{Label: "Guard", Text: guardText(d.Guard)})
	return g
}

func (d *objectivePage) recordGroup() ui.PropertyGroup {
	counts := ui.Property{Label: "Newest counts", At: d.Status.DataAt.Time, Ago: true}
	since := ui.Property{Label: "Counted since"}
	if d.timeline.reading.counted {
		since.At = time.Unix(d.timeline.reading.first, 0).UTC()
	}
	return ui.PropertyGroup{Title: "Record", Properties: []ui.Property{
		counts,
		since,
		{Label: "Created", At: d.CreatedOn.Time},
		{Label: "Modified", At: d.ModifiedOn.Time},
		{Label: "Id", Copy: d.ID, Text: clip(d.ID, 8) + "…"},
	}}
}

// cutSentence splits a text after its first sentence.
func cutSentence(s string) (first, rest string) {
	first, rest, found := strings.Cut(s, ". ")
	if found {
		first += "."
	}
	return first, rest
}

func factorText(f float64) string { return fmt.Sprintf("%.4g×", f) }
