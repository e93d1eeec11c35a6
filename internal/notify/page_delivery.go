package notify

import (
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// deliveryPage is the data of the template "delivery".
type deliveryPage struct {
	Self     string // URL of the live part; "" when nothing changes any more
	Hub      ui.Hub
	Row      deliveryRow
	Attempts []shownAttempt
	Cause    []ui.ActivityRow // what led to the message
}

// shownAttempt is an attempt in the timeline.
type shownAttempt struct {
	Attempt
	Word       string
	Tone       ui.Tone
	StatusLine string // "HTTP 204 No Content"
	Gap        string // time since the attempt before
	Open       bool
}

func (p *pages) showDelivery(v *page.Visit) error {
	d, err := p.Delivery(v.Context(), v.Account, v.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	list := []Delivery{d}
	if err := p.entitle(v.Context(), v.Account, list); err != nil {
		return err
	}
	d = list[0]
	out := deliveryPage{Row: rowOf(v.Account, d)}
	if d.State == delivery.StateWaiting || p.Now().Sub(d.CreatedAt.Time) < 10*time.Minute {
		out.Self = out.Row.Href
	}
	for i, a := range d.Attempts {
		one := shownAttempt{Attempt: a, Word: a.Outcome, Tone: ui.Bad, Open: i == len(d.Attempts)-1}
		switch a.Outcome {
		case delivery.StateDelivered:
			one.Tone = ui.Good
		case delivery.StateKept:
			one.Word = "not sent (no mail server)"
			one.Tone = ui.Info
		case "retry":
			one.Word = "failed, tried again"
			one.Tone = ui.Warn
		}
		one.StatusLine = statusLine(d.MechanismType, a.Status)
		if i > 0 {
			one.Gap = durationWords(a.At.Sub(d.Attempts[i-1].At.Time)) + " later"
		}
		out.Attempts = append(out.Attempts, one)
	}
	var alert *Alert
	if d.AlertID != "" {
		decision, err := p.Decision(v.Context(), v.Account, d.AlertID)
		if err != nil {
			return err
		}
		alert = &decision.Alert
		out.Cause = p.causes(v, &d, &decision)
	}
	out.Hub = deliveryHub(v, &d, alert)
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "Message to " + d.Mechanism,
		Template: "delivery",
		Data:     out,
	})
}

// statusLine is the status of an answer with its words; "" without an answer.
func statusLine(kind string, status int) string {
	switch {
	case status == 0:
		return ""
	case kind == KindEmail:
		return "SMTP " + itoa(status)
	}
	return strings.TrimSpace("HTTP " + itoa(status) + " " + http.StatusText(status))
}

// causes are the alert and the policy that led to a message.
func (p *pages) causes(v *page.Visit, d *Delivery, alert *Decision) []ui.ActivityRow {
	rows := []ui.ActivityRow{{
		ID:       "cause-alert",
		Icon:     "siren",
		Sentence: ui.Sentence{{Text: d.summary}},
		Note:     alert.Summary,
		At:       alert.OccurredAt.Time,
		Href:     alertPath(v.Account, alert.ID),
	}}
	for _, one := range alert.Policies {
		if one.PolicyID == d.PolicyID && d.PolicyID != "" {
			rows = append(rows, ui.ActivityRow{
				ID:       "cause-policy",
				Icon:     "bell",
				Sentence: ui.Sentence{{Text: "The policy " + one.Policy + " matched it"}},
				Note:     one.Why,
				At:       d.CreatedAt.Time,
				Href:     policyPath(v.Account, one.PolicyID),
			})
		}
	}
	return rows
}

// deliveryRow is a delivery in a list.
type deliveryRow struct {
	Delivery
	Href, Word, What string
	Answer, Took     string // of the last attempt; "" without an answer
	Tone             ui.Tone
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
		Answer:   statusLine(d.MechanismType, d.lastStatus),
	}
	if d.lastStatus > 0 {
		row.Took = milliseconds(float64(d.lastTook.Microseconds())/1000) + " ms"
	}
	if d.ReplayOf != "" {
		row.What += ", sent again"
	}
	return row
}

// SentHeaders are the headers of the request, one a line.
func (a Attempt) SentHeaders() string { return strings.TrimSpace(headerText(a.Request, "")) }

// SentBody is the body of the request; JSON with a line for each member.
func (a Attempt) SentBody() string { return indented(a.Body) }

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

func policyPath(accountID, id string) string { return NotificationsPath(accountID) + "/policies/" + id }

