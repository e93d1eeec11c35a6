package slo

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

const (
	marksOfChanges = 8
	marksOfAlerts  = 8
	pastRows       = 20
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
// why, and what changed.
type objectivePage struct {
	*Objective
	Status   Status
	Zone     string
	ZoneHref string
	Path     string
	Back     string
	CanWrite bool
	Pairs    []pairRow
	Headline string // first sentence of the status
	Rest     string // the other sentences
	Achieved string
	Since    time.Time // start of the oldest firing
	Fastest  string    // "pages at 14.4×"
	Ranges   []ui.Link
	Live     string // URL of the fragments
	Budget   ui.Chart
	Burn     ui.Chart
	Past     []Past
	Older    string // URL of older transitions
	Record   string // URL of the changes of the objective itself
}

func (p *pages) showOne(v *page.Visit) error {
	o, s, err := p.Status(v.Context(), v.Account, v.PathValue("slo_id"))
	if err != nil {
		return err
	}
	rg, _ := RangeOf(v.Query("range"))
	path := objectivePath(v.Account, o.ID)
	data := objectivePage{
		Objective: o,
		Status:    s,
		Path:      path,
		Back:      objectivesPath(v.Account),
		CanWrite:  v.Can(account.SLOWrite),
		Live:      path + "?" + url.Values{"range": {rg.Name}}.Encode(),
		Achieved:  "–",
	}
	if s.Budget.Total > 0 {
		data.Achieved = strconv.FormatFloat(math.Floor(s.Budget.Achieved*1000)/1000, 'f', 3, 64) + " %"
	}
	data.Headline, data.Rest = cutSentence(s.Sentence)
	_, zone, err := p.cfg.Zone(v.Context(), v.Account, o.Match.Zone)
	if err != nil {
		return err
	}
	data.Zone = cmp.Or(zone, "a deleted property")
	if v.Can(account.AuditRead) {
		record := account.RecordPath(v.Account) + "?"
		data.ZoneHref = record + url.Values{"zone": {o.Match.Zone}}.Encode()
		data.Record = record + url.Values{"resource_id": {o.ID}}.Encode()
	}
	data.setPairs()
	for _, one := range Ranges {
		data.Ranges = append(data.Ranges, ui.Link{
			Label:   one.Name,
			Href:    path + "?" + url.Values{"range": {one.Name}}.Encode(),
			Current: one.Name == rg.Name,
		})
	}
	if !ui.Fragment(v.Request) || ui.Target(v.Request) == "objective-charts" {
		if err := p.charts(v, &data, rg); err != nil {
			return err
		}
	}
	past, err := p.past(v, o)
	if err != nil {
		return err
	}
	data.Past = past.Items
	data.Older = past.Next
	return v.Show(page.View{Section: section, Title: o.Name, Template: "objective", Data: data})
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
			if d.Since.IsZero() || row.SinceAt.Before(d.Since) {
				d.Since = row.SinceAt
			}
		}
		d.Pairs = append(d.Pairs, row)
	}
	if len(d.Pairs) > 0 {
		fastest := d.Pairs[0]
		d.Fastest = "pages at " + factorText(fastest.Factor)
		if fastest.Severity == Ticket {
			d.Fastest = "opens a ticket at " + factorText(fastest.Factor)
		}
	}
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
