package notify

import (
	"net/url"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addWebhooks() {
	const base = "/accounts/{account_id}/notifications/webhooks"
	p.Get(base+"/new", account.NotificationsWrite, p.showNewWebhook)
	p.Post(base, account.NotificationsWrite, page.Form[webhookForm]{
		Parse:  parseNewWebhook,
		Do:     p.createWebhook,
		Fields: []string{"name", "url", "type", "secret", "signing_secret"},
		Render: p.renderWebhook,
		Then:   p.showCreatedWebhook,
	}.Handle)
	p.Get(base+"/{webhook_id}", account.NotificationsRead, p.showWebhook)
	p.Get(base+"/{webhook_id}/edit", account.NotificationsWrite, p.showWebhookForm)
	p.Post(base+"/{webhook_id}", account.NotificationsWrite, page.Form[webhookForm]{
		Parse:  p.parseWebhook,
		Do:     p.changeWebhook,
		Fields: []string{"name", "url", "type", "secret"},
		Render: p.renderWebhook,
		Then:   p.webhookChanged,
	}.Handle)
	p.Post(base+"/{webhook_id}/test", account.NotificationsWrite, p.testWebhook)
	p.Confirm(base+"/{webhook_id}/rotate", account.NotificationsWrite, p.askWebhook(rotateQuestion), p.rotateWebhook)
	p.Post(base+"/{webhook_id}/enable", account.NotificationsWrite, page.Form[webhookForm]{
		Parse:  p.webhookOf,
		Do:     p.enableWebhook,
		Fields: []string{"url"},
		Render: p.renderWebhook,
		Then:   p.webhookEnabled,
	}.Handle)
	p.Confirm(base+"/{webhook_id}/pause", account.NotificationsWrite, p.askWebhook(pauseQuestion), p.pauseWebhook)
	p.Get(base+"/{webhook_id}/policies", account.NotificationsWrite, p.showReceived)
	p.Post(base+"/{webhook_id}/policies", account.NotificationsWrite, page.Form[receivedForm]{
		Parse:  p.parseReceived,
		Do:     p.changeReceived,
		Fields: []string{"policies"},
		Render: p.renderReceived,
		Then:   p.receivedChanged,
	}.Handle)
	p.Get(base+"/{webhook_id}/replay", account.DeliveriesReplay, p.showReplay)
	p.Post(base+"/{webhook_id}/replay", account.DeliveriesReplay, page.Form[replayForm]{
		Parse:  p.parseReplay,
		Do:     p.replayWebhook,
		Fields: []string{"since", "before", "rate"},
		Render: p.renderReplay,
		Then:   p.webhookReplayed,
	}.Handle)
	p.Get(base+"/{webhook_id}/replay/{job_id}", account.DeliveriesReplay, p.showReplayJob)
	p.Confirm(base+"/{webhook_id}/delete", account.NotificationsWrite, p.askWebhook(deleteQuestion), p.deleteWebhook)
}

// webhookForm is the input for a webhook.
type webhookForm struct {
	Path, Action string
	Name, URL    string
	Type         string        // "" = derived from the URL
	Types        [][2]string   // the choices
	Key          string        // the signing secret of a new one, where the caller gives it
	Hook         *shownWebhook // nil for a new one
	May, Secret  bool
	Faults       ui.Faults

	spec WebhookSpec
	made NewWebhook
}

func (p *pages) renderWebhook(v *page.Visit, f *webhookForm, faults ui.Faults) error {
	f.Faults = faults
	f.Path = NotificationsPath(v.Account)
	f.May = v.Can(account.NotificationsWrite)
	f.Action = f.Path + "/webhooks"
	f.Types = p.typeChoices()
	title := "Add a webhook"
	if f.Hook != nil {
		f.Action = f.Hook.Href
		title = "Edit " + f.Hook.Name
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    title,
		Template: "webhook-form",
		Status:   faults.Status,
		Data:     *f,
	})
}

