package producer

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) mountRejects() {
	p.Mount("GET "+TeamsPath+"/{producer_id}/rejects", mayRead, false, p.showTeamRejects)
	p.Mount("GET "+RejectsPath, mayRead, false, p.showRejects)
	p.Mount("GET "+AccountRejectsPath, account.AuditRead, false, p.showAccountRejects)
}

// shownReject is a refused event as a row and as the opened detail.
type shownReject struct {
	Reject
	At       time.Time
	Sentence ui.Sentence
	Where    string // the first fault's field, and the product
	Name     string // for screen readers
	Href     string
	Open     bool
	Faults   []shownFault
	Sender   string // the name of the token that sent it, or its id
}

// shownFault is a reason with its remedy.
type shownFault struct {
	Code    int
	Title   string
	Pointer string
	Message string
	Remedy  string
}

func showFault(code int, pointer, message string) shownFault {
	f := shownFault{
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

func (v visit) reject(one Reject, open string) shownReject {
	s := shownReject{Reject: one, Href: v.with("event", one.ID), Open: one.ID == open}
	if at, err := time.Parse(time.RFC3339Nano, one.At); err == nil { // producers choose the text
		s.At = at
	}
	for _, f := range one.Errors {
		s.Faults = append(s.Faults, showFault(f.Code, f.Pointer, f.Message))
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

// rejectsView is a list of refused events with the counts of a day.
type rejectsView struct {
	Path     string
	Filtered []string // the filter in words
	Summary  []shownCount
	Rejected int64
	Rows     []shownReject
	Next     string
	Open     *shownReject
	Close    string
	Nothing  string // the text when the list is empty
}

// shownCount is a row of the counts.
type shownCount struct {
	shownFault
	Product string
	Count   int64
	Href    string
}

const rejectsAtOnce = 50

// rejects reads what the three pages share.
func (p *pages) rejects(v visit, of Rejects) (rejectsView, error) {
	out := rejectsView{Path: v.r.URL.Path, Close: v.with()}
	summary, err := p.SummariseRejects(v.ctx, of)
	if err != nil {
		return out, err
	}
	out.Rejected = summary.Rejected
	for _, f := range summary.Faults {
		out.Summary = append(out.Summary, shownCount{
			shownFault: showFault(f.Code, f.Pointer, ""),
			Product:    f.Product,
			Count:      f.Count,
			Href:       v.with("code", strconv.Itoa(f.Code), "product", f.Product, "cursor", ""),
		})
	}

	filter, words, err := rejectFilter(v.r.URL.Query())
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
		words = append(words, "the first fault is: "+showFault(filter.Code, "", "").Title)
	}
	filter.Product = cutBytes(q.Get("product"), catalogue.MaxName)
	if filter.Product != "" {
		words = append(words, "the product is: "+filter.Product)
	}
	return filter, words, nil
}

// rejectRows reads a page of the list.
func (p *pages) rejectRows(v visit, of Rejects, filter RejectFilter, out *rejectsView) error {
	q := v.r.URL.Query()
	list := "console rejects " + of.key().scope + " " + of.key().owner
	var from RejectPlace
	if cursor := q.Get("cursor"); cursor != "" {
		if err := p.Cursors.Decode(list, cursor, &from); err != nil {
			return err
		}
	}
	items, next, err := p.ListRejects(v.ctx, of, filter, from, rejectsAtOnce)
	if err != nil {
		return err
	}
	for _, one := range items {
		out.Rows = append(out.Rows, v.reject(one, q.Get("event")))
	}
	if next != nil {
		out.Next = v.with("cursor", p.Cursors.Encode(list, *next))
	}
	return nil
}

// openReject reads the event that the page shows in detail; nil for none.
func (p *pages) openReject(v visit, of Rejects) (*shownReject, error) {
	open := v.r.URL.Query().Get("event")
	if open == "" {
		return nil, nil
	}
	one, err := p.findReject(v.ctx, of, open)
	if err != nil {
		return nil, err
	}
	shown := v.reject(one, open)
	shown.Sender, err = p.sender(v.ctx, of, one)
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
	if one.Account != "" && one.By != "" && p.TokenName != nil {
		return cmp.Or(p.TokenName(ctx, one.Account, one.By), one.By), nil
	}
	return one.By, nil
}

func (p *pages) showTeamRejects(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.head(v, "Rejected events")
	if err != nil {
		return err
	}
	list, err := p.rejects(v, Rejects{Team: h.ID})
	if err != nil {
		return err
	}
	list.Nothing = "No event of this team's products was refused in the last 30 days."
	return p.show(w, v, "producers", h.Name, "team-rejects", 0, map[string]any{"Head": h, "List": list})
}

// showAccountRejects is a customer's page: the events that were sent for the
// account and refused.
func (p *pages) showAccountRejects(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	v.account = web.Account(v.ctx).ID
	list, err := p.rejects(v, Rejects{Account: v.account})
	if err != nil {
		return err
	}
	list.Nothing = "No event for this account was refused in the last 30 days."
	return p.show(w, v, "rejects", "Rejected events", "account-rejects", 0, map[string]any{"List": list})
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
	return ids[:min(len(ids), teamsAtOnce)]
}

// showRejects is the operators' page: the teams and accounts with refused events,
// and the events without a valid account.
func (p *pages) showRejects(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if !v.who.Can("", account.AuditRead) {
		return errs.New(errs.CodeForbidden, "refused events without an account are for operators who may read the record")
	}
	list, err := p.rejects(v, Rejects{})
	if err != nil {
		return err
	}
	list.Nothing = "No event without a valid account was refused in the last 30 days."

	teams, err := p.teamCounts(v.ctx)
	if err != nil {
		return err
	}
	accounts, err := p.accountCounts(v.ctx)
	if err != nil {
		return err
	}
	return p.show(w, v, "rejects", "Rejected events", "rejects", 0, map[string]any{
		"Teams": teams, "Accounts": accounts, "List": list,
	})
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
		if p.AccountName != nil {
			name = cmp.Or(p.AccountName(ctx, id), id)
		}
		href := strings.Replace(AccountRejectsPath, "{account_id}", id, 1)
		rows = append(rows, ownerCount{Name: name, Href: href, Count: counts[id]})
	}
	return rows, nil
}
