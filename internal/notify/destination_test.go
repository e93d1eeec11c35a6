package notify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/channeltest"
	"github.com/belfryhq/belfry/internal/platform/db"
	testsite "github.com/belfryhq/belfry/test/site"
)

// TestSecretsLeaveNowhere connects every kind of receiver, sends an alert that is
// accepted and one that is refused with an echo, and greps the API's answers, the audit
// events, the log and the database for the secrets.
func TestSecretsLeaveNowhere(t *testing.T) {
	log := &testsite.Log{}
	w := newWorld(t, "", func(d *notify.Config) { d.Log = slog.New(slog.NewTextHandler(log, nil)) })
	var secrets []string
	var seen bytes.Buffer
	read := func(path string) {
		var raw json.RawMessage
		w.must("GET", path, nil, &raw)
		seen.Write(raw)
	}
	fakes := map[string]*channeltest.Fake{}
	ids := map[string]any{"webhooks": []map[string]string{}, "pagerduty": []map[string]string{}}
	for _, kind := range channeltest.Known() {
		f := channeltest.New(t, kind)
		fakes[kind] = f
		field := "webhooks"
		body := map[string]any{"name": kind, "url": f.Address(), "type": kind, "secret": f.Secret}
		if kind == "pagerduty" {
			field = "pagerduty"
			body = map[string]any{"name": kind, "url": f.Address(), "routing_key": f.Secret}
		}
		var made struct {
			ID, URL string
		}
		w.must("POST", "/destinations/"+field, body, &made)
		ids[field] = append(ids[field].([]map[string]string), map[string]string{"id": made.ID})
		secrets = append(secrets, f.Secrets()...)
		seen.WriteString(made.URL)
		if field == "webhooks" {
			// The URL as it is shown changes nothing; a wrong credential is refused without repeating it.
			wrong := "wrong-secret-0123456789"
			secrets = append(secrets, wrong)
			f.Answers(&channeltest.Answer{Status: 401, Body: "no access to " + f.Address() + "2 with " + wrong})
			path := "/destinations/webhooks/" + made.ID
			w.must("PUT", path, map[string]any{"name": kind, "url": made.URL}, nil)
			status, failures := w.call("acme", "PUT", path,
				map[string]any{"name": kind, "url": f.Address() + "2", "secret": wrong}, nil)
			if status != 400 || !strings.Contains(fmt.Sprint(failures), "a test message") {
				t.Errorf("%s: %d %+v", kind, status, failures)
			}
			fmt.Fprint(&seen, failures)
			f.Answers(nil)
		}
	}
	w.policy(map[string]any{"mechanisms": ids})
	w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
	all := len(fakes)
	until(t, "all receivers accept it", func() bool { return strings.Count(w.states("a"), "start delivered") == all })
	for _, f := range fakes {
		f.Answers(&channeltest.Answer{Status: 400, Body: `{"url":"` + f.Address() + `","key":"` + f.Secret + `"}`})
	}
	w.alert(map[string]any{"id": "b"})
	until(t, "all receivers have answered", func() bool {
		tried := 0
		for _, d := range w.decision("b").Deliveries {
			tried += min(1, d.Tries)
		}
		return tried == all
	})
	for _, id := range []string{"a", "b"} {
		for _, d := range w.decision(id).Deliveries {
			read("/history/" + d.ID)
		}
	}
	read("/destinations/webhooks")
	read("/destinations/pagerduty")
	read("/policies")
	w.mu.Lock()
	events, err := json.Marshal(w.recorded)
	w.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	seen.Write(events)
	seen.WriteString(log.String())
	err = w.db.View(t.Context(), func(tx *db.Tx) error {
		for _, q := range []string{
			`SELECT name || address || state_why || settings FROM destination`, `SELECT why || labels FROM delivery`,
		} {
			if err := db.Each(t.Context(), tx, func(row db.Row) error {
				s, err := db.ScanText(row)
				seen.WriteString(s)
				return err
			}, q); err != nil {
				return err
			}
		}
		return db.Each(t.Context(), tx, func(row db.Row) error {
			var sealed, request, body, answer []byte
			err := row.Scan(&sealed, &request, &body, &answer)
			seen.Write(bytes.Join([][]byte{sealed, request, body, answer}, nil))
			return err
		}, `SELECT d.secrets, a.request, a.body, a.answer FROM destination d, attempt a`)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if i := strings.Index(seen.String(), secret); i >= 0 {
			t.Errorf("%q is in %q", secret, seen.String()[max(0, i-200):i+50])
		}
	}
	if len(secrets) < all {
		t.Errorf("only %d secrets", len(secrets))
	}
}

// TestAURLFromAnOlderVersionIsHiddenToo stores a row as a version before did.
func TestAURLFromAnOlderVersionIsHiddenToo(t *testing.T) {
	w := newWorld(t, "", nil)
	made := w.connect(channeltest.Anything(t), notify.TypeGeneric)
	const stored = "https://hooks.slack.com/services/T0/B0/aVerySecretToken"
	err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE destination SET address = $1, type = 'slack', settings = '{}' WHERE id = $2`,
			stored, made.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var d notify.Destination
	w.must("GET", "/destinations/webhooks/"+made.ID, nil, &d)
	if !strings.HasPrefix(d.URL, "https://hooks.slack.com/***") {
		t.Errorf("%s", d.URL)
	}
	if err := w.n.SealURLs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM destination WHERE address LIKE '%Secret%'`); n != 0 {
		t.Error("the URL is still stored as it is")
	}
	var again notify.Destination
	w.must("GET", "/destinations/webhooks/"+made.ID, nil, &again)
	if again.URL != d.URL {
		t.Errorf("%s, then %s", d.URL, again.URL)
	}
}

