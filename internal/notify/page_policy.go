package notify

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// policyPage is the data of the template "policy".
type policyPage struct {
	Self         string
	Hub          ui.Hub
	Policy       shownPolicy
	Destinations []shownWebhook
	Preview      Preview
	Faults       string // why the policy cannot be tried on the last week
	Alerts       string // page
	Decisions    []policyDecision
	Activity     *ui.Activity
}

// policyDecision is the decision of a policy on one alert.
type policyDecision struct {
	Title, Href string
	At          time.Time
	Matched     bool
	Why         string
}

func (p *pages) showPolicy(v *page.Visit) error {
	one, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	if err != nil {
		return err
	}
	p.resolveRules(v.Context(), &one)
	out := policyPage{Self: ui.With(v.Request.URL), Alerts: AlertsPath(v.Account)}
	if out.Policy, err = p.shownPolicy(v, one, nil); err != nil {
		return err
	}
	if out.Destinations, err = p.destinationsOfPolicy(v, &one); err != nil {
		return err
	}
	draft := one
	draft.Mechanisms = Mechanisms{} // what matches does not depend on where it is sent
	out.Preview, err = p.Feature.Preview(v.Context(), v.Account, draft)
	if faults, ok := ui.FaultsOf(err); ok {
		out.Faults = faults.Of("")
		err = nil
	}
	if err != nil {
		return err
	}
	out.Preview.Examples = out.Preview.Examples[:min(len(out.Preview.Examples), 5)]
	if out.Decisions, err = p.decisionsOf(v.Context(), v.Account, &one); err != nil {
		return err
	}
	if out.Activity, err = p.activity(v, resourcePolicy, one.ID); err != nil {
		return err
	}
	out.Hub = policyHub(v, &out)
	return v.Show(page.View{Section: "notifications", Title: one.Name, Template: "policy", Data: out})
}

