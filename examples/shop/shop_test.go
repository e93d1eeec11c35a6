package shop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/examples/shop"
	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

const patience = time.Minute

// server is Belfry as far as the shop sees it: the audit part is the SDK's test
// server, and counts are kept as they come.
type server struct {
	*httptest.Server
	audit belfrytest.Server

	mu     sync.Mutex // guards what follows
	down   bool
	counts map[string][]count // by Idempotency-Key
	twice  int                // requests whose key was known
}

type count struct {
	Zone, Hostname          string
	TS, Seconds, Total, Bad int64
}

func newServer(t *testing.T) *server {
	s := &server{counts: map[string][]count{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		down := s.down
		s.mu.Unlock()
		if down {
			http.Error(w, `{"success":false,"errors":[{"code":1002,"message":"down"}]}`, http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path != "/client/v4/accounts/"+belfrytest.AccountID+"/traffic/counts" {
			s.audit.ServeHTTP(w, r)
			return
		}
		var list []count
		key := r.Header.Get("Idempotency-Key")
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || key == "" ||
			r.Header.Get("Authorization") != "Bearer "+belfrytest.TestToken {
			t.Errorf("counts: %v, key %q", err, key)
		}
		s.mu.Lock()
		if s.counts[key] != nil {
			s.twice++
		}
		s.counts[key] = list
		s.mu.Unlock()
		io.WriteString(w, `{"success":true,"errors":[],"result":{},"result_info":{"accepted":1,"rejected":0}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) turn(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
}

// total adds up the counts of a zone.
func (s *server) total(zone string) (total, bad int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.counts {
		for _, c := range list {
			if c.Zone == zone {
				total, bad = total+c.Total, bad+c.Bad
			}
		}
	}
	return total, bad
}

// running is a shop that serves.
type running struct {
	t    *testing.T
	url  string
	stop func() // and wait
}

func open(t *testing.T, s *server, dir string, rate int) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	var said bytes.Buffer
	go func() {
		done <- shop.Run(ctx, shop.Config{
			URL:     s.URL,
			Token:   belfrytest.TestToken,
			Account: belfrytest.AccountID,
			Listen:  "127.0.0.1:0",
			DataDir: dir,
			Rate:    rate,
			Log:     &said,
			Ready:   func(addr string) { ready <- addr },
		})
	}()
	var once sync.Once
	r := &running{t: t, stop: func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			t.Logf("the shop said: %s", said.String())
		})
	}}
	t.Cleanup(r.stop)
	select {
	case addr := <-ready:
		r.url = "http://" + addr
	case err := <-done:
		t.Fatalf("the shop ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the shop does not start")
	}
	return r
}

// form posts a form and gives the page that follows.
func (r *running) form(path string, fields ...string) (int, string) {
	r.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	res, err := http.PostForm(r.url+path, values)
	return r.answer(res, err)
}

func (r *running) get(path string) (int, string) {
	r.t.Helper()
	res, err := http.Get(r.url + path)
	return r.answer(res, err)
}

func (r *running) answer(res *http.Response, err error) (int, string) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// checkouts are n at a time of 25, and how they ended.
func (r *running) checkouts(n int) map[int]int {
	var mu sync.Mutex
	ended := map[int]int{}
	var all sync.WaitGroup
	places := make(chan struct{}, 25)
	for range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			res, err := http.Post(r.url+"/checkout", "", nil)
			if err != nil {
				r.t.Error(err)
				return
			}
			res.Body.Close()
			mu.Lock()
			ended[res.StatusCode]++
			mu.Unlock()
		})
	}
	all.Wait()
	return ended
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestTheSettingReallyBreaksTheCheckoutAndUndoHealsIt(t *testing.T) {
	s := newServer(t)
	r := open(t, s, t.TempDir(), 0)
	if got := r.checkouts(150); got[200] != 150 {
		t.Errorf("with 3000 ms: %v", got)
	}
	if status, page := r.form("/settings/payment_timeout", "value", "30", "reason", "PR 214: fail fast", "link",
		"https://git.example/shop/pull/214"); status != 200 || !strings.Contains(page, "Changed, and recorded") {
		t.Fatalf("%d %s", status, page)
	}
	got := r.checkouts(250)
	if failed := got[504]; failed < 125 || failed > 205 || got[200]+failed != 250 {
		t.Errorf("with 30 ms: %v, want about 150 of 250 to fail", got)
	}
	eventually(t, "two seconds of numbers", func() bool {
		_, text := r.get("/live")
		var now struct{ Rate, Failing float64 }
		if err := json.Unmarshal([]byte(text), &now); err != nil {
			t.Fatal(err)
		}
		return now.Rate > 10 && now.Failing > 0.2 && now.Failing < 0.6 // 150 of 400
	})
	_, page := r.get("/settings")
	undo := regexp.MustCompile(`action="(/changes/[0-9a-f]+/undo)"`).FindStringSubmatch(page)
	if undo == nil {
		t.Fatalf("no undo: %s", page)
	}
	if status, page := r.form(undo[1]); status != 200 || !strings.Contains(page, `class="undone"`) ||
		strings.Contains(page, undo[1]) {
		t.Errorf("%d %s", status, page)
	}
	if got := r.checkouts(100); got[200] != 100 {
		t.Errorf("after the undo: %v", got)
	}
	eventually(t, "both events", func() bool { return len(s.audit.Events()) == 2 })
	first, err1 := s.audit.Events()[0].Event()
	second, err2 := s.audit.Events()[1].Event()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if first.Action.Type != "lower" ||
		first.Resource != (belfry.Resource{
			Product: "shop",
			Type:    "setting",
			ID:      "payment_timeout",
			Name:    "payment timeout",
		}) ||
		first.Actor.Name != "Sam Rivera" || first.Actor.Email != "sam@shop.example" || first.Actor.Type != belfry.User ||
		first.Interface != belfry.UI || first.Zone != "checkout.shop.example" ||
		*first.Reason != (belfry.Reason{Text: "PR 214: fail fast", URL: "https://git.example/shop/pull/214"}) ||
		first.Request == nil || first.Request.URI != "/settings/payment_timeout" || first.Actor.IPAddress != "127.0.0.1" {
		t.Errorf("%+v", first)
	}
	if before, after := asJSON(t, first.Before), asJSON(t, first.After); before != `{"unit":"ms","value":3000}` ||
		after != `{"unit":"ms","value":30}` {
		t.Errorf("from %s to %s", before, after)
	}
	if second.Action.Type != "raise" || second.Reason.Text != "Undo: PR 214: fail fast" ||
		second.Metadata["undoes"] != first.ID || asJSON(t, second.After) != `{"unit":"ms","value":3000}` {
		t.Errorf("%+v", second)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFormThatIsWrongChangesNothingAndSaysWhy(t *testing.T) {
	s := newServer(t)
	r := open(t, s, t.TempDir(), 0)
	for _, c := range []struct {
		path   string
		fields []string
		status int
		say    string
	}{
		{"/settings/payment_timeout", []string{"value", "0", "reason", "r"}, 400, "1 to 60000"},
		{"/settings/payment_timeout", []string{"value", "soon", "reason", "r"}, 400, "whole number of ms"},
		{"/settings/payment_timeout", []string{"value", "30"}, 400, "a reason is required"},
		{"/settings/payment_timeout", []string{"value", "30", "reason", "r", "link", "javascript:alert(1)"}, 400,
			"the link is an address"},
		{"/settings/payment_timeout", []string{"value", "30", "reason", "r", "email", "nobody"}, 400, "mail address"},
		{"/settings/payment_timeout", []string{"value", "3000", "reason", "r"}, 200, "Nothing to change"},
		{"/settings/checkout_button", []string{"value", strings.Repeat("x", 41), "reason", "r"}, 400, "40 characters"},
		{"/settings/nothing", []string{"value", "1", "reason", "r"}, 404, "not found"},
		{"/changes/0/undo", nil, 404, "not found"},
	} {
		if status, page := r.form(c.path, c.fields...); status != c.status || !strings.Contains(page, c.say) {
			t.Errorf("%s %v: %d, want %d and %q", c.path, c.fields, status, c.status, c.say)
		}
	}
	req, err := http.NewRequest("POST", r.url+"/settings/payment_timeout", strings.NewReader("value=30&reason=r"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://elsewhere.example")
	if status, _ := r.answer(http.DefaultClient.Do(req)); status != 403 {
		t.Errorf("a form of another site: %d", status)
	}
	r.stop()
	if list := s.audit.Events(); len(list) > 0 {
		t.Errorf("audited: %s", list[0].JSON)
	}
}

// logged reads the access log: requests and failures of the checkout, and of
// the storefront.
func logged(t *testing.T, dir string) (checkout, failed, storefront int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(?:checkout|www)\.shop\.example:80 127\.0\.0\.1 - - ` +
		`\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] ` +
		`"(GET|POST) (/[^ ]*) HTTP/1.1" (\d{3}) \d+ "[^"]+" "[^"]+"$`)
	for one := range strings.Lines(string(text)) {
		m := line.FindStringSubmatch(strings.TrimSuffix(one, "\n"))
		switch {
		case m == nil:
			t.Fatalf("not the combined format: %s", one)
		case m[2] == "/checkout" || m[2] == "/cart":
			checkout++
			if m[3] >= "500" {
				failed++
			}
		default:
			storefront++
		}
	}
	return checkout, failed, storefront
}

func TestTheCountsAddUpToTheAccessLog(t *testing.T) {
	s := newServer(t)
	dir := t.TempDir()
	r := open(t, s, dir, 80)
	r.form("/settings/payment_timeout", "value", "30", "reason", "r")
	eventually(t, "some traffic", func() bool {
		checkout, failed, storefront := logged(t, dir)
		return checkout > 100 && failed > 20 && storefront > 20
	})
	r.stop()
	checkout, failed, storefront := logged(t, dir)
	total, bad := s.total(shop.CheckoutZone)
	if total != checkout || bad != failed {
		t.Errorf("checkout: %d with %d bad were reported, %d with %d are in the log", total, bad, checkout, failed)
	}
	if total, bad := s.total(shop.StorefrontZone); total != storefront || bad != 0 {
		t.Errorf("storefront: %d with %d bad were reported, %d are in the log", total, bad, storefront)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, list := range s.counts {
		for _, c := range list {
			if c.TS%10 != 0 || c.Seconds != 10 || c.Hostname != c.Zone {
				t.Errorf("%s: %+v", key, c)
			}
		}
	}
}

func TestARestartKeepsTheSettingsAndSendsWhatWaited(t *testing.T) {
	s := newServer(t)
	s.turn(true)
	dir := t.TempDir()
	r := open(t, s, dir, 0)
	if status, page := r.form("/settings/banner", "value", "Back at <noon>", "reason", "kiln day"); status != 200 ||
		!strings.Contains(page, "Back at &lt;noon&gt;") {
		t.Fatalf("%d %s", status, page)
	}
	r.checkouts(7)
	r.stop()
	if events := s.audit.Events(); len(events) > 0 || len(s.counts) > 0 {
		t.Fatal("the server was down")
	}
	s.turn(false)
	r = open(t, s, dir, 0)
	eventually(t, "the event and the counts", func() bool {
		total, _ := s.total(shop.CheckoutZone)
		return len(s.audit.Events()) == 1 && total == 7
	})
	if _, page := r.get("/"); !strings.Contains(page, "Back at &lt;noon&gt;") {
		t.Error("the setting is gone")
	}
	r.stop()
	if left, err := filepath.Glob(filepath.Join(dir, "counts", "*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if s.twice > 0 {
		t.Errorf("%d reports were sent under a known key", s.twice)
	}
}

// child makes the test binary the shop, for the test that kills it.
const child = "SHOP_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		os.Exit(shop.Main(context.Background(), nil, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestAChangeSurvivesKill(t *testing.T) {
	s := newServer(t)
	s.turn(true)
	dir := t.TempDir()
	start := func() (*exec.Cmd, *running) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), child+"=1", "BELFRY_URL="+s.URL, "BELFRY_TOKEN="+belfrytest.TestToken,
			"BELFRY_ACCOUNT="+belfrytest.AccountID,
			"SHOP_LISTEN=127.0.0.1:0", "SHOP_DATA_DIR="+dir, "SHOP_RATE=0")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		said := make([]byte, 200)
		n, err := out.Read(said)
		addr, ok := strings.CutPrefix(strings.TrimSpace(string(said[:n])), "shop: ready on ")
		if err != nil || !ok {
			t.Fatalf("%q, %v", said[:n], err)
		}
		return cmd, &running{t: t, url: addr}
	}
	cmd, r := start()
	r.form("/settings/payment_timeout", "value", "30", "reason", "r")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // "signal: killed"
	s.turn(false)
	_, r = start()
	if _, page := r.get("/settings"); !strings.Contains(page, `value="30"`) {
		t.Error("the setting is gone")
	}
	eventually(t, "the event", func() bool { return len(s.audit.Events()) == 1 })
}

func TestWrongUsageIsNamed(t *testing.T) {
	for _, name := range []string{"BELFRY_URL", "BELFRY_TOKEN", "BELFRY_ACCOUNT", "SHOP_RATE", "SHOP_DATA_DIR",
		"SHOP_LISTEN"} {
		t.Setenv(name, "")
	}
	for _, c := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"-rate", "fast"}, 2, "-rate"},
		{[]string{"-account", "a", "-url", "http://127.0.0.1:1"}, 2, "BELFRY_TOKEN is required"},
		{[]string{"-rate", "1001"}, 2, "0 to 1000"},
		{[]string{"-nothing"}, 2, "-nothing"},
		{[]string{"-h"}, 0, "Example:"},
	} {
		var out, said bytes.Buffer
		if code := shop.Main(t.Context(), c.args, &out, &said); code != c.code || !strings.Contains(said.String(), c.say) {
			t.Errorf("%v: %d %s", c.args, code, said.String())
		}
	}
}

