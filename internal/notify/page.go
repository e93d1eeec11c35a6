package notify

import (
	"context"
	"embed"
	"errors"
	"net/http"

	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed page_*.html
var pageFiles embed.FS

// Pages is what the pages need from the dashboard around them.
type Pages struct {
	UI    *ui.UI
	Mount func(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error)
	// Shell is what stands around a page; section is the navigation's entry:
	// alerts or notifications.
	Shell func(r *http.Request, p *web.Principal, account, section string) ui.Shell
	URL   string // of the server, for commands to copy
}

// pages is the feature's part of the dashboard.
type pages struct {
	*Feature
	Pages
	set *ui.Page
}

// MountPages adds the pages. Call it once, after New.
func (n *Feature) MountPages(cfg Pages) error {
	if cfg.UI == nil || cfg.Mount == nil || cfg.Shell == nil {
		return errors.New("notification pages: UI, Mount and Shell are required")
	}
	set, err := cfg.UI.Parse(pageFiles, "page_*.html")
	if err != nil {
		return err
	}
	p := &pages{n, cfg, set}
	p.mountAlerts()
	p.mountPolicies()
	p.mountWebhooks()
	return nil
}

// visit is one authorised request for a page.
type visit struct {
	r       *http.Request
	ctx     context.Context
	who     *web.Principal
	account string
}

func visitOf(r *http.Request) visit {
	return visit{r, r.Context(), web.CurrentPrincipal(r.Context()), web.Account(r.Context()).ID}
}

func (v visit) can(permission string) bool { return v.who.Can(v.account, permission) }

// saids are the sentences that are said once after a redirect, by the word that
// [ui.Redirect] carries.
var saids = map[string]string{
	"acked":           "Alert acknowledged.",
	"unacked":         "Acknowledgement withdrawn.",
	"replayed":        "Messages are being sent again, with new ids.",
	"policy-created":  "Policy created. It applies to the next alert of this type.",
	"policy-changed":  "Policy saved.",
	"policy-deleted":  "Policy deleted. Its past decisions stay with the alerts.",
	"tested":          "Test messages are being sent.",
	"webhook-changed": "Webhook saved.",
	"webhook-deleted": "Webhook deleted.",
	"webhook-enabled": "Webhook enabled: a test message was delivered.",
}

// goTo answers a form with a redirect that the browser follows by GET.
func goTo(w http.ResponseWriter, r *http.Request, path, said string) error {
	return ui.Redirect(w, r, path, said)
}

// view is a page to show.
type view struct {
	section, title string
	status         int // 0 = 200
	data           any
}

func (p *pages) show(w http.ResponseWriter, v visit, template string, o view) error {
	shell := p.Shell(v.r, v.who, v.account, o.section)
	shell.Title, shell.Status = o.title, o.status
	if said := saids[ui.FlashKey(v.r)]; said != "" {
		shell.Flash = &ui.Flash{Tone: ui.Good, Text: said}
	}
	return p.set.Render(w, v.r, shell, template, o.data)
}

// question is a page that asks before something ends, reaches people, or
// changes what a receiver must know. Danger is for what cannot be undone.
type question struct {
	Title, Text, Action, Label, Back string
	Danger                           bool
}

func (p *pages) ask(w http.ResponseWriter, v visit, section string, q question) error {
	return p.show(w, v, "notify-question", view{section: section, title: q.Title, data: q})
}

// clip bounds what a form sends.
func clip(s string, n int) string { return cut(s, n) }

// Tones of what is shown.
func severityTone(s string) ui.Tone {
	switch s {
	case "critical", "error":
		return ui.Bad
	case "warning":
		return ui.Warn
	}
	return ui.Info
}

func deliveryTone(state string) ui.Tone {
	switch state {
	case delivery.StateDelivered:
		return ui.Good
	case delivery.StateFailed, delivery.StateNotSent:
		return ui.Bad
	case delivery.StateWaiting:
		return ui.Warn
	}
	return ui.Info
}

// deliveryWord is a delivery's state in a word.
func deliveryWord(state string, tries int) string {
	switch state {
	case delivery.StateWaiting:
		if tries > 0 {
			return "retrying"
		}
		return "pending"
	case delivery.StateNotSent:
		return "not sent"
	case delivery.StateKept:
		return "not sent (no mail server)"
	}
	return state
}