// typeChoices are the types that a user may give.
func (p *pages) typeChoices() [][2]string {
	list := [][2]string{{"", "From the URL"}}
	for _, t := range webhookTypes {
		if c := p.channels[t.name]; c != nil {
			list = append(list, [2]string{t.name, c.Traits().Title})
		}
	}
	return list
}

// parseNewWebhook reads the form of a new webhook.
func parseNewWebhook(v *page.Visit) (webhookForm, error) {
	var f webhookForm
	f.read(v)
	if f.Key != "" {
		f.spec.Key = &f.Key
	}
	return f, nil
}

// parseWebhook reads the form of the webhook of the path. Its signing secret is
// rotated and not changed here.
func (p *pages) parseWebhook(v *page.Visit) (webhookForm, error) {
	f, err := p.webhookOf(v)
	f.read(v)
	return f, err
}

func (f *webhookForm) read(v *page.Visit) {
	f.Name = v.Field("name", 1024)
	f.URL = v.Field("url", 4096)
	f.Key = v.Field("signing_secret", 4096)
	f.Type = v.Field("type", 32)
	f.spec = WebhookSpec{Name: &f.Name, URL: &f.URL, Type: &f.Type}
	if secret := v.Field("secret", 4096); secret != "" {
		f.spec.Secret = &secret
	}
	if v.Field("no_secret", 8) != "" {
		none := ""
		f.spec.Secret = &none
	}
}

// webhook is the webhook of the path.
func (p *pages) webhook(v *page.Visit) (shownWebhook, error) {
	d, err := p.Destination(v.Context(), v.Account, v.PathValue("webhook_id"))
	return shownWebhookOf(v.Account, d), err
}

// webhookOf is the webhook of the path as its form shows it.
func (p *pages) webhookOf(v *page.Visit) (webhookForm, error) {
	h, err := p.webhook(v)
	return webhookForm{
		Name:   h.Name,
		URL:    h.URL,
		Type:   h.settings.Type,
		Hook:   &h,
		Secret: h.secrets.Shared != "",
	}, err
}

func (p *pages) webhookChanged(v *page.Visit, f *webhookForm) error {
	return v.Redirect(f.Hook.Href, "webhook-changed")
}

// webhookEnabled leads to the replay of the messages that were not delivered since the webhook stopped, if there are
// any.
func (p *pages) webhookEnabled(v *page.Visit, f *webhookForm) error {
	if v.Can(account.DeliveriesReplay) && p.Jobs != nil && !f.Hook.StateAt.IsZero() {
		missed := replayInput{
			DestinationID: f.Hook.ID,
			Replay:        WebhookReplay{Since: f.Hook.StateAt, Before: moment(p.Now()), OnlyFailed: true},
		}
		count, err := p.queue.Count(v.Context(), missed.filter(v.Account))
		if err != nil {
			return err
		}
		if count > 0 {
			since := url.Values{"since": {f.Hook.StateAt.UTC().Format(fieldTime)}}
			return v.Redirect(f.Hook.Href+"/replay?"+since.Encode(), "webhook-enabled")
		}
	}
	return v.Redirect(f.Hook.Href, "webhook-enabled")
}

func (p *pages) showNewWebhook(v *page.Visit) error {
	return p.renderWebhook(v, &webhookForm{}, ui.Faults{})
}

// secretPage is the data of the template "webhook-made".
type secretPage struct {
	Path, Href, Name string
	Secret           string // shown once
	Rotated          bool
}

func showSecret(v *page.Visit, made NewWebhook, rotated bool) error {
	return v.Show(page.View{Section: "notifications", Title: made.Name, Template: "webhook-made", Data: secretPage{
		Path:    NotificationsPath(v.Account),
		Href:    webhookPath(v.Account, made.ID),
		Name:    made.Name,
		Secret:  made.SigningSecret,
		Rotated: rotated,
	}})
}

func (p *pages) createWebhook(v *page.Visit, f *webhookForm) (err error) {
	f.made, err = p.CreateWebhook(v.Context(), v.Who, v.Account, f.spec)
	return err
}

