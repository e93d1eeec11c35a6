// Package gchat sends notifications to webhooks of Google Chat spaces.
//
//	Message -> cardsV2 in the thread of its incident -> POST -> 200
package gchat

import (
	"context"
	"html"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

const mostBytes = 32_000 // of a message

// Channel is the channel of Google Chat. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel. A space accepts 60 messages a minute from all senders
// together.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "gchat",
		Title: "Google Chat",
		Rate:  delivery.Rate{Every: time.Second},

		RateKey: space,
		Answers: []notify.Answer{
			{Text: "RESOURCE_EXHAUSTED", As: 429, Why: "Google Chat accepts 60 messages a minute in a space"},
			{Status: 404, Text: "NOT_FOUND", As: 410, Why: "Google Chat: the space or the webhook does not exist"},
		},
	}
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	body, err := Body(m)
	return notify.Post(ctx, c.client, m, outbound.Request{URL: address(m.Address), Body: body}, err)
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// space is the part of a URL that names the space: all webhooks of a space share its rate.
func space(webhookURL string) string {
	u, err := url.Parse(webhookURL)
	if err != nil {
		return webhookURL
	}
	return "gchat " + strings.TrimSuffix(u.Path, "/messages")
}

// address adds the option without which Chat ignores the key of a thread.
func address(s string) string {
	return outbound.WithParameter(s, "messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")
}

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	return notify.Fit(notify.ViewOf(m), mostBytes, func(v notify.View) ([]byte, error) {
		var widgets []notify.Object
		if v.Detail != "" {
			widgets = append(widgets, paragraph(html.EscapeString(v.Detail)))
		}
		if v.Lead != "" {
			widgets = append(widgets, paragraph(changes(v)))
		}
		for _, f := range v.Facts {
			widgets = append(widgets, notify.Object{"decoratedText": notify.Object{
				"topLabel": f.Name,
				"text":     html.EscapeString(f.Value),
			}})
		}
		var buttons []notify.Object
		for _, l := range v.Links {
			buttons = append(buttons, notify.Object{
				"text":    l.Label,
				"onClick": notify.Object{"openLink": notify.Object{"url": l.URL}},
			})
		}
		widgets = append(widgets, notify.Object{"buttonList": notify.Object{"buttons": buttons}})
		header := notify.Object{"title": v.Mark + " " + notify.Cut(v.Headline, 400)}
		if v.Policy != "" {
			header["subtitle"] = v.Policy
		}
		card := notify.Object{"header": header, "sections": []notify.Object{{"widgets": widgets}}}
		return notify.Object{
			"fallbackText": v.Mark + " " + notMentioning(v.Headline),
			"cardsV2":      []notify.Object{{"cardId": "alert", "card": card}},
			"thread":       notify.Object{"threadKey": notify.IncidentKey(m)},
		}.Encode()
	})
}

func changes(v notify.View) string {
	lines := []string{html.EscapeString(v.Lead)}
	for _, c := range v.Changes {
		lines = append(lines, `• <a href="`+html.EscapeString(c.URL)+`">`+html.EscapeString(c.Summary)+`</a>`)
	}
	if v.More > 0 {
		lines = append(lines, "and "+notify.Count(v.More)+" more")
	}
	return strings.Join(lines, "<br>")
}

func paragraph(s string) notify.Object {
	return notify.Object{"textParagraph": notify.Object{"text": s}}
}

// notMentioning separates the < of <users/all>, which would notify everyone.
func notMentioning(s string) string { return strings.ReplaceAll(s, "<", "<\u200b") }
