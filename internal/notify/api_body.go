package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// WebhookBodyPreview asks how a template writes an alert.
type WebhookBodyPreview struct {
	Body      string `json:"body_template" maxLength:"16384" doc:"Empty shows the standard body"`
	AlertType string `json:"alert_type,omitempty" maxLength:"255" doc:"The sample of this type is written; any type when left out"`
}

// WebhookBody is a body that a template has written.
type WebhookBody struct {
	Body string `json:"body"`
}

// WebhookPublicKey verifies the signatures v1a of a webhook.
type WebhookPublicKey struct {
	PublicKey string `json:"public_key" doc:"whpk_ and the base64 of an Ed25519 public key"`
}

type webhookBodyIn struct {
	Body WebhookBodyPreview
}

func (n *Feature) registerBodies(api *web.API) {
	const base = apiBase + "/destinations/webhooks"
	web.Post(api, web.Op{
		Path:       base + "/preview_body",
		ID:         "preview-webhook-body",
		Tag:        tag,
		Summary:    "Preview the body of a webhook",
		Permission: account.NotificationsRead,
		Description: "Writes a sample alert with a template of the body, without sending it. {{field}} is a value: inside of " +
			"a string its text, escaped, and elsewhere its JSON. {{#field}}...{{/field}} is written once for each element of " +
			"a list, or when the field has a value; {{^field}}...{{/field}} when it has none. Fields are those of the standard " +
			"body, such as alert_type, text and data.errors, and headline, summary, property, title, incident and first_change.",
	}, func(ctx context.Context, in *webhookBodyIn) (WebhookBody, error) {
		return n.PreviewBody(ctx, web.Account(ctx).ID, in.Body)
	})
	web.Get(api, web.Op{
		Path:       base + "/{webhook_id}/public_key",
		ID:         "get-webhook-public-key",
		Tag:        tag,
		Summary:    "Read the public key of a webhook",
		Permission: account.NotificationsRead,
		Description: "Verifies the signatures v1a (Ed25519) in webhook-signature. After a rotation messages are also signed " +
			"with the previous key for 24 hours.",
	}, func(ctx context.Context, in *WebhookPath) (WebhookPublicKey, error) {
		key, err := n.PublicKey(ctx, web.Account(ctx).ID, in.WebhookID)
		return WebhookPublicKey{key}, err
	})
}

// PreviewBody writes a sample alert with a template, which need not be stored.
func (n *Feature) PreviewBody(
	ctx context.Context, accountID string, in WebhookBodyPreview,
) (out WebhookBody, err error) {
	c := n.channels[TypeGeneric]
	if c == nil {
		return out, errs.New(errs.CodeUnavailable, "this installation sends no webhooks")
	}
	kind := &AlertType{Type: "example_alert", Title: "Example alert", Severities: []string{"critical"}}
	if in.AlertType != "" {
		found, err := n.AlertType(ctx, in.AlertType)
		if err != nil {
			return out, err
		}
		if found == nil {
			return out, errs.At(errs.CodeInvalid, "/alert_type", "there is no alert type %s", quoted(in.AlertType))
		}
		kind = found
	}
	m := n.sampleMessage(kind, &Policy{Name: "Example policy", account: accountID})
	m.Body = in.Body
	rendered, err := c.Preview(m)
	if err != nil {
		return out, errs.At(errs.CodeInvalid, "/body_template", "body_template: %s", err)
	}
	return WebhookBody{rendered.Body}, nil
}

// checkBody writes samples with a webhook's template: what is no JSON is refused when it
// is saved, not when an alert is sent.
func (n *Feature) checkBody(ctx context.Context, d *Destination) error {
	if d.settings.Body == "" {
		return nil
	}
	_, err := n.PreviewBody(ctx, d.account, WebhookBodyPreview{Body: d.settings.Body})
	return err
}

// PublicKey returns the key that verifies the signatures v1a of a webhook. A webhook of
// an older version gets its key with the first call.
func (n *Feature) PublicKey(ctx context.Context, accountID, destinationID string) (string, error) {
	d, err := n.Destination(ctx, accountID, destinationID)
	if err != nil {
		return "", err
	}
	if key := d.secrets.publicKey(); key != "" {
		return key, nil
	}
	if len(d.secrets.Keys) == 0 {
		d.secrets.Keys = []signingKey{newKey()}
	}
	d.secrets.Keys[0].Seed = newSeed()
	d.Modified = moment(n.Now())
	return d.secrets.publicKey(), n.changeDestination(ctx, &d, func(*db.Tx) error { return nil })
}
