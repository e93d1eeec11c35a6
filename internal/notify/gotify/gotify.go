// Package gotify sends notifications to applications of a Gotify server.
//
//	Message -> title, text and priority -> POST /message -> 200
package gotify

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

const (
	mostBytes = 32_000
	mostTitle = 300
)

// Channel is the channel of Gotify. Safe for concurrent use.
type Channel struct{ client *outbound.Client }

// New makes the channel.
func New(client *outbound.Client) *Channel { return &Channel{client} }

// Traits describe the channel.
func (*Channel) Traits() notify.Traits {
	return notify.Traits{Type: "gotify", Title: "Gotify", Check: check}
}

func check(s notify.Settings) (pointer, fault string) {
	if u, err := url.Parse(s.URL); s.Secret == "" && (err != nil || u.Query().Get("token") == "") {
		return "/secret", "secret is the token of an application of the Gotify server"
	}
	return "", ""
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) delivery.Result {
	body, err := Body(m)
	in := outbound.Request{URL: address(m.Address), Body: body}
	if m.Secret != "" {
		in.Header = http.Header{"X-Gotify-Key": {m.Secret}}
		in.Hidden = []string{"X-Gotify-Key"}
	}
	return notify.Post(ctx, c.client, m, in, err)
}

// address completes a URL that names only the server.
func address(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	if !strings.HasSuffix(u.Path, "/message") {
		u = u.JoinPath("message")
	}
	return u.String()
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) { return notify.PreviewOf(Body(m)) }

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	return notify.Fit(notify.ViewOf(m), mostBytes, func(v notify.View) ([]byte, error) {
		var lines []string
		if v.Detail != "" {
			lines = append(lines, v.Detail)
		}
		if v.Lead != "" {
			lines = append(lines, v.Lead)
		}
		for _, c := range v.Changes {
			lines = append(lines, "• "+c.Summary+" "+c.URL)
		}
		if v.More > 0 {
			lines = append(lines, "and "+notify.Count(v.More)+" more")
		}
		for _, f := range v.Facts {
			lines = append(lines, f.Name+": "+f.Value)
		}
		if v.Policy != "" {
			lines = append(lines, "Policy: "+v.Policy)
		}
		for _, l := range v.Links {
			lines = append(lines, l.Label+": "+l.URL)
		}
		return notify.Object{
			"title":    v.Mark + " " + notify.Cut(v.Headline, mostTitle),
			"message":  strings.Join(lines, "\n"),
			"priority": priority(m),
			"extras": notify.Object{
				extra("display"):      notify.Object{"contentType": "text/plain"},
				extra("notification"): notify.Object{"click": notify.Object{"url": m.URL}},
			},
		}.Encode()
	})
}

// extra is the name of an extra that clients read.
func extra(name string) string { return "client::" + name }

// priority is 8 and above for alerts that make a phone ring.
func priority(m *notify.Message) int {
	level := notify.LevelOf(m)
	switch {
	case m.Event == event.AlertEnd, m.Test(), level == notify.LevelInfo:
		return 4
	case level == notify.LevelWarning:
		return 5
	case level == notify.LevelError:
		return 8
	}
	return 10
}
