// Package feishu sends notifications to custom bots of Feishu and Lark groups.
//
//	Message -> interactive card, signed when the bot has a secret -> POST -> code 0
package feishu

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

const mostBytes = 19_000 // a message has at most 20 KB; the signature is added

// Channel is the channel of Feishu. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel. A bot accepts 100 messages a minute and 5 a second; it
// reports errors with status 200.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "feishu",
		Title: "Feishu",
		Rate:  delivery.Rate{Every: 600 * time.Millisecond, Burst: 5},
		Answers: []notify.Answer{
			{Text: `"code":11232`, As: 429, Why: "Feishu accepts 100 messages a minute"},
			{Text: `"code":19001`, As: 410, Why: "Feishu does not know the bot: it was removed"},
			{Text: `"code":19021`, As: 401, Why: "Feishu refuses the signature: the secret or the clock is wrong"},
			{Text: `"code":19022`, As: 403, Why: "Feishu: the bot does not accept this address of Belfry"},
			{Text: `"code":19024`, As: 403, Why: "Feishu: the bot accepts only messages with its keywords"},
			{Text: `"code":9499`, As: 400, Why: "Feishu does not accept this message"},
			{Text: `"code":0`, As: 200},
			{Status: 200, Text: `"code":`, As: 400, Why: "Feishu does not accept this message"},
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
		var elements []notify.Object
		add := func(s string) {
			if s != "" {
				elements = append(elements, notify.Object{"tag": "div", "text": plain(s)})
			}
		}
		add(v.Detail)
		add(v.Lead)
		for _, c := range v.Changes {
			add("• " + c.Summary)
		}
		if v.More > 0 {
			add("and " + notify.Count(v.More) + " more")
		}
		for _, f := range v.Facts {
			add(f.Name + ": " + f.Value)
		}
		var actions []notify.Object
		for _, l := range v.Links {
			actions = append(actions, notify.Object{"tag": "button", "text": plain(l.Label), "url": l.URL})
		}
		elements = append(elements, notify.Object{"tag": "action", "actions": actions})
		if v.Policy != "" {
			note := []notify.Object{plain("Policy: " + v.Policy)}
			elements = append(elements, notify.Object{"tag": "note", "elements": note})
		}
		o := notify.Object{"msg_type": "interactive", "card": notify.Object{
			"header":   notify.Object{"title": plain(v.Headline), "template": colors[v.Mark]},
			"elements": elements,
		}}
		if m.Secret != "" {
			o["timestamp"] = strconv.FormatInt(m.Sent.Unix(), 10)
			o["sign"] = sign(m.Sent, m.Secret)
		}
		return o.Encode()
	})
}

var colors = map[string]string{"🔴": "red", "🟢": "green", "🔵": "blue"}

// plain is text without markup.
func plain(s string) notify.Object { return notify.Object{"tag": "plain_text", "content": s} }

// sign is Feishu's signature: an HMAC of nothing under the time and the secret.
func sign(at time.Time, secret string) string {
	h := hmac.New(sha256.New, []byte(strconv.FormatInt(at.Unix(), 10)+"\n"+secret))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
