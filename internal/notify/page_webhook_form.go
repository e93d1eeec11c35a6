package notify

import (
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
	p.Confirm(base+"/{webhook_id}/rotate", account.NotificationsWrite, p.confirmRotateWebhook, p.rotateWebhook)
	p.Post(base+"/{webhook_id}/enable", account.NotificationsWrite, page.Form[webhookForm]{
		Parse:  p.webhookOf,
		Do:     p.enableWebhook,
		Fields: []string{"url"},
		Render: p.renderWebhook,
		Then:   p.webhookEnabled,
	}.Handle)
	p.Confirm(base+"/{webhook_id}/pause", account.NotificationsWrite, p.confirmPauseWebhook, p.pauseWebhook)
	p.Get(base+"/{webhook_id}/replay", account.DeliveriesReplay, p.showReplay)
	p.Post(base+"/{webhook_id}/replay", account.DeliveriesReplay, page.Form[replayForm]{
		Parse:  p.parseReplay,
		Do:     p.replayWebhook,
		Fields: []string{"since", "before", "rate"},
		Render: p.renderReplay,
		Then:   p.webhookReplayed,
	}.Handle)
	p.Get(base+"/{webhook_id}/replay/{job_id}", account.DeliveriesReplay, p.showReplayJob)
	p.Confirm(base+"/{webhook_id}/delete", account.NotificationsWrite, p.confirmDeleteWebhook, p.deleteWebhook)
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

// webhookOf is the webhook of the path as its form shows it.
func (p *pages) webhookOf(v *page.Visit) (webhookForm, error) {
	d, err := p.Destination(v.Context(), v.Account, v.PathValue("webhook_id"))
	h := shownWebhookOf(v.Account, d)
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

func (p *pages) webhookEnabled(v *page.Visit, f *webhookForm) error {
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
	d, err := p.Destination(v.Context(), v.Account, v.PathValue("webhook_id"))
	if err != nil {
		return err
	}
	a, err := p.TestWebhook(v.Context(), v.Account, d.ID)
	if err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "Test of " + d.Name,
		Template: "webhook-test",
		Data:     webhookTestPage{shownWebhookOf(v.Account, d), a},
	})
}

func (p *pages) confirmPauseWebhook(v *page.Visit) (page.Confirm, error) {
	d, err := p.Destination(v.Context(), v.Account, v.PathValue("webhook_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	return page.Confirm{
		Section: "notifications",
		Title:   "Pause " + d.Name + "?",
		Text: "Nothing is sent to " + d.URL + " until it is enabled again. Messages of this time are not sent " +
			"by themselves; replay the range afterwards.",
		Label: "Pause",
		Back:  webhookPath(v.Account, d.ID),
	}, nil
}

func (p *pages) pauseWebhook(v *page.Visit) error {
	d, err := p.PauseWebhook(v.Context(), v.Who, v.Account, v.PathValue("webhook_id"))
	if err != nil {
		return err
	}
	return v.Redirect(webhookPath(v.Account, d.ID), "webhook-paused")
}

// confirmRotateWebhook names what a new secret means for the receiver.
func (p *pages) confirmRotateWebhook(v *page.Visit) (page.Confirm, error) {
	f, err := p.webhookOf(v)
	if err != nil {
		return page.Confirm{}, err
	}
	return page.Confirm{
		Section: "notifications",
		Title:   "Rotate the signing secret of " + f.Name + "?",
		Text: "The receiver at " + f.URL + " must get the new secret within 24 hours. Until then messages are signed " +
			"with both secrets; afterwards it refuses them, unless it knows the new one.",
		Label:  "Create a new secret",
		Back:   f.Hook.Href,
		Danger: true,
	}, nil
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

func (p *pages) confirmDeleteWebhook(v *page.Visit) (page.Confirm, error) {
	f, err := p.webhookOf(v)
	if err != nil {
		return page.Confirm{}, err
	}
	return page.Confirm{
		Section: "notifications",
		Title:   "Delete " + f.Name + "?",
		Text: "Nothing is sent to " + f.URL + " any more, and pending messages are dropped. " +
			"The history of sent messages stays.",
		Label:  "Delete webhook",
		Back:   f.Hook.Href,
		Danger: true,
	}, nil
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