func TestTheTypeIsThatOfTheURLOrTheOneThatWasGiven(t *testing.T) {
	w := newWorld(t, "", nil)
	f := channeltest.New(t, "mattermost")
	made := w.connect(f, "mattermost")
	if made.Type != "mattermost" || !strings.HasPrefix(made.URL, f.URL+"/***") || len(f.Got()) != 1 {
		t.Errorf("%+v", made)
	}
	status, failures := w.call("acme", "POST", "/destinations/webhooks",
		map[string]any{"name": "x", "url": f.Address(), "type": "teletype"}, nil)
	if status != 400 || failures[0].Source.Pointer != "/type" ||
		!strings.Contains(failures[0].Message, "mattermost, msteams") {
		t.Errorf("%d %+v", status, failures)
	}
	for _, kind := range []string{"datadog", "splunk", "opsgenie", "gotify"} {
		status, failures := w.call("acme", "POST", "/destinations/webhooks",
			map[string]any{"name": "x", "url": "https://receiver.example/", "type": kind}, nil)
		if status != 400 || failures[0].Source.Pointer != "/secret" {
			t.Errorf("%s: %d %+v", kind, status, failures)
		}
	}
}

func TestAWebhookHasHeadersOfItsOwn(t *testing.T) {
	w := newWorld(t, "", nil)
	f := channeltest.Anything(t)
	var made notify.NewWebhook
	const key = "a-key-of-the-receiver"
	w.must("POST", "/destinations/webhooks", map[string]any{
		"name": "x", "url": f.Address(), "headers": map[string]string{"X-Api-Key": key, "x-tenant": "shop"},
	}, &made)
	if got := f.Got()[0].Header; got.Get("X-Api-Key") != key || got.Get("X-Tenant") != "shop" {
		t.Errorf("%v", got)
	}
	if fmt.Sprint(made.HeaderNames) != "[X-Api-Key x-tenant]" {
		t.Errorf("%v", made.HeaderNames)
	}
	var attempt json.RawMessage
	w.must("POST", "/destinations/webhooks/"+made.ID+"/test", nil, &attempt)
	if bytes.Contains(attempt, []byte(key)) {
		t.Errorf("%s", attempt)
	}
	w.must("PUT", "/destinations/webhooks/"+made.ID,
		map[string]any{"name": "x", "url": f.Address(), "headers": map[string]string{}}, nil)
	if got := f.Got(); got[len(got)-1].Header.Get("X-Api-Key") != "" {
		t.Error("the header is still sent")
	}
	for name, value := range map[string]string{
		"Host": "x", "content-length": "1", "Webhook-Signature": "x", "webhook-id": "x", "CF-Webhook-Auth": "x",
		"Proxy-Authorization": "x", "Transfer-Encoding": "x", "X Y": "x", "": "x", "X-A:": "x", "X-B": "x\r\nHost: y",
		"X-C": " x", "X-D": "é", "X-\u00e9": "x",
	} {
		status, failures := w.call("acme", "POST", "/destinations/webhooks",
			map[string]any{"name": "x", "url": f.Address(), "headers": map[string]string{name: value}}, nil)
		if status != 400 || !strings.HasPrefix(failures[0].Source.Pointer, "/headers/") {
			t.Errorf("%q: %d %+v", name, status, failures)
		}
	}
}

