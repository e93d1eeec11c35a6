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
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addRejects() {
	p.Get(TeamsPath+"/{producer_id}/rejects", pagesRead, p.showTeamRejects)
	p.Get(RejectsPath, pagesRead, p.showRejects)
	p.Get(AccountRejectsPath, account.AuditRead, p.showAccountRejects)
}

// rejectLink is the URL of the page with the event of an id opened; "" closes it.
// Filters and the position in the list stay.
func rejectLink(v *page.Visit, rejectID string) string {
	q := v.Request.URL.Query()
	q.Del("event")
	if rejectID != "" {
		q.Set("event", rejectID)
	}
	if len(q) == 0 {
		return v.Request.URL.Path
	}
	return v.Request.URL.Path + "?" + q.Encode()
}

// listURL is the URL of the list without an opened event.
func listURL(v *page.Visit) *url.URL {
	q := v.Request.URL.Query()
	q.Del("event")
	return &url.URL{Path: v.Request.URL.Path, RawQuery: q.Encode()}
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
	Sender   string    // the name of the token that sent it, or its id
	Copy     string    // the faults as text
	Schemas  []ui.Link // the places that say which fields are valid
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
	s := rejectView{Reject: one, Href: rejectLink(v, one.ID), Open: one.ID == open}
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
	s.Copy = copiedFaults(&s)
	s.Schemas = schemas(v, one)
	return s
}

// copiedFaults are the faults of a refused event as text, for a message to its team.
func copiedFaults(s *rejectView) string {
	var b strings.Builder
	for _, f := range s.Faults {
		b.WriteString(f.Title + " (error " + strconv.Itoa(f.Code) + ")")
		if f.Pointer != "" {
			b.WriteString(" at " + f.Pointer)
		}
		b.WriteString(": " + f.Message + "\n")
	}
	for _, fact := range [][2]string{
		{"Product", s.Product},
		{"Event", s.EventID},
		{"Refused", s.Reject.At},
		{"Received over", s.Via},
	} {
		if fact[1] != "" {
			b.WriteString(fact[0] + ": " + fact[1] + "\n")
		}
	}
	return b.String()
}

// schemas are the description of the operation's fields and, for visitors who may
// read it, the catalogue that declares the product.
func schemas(v *page.Visit, one Reject) []ui.Link {
	link := ui.Link{Label: "Fields of an audit event", Href: "/docs/api/publish-audit-events#body"}
	switch one.Kind {
	case "traffic":
		link = ui.Link{Label: "Fields of a request count", Href: "/docs/api/send-traffic-counts#body"}
	case "alert":
		link = ui.Link{Label: "Fields of an alert", Href: "/docs/api/send-alerts#body"}
	}
	list := []ui.Link{link}
	if one.Producer != "" && one.Product != "" && v.Who.Can("", pagesRead) {
		list = append(list, ui.Link{
			Label: "Catalogue of " + one.Product,
			Href:  teamPath(one.Producer) + "/catalogue#" + url.PathEscape(one.Product),
		})
	}
	return list
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
	list, err := p.rejects(v, Rejects{Team: h.ID}, "/producers/"+h.ID+"/rejects/export")
	if err != nil {
		return err
	}
	list.Nothing = "No event of this team's products was rejected in the last 30 days."
	return showTeamPage(v, h, "team-rejects", ui.Faults{}, rejectsPage{Head: h, List: list})
}

// showAccountRejects is a customer's page of the events that were rejected for
// the account.
func (p *pages) showAccountRejects(v *page.Visit) error {
	list, err := p.rejects(v, Rejects{Account: v.Account}, "/accounts/"+v.Account+"/audit/rejects/export")
	if err != nil {
		return err
	}
	if err := v.Views("audit/rejects", &list.Filters); err != nil {
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
	list, err := p.rejects(v, Rejects{}, "/audit/rejects/export")
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
