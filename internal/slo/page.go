package slo

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
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

// Pages is what the pages need from the dashboard around them.
type Pages struct {
	UI      *ui.UI
	Cursors *web.Cursors // of lists
	Mount   func(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error)
	Shell   func(r *http.Request, p *web.Principal, account, section string) ui.Shell
	URL     string // of the server, for commands to copy
	// Changes are the newest changes to a zone in a time, the oldest first; nil
	// draws none.
	Changes func(ctx context.Context, accountID, zoneID string, since, until time.Time, limit int) ([]Change, error)
	// Zones are the zones that a form offers, as ids and names; nil lets the
	// name be typed.
	Zones func(ctx context.Context, accountID string) ([][2]string, error)
}

type pages struct {
	*Feature
	Pages
	set *ui.Page
}

// MountPages adds the pages. Call it once, after New.
func (f *Feature) MountPages(cfg Pages) error {
	if cfg.UI == nil || cfg.Cursors == nil || cfg.Mount == nil || cfg.Shell == nil {
		return errors.New("slo pages: UI, Cursors, Mount and Shell are required")
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	set, err := cfg.UI.Parse(pageFiles, "page_*.html")
	if err != nil {
		return err
	}
	p := &pages{f, cfg, set}
	const base = "/accounts/{account_id}/objectives"
	const one = base + "/{slo_id}"
	p.Mount("GET "+base, account.SLORead, false, p.showList)
	p.Mount("GET "+base+"/new", account.SLOWrite, false, p.showNew)
	p.Mount("POST "+base, account.SLOWrite, false, p.create)
	p.Mount("GET "+one, account.SLORead, false, p.showOne)
	p.Mount("GET "+one+"/edit", account.SLOWrite, false, p.showEdit)
	p.Mount("POST "+one, account.SLOWrite, false, p.replace)
	p.Mount("GET "+one+"/delete", account.SLOWrite, false, p.askDelete)
	p.Mount("POST "+one+"/delete", account.SLOWrite, false, p.delete)
	return nil
}

// visit is one authorised request for a page.
type visit struct {
	r       *http.Request
	ctx     context.Context
	who     *web.Principal
	account string
}

func visitOf(r *http.Request) visit {
	ctx := r.Context()
	return visit{r, ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID}
}

func (v visit) can(permission string) bool { return v.who.Can(v.account, permission) }

// saids are said once after a redirect, by the word that [ui.Redirect] carries.
var saids = map[string]string{
	"created": "Objective created.",
	"changed": "Objective changed.",
	"deleted": "Objective deleted. Its alerts have ended.",
}

func goTo(w http.ResponseWriter, r *http.Request, path, said string) error {
	return ui.Redirect(w, r, path, said)
}

func (p *pages) show(w http.ResponseWriter, v visit, title, template string, status int, data any) error {
	shell := p.Shell(v.r, v.who, v.account, "objectives")
	shell.Title, shell.Status = title, status
	if said := saids[ui.FlashKey(v.r)]; said != "" {
		shell.Flash = &ui.Flash{Tone: ui.Good, Text: said}
	}
	return p.set.Render(w, v.r, shell, template, data)
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

// judged is an objective with its status.
type withStatus struct {
	*Objective
	Status Status
}

// judged reads all of an account's objectives, the worst first: those that burn,
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

// shownRow is an objective in the list.
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

// latelyRows are the transitions below the list.
const recentRows = 10

// shownPast is a transition with the page of its objective.
type pastRow struct {
	Past
	Href string
}

func (p *pages) showList(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	list, err := p.statuses(v.ctx, v.account)
	if err != nil {
		return err
	}
	rows := make([]objectiveRow, len(list))
	objectives := make([]*Objective, len(list))
	count := map[State]int{}
	for i, j := range list {
		objectives[i] = j.Objective
		count[j.Status.State]++
		_, zone, err := p.cfg.Zone(v.ctx, v.account, j.Match.Zone)
		if err != nil {
			return err
		}
		rows[i] = objectiveRow{withStatus: j, Href: objectivePath(v.account, j.ID), Zone: cmp.Or(zone, "a deleted property"), Part: j.Part()}
	}
	day, _ := RangeOf("1d")
	series, err := p.seriesOf(v.ctx, objectives, day)
	if err != nil {
		return err
	}
	for i, s := range series {
		for _, point := range s.Points {
			if point.BudgetLeft != nil {
				rows[i].Spark = append(rows[i].Spark, max(-1, *point.BudgetLeft))
			}
		}
	}
	worst := ""
	if len(rows) > 0 && (rows[0].Status.State == Burning || rows[0].Status.State == Recovering) {
		worst = rows[0].Status.Sentence
	}
	rising := ""
	for _, row := range rows {
		if row.Status.Rising {
			rising = row.Status.Sentence
			break
		}
	}
	lately, err := p.recentTransitions(v.ctx, v.account, recentRows)
	if err != nil {
		return err
	}
	past := make([]pastRow, len(lately))
	for i, one := range lately {
		past[i] = pastRow{one, objectivePath(v.account, one.objective)}
	}
	return p.show(w, v, "Objectives", "objectives", 0, map[string]any{
		"Rows": rows, "Path": objectivesPath(v.account), "May": v.can(account.SLOWrite), "Example": p.example(v.account),
		"Burning": count[Burning], "Recovering": count[Recovering], "Worst": worst, "Rising": rising,
		"Past": past, "Silent": count[NoData],
	})
}

// example counts something with curl, for who has nothing yet.
func (p *pages) example(accountID string) string {
	return "curl -X POST " + p.URL + "/client/v4/accounts/" + accountID + "/traffic/counts \\\n" +
		"  -H \"Authorization: Bearer $BELFRY_TOKEN\" -H \"Content-Type: application/json\" \\\n" +
		"  -d '{\"zone\":\"shop.example\",\"ts\":'$(date +%s)',\"total\":1200,\"bad\":3}'\n\n" +
		"# or ship an access log\nbelfry tail /var/log/nginx/access.log"
}
