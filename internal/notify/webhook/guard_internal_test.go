package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
)

// names is a resolver; an answer may change with every question.
func names(table map[string][]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		list, ok := table[host]
		if !ok {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		var out []netip.Addr
		for _, s := range list {
			out = append(out, netip.MustParseAddr(s))
		}
		return out, nil
	}
}

func TestOnlyThePublicInternetIsReached(t *testing.T) {
	g := &guard{lookup: names(map[string][]string{
		"localhost": {"127.0.0.1"}, "localhost.": {"127.0.0.1"}, "a.localhost": {"127.0.0.1"},
		"mixed.example": {"93.184.216.34", "10.0.0.1"}, "six.example": {"93.184.216.34", "fd00::1"}, "cname.example": {"169.254.169.254"},
		"127.1": {"127.0.0.1"}, "0": {"0.0.0.0"}, "2130706433": {"127.0.0.1"}, "0x7f000001": {"127.0.0.1"}, "0177.0.0.1": {"127.0.0.1"},
	})}
	for _, host := range []string{
		"127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
		"fe80::1", "fc00::1", "fd00:ec2::254", "169.254.0.1", "169.254.169.254", "100.64.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.0.0.1", "198.18.0.1",
		"192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "2001:db8::1", "3fff::1", "100::1", "2001::1", "5f00::1", "ff02::1", "fe80::1%eth0",
		"localhost", "localhost.", "a.localhost", "mixed.example", "six.example", "cname.example",
	} {
		conn, err := g.dial(t.Context(), "tcp", net.JoinHostPort(host, "443"))
		var blocked *blockedError
		if !errors.As(err, &blocked) || conn != nil {
			t.Errorf("%s: %v", host, err)
		} else if !strings.Contains(err.Error(), "BELFRY_ALLOW_NETWORKS") {
			t.Errorf("%s: %q does not name the setting", host, err)
		}
	}
	for _, a := range []string{"93.184.216.34:443", "93.184.216.34:80", "[2606:2800:220:1::1]:443", "172.32.0.1:443", "100.128.0.1:443", "11.0.0.1:8443"} {
		if !g.allows(netip.MustParseAddrPort(a)) {
			t.Errorf("%s is refused", a)
		}
	}
	if g.allows(netip.MustParseAddrPort("93.184.216.34:25")) || g.allows(netip.MustParseAddrPort("93.184.216.34:6379")) {
		t.Error("any port may be reached")
	}
}

func TestAnAllowedNetworkIsReachedAtEveryPort(t *testing.T) {
	g := &guard{allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for a, want := range map[string]bool{"10.9.9.9:9999": true, "[::ffff:10.9.9.9]:9999": true, "127.0.0.1:80": false, "192.168.0.1:80": false} {
		if got := g.allows(netip.MustParseAddrPort(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

// TestANameThatChangesItsMeaningGainsNothing is DNS rebinding: public when it is
// checked, private when it is used.
func TestANameThatChangesItsMeaningGainsNothing(t *testing.T) {
	g := &guard{}
	if err := g.control(t.Context(), "tcp4", "127.0.0.1:443", nil); err == nil {
		t.Error("the connection itself is not looked at")
	}
	var hits atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(inside.Close)
	c := New(Config{Lookup: names(map[string][]string{"rebind.example": {"127.0.0.1"}})})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(inside.URL, "http://"))
	r := c.Send(t.Context(), &notify.Message{ID: "1", Address: "http://rebind.example:" + port, Sent: time.Now()})
	if r.Fault != notify.Blocked || hits.Load() != 0 || !strings.Contains(r.Error, "BELFRY_ALLOW_NETWORKS") || strings.Contains(r.Error, "127.0.0.1") {
		t.Errorf("%+v after %d requests", r, hits.Load())
	}
}

func TestRedirectsAreNotFollowedAndProxiesNotAsked(t *testing.T) {
	var hits atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(target.Close)
	t.Setenv("HTTP_PROXY", target.URL)
	from := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(from.Close)
	c := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	r := c.Send(t.Context(), &notify.Message{ID: "1", Address: from.URL, Sent: time.Now()})
	if r.Status != 307 || hits.Load() != 0 {
		t.Errorf("%+v, %d requests at the target", r, hits.Load())
	}
}

func TestFaultsAreToldApart(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(secure.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	c := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Lookup: names(nil)})
	for _, x := range []struct {
		url  string
		want notify.Fault
	}{
		{secure.URL, notify.BadTLS}, {"https://" + closed.Addr().String(), notify.Temporary}, {"https://" + silent.Addr().String(), notify.Timeout},
		{"http://nowhere.example", notify.NoName}, {"http://2130706433/", notify.Blocked}, {"http://[::1]/", notify.Blocked},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if r := c.Send(ctx, &notify.Message{ID: "1", Address: x.url, Sent: time.Now()}); r.Fault != x.want || r.Error == "" {
			t.Errorf("%s: fault %d %q, want %d", x.url, r.Fault, r.Error, x.want)
		}
		cancel()
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{"120": 2 * time.Minute, " 5 ": 5 * time.Second, "Sun, 22 Nov 2026 10:01:00 GMT": time.Minute, "Sun, 22 Nov 2020 10:01:00 GMT": 0, "-5": 0, "soon": 0, "": 0, "99999999999999999999": 0} {
		if got := retryAfter(s, now); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Fuzz(func(t *testing.T, s string) {
		if retryAfter(s, time.Unix(0, 0)) < 0 {
			t.Fatal("a wait into the past")
		}
	})
}