func (p *pages) showCreatedWebhook(v *page.Visit, f *webhookForm) error {
	return showSecret(v, f.made, false)
}

func (p *pages) showWebhookForm(v *page.Visit) error {
	f, err := p.webhookOf(v)
	if err != nil {
		return err
	}
	return p.renderWebhook(v, &f, ui.Faults{})
}

func (p *pages) changeWebhook(v *page.Visit, f *webhookForm) error {
	_, err := p.UpdateWebhook(v.Context(), v.Who, v.Account, f.Hook.ID, f.spec)
	return err
}

// webhookTestPage is the data of the template "webhook-test".
type webhookTestPage struct {
	Hook    shownWebhook
	Attempt Attempt
}

// testWebhook sends a test message and shows the response.
func (p *pages) testWebhook(v *page.Visit) error {
	h, err := p.webhook(v)
	if err != nil {
		return err
	}
	a, err := p.TestWebhook(v.Context(), v.Account, h.ID)
	if err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "Test of " + h.Name,
		Template: "webhook-test",
		Data:     webhookTestPage{h, a},
	})
}

// askWebhook asks a question about the webhook of the path.
func (p *pages) askWebhook(question func(h *shownWebhook) page.Confirm) func(*page.Visit) (page.Confirm, error) {
	return func(v *page.Visit) (page.Confirm, error) {
		h, err := p.webhook(v)
		if err != nil {
			return page.Confirm{}, err
		}
		c := question(&h)
		c.Section = "notifications"
		c.Back = h.Href
		return c, nil
	}
}

func pauseQuestion(h *shownWebhook) page.Confirm {
	return page.Confirm{
		Title: "Pause " + h.Name + "?",
		Text: "Nothing is sent to " + h.URL + " until it is enabled again. Messages of this time are not sent " +
			"by themselves; replay the range afterwards.",
		Label: "Pause",
	}
}

// rotateQuestion explains the effect of a new secret on the receiver.
func rotateQuestion(h *shownWebhook) page.Confirm {
	return page.Confirm{
		Title: "Rotate the signing secret of " + h.Name + "?",
		Text: "The receiver at " + h.URL + " must get the new secret within 24 hours. Until then messages are signed " +
			"with both secrets; afterwards it refuses them, unless it knows the new one.",
		Label:  "Create a new secret",
		Danger: true,
	}
}

func deleteQuestion(h *shownWebhook) page.Confirm {
	return page.Confirm{
		Title: "Delete " + h.Name + "?",
		Text: "Nothing is sent to " + h.URL + " any more, and pending messages are dropped. " +
			"The history of sent messages stays.",
		Label:  "Delete webhook",
		Danger: true,
	}
}

func (p *pages) pauseWebhook(v *page.Visit) error {
	d, err := p.PauseWebhook(v.Context(), v.Who, v.Account, v.PathValue("webhook_id"))
	if err != nil {
		return err
	}
	return v.Redirect(webhookPath(v.Account, d.ID), "webhook-paused")
}

func (p *pages) rotateWebhook(v *page.Visit) error {
	made, err := p.RotateSecret(v.Context(), v.Who, v.Account, v.PathValue("webhook_id"))
	if err != nil {
		return err
	}
	return showSecret(v, made, true)
}

func (p *pages) enableWebhook(v *page.Visit, f *webhookForm) error {
	_, err := p.EnableDestination(v.Context(), v.Who, v.Account, f.Hook.ID)
	return err
}

func (p *pages) deleteWebhook(v *page.Visit) error {
	f, err := p.webhookOf(v)
	if err != nil {
		return err
	}
	err = p.DeleteWebhook(v.Context(), v.Who, v.Account, f.Hook.ID)
	if errs.KindOf(err) == errs.Conflict { // a policy uses it
		faults, _ := ui.FaultsOf(err)
		return p.renderWebhook(v, &f, faults)
	}
	if err != nil {
		return err
	}
	return v.Redirect(NotificationsPath(v.Account), "webhook-deleted")
}
