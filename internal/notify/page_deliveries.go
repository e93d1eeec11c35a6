package notify

import (
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addDeliveries() {
	const base = "/accounts/{account_id}/notifications/deliveries"
	p.Get(base, account.NotificationsRead, p.showDeliveries)
	p.Post(base+"/replay", account.DeliveriesReplay, p.replayDeliveries)
	p.Get(base+"/{delivery_id}", account.NotificationsRead, p.showDelivery)
	p.Confirm(base+"/{delivery_id}/replay", account.DeliveriesReplay, p.confirmReplayDelivery, p.replayDelivery)
}

// deliveriesPath is the list of an account's deliveries.
func deliveriesPath(accountID string) string { return NotificationsPath(accountID) + "/deliveries" }

// deliveriesPage is the data of the template "deliveries".
type deliveriesPage struct {
	Back      string
	Self      string // URL of the live part; "" for a later part of the list
	Filters   ui.Filters
	Selection ui.Selection
	MayReplay bool
	Rows      []deliveryRow
	Next      string
	Filtered  bool
}

// deliveryColumns are the columns that a visitor can hide.
var deliveryColumnsShown = []ui.ListColumn{
	{Key: "answer", Label: "Answer"},
	{Key: "attempts", Label: "Attempts"},
	{Key: "policy", Label: "Policy"},
}

func (p *pages) showDeliveries(v *page.Visit) error {
	u := v.Request.URL
	query := u.Query()
	filter := deliveryFilter{
		account:   v.Account,
		states:    keepKnown(query["state"], deliveryStates),
		notStates: keepKnown(query["state.not"], deliveryStates),
	}
	hooks, err := p.Webhooks(v.Context(), v.Account)
	if err != nil {
		return err
	}
	var destinations []ui.Choice
	for _, h := range hooks {
		destinations = append(destinations, ui.Choice{Value: h.ID, Label: h.Name, Icon: "webhook"})
	}
	if id := query.Get("webhook"); id != "" {
		d, err := p.Destination(v.Context(), v.Account, id)
		if err != nil {
			return err
		}
		filter.destination = d.ID
	}
	r := ui.ParseRange(u, p.Now(), "")
	filter.since = r.Since
	filter.before = r.Before

	var states []ui.Choice
	for _, s := range deliveryStates {
		states = append(states, ui.Choice{Value: s, Label: deliveryWord(s, 0), Tone: deliveryTone(s)})
	}
	out := deliveriesPage{Back: NotificationsPath(v.Account), MayReplay: v.Can(account.DeliveriesReplay)}
	out.Filters = ui.NewFilters(u, "",
		ui.FilterKey{Key: "state", Label: "State", Icon: "circle-dot", Options: states, Only: true},
		ui.FilterKey{Key: "webhook", Label: "Webhook", Icon: "webhook", Options: destinations, Only: true})
	out.Filters.NoSearch = true
	out.Filters.Range = &r
	out.Filters.Display = &ui.Display{Name: "deliveries", Columns: deliveryColumnsShown}
	if err := v.Views("notifications/deliveries", &out.Filters); err != nil {
		return err
	}
	out.Filtered = out.Filters.Clear != "" || !r.Since.IsZero() || !r.Before.IsZero()
	out.Selection = ui.Selection{
		Form:   "chosen",
		Action: deliveriesPath(v.Account) + "/replay",
		Noun:   "deliveries",
		Acts:   []ui.BulkAct{{Label: "Send again…", Icon: "rotate-ccw", Value: "replay"}},
	}
	list, err := page.ReadList(v, 50, func(d Delivery) string { return d.ID },
		func(after string, limit int) ([]Delivery, error) {
			return p.deliveriesAfter(v.Context(), filter, after, limit)
		})
	if err != nil {
		return err
	}
	out.Next = list.Next
	if v.Query("cursor") == "" && list.Next == "" {
		out.Self = ui.With(u)
	}
	if out.Rows, err = p.deliveryRows(v, list.Items); err != nil {
		return err
	}
	return v.Show(page.View{Template: "deliveries", Section: "notifications", Title: "Deliveries", Data: out})
}

// keepKnown are the values that the list has.
func keepKnown(values, list []string) (out []string) {
	for _, v := range values {
		if slices.Contains(list, v) {
			out = append(out, v)
		}
	}
	return out
}

// Summary is the summary of the delivery's alert.
func (d Delivery) Summary() string { return d.summary }

func (p *pages) deliveryRows(v *page.Visit, list []Delivery) ([]deliveryRow, error) {
	if err := p.entitle(v.Context(), v.Account, list); err != nil {
		return nil, err
	}
	rows := make([]deliveryRow, len(list))
	for i, d := range list {
		rows[i] = rowOf(v.Account, d)
	}
	return rows, nil
}

// mostChosen is how many rows of a list one request acts on.
const mostChosen = 100

// replayDeliveries sends chosen deliveries again, after it has asked.
func (p *pages) replayDeliveries(v *page.Visit) error {
	ids := v.Values("id", 64)
	ids = ids[:min(len(ids), mostChosen)]
	back := deliveriesPath(v.Account)
	var ended []page.ChosenItem
	var to []string
	for _, id := range ids {
		d, err := p.Delivery(v.Context(), v.Account, id)
		if errs.KindOf(err) == errs.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		if d.State == delivery.StateWaiting {
			continue
		}
		ended = append(ended, page.ChosenItem{ID: d.ID, Name: d.Summary(), Note: "to " + d.Mechanism})
		if !slices.Contains(to, d.Mechanism) {
			to = append(to, d.Mechanism)
		}
	}
	if len(ended) == 0 {
		return errs.New(errs.CodeStateConflict, "choose at least one delivery that is not waiting")
	}
	if !v.Confirmed() {
		return v.AskChosen(page.Chosen{
			Section: "notifications",
			Title:   "Send again?",
			Text: plural(len(ended), "message goes", "messages go") + " out again at once, to " + strings.Join(to, ", ") +
				". Each gets a new id.",
			Label: "Send again",
			Back:  back,
			Act:   "replay",
			Items: ended,
		})
	}
	for _, one := range ended {
		if _, err := p.ReplayDelivery(v.Context(), v.Who, v.Account, one.ID); err != nil {
			return err
		}
	}
	return v.Redirect(back, "replayed")
}
