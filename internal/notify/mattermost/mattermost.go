// Package mattermost sends notifications to incoming webhooks of Mattermost, which
// speak the attachments of Slack's older format.
//
//	Message -> attachment -> POST -> "ok"
package mattermost

import (
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

const mostBytes = 7500 // a server stores attachments of 8,000 characters

// Channel is the channel of Mattermost. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel. A server accepts 10 requests a second by default.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "mattermost",
		Title: "Mattermost",
		Rate:  delivery.Rate{Every: 100 * time.Millisecond, Burst: 10},
		Answers: []notify.Answer{
			{Text: "incoming_webhook.invalid", As: 410, Why: "Mattermost does not know the webhook: it was deleted"},
			{Text: "incoming_webhook.disabled", As: 403, Why: "Mattermost: incoming webhooks are turned off"},
			{Text: "incoming_webhook.channel.app_error", As: 410, Why: "Mattermost: the channel does not exist"},
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
		var lines []string
		if v.Detail != "" {
			lines = append(lines, escape(v.Detail))
		}
		if v.Lead != "" {
			lines = append(lines, escape(v.Lead))
		}
		for _, c := range v.Changes {
			lines = append(lines, "- ["+escape(c.Summary)+"]("+c.URL+")")
		}
		if v.More > 0 {
			lines = append(lines, "- and "+notify.Count(v.More)+" more")
		}
		for _, l := range v.Links {
			lines = append(lines, "["+l.Label+"]("+l.URL+")")
		}
		var fields []notify.Object
		for _, f := range v.Facts {
			fields = append(fields, notify.Object{"title": f.Name, "value": escape(f.Value), "short": true})
		}
		attachment := notify.Object{
			"fallback":   escape(v.Headline),
			"color":      v.Color,
			"title":      escape(v.Headline),
			"title_link": v.Links[0].URL,
			"text":       strings.Join(lines, "\n"),
			"fields":     fields,
		}
		if v.Policy != "" {
			attachment["footer"] = notify.Cut("Policy: "+escape(v.Policy), 300)
		}
		return notify.Object{"attachments": []notify.Object{attachment}}.Encode()
	})
}

// escape writes the characters of Markdown as text, and separates @ from the names
// that it would mention.
func escape(s string) string { return escaper.Replace(s) }

var escaper = strings.NewReplacer(
	`\`, `\\`, `*`, `\*`, `_`, `\_`, `~`, `\~`, "`", "\\`", `|`, `\|`, `<`, `\<`, `[`, `\[`,
	`]`, `\]`, `#`, `\#`, `!`, `\!`, `@`, "@\u200b",
)
