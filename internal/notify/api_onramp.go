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

// webhookBody names the body of a webhook in decode errors.
var webhookBody = strict.Subject{Name: "a webhook"}

// postedFormat is the list of alerts that Prometheus sends.
var postedFormat = ingest.Format{Item: aReportedAlert, Max: maxBatch}

// onRampErrors are the codes that alerts from other systems can be rejected with.
var onRampErrors = append(slices.Clone(alertErrors), errs.CodeLimit)

// rulesFor describes how alerts from other systems are read.
func rulesFor(kind string) string {
	return "An alert whose alertname is an alert type of a catalogue has this type, and others have the type " + kind + ". " +
		"Labels are the values of the type's filters; the labels property, zone, hostname, host, domain and instance may name " +
		"the property. An alert that is repeated stays one alert."
}

// registerOnRamps registers the formats of other systems.
func (n *Feature) registerOnRamps(api *web.API) {
	op := web.Op{
		Tag:        tag,
		Permission: account.AlertsSend,
		MaxBody:    maxBatchBody,
		Accepts:    []string{"application/json"},
		Result:     []ingest.ItemResult{},
		Errors:     onRampErrors,
		Basic:      true,
	}

	posted := op
	posted.Path = apiBase + "/alertmanager/api/v2/alerts"
	posted.ID = "post-prometheus-alerts"
	posted.Summary = "Send alerts from Prometheus"
	posted.Description = "The operation that Prometheus uses of Alertmanager's API: an account is an Alertmanager whose " +
		"path_prefix ends in /alertmanager. An alert ends at endsAt, unless it is repeated before. The token is a bearer " +
		"token, or the password of basic authentication. " + rulesFor(PrometheusAlert)
	posted.Body = []PostedAlert{}
	web.Raw(api, "POST", posted, n.receiver(fromPrometheus))

	hook := op
	hook.Path = apiBase + "/alertmanager/webhook"
	hook.ID = "receive-alertmanager-webhook"
	hook.Summary = "Send alerts from Alertmanager"
	hook.Description = "Receives a webhook of Alertmanager, version 4. Set send_resolved: alerts end when they are resolved. " +
		rulesFor(PrometheusAlert)
	hook.Body = AlertmanagerWebhook{}
	web.Raw(api, "POST", hook, n.receiver(fromAlertmanager))

	grafana := op
	grafana.Path = apiBase + "/grafana/webhook"
	grafana.ID = "receive-grafana-webhook"
	grafana.Summary = "Send alerts from Grafana"
	grafana.Description = "Receives a webhook of a Grafana contact point. " + rulesFor(GrafanaAlert)
	grafana.Body = AlertmanagerWebhook{}
	web.Raw(api, "POST", grafana, n.receiver(fromGrafana))
}

// receiver handles requests in the format of another system.
func (n *Feature) receiver(o onRamp) func(context.Context, *struct{}, *web.Exchange) error {
	return func(ctx context.Context, _ *struct{}, x *web.Exchange) error {
		items, err := o.read(x)
		if err != nil {
			return err
		}
		answer, err := n.receiveReports(ctx, o, sender{Sender: ingest.From(ctx, web.Account(ctx).ID), ramp: true}, items)
		if err != nil {
			return err
		}
		x.Send(answer.Envelope())
		return nil
	}
}

func (o onRamp) read(x *web.Exchange) (ingest.Items, error) {
	if !o.wrapped {
		return postedFormat.Read(x)
	}
	body, err := x.Bytes()
	if err != nil {
		return ingest.Items{}, err
	}
	return webhookAlerts(body)
}

// receiveReports stores what the alerts of a request change.
func (n *Feature) receiveReports(
	ctx context.Context, o onRamp, from sender, items ingest.Items,
) (*ingest.Answer, error) {
	now := n.Now()
	list := make([]*relayed, len(items.Values))
	faults := make([]errs.List, len(items.Values))
	for i, value := range items.Values {
		list[i], faults[i] = o.decode(value, now)
	}
	if err := n.prepareReports(ctx, o, from, list, faults); err != nil {
		return nil, err
	}

	job := &intakeJob{}
	for i, r := range list {
		switch p := r.prepared; {
		case p == nil:
		case p.status != ingest.Rejected:
			job.list = append(job.list, p)
		case len(job.rejects) < ingest.MaxRejects:
			for j, fault := range p.faults {
				moved := *fault
				moved.Pointer = relocate(fault.Pointer)
				p.faults[j] = &moved
			}
			job.rejects = append(job.rejects, n.rejectFrom(p, from, items.Values[i]))
		}
	}
	if err := n.storeJob(ctx, job); err != nil {
		return nil, err
	}
	if err := n.writeReports(ctx, from.Account, list); err != nil {
		return nil, err
	}

	answer := items.Answer()
	for _, r := range list {
		result := ingest.Result{ID: r.alertID, Status: ingest.Duplicate}
		if p := r.prepared; p != nil {
			result.Status = p.status
			result.Faults = p.faults
		}
		if result.Status == ingest.Rejected {
			n.metrics.alerts.WithLabelValues(string(ingest.Rejected)).Inc()
		}
		answer.Add(result)
	}
	return answer, nil
}

// rejectFrom describes a refused alert of an HTTP request.
func (n *Feature) rejectFrom(p *prepared, from sender, value []byte) event.Reject {
	r := n.reject(p, "http", value, nil)
	if from.Producer != "" {
		r.Producer = from.Producer
	}
	return r
}