// deliverySentence is the result of a message in words.
func deliverySentence(d *Delivery, alert *Alert) string {
	after := ""
	if alert != nil && !d.EndedAt.IsZero() && d.Event != "end" && d.ReplayOf == "" {
		after = ", " + shortTime(d.EndedAt.Sub(alert.OccurredAt.Time)) + " after the alert"
	}
	switch d.State {
	case delivery.StateDelivered:
		return "Delivered on the " + ordinal(d.Tries) + " attempt" + after + "."
	case delivery.StateWaiting:
		if d.Tries == 0 {
			return "Waiting for its first attempt."
		}
		return "Tried " + plural(d.Tries, "time", "times") + " without success; the next attempt follows."
	case delivery.StateFailed:
		return sentenceOf("failed after " + plural(d.Tries, "attempt", "attempts") + ": " + d.Reason)
	case delivery.StateKept:
		return "Not sent: this installation has no mail server."
	}
	return sentenceOf("not sent: " + d.Reason)
}

// shortTime is a duration with milliseconds below a second, and tenths of a second
// below ten.
func shortTime(d time.Duration) string {
	if d >= 0 && d < time.Second {
		return itoa(int(d.Milliseconds())) + " ms"
	}
	if d >= 0 && d < 10*time.Second {
		return number(float64(d.Milliseconds()/100)/10) + " s"
	}
	return durationWords(d)
}

func ordinal(n int) string {
	names := []string{"", "first", "second", "third", "fourth", "fifth"}
	if n > 0 && n < len(names) {
		return names[n]
	}
	return itoa(n) + "th"
}

// deliveryHub is the head of a delivery's page and its properties.
func deliveryHub(v *page.Visit, d *Delivery, alert *Alert) ui.Hub {
	row := rowOf(v.Account, *d)
	h := ui.Hub{
		Back:     ui.Link{Label: "Deliveries", Href: deliveriesPath(v.Account)},
		Icon:     "send",
		Title:    d.summary,
		Status:   ui.Status{Label: row.Word, Tone: row.Tone},
		Subtitle: ui.Sentence{{Text: deliverySentence(d, alert)}},
	}
	if d.MechanismType == KindEmail {
		h.Icon = "mail"
	}
	if d.AlertID != "" {
		h.Actions = append(h.Actions, ui.Link{
			Label: "The alert", Icon: "siren", Href: alertPath(v.Account, d.AlertID), Key: "a",
		})
	}
	if v.Can(account.DeliveriesReplay) && d.State != delivery.StateWaiting {
		h.Actions = append(h.Actions, ui.Link{
			Label: "Send again…", Icon: "rotate-ccw", Href: row.Href + "/replay", Key: "r",
		})
	}
	to := ui.Property{Label: "To", Text: d.Mechanism, Icon: "mail"}
	if d.MechanismType == KindWebhook {
		to.Icon = "webhook"
		to.Href = webhookPath(v.Account, d.DestinationID)
	}
	policy := ui.Property{Label: "Policy", Text: d.Policy}
	if d.PolicyID != "" {
		policy.Href = policyPath(v.Account, d.PolicyID)
	}
	properties := []ui.Property{
		{Label: "State", Status: h.Status, Note: d.Reason},
		to,
		{Label: "Message", Text: row.What},
		policy,
		{Label: "Attempts", Text: itoa(d.Tries)},
		{Label: "Created", At: d.CreatedAt.Time},
	}
	if !d.NextAt.IsZero() && d.State == delivery.StateWaiting {
		properties = append(properties, ui.Property{Label: "Next attempt", At: d.NextAt.Time, Ago: true})
	}
	if !d.EndedAt.IsZero() {
		properties = append(properties, ui.Property{Label: "Ended", At: d.EndedAt.Time})
	}
	if d.ReplayOf != "" {
		properties = append(properties, ui.Property{
			Label: "Repeats", Text: "An earlier message", Href: deliveryPath(v.Account, d.ReplayOf),
		})
	}
	properties = append(properties, ui.Property{Label: "Id", Copy: d.ID, Note: "sent as webhook-id"})
	if d.MechanismType == KindEmail {
		properties[len(properties)-1].Note = ""
	}
	h.Properties = []ui.PropertyGroup{{Properties: properties}}
	return h
}

// confirmReplayDelivery names who would get the message again.
func (p *pages) confirmReplayDelivery(v *page.Visit) (page.Confirm, error) {
	d, err := p.Delivery(v.Context(), v.Account, v.PathValue("delivery_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	back := deliveryPath(v.Account, d.ID)
	return page.Confirm{
		Section: "notifications",
		Title:   "Send again?",
		Text:    "The message is sent again now, to " + d.Mechanism + ".",
		Label:   "Send again",
		Back:    back,
	}, nil
}

func (p *pages) replayDelivery(v *page.Visit) error {
	out, err := p.ReplayDelivery(v.Context(), v.Who, v.Account, v.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	return v.Redirect(deliveryPath(v.Account, out.Deliveries[0]), "replayed")
}
