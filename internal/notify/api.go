package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of one request.
const (
	maxBatch     = 1000
	maxBatchBody = 4 << 20
)

const (
	tag     = "Notifications"
	apiBase = "/accounts/{account_id}/alerting/v3"
)

// anAlert names the payload in decode errors.
var anAlert = strict.Subject{Name: "an alert", Hint: "; open data belongs under data"}

// alertFormat is the format of both on-ramps.
var alertFormat = ingest.Format{Item: anAlert, Max: maxBatch}

// API registers the operations.
func (n *Feature) API(api *web.API) {
	const description = "One alert, a JSON array or NDJSON, at most 1,000. " +
		"The answer comes after the commit: one result an alert, " +
		"in the order of the input. 200 when at least one was accepted or is a duplicate; " +
		"400 when none was (409 when all are " +
		"conflicts). start and end share a correlation_id."
	web.Raw(api, "POST", web.Op{
		Path:        apiBase + "/alerts",
		ID:          "send-alerts",
		Tag:         tag,
		Permission:  account.AlertsSend,
		Summary:     "Send alerts",
		Description: description,
		MaxBody:     maxBatchBody,
		Accepts:     ingest.MediaTypes,
		Result:      []ingest.ItemResult{},
	}, func(ctx context.Context, _ *struct{}, x *web.Exchange) error {
		return n.receive(ctx, x, web.Account(ctx).ID)
	})
	web.Raw(api, "POST", web.Op{
		Path:       "/alerts",
		ID:         "send-alerts-of-many-accounts",
		Tag:        tag,
		Permission: account.AlertsSend,
		Scope:      web.ScopeProducer,
		Summary:    "Send alerts of many accounts",
		Description: "For product teams: every alert names its account in account_id, " +
			"and its type must be in the team's catalogue. " +
			description,
		MaxBody: maxBatchBody,
		Accepts: ingest.MediaTypes,
		Result:  []ingest.ItemResult{},
	}, func(ctx context.Context, _ *struct{}, x *web.Exchange) error {
		return n.receive(ctx, x, "")
	})
	api.Limit("alerts.batch_alerts", maxBatch)
	api.Limit("alerts.batch_bytes", maxBatchBody)
	api.Limit("alerts.alert_bytes", maxAlert)
	n.registerDestinations(api)
	n.registerPolicies(api)
	n.registerAlerts(api)
	n.registerHistory(api)
}

// receive stores the alerts of a request; accountID is the account of the route,
// or empty.
func (n *Feature) receive(ctx context.Context, x *web.Exchange, accountID string) error {
	items, err := alertFormat.Read(x)
	if err != nil {
		return err
	}
	from := sender{Sender: ingest.From(ctx, accountID)}
	job := &intakeJob{}
	all := make([]*prepared, len(items.Values))
	for i, value := range items.Values {
		p, err := n.prepare(ctx, from, value)
		if err != nil {
			return err
		}
		all[i] = p
		if p.status != ingest.Rejected {
			job.list = append(job.list, p)
		} else if len(job.rejects) < ingest.MaxRejects {
			r := n.reject(p, "http", value, nil)
			if from.Producer != "" {
				r.Producer = from.Producer
			}
			job.rejects = append(job.rejects, r)
		}
	}
	if err := n.storeJob(ctx, job); err != nil {
		return err
	}
	answer := items.Answer()
	for _, p := range all {
		if p.status == ingest.Rejected {
			n.metrics.alerts.WithLabelValues(string(ingest.Rejected)).Inc()
		}
		answer.Add(ingest.Result{ID: cut(p.alert.ID, maxID), Status: p.status, Faults: p.faults})
	}
	x.Send(answer.Envelope())
	return nil
}

// Paths of the pages that messages and other features link to.
func alertPath(accountID, alertID string) string {
	return AlertsPath(accountID) + "/" + pathEscape(alertID)
}

// AlertsPath is the page of an account's alerts.
func AlertsPath(accountID string) string { return "/accounts/" + accountID + "/alerts" }

// NotificationsPath is the page of an account's policies and destinations.
func NotificationsPath(accountID string) string { return "/accounts/" + accountID + "/notifications" }
