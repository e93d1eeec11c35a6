package notify

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) mountAlerts() {
	const base = "/accounts/{account_id}/alerts"
	p.Mount("GET "+base, account.NotificationsRead, false, p.showAlerts)
	p.Mount("GET "+base+"/{alert_id}", account.NotificationsRead, false, p.showAlert)
	p.Mount("POST "+base+"/{alert_id}/ack", account.NotificationsRead, false, p.ackAlert)
	p.Mount("POST "+base+"/{alert_id}/replay", account.DeliveriesReplay, false, p.replayAlert)
}

// shownAlert is an alert in a list.
type shownAlert struct {
	Alert
	Href     string
	Tone     ui.Tone
	Lasted   string // of one that ended
	Told     []telling
	ToldMore int
}

// telling is what became of the message to one destination.
type telling struct {
	Name, State, Word, Href string
	Tone                    ui.Tone
}

type alertsPage struct {
	Path       string
	Tabs       []ui.Link
	State      string
	Firing     []shownAlert // first on the page of all
	Rows       []shownAlert
	Next       string
	Any        bool
	Curl       string
	Policies   string // page
	MoreFiring string
}

func (p *pages) showAlerts(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	q := r.URL.Query()
	out := alertsPage{Path: AlertsPath(v.account), State: q.Get("state"), Policies: NotificationsPath(v.account)}
	if !slices.Contains([]string{"", stateFiring, stateEnded, stateNotice}, out.State) {
		return errs.At(errs.CodeInvalid, "state", "state is firing, ended or notice")
	}
	firing, more, err := p.firing(v.ctx, v.account, 100)
	if err != nil {
		return err
	}
	for _, t := range []ui.Link{{Label: "All", Icon: "list"}, {Label: "Firing", Href: stateFiring, Icon: "siren"}, {Label: "Ended", Href: stateEnded, Icon: "circle-check"}, {Label: "Notices", Href: stateNotice, Icon: "info"}} {
		t.Current = t.Href == out.State
		if t.Href == stateFiring {
			t.Count = len(firing)
		}
		if t.Href != "" {
			t.Href = "?" + url.Values{"state": {t.Href}}.Encode()
		}
		t.Href = out.Path + t.Href
		out.Tabs = append(out.Tabs, t)
	}
	page, err := p.alertPage(v.ctx, v.account, out.State, web.Paging{Cursor: q.Get("cursor"), Limit: 100})
	if err != nil {
		return err
	}
	if out.State == "" {
		if q.Get("cursor") == "" {
			if out.Firing, err = p.shownAlerts(v, firing); err != nil {
				return err
			}
		}
		// What fires stands above, and not twice.
		page.Items = slices.DeleteFunc(page.Items, func(a Alert) bool { return a.State == stateFiring })
	}
	if out.Rows, err = p.shownAlerts(v, page.Items); err != nil {
		return err
	}
	if page.Cursor != "" {
		next := url.Values{"cursor": {page.Cursor}}
		if out.State != "" {
			next.Set("state", out.State)
		}
		out.Next = out.Path + "?" + next.Encode()
	}
	if more {
		out.MoreFiring = out.Path + "?state=firing"
	}
	out.Any = len(out.Firing)+len(out.Rows) > 0
	out.Curl = "curl -X POST " + p.Pages.URL + web.Base + "/accounts/" + v.account + "/alerting/v3/alerts \\\n  -H \"Authorization: Bearer $BELFRY_TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{\"alert_type\":\"TYPE\",\"event\":\"start\",\"correlation_id\":\"checkout\",\"summary\":\"Checkout fails\"}'"
	return p.show(w, v, "alerts", view{section: "alerts", title: "Alerts", data: out})
}

// firing is what is open now, the newest first, and whether there is more.
func (n *Feature) firing(ctx context.Context, accountID string, limit int) ([]Alert, bool, error) {
	list, err := n.alerts(ctx, accountID, stateFiring, place{}, limit+1)
	if len(list) > limit {
		return list[:limit], true, err
	}
	return list, false, err
}

