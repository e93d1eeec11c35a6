package notify

import (
	"cmp"
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// PolicyCreate is a policy as it is created.
type PolicyCreate struct {
	Name          string              `json:"name" minLength:"1" maxLength:"255"`
	Description   string              `json:"description,omitempty" maxLength:"1000"`
	Enabled       bool                `json:"enabled"`
	AlertType     string              `json:"alert_type" minLength:"1" maxLength:"255" doc:"One of available_alerts"`
	AlertInterval string              `json:"alert_interval,omitempty" maxLength:"20" doc:"At most one notification about the same subject in this time: 30m, 4h, 1d; no limit when left out"`
	Filters       map[string][]string `json:"filters,omitempty" doc:"Every key also exists as <key>.not"`
	Mechanisms    Mechanisms          `json:"mechanisms"`
	MinSeverity   string              `json:"min_severity,omitempty" maxLength:"64" doc:"The mildest severity that is sent"`
	Schedule      *Schedule           `json:"schedule,omitempty"`
	Digest        *Digest             `json:"digest,omitempty"`
	Escalation    []EscalationStep    `json:"escalation,omitempty" maxItems:"5"`
}

type policyIn struct {
	Body PolicyCreate
}

// PolicyUpdate changes the fields of a policy that it has.
type PolicyUpdate struct {
	Name          *string              `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Description   *string              `json:"description,omitempty" maxLength:"1000"`
	Enabled       *bool                `json:"enabled,omitempty"`
	AlertType     *string              `json:"alert_type,omitempty" minLength:"1" maxLength:"255"`
	AlertInterval *string              `json:"alert_interval,omitempty" maxLength:"20"`
	Filters       *map[string][]string `json:"filters,omitempty"`
	Mechanisms    *Mechanisms          `json:"mechanisms,omitempty"`
	MinSeverity   *string              `json:"min_severity,omitempty" maxLength:"64"`
	Schedule      *Schedule            `json:"schedule,omitempty" doc:"One with no hours and no outside removes it"`
	Digest        *Digest              `json:"digest,omitempty" doc:"An empty object removes it"`
	Escalation    *[]EscalationStep    `json:"escalation,omitempty" maxItems:"5"`
}

type policyPut struct {
	PolicyID string `path:"policy_id" maxLength:"64"`
	Body     PolicyUpdate
}

// PolicyDraft is a policy for a dry run: neither a name nor a destination is
// needed.
type PolicyDraft struct {
	Name          string              `json:"name,omitempty" maxLength:"255"`
	Description   string              `json:"description,omitempty" maxLength:"1000"`
	Enabled       bool                `json:"enabled,omitempty" doc:"A dry run assumes true"`
	AlertType     string              `json:"alert_type" minLength:"1" maxLength:"255" doc:"One of available_alerts"`
	AlertInterval string              `json:"alert_interval,omitempty" maxLength:"20"`
	Filters       map[string][]string `json:"filters,omitempty"`
	Mechanisms    Mechanisms          `json:"mechanisms,omitzero"`
	MinSeverity   string              `json:"min_severity,omitempty" maxLength:"64"`
	Schedule      *Schedule           `json:"schedule,omitempty"`
	Digest        *Digest             `json:"digest,omitempty"`
	Escalation    []EscalationStep    `json:"escalation,omitempty" maxItems:"5"`
}

type policyDraft struct {
	Body PolicyDraft
}

// PolicyPath names a policy in a path.
type PolicyPath struct {
	PolicyID string `path:"policy_id" maxLength:"64"`
}

func (b *PolicyCreate) policy() Policy {
	return Policy{
		Name:          b.Name,
		Description:   b.Description,
		Enabled:       b.Enabled,
		AlertType:     b.AlertType,
		AlertInterval: b.AlertInterval,
		Filters:       b.Filters,
		Mechanisms:    b.Mechanisms,
		MinSeverity:   b.MinSeverity,
		Schedule:      b.Schedule,
		Digest:        b.Digest,
		Escalation:    b.Escalation,
	}
}

func (n *Feature) registerPolicies(api *web.API) {
	const base = apiBase + "/policies"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-policies",
		Tag:        tag,
		Summary:    "List policies",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, _ *struct{}) ([]Policy, error) { return n.Policies(ctx, web.Account(ctx).ID) })
	web.Post(api, web.Op{
		Path:       base,
		ID:         "create-policy",
		Errors:     []errs.Code{errs.CodeMissingFilter, errs.CodeLimit},
		Tag:        tag,
		Summary:    "Create a policy",
		Permission: account.NotificationsWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *policyIn) (Policy, error) {
		return n.CreatePolicy(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.Body.policy())
	})
	web.Post(api, web.Op{
		Path:       base + "/preview",
		ID:         "preview-policy",
		Tag:        tag,
		Summary:    "Try a policy on the last week",
		Permission: account.NotificationsRead,
		Description: "Counts the alerts of the last 7 days that the policy would have matched. Nothing is saved or " +
			"sent; a destination is not needed.",
	}, func(ctx context.Context, in *policyDraft) (Preview, error) {
		b := &in.Body
		return n.Preview(ctx, web.Account(ctx).ID, Policy{
			Name:          b.Name,
			Description:   b.Description,
			AlertType:     b.AlertType,
			AlertInterval: b.AlertInterval,
			Filters:       b.Filters,
			Mechanisms:    b.Mechanisms,
			MinSeverity:   b.MinSeverity,
			Schedule:      b.Schedule,
			Digest:        b.Digest,
			Escalation:    b.Escalation,
		})
	})
	web.Get(api, web.Op{
		Path:       base + "/{policy_id}",
		ID:         "get-policy",
		Tag:        tag,
		Summary:    "Read a policy",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, in *PolicyPath) (Policy, error) {
		return n.Policy(ctx, web.Account(ctx).ID, in.PolicyID)
	})
	web.Put(api, web.Op{
		Path:        base + "/{policy_id}",
		ID:          "update-policy",
		Errors:      []errs.Code{errs.CodeMissingFilter},
		Tag:         tag,
		Summary:     "Change a policy",
		Permission:  account.NotificationsWrite,
		Description: "Fields that are left out stay as they are.",
	}, func(ctx context.Context, in *policyPut) (Identified, error) {
		b := &in.Body
		p, err := n.UpdatePolicy(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.PolicyID, func(p *Policy) {
			setIfGiven(&p.Name, b.Name)
			setIfGiven(&p.Description, b.Description)
			setIfGiven(&p.Enabled, b.Enabled)
			setIfGiven(&p.AlertType, b.AlertType)
			setIfGiven(&p.AlertInterval, b.AlertInterval)
			setIfGiven(&p.Filters, b.Filters)
			setIfGiven(&p.Mechanisms, b.Mechanisms)
			setIfGiven(&p.MinSeverity, b.MinSeverity)
			setIfGiven(&p.Escalation, b.Escalation)
			if b.Schedule != nil {
				p.Schedule = b.Schedule
			}
			if b.Digest != nil {
				p.Digest = b.Digest
			}
		})
		return Identified{p.ID}, err
	})
	web.Delete(api, web.Op{
		Path:       base + "/{policy_id}",
		ID:         "delete-policy",
		Tag:        tag,
		Summary:    "Delete a policy",
		Permission: account.NotificationsWrite,
	}, func(ctx context.Context, in *PolicyPath) (Identified, error) {
		return Identified{in.PolicyID}, n.DeletePolicy(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.PolicyID)
	})
	web.Post(api, web.Op{
		Path:        base + "/{policy_id}/test",
		ID:          "send-policy-test-messages",
		Tag:         tag,
		Summary:     "Send a test message by a policy",
		Permission:  account.NotificationsWrite,
		Description: "Queues one for each of its destinations; history/{id} shows the result.",
	}, func(ctx context.Context, in *PolicyPath) (Replayed, error) {
		return n.TestPolicy(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.PolicyID)
	})
}

func setIfGiven[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// HistoryQuery chooses deliveries.
type HistoryQuery struct {
	Page    int      `query:"page" minimum:"1" maximum:"100000" default:"1"`
	PerPage int      `query:"per_page" minimum:"1" maximum:"1000" default:"25"`
	Since   web.Time `query:"since"`
	Before  web.Time `query:"before"`
	Webhook string   `query:"webhook_id" maxLength:"64" doc:"Only deliveries to this webhook"`
	State   string   `query:"state" enum:"waiting,delivered,failed,superseded,not_sent,kept" doc:"All when left out"`
}

// Sent is a delivery in the compatible API's shape, with its state added.
type Sent struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	AlertType     string   `json:"alert_type"`
	AlertBody     string   `json:"alert_body"`
	Description   string   `json:"description"`
	Mechanism     string   `json:"mechanism"`
	MechanismType string   `json:"mechanism_type" enum:"email,pagerduty,webhook,inbox"`
	PolicyID      string   `json:"policy_id"`
	Sent          web.Time `json:"sent"`
	State         string   `json:"state"`
	AlertID       string   `json:"alert_id,omitempty"`
	Attempts      int      `json:"attempts_made"`
}

// DeliveryPath names a delivery in a path.
type DeliveryPath struct {
	DeliveryID string `path:"delivery_id" maxLength:"64"`
}

func (n *Feature) registerHistory(api *web.API) {
	const base = apiBase + "/history"
	web.Get(api, web.Op{
		Path:        base,
		ID:          "list-deliveries",
		Tag:         tag,
		Summary:     "List deliveries",
		Permission:  account.NotificationsRead,
		Description: "The newest first. total_count is counted up to 10,000.",
	}, func(ctx context.Context, in *HistoryQuery) (web.Numbered[Sent], error) {
		out := web.Numbered[Sent]{Items: []Sent{}, Page: in.Page, PerPage: in.PerPage}
		offset := (in.Page - 1) * in.PerPage
		f := deliveryFilter{account: web.Account(ctx).ID, since: in.Since.Time, before: in.Before.Time}
		if in.State != "" {
			f.states = []string{in.State}
		}
		if in.Webhook != "" {
			d, err := n.Destination(ctx, f.account, in.Webhook)
			if err != nil {
				return out, err
			}
			f.destination = d.ID
		}
		list, total, err := n.history(ctx, f, offset, in.PerPage)
		if out.Total = total; total == countMost {
			out.Messages = []web.Message{{Message: "total_count is counted up to 10,000; there may be more"}}
		}
		for _, d := range list {
			out.Items = append(out.Items, d.sent())
		}
		return out, err
	})
	web.Get(api, web.Op{
		Path:       base + "/{delivery_id}",
		ID:         "get-delivery",
		Tag:        tag,
		Summary:    "Read a delivery with its attempts",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, in *DeliveryPath) (Delivery, error) {
		return n.Delivery(ctx, web.Account(ctx).ID, in.DeliveryID)
	})
	web.Post(api, web.Op{
		Path:        base + "/{delivery_id}/replay",
		ID:          "replay-delivery",
		Errors:      []errs.Code{errs.CodeStateConflict},
		Tag:         tag,
		Summary:     "Send a delivery again",
		Permission:  account.DeliveriesReplay,
		Description: "Under a new id, because receivers ignore an id that they have seen.",
	}, func(ctx context.Context, in *DeliveryPath) (Replayed, error) {
		return n.ReplayDelivery(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.DeliveryID)
	})
}

func (d *Delivery) sent() Sent {
	at := d.CreatedAt
	if !d.EndedAt.IsZero() {
		at = d.EndedAt
	}
	return Sent{
		ID:            d.ID,
		Name:          d.Policy,
		AlertType:     d.kind,
		AlertBody:     d.summary,
		Description:   cmp.Or(d.Reason, d.State),
		Mechanism:     cmp.Or(d.Mechanism, d.DestinationID),
		MechanismType: d.MechanismType,
		PolicyID:      d.PolicyID,
		Sent:          at,
		State:         d.State,
		AlertID:       d.AlertID,
		Attempts:      d.Tries,
	}
}
