package notify

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// oneAlert is the data of the template "alert".
type oneAlert struct {
	Hub        ui.Hub
	Self       string // URL of the live part; "" when nothing changes any more
	Alert      Alert
	Said       string // the reported text: of the alert while it fires, then of its end
	Live       string // present state of its resource
	Reported   reported
	Preceded   []preceded
	More       int
	Pending    bool
	Policies   []consideredRow
	Deliveries []deliveryRow
	Timeline   []happening
	MayWrite   bool
	NewPolicy  string
	NewNote    string // path of the form; "" without the permission
	Activity   *ui.Activity
}

// preceded is a change in the list.
type preceded struct {
	Change
	Earlier string
}

type consideredRow struct {
	PolicyResult
	Href string
}

func (p *pages) showAlert(v *page.Visit) error {
	d, err := p.Decision(v.Context(), v.Account, v.PathValue("alert_id"))
	if err != nil {
		return err
	}
	kind, err := p.AlertType(v.Context(), d.Type)
	if err != nil {
		return err
	}
	title := d.subjectTitle(kind)
	out := oneAlert{
		Alert:     d.Alert,
		Said:      d.said(title),
		Reported:  report(d.Type, d.Data),
		More:      d.ChangesMore,
		Pending:   d.pending,
		MayWrite:  v.Can(account.NotificationsWrite),
		NewPolicy: NotificationsPath(v.Account) + "/policies/new?" + url.Values{"type": {d.Type}}.Encode(),
	}
	if p.unsettled(&d) {
		out.Self = alertPath(v.Account, d.ID)
	}
	out.Hub = p.alertHub(v, &d, kind, title)
	for _, c := range d.Changes {
		out.Preceded = append(out.Preceded, preceded{c, Earlier(d.OccurredAt.Time, c.At)})
	}
	if out.Policies, err = p.considered(v, d.Policies); err != nil {
		return err
	}
	for _, one := range d.Deliveries {
		out.Deliveries = append(out.Deliveries, rowOf(v.Account, one))
	}
	ctx, cancel := context.WithTimeout(v.Context(), 2*time.Second)
	defer cancel()
	out.Live = p.live(ctx, v.Account, &d.Alert)
	out.Timeline = timeline(v.Account, v.Who, &d, p.changesSince(ctx, v.Account, &d))
	if mayAck(v.Who, v.Account) {
		out.NewNote = alertPath(v.Account, d.ID) + "/notes/new"
	}
	if out.Activity, err = p.activity(v, resourceAlert, d.ID); err != nil {
		return err
	}
	return v.Show(page.View{Template: "alert", Section: "alerts", Title: title, Data: out})
}

// alertHub is the head of an alert's page and its properties.
func (p *pages) alertHub(v *page.Visit, d *Decision, kind *AlertType, title string) ui.Hub {
	href := alertPath(v.Account, d.ID)
	h := ui.Hub{
		Back:   ui.Link{Label: "Alerts", Href: AlertsPath(v.Account)},
		Icon:   "siren",
		Title:  title,
		Status: ui.Status{Label: d.State, Tone: ui.Good},
	}
	words := ""
	switch d.State {
	case stateFiring:
		h.Status.Tone = severityTone(d.Severity)
		words = "Firing since " + d.OccurredAt.UTC().Format("2 January 15:04:05") + " UTC"
	case stateEnded:
		words = "Ended"
		if lasted := d.lasted(); lasted != "" {
			words += " after " + lasted
		}
	case stateNotice:
		h.Status.Tone = ui.Info
		words = "Raised at " + d.OccurredAt.UTC().Format("2 January 15:04:05") + " UTC"
	}
	h.Subtitle = ui.Sentence{{Text: words + "."}}
	ack := mayAck(v.Who, v.Account) && d.State == stateFiring
	if ack && d.AckedAt.IsZero() {
		h.Actions = append(h.Actions, ui.Link{
			Label: "Acknowledge", Icon: "user-check", Href: href + "/ack", Post: true, Primary: true, Key: "a",
		})
	}
	if ack && !d.AckedAt.IsZero() {
		h.Actions = append(h.Actions, ui.Link{
			Label: "Unacknowledge", Icon: "undo-2", Href: href + "/unack", Post: true, Key: "a",
		})
	}
	open := "Open the page"
	if d.Resource != nil {
		open = "Open the " + human(d.Resource.Type)
	}
	if d.URL != "" {
		h.Actions = append(h.Actions, ui.Link{Label: open, Icon: "arrow-up-right", Href: d.URL, Key: "o"})
	}
	if v.Can(account.DeliveriesReplay) && len(d.Deliveries) > 0 {
		h.Actions = append(h.Actions, ui.Link{
			Label: "Send again…", Icon: "rotate-ccw", Href: href + "/replay", Key: "r",
		})
	}
	if v.Can(account.NotificationsWrite) && d.State != stateEnded {
		h.More = append(h.More, ui.Link{Label: "Silence…", Icon: "bell-off", Href: d.silenceHref()})
	}
	h.Properties = alertProperties(d, kind, h.Status, p.Feature.URL+href)
	if d.Zone != nil && d.Zone.ID != "" && v.Can(account.AccountsRead) {
		h.Properties[0].Properties[propertyOfAlert].Href = account.PropertiesPath(v.Account) + "/" + d.Zone.ID
	}
	return h
}