func (p *pages) shownAlerts(v visit, list []Alert) ([]shownAlert, error) {
	out := make([]shownAlert, len(list))
	err := p.DB.View(v.ctx, func(tx *db.Tx) error {
		for i, a := range list {
			s := shownAlert{Alert: a, Href: alertPath(v.account, a.ID), Tone: severityTone(a.Severity)}
			if !a.EndedAt.IsZero() && a.EndedAt.After(a.OccurredAt.Time) {
				s.Lasted = words(a.EndedAt.Sub(a.OccurredAt.Time))
			}
			deliveries, err := deliveriesOf(v.ctx, tx, ` WHERE d.root_key = $1 AND d.account_id = $2 AND d.event <> 'end' AND d.replay_of = '' ORDER BY d.id LIMIT $3`, a.key, v.account, 50)
			if err != nil {
				return err
			}
			for _, d := range deliveries {
				if len(s.Told) == 3 {
					s.ToldMore++
					continue
				}
				s.Told = append(s.Told, tellingOf(v.account, d))
			}
			out[i] = s
		}
		return nil
	})
	return out, err
}

func tellingOf(accountID string, d Delivery) telling {
	return telling{Name: d.Mechanism, State: d.State, Word: deliveryWord(d.State, d.Tries), Tone: deliveryTone(d.State), Href: deliveryPath(accountID, d.ID)}
}

func deliveryPath(accountID, deliveryID string) string {
	return NotificationsPath(accountID) + "/deliveries/" + deliveryID
}

// oneAlert is the page of one alert.
type oneAlert struct {
	Alert      Alert
	Back       string
	Tone       ui.Tone
	Lasted     string
	Kind       string // the type's title
	Facts      []fact
	Windows    *matrix
	Preceded   []preceded
	More       int
	Pending    bool
	Policies   []consideredRow
	Deliveries []deliveryRow
	Timeline   []happening
	MayAck     bool
	MayReplay  bool
	MayWrite   bool
	NewPolicy  string
	Record     string
	External   bool // the product's page lies elsewhere
}

// preceded is a change in the list.
type preceded struct {
	Change
	Earlier string
}

type consideredRow struct {
	Considered
	Href string
}

type deliveryRow struct {
	Delivery
	Href, Word, What string
	Tone             ui.Tone
}

// happening is a line of the timeline.
type happening struct {
	At             time.Time
	Icon, Sentence string
	Href           string
	Tone           ui.Tone
}

func (p *pages) showAlert(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	d, err := p.Decision(v.ctx, v.account, r.PathValue("alert_id"))
	if err != nil {
		return err
	}
	out := oneAlert{Alert: d.Alert, Back: AlertsPath(v.account), Tone: severityTone(d.Severity), Kind: d.Type, More: d.ChangesMore, Pending: d.pending,
		MayAck: mayAck(v.who, v.account) && d.AckedAt.IsZero() && d.State == stateFiring, MayReplay: v.can(account.DeliveriesReplay) && len(d.Deliveries) > 0,
		MayWrite: v.can(account.NotificationsWrite), NewPolicy: NotificationsPath(v.account) + "/policies/new?" + url.Values{"type": {d.Type}}.Encode(),
		External: strings.HasPrefix(d.URL, "http")}
	if kind, err := p.AlertType(v.ctx, d.Type); err != nil {
		return err
	} else if kind != nil {
		out.Kind = kind.Title
	}
	if !d.EndedAt.IsZero() && d.EndedAt.After(d.OccurredAt.Time) {
		out.Lasted = words(d.EndedAt.Sub(d.OccurredAt.Time))
	}
	if v.can(account.AuditRead) {
		out.Record = "/accounts/" + v.account + "/audit?" + url.Values{"resource_id": {d.ID}}.Encode()
	}
	out.Facts, out.Windows = tabulate(d.Data)
	for _, c := range d.Changes {
		out.Preceded = append(out.Preceded, preceded{c, Earlier(d.OccurredAt.Time, c.At)})
	}
	for _, c := range d.Policies {
		row := consideredRow{Considered: c}
		if _, err := p.Policy(v.ctx, v.account, c.PolicyID); err == nil {
			row.Href = NotificationsPath(v.account) + "/policies/" + c.PolicyID
		} else if errs.KindOf(err) != errs.NotFound {
			return err
		}
		out.Policies = append(out.Policies, row)
	}
	for _, one := range d.Deliveries {
		out.Deliveries = append(out.Deliveries, rowOf(v.account, one))
	}
	out.Timeline = timeline(v.account, &d)
	return p.show(w, v, "alert", view{section: "alerts", title: d.Summary, data: out})
}

