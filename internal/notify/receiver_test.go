package notify_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
)

// receiver is a real HTTP server that keeps what comes.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	got    []received
	answer func(r received) int // nil = 200
}

type received struct {
	At     time.Time
	Header http.Header
	Raw    []byte
	Body   struct {
		Name          string          `json:"name"`
		Text          string          `json:"text"`
		Data          json.RawMessage `json:"data"`
		TS            int64           `json:"ts"`
		AccountID     string          `json:"account_id"`
		PolicyID      string          `json:"policy_id"`
		PolicyName    string          `json:"policy_name"`
		AlertType     string          `json:"alert_type"`
		CorrelationID string          `json:"alert_correlation_id"`
		Event         string          `json:"alert_event"`
		Severity      string          `json:"severity"`
		Changes       []notify.Change `json:"changes"`
		URL           string          `json:"url"`
		AlertID       string          `json:"alert_id"`
	}
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		one := received{At: time.Now(), Header: req.Header}
		one.Raw, _ = io.ReadAll(req.Body) // a broken request is no JSON
		if err := json.Unmarshal(one.Raw, &one.Body); err != nil {
			rw.WriteHeader(400)
			return
		}
		r.mu.Lock()
		answer := r.answer
		if one.Body.AlertType != "belfry_test" {
			r.got = append(r.got, one)
		}
		r.mu.Unlock()
		if answer != nil && one.Body.AlertType != "belfry_test" {
			rw.WriteHeader(answer(one))
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(f func(received) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}
