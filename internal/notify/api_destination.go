package notify

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// WebhookCreate is a webhook as it is created.
type WebhookCreate struct {
	Name   string  `json:"name" minLength:"1" maxLength:"255"`
	URL    string  `json:"url" minLength:"1" maxLength:"2048" doc:"https://...; a test message is sent there and must be answered 2xx"`
	Secret *string `json:"secret,omitempty" maxLength:"1000" doc:"Sent as the header cf-webhook-auth; never returned"`
	Key    *string `json:"signing_secret,omitempty" maxLength:"200" doc:"whsec_...: signs from the test message on, so that a receiver that verifies can answer it; made by Belfry when left out"`

	Type     *string           `json:"type,omitempty" maxLength:"32" doc:"The format that the receiver speaks, where its URL does not say it, such as mattermost; derived from the URL when left out"`
	Headers  map[string]string `json:"headers,omitempty" doc:"Headers that are sent too; never returned. Of the type generic"`
	Body     *string           `json:"body_template,omitempty" maxLength:"16384" doc:"Template of the body, such as {\"text\": \"{{headline}}\"}; see preview-webhook-body. Of the type generic"`
	Fallback *Fallback         `json:"fallback,omitempty" doc:"Where messages go instead when they do not arrive"`
}

// WebhookReplace replaces a webhook's settings.
type WebhookReplace struct {
	Name   string  `json:"name" minLength:"1" maxLength:"255"`
	URL    string  `json:"url" minLength:"1" maxLength:"2048"`
	Secret *string `json:"secret,omitempty" maxLength:"1000" doc:"Unchanged when left out; empty removes it"`

	Type     *string           `json:"type,omitempty" maxLength:"32" doc:"Unchanged when left out; empty derives it from the URL"`
	Headers  map[string]string `json:"headers,omitempty" doc:"Replace all headers; unchanged when left out, and {} removes them"`
	Body     *string           `json:"body_template,omitempty" maxLength:"16384" doc:"Unchanged when left out; empty is the standard body"`
	Fallback *Fallback         `json:"fallback,omitempty" doc:"Unchanged when left out; an empty destination_id removes it"`
}

type webhookIn struct {
	Body WebhookCreate
}

type webhookPut struct {
	WebhookID string `path:"webhook_id" maxLength:"64"`
	Body      WebhookReplace
}

// WebhookPath names a webhook in a path.
type WebhookPath struct {
	WebhookID string `path:"webhook_id" maxLength:"64"`
}

// Identified is the answer of the compatible API to a change.
type Identified struct {
	ID string `json:"id"`
}

// Available is an alert type in the compatible API's shape.
type Available struct {
	Type          string         `json:"type"`
	DisplayName   string         `json:"display_name"`
	Description   string         `json:"description"`
	FilterOptions []FilterOption `json:"filter_options"`
	Severities    []string       `json:"severities"`
	Unsent        bool           `json:"unsent,omitempty" doc:"No producer is known, and the account has had no alert of the type"`
}

// FilterOption is a filter in the compatible API's shape, its capitals included.
type FilterOption struct {
	Key                string           `json:"Key"`
	ComparisonOperator string           `json:"ComparisonOperator"`
	Range              string           `json:"Range" doc:"How many values a policy may have: 1-n, 0-n, 1-1, 0-1"`
	AvailableValues    []AvailableValue `json:"AvailableValues"`
}

// AvailableValue is a value that a filter may have.
type AvailableValue struct {
	ID          string `json:"ID"`
	Description string `json:"Description"`
}

// Eligible is a kind of destinations in the compatible API's shape.
type Eligible struct {
	Type     string `json:"type"`
	Eligible bool   `json:"eligible"`
	Ready    bool   `json:"ready"`
}

