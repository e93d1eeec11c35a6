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
	p.Post(base+"/chosen", account.NotificationsRead, p.actOnAlerts)
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

var alertSorts = []ui.Choice{
	{Value: sortNewest, Label: "Newest first"},
	{Value: sortLongest, Label: "Longest first"},
	{Value: sortSeverity, Label: "Most severe first"},
}

// alertsPage is the data of the template "alerts".
type alertsPage struct {
	Path      string
	Self      string // URL of the live part; "" for an older part of the list
	Tabs      []ui.Link
	Filters   ui.Filters
	Selection ui.Selection
	MayAck    bool
	Firing    int // of the whole account
	Count     int // that the filters select, up to countMost
	Filtered  bool
	Rows      []shownAlert
	Next      string
	Curl      string
	Policies  string // page
}

func (p *pages) showAlerts(v *page.Visit) error {
	u := v.Request.URL
	query := u.Query()
	filter := alertFilter{
		account:       v.Account,
		state:         query.Get("state"),
		types:         ui.FilterValues(query, "type", mostValues),
		notTypes:      ui.FilterValues(query, "type.not", mostValues),
		severities:    ui.FilterValues(query, "severity", mostValues),
		notSeverities: ui.FilterValues(query, "severity.not", mostValues),
		zones:         ui.FilterValues(query, "zone", mostValues),
		notZones:      ui.FilterValues(query, "zone.not", mostValues),
		sort:          ui.SortOf(u, alertSorts...),
	}
	if !slices.Contains([]string{"", stateFiring, stateEnded, stateNotice}, filter.state) {
		return errs.At(errs.CodeInvalid, "state", "state is firing, ended or notice")
	}
	r := ui.ParseRange(u, p.Now(), "")
	filter.since = r.Since
	filter.before = r.Before
	out := alertsPage{
		Path:     AlertsPath(v.Account),
		MayAck:   mayAck(v.Who, v.Account),
		Policies: NotificationsPath(v.Account),
	}
	filters, err := p.alertFilters(v, u)
	if err != nil {
		return err
	}
	out.Filters = filters
	out.Filters.Range = &r
	if err := v.Views("alerts", &out.Filters); err != nil {
		return err
	}
	out.Filtered = out.Filters.Clear != "" || filter.state != "" || !r.Since.IsZero() || !r.Before.IsZero()
	if out.Firing, err = p.Feature.Firing(v.Context(), v.Account); err != nil {
		return err
	}
	if out.Count, err = p.countAlerts(v.Context(), filter); err != nil {
		return err
	}
	for _, t := range []ui.Link{
		{Label: "All", Icon: "list"},
		{Label: "Firing", Href: stateFiring, Icon: "siren"},
		{Label: "Ended", Href: stateEnded, Icon: "circle-check"},
		{Label: "Notices", Href: stateNotice, Icon: "info"},
	} {
		t.Current = t.Href == filter.state
		if t.Href == stateFiring {
			t.Count = out.Firing
		}
		t.Href = ui.With(u, "state", t.Href)
		out.Tabs = append(out.Tabs, t)
	}
	out.Selection = ui.Selection{
		Form:   "chosen",
		Action: out.Path + "/chosen",
		Noun:   "alerts",
		Acts: []ui.BulkAct{
			{Label: "Acknowledge", Icon: "user-check", Value: "ack"},
			{Label: "Unacknowledge", Icon: "undo-2", Value: "unack"},
		},
	}
	list, err := page.ReadList(v, 50, filter.position, func(after web.Keyset, limit int) ([]Alert, error) {
		return p.alerts(v.Context(), filter, after, limit)
	})
	if err != nil {
		return err
	}
	out.Next = list.Next
	if v.Query("cursor") == "" {
		out.Self = ui.With(u)
	}
	if out.Rows, err = p.shownAlerts(v, list.Items); err != nil {
		return err
	}
	out.Curl = "curl -X POST " + p.Feature.URL + web.Base + "/accounts/" + v.Account + "/alerting/v3/alerts \\\n" +
		"  -H \"Authorization: Bearer $BELFRY_TOKEN\" -H 'Content-Type: application/json' \\\n" +
		`  -d '{"alert_type":"TYPE","event":"start","correlation_id":"checkout","summary":"Checkout fails"}'`
	return v.Show(page.View{Template: "alerts", Section: "alerts", Title: "Alerts", Data: out})
}

// mostValues of one filter in a URL.
const mostValues = 50

// alertFilters is the bar above the alerts.
func (p *pages) alertFilters(v *page.Visit, u *url.URL) (ui.Filters, error) {
	types, err := p.AlertTypes(v.Context())
	if err != nil {
		return ui.Filters{}, err
	}
	var kinds, severities []ui.Choice
	for _, t := range types {
		kinds = append(kinds, ui.Choice{Value: t.Type, Label: t.Title, Detail: t.Category, Icon: "siren"})
	}
	for _, s := range slices.Backward(declarable) {
		severities = append(severities, ui.Choice{Value: s, Tone: severityTone(s)})
	}
	f := ui.NewFilters(u, "",
		p.zoneKey(v),
		ui.FilterKey{Key: "type", Label: "Type", Icon: "tag", Options: kinds, Only: true},
		ui.FilterKey{Key: "severity", Label: "Severity", Icon: "flag", Options: severities, Only: true})
	f.NoSearch = true
	f.Sort = ui.Sorts(u, alertSorts...)
	f.Display = &ui.Display{Name: "alerts", Columns: []ui.ListColumn{
		{Key: "severity", Label: "Severity"},
		{Key: "zone", Label: "Property"},
		{Key: "notified", Label: "Notified"},
	}}
	return f, nil
}

// actOnAlerts acknowledges chosen alerts, or withdraws that.
func (p *pages) actOnAlerts(v *page.Visit) error {
	if !mayAck(v.Who, v.Account) {
		return noAck()
	}
	ids := v.Values("id", 128)
	act := p.Ack
	withdraw := v.Field("act", 16) == "unack"
	if withdraw {
		act = p.Unack
	}
	for _, id := range ids[:min(len(ids), mostChosen)] {
		if _, err := act(v.Context(), v.Who, v.Account, id); err != nil {
			return err
		}
	}
	if withdraw {
		return v.Redirect(AlertsPath(v.Account), "unacked-all")
	}
	return v.Redirect(AlertsPath(v.Account), "acked-all")
}

// firing lists the open alerts, the newest first, and reports whether there are more.
func (n *Feature) firing(ctx context.Context, accountID string, limit int) ([]Alert, bool, error) {
	list, err := n.alerts(ctx, alertFilter{account: accountID, state: stateFiring}, web.Keyset{}, limit+1)
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
	return durationWords(a.EndedAt.Sub(a.OccurredAt.Time))
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
