package notify

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of one request.
const (
	maxBatch     = 1000
	maxBatchBody = 4 << 20
	// maxRejectsKept is how many refused alerts of one request go back to the team.
	maxRejectsKept = 100
	maxErrorsShown = 20
)

const (
	tag     = "Notifications"
	apiBase = "/accounts/{account_id}/alerting/v3"
)

// AlertResult answers one alert.
type AlertResult struct {
	Index  int            `json:"index"`
	ID     string         `json:"id"`
	Status Status         `json:"status" enum:"accepted,duplicate,conflict,rejected"`
	Errors []AlertProblem `json:"errors,omitempty"`
}

// AlertProblem is one reason why an alert was not stored.
type AlertProblem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Source  struct {
		Pointer string `json:"pointer"`
	} `json:"source"`
}

// Register adds the API.
func (n *Feature) Register(api *web.API) {
	op := web.Op{
		Path: apiBase + "/alerts", ID: "send-alerts", Tag: tag, Permission: account.AlertsSend, Summary: "Send alerts",
		Description: "One alert or a JSON array of at most 1,000. The answer comes after the commit: one result an alert, in the order of the input. " +
			"200 when at least one was accepted or is a duplicate; 400 when none was (409 when all are conflicts). start and end share a correlation_id.",
		MaxBody: maxBatchBody, Accepts: []string{"application/json"}, Result: []AlertResult{},
	}
	web.Raw(api, "POST", op, func(ctx context.Context, _ *struct{}, x *web.Exchange) error {
		return n.receive(ctx, x, web.Account(ctx).ID)
	})
	op.Path, op.ID, op.Scope, op.Summary = "/alerts", "send-alerts-of-many-accounts", web.ScopeProducer, "Send alerts of many accounts"
	op.Description = "For product teams: every alert names its account in account_id, and its type must be in the team's catalogue. " + op.Description
	web.Raw(api, "POST", op, func(ctx context.Context, _ *struct{}, x *web.Exchange) error {
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

// receive is both on-ramps.
func (n *Feature) receive(ctx context.Context, x *web.Exchange, accountID string) error {
	body, err := x.Bytes()
	if err != nil {
		return err
	}
	values, list, err := split(body)
	if err != nil {
		return err
	}
	who := web.CurrentPrincipal(ctx)
	from := sender{by: who.ID, account: accountID, operator: who.Superoperator}
	if who.Kind == web.KindProducer {
		from.producer = who.ID
	}
	job := &intakeJob{}
	all := make([]*prepared, len(values))
	for i, v := range values {
		p, err := n.prepare(ctx, from, v)
		if err != nil {
			return err
		}
		all[i] = p
		if p.status != Rejected {
			job.list = append(job.list, p)
		} else if len(job.rejects) < maxRejectsKept {
			r := n.reject(p, "http", v, nil)
			if from.producer != "" {
				r.Producer = from.producer
			}
			job.rejects = append(job.rejects, r)
		}
	}
	if err := n.storeJob(ctx, job); err != nil {
		return err
	}
	for _, p := range all {
		if p.status == Rejected {
			n.metrics.alerts.WithLabelValues(string(Rejected)).Inc()
		}
	}
	env, err := answer(all, list)
	if err != nil {
		return err
	}
	x.Send(env)
	return nil
}

// split finds the alerts of a body; list reports whether they came as an array.
func split(body []byte) (values [][]byte, list bool, err error) {
	body = bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(body) == 0:
		return nil, false, errs.New(errs.CodeMissingField, "the body is empty; send one alert or an array of alerts")
	case body[0] != '[':
		return [][]byte{body}, false, nil
	}
	// What is wrong inside an element is found when that element is decoded.
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	bad := func(err error) error {
		e := anAlert.Fault(err)
		e.Pointer = "/" + strconv.Itoa(len(values))
		e.Message += "; nothing of the request was stored"
		return e
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, true, bad(err)
	}
	for dec.PeekKind() != ']' {
		if len(values) == maxBatch {
			return nil, true, errs.New(errs.CodeTooLarge, "a request takes at most %d alerts; send the rest in another", maxBatch)
		}
		v, err := dec.ReadValue()
		if err != nil {
			return nil, true, bad(err)
		}
		values = append(values, v.Clone())
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, true, bad(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, true, errs.New(errs.CodeInvalidJSON, "there is more after the array's end, at byte %d", dec.InputOffset())
	}
	if len(values) == 0 {
		return nil, true, errs.New(errs.CodeMissingField, "the array is empty; send at least one alert")
	}
	return values, true, nil
}

// answer is the envelope of a request whose alerts have all been answered.
func answer(all []*prepared, list bool) (web.Envelope, error) {
	counts := map[Status]int{}
	results := make([]AlertResult, len(all))
	var shown errs.List
	for i, p := range all {
		counts[p.status]++
		results[i] = AlertResult{Index: i, ID: cut(clean(p.alert.ID), maxID), Status: p.status}
		for _, f := range p.faults {
			problem := AlertProblem{Code: int(f.Code), Message: f.Message}
			problem.Source.Pointer = f.Pointer
			results[i].Errors = append(results[i].Errors, problem)
			if len(shown) < maxErrorsShown {
				at := *f
				if list {
					at.Pointer = "/" + strconv.Itoa(i) + f.Pointer
				}
				shown = append(shown, &at)
			}
		}
	}
	result, err := stdjson.Marshal(results)
	if err != nil {
		return web.Envelope{}, err
	}
	info, err := stdjson.Marshal(map[Status]int{Accepted: counts[Accepted], Duplicate: counts[Duplicate], Conflict: counts[Conflict], Rejected: counts[Rejected]})
	if err != nil {
		return web.Envelope{}, err
	}
	env := web.Envelope{Result: result, Info: info}
	if counts[Accepted]+counts[Duplicate] > 0 {
		return env, nil
	}
	env.Errors, env.Status = shown, 400
	if counts[Conflict] == len(all) {
		env.Status = 409
	}
	return env, nil
}

// Paths of the pages that messages and other features link to.
func alertPath(accountID, alertID string) string {
	return AlertsPath(accountID) + "/" + pathEscape(alertID)
}

// AlertsPath is the page of an account's alerts.
func AlertsPath(accountID string) string { return "/accounts/" + accountID + "/alerts" }

// NotificationsPath is the page of an account's policies and destinations.
func NotificationsPath(accountID string) string { return "/accounts/" + accountID + "/notifications" }
