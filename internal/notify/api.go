package notify

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
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

// SentAlert documents the body of both on-ramps.
type SentAlert struct {
	Account     string              `json:"account_id,omitempty" doc:"The account, where one request carries alerts of many"`
	ID          string              `json:"id,omitempty" doc:"Unique in the account: a repeat has the same one; made when left out" maxLength:"128"`
	Type        string              `json:"alert_type" doc:"A type that a catalogue declares"`
	Event       event.AlertEvent    `json:"event" enum:"start,end,notice" doc:"A notice stands alone; an end ends what a start began"`
	Correlation string              `json:"correlation_id,omitempty" doc:"What start and end have in common; the id when left out" maxLength:"128"`
	Severity    string              `json:"severity,omitempty" doc:"One of the type's severities; the first when left out"`
	OccurredAt  string              `json:"occurred_at,omitempty" doc:"When it began, ended or happened; now when left out" format:"date-time"`
	BeganAt     string              `json:"began_at,omitempty" doc:"Beginning of the reported problem, at most occurred_at" format:"date-time"`
	Summary     string              `json:"summary,omitempty" doc:"One sentence for people" maxLength:"500"`
	Zone        string              `json:"zone,omitempty" doc:"The zone (property) it is about, by id, name or alias" maxLength:"255"`
	Resource    *SentResource       `json:"resource,omitempty"`
	Filters     map[string][]string `json:"filters,omitempty" doc:"What policies compare: at most 50 keys of 200 values"`
	Data        map[string]any      `json:"data,omitempty" doc:"Open data, as the type's JSON Schema says"`
	URL         string              `json:"url,omitempty" doc:"Page with details: http(s), or a path of the dashboard" maxLength:"2048"`
}

// SentResource documents the subject of an alert.
type SentResource struct {
	Product string `json:"product" maxLength:"255"`
	Type    string `json:"type" maxLength:"255"`
	ID      string `json:"id" maxLength:"255"`
	Name    string `json:"name,omitempty" maxLength:"255"`
}

// alertErrors are the codes that alerts can be rejected with.
var alertErrors = []errs.Code{
	errs.CodeEventConflict, errs.CodeProductForbidden, errs.CodeActionUndeclared, errs.CodeSchemaMismatch,
	errs.CodeReservedProduct, errs.CodeEventTime,
}

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
		Body:        []SentAlert{},
		Result:      []ingest.ItemResult{},
		Errors:      alertErrors,
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
		Body:    []SentAlert{},
		Result:  []ingest.ItemResult{},
		Errors:  append(slices.Clone(alertErrors), errs.CodeUnknownAccount),
	}, func(ctx context.Context, _ *struct{}, x *web.Exchange) error {
		return n.receive(ctx, x, "")
	})
	api.Limit("alerts.batch_alerts", maxBatch)
	api.Limit("alerts.batch_bytes", maxBatchBody)
	api.Limit("alerts.alert_bytes", maxAlert)
	api.Limit("inbox.entries", maxInbox)
	n.registerOnRamps(api)
	n.registerInbox(api)
	n.registerDestinations(api)
	n.registerPolicies(api)
	n.registerSilences(api)
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
			job.rejects = append(job.rejects, n.rejectFrom(p, from, value))
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