// propertyOfAlert is the place of the property among the facts of an alert.
const propertyOfAlert = 3

// alertProperties are the facts beside the sections of an alert.
func alertProperties(d *Decision, kind *AlertType, state ui.Status, link string) []ui.PropertyGroup {
	what := d.Type
	if kind != nil {
		what = kind.Title
	}
	about := ui.Property{Label: "About"}
	if d.Resource != nil {
		about.Text = cmp.Or(d.Resource.Name, d.Resource.ID)
		about.Href = d.URL
		about.Note = d.Resource.Type + " of " + d.Resource.Product
	}
	facts := []ui.Property{
		{Label: "State", Status: state},
		{Label: "Severity", Status: ui.Status{Label: d.Severity, Tone: severityTone(d.Severity)}},
		{Label: "Type", Text: what, Href: typePath(d.account, d.Type), Note: d.Type},
		{Label: "Property", Text: d.where(), Icon: "globe"},
		about,
	}
	if !d.AckedAt.IsZero() {
		facts = append(facts, ui.Property{Label: "Taken by", Person: &ui.Person{Name: d.AckedBy}})
	}
	var times []ui.Property
	if d.BeganAt.Before(d.OccurredAt.Time) {
		began := startOf(d.BeganAt.Time, d.OccurredAt.Time, d.Changes)
		label := "Began"
		if began.By {
			label = "Began by"
		}
		times = append(times, ui.Property{Label: label, At: began.At})
	}
	times = append(times, ui.Property{Label: "Started", At: d.OccurredAt.Time, Ago: d.State == stateFiring})
	if !d.NotifiedAt.IsZero() {
		times = append(times, ui.Property{Label: "First delivered", At: d.NotifiedAt.Time})
	}
	if !d.AckedAt.IsZero() {
		times = append(times, ui.Property{Label: "Acknowledged", At: d.AckedAt.Time})
	}
	if !d.EndedAt.IsZero() {
		times = append(times, ui.Property{Label: "Ended", At: d.EndedAt.Time})
	}
	return []ui.PropertyGroup{
		{Properties: facts},
		{Title: "Times", Properties: times},
		{Title: "Ids", Properties: []ui.Property{
			{Label: "Alert", Copy: d.ID},
			{Label: "Correlation", Copy: d.Correlation},
			{Label: "This page", Copy: link, Text: "link"},
		}},
	}
}

// unsettled reports whether something about an alert may still change.
func (p *pages) unsettled(d *Decision) bool {
	lately := func(t time.Time) bool { return p.Now().Sub(t) < 10*time.Minute }
	if d.State == stateFiring || d.pending || lately(d.EndedAt.Time) || lately(d.ReceivedAt.Time) {
		return true
	}
	return slices.ContainsFunc(d.Deliveries, func(one Delivery) bool { return one.State == delivery.StateWaiting })
}

// said returns the reported text: of the alert while it fires, and of its end when the
// incident is over.
func (d *Decision) said(title string) string {
	if d.State != stateEnded {
		if d.Summary == title {
			return ""
		}
		return d.Summary
	}
	for _, part := range slices.Backward(d.Related) {
		if part.Event == "end" && part.Summary != title && part.Summary != d.Summary {
			return part.Summary
		}
	}
	return ""
}

// live describes the present state of a firing alert's resource. After an error the
// page is shown without it.
func (p *pages) live(ctx context.Context, accountID string, a *Alert) string {
	if p.Live == nil || a.Resource == nil || a.State != stateFiring {
		return ""
	}
	s, err := p.Live(ctx, accountID, *a.Resource)
	if err != nil {
		p.Log.WarnContext(ctx, "the present state of what an alert is about is not known", "alert", a.ID, "error", err)
	}
	return s
}

// changesSince are the changes made while an alert fired: the undo is among
// them. They are looked for when the page is shown.
func (p *pages) changesSince(ctx context.Context, accountID string, d *Decision) (list []Change) {
	if p.Changes == nil || d.State == stateNotice || d.event == "end" {
		return nil
	}
	q := ChangesQuery{Account: accountID, Began: d.EndedAt.Time, Until: d.EndedAt.Time, Limit: 4 * maxChanges}
	if q.Until.IsZero() {
		q.Began, q.Until = p.Now(), p.Now()
	}
	if d.Zone != nil {
		q.Zone = d.Zone.ID
	}
	if d.Resource != nil {
		q.Resource = *d.Resource
	}
	found, _, err := p.Changes(ctx, q)
	if err != nil {
		p.Log.WarnContext(ctx, "the changes during an alert are not found", "alert", d.ID, "error", err)
	}
	for _, c := range found {
		known := slices.ContainsFunc(d.Changes, func(before Change) bool { return before.EventID == c.EventID })
		if !known && c.At.After(d.OccurredAt.Time) && !c.At.After(q.Until) && len(list) < maxChanges {
			list = append(list, c)
		}
	}
	return list
}

