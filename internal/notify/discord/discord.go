// Package discord sends notifications to webhooks of Discord channels.
//
//	Message -> one embed without mentions -> POST -> 200 or 204
package discord

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Limits of an embed, in characters.
const (
	mostTitle       = 256
	mostDescription = 4096
	mostValue       = 1024
	mostFields      = 25
	mostFooter      = 2048
	mostTotal       = 6000 // of all texts; the body is kept under it
)

// Channel is the channel of Discord. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel. A webhook accepts 5 messages in 2 seconds.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "discord",
		Title: "Discord",
		Rate:  delivery.Rate{Every: 400 * time.Millisecond, Burst: 5},
		Answers: []notify.Answer{
			{Status: 404, Text: `10015`, As: 410, Why: "Discord does not know the webhook: it was deleted"},
			{Status: 401, Text: `50027`, As: 410, Why: "Discord refuses the token in the URL: the webhook was deleted"},
		},
	}
}

// Send makes one attempt. An accepted message may use up the rate of the webhook:
// then the next one waits as long as Discord asks.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	body, err := Body(m)
	r := notify.Post(ctx, c.client, m, outbound.Request{URL: address(m.Address), Body: body}, err)
	if r.Status < 300 && header(r, "X-Ratelimit-Remaining") == "0" {
		seconds, err := strconv.ParseFloat(header(r, "X-Ratelimit-Reset-After"), 64)
		if err == nil && seconds > 0 && seconds < 3600 {
			r.RetryAfter = time.Duration(seconds * float64(time.Second))
		}
	}
	return r
}

func header(r delivery.Result, name string) string {
	for _, h := range r.Response {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// address asks Discord to answer after the message was stored.
func address(s string) string { return outbound.WithParameter(s, "wait", "true") }

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	return notify.Fit(notify.ViewOf(m), mostTotal, func(v notify.View) ([]byte, error) {
		color, err := strconv.ParseInt(strings.TrimPrefix(v.Color, "#"), 16, 32)
		if err != nil {
			return nil, err
		}
		embed := notify.Object{
			"title":     notify.CutWith(v.Headline, mostTitle, escape),
			"url":       v.Links[0].URL,
			"color":     color,
			"timestamp": m.At.UTC().Format(time.RFC3339),
		}
		if s := description(v); s != "" {
			embed["description"] = s
		}
		var fields []notify.Object
		for _, f := range v.Facts[:min(len(v.Facts), mostFields)] {
			fields = append(fields, notify.Object{
				"name":   f.Name,
				"value":  notify.CutWith(f.Value, mostValue, escape),
				"inline": true,
			})
		}
		if fields != nil {
			embed["fields"] = fields
		}
		if v.Policy != "" {
			embed["footer"] = notify.Object{"text": notify.Cut("Policy: "+v.Policy, mostFooter)}
		}
		return notify.Object{
			"embeds":           []notify.Object{embed},
			"allowed_mentions": notify.Object{"parse": []string{}},
		}.Encode()
	})
}

func description(v notify.View) string {
	var lines []string
	add := func(line string) {
		if line != "" && len(strings.Join(lines, "\n"))+len(line) < mostDescription-100 {
			lines = append(lines, line)
		}
	}
	add(notify.CutWith(v.Detail, 2000, escape))
	add(escape(v.Lead))
	for _, c := range v.Changes {
		add("• " + notify.CutWith(c.Summary, 600, escape) + " (<" + c.URL + ">)")
	}
	if v.More > 0 {
		add("and " + notify.Count(v.More) + " more")
	}
	for _, l := range v.Links[1:] {
		add("[" + l.Label + "](" + l.URL + ")")
	}
	return strings.Join(lines, "\n")
}

// escape writes the characters of Discord's markup as text.
func escape(s string) string { return escaper.Replace(s) }

var escaper = strings.NewReplacer(
	`\`, `\\`, `*`, `\*`, `_`, `\_`, `~`, `\~`, "`", "\\`", `|`, `\|`, `>`, `\>`, `<`, `\<`,
	`[`, `\[`, `]`, `\]`, `#`, `\#`, `@`, "@\u200b",
)
