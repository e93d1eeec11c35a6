// Package slack sends notifications to incoming webhooks of Slack.
//
//	Message -> Block Kit and a text -> POST -> "ok"
//
// Blocks that Slack does not accept are sent once more as plain text, in the same
// attempt.
package slack

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Limits of a message, in characters.
const (
	mostHeader  = 150
	mostSection = 3000
	mostField   = 2000
	mostFields  = 10
	mostTotal   = 12_000 // Slack's own limit is near 13,200
)

// Channel is the channel of Slack. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "slack",
		Title: "Slack",
		Rate:  delivery.Rate{Every: time.Second},
		Answers: []notify.Answer{
			gone("no_service", "the webhook was removed or its app is disabled"),
			gone("no_team", "the workspace does not exist"),
			gone("channel_not_found", "the channel does not exist"),
			gone("channel_is_archived", "the channel is archived"),
			gone("invalid_token", "the URL is not that of a webhook"),
			gone("user_not_found", "the user does not exist"),
			{Text: "action_prohibited", As: 403, Why: "Slack: an administrator has forbidden posts there"},
			{Text: "posting_to_general_channel_denied", As: 403, Why: "Slack: only administrators post to this channel"},
			{Text: "rate_limited", As: 429, Why: "Slack accepts about one message a second"},
		},
	}
}

// gone is a row for a webhook that does not come back by itself.
func gone(code, why string) notify.Answer {
	return notify.Answer{Text: code, As: 410, Why: "Slack answered " + code + ": " + why}
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	body, err := Body(m)
	r := notify.Post(ctx, c.client, m, outbound.Request{URL: m.Address, Body: body}, err)
	if r.Status < 400 || !bytes.Contains(r.Answer, []byte("invalid_blocks")) {
		return r
	}
	body, err = notify.Object{"text": fallback(m, mostSection)}.Encode()
	return notify.Post(ctx, c.client, m, outbound.Request{URL: m.Address, Body: body}, err)
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	return notify.Fit(notify.ViewOf(m), mostTotal, func(v notify.View) ([]byte, error) {
		blocks := []notify.Object{{
			"type": "header",
			"text": notify.Object{"type": "plain_text", "text": notify.CutWith(v.Mark+" "+v.Headline, mostHeader, escape)},
		}}
		if v.Detail != "" {
			blocks = append(blocks, section(notify.CutWith(v.Detail, mostSection, escape)))
		}
		if v.Lead != "" {
			blocks = append(blocks, section(changes(v)))
		}
		if len(v.Facts) > 0 {
			blocks = append(blocks, notify.Object{"type": "section", "fields": fields(v)})
		}
		blocks = append(blocks, section(links(v)))
		if v.Policy != "" {
			blocks = append(blocks, notify.Object{"type": "context", "elements": []notify.Object{
				text("Policy: " + notify.CutWith(v.Policy, mostField-10, escape)),
			}})
		}
		return notify.Object{"text": fallback(m, 1000), "blocks": blocks}.Encode()
	})
}

// changes lists the changes as links, as many as a section holds.
func changes(v notify.View) string {
	list := escape(v.Lead)
	for i, c := range v.Changes {
		left := mostSection - 100 - len(list)
		line := "\n• " + link(c.URL, notify.CutWith(c.Summary, min(600, left), escape))
		if len(line) > left {
			v.More += len(v.Changes) - i
			break
		}
		list += line
	}
	if v.More > 0 {
		list += "\nand " + notify.Count(v.More) + " more"
	}
	return list
}

func fields(v notify.View) (list []notify.Object) {
	for _, f := range v.Facts[:min(len(v.Facts), mostFields)] {
		list = append(list, text("*"+f.Name+"*\n"+notify.CutWith(f.Value, mostField-100, escape)))
	}
	return list
}

func links(v notify.View) string {
	var list []string
	for _, l := range v.Links {
		list = append(list, link(l.URL, l.Label))
	}
	return strings.Join(list, "   ")
}

// link has the label only where the URL cannot be written.
func link(address, label string) string {
	if address == "" || strings.ContainsAny(address, "|<> ") || len(address) > 1000 {
		return label
	}
	return "<" + strings.ReplaceAll(address, "&", "&amp;") + "|" + label + ">"
}

func section(s string) notify.Object { return notify.Object{"type": "section", "text": text(s)} }

// text is verbatim: @names and #channels in it are no links.
func text(s string) notify.Object {
	return notify.Object{"type": "mrkdwn", "text": s, "verbatim": true}
}

// fallback is the message as one text, for notifications of the system.
func fallback(m *notify.Message, most int) string {
	v := notify.ViewOf(m)
	return v.Mark + " " + notify.CutWith(notify.Text(m), most, escape) + "\n" + links(v)
}

// escape writes the characters that Slack's markup uses for links and mentions.
func escape(s string) string { return escaper.Replace(s) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
