package belfry_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// alertServer answers requests of alerts with one status of an alert each, and then
// with accepted.
type alertServer struct {
	*httptest.Server
	mu      sync.Mutex // guards what follows
	answers []string   // "" = 503
	paths   []string
	alerts  []belfry.Alert
}

func newAlertServer(t *testing.T, answers ...string) *alertServer {
	s := &alertServer{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var a belfry.Alert
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		s.paths = append(s.paths, r.URL.Path)
		s.alerts = append(s.alerts, a)
		answer := "accepted"
		if len(s.answers) > 0 {
			answer = s.answers[0]
			s.answers = s.answers[1:]
		}
		result := map[string]any{"index": 0, "id": a.ID, "status": answer}
		status := http.StatusOK
		switch answer {
		case "":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case "rejected":
			status = http.StatusBadRequest
			result["errors"] = []any{map[string]any{
				"code": 12002, "message": "no catalogue declares it", "source": map[string]string{"pointer": "/alert_type"},
			}}
		}
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(map[string]any{"result": []any{result}}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func alertClient(t *testing.T, url, account string) *belfry.Client {
	t.Helper()
	c, err := belfry.New(belfry.Config{
		URL:       url,
		Token:     "t",
		AccountID: account,
		SpoolDir:  t.TempDir(),
		NoGzip:    true,
		RetryMin:  time.Millisecond,
		RetryMax:  time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func TestAnAlertIsSentAgainWithTheSameIDUntilItIsStored(t *testing.T) {
	s := newAlertServer(t, "", "duplicate")
	c := alertClient(t, s.URL, "a1")
	alert := belfry.Alert{Type: "shop_down", Event: belfry.AlertStart, Correlation: "c"}
	if err := c.SendAlert(t.Context(), alert); err != nil {
		t.Fatal(err)
	}
	path := "/client/v4/accounts/a1/alerting/v3/alerts"
	if !slices.Equal(s.paths, []string{path, path}) {
		t.Errorf("asked %v", s.paths)
	}
	first, second := s.alerts[0], s.alerts[1]
	if first.ID == "" || first.ID != second.ID || first.OccurredAt.IsZero() ||
		!first.OccurredAt.Equal(second.OccurredAt) {
		t.Errorf("sent %+v and %+v", first, second)
	}
}

func TestTheAlertOfAProducerNamesItsAccount(t *testing.T) {
	s := newAlertServer(t)
	c := alertClient(t, s.URL, "")
	notice := belfry.Alert{AccountID: "a2", Type: "shop_down", Event: belfry.AlertNotice}
	if err := c.SendAlert(t.Context(), notice); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.paths, []string{"/client/v4/alerts"}) || s.alerts[0].AccountID != "a2" {
		t.Errorf("asked %v with %+v", s.paths, s.alerts)
	}
}

func TestAnAlertThatIsNotValidSaysWhy(t *testing.T) {
	s := newAlertServer(t, "rejected")
	err := alertClient(t, s.URL, "a1").SendAlert(t.Context(), belfry.Alert{Type: "nonsense", Event: belfry.AlertNotice})
	var failure *belfry.SendError
	if !errors.As(err, &failure) || len(failure.Errors) != 1 || failure.Errors[0].Code != 12002 || len(s.paths) != 1 {
		t.Errorf("the error is %v after %d requests", err, len(s.paths))
	}
}

func TestTheEndOfTheContextEndsTheAttempts(t *testing.T) {
	s := newAlertServer(t, slices.Repeat([]string{""}, 1000)...)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := alertClient(t, s.URL, "a1").SendAlert(ctx, belfry.Alert{Type: "shop_down", Event: belfry.AlertNotice})
	var failure *belfry.SendError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &failure) {
		t.Errorf("the error is %v", err)
	}
}
