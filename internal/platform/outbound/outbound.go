// Package outbound makes HTTP requests to servers that users name.
//
//	Request -> guarded dialer -> POST -> bounded answer -> masked delivery.Result
//
// Receivers are not trusted: the context's deadline holds for the whole attempt, the
// size of an answer is bounded, redirects are not followed, and no connection is made
// to an address that the operator has not allowed. The result is stored and
// shown, so the secrets of a request are replaced in every part of it.
package outbound

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Limits of an answer: bytes that are read, and bytes that are stored.
const (
	readMost   = 64 << 10
	keepMost   = 16 << 10
	headerMost = 64 << 10 // bytes of a response's headers
)

// Config names the networks that may be reached.
type Config struct {
	Allow []netip.Prefix // networks besides the public Internet (BELFRY_ALLOW_NETWORKS)
	// Lookup resolves names; nil = the system's resolver.
	Lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	Version string      // in User-Agent
	TLS     *tls.Config // for tests with certificates of their own; nil = the system's roots
}

// Client sends requests. One client serves all channels, so that they share its
// connections. Safe for concurrent use.
type Client struct {
	client *http.Client
	agent  string
}

// New makes a client; it opens no connection.
func New(cfg Config) *Client {
	g := &guard{allow: cfg.Allow, lookup: cfg.Lookup}
	if g.lookup == nil {
		g.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	transport := &http.Transport{
		Proxy:                  nil, // the environment's proxy could reach refused addresses
		DialContext:            g.dial,
		TLSClientConfig:        cfg.TLS,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // the answer is stored as it came
		MaxResponseHeaderBytes: headerMost,
		MaxIdleConns:           2000,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        time.Minute,
	}
	return &Client{
		agent: strings.TrimSuffix("Belfry/"+cfg.Version, "/"),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// idlePerHost is how many connections to one host are kept: a host may be a
// gateway of many destinations, each with a window of attempts.
const idlePerHost = 512

// Request is a POST of JSON.
type Request struct {
	URL    string
	Body   []byte
	Header http.Header // names are sent as they are written; Content-Type and User-Agent have defaults
	// Hidden are the names of headers whose values are secrets.
	Hidden []string
	// Secrets are texts that are replaced in everything that the Result holds; see
	// [URLSecrets].
	Secrets []string
}

// Post makes one attempt within ctx's deadline. Failures are part of the Result.
func (c *Client) Post(ctx context.Context, in Request) (r delivery.Result) {
	defer func() { in.mask(&r) }()
	r.Body = in.Body
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, in.URL, bytes.NewReader(in.Body))
	if err != nil {
		r.Fault = delivery.Permanent
		r.Error = "the URL is not one"
		return r
	}
	req.URL.RawQuery = escapeQuery(req.URL.RawQuery)
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", c.agent)
	maps.Copy(h, in.Header)
	hidden := map[string]string{}
	for _, name := range in.Hidden {
		hidden[name] = Masked
	}
	r.Request = shown(h, hidden)
	res, err := c.client.Do(req)
	if err != nil {
		r.Fault, r.Error = fault(ctx, err)
		return r
	}
	defer res.Body.Close()
	r.Status = res.StatusCode
	r.Response = shown(res.Header, map[string]string{"Set-Cookie": "(not kept)"})
	answer, err := io.ReadAll(io.LimitReader(res.Body, readMost))
	r.Answer = answer[:min(len(answer), keepMost)]
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		r.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	}
	if err != nil && (r.Status < 200 || r.Status > 299) {
		// The status is known, so it decides; a 2xx whose body breaks off was accepted.
		r.Error = "the answer broke off"
	}
	return r
}

// Masked replaces a secret in what is stored and shown.
const Masked = "(secret)"

// mask replaces the secrets in a result. The longest are replaced first: one may be
// part of another.
func (in *Request) mask(r *delivery.Result) {
	if len(in.Secrets) == 0 {
		return
	}
	list := slices.Clone(in.Secrets)
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range list {
		if s != "" {
			pairs = append(pairs, s, Masked)
		}
	}
	replacer := strings.NewReplacer(pairs...)
	r.Body = []byte(replacer.Replace(string(r.Body)))
	r.Answer = []byte(replacer.Replace(string(r.Answer)))
	r.Error = replacer.Replace(r.Error)
	for _, headers := range [][]delivery.Header{r.Request, r.Response} {
		for i := range headers {
			headers[i].Value = replacer.Replace(headers[i].Value)
		}
	}
}

// escapeQuery percent-encodes the characters that a query may not have (RFC 3986,
// 3.4). The path and the host are encoded by net/http.
func escapeQuery(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '%' && i+2 < len(s) && hexDigit(s[i+1]) && hexDigit(s[i+2]),
			c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~!$&'()*+,;=:@/?", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// longestRetryAfter is longer than the engine ever waits.
const longestRetryAfter = 365 * 24 * time.Hour

// retryAfter reads the header (RFC 9110, 10.2.3): seconds or a date; 0 when it is
// neither. A number that is too large for a duration is longestRetryAfter.
func retryAfter(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if s != "" && strings.Trim(s, "0123456789") == "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n > int64(longestRetryAfter/time.Second) {
			return longestRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// shown are headers as they are kept, in a fixed order, secrets replaced.
func shown(h http.Header, masked map[string]string) []delivery.Header {
	const most, longest = 50, 500
	var list []delivery.Header
	for _, name := range sorted(h) {
		for _, v := range h[name] {
			if mask := masked[name]; mask != "" {
				v = mask
			}
			if len(v) > longest {
				v = v[:longest] + "…"
			}
			if len(list) < most {
				list = append(list, delivery.Header{
					Name:  strings.ToValidUTF8(name, "?"),
					Value: strings.ToValidUTF8(strings.ReplaceAll(v, "\x00", ""), "?"),
				})
			}
		}
	}
	return list
}

// WithParameter sets a parameter of a URL's query; an address that is no URL is returned as it is.
func WithParameter(address, name, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}
