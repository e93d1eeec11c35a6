package slo

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Limits of the list.
const (
	listRows   = 50
	recentRows = 10 // transitions below the list
	sparksTTL  = 30 * time.Second
)

// listPage is the data of the template "objectives".
type listPage struct {
	Path        string
	Self        string // URL of the parts that ask for themselves; "" for a later part of the list
	CanWrite    bool
	Total       int // objectives of the account
	Shown       int // that pass the filters
	Filtered    bool
	Filters     ui.Filters
	Grouping    []ui.Link
	Groups      []objectiveGroup
	Next        string
	Past        []pastRow
	Report      string
	Corrections string
	Example     string // commands that send counts
	Burning     int
	Recovering  int
	Silent      int    // without data
	Worst       string // sentence of the worst objective that burns or recovers
	Rising      string // sentence of an objective whose failures rise
}

// objectiveGroup is the rows of one property; without grouping, all rows.
type objectiveGroup struct {
	Name string
	Href string
	Rows []objectiveRow
}

// objectiveRow is an objective in the list.
type objectiveRow struct {
	withStatus
	Href     string
	Zone     string
	ZoneHref string
	Part     string
	Spark    []float64 // burn rate over the last day, see [burnSpark]
	Most     string    // the highest of it
}

// pastRow is a transition with the page of its objective.
type pastRow struct {
	Past
	Href string
}

// stateOptions are the states by which the list is filtered.
var stateOptions = []ui.Choice{
	{Value: string(Burning), Label: "Burning", Icon: "flame", Tone: ui.Bad},
	{Value: string(Recovering), Label: "Recovering", Icon: "rotate-ccw", Tone: ui.Warn},
	{Value: string(NoData), Label: "No data", Icon: "wifi-off", Tone: ui.Warn},
	{Value: string(Healthy), Label: "On track", Icon: "circle-check", Tone: ui.Good},
}

// listSorts are the orders of the list.
var listSorts = []ui.Choice{
	{Value: "left", Label: "Least budget left first"},
	{Value: "state", Label: "Worst state first"},
	{Value: "burn", Label: "Highest burn rate first"},
	{Value: "name", Label: "By name"},
}

// groupZone is the one grouping of the list.
const groupZone = "property"

func (p *pages) showList(v *page.Visit) error {
	list, err := p.statuses(v.Context(), v.Account)
	if err != nil {
		return err
	}
	u := v.Request.URL
	data := listPage{
		Path:        objectivesPath(v.Account),
		CanWrite:    v.Can(account.SLOWrite),
		Total:       len(list),
		Report:      reportPath(v.Account),
		Corrections: correctionsPath(v.Account),
		Example:     p.example(v.Account),
	}
	if v.Query("cursor") == "" {
		data.Self = ui.With(u)
	}
	data.count(list)
	names := p.zoneNames(v.Account)
	data.setFilters(v, names)
	rows, err := filterRows(v, list, names)
	if err != nil {
		return err
	}
	data.Shown = len(rows)
	part, err := sortedRows(v, rows, ui.SortOf(u, listSorts...))
	if err != nil {
		return err
	}
	data.Next = part.Next
	if err := p.setSparks(v.Context(), v.Account, part.Items); err != nil {
		return err
	}
	if err := data.setGroups(v, part.Items); err != nil {
		return err
	}
	recent, err := p.recentTransitions(v.Context(), v.Account, recentRows)
	if err != nil {
		return err
	}
	for _, one := range recent {
		data.Past = append(data.Past, pastRow{one, objectivePath(v.Account, one.objective)})
	}
	return v.Show(page.View{Section: section, Title: "Objectives", Template: "objectives", Data: data})
}

// count counts the states of all objectives of the account, the worst first.
func (d *listPage) count(list []withStatus) {
	for _, one := range list {
		switch one.Status.State {
		case Burning:
			d.Burning++
		case Recovering:
			d.Recovering++
		case NoData:
			d.Silent++
		}
		if one.Status.Rising && d.Rising == "" {
			d.Rising = one.Status.Sentence
		}
	}
	if d.Burning+d.Recovering > 0 {
		d.Worst = list[0].Status.Sentence
	}
}

// zoneNames returns a function that finds the names of an account's zones, each once.
func (p *pages) zoneNames(accountID string) func(context.Context, string) (string, error) {
	known := map[string]string{}
	return func(ctx context.Context, zoneID string) (string, error) {
		name, ok := known[zoneID]
		if ok {
			return name, nil
		}
		_, name, err := p.cfg.Zone(ctx, accountID, zoneID)
		known[zoneID] = name
		return name, err
	}
}

