package outbound

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/delivery"
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
		"mixed.example": {"93.184.216.34", "10.0.0.1"}, "six.example": {"93.184.216.34", "fd00::1"},
		"cname.example": {"169.254.169.254"},
		"127.1":         {"127.0.0.1"}, "0": {"0.0.0.0"}, "2130706433": {"127.0.0.1"}, "0x7f000001": {"127.0.0.1"},
		"0177.0.0.1": {"127.0.0.1"},
	})}
	for _, host := range []string{
		"127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "::", "::ffff:127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
		"fe80::1", "fc00::1", "fd00:ec2::254", "169.254.0.1", "169.254.169.254", "100.64.0.1", "10.1.2.3", "172.16.0.1",
		"172.31.255.255", "192.168.1.1", "192.0.0.1", "198.18.0.1",
		"192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"2001:db8::1", "3fff::1", "100::1", "2001::1", "5f00::1", "ff02::1", "fe80::1%eth0",
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
	for _, a := range []string{
		"93.184.216.34:443",
		"93.184.216.34:80",
		"[2606:2800:220:1::1]:443",
		"172.32.0.1:443",
		"100.128.0.1:443",
		"11.0.0.1:8443",
	} {
		if !g.allows(netip.MustParseAddrPort(a)) {
			t.Errorf("%s is refused", a)
		}
	}
	if g.allows(netip.MustParseAddrPort("93.184.216.34:25")) || g.allows(netip.MustParseAddrPort("93.184.216.34:6379")) {
		t.Error("any port may be reached")
	}
}

// TestSpecialRangesAreRefusedToTheirEdges has the IANA registries of special
// addresses for IPv4 and IPv6 (and of multicast and the space that is not given
// out), and asks for the first and the last address of each. Their neighbours
// must be allowed, where no other range begins there.
func TestSpecialRangesAreRefusedToTheirEdges(t *testing.T) {
	ranges := prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
		"240.0.0.0/4",
		"::/3", "::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48",
		"100::/64", "100:0:0:1::/64",
		"2001::/23", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20",
		"4000::/2", "5f00::/16", "8000::/1", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	)
	special := func(ip netip.Addr) bool { return within(ranges, ip) }
	g := &guard{}
	at := func(ip netip.Addr) bool { return g.allows(netip.AddrPortFrom(ip, 443)) }
	neighbours := 0
	for _, p := range ranges {
		first, last := p.Masked().Addr(), lastOf(p)
		for _, ip := range []netip.Addr{first, last} {
			if at(ip) {
				t.Errorf("%s of %s is allowed", ip, p)
			}
		}
		for _, ip := range []netip.Addr{first.Prev(), last.Next()} {
			if !ip.IsValid() || special(ip) {
				continue
			}
			if neighbours++; !at(ip) {
				t.Errorf("%s beside %s is refused", ip, p)
			}
		}
	}
	if neighbours < 20 {
		t.Errorf("only %d neighbours were asked for", neighbours)
	}
	// IPv4 inside of IPv6, in every way in which it is carried.
	for _, s := range []string{
		"::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
		"64:ff9b:1::127.0.0.1", "2002:7f00:1::1", "2001:0:7f00:1::",
		"2001::f5ff:fffe", "fe80::5efe:127.0.0.1", "::ffff:93.184.216.34%eth0",
	} {
		if at(netip.MustParseAddr(s)) {
			t.Errorf("%s is allowed", s)
		}
	}
	for _, s := range []string{
		"::ffff:93.184.216.34",
		"2606:4700::1",
		"2a00:1450::1",
		"2400:cb00::1",
		"2001:200::1",
		"2001:4860:4860::8888",
	} {
		if !at(netip.MustParseAddr(s)) {
			t.Errorf("%s is refused", s)
		}
	}
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

