package notify_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

func TestAnAlertReachesAWebhookAndItsEndFollows(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := newReceiver(t)
		h := w.hook(r.URL)
		p := w.policy(map[string]any{"mechanisms": to(h)})
		began := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
		w.alert(map[string]any{
			"id":             "a1",
			"event":          "start",
			"correlation_id": "c1",
			"severity":       "critical",
			"occurred_at":    began.Format(time.RFC3339),
			"data":           map[string]any{"rate": 14.2},
		})
		until(t, "the start arrives", func() bool { return len(r.all()) == 1 })
		got := r.all()[0]
		b := got.Body
		if b.Name != p.Name || b.Text != "The shop is down." || string(b.Data) != `{"rate":14.2}` || b.TS != began.Unix() ||
			b.AccountID != acme || b.PolicyID != p.ID || b.PolicyName != p.Name ||
			b.AlertType != "shop_down" || b.CorrelationID != "c1" || b.Event != "ALERT_STATE_EVENT_START" ||
			b.Severity != "critical" || b.URL != "http://belfry.test/accounts/"+acme+"/alerts/a1" {
			t.Errorf("the body is %s", got.Raw)
		}
		if got.Header.Get("cf-webhook-auth") != "old-secret" {
			t.Errorf("headers %v", got.Header)
		}
		verifier, err := standardwebhooks.NewWebhook(h.SigningSecret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.Raw, got.Header); err != nil {
			t.Errorf("the independent verifier refuses the signature: %v", err)
		}
		if err := verifier.Verify(append(got.Raw, ' '), got.Header); err == nil {
			t.Error("a changed body is verified")
		}
		until(t, "it is written", func() bool { return w.decision("a1").Deliveries[0].State == "delivered" })
		w.alert(map[string]any{
			"id":             "a2",
			"event":          "end",
			"correlation_id": "c1",
			"occurred_at":    began.Add(time.Minute).Format(time.RFC3339),
		})
		until(t, "the end arrives", func() bool { return len(r.all()) == 2 })
		if e := r.all()[1].Body; e.Event != "ALERT_STATE_EVENT_END" || e.CorrelationID != "c1" || e.Severity != "critical" ||
			e.Text != "Alert ended after 1 min: The shop is down." {
			t.Errorf("the end is %+v", e)
		}
		until(t, "the end's delivery is written", func() bool {
			d := w.decision("a2")
			return len(d.Deliveries) == 2 && d.Deliveries[1].State == "delivered"
		})
		d := w.decision("a1")
		if d.State != "ended" || d.NotifiedAt.IsZero() ||
			len(d.Policies) != 1 || !d.Policies[0].Matched || len(d.Related) != 1 ||
			d.Related[0].ID != "a2" {
			t.Errorf("the decision is %+v", d)
		}
		a := d.Deliveries[0].Attempts
		if len(a) != 1 || a[0].Status != 200 || a[0].Outcome != "delivered" || a[0].Body != string(got.Raw) ||
			a[0].TookMS <= 0 {
			t.Errorf("attempts %+v", a)
		}
		if s := fmt.Sprint(a[0].Request); strings.Contains(s, "old-secret") || !strings.Contains(s, "webhook-signature") {
			t.Errorf("the kept headers are %s", s)
		}
		if got := w.records("alert"); !slices.Equal(got, []string{"start", "deliver", "end"}) {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestWhatIsWrongWithAnAlertNamesItsField(t *testing.T) {
	w := newWorld(t, "", nil)
	good := map[string]any{"id": "x", "alert_type": "shop_down", "event": "notice"}
	for _, c := range []struct {
		token, field string
		value        any
		code         int
		pointer      string
	}{
		{"acme", "alert_type", "shop_up", 12002, "/alert_type"},
		{"acme", "alert_type", "", 1103, "/alert_type"},
		{"acme", "alert_type", "belfry_budget_burn", 12004, "/alert_type"},
		{"acme", "severity", "fatal", 1100, "/severity"},
		{"acme", "event", "begin", 1100, "/event"},
		{"acme", "occurred_at", "yesterday", 12008, "/occurred_at"},
		{"acme", "occurred_at", "2999-01-01T00:00:00Z", 12008, "/occurred_at"},
		{"acme", "began_at", time.Now().Add(time.Hour).Format(time.RFC3339), 1100, "/began_at"},
		{"acme", "data", []int{1}, 1104, "/data"},
		{"acme", "data", map[string]int{"bad": 1}, 12003, "/data/bad"},
		{"acme", "surprise", 1, 1102, "/surprise"},
		{"acme", "summary", 7, 1104, "/summary"},
		{"acme", "id", strings.Repeat("x", 200), 1105, "/id"},
		{"acme", "filters", map[string][]string{"region": {"mars"}}, 1100, "/filters/region/0"},
		{"acme", "resource", map[string]string{"product": "shop"}, 1103, "/resource/type"},
		{"acme", "url", "javascript:alert(1)", 1100, "/url"},
		{"acme", "account_id", other, 10001, "/account_id"},
	} {
		body := map[string]any{}
		for k, v := range good {
			body[k] = v
		}
		body[c.field] = c.value
		status, failures := w.call(c.token, "POST", "/alerts", body, nil)
		if status != 400 || len(failures) == 0 || failures[0].Code != c.code || failures[0].Source.Pointer != c.pointer {
			t.Errorf("%s = %v: %d %+v, want code %d at %s", c.field, c.value, status, failures, c.code, c.pointer)
		}
	}
}

func TestAProducerSendsOnlyItsOwnTypesForEveryAccount(t *testing.T) {
	w := newWorld(t, "", nil)
	var out []ingest.ItemResult
	status, failures := w.call("team", "POST", "/all", []map[string]any{
		{"account_id": acme, "id": "p1", "alert_type": "shop_down", "event": "notice"},
		{"account_id": other, "id": "p1", "alert_type": "shop_down", "event": "notice"},
		{"account_id": acme, "id": "p2", "alert_type": "belfry_budget_burn", "event": "notice", "severity": "error"},
		{"id": "p3", "alert_type": "shop_down", "event": "notice"},
		{"account_id": id.New(), "id": "p4", "alert_type": "shop_down", "event": "notice"},
	}, &out)
	if status != 200 {
		t.Fatal(status, failures)
	}
	for i, want := range []string{"accepted", "accepted", "rejected 12001", "rejected 1103", "rejected 12005"} {
		got := string(out[i].Status)
		if len(out[i].Errors) > 0 {
			got += fmt.Sprint(" ", out[i].Errors[0].Code)
		}
		if got != want {
			t.Errorf("alert %d: %s, want %s", i, got, want)
		}
	}
	if status, _ := w.call("acme", "POST", "/all", map[string]any{}, nil); status != 403 {
		t.Errorf("an account's token at the producers' door: %d", status)
	}
	if status, _ := w.call("other", "GET", "/alerts", nil, nil); status != 403 {
		t.Errorf("another account's token: %d", status)
	}
	if status, _ := w.call("reader", "POST", "/alerts", map[string]any{}, nil); status != 403 {
		t.Errorf("a reader's alert: %d", status)
	}
}

func TestTheSameAlertAgainIsADuplicateAndOtherContentAConflict(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		fields := map[string]any{"id": "d1", "event": "start", "correlation_id": "d", "occurred_at": "2026-01-01T00:00:00Z"}
		if got := w.alert(fields); got.Status != ingest.Accepted {
			t.Fatal(got)
		}
		if got := w.alert(fields); got.Status != ingest.Duplicate {
			t.Fatal(got)
		}
		fields["summary"] = "something else"
		fields["zone"] = "shop.example"
		status, failures := w.call("acme", "POST", "/alerts", fields, nil)
		if status != 400 && status != 409 || failures == nil {
			t.Fatal(status, failures)
		}
		fields["alert_type"] = "shop_down"
		if status, failures := w.call("acme", "POST", "/alerts", fields, nil); status != 409 || failures[0].Code != 12000 ||
			failures[0].Source.Pointer != "/id" {
			t.Fatal(status, failures)
		}
	})
}