func (d *listPage) setFilters(v *page.Visit, names func(context.Context, string) (string, error)) {
	u := v.Request.URL
	d.Filters = ui.NewFilters(u, "Search objectives",
		ui.FilterKey{
			Key: "zone", Label: "Property", Icon: "globe", Kind: "zone", Source: account.AccountPath(v.Account) + "/find",
			Only: true,
			Name: func(zoneID string) string {
				name, err := names(v.Context(), zoneID)
				if err != nil {
					return "" // the id is shown
				}
				return name
			},
		},
		ui.FilterKey{Key: "state", Label: "State", Icon: "activity", Options: stateOptions, Only: true})
	d.Filters.Sort = ui.Sorts(u, listSorts...)
	d.Filters.Display = &ui.Display{Name: "objectives", Columns: []ui.ListColumn{
		{Key: "property", Label: "Property"},
		{Key: "target", Label: "Target"},
		{Key: "day", Label: "Last day"},
		{Key: "burn", Label: "Burn rate"},
		{Key: "ends", Label: "Budget ends"},
	}}
	d.Filtered = d.Filters.Clear != ""
	byZone := v.Query("group") == groupZone
	d.Grouping = []ui.Link{
		{Label: "Not grouped", Href: ui.With(u, "group", ""), Current: !byZone},
		{Label: "By property", Href: ui.With(u, "group", groupZone), Current: byZone},
	}
}

// filterRows returns the rows of the objectives that pass the filters of the URL.
func filterRows(
	v *page.Visit, list []withStatus, names func(context.Context, string) (string, error),
) ([]objectiveRow, error) {
	query := strings.TrimSpace(page.Cut(v.Query("q"), feature.MaxQuery))
	rows := []objectiveRow{}
	for _, one := range list {
		zone, err := names(v.Context(), one.Match.Zone)
		if err != nil {
			return nil, err
		}
		row := objectiveRow{
			withStatus: one,
			Href:       objectivePath(v.Account, one.ID),
			Zone:       cmp.Or(zone, deletedZone),
			Part:       one.Part(),
		}
		if zone != "" {
			row.ZoneHref = zonePath(v.Account, one.Match.Zone)
		}
		match := feature.Match{ID: one.ID, Title: one.Name, Names: []string{row.Zone, row.Part}}
		if passes(v, "zone", one.Match.Zone) && passes(v, "state", string(one.Status.State)) &&
			(query == "" || len(feature.Best(query, 1, []feature.Match{match})) > 0) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// zonePath is the path of the page of a zone.
func zonePath(accountID, zoneID string) string {
	return account.PropertiesPath(accountID) + "/" + zoneID
}

// deletedZone is shown in the place of the name of a zone that is gone.
const deletedZone = "a deleted property"

// passes reports whether the filters of the URL on a key let a value pass.
func passes(v *page.Visit, key, value string) bool {
	q := v.Request.URL.Query()
	wanted := q[key]
	return (len(wanted) == 0 || slices.Contains(wanted, value)) && !slices.Contains(q[key+".not"], value)
}

// place is the position of a row in the list: the keys of its order, ascending, and the objective's id.
type place struct {
	Group string  `json:"g,omitempty"`
	Rank  int     `json:"r,omitempty"`
	Value float64 `json:"v,omitempty"`
	Name  string  `json:"n"`
	ID    string  `json:"i"`
}

func (a place) compare(b place) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Value, b.Value),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

// placeOf is the position of a row in an order. Objectives without counts follow those with counts.
func placeOf(r *objectiveRow, order string, byZone bool) place {
	at := place{Name: strings.ToLower(r.Name), ID: r.ID}
	if byZone {
		at.Group = strings.ToLower(r.Zone) + "\x00" + r.Match.Zone
	}
	if order != "name" && r.Status.Budget.Total == 0 {
		at.Rank = len(stateRank)
		return at
	}
	switch order {
	case "left":
		at.Value = r.Status.Budget.Left
	case "state":
		at.Rank = stateRank[r.Status.State]
		at.Value = r.Status.Budget.Left
	case "burn":
		at.Value = -r.Status.BurnNow().Burn
	}
	return at
}

// sortedRows is the part of the rows, in an order, that the URL names.
func sortedRows(v *page.Visit, rows []objectiveRow, order string) (page.List[objectiveRow], error) {
	byZone := v.Query("group") == groupZone
	placed := func(r objectiveRow) place { return placeOf(&r, order, byZone) }
	slices.SortFunc(rows, func(a, b objectiveRow) int { return placed(a).compare(placed(b)) })
	return page.ReadList(v, listRows, placed, func(after place, limit int) ([]objectiveRow, error) {
		from := 0
		if after.ID != "" {
			from = len(rows)
			for i := range rows {
				if placed(rows[i]).compare(after) > 0 {
					from = i
					break
				}
			}
		}
		return rows[from:min(len(rows), from+limit)], nil
	})
}

// setGroups divides the rows by property when the URL asks for it. A group that began on the part before has no name.
func (d *listPage) setGroups(v *page.Visit, rows []objectiveRow) error {
	if v.Query("group") != groupZone {
		d.Groups = []objectiveGroup{{Rows: rows}}
		return nil
	}
	after, err := page.Cursor[place](v)
	if err != nil {
		return err
	}
	for _, r := range rows {
		n := len(d.Groups)
		if n == 0 || d.Groups[n-1].Rows[0].Match.Zone != r.Match.Zone {
			group := objectiveGroup{Name: r.Zone, Href: r.ZoneHref}
			if n == 0 && after.Group == placeOf(&r, "name", true).Group {
				group.Name = ""
			}
			d.Groups = append(d.Groups, group)
			n++
		}
		d.Groups[n-1].Rows = append(d.Groups[n-1].Rows, r)
	}
	return nil
}

// setSparks reads the burn rates of the last day for the rows that are shown. They are kept for half a minute, because
// the list asks for itself every few seconds.
func (p *pages) setSparks(ctx context.Context, accountID string, rows []objectiveRow) error {
	objectives := make([]*Objective, len(rows))
	key := accountID
	for i, r := range rows {
		objectives[i] = r.Objective
		key += " " + r.ID + r.ModifiedOn.String()
	}
	sparks, err := p.sparkCache.Get(ctx, key, func(ctx context.Context) ([][]float64, error) {
		return p.burnSparks(ctx, objectives)
	})
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].Spark = make([]float64, len(sparks[i]))
		most := 0.0
		for k, burn := range sparks[i] {
			rows[i].Spark[k] = math.Log1p(burn)
			most = max(most, burn)
		}
		if most > 0 {
			rows[i].Most = times(most) + "×"
		}
	}
	return nil
}

