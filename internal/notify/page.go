package notify

import (
	"context"
	"embed"
	"errors"
	"net/http"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed page_*.html
var pageFiles embed.FS

// Pages is what the pages need from the dashboard around them.
type Pages struct {
	UI    *ui.UI
	Mount account.Mount
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
	"acked":           "The alert is acknowledged: everybody sees that somebody is looking.",
	"replayed":        "The messages go out again, under new ids.",
	"policy-created":  "The policy is there. The next alert of its type is decided by it.",
	"policy-changed":  "The policy is changed.",
	"policy-deleted":  "The policy is deleted. What it decided stays with the alerts.",
	"tested":          "A test message is on its way to each destination.",
	"webhook-changed": "The webhook is changed.",
	"webhook-deleted": "The webhook is deleted.",
	"webhook-enabled": "The webhook is enabled: a test message arrived.",
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
	if said := saids[ui.Said(v.r)]; said != "" {
		shell.Flash = &ui.Flash{Tone: ui.Good, Text: said}
	}
	return p.set.Render(w, v.r, shell, template, o.data)
}

// question is a page that asks before something is ended.
type question struct {
	Title, Text, Action, Label, Back string
}

// faultsOf sorts an error by the form's fields; pointers below a field count as
// the field.
func faultsOf(err error, fields ...string) (ui.Faults, bool) {
	var list errs.List
	for _, e := range errs.All(err) {
		at := *e
		for _, f := range fields {
			if len(at.Pointer) > len(f)+1 && at.Pointer[:len(f)+2] == "/"+f+"/" {
				at.Pointer = "/" + f
			}
		}
		list = append(list, &at)
	}
	return ui.FaultsOf(list, fields...)
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
	case stateDelivered:
		return ui.Good
	case stateFailed, stateNotSent:
		return ui.Bad
	case stateWaiting:
		return ui.Warn
	}
	return ui.Info
}

// deliveryWord is a delivery's state in a word.
func deliveryWord(state string, tries int) string {
	switch state {
	case stateWaiting:
		if tries > 0 {
			return "trying again"
		}
		return "on its way"
	case stateNotSent:
		return "not sent"
	case stateKept:
		return "kept here"
	}
	return state
}