func TestASecondStartIsARepeatAndSendsNoSecondMessage(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
		w.alert(map[string]any{"id": "s1", "event": "start", "correlation_id": "s"})
		until(t, "the start arrives", func() bool { return len(r.all()) == 1 })
		w.alert(map[string]any{"id": "s2", "event": "start", "correlation_id": "s"})
		w.alert(map[string]any{"id": "s3", "event": "end", "correlation_id": "s"})
		w.alert(map[string]any{"id": "s4", "event": "start", "correlation_id": "s"}) // a new cause
		until(t, "the last start arrives", func() bool {
			list := r.all()
			return len(list) > 0 && list[len(list)-1].Body.AlertID == "s4"
		})
		var ids []string
		for _, got := range r.all() {
			ids = append(ids, got.Body.AlertID)
		}
		if s := strings.Join(ids, " "); s != "s1 s3 s4" {
			t.Errorf("arrived: %s", s)
		}
		d := w.decision("s2")
		if d.ID != "s1" || d.State != "ended" || len(d.Related) != 2 || !strings.Contains(d.Related[0].Note, "repeat") {
			t.Errorf("%+v", d)
		}
		var firing []notify.Alert
		w.must("GET", "/alerts?state=firing", nil, &firing)
		if len(firing) != 1 || firing[0].ID != "s4" {
			t.Errorf("firing: %+v", firing)
		}
	})
}

