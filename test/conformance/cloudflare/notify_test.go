package cloudflare_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/alerting"
	"github.com/cloudflare/cloudflare-go/v7/option"
)

// notifications is the client's service, the account, and a receiver of webhooks.
type notifications struct {
	t       *testing.T
	api     *alerting.AlertingService
	account string
	hook    *httptest.Server
	got     chan string // bodies
}

func newNotifications(t *testing.T) *notifications {
	t.Helper()
	base := os.Getenv("BELFRY_URL")
	if base == "" {
		t.Skip("BELFRY_URL is not set: test/conformance runs these tests")
	}
	n := &notifications{t: t, account: os.Getenv("ACCOUNT_ID"), got: make(chan string, 1000)}
	n.api = alerting.NewAlertingService(option.WithBaseURL(base+"/client/v4/"),
		option.WithAPIToken(os.Getenv("BELFRY_TOKEN")), option.WithMaxRetries(0))
	n.hook = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/refuse") {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		b, _ := io.ReadAll(r.Body) // a broken request is not a message
		n.got <- string(b)
	}))
	t.Cleanup(n.hook.Close)
	return n
}

// raw is a request that the official client has no method for.
func (n *notifications) raw(method, path string, body, result any) {
	n.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		n.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(n.t.Context(), method, os.Getenv("BELFRY_URL")+"/client/v4"+path,
		bytes.NewReader(data))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+os.Getenv("BELFRY_TOKEN"))
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		n.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, answer, err)
	}
	if result != nil {
		if err := json.Unmarshal(answer, &struct{ Result any }{result}); err != nil {
			n.t.Fatal(err)
		}
	}
}

// refused checks that an error came as the API's, with code and words.
func (n *notifications) refused(err error, status int, code int64, words string) {
	n.t.Helper()
	var failed *alerting.Error
	if !errors.As(err, &failed) {
		n.t.Fatalf("%v (%T) is not an error of the API", err, err)
	}
	if failed.StatusCode != status || len(failed.Errors) == 0 || failed.Errors[0].Code != code ||
		!strings.Contains(failed.Errors[0].Message, words) {
		n.t.Errorf("%v, want %d, code %d, %q", err, status, code, words)
	}
}

// give sets a parameter: the client's function for it lies in the root package,
// which compiles for minutes.
func give[T any](value *T, present *bool, v T) {
	*value = v
	*present = true
}

func (n *notifications) webhook(name, path, secret string) alerting.DestinationWebhookNewParams {
	var p alerting.DestinationWebhookNewParams
	give(&p.AccountID.Value, &p.AccountID.Present, n.account)
	give(&p.Name.Value, &p.Name.Present, name)
	give(&p.URL.Value, &p.URL.Present, n.hook.URL+path)
	if secret != "" {
		give(&p.Secret.Value, &p.Secret.Present, secret)
	}
	return p
}

func (n *notifications) policy(kind string, filters map[string][]string, hook string) (p alerting.PolicyNewParams) {
	give(&p.AccountID.Value, &p.AccountID.Present, n.account)
	give(&p.Name.Value, &p.Name.Present, "origin trouble")
	give(&p.Description.Value, &p.Description.Present, "tells the shop")
	give(&p.Enabled.Value, &p.Enabled.Present, true)
	give(&p.AlertType.Value, &p.AlertType.Present, alerting.PolicyNewParamsAlertType(kind))
	give(&p.AlertInterval.Value, &p.AlertInterval.Present, "30m")
	var m alerting.MechanismParam
	var w alerting.MechanismWebhookParam
	give(&w.ID.Value, &w.ID.Present, hook)
	give(&m.Webhooks.Value, &m.Webhooks.Present, []alerting.MechanismWebhookParam{w})
	give(&m.Email.Value, &m.Email.Present, []alerting.MechanismEmailParam{})
	give(&p.Mechanisms.Value, &p.Mechanisms.Present, m)
	var f alerting.PolicyFilterParam
	if v, ok := filters["zones"]; ok {
		give(&f.Zones.Value, &f.Zones.Present, v)
	}
	if v, ok := filters["slo"]; ok {
		give(&f.Slo.Value, &f.Slo.Present, v)
	}
	give(&p.Filters.Value, &p.Filters.Present, f)
	return p
}

