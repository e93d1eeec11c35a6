package notify

import (
	"net/http"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) mountWebhooks() {
	const base = "/accounts/{account_id}/notifications/webhooks"
	p.Mount("GET "+base+"/new", account.NotificationsWrite, false, p.showNewWebhook)
	p.Mount("POST "+base, account.NotificationsWrite, false, p.createWebhook)
	p.Mount("GET "+base+"/{webhook_id}", account.NotificationsRead, false, p.showWebhook)
	p.Mount("POST "+base+"/{webhook_id}", account.NotificationsWrite, false, p.changeWebhook)
	p.Mount("POST "+base+"/{webhook_id}/test", account.NotificationsWrite, false, p.testWebhook)
	p.Mount("GET "+base+"/{webhook_id}/rotate", account.NotificationsWrite, false, p.askRotateWebhook)
	p.Mount("POST "+base+"/{webhook_id}/rotate", account.NotificationsWrite, false, p.rotateWebhook)
	p.Mount("POST "+base+"/{webhook_id}/enable", account.NotificationsWrite, false, p.enableWebhook)
	p.Mount("GET "+base+"/{webhook_id}/delete", account.NotificationsWrite, false, p.askDeleteWebhook)
	p.Mount("POST "+base+"/{webhook_id}/delete", account.NotificationsWrite, false, p.deleteWebhook)
}

// shownWebhook is a destination in a list.
type shownWebhook struct {
	Destination
	Href, Health string
	Tone         ui.Tone
	Mail         bool
	Unconfirmed  []unconfirmed // of mail: the address itself
}

func shownWebhookOf(accountID string, d Destination) shownWebhook {
	s := shownWebhook{Destination: d, Href: webhookPath(accountID, d.ID), Health: "works", Tone: ui.Good, Mail: d.Kind == KindEmail}
	switch {
	case d.State == delivery.DestinationDisabled:
		s.Health, s.Tone = "disabled", ui.Bad
	case d.State == delivery.DestinationBroken:
		s.Health, s.Tone = "rejects the credential", ui.Bad
	case d.LastFailure.After(d.LastSuccess.Time):
		s.Health, s.Tone = "failing", ui.Warn
	case d.LastSuccess.IsZero() && s.Mail:
		s.Health, s.Tone = "no mail sent yet", ui.Neutral
	case d.LastSuccess.IsZero():
		s.Health, s.Tone = "no message yet", ui.Neutral
	}
	return s
}

func webhookPath(accountID, id string) string {
	return NotificationsPath(accountID) + "/webhooks/" + id
}

// webhookForm is what was typed about a webhook.
type webhookForm struct {
	Path, Action string
	Name, URL    string
	Key          string        // the signing secret of a new one, where the caller gives it
	Hook         *shownWebhook // nil for a new one
	Attempt      *Attempt      // of a test just made
	May, Secret  bool
	Faults       ui.Faults
}

func (p *pages) renderWebhook(w http.ResponseWriter, v visit, f webhookForm) error {
	f.Path, f.May = NotificationsPath(v.account), v.can(account.NotificationsWrite)
	f.Action = f.Path + "/webhooks"
	title := "Add a webhook"
	if f.Hook != nil {
		f.Action, title = f.Hook.Href, f.Hook.Name
	}
	return p.show(w, v, "webhook", view{section: "notifications", title: title, status: f.Faults.Status, data: f})
}

func typedWebhook(r *http.Request) (webhookForm, WebhookSpec) {
	f := webhookForm{
		Name: strings.TrimSpace(clip(r.PostFormValue("name"), 1024)),
		URL:  strings.TrimSpace(clip(r.PostFormValue("url"), 4096)),
		Key:  strings.TrimSpace(clip(r.PostFormValue("signing_secret"), 4096)),
	}
	spec := WebhookSpec{Name: &f.Name, URL: &f.URL}
	if f.Key != "" {
		spec.Key = &f.Key
	}
	if secret := clip(r.PostFormValue("secret"), 4096); secret != "" {
		spec.Secret = &secret
	}
	if r.PostFormValue("no_secret") != "" {
		none := ""
		spec.Secret = &none
	}
	return f, spec
}

func (p *pages) showNewWebhook(w http.ResponseWriter, r *http.Request) error {
	return p.renderWebhook(w, visitOf(r), webhookForm{})
}

