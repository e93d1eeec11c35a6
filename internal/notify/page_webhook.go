package notify

import (
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// hubRows is how many rows a section of a hub has; a link leads to the whole list.
const hubRows = 10

// shownWebhook is a destination in a list.
type shownWebhook struct {
	Destination
	Href, Health string
	Tone         ui.Tone
	Mail, Inbox  bool
	Unconfirmed  []unconfirmed // of mail: the address itself
}

func shownWebhookOf(accountID string, d Destination) shownWebhook {
	s := shownWebhook{
		Destination: d,
		Href:        webhookPath(accountID, d.ID),
		Health:      "works",
		Tone:        ui.Good,
		Mail:        d.Kind == KindEmail,
	}
	switch {
	case d.paused():
		s.Health = "paused"
		s.Tone = ui.Warn
	case d.State == delivery.DestinationDisabled:
		s.Health = "disabled"
		s.Tone = ui.Bad
	case d.State == delivery.DestinationBroken:
		s.Health = "rejects the credential"
		s.Tone = ui.Bad
	case d.LastFailure.After(d.LastSuccess.Time):
		s.Health = "failing"
		s.Tone = ui.Warn
	case d.LastSuccess.IsZero() && s.Mail:
		s.Health = "no mail sent yet"
		s.Tone = ui.Neutral
	case d.LastSuccess.IsZero():
		s.Health = "no message yet"
		s.Tone = ui.Neutral
	}
	return s
}

func webhookPath(accountID, id string) string {
	return NotificationsPath(accountID) + "/webhooks/" + id
}

// webhookPage is the data of the template "webhook".
type webhookPage struct {
	Self     string
	Hub      ui.Hub
	Hook     shownWebhook
	Metrics  []ui.Metric
	States   []ui.Link // filter of the deliveries
	Rows     []deliveryRow
	All      string // list of all its deliveries
	Policies []shownPolicy
	Choose   string // path of the form that chooses the policies; "" without the permission
	Activity *ui.Activity
}

// webhookStates are the tabs above the deliveries of a webhook.
var webhookStates = []ui.Link{
	{Label: "All"},
	{Label: "Delivered", Href: delivery.StateDelivered},
	{Label: "Waiting", Href: delivery.StateWaiting},
	{Label: "Failed", Href: delivery.StateFailed},
}

func (p *pages) showWebhook(v *page.Visit) error {
	h, err := p.webhook(v)
	if err != nil {
		return err
	}
	d := h.Destination
	out := webhookPage{Hook: h, Self: ui.With(v.Request.URL)}
	if v.Can(account.NotificationsWrite) {
		out.Choose = h.Href + "/policies"
	}
	statistics, err := p.statistics(v.Context(), d.ID)
	if err != nil {
		return err
	}
	out.Metrics = webhookMetrics(&d, &statistics, p.Now())

	filter := deliveryFilter{account: v.Account, destination: d.ID}
	list := deliveriesPath(v.Account) + "?webhook=" + d.ID
	state := v.Query("state")
	if slices.Contains(deliveryStates, state) {
		filter.states = []string{state}
		list += "&state=" + state
	}
	out.All = list
	deliveries, err := p.deliveriesAfter(v.Context(), filter, "", hubRows)
	if err != nil {
		return err
	}
	if out.Rows, err = p.deliveryRows(v, deliveries); err != nil {
		return err
	}
	for _, tab := range webhookStates {
		tab.Current = tab.Href == state
		tab.Href = ui.With(v.Request.URL, "state", tab.Href)
		out.States = append(out.States, tab)
	}
	if out.Policies, err = p.policiesOfWebhook(v, d.ID, d.Name); err != nil {
		return err
	}
	if out.Activity, err = p.activity(v, resourceDestination, d.ID); err != nil {
		return err
	}
	out.Hub = p.webhookHub(v, &out)
	return v.Show(page.View{Section: "notifications", Title: d.Name, Template: "webhook", Data: out})
}

// activity reads the newest events about an object; nil where the visitor may not
// read the audit log.
func (p *pages) activity(v *page.Visit, resourceType, id string) (*ui.Activity, error) {
	if p.Activity == nil || !v.Can(account.AuditRead) {
		return nil, nil
	}
	about := feature.About{ResourceType: resourceType, ResourceID: id}
	a, err := p.Activity(v.Context(), v.Who, v.Account, about, hubRows)
	return &a, err
}

// policiesOfWebhook are the policies that send to a webhook.
func (p *pages) policiesOfWebhook(v *page.Visit, id, name string) (list []shownPolicy, err error) {
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	for _, one := range policies {
		if !slices.Contains(one.Mechanisms.Webhooks, Mechanism{id}) {
			continue
		}
		s, err := p.shownPolicy(v, one, map[string]string{id: name})
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// webhookHub is the head of a webhook's page and its properties.
func (p *pages) webhookHub(v *page.Visit, out *webhookPage) ui.Hub {
	d := &out.Hook.Destination
	href := out.Hook.Href
	h := ui.Hub{
		Back:     ui.Link{Label: "Notifications", Href: NotificationsPath(v.Account)},
		Icon:     "webhook",
		Title:    d.Name,
		Status:   ui.Status{Label: out.Hook.Health, Tone: out.Hook.Tone},
		Subtitle: ui.Sentence{{Text: webhookSentence(out)}},
	}
	if v.Can(account.NotificationsWrite) {
		test := ui.Link{Label: "Send test", Icon: "send", Href: href + "/test", Post: true, Key: "s"}
		if d.State != delivery.DestinationOK {
			h.Actions = append(h.Actions, ui.Link{
				Label: "Enable", Icon: "play", Href: href + "/enable", Post: true, Primary: true, Key: "e",
			})
		}
		h.Actions = append(h.Actions, test)
		h.More = append(h.More,
			ui.Link{Label: "Edit", Icon: "pencil", Href: href + "/edit"},
			ui.Link{Label: "Rotate the signing secret…", Icon: "refresh-cw", Href: href + "/rotate"})
		if d.State != delivery.DestinationDisabled {
			h.More = append(h.More, ui.Link{Label: "Pause…", Icon: "pause", Href: href + "/pause"})
		}
	}
	if v.Can(account.DeliveriesReplay) {
		h.Actions = append(h.Actions, ui.Link{Label: "Replay…", Icon: "rotate-ccw", Href: href + "/replay", Key: "r"})
	}
	if v.Can(account.NotificationsWrite) {
		h.More = append(h.More, ui.Link{Label: "Delete…", Icon: "trash-2", Href: href + "/delete", Danger: true})
	}
	h.Properties = webhookProperties(out, p.Now())
	if v.Can(account.NotificationsWrite) {
		h.Properties[0].Action = ui.Link{Label: "Edit", Href: href + "/edit"}
	}
	return h
}

// webhookSentence names the alerts that the webhook receives, and since when it does not work.
func webhookSentence(out *webhookPage) string {
	d := &out.Hook.Destination
	since := " since " + d.StateAt.UTC().Format("2 January 15:04") + " UTC"
	switch {
	case d.paused():
		return sentenceOf(d.StateReason + since + ". Messages are not sent meanwhile; replay them afterwards")
	case d.State == delivery.DestinationDisabled:
		return sentenceOf("disabled" + since + ": " + d.StateReason)
	case d.State == delivery.DestinationBroken:
		return sentenceOf("the receiver rejects the credential" + since + ": " + d.StateReason)
	case d.LastFailure.After(d.LastSuccess.Time):
		return "The last attempt failed at " + d.LastFailure.UTC().Format("15:04:05") + " UTC."
	case len(out.Policies) == 0:
		return "No policy sends to it yet."
	}
	var names []string
	for _, one := range out.Policies {
		if !slices.Contains(names, one.What) {
			names = append(names, one.What)
		}
	}
	return "Receives: " + few(names)
}

func sentenceOf(s string) string { return ui.FullSentence(strings.TrimSpace(s)) }

// masked stands for a secret that is shown once, when it is made.
const masked = "whsec_••••••••••••"

func webhookProperties(out *webhookPage, now time.Time) []ui.PropertyGroup {
	d := &out.Hook.Destination
	signing := ui.Property{Label: "Signing secret", Text: masked, Mono: true, Note: "shown only once, when it is made"}
	for _, k := range d.secrets.Keys {
		if k.Until > now.UnixMicro() {
			until := time.UnixMicro(k.Until).UTC().Format("2 January 15:04")
			signing.Note = "rotated: the old secret signs too until " + until + " UTC"
		}
	}
	shared := ui.Property{Label: "Shared secret", Text: "none"}
	if d.secrets.Shared != "" {
		shared.Text = "set"
		shared.Note = "sent as the header cf-webhook-auth"
	}
	return []ui.PropertyGroup{
		{
			Title: "Endpoint",
			Properties: []ui.Property{
				{Label: "URL", Copy: d.URL},
				{Label: "Kind", Text: d.Type},
				signing,
				shared,
			},
		},
		{
			Title: "Health",
			Properties: []ui.Property{
				{Label: "State", Status: ui.Status{Label: out.Hook.Health, Tone: out.Hook.Tone}, Note: d.StateReason},
				{Label: "Last success", At: d.LastSuccess.Time, Ago: true},
				{Label: "Last failure", At: d.LastFailure.Time, Ago: true},
				{Label: "Added", At: d.CreatedAt.Time},
				{Label: "Changed", At: d.Modified.Time},
				{Label: "Id", Copy: d.ID},
			},
		},
	}
}

// webhookMetrics are the numbers above the deliveries.
func webhookMetrics(d *Destination, s *WebhookStatistics, now time.Time) []ui.Metric {
	columns := &ui.Columns{Label: "Deliveries per hour, last 24 hours", From: "24 h ago", To: "now"}
	for _, h := range s.Hours {
		columns.Columns = append(columns.Columns, ui.Column{
			Title: h.From.UTC().Format("15:04") + " UTC: " + plural(h.Delivered, "delivered", "delivered") + ", " +
				itoa(h.Failed) + " failed",
			Good: float64(h.Delivered),
			Warn: float64(h.Waiting),
			Bad:  float64(h.Failed),
		})
	}
	day := rateMetric("Success, 24 hours", s.Day)
	day.Columns = columns
	week := rateMetric("Success, 7 days", s.Week)
	if s.Considered == mostStatistics {
		week.Note += ", the newest 2,000"
	}
	latency := ui.Metric{Label: "Latency, median", Value: "–", Note: "no answer in the last 7 days"}
	if s.P99MS > 0 {
		latency.Value = milliseconds(s.MedianMS)
		latency.Unit = " ms"
		latency.Note = "p99 " + milliseconds(s.P99MS) + " ms"
	}
	last := ui.Metric{Label: "Last success", Value: "never"}
	if !d.LastSuccess.IsZero() {
		last.Value = durationWords(now.Sub(d.LastSuccess.Time))
		last.Unit = " ago"
	}
	last.Note = "no failure yet"
	if !d.LastFailure.IsZero() {
		last.Note = "last failure " + durationWords(now.Sub(d.LastFailure.Time)) + " ago"
	}
	return []ui.Metric{day, week, latency, last}
}

func rateMetric(label string, c DeliveryCounts) ui.Metric {
	m := ui.Metric{Label: label, Value: "–", Note: "no message has ended"}
	share, ok := c.rate()
	if !ok {
		return m
	}
	m.Value = strings.TrimSuffix(ui.Pct(share), "%")
	m.Unit = " %"
	m.Note = itoa(c.Delivered) + " of " + plural(c.Delivered+c.Failed, "message", "messages")
	switch {
	case share < 0.9:
		m.Tone = ui.Bad
	case share < 1:
		m.Tone = ui.Warn
	}
	return m
}

// milliseconds is a latency with as many digits as a person compares.
func milliseconds(ms float64) string {
	if ms >= 10 {
		return number(float64(int64(ms)))
	}
	return number(float64(int64(ms*10)) / 10)
}
