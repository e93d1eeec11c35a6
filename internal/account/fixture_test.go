package account_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/test/engines"
)

// root is the bootstrap token of the tests.
const root = "correct-horse-battery-staple-0123456789"

// fixture is a whole installation: database, accounts, API, and a clock that only
// the test changes.
type fixture struct {
	t        testing.TB
	db       *db.DB
	accounts *account.Feature
	api      *web.API
	now      *atomic.Int64 // microseconds
}

// onBoth runs a test on SQLite and, where one is given, on PostgreSQL.
func onBoth(t *testing.T, test func(*testing.T, *fixture)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newFixture(t, db.Config{DataDir: t.TempDir()})) })
	t.Run("postgres", func(t *testing.T) { test(t, newFixture(t, db.Config{URL: engines.Postgres(t)})) })
}

func newFixture(t testing.TB, cfg db.Config, change ...func(*account.Config)) *fixture {
	t.Helper()
	cfg.Feature = "account"
	cfg.Schemas = []db.Schema{bus.Schema(), account.Schema(), web.Schema()}
	d, err := db.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	f := &fixture{t: t, db: d, now: &atomic.Int64{}}
	f.now.Store(time.Now().UnixMicro())
	f.open(change...)
	return f
}

// env returns the environment of a process.
func (f *fixture) env() feature.Env {
	return feature.Env{
		DB:         f.db,
		Now:        func() time.Time { return time.UnixMicro(f.now.Load()) },
		Registerer: prometheus.NewRegistry(),
		URL:        "http://belfry.test",
	}
}

// open makes accounts and an API over the same database, as another process
// does.
func (f *fixture) open(change ...func(*account.Config)) {
	f.t.Helper()
	cfg := account.Config{Env: f.env(), BootstrapToken: root}
	for _, c := range change {
		c(&cfg)
	}
	accounts, err := account.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	key := bytes.Repeat([]byte("k"), 32)
	idempotency, err := web.NewIdempotency(f.db, key)
	if err != nil {
		f.t.Fatal(err)
	}
	api, err := web.New(web.Config{Version: "test", Key: key}, web.Deps{
		Log:     slog.New(slog.DiscardHandler),
		Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()),
		Tracing: telemetry.TracingOf(noop.NewTracerProvider()),
		Health:  telemetry.NewHealth(),

		Authenticate: accounts.Authenticate,
		Resolve:      accounts.ResolveAccount,
		Denied:       accounts.Denied,
		Idempotency:  idempotency,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	accounts.API(api)
	// The pages sign in and out.
	answer := func(fn func(w http.ResponseWriter, r *http.Request) error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := fn(w, r); err != nil {
				w.WriteHeader(statusOf(err))
				io.WriteString(w, err.Error())
			}
		})
	}
	api.Mount("POST /sign-in", false, answer(func(w http.ResponseWriter, r *http.Request) error {
		var err error
		if r.FormValue("link") != "" {
			_, err = accounts.SignInWithLink(w, r, r.FormValue("link"))
		} else {
			_, err = accounts.SignInWithPassword(w, r, r.FormValue("email"), r.FormValue("password"))
		}
		return err
	}))
	api.Mount("POST /sign-out", false, answer(accounts.SignOut))
	f.accounts = accounts
	f.api = api
}

func (f *fixture) later(d time.Duration) { f.now.Add(d.Microseconds()) }

// response is a response of the API.
type response struct {
	t       testing.TB
	Status  int
	Header  http.Header
	Cookies []*http.Cookie
	Body    string
	Success bool
	Errors  []struct {
		Code    int
		Message string
		Source  struct{ Pointer string }
	}
	Result     map[string]any
	List       []map[string]any
	ResultInfo struct{ Cursor string } `json:"result_info"`
}

// text is a member of the result.
func (a *response) text(name string) string {
	s, _ := a.Result[name].(string)
	return s
}

// ok fails the test unless the request succeeded.
func (a *response) ok() *response {
	a.t.Helper()
	if a.Status != 200 {
		a.t.Fatalf("status %d: %s", a.Status, a.Body)
	}
	return a
}

// fails fails the test unless the request was answered with status and code.
func (a *response) fails(status int, code errs.Code) *response {
	a.t.Helper()
	if a.Status != status || len(a.Errors) == 0 || a.Errors[0].Code != int(code) {
		a.t.Fatalf("status %d instead of %d with code %d: %s", a.Status, status, code, a.Body)
	}
	return a
}

