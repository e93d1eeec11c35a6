package producer

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// rejectsList is a list of refused events with the numbers of its causes.
type rejectsList struct {
	Path     string
	Rejected int64 // in the last 24 hours, whatever the filters
	Count    int64 // stored events that the filters select
	Filters  ui.Filters
	Filtered bool
	Causes   []causeView
	More     bool // there are more causes
	Rows     []rejectView
	Next     string
	Open     *rejectView
	Close    string
	Export   string // URL of the events that the filters select
	Nothing  string // the text when the list is empty
}

// causeView is a cause with the number of its events.
type causeView struct {
	faultView
	Product string
	Count   int64
	Last    time.Time
	Href    string
}

const (
	rejectsAtOnce = 50
	causesShown   = 10
	causesOffered = 100 // by the filters
)

// rejects reads what the three pages share. export is the path of the operation that exports the list.
func (p *pages) rejects(v *page.Visit, of Rejects, export string) (rejectsList, error) {
	u := listURL(v)
	out := rejectsList{Path: v.Request.URL.Path, Close: rejectLink(v, "")}
	summary, err := p.SummariseRejects(v.Context(), of)
	if err != nil {
		return out, err
	}
	out.Rejected = summary.Rejected
	r := ui.ParseRange(u, p.now(), "")
	filter, err := rejectFilter(u.Query())
	if err != nil {
		return out, err
	}
	filter.Since = r.Since
	filter.Before = r.Before
	if out.Filters, err = p.rejectFilters(v, of, u); err != nil {
		return out, err
	}
	out.Filters.Range = &r
	out.Filtered = out.Filters.Clear != "" || !r.Since.IsZero() || !r.Before.IsZero()
	out.Export = exportLink(export, u.Query(), r)
	if out.Count, err = p.countRejects(v.Context(), of, filter); err != nil {
		return out, err
	}
	causes, err := p.rejectCauses(v.Context(), of, filter, causesShown+1)
	if err != nil {
		return out, err
	}
	out.More = len(causes) > causesShown
	for _, c := range causes[:min(len(causes), causesShown)] {
		out.Causes = append(out.Causes, causeView{
			faultView: newFaultView(c.Code, c.Pointer, ""),
			Product:   c.Product,
			Count:     c.Count,
			Last:      c.Last,
			Href:      ui.With(u, "code", strconv.Itoa(c.Code), "pointer", c.Pointer, "product", c.Product),
		})
	}
	if err := p.rejectRows(v, of, filter, &out); err != nil {
		return out, err
	}
	out.Open, err = p.openReject(v, of)
	return out, err
}

// exportLink is the URL of an export with the filters of the page and the times of its range.
func exportLink(path string, q url.Values, r ui.Range) string {
	q.Del("cursor")
	q.Del("since")
	q.Del("before")
	if !r.Since.IsZero() {
		q.Set("since", r.Since.UTC().Format(time.RFC3339))
	}
	if !r.Before.IsZero() {
		q.Set("before", r.Before.UTC().Format(time.RFC3339))
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return web.Base + path
}

// rejectFilter reads the page's filters.
func rejectFilter(q url.Values) (filter RejectFilter, err error) {
	values := func(key string) []string { return ui.FilterValues(q, key, 50) }
	codes := func(key string) (list []int) {
		for _, s := range values(key) {
			code, bad := strconv.Atoi(s)
			if bad != nil || code <= 0 {
				err = errs.At(errs.CodeInvalid, "code", "code is the number of an error, such as 12002")
			}
			list = append(list, code)
		}
		return list
	}
	filter = RejectFilter{
		Codes:       codes("code"),
		NotCodes:    codes("code.not"),
		Pointers:    values("pointer"),
		NotPointers: values("pointer.not"),
		Products:    values("product"),
		NotProducts: values("product.not"),
		Teams:       values("producer"),
		NotTeams:    values("producer.not"),
	}
	return filter, err
}

// rejectFilters is the bar above the list. Its choices are those of the stored events.
func (p *pages) rejectFilters(v *page.Visit, of Rejects, u *url.URL) (ui.Filters, error) {
	causes, err := p.rejectCauses(v.Context(), of, RejectFilter{}, causesOffered)
	if err != nil {
		return ui.Filters{}, err
	}
	var codes, pointers, products []ui.Choice
	for _, c := range causes {
		code := strconv.Itoa(c.Code)
		codes = addCount(codes, ui.Choice{Value: code, Label: newFaultView(c.Code, "", "").Title}, c.Count)
		pointers = addCount(pointers, ui.Choice{Value: c.Pointer}, c.Count)
		products = addCount(products, ui.Choice{Value: c.Product}, c.Count)
	}
	title := func(code string) string {
		n, err := strconv.Atoi(code)
		if err != nil {
			return ""
		}
		return newFaultView(n, "", "").Title
	}
	keys := []ui.FilterKey{
		{Key: "code", Label: "Cause", Icon: "octagon-alert", Options: codes, Only: true, Name: title},
		{Key: "pointer", Label: "Field", Icon: "braces", Options: pointers},
		{Key: "product", Label: "Product", Icon: "package", Options: products},
	}
	if of.Team == "" && v.Who.Can("", pagesRead) {
		teams, err := p.teamChoices(v.Context(), of)
		if err != nil {
			return ui.Filters{}, err
		}
		keys = append(keys, ui.FilterKey{Key: "producer", Label: "Team", Icon: "users", Options: teams, Only: true})
	}
	f := ui.NewFilters(u, "", keys...)
	f.NoSearch = true
	return f, nil
}

// addCount adds n to the choice of a value. Choices without a value are left out.
func addCount(list []ui.Choice, c ui.Choice, n int64) []ui.Choice {
	if c.Value == "" {
		return list
	}
	i := slices.IndexFunc(list, func(known ui.Choice) bool { return known.Value == c.Value })
	if i < 0 {
		c.Detail = strconv.FormatInt(n, 10)
		return append(list, c)
	}
	before, _ := strconv.ParseInt(list[i].Detail, 10, 64) // was made above
	list[i].Detail = strconv.FormatInt(before+n, 10)
	return list
}

// teamChoices are the teams with stored events of an owner.
func (p *pages) teamChoices(ctx context.Context, of Rejects) (list []ui.Choice, err error) {
	ids, err := p.rejectTeams(ctx, of, causesOffered)
	if err != nil {
		return nil, err
	}
	for _, teamID := range ids {
		team, err := p.Team(ctx, teamID)
		if errs.Is(err, errs.CodeNotFound) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		list = append(list, ui.Choice{Value: team.ID, Label: team.Name})
	}
	return list, nil
}

// rejectRows reads a part of the list.
func (p *pages) rejectRows(v *page.Visit, of Rejects, filter RejectFilter, out *rejectsList) error {
	from, err := page.Cursor[RejectPlace](v)
	if err != nil {
		return err
	}
	items, next, err := p.ListRejects(v.Context(), of, filter, from, rejectsAtOnce)
	if err != nil {
		return err
	}
	for _, one := range items {
		out.Rows = append(out.Rows, newRejectView(v, one, v.Query("event")))
	}
	if next != nil {
		out.Next = v.Next(*next)
	}
	return nil
}
