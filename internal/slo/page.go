package slo

import (
	"cmp"
	"context"
	"embed"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed page_*.html
var pageFiles embed.FS

// Change is something that was done to a zone, as a mark on a chart.
type Change struct {
	At          time.Time
	Label, Href string
}

// PageDeps are the functions of other features that the pages use; each may be
// nil.
type PageDeps struct {
	// Changes are the newest changes to a zone in a time, the oldest first.
	Changes func(ctx context.Context, accountID, zoneID string, since, until time.Time, limit int) ([]Change, error)
	// Zones are the zones that a form offers, as ids and names. Without it the
	// name is typed.
	Zones func(ctx context.Context, accountID string) ([][2]string, error)
}

// pages are the feature's pages in the dashboard.
type pages struct {
	*Feature
	*page.Set
}

// flashes are shown once on the page after a form.
var flashes = page.Flashes{
	"created": "Objective created.",
	"changed": "Objective changed.",
	"deleted": "Objective deleted. Its alerts have ended.",
}

// Pages registers the pages. Call it once, after New.
func (f *Feature) Pages(kit *page.Kit) error {
	set, err := kit.Parse(pageFiles, flashes)
	if err != nil {
		return err
	}
	p := &pages{f, set}
	const base = "/accounts/{account_id}/objectives"
	const one = base + "/{slo_id}"
	p.Get(base, account.SLORead, p.showList)
	p.Get(base+"/new", account.SLOWrite, p.showNew)
	p.Post(base, account.SLOWrite, page.Form[objectiveForm]{
		Parse:  parseObjectiveForm,
		Do:     p.createObjective,
		Fields: objectiveFields,
		Render: p.renderForm,
		Then:   p.objectiveCreated,
	}.Handle)
	p.Get(one, account.SLORead, p.showOne)
	p.Get(one+"/edit", account.SLOWrite, p.showEdit)
	p.Post(one, account.SLOWrite, page.Form[objectiveForm]{
		Parse:  p.parseExisting,
		Do:     p.replaceObjective,
		Fields: objectiveFields,
		Render: p.renderForm,
		Then:   p.objectiveChanged,
	}.Handle)
	p.Confirm(one+"/delete", account.SLOWrite, p.confirmDelete, p.delete)
	return nil
}

// Glance is the summary of one objective for the overview.
type Summary struct {
	ID, Name, Href string
	State          State
	Sentence       string
	Rising         bool // a short window burns above its pair's factor, and no pair fires yet
	Tone           ui.Tone
	Left           string  // of the budget: "91 %"; "–" while nothing was counted
	Bar            float64 // of the budget, 0 to 100
	Counted        bool    // there is a budget: something was counted
	Burn           string  // present burn rate with its window: "14× over 1h"
}

// Glance reads the state of all of an account's objectives, the worst first.
func (f *Feature) Summaries(ctx context.Context, accountID string) ([]Summary, error) {
	list, err := f.statuses(ctx, accountID)
	out := make([]Summary, len(list))
	for i, j := range list {
		out[i] = Summary{
			ID:       j.ID,
			Name:     j.Name,
			Href:     objectivePath(accountID, j.ID),
			State:    j.Status.State,
			Sentence: j.Status.Sentence,
			Rising:   j.Status.Rising,
			Tone:     j.Status.BudgetTone(),
			Left:     j.Status.Budget.LeftText(),
			Bar:      float64(j.Status.Budget.Bar()),
			Counted:  j.Status.Budget.Total > 0,
			Burn:     j.Status.burnText(),
		}
	}
	return out, err
}

// withStatus is an objective with its status.
type withStatus struct {
	*Objective
	Status Status
}

// statuses reads all of an account's objectives, the worst first: those that burn,
// those that recover, those without data, then by the budget that is left.
func (f *Feature) statuses(ctx context.Context, accountID string) ([]withStatus, error) {
	var out []withStatus
	err := f.db.View(ctx, func(tx *db.Tx) error {
		list, err := selectObjectives(ctx, tx, `WHERE account_id = $1 ORDER BY id LIMIT $2`, accountID, MaxObjectives)
		if err != nil {
			return err
		}
		readings, err := readingsOf(ctx, tx, accountID, list)
		if err == nil {
			err = readRecent(ctx, tx, list, readings)
		}
		if err != nil {
			return err
		}
		for i, o := range list {
			out = append(out, withStatus{o, o.status(readings[i], f.now())})
		}
		return nil
	})
	rank := map[State]int{Burning: 0, Recovering: 1, NoData: 2, Healthy: 3}
	slices.SortStableFunc(out, func(a, b withStatus) int {
		return cmp.Or(cmp.Compare(rank[a.Status.State], rank[b.Status.State]), cmp.Compare(a.Status.Budget.Left, b.Status.Budget.Left),
			strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
	return out, err
}

// objectiveRow is an objective in the list.
type objectiveRow struct {
	withStatus
	Href, Zone, Part string
	Spark            []float64
}

// Percent is a target as it is written: 99.95 %.
func (o *Objective) Percent() string { return strconv.FormatFloat(o.Target, 'f', -1, 64) + " %" }

// WindowWords is what the budget is for.
func (o *Objective) WindowText() string {
	switch o.Window {
	case Month:
		return "this month"
	case D30:
		return "30 days rolling"
	}
	return "28 days rolling"
}

// Part is what it judges of its zone; "" is all of it.
func (o *Objective) Part() string {
	k := o.seriesKey()
	words := map[string]string{kindOrigin: "origin ", kindHostname: "host ", kindPathClass: "paths "}
	s := ""
	if k.kind != kindZone {
		s = words[k.kind] + k.value
	}
	if o.SLI != "" {
		s = strings.TrimSpace(s + " " + o.SLI)
	}
	return s
}

// Tone is the colour of the state, on every page.
func (s Status) Tone() ui.Tone {
	switch {
	case s.State == Burning:
		return ui.Bad
	case s.State == Recovering, s.State == NoData, s.Rising:
		return ui.Warn
	}
	return ui.Good
}

// Word is the state in one word or two.
func (s Status) Word() string {
	switch s.State {
	case Burning:
		return "Burning"
	case Recovering:
		return "Recovering"
	case NoData:
		return "No data"
	}
	if s.Rising {
		return "Rising"
	}
	return "OK"
}

// BudgetTone is the colour of the budget: red while it burns or is spent, amber
// when little is left.
func (s Status) BudgetTone() ui.Tone {
	switch {
	case s.State == Burning, s.Budget.Total > 0 && s.Budget.Left <= 0:
		return ui.Bad
	case s.Budget.Total > 0 && s.Budget.Left < 0.25:
		return ui.Warn
	case s.Budget.Total == 0:
		return ""
	}
	return ui.Good
}

// LeftWords is what is left: 91 %, nothing.
func (b BudgetStatus) LeftText() string {
	if b.Total == 0 {
		return "–"
	}
	if b.Left <= 0 {
		return "0 %"
	}
	return leftText(b.Left)
}

// Bar is what is left as 0 to 100.
func (b BudgetStatus) Bar() int { return int(100 * min(1, max(0, b.Left))) }

// WindowWords is the window of a reading: 5 min, 1 h.
func (r Reading) WindowText() string { return span(r.Window.Seconds()) }

// BurnWords is a burn rate: 1.4×.
func (r Reading) BurnText() string {
	if r.Total == 0 {
		return "–"
	}
	return times(r.Burn) + "×"
}

func (b BudgetStatus) endText() string {
	switch {
	case b.Total == 0:
		return "–"
	case b.Left <= 0:
		return "spent"
	case b.ExhaustedIn == nil || *b.ExhaustedIn > 90*86400:
		return "not soon"
	}
	return "in " + roughSpan(*b.ExhaustedIn)
}

// BurnNow is the burn rate that pages show: of the long window of the pair that
// fires, else of the last five minutes, else, when those hold nothing, of the
// last hour.
func (s Status) BurnNow() Reading { return s.burnNow }

// Chance reports that the burn rate is above what the target allows and comes
// from so few failures that it could be chance.
func (s Status) Chance() bool { return s.chance }

// Pace says from which rate the end of the budget follows.
func (s Status) Pace() string { return s.pace }

// burnWords is the burn rate with its window: 14× over 1 h.
func (s Status) burnText() string {
	text := s.burnNow.BurnText() + " over " + s.burnNow.WindowText()
	if s.chance {
		text += ", could be chance"
	}
	return text
}

// EndWords is when the budget ends at the present rate.
func (s Status) EndText() string {
	if s.State == Recovering && s.Budget.Left > 0 {
		return "paused"
	}
	return s.Budget.endText()
}

// recentRows are the transitions below the list.
const recentRows = 10

// pastRow is a transition with the page of its objective.
type pastRow struct {
	Past
	Href string
}

// objectivesPage is the data of the template "objectives".
type objectivesPage struct {
	Path       string
	CanWrite   bool
	Rows       []objectiveRow
	Example    string // command that counts requests
	Burning    int    // objectives
	Recovering int
	Silent     int
	Worst      string // sentence of the first one that burns or recovers
	Rising     string // sentence of the first one whose failures rise
	Past       []pastRow
}

func (p *pages) showList(v *page.Visit) error {
	ctx := v.Context()
	list, err := p.statuses(ctx, v.Account)
	if err != nil {
		return err
	}
	data := objectivesPage{
		Path:     objectivesPath(v.Account),
		CanWrite: v.Can(account.SLOWrite),
		Example:  p.example(v.Account),
	}
	if data.Rows, err = p.rows(v, list); err != nil {
		return err
	}
	data.summarise(list)
	lately, err := p.recentTransitions(ctx, v.Account, recentRows)
	if err != nil {
		return err
	}
	for _, one := range lately {
		data.Past = append(data.Past, pastRow{one, objectivePath(v.Account, one.objective)})
	}
	return v.Show(page.View{Section: "objectives", Title: "Objectives", Template: "objectives", Data: data})
}

// summarise fills the parts of the page about all objectives.
func (p *objectivesPage) summarise(list []withStatus) {
	for _, one := range list {
		switch one.Status.State {
		case Burning:
			p.Burning++
		case Recovering:
			p.Recovering++
		case NoData:
			p.Silent++
		}
		if p.Rising == "" && one.Status.Rising {
			p.Rising = one.Status.Sentence
		}
	}
	if p.Burning+p.Recovering > 0 {
		p.Worst = list[0].Status.Sentence
	}
}

// rows are the rows of the list, with the budgets of the last day.
func (p *pages) rows(v *page.Visit, list []withStatus) ([]objectiveRow, error) {
	ctx := v.Context()
	rows := make([]objectiveRow, len(list))
	objectives := make([]*Objective, len(list))
	for i, one := range list {
		objectives[i] = one.Objective
		_, zone, err := p.cfg.Zone(ctx, v.Account, one.Match.Zone)
		if err != nil {
			return nil, err
		}
		rows[i] = objectiveRow{
			withStatus: one,
			Href:       objectivePath(v.Account, one.ID),
			Zone:       cmp.Or(zone, "a deleted property"),
			Part:       one.Part(),
		}
	}
	day, _ := RangeOf("1d")
	series, err := p.seriesOf(ctx, objectives, day)
	if err != nil {
		return nil, err
	}
	for i, s := range series {
		for _, point := range s.Points {
			if point.BudgetLeft != nil {
				rows[i].Spark = append(rows[i].Spark, max(-1, *point.BudgetLeft))
			}
		}
	}
	return rows, nil
}

// example is a command that counts requests.
func (p *pages) example(accountID string) string {
	return "curl -X POST " + p.URL() + web.Base + "/accounts/" + accountID + "/traffic/counts \\\n" +
		"  -H \"Authorization: Bearer $BELFRY_TOKEN\" -H \"Content-Type: application/json\" \\\n" +
		"  -d '{\"zone\":\"shop.example\",\"ts\":'$(date +%s)',\"total\":1200,\"bad\":3}'\n\n" +
		"# or ship an access log\nbelfry tail /var/log/nginx/access.log"
}
