package slo

import (
	"cmp"
	"context"
	"embed"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

//go:embed page_*.html
var pageFiles embed.FS

// Change is a recorded change of a zone, as a mark on a chart.
type Change struct {
	At    time.Time
	Label string
	Href  string
}

// ZoneName is a zone that a form offers.
type ZoneName struct {
	ID   string
	Name string
}

type pages struct {
	*Feature
	*page.Set
	sparkCache *cache.Cache[string, [][]float64] // lines of the list, by its rows
}

// flashes are shown once on the page after a form.
var flashes = page.Flashes{
	"created": "Objective created.",
	"changed": "Objective changed.",
	"deleted": "Objective deleted. Its alerts have ended.",

	"report-on":  "The report is sent by mail.",
	"report-off": "The report is no longer sent by mail.",

	"correction-active":   "Correction created. It is active.",
	"correction-pending":  "Correction requested. It waits for the approval of a second member.",
	"correction-approved": "Correction approved. It is active.",
	"correction-rejected": "Correction rejected. Its requests keep counting.",
	"correction-removed":  "Correction removed. Its requests count again.",
}

// Pages registers the pages.
func (f *Feature) Pages(kit *page.Kit) error {
	set, err := kit.Parse(pageFiles, flashes)
	if err != nil {
		return err
	}
	p := &pages{f, set, cache.New[string, [][]float64](200, sparksTTL, f.now)}
	const base = "/accounts/{account_id}/objectives"
	const one = base + "/{slo_id}"
	p.Get(base, account.SLORead, p.showList)
	p.Get(base+"/report", account.SLORead, p.showReport)
	p.Post(base+"/report", account.SLOWrite, p.submitReportMail)
	p.Get(base+"/new", account.SLOWrite, p.showNew)
	p.Get(base+"/new/parts/{zone_id}", account.SLOWrite, p.findParts)
	p.Post(base, account.SLOWrite, p.submit(parseForm))
	p.Post(base+"/preview", account.SLOWrite, p.preview(parseForm))
	p.Get(one, account.SLORead, p.showOne)
	p.Get(one+"/edit", account.SLOWrite, p.showEdit)
	p.Post(one, account.SLOWrite, p.submit(p.parseChange))
	p.Post(one+"/preview", account.SLOWrite, p.preview(p.parseChange))
	p.addCorrections("/accounts/{account_id}/corrections")
	p.Confirm(one+"/delete", account.SLOWrite, p.confirmDelete, p.delete)
	return nil
}

func (p *pages) addCorrections(base string) {
	const one = "/{correction_id}"
	p.Get(base, account.SLORead, p.showCorrections)
	p.Get(base+"/new", account.SLOWrite, p.showNewCorrection)
	p.Post(base, account.SLOWrite, p.submitCorrection)
	p.Post(base+"/preview", account.SLOWrite, p.previewCorrection)
	p.Get(base+one, account.SLORead, p.showCorrection)
	p.Confirm(base+one+"/approve", account.SLOWrite, p.confirmApprove, p.approve)
	p.Confirm(base+one+"/reject", account.SLOWrite, p.confirmReject, p.reject)
	p.Confirm(base+one+"/remove", account.SLOWrite, p.confirmRemove, p.remove)
}

const section = "objectives"

// Summary is the summary of one objective for the overview.
type Summary struct {
	ID       string
	Name     string
	Href     string
	Zone     string // id
	State    State
	Word     string // the state as a label
	Sentence string
	Rising   bool // a short window burns above its pair's factor, and no pair fires yet
	Tone     ui.Tone
	Left     string  // of the budget: "91 %"; "–" while nothing was counted
	Bar      float64 // of the budget, 0 to 100
	Counted  bool    // something was counted
	Burn     string  // present burn rate with its window: "14× over 1 h"
}

// Summaries reads the state of all of an account's objectives, the worst first.
func (f *Feature) Summaries(ctx context.Context, accountID string) ([]Summary, error) {
	list, err := f.statuses(ctx, accountID)
	out := make([]Summary, len(list))
	for i, j := range list {
		out[i] = Summary{
			ID:       j.ID,
			Name:     j.Name,
			Href:     objectivePath(accountID, j.ID),
			Zone:     j.Match.Zone,
			State:    j.Status.State,
			Word:     j.Status.Word(),
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

// stateRank orders the states, the worst first.
var stateRank = map[State]int{Burning: 0, Recovering: 1, NoData: 2, Healthy: 3}

// statuses reads all objectives of an account, the worst first: burning, recovering, without data, then by the budget
// that is left.
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
	slices.SortStableFunc(out, func(a, b withStatus) int {
		return cmp.Or(
			cmp.Compare(stateRank[a.Status.State], stateRank[b.Status.State]),
			cmp.Compare(a.Status.Budget.Left, b.Status.Budget.Left),
			strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)),
		)
	})
	return out, err
}

// Sparks are the budgets that were left over the last day, by the id of the objective, of the worst objectives of an
// account. They read the whole history of these: a page that is asked for often keeps them.
func (f *Feature) Sparks(ctx context.Context, accountID string, most int) (map[string][]float64, error) {
	list, err := f.statuses(ctx, accountID)
	if err != nil {
		return nil, err
	}
	list = list[:min(len(list), most)]
	sparks, err := f.sparks(ctx, list)
	byID := map[string][]float64{}
	for i := range sparks {
		byID[list[i].ID] = sparks[i]
	}
	return byID, err
}

// sparks are the budgets that were left over the last day, by objective.
func (f *Feature) sparks(ctx context.Context, list []withStatus) ([][]float64, error) {
	objectives := make([]*Objective, len(list))
	for i, one := range list {
		objectives[i] = one.Objective
	}
	day, _ := RangeOf("1d")
	charts, err := f.seriesOf(ctx, objectives, day)
	if err != nil {
		return nil, err
	}
	sparks := make([][]float64, len(list))
	for i := range list {
		for _, point := range charts[i].Points {
			if point.BudgetLeft != nil {
				sparks[i] = append(sparks[i], max(-1, *point.BudgetLeft))
			}
		}
	}
	return sparks, nil
}
