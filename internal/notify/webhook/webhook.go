// Package webhook sends notifications to URLs: the body is the Cloudflare v4
// API's generic webhook, signed as Standard Webhooks 1.0.0 has it.
//
//	Message -> body -> sign(id.timestamp.body) -> POST through the guarded dialer -> Result
//
// Receivers are not trusted: one deadline holds for the whole attempt, the size of
// an answer is bounded, redirects are not followed, and no connection is made to an
// address that the operator has not allowed.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Limits of an answer: bytes that are read, and bytes that are stored.
const (
	readMost   = 64 << 10
	keepMost   = 16 << 10
	headerMost = 64 << 10 // bytes of a response's headers
)

// Config says what may be reached.
type Config struct {
	Allow []netip.Prefix // networks besides the public Internet (BELFRY_ALLOW_NETWORKS)
	// Lookup resolves names; nil = the system's resolver.
	Lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	Version string      // in User-Agent
	TLS     *tls.Config // for tests with certificates of their own; nil = the system's roots
}

// Channel is the channel of webhooks. Safe for concurrent use.
type Channel struct {
	client *http.Client
	agent  string
}

// New makes the channel; it opens no connection.
func New(cfg Config) *Channel {
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
	return &Channel{
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

// Kind is webhook.
func (*Channel) Kind() string { return notify.KindWebhook }

// payload is the body of a message. The fields up to alert_event are the public
// contract; the rest is Belfry's.
type payload struct {
	Name        string          `json:"name"` // of the policy
	Text        string          `json:"text"`
	Data        json.RawMessage `json:"data"`
	TS          int64           `json:"ts"`
	Account     string          `json:"account_id"`
	PolicyID    string          `json:"policy_id"`
	Policy      string          `json:"policy_name"`
	Type        string          `json:"alert_type"`
	Correlation string          `json:"alert_correlation_id"`
	Event       string          `json:"alert_event,omitempty"`

	ID       string          `json:"alert_id,omitempty"`
	Began    string          `json:"began_at,omitempty"` // RFC 3339
	Severity string          `json:"severity"`
	Changes  []notify.Change `json:"changes"`
	More     int             `json:"changes_more"`
	URL      string          `json:"url"`
}

// Body makes the JSON of a message.
func Body(m *notify.Message) ([]byte, error) {
	b := payload{Name: m.Policy, Text: notify.Text(m), Data: m.Data, TS: m.At.Unix(), Account: m.Account,
		PolicyID: m.PolicyID, Policy: m.Policy, Type: m.Type,
		Correlation: m.Correlation, ID: m.AlertID, Severity: m.Severity, Changes: m.Changes, More: m.More, URL: m.URL}
	if m.Test() {
		b.Name = "Test"
	} else if !m.Began.IsZero() {
		b.Began = m.Began.UTC().Format(time.RFC3339)
	}
	if len(b.Data) == 0 {
		b.Data = json.RawMessage("{}")
	}
	if b.Changes == nil {
		b.Changes = []notify.Change{}
	}
	switch m.Event {
	case event.AlertStart:
		b.Event = "ALERT_STATE_EVENT_START"
	case event.AlertEnd:
		b.Event = "ALERT_STATE_EVENT_END"
	}
	return json.Marshal(b)
}

// Preview is the body of the request.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) {
	body, err := Body(m)
	return notify.Rendered{Body: string(body)}, err
}

// Sign makes the value of webhook-signature: one v1 signature for each key
// (whsec_ and base64), separated by spaces.
func Sign(keys []string, id string, at time.Time, body []byte) (string, error) {
	var list []string
	for _, k := range keys {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(k, "whsec_"))
		if err != nil {
			return "", errors.New("a signing secret is not base64")
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		h.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	return strings.Join(list, " "), nil
}

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) (r delivery.Result) {
	data, err := Body(m)
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: "the message cannot be written as JSON"}
	}
	r.Body = data
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Address, bytes.NewReader(data))
	if err != nil {
		r.Fault = delivery.Permanent
		r.Error = "the URL is not one"
		return r
	}
	req.URL.RawQuery = escapeQuery(req.URL.RawQuery)
	signature, err := Sign(m.Keys, m.ID, m.Sent, data)
	if err != nil {
		r.Fault = delivery.Permanent
		r.Error = err.Error()
		return r
	}
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", c.agent)
	h["webhook-id"] = []string{m.ID} // lower case, as the specification writes them
	h["webhook-timestamp"] = []string{strconv.FormatInt(m.Sent.Unix(), 10)}
	h["webhook-signature"] = []string{signature}
	if m.Secret != "" {
		h["cf-webhook-auth"] = []string{m.Secret}
	}
	r.Request = shown(h, map[string]string{"cf-webhook-auth": "(secret)"})
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
		// The status is known, so it decides; a 2xx whose body breaks off was taken.
		r.Error = "the answer broke off"
	}
	return r
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

// fault explains why there is no answer.
func fault(ctx context.Context, err error) (delivery.Fault, string) {
	var blocked *blockedError
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var alert tls.AlertError
	var protocol textproto.ProtocolError
	text := err.Error()
	switch {
	case errors.As(err, &blocked):
		return delivery.Blocked, blocked.Error()
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return delivery.Timeout, "the receiver did not answer in time"
	case errors.As(err, &dns) && dns.IsNotFound:
		return delivery.NoName, "the name of the receiver does not resolve"
	case errors.As(err, &dns):
		return delivery.Temporary, "the name of the receiver could not be looked up"
	case errors.As(err, &certificate), errors.As(err, &authority):
		return delivery.BadTLS, "the receiver's certificate is not valid"
	case errors.Is(err, http.ErrSchemeMismatch):
		return delivery.BadTLS, "the receiver speaks plain HTTP at this port: write http:// in the URL, or another port"
	case errors.As(err, &record), errors.As(err, &alert), strings.Contains(text, "tls: "):
		return delivery.BadTLS, "the TLS handshake with the receiver failed"
	case strings.Contains(text, "server response headers exceeded"):
		return delivery.Temporary, fmt.Sprintf("the headers of the receiver's answer are longer than %d KiB", headerMost>>10)
	case strings.Contains(text, "Content-Length"):
		return delivery.Temporary, "the receiver's answer has more than one Content-Length, or one that is not a number"
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return delivery.BadTLS, "the receiver speaks TLS at this port: write https:// in the URL"
	case strings.Contains(text, `malformed HTTP response "SSH-`):
		return delivery.Temporary, "the receiver speaks SSH at this port, not HTTP"
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "malformed MIME header"),
		errors.As(err, &protocol):
		return delivery.Temporary, "the receiver does not speak HTTP at this port"
	case strings.Contains(text, "http2: "):
		return delivery.Temporary, "the receiver ended the HTTP/2 connection without an answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return delivery.Temporary, "the receiver closed the connection without an answer"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return delivery.Temporary, "the receiver reset the connection"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return delivery.Temporary, "the receiver does not take connections"
	}
	return delivery.Temporary, "the connection to the receiver broke off"
}
