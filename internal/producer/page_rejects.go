package producer

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addRejects() {
	p.Get(TeamsPath+"/{producer_id}/rejects", pagesRead, p.showTeamRejects)
	p.Get(RejectsPath, pagesRead, p.showRejects)
	p.Get(AccountRejectsPath, account.AuditRead, p.showAccountRejects)
}

// rejectedByTeam counts each team's refused events of the last 24 hours, by
// whole hours as [Registry.SummariseRejects] does.
func (r *Registry) rejectedByTeam(ctx context.Context) (map[string]int64, error) {
	return r.rejectedBy(ctx, scopeTeam)
}

func (r *Registry) rejectedBy(ctx context.Context, scope string) (map[string]int64, error) {
	counts := map[string]int64{}
	err := r.db.View(ctx, func(tx *db.Tx) error {
		since := r.now().Add(-23*time.Hour).UnixMicro() / time.Hour.Microseconds()
		rows, err := tx.Query(ctx, `SELECT owner, CAST(sum(n) AS BIGINT) FROM fault WHERE scope = $1 AND hour >= $2 AND code = 0 GROUP BY owner`, scope, since)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			var n int64
			if err := rows.Scan(&owner, &n); err != nil {
				return err
			}
			counts[owner] = n
		}
		return rows.Err()
	})
	return counts, err
}