func TestAnEndWithoutAStartIsKeptAndShown(t *testing.T) {
	w := newWorld(t, "", nil)
	w.alert(map[string]any{"id": "lone", "event": "end", "correlation_id": "never"})
	if d := w.decision("lone"); d.State != "ended" || !strings.Contains(d.Unmatched, "without a start") ||
		len(d.Deliveries) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestAnAlertWithoutMessagesSaysWhy(t *testing.T) {
	w := newWorld(t, "", nil)
	r := newReceiver(t)
	h := w.hook(r.URL)
	w.alert(map[string]any{"id": "u0"})
	if d := w.decision("u0"); !strings.Contains(d.Unmatched, "no policy for alerts of the type shop_down") {
		t.Errorf("%q", d.Unmatched)
	}
	w.policy(map[string]any{"name": "off", "enabled": false, "mechanisms": to(h)})
	w.policy(map[string]any{
		"name":       "elsewhere",
		"filters":    map[string][]string{"zones": {"blog.example"}},
		"mechanisms": to(h),
	})
	w.policy(map[string]any{
		"name":       "not here",
		"filters":    map[string][]string{"zones.not": {"www.shop.example"}},
		"mechanisms": to(h),
	})
	w.policy(map[string]any{
		"name":       "serious",
		"filters":    map[string][]string{"severity": {"critical"}},
		"mechanisms": to(h),
	})
	w.policy(map[string]any{"name": "test things", "filters": map[string][]string{"region": {"us"}}, "mechanisms": to(h)})
	w.alert(map[string]any{"id": "u1", "filters": map[string][]string{"region": {"eu"}}})
	d := w.decision("u1")
	if len(d.Policies) != 5 || d.Unmatched != "none of 5 policies matched" {
		t.Fatalf("%+v", d)
	}
	for i, want := range []string{
		"is disabled",
		"zones has blog.example, and the alert has shop.example",
		"excludes shop.example",
		"severity has critical, and the alert has warning",
		"region has us, and the alert has eu",
	} {
		if c := d.Policies[i]; c.Matched || !strings.Contains(c.Why, want) {
			t.Errorf("%s: %q, want %q", c.Policy, c.Why, want)
		}
	}
}

func TestATestEnvironmentIsSilentUnlessAPolicyNamesIt(t *testing.T) {
	w := newWorld(t, "", nil)
	h := w.hook(newReceiver(t).URL)
	w.policy(map[string]any{"name": "all", "mechanisms": to(h)})
	w.policy(map[string]any{
		"name":       "named",
		"filters":    map[string][]string{"zones": {"www.try.example"}},
		"mechanisms": to(h),
	})
	w.alert(map[string]any{"id": "t1", "zone": "try.example"})
	d := w.decision("t1")
	if d.Policies[0].Matched || !strings.Contains(d.Policies[0].Why, "try.example is a test environment") ||
		!d.Policies[1].Matched {
		t.Errorf("%+v", d.Policies)
	}
}

func TestAnIntervalHoldsBackTheSameThingOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		h := w.hook(newReceiver(t).URL)
		w.policy(map[string]any{"alert_interval": "30m", "mechanisms": to(h)})
		matched := func(alertID string, fields map[string]any) bool {
			fields["id"] = alertID
			w.alert(fields)
			return w.decision(alertID).Policies[0].Matched
		}
		now := time.Now().UTC()
		at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
		if !matched("i1", map[string]any{"occurred_at": at(-time.Hour)}) ||
			matched("i2", map[string]any{"occurred_at": at(-40 * time.Minute)}) ||
			!matched("i3", map[string]any{"occurred_at": at(-20 * time.Minute)}) {
			t.Error("the interval of the same property")
		}
		if !matched("i4", map[string]any{"occurred_at": at(-19 * time.Minute), "zone": "blog.example"}) {
			t.Error("another thing is held back")
		}
	})
}