// sparkStep is the step of a line of burn rates, in seconds: 48 points for a day.
const sparkStep = 1800

// burnSparks are the burn rates of the last day, by objective.
func (f *Feature) burnSparks(ctx context.Context, objectives []*Objective) ([][]float64, error) {
	sparks := make([][]float64, len(objectives))
	err := f.db.View(ctx, func(tx *db.Tx) error {
		list, err := timelinesOf(ctx, tx, objectives, 86_400+sparkStep)
		for i, t := range list {
			sparks[i] = burnSpark(t.list, t.clock, objectives[i].allowed)
		}
		return err
	})
	return sparks, err
}

// burnSpark is the burn rate in each step of the day before a time. Steps without requests before the first count are
// left out; later ones are 0.
func burnSpark(list []bucket, clock int64, allowed share) []float64 {
	end := tally.AlignDown(clock+sparkStep-1, sparkStep)
	begin := end - 86_400
	steps := make([]Tally, 86_400/sparkStep)
	first := len(steps)
	for _, b := range list {
		if i := int((b.Start - begin) / sparkStep); b.Start >= begin && i < len(steps) {
			steps[i].Add(b.Tally)
			first = min(first, i)
		}
	}
	var line []float64
	for _, t := range steps[first:] {
		line = append(line, burnRate(t, allowed))
	}
	return line
}

// example is the command that sends a count with curl, for an account without any.
func (p *pages) example(accountID string) string {
	return "curl -X POST " + p.URL() + "/client/v4/accounts/" + accountID + "/traffic/counts \\\n" +
		"  -H \"Authorization: Bearer $BELFRY_TOKEN\" -H \"Content-Type: application/json\" \\\n" +
		"  -d '{\"zone\":\"shop.example\",\"ts\":'$(date +%s)',\"total\":1200,\"bad\":3}'\n\n" +
		"# or ship an access log\nbelfry tail /var/log/nginx/access.log"
}
