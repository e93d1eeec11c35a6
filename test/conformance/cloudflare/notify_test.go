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
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/alerting"
	"github.com/cloudflare/cloudflare-go/v7/option"
	"github.com/cloudflare/cloudflare-go/v7/shared"
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
	n.api = alerting.NewAlertingService(option.WithBaseURL(base+"/client/v4/"), option.WithAPIToken(os.Getenv("BELFRY_TOKEN")), option.WithMaxRetries(0))
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
	r, err := http.NewRequestWithContext(n.t.Context(), method, os.Getenv("BELFRY_URL")+"/client/v4"+path, bytes.NewReader(data))
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

// declare applies a catalogue with two of the public alert types.
func (n *notifications) declare() {
	var team struct{ ID string }
	n.raw("POST", "/producers", map[string]any{"name": fmt.Sprint("notify ", time.Now().UnixNano())}, &team)
	n.raw("PUT", "/producers/"+team.ID+"/catalog", map[string]any{"version": 1, "products": []any{map[string]any{"product": "origin", "title": "Origin", "category": "Origin Monitoring", "alert_types": []any{
		map[string]any{"type": "http_alert_origin_error", "title": "Origin Error Rate Alert", "description": "High levels of 5xx", "severities": []string{"warning", "error"},
			"filters": []any{map[string]any{"key": "zones", "title": "Zones", "required": true}, map[string]any{"key": "slo", "title": "SLO", "required": true, "single": true, "values": []string{"99.7", "99.8", "99.9"}}}},
		map[string]any{"type": "real_origin_monitoring", "title": "Passive Origin Monitoring", "severities": []string{"error"}},
	}}}}, nil)
}

// refused is the API's error, which must have come as one, and at once.
func (n *notifications) refused(err error, status int, code int64, words string) {
	n.t.Helper()
	var answer *shared.ErrorData
	_ = answer
	var failed *alerting.Error
	if !errors.As(err, &failed) {
		n.t.Fatalf("%v (%T) is not an error of the API", err, err)
	}
	if failed.StatusCode != status || len(failed.Errors) == 0 || failed.Errors[0].Code != code || !strings.Contains(failed.Errors[0].Message, words) {
		n.t.Errorf("%v, want %d, code %d, %q", err, status, code, words)
	}
}

func set[T any](f interface {
	~struct {
		Value   T
		Null    bool
		Present bool
		Raw     any
	}
}, v T) {
}

var _ = reflect.DeepEqual
