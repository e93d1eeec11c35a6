package notify

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// oneAlert is the page of one alert.
type oneAlert struct {
	Alert      Alert
	Title      string // its subject
	Said       string // the reported text: of the alert while it fires, then of its end
	Live       string // present state of its resource
	Self       string // URL of the live part; "" when nothing changes any more
	Back       string
	Tone       ui.Tone
	Lasted     string
	Kind       string      // the type's title
	Where      string      // the properties that it names
	Began      *alertStart // nil: it is not known, or as the alert started
	Reported   reported
	Preceded   []preceded
	More       int
	Pending    bool
	Policies   []consideredRow
	Deliveries []deliveryRow
	Timeline   []happening
	MayAck     bool
	MayUnack   bool
	MayReplay  bool
	MayWrite   bool
	NewPolicy  string
	Record     string
	Open       string // label of the link to the product's page
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

type deliveryRow struct {
	Delivery
	Href, Word, What string
	Alone            bool // on its own page
	Tone             ui.Tone
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
	ack := mayAck(v.Who, v.Account)
	out := oneAlert{
		Alert:     d.Alert,
		Title:     d.subjectTitle(kind),
		Back:      AlertsPath(v.Account),
		Tone:      severityTone(d.Severity),
		Lasted:    d.lasted(),
		Kind:      d.Type,
		Where:     d.where(),
		Reported:  report(d.Type, d.Data),
		More:      d.ChangesMore,
		Pending:   d.pending,
		MayAck:    ack && d.AckedAt.IsZero() && d.State == stateFiring,
		MayUnack:  ack && !d.AckedAt.IsZero() && d.State == stateFiring,
		MayReplay: v.Can(account.DeliveriesReplay) && len(d.Deliveries) > 0,
		MayWrite:  v.Can(account.NotificationsWrite),
		NewPolicy: NotificationsPath(v.Account) + "/policies/new?" + url.Values{"type": {d.Type}}.Encode(),
	}
	if kind != nil {
		out.Kind = kind.Title
	}
	if d.URL != "" {
		out.Open = "Open the page"
		if d.Resource != nil {
			out.Open = "Open the " + human(d.Resource.Type)
		}
	}
	if p.unsettled(&d) {
		out.Self = alertPath(v.Account, d.ID)
	}
	if d.BeganAt.Before(d.OccurredAt.Time) {
		began := startOf(d.BeganAt.Time, d.OccurredAt.Time, d.Changes)
		out.Began = &began
	}
	out.Said = d.said(out.Title)
	if v.Can(account.AuditRead) {
		out.Record = "/accounts/" + v.Account + "/audit?" + url.Values{"resource_id": {d.ID}}.Encode()
	}
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
	out.Timeline = timeline(v.Account, &d, p.changesSince(ctx, v.Account, &d))
	return v.Show(page.View{Template: "alert", Section: "alerts", Title: out.Title, Data: out})
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

// messages are the kinds of messages, as lists call them.
var messages = map[string]string{
	"start":  "alert",
	"end":    "end of the alert",
	"notice": "notice",
	"test":   "test message",
}

func rowOf(accountID string, d Delivery) deliveryRow {
	row := deliveryRow{
		Delivery: d,
		Href:     deliveryPath(accountID, d.ID),
		Word:     deliveryWord(d.State, d.Tries),
		Tone:     deliveryTone(d.State),
		What:     messages[d.Event],
	}
	if d.ReplayOf != "" {
		row.What += ", sent again"
	}
	return row
}

// happening is a line of the timeline.
type happening struct {
	At             time.Time
	Icon, Sentence string
	Note, Href     string
}

// timeline puts everything that is known of an alert into the order of time.
// since are the changes made while it fired.
func timeline(accountID string, d *Decision, since []Change) []happening {
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

// confirmReplayAlert names who would get the messages again.
func (p *pages) confirmReplayAlert(v *page.Visit) (page.Confirm, error) {
	d, err := p.Decision(v.Context(), v.Account, v.PathValue("alert_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	var to []string
	count := 0
	for _, one := range d.Deliveries {
		if one.ReplayOf != "" || one.State == delivery.StateWaiting {
			continue
		}
		count++
		if !slices.Contains(to, one.Mechanism) {
			to = append(to, one.Mechanism)
		}
	}
	back := alertPath(v.Account, d.ID)
	if count == 0 {
		return page.Confirm{}, errs.New(errs.CodeStateConflict,
			"no message of this alert can be sent again: none was made, or all are still pending")
	}
	return page.Confirm{
		Section: "alerts",
		Title:   "Send again?",
		Text:    plural(count, "message goes", "messages go") + " out again at once, to " + strings.Join(to, ", ") + ".",
		Label:   "Send again",
		Back:    back,
	}, nil
}

func (p *pages) replayAlert(v *page.Visit) error {
	alertID := v.PathValue("alert_id")
	if _, err := p.ReplayAlert(v.Context(), v.Who, v.Account, alertID); err != nil {
		return err
	}
	return v.Redirect(alertPath(v.Account, alertID), "replayed")
}

// Sent is the request as text.
func (a Attempt) Sent() string { return headerText(a.Request, a.Body) }

// Answered is the answer as text, its status first.
func (a Attempt) Answered() string {
	status := ""
	if text := http.StatusText(a.Status); text != "" && len(a.Response) > 0 {
		status = itoa(a.Status) + " " + text + "\n"
	}
	return status + headerText(a.Response, a.Answer)
}

func headerText(list []delivery.Header, body string) string {
	var b strings.Builder
	for _, h := range list {
		b.WriteString(h.Name + ": " + h.Value + "\n")
	}
	return b.String() + "\n" + indented(body)
}
