package producer

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addRejects() {
	p.Get(TeamsPath+"/{producer_id}/rejects", pagesRead, p.showTeamRejects)
	p.Get(RejectsPath, pagesRead, p.showRejects)
	p.Get(AccountRejectsPath, account.AuditRead, p.showAccountRejects)
}

// rejectLink is the URL of the page of rejects with one parameter more, or
// another value of it; "" removes it. Other filters stay.
func rejectLink(v *page.Visit, pairs ...string) string {
	q := url.Values{}
	for _, kept := range []string{"code", "product", "cursor"} {
		if s := v.Query(kept); s != "" {
			q.Set(kept, s)
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	if len(q) == 0 {
		return v.Request.URL.Path
	}
	return v.Request.URL.Path + "?" + q.Encode()
}

// rejectView is a refused event as a row and as the opened detail.
type rejectView struct {
	Reject
	At       time.Time
	Sentence ui.Sentence
	Where    string // the first fault's field, and the product
	Name     string // for screen readers
	Href     string
	Open     bool
	Faults   []faultView
	Sender   string // the name of the token that sent it, or its id
}

// faultView is a reason with its remedy.
type faultView struct {
	Code    int
	Title   string
	Pointer string
	Message string
	Remedy  string
}

func newFaultView(code int, pointer, message string) faultView {
	f := faultView{
		Code:    code,
		Title:   "Error " + strconv.Itoa(code),
		Pointer: pointer,
		Message: ui.FullSentence(message),
	}
	if e, ok := errs.Code(code).Entry(); ok {
		f.Title = strings.TrimSuffix(ui.FullSentence(e.Title), ".")
		f.Remedy = e.Remedy
	}
	return f
}

func newRejectView(v *page.Visit, one Reject, open string) rejectView {
	s := rejectView{Reject: one, Href: rejectLink(v, "event", one.ID), Open: one.ID == open}
	if at, err := time.Parse(time.RFC3339Nano, one.At); err == nil { // producers choose the text
		s.At = at
	}
	for _, f := range one.Errors {
		s.Faults = append(s.Faults, newFaultView(f.Code, f.Pointer, f.Message))
	}

	first := s.Faults[0]
	s.Sentence = ui.Sentence{{Text: first.Title + ".", Strong: true}, {Text: " " + first.Message}}
	if more := len(s.Faults) - 1; more > 0 {
		s.Sentence = append(s.Sentence, ui.Part{Text: " And " + strconv.Itoa(more) + " more."})
	}
	s.Name = first.Title
	if one.EventID != "" {
		s.Name += ", event " + one.EventID
	}
	s.Where = first.Pointer
	if what := refusedKind(one); what != "" {
		s.Where = strings.TrimSpace(s.Where + " of " + what)
	}
	return s
}

// refusedKind is the product of a refused event, or the kind of message that was
// refused.
func refusedKind(one Reject) string {
	switch one.Kind {
	case "traffic":
		return "a request count"
	case "alert":
		return strings.TrimSpace("an alert " + one.Product)
	}
	return one.Product
}

// rejectsList is a list of refused events with the counts of a day.
type rejectsList struct {
	Path     string
	Filtered []string // the filter in words
	Summary  []countView
	Rejected int64
	Rows     []rejectView
	Next     string
	Open     *rejectView
	Close    string
	Nothing  string // the text when the list is empty
}

// countView is a row of the counts.
type countView struct {
	faultView
	Product string
	Count   int64
	Href    string
}

const rejectsAtOnce = 50

// rejects reads what the three pages share.
func (p *pages) rejects(v *page.Visit, of Rejects) (rejectsList, error) {
	out := rejectsList{Path: v.Request.URL.Path, Close: rejectLink(v)}
	summary, err := p.SummariseRejects(v.Context(), of)
	if err != nil {
		return out, err
	}
	out.Rejected = summary.Rejected
	for _, f := range summary.Faults {
		out.Summary = append(out.Summary, countView{
			faultView: newFaultView(f.Code, f.Pointer, ""),
			Product:   f.Product,
			Count:     f.Count,
			Href:      rejectLink(v, "code", strconv.Itoa(f.Code), "product", f.Product, "cursor", ""),
		})
	}

	filter, words, err := rejectFilter(v.Request.URL.Query())
	if err != nil {
		return out, err
	}
	out.Filtered = words
	if err := p.rejectRows(v, of, filter, &out); err != nil {
		return out, err
	}
	out.Open, err = p.openReject(v, of)
	return out, err
}

// rejectFilter reads the page's filter; words describe it.
func rejectFilter(q url.Values) (filter RejectFilter, words []string, err error) {
	if s := q.Get("code"); s != "" {
		if filter.Code, err = strconv.Atoi(s); err != nil || filter.Code <= 0 {
			return filter, nil, errs.At(errs.CodeInvalid, "code", "code is the number of an error, such as 12002")
		}
		words = append(words, "the first fault is: "+newFaultView(filter.Code, "", "").Title)
	}
	filter.Product = page.Cut(q.Get("product"), catalogue.MaxName)
	if filter.Product != "" {
		words = append(words, "the product is: "+filter.Product)
	}
	return filter, words, nil
}

// rejectRows reads a page of the list.
func (p *pages) rejectRows(v *page.Visit, of Rejects, filter RejectFilter, out *rejectsList) error {
	q := v.Request.URL.Query()
	from, err := page.Cursor[RejectPlace](v)
	if err != nil {
		return err
	}
	items, next, err := p.ListRejects(v.Context(), of, filter, from, rejectsAtOnce)
	if err != nil {
		return err
	}
	for _, one := range items {
		out.Rows = append(out.Rows, newRejectView(v, one, q.Get("event")))
	}
	if next != nil {
		out.Next = v.Next(*next)
	}
	return nil
}

// openReject reads the event that the page shows in detail; nil for none.
func (p *pages) openReject(v *page.Visit, of Rejects) (*rejectView, error) {
	open := v.Request.URL.Query().Get("event")
	if open == "" {
		return nil, nil
	}
	one, err := p.findReject(v.Context(), of, open)
	if err != nil {
		return nil, err
	}
	shown := newRejectView(v, one, open)
	shown.Sender, err = p.sender(v.Context(), of, one)
	return &shown, err
}

// sender names the token that sent a refused event. The names of a team's tokens
// are shown on the team's page only.
func (p *pages) sender(ctx context.Context, of Rejects, one Reject) (string, error) {
	if of.Team != "" {
		list, err := p.Tokens(ctx, of.Team)
		if err != nil {
			return "", err
		}
		if i := slices.IndexFunc(list, func(t Token) bool { return t.ID == one.By }); i >= 0 {
			return list[i].Name, nil
		}
	}
	if one.Account != "" && one.By != "" && p.cfg.Pages.TokenName != nil {
		return cmp.Or(p.cfg.Pages.TokenName(ctx, one.Account, one.By), one.By), nil
	}
	return one.By, nil
}

// rejectsPage is the data of the templates "team-rejects", "account-rejects" and
// "rejects"; Head is for the first, Teams and Accounts are for the last.
type rejectsPage struct {
	Head     teamHead
	List     rejectsList
	Teams    []ownerCount
	Accounts []ownerCount
}

func (p *pages) showTeamRejects(v *page.Visit) error {
	h, err := p.head(v, "Rejected events")
	if err != nil {
		return err
	}
	list, err := p.rejects(v, Rejects{Team: h.ID})
	if err != nil {
		return err
	}
	list.Nothing = "No event of this team's products was rejected in the last 30 days."
	return showTeamPage(v, h, "team-rejects", ui.Faults{}, rejectsPage{Head: h, List: list})
}

// showAccountRejects is a customer's page of the events that were rejected for
// the account.
func (p *pages) showAccountRejects(v *page.Visit) error {
	list, err := p.rejects(v, Rejects{Account: v.Account})
	if err != nil {
		return err
	}
	list.Nothing = "No event for this account was rejected in the last 30 days."
	return v.Show(page.View{
		Section:  "rejects",
		Title:    "Rejected events",
		Template: "account-rejects",
		Data:     rejectsPage{List: list},
	})
}

// ownerCount is a team or an account with the number of its refused events in a
// day.
type ownerCount struct {
	Name  string
	Href  string
	Count int64
}

// most returns the ids with the highest counts, as many as a page shows.
func most(counts map[string]int64) []string {
	ids := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return ids[:min(len(ids), teamsPageSize)]
}

// showRejects is the operators' page: the teams and accounts with rejected events,
// and the events without a valid account.
func (p *pages) showRejects(v *page.Visit) error {
	if !v.Can(account.AuditRead) {
		return errs.New(errs.CodeForbidden,
			"rejected events without an account are for operators with the permission audit:read")
	}
	list, err := p.rejects(v, Rejects{})
	if err != nil {
		return err
	}
	list.Nothing = "No event without a valid account was rejected in the last 30 days."
	data := rejectsPage{List: list}
	if data.Teams, err = p.teamCounts(v.Context()); err != nil {
		return err
	}
	if data.Accounts, err = p.accountCounts(v.Context()); err != nil {
		return err
	}
	return v.Show(page.View{Section: "rejects", Title: "Rejected events", Template: "rejects", Data: data})
}

func (p *pages) teamCounts(ctx context.Context) (rows []ownerCount, err error) {
	counts, err := p.rejectsByOwner(ctx, scopeTeam)
	if err != nil {
		return nil, err
	}
	for _, teamID := range most(counts) {
		team, err := p.Team(ctx, teamID)
		if errs.Is(err, errs.CodeNotFound) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, ownerCount{Name: team.Name, Href: teamPath(team.ID) + "/rejects", Count: counts[teamID]})
	}
	return rows, nil
}

func (p *pages) accountCounts(ctx context.Context) (rows []ownerCount, err error) {
	counts, err := p.rejectsByOwner(ctx, scopeAccount)
	if err != nil {
		return nil, err
	}
	for _, id := range most(counts) {
		name := id
		if p.cfg.Pages.AccountName != nil {
			name = cmp.Or(p.cfg.Pages.AccountName(ctx, id), id)
		}
		href := strings.Replace(AccountRejectsPath, "{account_id}", id, 1)
		rows = append(rows, ownerCount{Name: name, Href: href, Count: counts[id]})
	}
	return rows, nil
}