// considered are the policies that were evaluated, with the pages of those that
// still exist.
func (p *pages) considered(v *page.Visit, list []PolicyResult) ([]consideredRow, error) {
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	rows := make([]consideredRow, len(list))
	for i, c := range list {
		rows[i].PolicyResult = c
		if slices.ContainsFunc(policies, func(one Policy) bool { return one.ID == c.PolicyID }) {
			rows[i].Href = NotificationsPath(v.Account) + "/policies/" + c.PolicyID
		}
	}
	return rows, nil
}

// happening is a line of the timeline.
type happening struct {
	At             time.Time
	Icon, Sentence string
	Note, Href     string
}

// timeline puts everything that is known of an alert into the order of time.
// since are the changes made while it fired.
func timeline(accountID string, who *web.Principal, d *Decision, since []Change) []happening {
	var list []happening
	for _, c := range append(slices.Clone(d.Changes), since...) {
		list = append(list, happening{At: c.At, Icon: "pencil", Sentence: c.Summary, Href: c.URL})
	}
	if d.BeganAt.Before(d.OccurredAt.Time) {
		list = append(list, beginning(d))
	}
	begin := happening{At: d.OccurredAt.Time, Icon: "siren", Sentence: "Alert started"}
	switch {
	case d.event == "end":
		begin.Icon = "circle-check"
		begin.Sentence = "An end arrived without a start"
	case d.State == stateNotice:
		begin.Icon = "info"
		begin.Sentence = "Notice raised"
	case d.State == stateEnded:
		begin.Note = "“" + d.Summary + "”"
	}
	list = append(list, begin)
	for _, one := range d.Deliveries {
		if one.State != delivery.StateWaiting && !one.EndedAt.IsZero() {
			list = append(list, deliveryLine(accountID, one))
		}
	}
	for _, part := range d.Related {
		line := happening{
			At:       part.OccurredAt.Time,
			Icon:     "rotate-ccw",
			Sentence: "The start was reported again",
			Note:     part.Note,
		}
		if part.Event == "end" {
			line.Icon = "circle-check"
			line.Sentence = "Alert ended"
			if d.State != stateEnded {
				line.Icon = "rotate-ccw"
				line.Sentence = "An end was reported"
			}
		}
		list = append(list, line)
	}
	if !d.AckedAt.IsZero() {
		list = append(list, happening{At: d.AckedAt.Time, Icon: "user-check", Sentence: "Acknowledged by " + d.AckedBy})
	}
	for _, one := range d.Notes {
		list = append(list, noteLine(accountID, who, d, one))
	}
	slices.SortStableFunc(list, func(a, b happening) int { return a.At.Compare(b.At) })
	return list
}

// beginning is the line that says since when what an alert reports went on.
func beginning(d *Decision) happening {
	began := startOf(d.BeganAt.Time, d.OccurredAt.Time, d.Changes)
	line := happening{At: began.At, Icon: "trending-down", Sentence: "What it reports began"}
	if began.By {
		line.Sentence = "What it reports had begun"
	}
	return line
}

// deliveryLine is a delivery that is over, in the timeline.
func deliveryLine(accountID string, d Delivery) happening {
	line := happening{At: d.EndedAt.Time, Icon: "send", Href: deliveryPath(accountID, d.ID)}
	verb := "Delivered to "
	switch {
	case d.ReplayOf != "":
		verb = "Re-sent to "
	case d.Event == "end":
		verb = "End delivered to "
	}
	line.Sentence = verb + d.Mechanism
	switch d.State {
	case delivery.StateFailed:
		line.Icon = "circle-x"
		line.Sentence = "Not delivered to " + d.Mechanism
		line.Note = d.Reason
	case delivery.StateKept, delivery.StateSuperseded, delivery.StateNotSent:
		line.Icon = "circle-minus"
		line.Sentence = "Not sent to " + d.Mechanism
		line.Note = d.Reason
	}
	return line
}

func (p *pages) ackAlert(v *page.Visit) error {
	if !mayAck(v.Who, v.Account) {
		return noAck()
	}
	a, err := p.Ack(v.Context(), v.Who, v.Account, v.PathValue("alert_id"))
	if err != nil {
		return err
	}
	return v.Redirect(alertPath(v.Account, a.ID), "acked")
}

func (p *pages) unackAlert(v *page.Visit) error {
	if !mayAck(v.Who, v.Account) {
		return noAck()
	}
	a, err := p.Unack(v.Context(), v.Who, v.Account, v.PathValue("alert_id"))
	if err != nil {
		return err
	}
	return v.Redirect(alertPath(v.Account, a.ID), "unacked")
}

func noAck() error {
	return errs.New(errs.CodeForbidden,
		"your role in this account does not acknowledge alerts; an owner or admin can change that")
}
