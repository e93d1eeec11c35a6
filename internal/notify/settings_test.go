package notify_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/belfryhq/belfry/internal/notify"
)

func TestAReceiverThatVerifiesFromItsFirstRequestCanBeRegistered(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan string, 10)
	strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is cut off does not verify
		if verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		taken <- string(body)
	}))
	t.Cleanup(strict.Close)
	w := newWorld(t, "", nil)
	if status, failures := w.call("acme", "POST", "/destinations/webhooks",
		map[string]any{"name": "strict", "url": strict.URL}, nil); status != 400 ||
		!strings.Contains(failures[0].Message, "401") {
		t.Fatalf("without its secret: %d %+v", status, failures)
	}
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks",
		map[string]any{"name": "strict", "url": strict.URL, "signing_secret": secret}, &made)
	if made.SigningSecret != secret || !strings.Contains(<-taken, "test message") {
		t.Errorf("%+v", made)
	}
	w.policy(map[string]any{"mechanisms": to(made)})
	w.alert(map[string]any{"id": "a"})
	until(t, "an alert arrives", func() bool { return w.states("a") == "notice delivered" })
	for _, bad := range []string{
		"",
		"secret",
		"whsec_",
		"whsec_short",
		"whsec_" + strings.Repeat("A", 28),
		strings.TrimPrefix(secret, "whsec_"),
		"whsk_" + secret[6:],
		secret + "!",
		"whsec_" + strings.Repeat("A", 96),
	} {
		status, failures := w.call("acme", "POST", "/destinations/webhooks",
			map[string]any{"name": "bad", "url": strict.URL, "signing_secret": bad}, nil)
		if status != 400 || failures[0].Source.Pointer != "/signing_secret" ||
			!strings.Contains(failures[0].Message, "whsec_") {
			t.Errorf("%q: %d %+v", bad, status, failures)
		}
	}
}

func TestARedirectSaysWhereTheURLShouldLead(t *testing.T) {
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://example.com/hook/")
		w.WriteHeader(http.StatusPermanentRedirect)
	}))
	t.Cleanup(moved.Close)
	w := newWorld(t, "", nil)
	status, failures := w.call("acme", "POST", "/destinations/webhooks",
		map[string]any{"name": "moved", "url": moved.URL}, nil)
	if status != 400 || !strings.Contains(failures[0].Message, "status 308") ||
		!strings.Contains(failures[0].Message, "update the URL to https://example.com/hook/") {
		t.Errorf("%d %+v", status, failures)
	}
}

// TestSavingWaitsAsLongAsADelivery has a receiver that needs most of the time
// that an attempt may take.
func TestSavingWaitsAsLongAsADelivery(t *testing.T) {
	asked := make(chan time.Duration, 1)
	w := newWorld(t, "", func(d *notify.Config) {
		d.Limits.Attempt = 15 * time.Second
		d.Channels = []notify.Channel{deadlines(asked)}
	})
	w.must("POST", "/destinations/webhooks", map[string]any{"name": "slow", "url": "https://slow.example/"}, nil)
	if left := <-asked; left <= 10*time.Second || left > 15*time.Second {
		t.Errorf("saving waits for %v, deliveries for 15 s", left)
	}
}

