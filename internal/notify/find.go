package notify

import (
	"cmp"
	"context"
	"net/url"
	"slices"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// searchedAlerts are the alerts whose texts one search reads: those that fire, and the newest.
const searchedAlerts = 100

// finders find alerts, policies, webhooks, alert types and deliveries.
func (n *Feature) finders() feature.Finders {
	const read = account.NotificationsRead
	return feature.Finders{
		{Kind: "alert", Label: "Alerts", Icon: "siren", Permission: read, Find: n.findAlerts},
		{Kind: "policy", Label: "Policies", Icon: "bell", Permission: read, Find: n.findPolicies},
		{Kind: "webhook", Label: "Webhooks", Icon: "webhook", Permission: read, Find: n.findWebhooks},
		{Kind: "alert_type", Label: "Alert types", Icon: "tag", Permission: read, Find: n.findAlertTypes},
		{Kind: "delivery", Label: "Deliveries", Icon: "send", Permission: read, Find: n.findDeliveries},
	}
}

// actions are the feature's entries of the palette.
func (n *Feature) actions() []feature.Action {
	base := NotificationsPath("{account_id}")
	return []feature.Action{
		{
			Label: "Create a policy", Words: "new notification rule alert subscribe", Icon: "bell",
			Href: base + "/policies/new", Permission: account.NotificationsWrite,
		},
		{
			Label: "Add a webhook", Words: "create new destination endpoint receiver", Icon: "webhook",
			Href: base + "/webhooks/new", Permission: account.NotificationsWrite,
		},
		{
			Label: "Connect a PagerDuty service", Words: "create new destination pager on-call", Icon: "siren",
			Href: base + "/pagerduty/new", Permission: account.NotificationsWrite,
		},
		{
			Label: "See firing alerts", Words: "incidents open burning", Icon: "siren",
			Href: AlertsPath("{account_id}") + "?state=" + stateFiring, Permission: account.NotificationsRead,
		},
	}
}

// acknowledgements offers to acknowledge the alerts that fire and that no member has acknowledged.
func (n *Feature) acknowledgements() *feature.Offer {
	const most = 5
	return &feature.Offer{
		Permission: account.NotificationsRead,
		Actions: func(ctx context.Context, accountID string) (list []feature.Action, err error) {
			if !mayAck(web.CurrentPrincipal(ctx), accountID) {
				return nil, nil
			}
			firing, _, err := n.firing(ctx, accountID, 2*most)
			if err != nil {
				return nil, err
			}
			for _, a := range firing {
				if !a.AckedAt.IsZero() || len(list) == most {
					continue
				}
				title, err := n.titleOf(ctx, &a)
				if err != nil {
					return nil, err
				}
				list = append(list, feature.Action{
					Label: "Acknowledge " + title,
					Words: "ack alert firing incident",
					Icon:  "check",
					Href:  alertPath(accountID, a.ID) + "/ack",
					Post:  true,
				})
			}
			return list, nil
		},
	}
}

func (n *Feature) titleOf(ctx context.Context, a *Alert) (string, error) {
	kind, err := n.AlertType(ctx, a.Type)
	return a.subjectTitle(kind), err
}

// findAlerts finds an alert by its id or correlation id, and the firing and newest alerts by their texts.
func (n *Feature) findAlerts(ctx context.Context, accountID, query string, limit int) ([]feature.Match, error) {
	var found []Alert
	if query != "" {
		exact, err := n.alertsNamed(ctx, accountID, query)
		if err != nil {
			return nil, err
		}
		found = exact
	}
	texts := len(found) == 0
	if texts {
		for _, state := range []string{stateFiring, ""} {
			list, err := n.alerts(ctx, alertFilter{account: accountID, state: state}, web.Keyset{}, searchedAlerts)
			if err != nil {
				return nil, err
			}
			for _, a := range list {
				if state == stateFiring || a.State != stateFiring {
					found = append(found, a)
				}
			}
		}
	}

	list := make([]feature.Match, len(found))
	for i, a := range found {
		title, err := n.titleOf(ctx, &a)
		if err != nil {
			return nil, err
		}
		list[i] = feature.Match{
			ID:     a.ID,
			Title:  title,
			Detail: a.State,
			Href:   alertPath(accountID, a.ID),
			At:     a.OccurredAt.Time,
			Names:  []string{a.Summary, a.Type, a.where(), a.Severity},
		}
		if where := a.where(); where != "" {
			list[i].Detail += ", " + where
		}
		if a.State == stateFiring {
			list[i].Tone = severityTone(a.Severity)
		}
	}
	if !texts {
		return list, nil
	}
	return feature.Best(query, limit, list), nil
}

// alertsNamed finds an incident by the id of any of its alerts, or by its correlation id.
func (n *Feature) alertsNamed(ctx context.Context, accountID, query string) (list []Alert, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		a, err := rootAlert(ctx, tx, accountID, query)
		if err == nil {
			list = append(list, a)
			return nil
		}
		if !errs.Is(err, errs.CodeNotFound) {
			return err
		}
		list, err = db.Collect(ctx, tx, scanAlert, alertView+` WHERE alert_key IN (
			SELECT CASE WHEN open_key <> '' THEN open_key ELSE last_key END FROM cause
			WHERE account_id = $1 AND correlation_id = $2) LIMIT 2`, accountID, query)
		return err
	})
	return list, err
}

