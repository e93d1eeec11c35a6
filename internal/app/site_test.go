package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/app"
	testsite "github.com/belfryhq/belfry/test/site"
)

const bootstrap = "a bootstrap token of at least 32 characters"

// site is a whole Belfry with its dashboard.
type site struct {
	t   *testing.T
	app *app.App
	url string
	dir string // its data directory
}

func newSite(t *testing.T, change ...func(*app.Config)) *site {
	t.Helper()
	return newSiteWith(t, t.Output(), nil, change...)
}

// newSiteWith is newSite with a place for its log, and further settings.
func newSiteWith(t *testing.T, log io.Writer, settings []string, change ...func(*app.Config)) *site {
	t.Helper()
	dir := t.TempDir()
	values := map[string]string{
		"BELFRY_LISTEN":          "127.0.0.1:0",
		"BELFRY_KAFKA_LISTEN":    "127.0.0.1:0",
		"BELFRY_DATA_DIR":        dir,
		"BELFRY_BOOTSTRAP_TOKEN": bootstrap,
		"BELFRY_LOG_LEVEL":       "error",
		"BELFRY_EPOCH":           "1h",
	}
	for i := 0; i < len(settings); i += 2 {
		values[settings[i]] = settings[i+1]
	}
	cfg, err := app.LoadConfig("", env(values))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := app.Setup(t.Context(), cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- a.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = a.Close() // Run has let go of most of it
	})
	<-ready
	return &site{t, a, a.URL(), dir}
}

// call asks the API as the operators and gives the result.
func (s *site) call(method, path string, body any) json.RawMessage {
	s.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/client/v4"+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var envelope struct {
		Success bool
		Result  json.RawMessage
		Errors  json.RawMessage
	}
	if err := json.NewDecoder(res.Body).Decode(&envelope); err != nil || !envelope.Success {
		s.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, envelope.Errors, err)
	}
	return envelope.Result
}

func (s *site) account(name string) string {
	s.t.Helper()
	var made struct{ ID string }
	if err := json.Unmarshal(s.call("POST", "/accounts", map[string]any{"name": name}), &made); err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

type object = map[string]any

// append stores events of an account.
func (s *site) append(account string, events ...object) {
	s.t.Helper()
	s.call("POST", "/accounts/"+account+"/audit/events", events)
}

// visitor is a browser without scripts on this installation.
type visitor struct {
	*site
	*testsite.Visitor
}

// member signs a new member of an account in.
func (s *site) member(account, email, role string) *visitor {
	s.t.Helper()
	s.call("POST", "/accounts/"+account+"/members", object{"email": email, "name": email, "role": role})
	return s.signIn(email)
}

func (s *site) signIn(email string) *visitor {
	s.t.Helper()
	link, err := s.app.LoginLink(s.t.Context(), email)
	if err != nil {
		s.t.Fatal(err)
	}
	v := s.stranger()
	v.SignIn(link)
	return v
}

func (s *site) stranger() *visitor {
	s.t.Helper()
	return &visitor{s, testsite.NewVisitor(s.t, s.url)}
}

// auditEvent is an event of ten minutes ago.
func auditEvent(id, actor string, more object) object {
	e := object{
		"id":          id,
		"occurred_at": time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339Nano),
		"interface":   "UI",
		"action":      object{"type": "update"},
		"actor":       object{"type": "user", "id": actor, "name": actor},
		"resource":    object{"product": "dns", "type": "record", "id": "r-" + id, "name": "www" + id + ".shop.example"},
	}
	for k, v := range more {
		e[k] = v
	}
	return e
}