// TestPoliciesAreShownAsTheyWereWritten compares every field of a policy; a
// client that compares what it sent with what is there must find no change.
func TestPoliciesAreShownAsTheyWereWritten(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		h := w.hook(newReceiver(t).URL)
		written := map[string]any{
			"name":           " On call,  at night ",
			"description":    " as  written ",
			"enabled":        true,
			"alert_type":     "shop_down",
			"alert_interval": "90m",
			"filters": map[string]any{
				"zones":        []any{"Shop.Example", "www.shop.example"},
				"region":       []any{},
				"severity.not": []any{"warning"},
			},
			"mechanisms": map[string]any{
				"email":     []any{map[string]any{"id": "Ana.B@Acme.Example"}},
				"webhooks":  []any{map[string]any{"id": h.ID}},
				"pagerduty": []any{},
			},
		}
		var made notify.Policy
		w.must("POST", "/policies", written, &made)
		for _, path := range []string{"/policies/" + made.ID, "/policies"} {
			var raw json.RawMessage
			w.must("GET", path, nil, &raw)
			var list []map[string]any
			if raw[0] == '{' {
				raw = json.RawMessage("[" + string(raw) + "]")
			}
			if err := json.Unmarshal(raw, &list); err != nil {
				t.Fatal(err)
			}
			for field, want := range written {
				if got := list[0][field]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %s is %#v, written was %#v", path, field, got, want)
				}
			}
		}
		// An address finds its member and its destination however it is written.
		w.alert(map[string]any{"id": "a", "severity": "critical"})
		until(t, "the mail is kept", func() bool { return strings.Contains(w.states("a"), "kept") })
		status, failures := w.call("acme", "POST", "/policies", map[string]any{"name": "twice", "enabled": true,
			"alert_type": "shop_down",
			"mechanisms": map[string]any{"email": []any{
				map[string]any{"id": "ana@acme.example"},
				map[string]any{"id": "Ana@acme.example"},
			}}}, nil)
		if status != 400 || failures[0].Source.Pointer != "/mechanisms/email/1/id" {
			t.Errorf("%d %+v", status, failures)
		}
	})
}

func TestIntervalsTakeDaysAndSayThatTheyMayBeLeftOut(t *testing.T) {
	w := newWorld(t, "", nil)
	h := w.hook(newReceiver(t).URL)
	for interval, ok := range map[string]bool{"1m": true, "30m": true, "1d": true, "1d12h": true, "31d": true,
		"744h": true, "": true,
		"0": false, "32d": false, "31d1h": false, "d": false, "1.5d": false, "-1d": false, "999999999999d": false,
		"1w": false, "59s": false} {
		status, failures := w.call("acme", "POST", "/policies",
			map[string]any{
				"name":           "p",
				"enabled":        true,
				"alert_type":     "shop_down",
				"alert_interval": interval,
				"mechanisms":     to(h),
			}, nil)
		if ok != (status == 200) {
			t.Errorf("%q: %d %+v", interval, status, failures)
		} else if !ok && (failures[0].Source.Pointer != "/alert_interval" ||
			!strings.Contains(failures[0].Message, "leave it out")) {
			t.Errorf("%q: %+v", interval, failures)
		}
	}
}

func TestADryRunNeedsNoDestination(t *testing.T) {
	w := newWorld(t, "", nil)
	w.alert(map[string]any{"id": "a", "severity": "critical"})
	w.alert(map[string]any{"id": "b"})
	var p notify.Preview
	w.must("POST", "/policies/preview",
		map[string]any{"alert_type": "shop_down", "filters": map[string][]string{"severity": {"critical"}}}, &p)
	if p.Matched != 1 || p.Looked != 2 {
		t.Errorf("%+v", p)
	}
	if status, failures := w.call("acme", "POST", "/policies/preview", map[string]any{"alert_type": "nothing"},
		nil); status != 400 || failures[0].Source.Pointer != "/alert_type" {
		t.Errorf("%d %+v", status, failures)
	}
}

// TestTextsOfOthersDoNotReverseAMessage: the marks that change the direction of
// writing are not in what people read.
func TestTextsOfOthersDoNotReverseAMessage(t *testing.T) {
	w := newWorld(t, "", func(d *notify.Config) { d.Changes = changeWith("Ana \u202echanged\u2066 it") })
	r := newReceiver(t)
	w.policy(map[string]any{"name": "on\u202ecall", "mechanisms": to(w.hook(r.URL))})
	w.alert(map[string]any{"id": "a", "event": "start", "summary": "pay \u202egpj.exe\u2069 now \u05e9\u05dc\u05d5\u05dd"})
	until(t, "it arrives", func() bool { return len(r.all()) == 1 })
	b := r.all()[0].Body
	for _, s := range []string{b.Text, b.Name, b.PolicyName, b.Changes[0].Summary} {
		if strings.ContainsAny(s, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") {
			t.Errorf("%q", s)
		}
	}
	if !strings.Contains(b.Text, "pay gpj.exe now \u05e9\u05dc\u05d5\u05dd.") {
		t.Errorf("%q", b.Text)
	}
}