func rowOf(accountID string, d Delivery) deliveryRow {
	what := map[string]string{"start": "the start", "end": "the end", "notice": "the notice", "test": "a test"}[d.Event]
	if d.ReplayOf != "" {
		what += ", again"
	}
	return deliveryRow{Delivery: d, Href: deliveryPath(accountID, d.ID), Word: deliveryWord(d.State, d.Tries), Tone: deliveryTone(d.State), What: what}
}

// timeline puts everything that is known of an alert into the order of time.
func timeline(accountID string, d *Decision) []happening {
	var list []happening
	for _, c := range d.Changes {
		list = append(list, happening{c.At, "pencil", c.Summary, c.URL, ui.Neutral})
	}
	if d.BeganAt.Before(d.OccurredAt.Time) {
		list = append(list, happening{d.BeganAt.Time, "trending-down", "What it reports began", "", ui.Neutral})
	}
	begin := happening{d.OccurredAt.Time, "siren", "The alert started", "", ui.Bad}
	switch {
	case d.event == "end":
		begin = happening{d.OccurredAt.Time, "circle-check", "An end arrived without a start", "", ui.Neutral}
	case d.State == stateNotice:
		begin.Icon, begin.Sentence, begin.Tone = "info", "The notice was sent", ui.Neutral
	}
	list = append(list, begin)
	for _, one := range d.Deliveries {
		if one.State != stateWaiting && !one.EndedAt.IsZero() {
			row := rowOf(accountID, one)
			m := happening{one.EndedAt.Time, "send", sentence(row.What) + " was " + row.Word + " to " + one.Mechanism, row.Href, ui.Neutral}
			switch one.State {
			case stateKept:
				m.Sentence = sentence(row.What) + " to " + one.Mechanism + " was kept here"
			case stateFailed:
				m.Icon, m.Tone, m.Sentence = "circle-x", ui.Bad, sentence(row.What)+" did not reach "+one.Mechanism
			case stateSuperseded, stateNotSent:
				m.Icon, m.Sentence = "circle-minus", sentence(row.What)+" to "+one.Mechanism+" was not sent"
			}
			list = append(list, m)
		}
	}
	for _, part := range d.Related {
		if part.Event == "end" {
			list = append(list, happening{part.OccurredAt.Time, "circle-check", "The alert ended", "", ui.Good})
		} else {
			list = append(list, happening{part.OccurredAt.Time, "rotate-ccw", "The start was repeated; nobody was told twice", "", ui.Neutral})
		}
	}
	if !d.AckedAt.IsZero() {
		list = append(list, happening{d.AckedAt.Time, "user-check", d.AckedBy + " acknowledged it", "", ui.Neutral})
	}
	slices.SortStableFunc(list, func(a, b happening) int { return a.At.Compare(b.At) })
	return list
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (p *pages) ackAlert(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if !mayAck(v.who, v.account) {
		return errs.New(errs.CodeForbidden, "your role in this account does not acknowledge alerts; an owner or admin can change that")
	}
	a, err := p.Ack(v.ctx, v.who, v.account, r.PathValue("alert_id"))
	if err != nil {
		return err
	}
	return goTo(w, r, alertPath(v.account, a.ID), "acked")
}

func (p *pages) replayAlert(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	alertID := r.PathValue("alert_id")
	if _, err := p.ReplayAlert(v.ctx, v.who, v.account, alertID); err != nil {
		return err
	}
	return goTo(w, r, alertPath(v.account, alertID), "replayed")
}

// Sent is the request as text.
func (a Attempt) Sent() string { return headerText(a.Request, a.Body) }

// Answered is the answer as text.
func (a Attempt) Answered() string { return headerText(a.Response, a.Answer) }

func headerText(list []Header, body string) string {
	var b strings.Builder
	for _, h := range list {
		b.WriteString(h.Name + ": " + h.Value + "\n")
	}
	return b.String() + "\n" + body
}
