package web_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
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
	web.Get(a.API, web.Op{Path: "/slow", Tag: "T", Summary: "S", Public: true}, func(context.Context, *struct{}) (string, error) {
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
	if w := ask(t, a, "GET /readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "draining") {
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
	if _, err := a.Listen(t.Context(), s.Addr().String(), nil); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
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
	w := ask(t, a, "GET /readyz", "")
	var r telemetry.Readiness
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if w.Code != 503 || r.Ready || len(r.Checks) != 2 || r.Checks[0].Name != "bus" || r.Checks[0].Reason != "unexpected EOF" || !r.Checks[1].OK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}
