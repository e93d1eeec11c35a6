package web_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func TestConnectionsThatSendTheirBodySlowlyHoldNoPlaces(t *testing.T) {
	a := newAPI(t, func(c *web.Config, _ *web.Deps) { c.MaxRequests = 40 })
	registerThings(a.API)
	a.MountPublic("POST /sign-in", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.PostFormValue("email"))
	}))
	url, _ := serve(t, a)
	address := strings.TrimPrefix(url, "http://")
	for i := range 100 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		head := "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
			"100\r\n\r\ne"
		switch i % 4 {
		case 1: // of unknown length
			head = "POST /sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ne\r\n"
		case 2: // with a token that is none
			head = strings.Replace(head, "/sign-in", "/client/v4/accounts/"+ours+"/things", 1)
		case 3: // with one that is
			head = strings.Replace(head, "/sign-in", "/client/v4/accounts/"+ours+"/things", 1)
			head = strings.Replace(head, "Host: x", "Host: x\r\nAuthorization: Bearer owner", 1)
		}
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		res, err := http.Post(url+"/sign-in", "application/x-www-form-urlencoded",
			strings.NewReader("email=ana%40example.com"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || string(body) != "ana@example.com" {
			t.Fatalf("%d %q %v", res.StatusCode, body, err)
		}
	}
}

func TestABodyOfAPublicRouteIsSmall(t *testing.T) {
	a := newAPI(t)
	a.MountPublic("POST /sign-in", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}))
	if w := ask(t, a, "POST /sign-in", strings.Repeat("a", 16<<10)); w.Body.String() != "16384 <nil>" {
		t.Fatal(w.Body)
	}
	refused(t, ask(t, a, "POST /sign-in", strings.Repeat("a", 16<<10+1)), 413, errs.CodeTooLarge, "")
	r := httptest.NewRequest("POST", "/sign-in", io.MultiReader(strings.NewReader(strings.Repeat("a", 1<<20))))
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	refused(t, w, 413, errs.CodeTooLarge, "")
}

// holding counts the requests that a route holds until leave is closed.
type holding struct {
	mu    sync.Mutex // guards held
	held  int
	leave chan struct{}
}

func (h *holding) wait() {
	h.mu.Lock()
	h.held++
	h.mu.Unlock()
	<-h.leave
}

// shares opens n requests at once and gives the statuses of those that were
// answered, once all are either answered or held.
func (h *holding) shares(t *testing.T, n int, open func(i int) int) map[int]int {
	t.Helper()
	var mu sync.Mutex
	answered := map[int]int{}
	before := h.held
	for i := range n {
		go func() {
			code := open(i)
			mu.Lock()
			answered[code]++
			mu.Unlock()
		}()
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		h.mu.Lock()
		all := h.held - before
		for _, k := range answered {
			all += k
		}
		h.mu.Unlock()
		if all == n {
			defer mu.Unlock()
			return answered
		}
		mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d are neither held nor answered", n-all, n)
		}
	}
}