// rejectOf reads one refused event.
func (r *Registry) rejectOf(ctx context.Context, of Rejects, rejectID string) (one Reject, err error) {
	k := of.key()
	var content []byte
	err = r.db.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT id, content FROM reject WHERE scope = $1 AND owner = $2 AND id = $3`, k.scope, k.owner, rejectID).Scan(&one.ID, &content)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return one, errs.New(errs.CodeNotFound, "there is no such refused event any more")
	}
	if err == nil {
		err = json.Unmarshal(content, &one.Reject)
	}
	return one, err
}

// rejectView is a refused event: a row, and opened.
type rejectView struct {
	Reject
	At       time.Time
	Sentence ui.Sentence
	Where    string // the first fault's field, and the product
	Name     string // for those who hear the page
	Href     string
	Open     bool
	Faults   []faultView
	Sender   string // the name of the token that sent it, else its id
}

// faultView is a reason, with what to do about it.
type faultView struct {
	Code                            int
	Title, Pointer, Message, Remedy string
}

func faultOf(code int, pointer, message string) faultView {
	f := faultView{Code: code, Pointer: pointer, Message: ui.FullSentence(message), Title: "Error " + strconv.Itoa(code)}
	if e, ok := errs.Code(code).Entry(); ok {
		f.Title, f.Remedy = strings.TrimSuffix(ui.FullSentence(e.Title), "."), e.Remedy
	}
	return f
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

func newRejectView(v *page.Visit, one Reject, open string) rejectView {
	s := rejectView{Reject: one, Href: rejectLink(v, "event", one.ID), Open: one.ID == open}
	if at, err := time.Parse(time.RFC3339Nano, one.At); err == nil { // what is not a time was never one
		s.At = at
	}
	for _, f := range one.Errors {
		s.Faults = append(s.Faults, faultOf(f.Code, f.Pointer, f.Message))
	}
	first := s.Faults[0]
	s.Sentence, s.Where = ui.Sentence{{Text: first.Title + ".", Strong: true}, {Text: " " + first.Message}}, first.Pointer
	if s.Name = first.Title; one.EventID != "" {
		s.Name += ", event " + one.EventID
	}
	what := one.Product
	switch one.Kind {
	case "traffic":
		what = "a request count"
	case "alert":
		what = strings.TrimSpace("an alert " + what)
	}
	if what != "" {
		s.Where = strings.TrimSpace(s.Where + " of " + what)
	}
	if n := len(s.Faults) - 1; n > 0 {
		s.Sentence = append(s.Sentence, ui.Part{Text: " And " + strconv.Itoa(n) + " more."})
	}
	return s
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
	Nothing  string // what it means that there is no row
}

// countView is a line of the counts.
type countView struct {
	faultView
	Product string
	Count   int64
	Href    string
}

const rejectsAtOnce = 50

// rejects reads the part that both pages have.
func (p *pages) rejects(v *page.Visit, of Rejects) (out rejectsList, err error) {
	q := v.Request.URL.Query()
	out = rejectsList{Path: v.Request.URL.Path, Close: rejectLink(v)}
	summary, err := p.SummariseRejects(v.Context(), of)
	if err != nil {
		return out, err
	}
	out.Rejected = summary.Rejected
	for _, f := range summary.Faults {
		out.Summary = append(out.Summary, countView{faultOf(f.Code, f.Pointer, ""), f.Product, f.Count, rejectLink(v, "code", strconv.Itoa(f.Code), "product", f.Product, "cursor", "")})
	}
	filter := RejectFilter{Product: cutBytes(q.Get("product"), catalogue.MaxName)}
	if s := q.Get("code"); s != "" {
		if filter.Code, err = strconv.Atoi(s); err != nil || filter.Code <= 0 {
			return out, errs.At(errs.CodeInvalid, "code", "code is the number of an error, such as 12002")
		}
		out.Filtered = append(out.Filtered, "the first fault is: "+faultOf(filter.Code, "", "").Title)
	}
	if filter.Product != "" {
		out.Filtered = append(out.Filtered, "the product is: "+filter.Product)
	}
	from, err := page.Cursor[RejectPlace](v)
	if err != nil {
		return out, err
	}
	items, next, err := p.ListRejects(v.Context(), of, filter, from, rejectsAtOnce)
	if err != nil {
		return out, err
	}
	open := q.Get("event")
	for _, one := range items {
		out.Rows = append(out.Rows, newRejectView(v, one, open))
	}
	if next != nil {
		out.Next = v.Next(*next)
	}
	if open != "" {
		one, err := p.rejectOf(v.Context(), of, open)
		if err != nil {
			return out, err
		}
		shown := newRejectView(v, one, open)
		if shown.Sender, err = p.sender(v.Context(), of, one); err != nil {
			return out, err
		}
		out.Open = &shown
	}
	return out, nil
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

// ownerCount is a team or an account with what was refused of it in a day.
type ownerCount struct {
	Name, Href string
	Count      int64
}

// most gives the ids with the highest counts, as many as a page shows.
func most(counts map[string]int64) []string {
	ids := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	return ids[:min(len(ids), teamsPageSize)]
}

// showRejects is the operators' page: the teams and accounts with rejected
// events, and the events without a valid account.
func (p *pages) showRejects(v *page.Visit) error {
	if !v.Can(account.AuditRead) {
		return errs.New(errs.CodeForbidden, "rejected events without an account are for operators with the permission audit:read")
	}
	list, err := p.rejects(v, Rejects{})
	if err != nil {
		return err
	}
	list.Nothing = "No event without a valid account was rejected in the last 30 days."
	data := rejectsPage{List: list}
	if data.Teams, err = p.rejectingTeams(v.Context()); err != nil {
		return err
	}
	if data.Accounts, err = p.rejectingAccounts(v.Context()); err != nil {
		return err
	}
	return v.Show(page.View{Section: "rejects", Title: "Rejected events", Template: "rejects", Data: data})
}

// rejectingTeams are the teams with the most rejected events in a day.
func (p *pages) rejectingTeams(ctx context.Context) (list []ownerCount, err error) {
	counts, err := p.rejectedBy(ctx, scopeTeam)
	if err != nil {
		return nil, err
	}
	for _, teamID := range most(counts) {
		t, err := p.Team(ctx, teamID)
		if errs.Is(err, errs.CodeNotFound) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		list = append(list, ownerCount{t.Name, teamPath(t.ID) + "/rejects", counts[teamID]})
	}
	return list, nil
}

// rejectingAccounts are the accounts with the most rejected events in a day.
func (p *pages) rejectingAccounts(ctx context.Context) (list []ownerCount, err error) {
	counts, err := p.rejectedBy(ctx, scopeAccount)
	if err != nil {
		return nil, err
	}
	for _, id := range most(counts) {
		name := id
		if p.cfg.Pages.AccountName != nil {
			name = cmp.Or(p.cfg.Pages.AccountName(ctx, id), id)
		}
		list = append(list, ownerCount{name, strings.Replace(AccountRejectsPath, "{account_id}", id, 1), counts[id]})
	}
	return list, nil
}
