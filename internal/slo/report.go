package slo

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Report is how an account's objectives did in a calendar month, UTC. Its budgets are those of the month, whatever the
// windows of the objectives are.
type Report struct {
	Month      string         `json:"month" doc:"2026-11"`
	From       web.Time       `json:"from"`
	Until      web.Time       `json:"until" doc:"End of the month, or of the newest counts"`
	Complete   bool           `json:"complete" doc:"The month is over, and all of its counts are kept"`
	CountsFrom web.Time       `json:"counts_from" doc:"What was counted before this time is no longer kept, and not in the report"`
	Objectives []ReportedLine `json:"objectives" doc:"The most budget spent first; those without requests last"`
}

// ReportedLine is one objective in a report.
type ReportedLine struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Zone        string      `json:"zone"`
	Target      float64     `json:"target"`
	Total       uint64      `json:"total" doc:"Requests"`
	Bad         uint64      `json:"bad" doc:"Failed requests"`
	Reached     *float64    `json:"reached,omitempty" doc:"Percent of the requests that were good; left out without requests"`
	Met         bool        `json:"met" doc:"The target was reached"`
	BudgetSpent float64     `json:"budget_spent" doc:"Part of the month's error budget: 1 = all of it"`
	Alerts      AlertCounts `json:"alerts"`
	WorstDay    *SpentTime  `json:"worst_day,omitempty" doc:"The day with the most failures; left out without failures"`

	objective *Objective
}

// AlertCounts are the starts of alerts by severity. Replayed history does not count.
type AlertCounts struct {
	Page   int `json:"page"`
	Ticket int `json:"ticket"`
}

const monthLayout = "2006-01"

// maxReported is how many transitions of a month are counted.
const maxReported = 10_000

// MonthlyReport reads the report of a month ("2026-11"; "" is the present one).
func (f *Feature) MonthlyReport(ctx context.Context, accountID, month string) (Report, error) {
	now := f.now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	if month != "" {
		at, err := time.Parse(monthLayout, month)
		if err != nil || at.After(first) || at.Year() < 2000 {
			return Report{}, errs.At(errs.CodeInvalid, "month", "the month must be a past or the present one, such as %s",
				first.Format(monthLayout))
		}
		first = at
	}
	end := first.AddDate(0, 1, 0)
	oldest := now.Add(-time.Duration(kept) * time.Second).Truncate(24 * time.Hour)
	r := Report{
		Month:      first.Format(monthLayout),
		From:       web.TimeOf(first.UnixMicro()),
		Until:      web.TimeOf(end.UnixMicro()),
		Complete:   !end.After(now) && !oldest.After(first),
		CountsFrom: web.TimeOf(max(first.UnixMicro(), oldest.UnixMicro())),
		Objectives: []ReportedLine{},
	}
	if end.After(now) {
		r.Until = web.TimeOf(now.UnixMicro())
	}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		list, err := selectObjectives(ctx, tx, `WHERE account_id = $1 ORDER BY id LIMIT $2`, accountID, MaxObjectives)
		if err != nil {
			return err
		}
		timelines, err := timelinesOf(ctx, tx, list, 0)
		if err != nil {
			return err
		}
		alerts, err := countAlerts(ctx, tx, accountID, first.Unix(), end.Unix())
		for i, o := range list {
			line := reported(o, &timelines[i], first.Unix(), end.Unix())
			line.Alerts = alerts[o.ID]
			r.Objectives = append(r.Objectives, line)
		}
		return err
	})
	sortReport(r.Objectives)
	return r, err
}

// reported sums up the counts of an objective in [from, until).
func reported(o *Objective, t *timeline, from, until int64) ReportedLine {
	line := ReportedLine{ID: o.ID, Name: o.Name, Zone: o.Match.Zone, Target: o.Target, objective: o}
	const day = 86_400
	days := make([]Tally, (until-from)/day)
	var sum Tally
	for _, b := range t.list {
		if b.Start < from || b.Start >= until {
			continue
		}
		sum.Add(b.Tally)
		days[(b.Start-from)/day].Add(b.Tally)
	}
	line.Total = sum.Total
	line.Bad = sum.Bad
	if sum.Total == 0 {
		return line
	}
	line.Reached = spentIn(from, until, sum, 0).Reached
	line.Met = !above(sum, 1000, o.allowed)
	line.BudgetSpent = burnRate(sum, o.allowed)
	worst := 0
	for i := range days {
		if days[i].Bad > days[worst].Bad {
			worst = i
		}
	}
	if days[worst].Bad > 0 {
		at := from + int64(worst)*day
		w := spentIn(at, at+day, days[worst], line.BudgetSpent/float64(sum.Bad))
		line.WorstDay = &w
	}
	return line
}

// countAlerts counts the starts in [from, until) that were sent as alerts, by objective.
func countAlerts(ctx context.Context, tx *db.Tx, accountID string, from, until int64) (map[string]AlertCounts, error) {
	counts := map[string]AlertCounts{}
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var objectiveID, text string
		if err := rows.Scan(&objectiveID, &text); err != nil {
			return err
		}
		var d detail
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return err
		}
		if d.Event != Start || !d.Told {
			return nil
		}
		c := counts[objectiveID]
		if d.Pair.Severity == Page {
			c.Page++
		} else {
			c.Ticket++
		}
		counts[objectiveID] = c
		return nil
	}, `SELECT objective_id, detail FROM transition WHERE account_id = $1 AND at >= $2 AND at < $3 ORDER BY at LIMIT $4`,
		accountID, from, until, maxReported)
	return counts, err
}

type reportIn struct {
	Month string `query:"month" maxLength:"7" doc:"Such as 2026-11; the present month when left out"`
}

func (f *Feature) registerReport(api *web.API, base string) {
	web.Get(api, web.Op{
		Path: base + "/report", ID: "get-objectives-report", Tag: apiTag, Permission: account.SLORead,
		Summary: "Get the monthly report of all objectives",
		Description: "A calendar month, UTC. Counts are kept for a limited time, so an older month may be incomplete: " +
			"counts_from says from when on.",
	}, func(ctx context.Context, in *reportIn) (Report, error) {
		return f.MonthlyReport(ctx, web.Account(ctx).ID, in.Month)
	})
}
