package producer

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) mountRejects() {
	p.Mount("GET "+TeamsPath+"/{producer_id}/rejects", mayRead, false, p.showTeamRejects)
	p.Mount("GET "+RejectsPath, mayRead, false, p.showRejects)
	p.Mount("GET "+AccountRejectsPath, account.AuditRead, false, p.showAccountRejects)
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

// shownReject is a refused event: a row, and opened.
type shownReject struct {
	Reject
	At       time.Time
	Sentence ui.Sentence
	Where    string // the first fault's field, and the product
	Name     string // for those who hear the page
	Href     string
	Open     bool
	Faults   []shownFault
	Sender   string // the name of the token that sent it, else its id
}

// shownFault is a reason, with what to do about it.
type shownFault struct {
	Code                            int
	Title, Pointer, Message, Remedy string
}

func faultOf(code int, pointer, message string) shownFault {
	f := shownFault{Code: code, Pointer: pointer, Message: ui.FullSentence(message), Title: "Error " + strconv.Itoa(code)}
	if e, ok := errs.Code(code).Entry(); ok {
		f.Title, f.Remedy = strings.TrimSuffix(ui.FullSentence(e.Title), "."), e.Remedy
	}
	return f
}

func (v visit) reject(one Reject, open string) shownReject {
	s := shownReject{Reject: one, Href: v.with("event", one.ID), Open: one.ID == open}
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
	Nothing  string // what it means that there is no row
}

// shownCount is a line of the counts.
type shownCount struct {
	shownFault
	Product string
	Count   int64
	Href    string
}

const rejectsAtOnce = 50

// rejects reads the part that both pages have.
func (p *pages) rejects(v visit, of Rejects) (out rejectsView, err error) {
	q := v.r.URL.Query()
	out = rejectsView{Path: v.r.URL.Path, Close: v.with()}
	summary, err := p.SummariseRejects(v.ctx, of)
	if err != nil {
		return out, err
	}
	out.Rejected = summary.Rejected
	for _, f := range summary.Faults {
		out.Summary = append(out.Summary, shownCount{faultOf(f.Code, f.Pointer, ""), f.Product, f.Count, v.with("code", strconv.Itoa(f.Code), "product", f.Product, "cursor", "")})
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
	list := "console rejects " + of.key().scope + " " + of.key().owner
	var from RejectPlace
	if c := q.Get("cursor"); c != "" {
		if err := p.Cursors.Decode(list, c, &from); err != nil {
			return out, err
		}
	}
	items, next, err := p.ListRejects(v.ctx, of, filter, from, rejectsAtOnce)
	if err != nil {
		return out, err
	}
	open := q.Get("event")
	for _, one := range items {
		out.Rows = append(out.Rows, v.reject(one, open))
	}
	if next != nil {
		out.Next = v.with("cursor", p.Cursors.Encode(list, *next))
	}
	if open != "" {
		one, err := p.rejectOf(v.ctx, of, open)
		if err != nil {
			return out, err
		}
		shown := v.reject(one, open)
		if shown.Sender, err = p.sender(v.ctx, of, one); err != nil {
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

// showAccountRejects is a customer's page: what was refused of what was sent for
// the account.
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

// ownerCount is a team or an account with what was refused of it in a day.
type ownerCount struct {
	Name, Href string
	Count      int64
}

// most gives the ids with the highest counts, as many as a page shows.
func most(counts map[string]int64) []string {
	ids := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	return ids[:min(len(ids), teamsAtOnce)]
}

// showRejects is the operators' own: which teams and accounts have refused
// events, and those without a valid account.
func (p *pages) showRejects(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if !v.who.Can("", "audit:read") {
		return errs.New(errs.CodeForbidden, "refused events without an account are for operators who may read the record")
	}
	list, err := p.rejects(v, Rejects{})
	if err != nil {
		return err
	}
	list.Nothing = "No event without a valid account was refused in the last 30 days."
	byTeam, err := p.rejectedBy(v.ctx, scopeTeam)
	if err != nil {
		return err
	}
	byAccount, err := p.rejectedBy(v.ctx, scopeAccount)
	if err != nil {
		return err
	}
	var teams, accounts []ownerCount
	for _, teamID := range most(byTeam) {
		t, err := p.Team(v.ctx, teamID)
		if errs.Is(err, errs.CodeNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		teams = append(teams, ownerCount{t.Name, teamPath(t.ID) + "/rejects", byTeam[teamID]})
	}
	for _, id := range most(byAccount) {
		name := id
		if p.AccountName != nil {
			name = cmp.Or(p.AccountName(v.ctx, id), id)
		}
		accounts = append(accounts, ownerCount{name, strings.Replace(AccountRejectsPath, "{account_id}", id, 1), byAccount[id]})
	}
	return p.show(w, v, "rejects", "Rejected events", "rejects", 0, map[string]any{"Teams": teams, "Accounts": accounts, "List": list})
}
