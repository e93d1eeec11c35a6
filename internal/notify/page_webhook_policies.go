package notify

import (
	"net/url"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// receivedForm chooses the policies that send to a webhook, by alert type.
type receivedForm struct {
	Hook   shownWebhook
	Types  []receivedType
	Faults ui.Faults

	shown  []string // ids of the policies that the form had
	chosen []string // of them
}

// receivedType is an alert type with the policies for it.
type receivedType struct {
	Type, Title, About string
	Create             string // form for a policy that sends to the webhook
	Policies           []receivedPolicy
}

// receivedPolicy is a policy in the form.
type receivedPolicy struct {
	ID, Name, Href string
	Enabled        bool
	Sends          bool
}

func (p *pages) showReceived(v *page.Visit) error {
	h, err := p.webhook(v)
	if err != nil {
		return err
	}
	return p.renderReceived(v, &receivedForm{Hook: h}, ui.Faults{})
}

func (p *pages) parseReceived(v *page.Visit) (receivedForm, error) {
	h, err := p.webhook(v)
	return receivedForm{
		Hook:   h,
		shown:  v.Values("shown", 64),
		chosen: v.Values("policy", 64),
	}, err
}

func (p *pages) renderReceived(v *page.Visit, f *receivedForm, faults ui.Faults) error {
	f.Faults = faults
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	types, err := p.AlertTypes(v.Context())
	if err != nil {
		return err
	}
	for _, t := range types {
		f.Types = append(f.Types, receivedType{
			Type:  t.Type,
			Title: t.Title,
			About: t.Description,
			Create: policiesPath(v.Account) + "/new?" +
				url.Values{"type": {t.Type}, "webhook": {f.Hook.ID}}.Encode(),
		})
	}
	for _, one := range policies {
		i := slices.IndexFunc(f.Types, func(t receivedType) bool { return t.Type == one.AlertType })
		if i < 0 {
			i = len(f.Types)
			f.Types = append(f.Types, receivedType{Type: one.AlertType, Title: one.AlertType,
				About: "No catalogue declares this type any more."})
		}
		row := receivedPolicy{
			ID:      one.ID,
			Name:    one.Name,
			Href:    policyPath(v.Account, one.ID),
			Enabled: one.Enabled,
			Sends:   one.sendsTo(f.Hook.ID),
		}
		if slices.Contains(f.shown, one.ID) { // the form is shown again
			row.Sends = slices.Contains(f.chosen, one.ID)
		}
		f.Types[i].Policies = append(f.Types[i].Policies, row)
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "What " + f.Hook.Name + " receives",
		Template: "webhook-policies",
		Status:   faults.Status,
		Data:     *f,
	})
}

func (p *Policy) sendsTo(webhookID string) bool {
	return slices.Contains(p.Mechanisms.Webhooks, Mechanism{webhookID})
}

// withWebhook is a policy's webhooks with one more or one fewer.
func (p *Policy) withWebhook(webhookID string, sends bool) []Mechanism {
	list := slices.Clone(p.Mechanisms.Webhooks)
	if sends {
		return append(list, Mechanism{webhookID})
	}
	return slices.DeleteFunc(list, func(m Mechanism) bool { return m.ID == webhookID })
}

// mostWebhooks of one policy, as the contract has it.
const mostWebhooks = 50

// changeReceived adds the webhook to policies and removes it from others. Policies that the form did not show stay as
// they are; all are checked before the first is changed.
func (p *pages) changeReceived(v *page.Visit, f *receivedForm) error {
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	var changed []Policy
	var faults errs.List
	for _, one := range policies {
		sends := slices.Contains(f.chosen, one.ID)
		if !slices.Contains(f.shown, one.ID) || sends == one.sendsTo(f.Hook.ID) {
			continue
		}
		changed = append(changed, one)
		switch left := len(one.withWebhook(f.Hook.ID, sends)); {
		case left == 0 && len(one.Mechanisms.Email) == 0:
			faults = append(faults, errs.At(errs.CodeInvalid, "/policies",
				"%s sends to this webhook only: turn it off or delete it instead", quoted(one.Name)))
		case left > mostWebhooks:
			faults = append(faults, errs.At(errs.CodeLimit, "/policies", "%s has %d webhooks, which is the most it may have",
				quoted(one.Name), mostWebhooks))
		}
	}
	if len(faults) > 0 {
		return faults.Or()
	}
	for _, one := range changed {
		_, err := p.UpdatePolicy(v.Context(), v.Who, v.Account, one.ID, func(current *Policy) {
			sends := slices.Contains(f.chosen, one.ID)
			if current.sendsTo(f.Hook.ID) != sends {
				current.Mechanisms.Webhooks = current.withWebhook(f.Hook.ID, sends)
			}
		})
		if err != nil && !errs.Is(err, errs.CodeNotFound) { // another request deleted it
			return err
		}
	}
	return nil
}

func (p *pages) receivedChanged(v *page.Visit, f *receivedForm) error {
	return v.Redirect(f.Hook.Href, "webhook-receives")
}