// TestBothSignaturesVerify checks v1 with the library of Standard Webhooks, and v1a
// with openssl alone.
func TestBothSignaturesVerify(t *testing.T) {
	w := newWorld(t, "", nil)
	f := channeltest.Anything(t)
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks", map[string]any{"name": "x", "url": f.Address()}, &made)
	var key notify.WebhookPublicKey
	w.must("GET", "/destinations/webhooks/"+made.ID+"/public_key", nil, &key)
	r := f.Got()[0]
	verifier, err := standardwebhooks.NewWebhook(made.SigningSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(r.Body, r.Header); err != nil {
		t.Errorf("v1: %v", err)
	}
	verifyEd25519(t, key.PublicKey, r)

	var rotated notify.NewWebhook
	w.must("POST", "/destinations/webhooks/"+made.ID+"/rotate_secret", nil, &rotated)
	w.must("POST", "/destinations/webhooks/"+made.ID+"/test", nil, nil)
	var newer notify.WebhookPublicKey
	w.must("GET", "/destinations/webhooks/"+made.ID+"/public_key", nil, &newer)
	got := f.Got()
	last := got[len(got)-1]
	if newer == key || strings.Count(last.Header.Get("Webhook-Signature"), "v1a,") != 2 {
		t.Errorf("%v %s", newer, last.Header.Get("Webhook-Signature"))
	}
	verifyEd25519(t, newer.PublicKey, last)
	w.account = other
	if status, _ := w.call("other", "GET", "/destinations/webhooks/"+made.ID+"/public_key", nil, nil); status != 404 {
		t.Errorf("another account: %d", status)
	}
}

func verifyEd25519(t *testing.T, public string, r channeltest.Request) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil || !strings.HasPrefix(public, "whpk_") {
		t.Fatal(public)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	// SubjectPublicKeyInfo of Ed25519 (RFC 8410).
	spki := append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, raw...)
	signed := r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "." + string(r.Body)
	for one := range strings.FieldsSeq(r.Header.Get("Webhook-Signature")) {
		encoded, found := strings.CutPrefix(one, "v1a,")
		if !found {
			continue
		}
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), openssl, "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin",
			"-inkey", write("key", spki), "-in", write("content", []byte(signed)), "-sigfile", write("signature", signature)).
			CombinedOutput()
		if err == nil {
			return
		}
		t.Logf("%s", out)
	}
	t.Error("no signature v1a verifies")
}

func TestATemplateWritesTheBody(t *testing.T) {
	w := newWorld(t, "", nil)
	f := channeltest.Anything(t)
	const template = `{"msg": "{{headline}}", "sev": {{severity}}, "n": {{data.errors}},
		"list": [{{#changes}}{"who": "{{actor}}"}{{/changes}}]{{^changes}}, "quiet": true{{/changes}}}`
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks",
		map[string]any{"name": "x", "url": f.Address(), "body_template": template}, &made)
	if made.BodyTemplate != template {
		t.Errorf("%+v", made)
	}
	w.policy(map[string]any{"mechanisms": to(made)})
	w.alert(map[string]any{"id": "a", "summary": "a \"quoted\" \\ text", "data": map[string]any{"errors": 12}})
	until(t, "it arrives", func() bool { return w.states("a") == "notice delivered" })
	got := f.Got()
	want := `{"msg": "a \"quoted\" \\ text", "sev": "warning", "n": 12,
		"list": [], "quiet": true}`
	if body := string(got[len(got)-1].Body); body != want {
		t.Errorf("%s", body)
	}
	for bad, says := range map[string]string{
		`{"a": "{{headline}"}`:              "line 1, column 8: }} is missing",
		"{\n \"a\": {{#changes}}1}":         "line 2, column",
		`{"a": {{/changes}}}`:               "ends no section",
		`{"a": {{ }}}`:                      "is no field",
		`{"a": {{headline}} x}`:             "no JSON",
		`{"a": "{{#changes}}"{{/changes}}}`: "begins inside of a string",
		strings.Repeat(`{{#a}}`, 6):         "at most 5 deep",
	} {
		for path, body := range map[string]map[string]any{
			"/destinations/webhooks":              {"name": "x", "url": f.Address(), "body_template": bad},
			"/destinations/webhooks/preview_body": {"body_template": bad},
		} {
			status, failures := w.call("acme", "POST", path, body, nil)
			if status != http.StatusBadRequest || failures[0].Source.Pointer != "/body_template" ||
				!strings.Contains(failures[0].Message, says) {
				t.Errorf("%s: %d %+v", bad, status, failures)
			}
		}
	}
	var preview notify.WebhookBody
	w.must("POST", "/destinations/webhooks/preview_body",
		map[string]any{"body_template": `{"t": "{{alert_type}}"}`, "alert_type": "shop_down"}, &preview)
	if preview.Body != `{"t": "shop_down"}` {
		t.Errorf("%s", preview.Body)
	}
}