// destinationsOfPolicy are the destinations of a policy with their health.
func (p *pages) destinationsOfPolicy(v *page.Visit, one *Policy) (list []shownWebhook, err error) {
	hooks, err := p.Webhooks(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	mail, err := p.destinations(v.Context(), v.Account, KindEmail)
	if err != nil {
		return nil, err
	}
	for _, e := range one.Mechanisms.Email {
		i := slices.IndexFunc(mail, func(d Destination) bool { return d.URL == foldAddress(e.ID) })
		if i < 0 {
			continue
		}
		s := shownWebhookOf(v.Account, mail[i])
		s.Href = ""
		if s.Unconfirmed, err = p.unconfirmed(v.Context(), v.Account, []string{mail[i].URL}); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	for _, m := range one.Mechanisms.Inbox {
		s := shownWebhook{Inbox: true, Health: "works", Tone: ui.Good}
		if s.Name, err = p.inboxName(v.Context(), v.Account, m.ID); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	for _, w := range one.Mechanisms.Webhooks {
		i := slices.IndexFunc(hooks, func(d Destination) bool { return d.ID == w.ID })
		if i >= 0 {
			list = append(list, shownWebhookOf(v.Account, hooks[i]))
		}
	}
	return list, nil
}

// readDecisions is how many alerts of a policy's type are searched for its decisions.
const readDecisions = 50

// decisionsOf are the newest decisions of a policy. Alerts from before the policy
// have none.
func (n *Feature) decisionsOf(ctx context.Context, accountID string, one *Policy) (list []policyDecision, err error) {
	type row struct {
		Alert
		decision []byte
	}
	scan := func(r db.Row) (out row, err error) {
		var at int64
		var content []byte
		err = r.Scan(&out.ID, &out.Type, &out.Summary, &at, &content, &out.decision)
		if err != nil {
			return out, err
		}
		out.OccurredAt = timeOf(at)
		var sent event.Alert
		err = json.Unmarshal(content, &sent)
		out.Resource = sent.Resource
		return out, err
	}
	var rows []row
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = db.Collect(ctx, tx, scan, `SELECT id, type, summary, occurred_at, content, decision FROM alert
			WHERE account_id = $1 AND type = $2 AND state <> 'part' AND event <> 'end'
			ORDER BY occurred_at DESC LIMIT $3`, accountID, one.AlertType, readDecisions)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		var results []PolicyResult
		if err := json.Unmarshal(r.decision, &results); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(results, func(result PolicyResult) bool { return result.PolicyID == one.ID })
		if i < 0 || len(list) == hubRows {
			continue
		}
		title, err := n.titleOf(ctx, &r.Alert)
		if err != nil {
			return nil, err
		}
		list = append(list, policyDecision{
			Title:   title,
			Href:    alertPath(accountID, r.ID),
			At:      r.OccurredAt.Time,
			Matched: results[i].Matched,
			Why:     results[i].Why,
		})
	}
	return list, nil
}

// policyHub is the head of a policy's page and its properties.
func policyHub(v *page.Visit, out *policyPage) ui.Hub {
	one := &out.Policy
	href := one.Href
	h := ui.Hub{
		Back:     ui.Link{Label: "Policies", Href: policiesPath(v.Account)},
		Icon:     "bell",
		Title:    one.Name,
		Status:   ui.Status{Label: "on", Tone: ui.Good},
		Subtitle: ui.Sentence{{Text: policySentence(one)}},
	}
	if !one.Enabled {
		h.Status = ui.Status{Label: "off"}
	}
	var to []ui.Link
	for _, d := range out.Destinations {
		link := ui.Link{Label: d.Name, Href: d.Href, Icon: "webhook"}
		if d.Mail {
			link.Icon = "mail"
		}
		to = append(to, link)
	}
	repeat := ui.Property{Label: "Repeat", Text: "every time"}
	if one.AlertInterval != "" {
		repeat.Text = "at most every " + one.AlertInterval
	}
	group := ui.PropertyGroup{Title: "Policy", Properties: []ui.Property{
		{Label: "State", Status: h.Status},
		{Label: "Alerts", Text: one.What, Note: one.Which},
		{Label: "Sends to", Links: to},
		repeat,
		{Label: "Rules", Text: ui.FullSentence(one.ruleSentence())},
		{Label: "Note", Text: one.Description},
		{Label: "Created", At: one.Created.Time},
		{Label: "Changed", At: one.Modified.Time},
		{Label: "Id", Copy: one.ID},
	}}
	if v.Can(account.NotificationsWrite) {
		group.Action = ui.Link{Label: "Edit", Href: href + "/edit"}
		toggle := ui.Link{Label: "Turn off", Icon: "toggle-left", Href: href + "/disable", Post: true}
		if !one.Enabled {
			toggle = ui.Link{Label: "Turn on", Icon: "toggle-right", Href: href + "/enable", Post: true}
		}
		h.Actions = []ui.Link{
			{Label: "Edit", Icon: "pencil", Href: href + "/edit", Primary: true, Key: "e"},
			{Label: "Send test messages…", Icon: "send", Href: href + "/test", Key: "s"},
		}
		h.More = []ui.Link{toggle, {Label: "Delete…", Icon: "trash-2", Href: href + "/delete", Danger: true}}
	}
	h.Properties = []ui.PropertyGroup{group}
	return h
}

// policySentence names the receivers of a policy and their alerts.
func policySentence(one *shownPolicy) string {
	s := "Sends " + one.What + " " + one.Which + " to " + one.To
	if one.AlertInterval != "" {
		s += ", at most every " + one.AlertInterval
	}
	return s + "."
}

func (p *pages) enablePolicy(v *page.Visit) error  { return p.switchPolicy(v, true) }
func (p *pages) disablePolicy(v *page.Visit) error { return p.switchPolicy(v, false) }

func (p *pages) switchPolicy(v *page.Visit, on bool) error {
	one, err := p.UpdatePolicy(v.Context(), v.Who, v.Account, v.PathValue("policy_id"),
		func(changed *Policy) { changed.Enabled = on })
	if err != nil {
		return err
	}
	return v.Redirect(policyPath(v.Account, one.ID), "policy-changed")
}

// confirmTestPolicy names who would get a test message.
func (p *pages) confirmTestPolicy(v *page.Visit) (page.Confirm, error) {
	one, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	to, err := p.destinationsOf(v, &one, nil)
	if err != nil {
		return page.Confirm{}, err
	}
	back := policyPath(v.Account, one.ID)
	return page.Confirm{
		Section: "notifications",
		Title:   "Send test messages?",
		Text:    "A test message is sent at once to " + strings.Join(to, ", ") + ".",
		Label:   "Send test messages",
		Back:    back,
	}, nil
}

func (p *pages) testPolicy(v *page.Visit) error {
	if _, err := p.TestPolicy(v.Context(), v.Who, v.Account, v.PathValue("policy_id")); err != nil {
		return err
	}
	return v.Redirect(NotificationsPath(v.Account), "tested")
}

func (p *pages) confirmDeletePolicy(v *page.Visit) (page.Confirm, error) {
	one, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	back := policyPath(v.Account, one.ID)
	return page.Confirm{
		Section: "notifications",
		Title:   "Delete " + one.Name + "?",
		Text:    "It sends no more messages. Its past decisions stay with the alerts.",
		Label:   "Delete policy",
		Back:    back,
		Danger:  true,
	}, nil
}

func (p *pages) deletePolicy(v *page.Visit) error {
	if err := p.DeletePolicy(v.Context(), v.Who, v.Account, v.PathValue("policy_id")); err != nil {
		return err
	}
	return v.Redirect(policiesPath(v.Account), "policy-deleted")
}