func TestAnAllowedNetworkIsReachedAtEveryPort(t *testing.T) {
	g := &guard{allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for a, want := range map[string]bool{
		"10.9.9.9:9999":          true,
		"[::ffff:10.9.9.9]:9999": true,
		"127.0.0.1:80":           false,
		"192.168.0.1:80":         false,
	} {
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
	r := c.Post(t.Context(), Request{URL: "http://rebind.example:" + port})
	if r.Fault != delivery.Blocked || hits.Load() != 0 || !strings.Contains(r.Error, "BELFRY_ALLOW_NETWORKS") ||
		strings.Contains(r.Error, "127.0.0.1") {
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
	r := c.Post(t.Context(), Request{URL: from.URL})
	if r.Status != 307 || hits.Load() != 0 {
		t.Errorf("%+v, %d requests at the target", r, hits.Load())
	}
}

func TestFaultsAreDistinguished(t *testing.T) {
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
		want delivery.Fault
	}{
		{secure.URL, delivery.BadTLS}, {
			"https://" + closed.Addr().String(),
			delivery.Temporary,
		}, {"https://" + silent.Addr().String(), delivery.Timeout},
		{
			"http://nowhere.example",
			delivery.NoName,
		}, {"http://2130706433/", delivery.Blocked}, {"http://[::1]/", delivery.Blocked},
	} {
		// Only the receiver that never answers is meant to run out of time.
		patience := time.Minute
		if x.want == delivery.Timeout {
			patience = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if r := c.Post(ctx, Request{URL: x.url}); r.Fault != x.want || r.Error == "" {
			t.Errorf("%s: fault %d %q, want %d", x.url, r.Fault, r.Error, x.want)
		}
		cancel()
	}
}

// TestEveryFaultHasItsOwnReason lets a receiver answer a whole connection with
// bytes of another protocol, or with broken HTTP.
func TestEveryFaultHasItsOwnReason(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	c := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	send := func(url string) delivery.Result {
		return c.Post(t.Context(), Request{URL: url})
	}
	if r := send("https" + strings.TrimPrefix(plain.URL, "http")); r.Fault != delivery.BadTLS ||
		!strings.Contains(r.Error, "plain HTTP") {
		t.Errorf("https:// to plain HTTP: %d %q", r.Fault, r.Error)
	}
	for answer, want := range map[string]string{
		"SSH-2.0-OpenSSH_9.9\r\n":                                             "speaks SSH",
		"\x15\x03\x01\x00\x02\x02\x46":                                        "speaks TLS at this port",
		"220 mail.example ESMTP\r\n":                                          "does not speak HTTP",
		"HTTP/1.1 200 OK\r\nno header\r\n\r\n":                                "does not speak HTTP",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n":  "longer than 64 KiB",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab": "Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nab":                   "Content-Length",
		"":           "without an answer",
		"HTTP/1.1 2": "does not speak HTTP",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, answer)
				}
				conn.Close()
			}
		}()
		r := send("http://" + l.Addr().String())
		if r.Fault == delivery.NoFault || !strings.Contains(r.Error, want) {
			t.Errorf("%.40q: fault %d %q, want %q", answer, r.Fault, r.Error, want)
		}
		l.Close()
	}
}

func TestTheRequestLineHasNoRawBytes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lines := make(chan string, 1)
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			line, _ := bufio.NewReader(conn).ReadString('\n')
			lines <- line
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			conn.Close()
		}
	}()
	c := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for written, want := range map[string]string{
		"/hook?d=é":                   "/hook?d=%C3%A9",
		"/hök?a=b":                    "/h%C3%B6k?a=b",
		"/hook?a=b&c=%C3%A9+x/y?z;:@": "/hook?a=b&c=%C3%A9+x/y?z;:@",
		"/hook?a=100%&b={\"x\"}|<>^`": "/hook?a=100%25&b=%7B%22x%22%7D%7C%3C%3E%5E%60",
		"/hook":                       "/hook",
	} {
		r := c.Post(t.Context(), Request{URL: "http://" + l.Addr().String() + written})
		if r.Status != 204 {
			t.Fatalf("%s: %+v", written, r)
		}
		if got := <-lines; got != "POST "+want+" HTTP/1.1\r\n" {
			t.Errorf("%s is sent as %q, want %s", written, got, want)
		}
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"120":                           2 * time.Minute,
		" 5 ":                           5 * time.Second,
		"Sun, 22 Nov 2026 10:01:00 GMT": time.Minute,
		"Sun, 22 Nov 2020 10:01:00 GMT": 0,
		"-5":                            0,
		"soon":                          0,
		"":                              0,
		"soon 5":                        0,
		"1.5":                           0,
		"99999999999":                   longestRetryAfter,
		"99999999999999999999":          longestRetryAfter,
		"Fri, 31 Dec 9999 23:59:59 GMT": 1<<63 - 1,
	} {
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
