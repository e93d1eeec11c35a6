package notify

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addAlerts() {
	const base = "/accounts/{account_id}/alerts"
	p.Get(base, account.NotificationsRead, p.showAlerts)
	p.Get(base+"/{alert_id}", account.NotificationsRead, p.showAlert)
	p.Post(base+"/{alert_id}/ack", account.NotificationsRead, p.ackAlert)
	p.Post(base+"/{alert_id}/unack", account.NotificationsRead, p.unackAlert)
	p.Confirm(base+"/{alert_id}/replay", account.DeliveriesReplay, p.confirmReplayAlert, p.replayAlert)
}

// shownAlert is an alert in a list.
type shownAlert struct {
	Alert
	Href         string
	Title        string // its subject
	Said         string // its summary, while it fires; "" when the title says the same
	Live         string // present state of its resource; "" = unknown
	Where        string // the properties that it names
	Tone         ui.Tone
	Lasted       string // of one that ended
	Notified     []messageState
	NotifiedMore int // messages that are not listed
}

// shownLive is how many firing alerts of a list show their present state.
const shownLive = 20

// messageState is the state of the message to one destination, in a list of alerts.
type messageState struct {
	Name, State, Word, Href string
	Tone                    ui.Tone
}

type alertsPage struct {
	Path       string
	Self       string // URL of the live part; "" for an older part of the list
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

func (p *pages) showAlerts(v *page.Visit) error {
	q := v.Request.URL.Query()
	out := alertsPage{Path: AlertsPath(v.Account), State: q.Get("state"), Policies: NotificationsPath(v.Account)}
	if q.Get("cursor") == "" {
		out.Self = out.Path
		if out.State != "" {
			out.Self += "?" + url.Values{"state": {out.State}}.Encode()
		}
	}
	if !slices.Contains([]string{"", stateFiring, stateEnded, stateNotice}, out.State) {
		return errs.At(errs.CodeInvalid, "state", "state is firing, ended or notice")
	}
	firing, more, err := p.firing(v.Context(), v.Account, 100)
	if err != nil {
		return err
	}
	for _, t := range []ui.Link{
		{Label: "All", Icon: "list"},
		{Label: "Firing", Href: stateFiring, Icon: "siren"},
		{Label: "Ended", Href: stateEnded, Icon: "circle-check"},
		{Label: "Notices", Href: stateNotice, Icon: "info"},
	} {
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
	list, err := p.alertPage(v.Context(), v.Account, out.State, web.Paging{Cursor: q.Get("cursor"), Limit: 100})
	if err != nil {
		return err
	}
	if out.State == "" {
		if q.Get("cursor") == "" {
			if out.Firing, err = p.shownAlerts(v, firing); err != nil {
				return err
			}
		}
		// Firing alerts are listed above.
		list.Items = slices.DeleteFunc(list.Items, func(a Alert) bool { return a.State == stateFiring })
	}
	if out.Rows, err = p.shownAlerts(v, list.Items); err != nil {
		return err
	}
	if list.Cursor != "" {
		next := url.Values{"cursor": {list.Cursor}}
		if out.State != "" {
			next.Set("state", out.State)
		}
		out.Next = out.Path + "?" + next.Encode()
	}
	if more {
		out.MoreFiring = out.Path + "?state=firing"
	}
	out.Any = len(out.Firing)+len(out.Rows) > 0
	out.Curl = "curl -X POST " + p.Feature.URL + web.Base + "/accounts/" + v.Account + "/alerting/v3/alerts \\\n" +
		"  -H \"Authorization: Bearer $BELFRY_TOKEN\" -H 'Content-Type: application/json' \\\n" +
		`  -d '{"alert_type":"TYPE","event":"start","correlation_id":"checkout","summary":"Checkout fails"}'`
	return v.Show(page.View{Template: "alerts", Section: "alerts", Title: "Alerts", Data: out})
}

// firing lists the open alerts, the newest first, and reports whether there are more.
func (n *Feature) firing(ctx context.Context, accountID string, limit int) ([]Alert, bool, error) {
	list, err := n.alerts(ctx, accountID, stateFiring, web.Keyset{}, limit+1)
	if len(list) > limit {
		return list[:limit], true, err
	}
	return list, false, err
}

func (p *pages) shownAlerts(v *page.Visit, list []Alert) ([]shownAlert, error) {
	ctx, cancel := context.WithTimeout(v.Context(), 2*time.Second)
	defer cancel()
	out := make([]shownAlert, len(list))
	for i, a := range list {
		kind, err := p.AlertType(v.Context(), a.Type)
		if err != nil {
			return nil, err
		}
		s := shownAlert{
			Alert: a,
			Href:  alertPath(v.Account, a.ID),
			Title: a.subjectTitle(kind),
			Where: a.where(),
			Tone:  severityTone(a.Severity),
		}
		if a.State != stateEnded && a.Summary != s.Title {
			s.Said = a.Summary
		}
		if i < shownLive {
			s.Live = p.live(ctx, v.Account, &a)
		}
		s.Lasted = a.lasted()
		out[i] = s
	}
	err := p.DB.View(v.Context(), func(tx *db.Tx) error {
		for i := range out {
			s := &out[i]
			s.Notified = nil
			s.NotifiedMore = 0
			deliveries, err := deliveriesOf(v.Context(), tx,
				` WHERE `+delivery.OfSubject+` AND d.tenant = $2 AND d.replay_of = '' ORDER BY d.id LIMIT $3`,
				s.key, v.Account, 100)
			if err != nil {
				return err
			}
			for _, d := range deliveries {
				if d.Event == string(event.AlertEnd) {
					continue
				}
				if len(s.Notified) == 3 {
					s.NotifiedMore++
					continue
				}
				s.Notified = append(s.Notified, messageStateOf(v.Account, d))
			}
		}
		return nil
	})
	return out, err
}

// lasted is the duration of an alert that ended; "" for others.
func (a *Alert) lasted() string {
	if a.EndedAt.IsZero() || !a.EndedAt.After(a.OccurredAt.Time) {
		return ""
	}
	return words(a.EndedAt.Sub(a.OccurredAt.Time))
}

// where are the properties that an alert names.
func (a *Alert) where() string {
	if a.Zone != nil {
		return a.Zone.Name
	}
	return few(a.Filters[zonesKey])
}

func messageStateOf(accountID string, d Delivery) messageState {
	return messageState{
		Name:  d.Mechanism,
		State: d.State,
		Word:  deliveryWord(d.State, d.Tries),
		Tone:  deliveryTone(d.State),
		Href:  deliveryPath(accountID, d.ID),
	}
}

func deliveryPath(accountID, deliveryID string) string {
	return NotificationsPath(accountID) + "/deliveries/" + deliveryID
}
