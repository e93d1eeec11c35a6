package web_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func TestADrainFinishesRunningRequestsRefusesNewOnesAndLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	a := newAPI(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	web.Get(a.API, web.Op{
		Path:    "/slow",
		ID:      "get-slow",
		Tag:     "T",
		Summary: "S",
		Public:  true,
	}, func(context.Context, *struct{}) (string, error) {
		close(entered)
		<-leave
		return "whole", nil
	})
	url, stop := serve(t, a)
	client := &http.Client{Transport: &http.Transport{}}
	answer := make(chan string, 1)
	go func() {
		res, err := client.Get(url + "/client/v4/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answer <- string(b)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// The listener closes while the request still runs.
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server still accepts")
		}
	}
	if w := ask(t, a, "GET /readyz", "", "Remote: 127.0.0.1:5"); w.Code != 503 ||
		!strings.Contains(w.Body.String(), "draining") {
		t.Fatalf("readyz: %d %s", w.Code, w.Body)
	}
	if w := ask(t, a, "GET /healthz", ""); w.Code != 200 {
		t.Fatalf("healthz: %d", w.Code)
	}
	close(leave)
	if got := <-answer; !strings.Contains(got, `"result":"whole"`) {
		t.Fatalf("the running request got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestListenTakesAFreePortAndSaysWhichAndATakenOneIsAnError(t *testing.T) {
	a := newAPI(t)
	s, err := a.Listen(t.Context(), "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if strings.HasSuffix(s.Addr().String(), ":0") {
		t.Fatal(s.Addr())
	}
	if _, err := a.Listen(t.Context(), s.Addr().String(), nil); err == nil ||
		!strings.Contains(err.Error(), s.Addr().String()) {
		t.Fatal(err)
	}
	if st := s.Stage(); st.Name != "http" || st.Run == nil {
		t.Fatalf("%+v", st)
	}
}

func TestReadyzNamesWhatIsNotReady(t *testing.T) {
	a := newAPI(t, func(_ *web.Config, d *web.Deps) {
		d.Health.Add("database", func(context.Context) error { return nil })
		d.Health.Add("bus", func(context.Context) error { return io.ErrUnexpectedEOF })
	})
	w := ask(t, a, "GET /readyz", "", "Remote: 127.0.0.1:5")
	var r telemetry.Readiness
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if w.Code != 503 || r.Ready || len(r.Checks) != 2 || r.Checks[0].Name != "bus" ||
		r.Checks[0].Reason != "unexpected EOF" || !r.Checks[1].OK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestStrangersLearnNothingOfTheServerFromItsProbes(t *testing.T) {
	a := newAPI(t, func(c *web.Config, deps *web.Deps) {
		c.OperatorNetworks = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("127.0.0.0/8")}
		deps.Health.Add("signing", func(context.Context) error { return errors.New("account 42 is stopped") })
	})
	a.Probe("/metrics", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "belfry_up 1") }))
	for _, c := range []struct {
		remote, forwarded string
		operator          bool
	}{
		{"192.168.1.1:5", "", true},
		{"127.0.0.1:5", "", true},
		{"203.0.113.1:5", "", false},
		{"10.0.0.1:5", "", false},
		{"10.0.0.1:5", "192.168.1.1", true},   // a named proxy
		{"10.0.0.1:5", "203.0.113.1", false},  //
		{"127.0.0.1:5", "203.0.113.1", false}, // a proxy on this machine that is not named
		{"127.0.0.1:5", "192.168.1.1", false}, //
		{"203.0.113.1:5", "127.0.0.1", false}, // an invention
		{"203.0.113.1:5", "192.168.1.1", false},
	} {
		get := func(path string) string {
			w := ask(t, a, "GET "+path, "", "Remote: "+c.remote, "X-Forwarded-For: "+c.forwarded)
			return fmt.Sprint(w.Code, " ", w.Body)
		}
		for path, wants := range map[string][2]string{ // of strangers, of operators
			"/healthz":                {`200 {"alive":true}`, `200 {"alive":true}`},
			"/readyz":                 {"503 {\"ready\":false}\n", "account 42 is stopped"},
			"/metrics":                {`404 {"success":false`, "200 belfry_up 1"},
			"/client/v4/capabilities": {`"api":"v4"`, `"version":"test"`},
		} {
			want := wants[0]
			if c.operator {
				want = wants[1]
			}
			if got := get(path); !strings.Contains(got, want) ||
				!c.operator && (strings.Contains(got, `"version"`) || strings.Contains(got, "42")) {
				t.Errorf("%s from %s for %q: %s", path, c.remote, c.forwarded, got)
			}
		}
	}
}

func TestTheDescriptionIsMadeOnceAndServedWithItsTag(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	for _, path := range []string{"/openapi.json"} {
		w := ask(t, a, "GET "+path, "")
		tag := w.Header().Get("ETag")
		if w.Code != 200 || tag == "" || w.Body.Len() == 0 {
			t.Fatalf("%s: %d %v", path, w.Code, w.Header())
		}
		if again := ask(t, a, "GET "+path, "", "If-None-Match: "+tag); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s again: %d, %d bytes", path, again.Code, again.Body.Len())
		}
		if head := ask(t, a, "HEAD "+path, ""); head.Code != 200 || head.Body.Len() != 0 {
			t.Errorf("%s: %d, %d bytes for HEAD", path, head.Code, head.Body.Len())
		}
		zip := ask(t, a, "GET "+path, "", "Accept-Encoding: gzip")
		r, err := gzip.NewReader(zip.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if plain, err := io.ReadAll(r); err != nil || string(plain) != w.Body.String() {
			t.Errorf("%s: the compressed answer is another one (%v)", path, err)
		}
		// Neither rendering nor compressing: that is some thousand allocations.
		if n := testing.AllocsPerRun(20, func() { ask(t, a, "GET "+path, "", "Accept-Encoding: gzip") }); n > 200 {
			t.Errorf("%s: %v allocations a request", path, n)
		}
	}
}