func TestPagerDutyServicesAreListedByTheirConnection(t *testing.T) {
	w := newWorld(t, "", nil)
	f := channeltest.New(t, "pagerduty")
	var begun notify.PagerDutyConnection
	w.must("POST", "/destinations/pagerduty/connect", nil, &begun)
	var list []notify.PagerDutyService
	w.must("GET", "/destinations/pagerduty/connect/"+begun.ID, nil, &list)
	if len(list) != 0 || !strings.HasSuffix(begun.URL, "/notifications/pagerduty/new?connect="+begun.ID) {
		t.Errorf("%+v %+v", begun, list)
	}
	w.must("POST", "/destinations/pagerduty", map[string]any{
		"name": "on call", "routing_key": f.Secret, "url": f.Address(), "connect_id": begun.ID,
	}, nil)
	w.must("GET", "/destinations/pagerduty/connect/"+begun.ID, nil, &list)
	if len(list) != 1 || list[0].Name != "on call" {
		t.Errorf("%+v", list)
	}
}

func TestPagerDutyServicesAreConnectedAndUsed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		f := channeltest.New(t, "pagerduty")
		for key, says := range map[string]string{
			"short":                 "32 letters and digits",
			strings.Repeat("x", 32): "does not know the routing key",
		} {
			status, failures := w.call("acme", "POST", "/destinations/pagerduty",
				map[string]any{"name": "pd", "routing_key": key, "url": f.Address()}, nil)
			if status != 400 || failures[0].Source.Pointer != "/routing_key" || !strings.Contains(failures[0].Message, says) {
				t.Errorf("%s: %d %+v", key, status, failures)
			}
		}
		var made notify.PagerDutyService
		w.must("POST", "/destinations/pagerduty",
			map[string]any{"name": "pd", "routing_key": f.Secret, "url": f.Address()}, &made)
		if got := f.Got(); len(got) != 1 || got[0].URL != "/v2/change/enqueue" {
			t.Errorf("the test pages somebody: %v", got)
		}
		w.policy(map[string]any{"mechanisms": map[string]any{"pagerduty": []map[string]string{{"id": made.ID}}}})
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		until(t, "it is triggered", func() bool { return w.states("a") == "start delivered" })
		w.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c"})
		until(t, "it is resolved", func() bool { return w.states("a") == "start delivered, end delivered" })
		if d := w.decision("a").Deliveries[0]; d.MechanismType != "pagerduty" {
			t.Errorf("%+v", d)
		}
		var list []notify.PagerDutyService
		w.must("GET", "/destinations/pagerduty", nil, &list)
		if len(list) != 1 || list[0].Name != "pd" || list[0].State != "ok" {
			t.Errorf("%+v", list)
		}
		path := "/destinations/pagerduty/" + made.ID
		for _, x := range [][2]string{{"DELETE", path}, {"DELETE", "/destinations/pagerduty"}} {
			if status, failures := w.call("acme", x[0], x[1], nil, nil); status != 409 {
				t.Errorf("%v: %d %+v", x, status, failures)
			}
		}
		for _, x := range [][2]string{{"POST", path + "/test"}, {"DELETE", path}} {
			if status, _ := w.call("reader", x[0], x[1], nil, nil); status != 403 {
				t.Errorf("%v by a reader: %d", x, status)
			}
			w.account = other
			if status, _ := w.call("other", x[0], x[1], nil, nil); status != 404 {
				t.Errorf("%v of another account: %d", x, status)
			}
			status, failures := w.call("other", "POST", "/policies", map[string]any{
				"name": "p", "enabled": true, "alert_type": "shop_down",
				"mechanisms": map[string]any{"pagerduty": []map[string]string{{"id": made.ID}}},
			}, nil)
			if status != 400 || failures[0].Source.Pointer != "/mechanisms/pagerduty/0/id" {
				t.Errorf("%d %+v", status, failures)
			}
			w.account = acme
		}
	})
}