func TestAPastLeadsToTheSettingsAndIsShown(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	past := []shop.PastChange{
		{
			ID:      "a1",
			At:      at,
			Setting: "banner",
			After:   "Stocktaking",
			Name:    "Ana Lima",
			Email:   "ana@shop.example",
			Reason:  "Stocktaking",
		},
		{
			ID:      "a2",
			At:      at.Add(time.Hour),
			Setting: "banner",
			Before:  "Stocktaking",
			After:   "Sale",
			Name:    "Ben Okafor",
			Email:   "ben@shop.example",
			Reason:  "Autumn",
		},
	}
	for range 2 { // a shop that has settings keeps them
		if err := shop.Restore(dir, past); err != nil {
			t.Fatal(err)
		}
		past = past[:1]
	}
	r := open(t, s, dir, 0)
	status, page := r.get("/settings")
	for _, want := range []string{`class="banner" aria-label="Notice">Sale<`, "<b>Ana Lima</b> changed",
		"<b>Ben Okafor</b> changed", "/audit/events/a2"} {
		if status != 200 || !strings.Contains(page, want) {
			t.Errorf("%d: the settings lack %q", status, want)
		}
	}
	gap := []shop.PastChange{{ID: "a3", At: at, Setting: "banner", Before: "Something else", After: "Sale"}}
	if err := shop.Restore(t.TempDir(), gap); err == nil || !strings.Contains(err.Error(), "a3") {
		t.Errorf("a past with a gap is taken: %v", err)
	}
}