func (n *Feature) registerDestinations(api *web.API) {
	const base = apiBase + "/destinations/webhooks"
	web.Get(api, web.Op{
		Path:        apiBase + "/available_alerts",
		ID:          "list-alert-types",
		Tag:         tag,
		Summary:     "List alert types",
		Permission:  account.NotificationsRead,
		Description: "Every type that a catalogue declares, by category.",
	}, func(ctx context.Context, _ *struct{}) (map[string][]Available, error) {
		return n.available(ctx, web.Account(ctx).ID)
	})
	web.Get(api, web.Op{
		Path:       apiBase + "/destinations/eligible",
		ID:         "list-destination-kinds",
		Tag:        tag,
		Summary:    "List kinds of destinations",
		Permission: account.NotificationsRead,
	}, func(context.Context, *struct{}) (map[string][]Eligible, error) {
		has := func(kind string) bool { return n.channelOf(kind, "") != nil }
		return map[string][]Eligible{
			"email":     {{"email", has(KindEmail), has(KindEmail)}},
			"webhook":   {{"webhook", has(KindWebhook), has(KindWebhook)}},
			"pagerduty": {{"pagerduty", has(KindPagerDuty), has(KindPagerDuty)}},
		}, nil
	})
	n.registerPagerDuty(api)
	n.registerBodies(api)

	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-webhooks",
		Tag:        tag,
		Summary:    "List webhooks",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, _ *struct{}) ([]Destination, error) {
		return n.Webhooks(ctx, web.Account(ctx).ID)
	})
	web.Post(api, web.Op{
		Path:       base,
		ID:         "create-webhook",
		Errors:     []errs.Code{errs.CodeLimit},
		Tag:        tag,
		Summary:    "Create a webhook",
		Permission: account.NotificationsWrite,
		Idempotent: true,
		Description: "A test message is sent first, in the format of the webhook's type, and must be answered 2xx within " +
			"15 s. The answer shows signing_secret only once. The URL of a chat's webhook is a secret: it is not returned.",
	}, func(ctx context.Context, in *webhookIn) (NewWebhook, error) {
		b := &in.Body
		spec := WebhookSpec{
			Name:     &b.Name,
			URL:      &b.URL,
			Secret:   b.Secret,
			Key:      b.Key,
			Type:     b.Type,
			Headers:  b.Headers,
			Body:     b.Body,
			Fallback: b.Fallback,
		}
		return n.CreateWebhook(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, spec)
	})
	web.Get(api, web.Op{
		Path:       base + "/{webhook_id}",
		ID:         "get-webhook",
		Tag:        tag,
		Summary:    "Read a webhook",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, in *WebhookPath) (Destination, error) {
		return n.Destination(ctx, web.Account(ctx).ID, in.WebhookID)
	})
	web.Put(api, web.Op{
		Path:       base + "/{webhook_id}",
		ID:         "replace-webhook",
		Tag:        tag,
		Summary:    "Replace a webhook",
		Permission: account.NotificationsWrite,
	}, func(ctx context.Context, in *webhookPut) (Identified, error) {
		b := &in.Body
		spec := WebhookSpec{
			Name:     &b.Name,
			URL:      &b.URL,
			Secret:   b.Secret,
			Type:     b.Type,
			Headers:  b.Headers,
			Body:     b.Body,
			Fallback: b.Fallback,
		}
		d, err := n.UpdateWebhook(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.WebhookID, spec)
		return Identified{d.ID}, err
	})
	web.Delete(api, web.Op{
		Path:       base + "/{webhook_id}",
		ID:         "delete-webhook",
		Errors:     []errs.Code{errs.CodeStateConflict},
		Tag:        tag,
		Summary:    "Delete a webhook",
		Permission: account.NotificationsWrite,
	}, func(ctx context.Context, in *WebhookPath) (Identified, error) {
		return Identified{in.WebhookID}, n.DeleteWebhook(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.WebhookID)
	})
	web.Post(api, web.Op{
		Path:        base + "/{webhook_id}/test",
		ID:          "send-test-message",
		Tag:         tag,
		Summary:     "Send a test message to a webhook",
		Permission:  account.NotificationsWrite,
		Description: "Sends it now and returns the attempt with the response.",
	}, func(ctx context.Context, in *WebhookPath) (Attempt, error) {
		return n.TestWebhook(ctx, web.Account(ctx).ID, in.WebhookID)
	})
	web.Post(api, web.Op{
		Path:        base + "/{webhook_id}/rotate_secret",
		ID:          "rotate-webhook-secret",
		Tag:         tag,
		Summary:     "Give a webhook a new signing secret",
		Permission:  account.NotificationsWrite,
		Description: "The old one also signs for 24 hours. The answer shows the new one only once.",
	}, func(ctx context.Context, in *WebhookPath) (NewWebhook, error) {
		return n.RotateSecret(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.WebhookID)
	})
	web.Get(api, web.Op{
		Path:        base + "/{webhook_id}/statistics",
		ID:          "get-webhook-statistics",
		Tag:         tag,
		Summary:     "Read the statistics of a webhook",
		Permission:  account.NotificationsRead,
		Description: "Results and latency of its newest deliveries: at most 2,000 of the last 7 days.",
	}, func(ctx context.Context, in *WebhookPath) (WebhookStatistics, error) {
		return n.WebhookStatistics(ctx, web.Account(ctx).ID, in.WebhookID)
	})
	web.Post(api, web.Op{
		Path:       base + "/{webhook_id}/pause",
		ID:         "pause-webhook",
		Tag:        tag,
		Summary:    "Pause a webhook",
		Permission: account.NotificationsWrite,
		Description: "Nothing is sent to it until it is enabled: its state is disabled. Messages of this time are " +
			"not sent; a replay sends them later.",
	}, func(ctx context.Context, in *WebhookPath) (Destination, error) {
		return n.PauseWebhook(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.WebhookID)
	})
	web.Post(api, web.Op{
		Path:        base + "/{webhook_id}/enable",
		ID:          "enable-webhook",
		Tag:         tag,
		Summary:     "Enable a webhook again",
		Permission:  account.NotificationsWrite,
		Description: "After a test message was answered 2xx.",
	}, func(ctx context.Context, in *WebhookPath) (Destination, error) {
		return n.EnableDestination(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.WebhookID)
	})
}

func (n *Feature) available(ctx context.Context, accountID string) (map[string][]Available, error) {
	types, err := n.AlertTypes(ctx)
	if err != nil {
		return nil, err
	}
	unsent, err := n.unsent(ctx, accountID, types)
	if err != nil {
		return nil, err
	}
	out := map[string][]Available{}
	for _, t := range types {
		a := Available{
			Type:          t.Type,
			DisplayName:   t.Title,
			Description:   t.Description,
			FilterOptions: []FilterOption{},
			Severities:    slices.Clone(t.Severities),
			Unsent:        unsent[t.Type],
		}
		for _, f := range t.Filters {
			a.FilterOptions = append(a.FilterOptions, f.option())
		}
		out[t.Category] = append(out[t.Category], a)
	}
	return out, nil
}

func (f *Filter) option() FilterOption {
	least := "0"
	if f.Required {
		least = "1"
	}
	most := "n"
	if f.Single {
		most = "1"
	}
	o := FilterOption{Key: f.Key, ComparisonOperator: "==", Range: least + "-" + most}
	for _, v := range f.Values {
		o.AvailableValues = append(o.AvailableValues, AvailableValue{v, v})
	}
	return o
}