func TestMessagesCarryTheChangesThatPreceded(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan notify.ChangesQuery, 10)
	w := newWorld(t, "", func(d *notify.Config) {
		d.Limits.Changes = 50 * time.Millisecond
		d.Changes = func(ctx context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
			asked <- q
			if q.Resource.ID == "slow" {
				select {
				case <-release:
				case <-ctx.Done():
					return nil, 0, ctx.Err()
				}
			}
			return []notify.Change{{
				EventID:   "e1",
				At:        q.Until.Add(-43 * time.Second),
				Actor:     "Ana",
				Summary:   "Ana lowered the payment timeout",
				URL:       "/accounts/" + acme + "/audit/events/e1",
				WhyListed: "same property",
			}}, 2, nil
		}
	})
	r := newReceiver(t)
	w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
	w.alert(map[string]any{
		"id":       "ch1",
		"event":    "start",
		"resource": map[string]string{"product": "slo", "type": "objective", "id": "checkout"},
	})
	until(t, "it arrives", func() bool { return len(r.all()) == 1 })
	b := r.all()[0].Body
	if b.Text != "The shop is down. Preceded 43 s earlier by: Ana lowered the payment timeout." || len(b.Changes) != 1 ||
		!strings.HasPrefix(b.Changes[0].URL, "http://belfry.test/accounts/") {
		t.Errorf("%+v", b)
	}
	if q := <-asked; q.Account != acme || q.Zone != zoneID || q.Resource.ID != "checkout" || q.Until.IsZero() ||
		q.Limit != 5 {
		t.Errorf("asked %+v", q)
	}
	// Changes that come too late are attached to the alert all the same.
	w.alert(map[string]any{
		"id":       "ch2",
		"event":    "start",
		"resource": map[string]string{"product": "slo", "type": "objective", "id": "slow"},
	})
	until(t, "it arrives without", func() bool { return len(r.all()) == 2 })
	if b := r.all()[1].Body; len(b.Changes) != 0 || b.Text != "The shop is down." {
		t.Errorf("%+v", b)
	}
	close(release)
	until(t, "the changes are attached", func() bool {
		d := w.decision("ch2")
		return len(d.Changes) == 1 && d.ChangesMore == 2
	})
}

// TestAlertsOfOneBatchAskOnceForTheChangesThatPreceded sends alerts of two
// properties in one request.
func TestAlertsOfOneBatchAskOnceForTheChangesThatPreceded(t *testing.T) {
	var asked atomic.Int32
	find := changeWith("Ana lowered the payment timeout")
	w := newWorld(t, "", func(d *notify.Config) {
		d.Changes = func(ctx context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
			asked.Add(1)
			return find(ctx, q)
		}
	})
	r := newReceiver(t)
	w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
	at := ago(time.Minute)
	var list []map[string]any
	for i := range 100 {
		zone := []string{"shop.example", "blog.example"}[i%2]
		list = append(list, map[string]any{"alert_type": "shop_down", "event": "notice", "zone": zone, "occurred_at": at})
	}
	w.must("POST", "/alerts", list, nil)
	until(t, "all arrive", func() bool { return len(r.all()) == 100 })
	for _, got := range r.all() {
		if len(got.Body.Changes) != 1 {
			t.Fatalf("a message without its change: %s", got.Raw)
		}
	}
	// An unknown property is asked about as the whole account.
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestPoliciesAndWebhooksOfAnotherAccountAreNotFound(t *testing.T) {
	w := newWorld(t, "", nil)
	h := w.hook(newReceiver(t).URL)
	p := w.policy(map[string]any{"mechanisms": to(h)})
	for _, path := range []string{"/destinations/webhooks/" + h.ID, "/policies/" + p.ID} {
		r, err := http.NewRequest("GET", w.api.URL+"/client/v4/accounts/"+other+"/alerting/v3"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer other")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestAlertsAreTakenAsLines(t *testing.T) {
	w := newWorld(t, "", nil)
	var out []ingest.ItemResult
	body := `{"id":"l1","alert_type":"shop_down","event":"notice"}
{"id":"l2","alert_type":"shop_down","event":"notice","surprise":1}
{"id":"l3","alert_type":"shop_down","event":"start"}
`
	if status, failures := w.call("acme", "POST", "/alerts", body, &out); status != 200 || len(out) != 3 {
		t.Fatalf("%d %+v", status, failures)
	}
	for i, want := range []ingest.Status{ingest.Accepted, ingest.Rejected, ingest.Accepted} {
		if out[i].Status != want || out[i].Index != i {
			t.Errorf("line %d: %+v, want %s", i, out[i], want)
		}
	}
	if d := w.decision("l3"); d.State != "firing" {
		t.Errorf("%+v", d)
	}
}
