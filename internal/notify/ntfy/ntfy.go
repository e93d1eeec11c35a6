// Package ntfy sends notifications to topics of ntfy.
//
//	Message -> title, text, priority and actions -> POST to the server -> 200
package ntfy

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

const (
	mostBytes = 4000 // a message of more than 4,096 bytes becomes an attachment
	mostTitle = 200
)

// Channel is the channel of ntfy. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel. A server accepts 60 messages at once and then one every
// five seconds by default.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{
		Type:  "ntfy",
		Title: "ntfy",
		Rate:  delivery.Rate{Every: 5 * time.Second, Burst: 60},
		Check: check,
	}
}

func check(s notify.Settings) (pointer, fault string) {
	if _, topic := split(s.URL); topic == "" {
		return "/url", "url is https://server/topic: the topic follows the address of the ntfy server"
	}
	return "", ""
}

// split is the server and the topic of a URL.
func split(s string) (server, topic string) {
	u, err := url.Parse(s)
	if err != nil {
		return s, ""
	}
	path := strings.TrimSuffix(u.Path, "/")
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return s, ""
	}
	topic = path[i+1:]
	u.Path = path[:i+1]
	u.RawPath = ""
	return u.String(), topic
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	server, topic := split(m.Address)
	body, err := write(m, topic)
	in := outbound.Request{URL: server, Body: body, Secrets: []string{`"` + topic + `"`}}
	if m.Secret != "" {
		in.Header = http.Header{"Authorization": {"Bearer " + m.Secret}}
		in.Hidden = []string{"Authorization"}
	}
	return notify.Post(ctx, c.client, m, in, err)
}

// Preview is the body of the request, without the topic.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) {
	return notify.PreviewOf(write(m, outbound.Masked))
}

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	_, topic := split(m.Address)
	return write(m, topic)
}

func write(m *notify.Message, topic string) ([]byte, error) {
	return notify.Fit(notify.ViewOf(m), mostBytes, func(v notify.View) ([]byte, error) {
		var lines []string
		if v.Detail != "" {
			lines = append(lines, v.Detail)
		}
		if v.Lead != "" {
			lines = append(lines, v.Lead+" "+v.Changes[0].Summary)
		}
		for _, f := range v.Facts {
			lines = append(lines, f.Name+": "+f.Value)
		}
		if v.Policy != "" {
			lines = append(lines, "Policy: "+v.Policy)
		}
		var actions []notify.Object
		for _, l := range v.Links {
			actions = append(actions, notify.Object{"action": "view", "label": l.Label, "url": l.URL})
		}
		return notify.Object{
			"topic":    topic,
			"title":    v.Mark + " " + notify.Cut(v.Headline, mostTitle),
			"message":  strings.Join(lines, "\n"),
			"priority": priority(m),
			"click":    v.Links[0].URL,
			"actions":  actions,
		}.Encode()
	})
}

// priority is 3 for messages that need no reaction, and up to 5 otherwise.
func priority(m *notify.Message) int {
	level := notify.LevelOf(m)
	switch {
	case m.Event == event.AlertEnd, m.Test(), level <= notify.LevelWarning:
		return 3
	case level == notify.LevelError:
		return 4
	}
	return 5
}