func TestNeitherAnAddressNorACredentialNorAnAccountTakesAllPlaces(t *testing.T) {
	const places = 800 // a tenth is 80, a quarter is 200
	for i := range 10 {
		name := fmt.Sprint("token-", i)
		people[name] = web.Principal{
			Kind:        web.KindToken,
			ID:          name,
			AccountID:   ours,
			Permissions: web.Permissions{"audit:read"},
		}
	}
	for _, kind := range []string{"/accounts/" + ours + "/slow", "/accounts/" + ours + "/live",
		"/accounts/" + ours + "/file"} {
		t.Run(kind[strings.LastIndex(kind, "/")+1:], func(t *testing.T) {
			h := &holding{leave: make(chan struct{})}
			defer close(h.leave)
			a := newAPI(t, func(c *web.Config, _ *web.Deps) {
				c.MaxRequests = places
				c.MaxStreams = places
				c.MaxDownloads = places
			})
			op := web.Op{
				Path:       "/accounts/{account_id}/slow",
				ID:         "get-slow",
				Tag:        "T",
				Summary:    "S",
				Permission: "audit:read",
			}
			web.Get(a.API, op, func(context.Context, *struct{}) (web.None, error) { h.wait(); return web.None{}, nil })
			op.Path = "/accounts/{account_id}/live"
			op.ID = "watch-live"
			op.Stream = true
			web.Get(a.API, op, func(context.Context, *struct{}) (web.Events, error) {
				return web.Events{Source: func(context.Context, string, func(web.Event) error) error { h.wait(); return nil }}, nil
			})
			op.Path = "/accounts/{account_id}/file"
			op.ID = "download-file"
			web.Get(a.API, op, func(context.Context, *struct{}) (web.Stream, error) {
				return web.Stream{
					ContentType: "text/csv",
					Write:       func(context.Context, *web.StreamWriter) error { h.wait(); return nil },
				}, nil
			})
			open := func(who string) int { return ask(t, a, "GET /client/v4"+kind, "", as(who)).Code }
			if got := h.shares(t, 100, func(int) int { return open("token-0") }); got[429] != 20 || len(got) != 1 {
				t.Fatalf("of one credential: %v", got)
			}
			if got := h.shares(t, 200, func(i int) int { return open(fmt.Sprint("token-", 1+i%9)) }); got[429] != 80 ||
				len(got) != 1 {
				t.Fatalf("of one account: %v", got)
			}
			if got := h.shares(t, 10, func(int) int {
				return ask(t, a, "GET /client/v4"+strings.Replace(kind, ours, foreign, 1), "", as("stranger")).Code
			}); len(got) != 0 {
				t.Fatalf("of another account: %v", got)
			}
		})
	}
	t.Run("address", func(t *testing.T) {
		h := &holding{leave: make(chan struct{})}
		defer close(h.leave)
		a := newAPI(t, func(c *web.Config, _ *web.Deps) { c.MaxRequests = places })
		a.MountPublic("GET /sign-in", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { h.wait() }))
		from := func(addr string) int { return ask(t, a, "GET /sign-in", "", "Remote: "+addr).Code }
		if got := h.shares(t, 100, func(i int) int {
			return from(fmt.Sprintf("[2001:db8:0:1::%x]:1",
				i+1))
		}); got[429] != 20 || len(got) != 1 {
			t.Fatalf("of one IPv6 network: %v", got)
		}
		if got := h.shares(t, 10, func(int) int { return from("[2001:db8:0:2::1]:1") }); len(got) != 0 {
			t.Fatalf("of another network: %v", got)
		}
	})
}

func TestWrongCredentialsKeepNobodyElseBehindTheirAddressOut(t *testing.T) {
	a := newAPI(t, func(c *web.Config, _ *web.Deps) { c.Failures = web.Rate{PerSecond: 0.001, Burst: 2} })
	registerThings(a.API)
	path := "GET /client/v4/accounts/" + ours + "/things"
	from := func(addr string, headers ...string) int {
		return ask(t, a, path, "", append(headers, "Remote: "+addr)...).Code
	}
	for range 10 { // a request without a credential is no guess
		if code := from("[2001:db8::1]:1"); code != 401 {
			t.Fatal(code)
		}
	}
	for i, want := range []int{401, 401, 429, 429} {
		if code := from(fmt.Sprintf("[2001:db8::%x]:1", i+1), as("guess")); code != want {
			t.Fatalf("guess %d: %d", i, code)
		}
	}
	if code := from("[2001:db8::1]:1", as("reader")); code != 200 {
		t.Fatalf("a right credential from that network: %d", code)
	}
	if code := from("[2001:db8::1]:1"); code != 401 {
		t.Fatalf("none from that network: %d", code)
	}
	if code := from("[2001:db8:0:1::1]:1", as("guess")); code != 401 {
		t.Fatalf("a guess from another network: %d", code)
	}
}