// made shows a signing secret, this once.
func (p *pages) made(w http.ResponseWriter, v visit, made NewWebhook, rotated bool) error {
	return p.show(w, v, "webhook-made", view{section: "notifications", title: made.Name, data: map[string]any{
		"Path": NotificationsPath(v.account), "Href": webhookPath(v.account, made.ID), "Name": made.Name, "Secret": made.SigningSecret, "Rotated": rotated}})
}

func (p *pages) createWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	f, spec := typedWebhook(r)
	made, err := p.CreateWebhook(v.ctx, v.who, v.account, spec)
	if err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "url", "secret", "signing_secret"); !ok {
			return err
		}
		return p.renderWebhook(w, v, f)
	}
	return p.made(w, v, made, false)
}

// hook finds the webhook of the path.
func (p *pages) hook(v visit) (shownWebhook, error) {
	d, err := p.Destination(v.ctx, v.account, v.r.PathValue("webhook_id"))
	return shownWebhookOf(v.account, d), err
}

func (p *pages) showWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.hook(v)
	if err != nil {
		return err
	}
	return p.renderWebhook(w, v, webhookForm{Name: h.Name, URL: h.URL, Hook: &h, Secret: h.secrets.Shared != ""})
}

func (p *pages) changeWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	f, spec := typedWebhook(r)
	h, err := p.hook(v)
	if err != nil {
		return err
	}
	spec.Key = nil // it is rotated, not changed here
	if _, err = p.UpdateWebhook(v.ctx, v.who, v.account, h.ID, spec); err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "url", "secret"); !ok {
			return err
		}
		f.Hook, f.Secret = &h, h.secrets.Shared != ""
		return p.renderWebhook(w, v, f)
	}
	return goTo(w, r, h.Href, "webhook-changed")
}

// testWebhook sends a test message and shows what came back.
func (p *pages) testWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.hook(v)
	if err != nil {
		return err
	}
	a, err := p.TestWebhook(v.ctx, v.account, h.ID)
	if err != nil {
		return err
	}
	return p.renderWebhook(w, v, webhookForm{Name: h.Name, URL: h.URL, Hook: &h, Attempt: &a, Secret: h.secrets.Shared != ""})
}

// askRotateWebhook says what a new secret means for the receiver.
func (p *pages) askRotateWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.hook(v)
	if err != nil {
		return err
	}
	return p.ask(w, v, "notifications", question{
		Title: "New signing secret for " + h.Name + "?",
		Text: "The old secret signs beside the new one for 24 hours. After that the receiver at " + h.URL +
			" refuses messages, unless it knows the new secret.",
		Action: h.Href + "/rotate",
		Label:  "Create a new secret",
		Back:   h.Href,
		Danger: true,
	})
}

func (p *pages) rotateWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	made, err := p.RotateSecret(v.ctx, v.who, v.account, r.PathValue("webhook_id"))
	if err != nil {
		return err
	}
	return p.made(w, v, made, true)
}

func (p *pages) enableWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.hook(v)
	if err != nil {
		return err
	}
	if _, err := p.EnableDestination(v.ctx, v.who, v.account, h.ID); err != nil {
		f := webhookForm{Name: h.Name, URL: h.URL, Hook: &h, Secret: h.secrets.Shared != ""}
		if faults, ok := ui.FaultsOf(err, "url"); ok {
			f.Faults = faults
			return p.renderWebhook(w, v, f)
		}
		return err
	}
	return goTo(w, r, h.Href, "webhook-enabled")
}

func (p *pages) askDeleteWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.hook(v)
	if err != nil {
		return err
	}
	return p.ask(w, v, "notifications", question{
		Title:  "Delete " + h.Name + "?",
		Text:   "Nothing is sent to " + h.URL + " any more, and pending messages are dropped. The history of sent messages stays.",
		Action: h.Href + "/delete",
		Label:  "Delete webhook",
		Back:   h.Href,
		Danger: true,
	})
}

func (p *pages) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.hook(v)
	if err != nil {
		return err
	}
	if err := p.DeleteWebhook(v.ctx, v.who, v.account, h.ID); err != nil {
		if errs.KindOf(err) == errs.Conflict {
			f := webhookForm{Name: h.Name, URL: h.URL, Hook: &h, Secret: h.secrets.Shared != ""}
			f.Faults, _ = ui.FaultsOf(err)
			return p.renderWebhook(w, v, f)
		}
		return err
	}
	return goTo(w, r, NotificationsPath(v.account), "webhook-deleted")
}