func TestWebhooksByTheOfficialClient(t *testing.T) {
	n := newNotifications(t)
	began := time.Now().Add(-time.Second)
	_, err := n.api.Destinations.Webhooks.New(t.Context(), n.webhook("refusing", "/refuse", ""))
	n.refused(err, 400, 1100, "418")
	made, err := n.api.Destinations.Webhooks.New(t.Context(), n.webhook("shop", "/hook", "s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(<-n.got, "test message") {
		t.Error("saving sent no test message")
	}
	if raw := made.JSON.ExtraFields["signing_secret"].Raw(); !strings.HasPrefix(raw, `"whsec_`) {
		t.Errorf("signing_secret is %s", raw)
	}
	get := func() *alerting.Webhooks {
		var p alerting.DestinationWebhookGetParams
		give(&p.AccountID.Value, &p.AccountID.Present, n.account)
		w, err := n.api.Destinations.Webhooks.Get(t.Context(), made.ID, p)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := get()
	if w.ID != made.ID || w.Name != "shop" || w.URL != n.hook.URL+"/hook" || w.Type != "generic" ||
		w.CreatedAt.Before(began) || w.LastSuccess.Before(began) || !w.LastFailure.IsZero() {
		t.Errorf("%+v", w)
	}
	if raw := w.JSON.RawJSON(); strings.Contains(raw, "s3cret") || strings.Contains(raw, "whsec_") {
		t.Errorf("a secret is returned: %s", raw)
	}
	var u alerting.DestinationWebhookUpdateParams
	give(&u.AccountID.Value, &u.AccountID.Present, n.account)
	give(&u.Name.Value, &u.Name.Present, "shop, renamed")
	give(&u.URL.Value, &u.URL.Present, n.hook.URL+"/other")
	if changed, err := n.api.Destinations.Webhooks.Update(t.Context(), made.ID, u); err != nil || changed.ID != made.ID {
		t.Fatal(changed, err)
	}
	if w := get(); w.Name != "shop, renamed" || w.URL != n.hook.URL+"/other" {
		t.Errorf("%+v", w)
	}
	var l alerting.DestinationWebhookListParams
	give(&l.AccountID.Value, &l.AccountID.Present, n.account)
	found := 0
	for pager := n.api.Destinations.Webhooks.ListAutoPaging(t.Context(), l); pager.Next(); {
		if pager.Current().ID == made.ID {
			found++
		}
	}
	if found != 1 {
		t.Errorf("the list has it %d times", found)
	}
	var d alerting.DestinationWebhookDeleteParams
	give(&d.AccountID.Value, &d.AccountID.Present, n.account)
	if _, err := n.api.Destinations.Webhooks.Delete(t.Context(), made.ID, d); err != nil {
		t.Fatal(err)
	}
	_, err = n.api.Destinations.Webhooks.Delete(t.Context(), made.ID, d)
	n.refused(err, 404, 7004, "no such destination")
}

func TestPoliciesAndHistoryByTheOfficialClient(t *testing.T) {
	n := newNotifications(t)
	hook, err := n.api.Destinations.Webhooks.New(t.Context(), n.webhook("history", "/hook", ""))
	if err != nil {
		t.Fatal(err)
	}
	<-n.got // the test message

	var available alerting.AvailableAlertListParams
	give(&available.AccountID.Value, &available.AccountID.Present, n.account)
	types, err := n.api.AvailableAlerts.List(t.Context(), available)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]alerting.AvailableAlertListResponseItem{}
	for _, item := range (*types)["Origin Monitoring"] {
		kinds[item.Type] = item
	}
	if k := kinds["http_alert_origin_error"]; k.DisplayName != "Origin Error Rate Alert" ||
		!strings.Contains(k.Description, "5xx") || len(k.FilterOptions) != 2 {
		t.Errorf("%+v", k)
	}
	slo, _ := kinds["http_alert_origin_error"].FilterOptions[1].(map[string]any)
	if slo["Key"] != "slo" || slo["Range"] != "1-1" || len(slo["AvailableValues"].([]any)) != 3 {
		t.Errorf("%v", slo)
	}

	_, err = n.api.Policies.New(t.Context(),
		n.policy("http_alert_origin_error", map[string][]string{"zones": {"shop.example"}}, hook.ID))
	n.refused(err, 400, 17103, "filter slo")
	_, err = n.api.Policies.New(t.Context(), n.policy("no_such_type", nil, hook.ID))
	n.refused(err, 400, 1100, "no catalogue declares the alert type")
	_, err = n.api.Policies.New(t.Context(), n.policy("real_origin_monitoring", nil, "00000000000000000000000000000000"))
	n.refused(err, 400, 1100, "there is no webhook")

	made, err := n.api.Policies.New(t.Context(),
		n.policy("http_alert_origin_error", map[string][]string{"zones": {"shop.example", "blog.example"}, "slo": {"99.9"}},
			hook.ID))
	if err != nil {
		t.Fatal(err)
	}
	get := func() *alerting.Policy {
		var p alerting.PolicyGetParams
		give(&p.AccountID.Value, &p.AccountID.Present, n.account)
		got, err := n.api.Policies.Get(t.Context(), made.ID, p)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	p := get()
	if p.ID != made.ID || p.Name != "origin trouble" || p.Description != "tells the shop" || !p.Enabled ||
		p.AlertType != "http_alert_origin_error" || p.AlertInterval != "30m" || p.Created.IsZero() || p.Modified.IsZero() ||
		!slices.Equal(p.Filters.Zones, []string{"shop.example", "blog.example"}) ||
		!slices.Equal(p.Filters.Slo, []string{"99.9"}) || len(p.Mechanisms.Webhooks) != 1 ||
		p.Mechanisms.Webhooks[0].ID != hook.ID {
		t.Errorf("%+v", p)
	}
	if raw := p.JSON.RawJSON(); !strings.Contains(raw, `"email":[]`) {
		t.Errorf("the empty array is not returned as it was written: %s", raw)
	}
	var u alerting.PolicyUpdateParams
	give(&u.AccountID.Value, &u.AccountID.Present, n.account)
	give(&u.Name.Value, &u.Name.Present, "origin trouble, renamed")
	give(&u.AlertInterval.Value, &u.AlertInterval.Present, "")
	if _, err := n.api.Policies.Update(t.Context(), made.ID, u); err != nil {
		t.Fatal(err)
	}
	if p := get(); p.Name != "origin trouble, renamed" || p.AlertInterval != "" || !p.Enabled ||
		len(p.Filters.Zones) != 2 || p.Modified.Equal(p.Created) {
		t.Errorf("%+v", p)
	}

	// Alerts, their messages, and the history of these to its end.
	const sent = 23
	var list []any
	for i := range sent {
		list = append(list, map[string]any{
			"id":         fmt.Sprint("official-", time.Now().UnixNano(), "-", i),
			"alert_type": "http_alert_origin_error",
			"event":      "notice",
			"severity":   "critical",
			"summary":    fmt.Sprint("Origin errors, ", i),
			"zone":       "shop.example",
			"filters":    map[string]any{"slo": []string{"99.9"}},
		})
	}
	n.raw("POST", "/accounts/"+n.account+"/alerting/v3/alerts", list, nil)
	for range sent {
		select {
		case <-n.got:
		case <-time.After(30 * time.Second):
			t.Fatal("not every message arrived")
		}
	}
	var h alerting.HistoryListParams
	give(&h.AccountID.Value, &h.AccountID.Present, n.account)
	give(&h.PerPage.Value, &h.PerPage.Present, 5)
	bodies := map[string]bool{}
	pager := n.api.History.ListAutoPaging(t.Context(), h)
	for pager.Next() {
		item := pager.Current()
		if item.PolicyID != made.ID {
			continue
		}
		if item.Name != "origin trouble, renamed" || item.AlertType != "http_alert_origin_error" ||
			item.Mechanism != "history" || item.MechanismType != "webhook" || item.Sent.IsZero() || item.ID == "" {
			t.Errorf("%+v", item)
		}
		bodies[item.AlertBody] = true
	}
	if err := pager.Err(); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != sent || !bodies["Origin errors, 7"] {
		t.Errorf("the history has %d of %d messages", len(bodies), sent)
	}

	var d alerting.PolicyDeleteParams
	give(&d.AccountID.Value, &d.AccountID.Present, n.account)
	if _, err := n.api.Policies.Delete(t.Context(), made.ID, d); err != nil {
		t.Fatal(err)
	}
	_, err = n.api.Policies.Delete(t.Context(), made.ID, d)
	n.refused(err, 404, 7004, "no such policy")

	var e alerting.DestinationEligibleGetParams
	give(&e.AccountID.Value, &e.AccountID.Present, n.account)
	eligible, err := n.api.Destinations.Eligible.Get(t.Context(), e)
	if err != nil || !(*eligible)["webhook"][0].Eligible || !(*eligible)["pagerduty"][0].Eligible {
		t.Errorf("%+v %v", eligible, err)
	}
}
