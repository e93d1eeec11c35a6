// Package msteams sends notifications to Microsoft Teams, through a workflow ("Send
// webhook alerts to a channel") of Power Automate.
//
//	Message -> Adaptive Card -> POST -> 202
//
// 202 says that the workflow was started, not that the card was shown.
package msteams

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

const mostBytes = 28_000 // of a message

// Channel is the channel of Microsoft Teams. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel. Teams accepts four requests a second.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "msteams",
		Title: "Microsoft Teams",
		Rate:  delivery.Rate{Every: 250 * time.Millisecond},
		Answers: []notify.Answer{
			{Text: "WorkflowNotFound", As: 410, Why: "Teams: the workflow does not exist"},
			{Text: "WorkflowTriggerIsNotEnabled", As: 410, Why: "Teams: the workflow is turned off"},
			{Text: "DirectApiAuthorizationRequired", As: 403, Why: "Teams: the workflow must accept requests from anyone"},
			// Connectors, the predecessors of workflows, report errors with 200.
			{Status: 200, Text: "Webhook message delivery failed", As: 502, Why: "Teams did not deliver the message"},
		},
	}
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	body, err := Body(m)
	return notify.Post(ctx, c.client, m, outbound.Request{URL: m.Address, Body: body}, err)
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	return notify.Fit(notify.ViewOf(m), mostBytes, func(v notify.View) ([]byte, error) {
		title := run(v.Headline)
		title["weight"] = "Bolder"
		title["size"] = "Medium"
		title["color"] = colors[v.Mark]
		body := []notify.Object{paragraph(title)}
		if v.Detail != "" {
			body = append(body, paragraph(run(v.Detail)))
		}
		if v.Lead != "" {
			body = append(body, paragraph(run(v.Lead)))
		}
		for _, c := range v.Changes {
			change := run(c.Summary)
			change["selectAction"] = open("Change", c.URL)
			body = append(body, paragraph(run("• "), change))
		}
		if v.More > 0 {
			body = append(body, paragraph(run("and "+notify.Count(v.More)+" more")))
		}
		for _, f := range v.Facts {
			name := run(f.Name + ": ")
			name["isSubtle"] = true
			body = append(body, paragraph(name, run(f.Value)))
		}
		if v.Policy != "" {
			policy := run("Policy: " + v.Policy)
			policy["isSubtle"] = true
			body = append(body, paragraph(policy))
		}
		var actions []notify.Object
		for _, l := range v.Links {
			actions = append(actions, open(l.Label, l.URL))
		}
		card := notify.Object{
			"$schema":      "http://adaptivecards.io/schemas/adaptive-card.json",
			"type":         "AdaptiveCard",
			"version":      "1.4",
			"fallbackText": v.Headline,
			"body":         body,
			"actions":      actions,
		}
		return notify.Object{"type": "message", "attachments": []notify.Object{{
			"contentType": "application/vnd.microsoft.card.adaptive",
			"contentUrl":  nil,
			"content":     card,
		}}}.Encode()
	})
}

var colors = map[string]string{"🔴": "Attention", "🟢": "Good", "🔵": "Accent"}

// paragraph is rich text: unlike a TextBlock, it reads no markup.
func paragraph(runs ...notify.Object) notify.Object {
	return notify.Object{"type": "RichTextBlock", "inlines": runs}
}

func run(s string) notify.Object { return notify.Object{"type": "TextRun", "text": s} }

func open(title, address string) notify.Object {
	return notify.Object{"type": "Action.OpenUrl", "title": title, "url": address}
}