func (n *Feature) findPolicies(ctx context.Context, accountID, query string, limit int) ([]feature.Match, error) {
	policies, err := n.Policies(ctx, accountID)
	list := make([]feature.Match, len(policies))
	for i, p := range policies {
		kind, err := n.AlertType(ctx, p.AlertType)
		if err != nil {
			return nil, err
		}
		list[i] = feature.Match{
			ID:    p.ID,
			Title: p.Name,
			Href:  NotificationsPath(accountID) + "/policies/" + p.ID,
			Names: []string{p.AlertType, p.Description},
		}
		if list[i].Detail = p.AlertType; kind != nil {
			list[i].Detail = kind.Title
		}
		if !p.Enabled {
			list[i].Detail += ", off"
		}
	}
	return feature.Best(query, limit, list), err
}

func (n *Feature) findWebhooks(ctx context.Context, accountID, query string, limit int) ([]feature.Match, error) {
	webhooks, err := n.Webhooks(ctx, accountID)
	list := make([]feature.Match, len(webhooks))
	for i, d := range webhooks {
		shown := shownWebhookOf(accountID, d)
		list[i] = feature.Match{
			ID:     d.ID,
			Title:  d.Name,
			Detail: hostOf(d.URL) + ", " + shown.Health,
			Href:   webhookPath(accountID, d.ID),
			Names:  []string{hostOf(d.URL)},
		}
		if shown.Tone != ui.Good {
			list[i].Tone = shown.Tone
		}
	}
	return feature.Best(query, limit, list), err
}

// hostOf is the host of a webhook's address. The path and query may be secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// findAlertTypes finds the declared alert types.
func (n *Feature) findAlertTypes(ctx context.Context, accountID, query string, limit int) ([]feature.Match, error) {
	types, err := n.AlertTypes(ctx)
	list := make([]feature.Match, len(types))
	for i, t := range types {
		list[i] = feature.Match{
			ID:     t.Type,
			Title:  t.Title,
			Detail: cmp.Or(t.Description, t.Type),
			Href:   typePath(accountID, t.Type),
			Names:  []string{t.Type, t.Product, t.Category},
		}
	}
	return feature.Best(query, limit, list), err
}

// findDeliveries finds a delivery by its id.
func (n *Feature) findDeliveries(ctx context.Context, accountID, query string, _ int) ([]feature.Match, error) {
	if !feature.Pasted(query) {
		return nil, nil
	}
	d, err := n.Delivery(ctx, accountID, query)
	if errs.Is(err, errs.CodeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []feature.Match{{
		ID:     d.ID,
		Title:  d.summary,
		Detail: d.Mechanism + ", " + deliveryWord(d.State, d.Tries),
		Href:   deliveryPath(accountID, d.ID),
		Tone:   deliveryTone(d.State),
		At:     d.CreatedAt.Time,
	}}, nil
}

// Notifies reports whether a policy of the account is on and has a destination.
func (n *Feature) Notifies(ctx context.Context, accountID string) (bool, error) {
	policies, err := n.Policies(ctx, accountID)
	reaches := func(p Policy) bool {
		return p.Enabled && !p.Mechanisms.none()
	}
	return slices.ContainsFunc(policies, reaches), err
}

// Newest is the newest alert of the account; nil = there was none.
func (n *Feature) Newest(ctx context.Context, accountID string) (*Alert, error) {
	list, err := n.alerts(ctx, alertFilter{account: accountID}, web.Keyset{}, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}