// call sends a request. as is a token or a cookie ("name=value"); headers are
// "Name: value".
func (f *fixture) call(as, method, path string, body any, headers ...string) *response {
	f.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			f.t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	if !strings.HasPrefix(path, "/sign-") {
		path = "/client/v4" + path
	}
	r := httptest.NewRequestWithContext(f.t.Context(), method, "http://belfry.test"+path, reader)
	switch {
	case strings.Contains(as, "="):
		r.Header.Set("Cookie", as)
	case as != "":
		r.Header.Set("Authorization", "Bearer "+as)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "From-Address" {
			r.RemoteAddr = value + ":1234"
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	a := &response{t: f.t, Status: w.Code, Header: w.Header(), Body: w.Body.String(), Cookies: w.Result().Cookies()}
	var raw struct {
		response
		Result json.RawMessage
	}
	if json.Unmarshal(w.Body.Bytes(), &raw) == nil {
		a.Success = raw.Success
		a.Errors = raw.Errors
		a.ResultInfo = raw.response.ResultInfo
		if len(raw.Result) > 0 && raw.Result[0] == '[' {
			json.Unmarshal(raw.Result, &a.List)
		} else {
			json.Unmarshal(raw.Result, &a.Result)
		}
	}
	return a
}

type object = map[string]any

// account makes an account and returns its id.
func (f *fixture) account(name string) string {
	f.t.Helper()
	return f.call(root, "POST", "/accounts", object{"name": name}).ok().text("id")
}

// token makes a token of the account.
func (f *fixture) token(accountID string, permissions ...string) (id, value string) {
	f.t.Helper()
	a := f.call(root, "POST", "/accounts/"+accountID+"/tokens", object{"name": "test", "permissions": permissions}).ok()
	return a.text("id"), a.text("value")
}

// form posts the sign-in form from one address.
func (f *fixture) form(address, cookie string, fields ...string) *response {
	f.t.Helper()
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(&b, "%s=%s&", fields[i], fields[i+1])
	}
	return f.call(cookie, "POST", "/sign-in", b.String(),
		"Content-Type: application/x-www-form-urlencoded",
		"From-Address: "+address,
		sameOrigin,
	)
}

// secretOf is the secret in a one-time link.
func secretOf(link string) string {
	_, secret, _ := strings.Cut(link, "link=")
	return secret
}

// cookie is the session that a response sets.
func (a *response) cookie() string {
	a.t.Helper()
	for _, c := range a.Cookies {
		if c.Value != "" {
			return c.Name + "=" + c.Value
		}
	}
	a.t.Fatalf("no session: %d %s", a.Status, a.Body)
	return ""
}

// signIn uses a one-time link and returns the cookie.
func (f *fixture) signIn(link string) string {
	f.t.Helper()
	return f.form("192.0.2.9", "", "link", secretOf(link)).ok().cookie()
}

// member adds a person by way of the operators and signs them in.
func (f *fixture) member(accountID, email, role string) (id, cookie string) {
	f.t.Helper()
	a := f.call(root, "POST", "/accounts/"+accountID+"/members", object{"email": email, "role": role}).ok()
	return a.text("id"), f.signIn(a.text("sign_in_url"))
}

// outbox returns all recorded events, in order.
func (f *fixture) outbox() (list []event.Audit) {
	f.t.Helper()
	err := f.db.View(context.Background(), func(tx *db.Tx) error {
		rows, err := tx.Query(context.Background(), `SELECT topic, msg_key, value FROM outbox ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var topic string
			var key, value []byte
			if err := rows.Scan(&topic, &key, &value); err != nil {
				return err
			}
			var e event.Audit
			if err := json.Unmarshal(value, &e); err != nil {
				return err
			}
			if topic != event.TopicAuditSelf || string(key) != e.Account {
				f.t.Errorf("topic %s, key %s, account %s", topic, key, e.Account)
			}
			list = append(list, e)
		}
		return rows.Err()
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// recorded are the actions on a type of resource in an account, in order.
func (f *fixture) recorded(accountID, resource string) (list []string) {
	f.t.Helper()
	for _, e := range f.outbox() {
		if e.Account == accountID && e.Resource.Type == resource {
			list = append(list, e.Action.Type+" "+e.Action.Result)
		}
	}
	return list
}

// drained runs the feature until it ends, so that it writes its memory.
func (f *fixture) drained() {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.accounts.Run(ctx); err != nil {
		f.t.Fatal(err)
	}
}
