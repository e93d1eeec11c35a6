package belfry

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// AuditRequests audits requests to next: after it answered, describe makes the
// event of the request (false: none). Request, Actor.IPAddress and
// Action.Result (Failure from status 400 on) are filled in where describe left
// them empty. Handlers inside next may also call Audit themselves with the
// request's context, which fills in the same except for what is not known yet.
//
// The answer is on its way when the event is taken, so an event that cannot be
// taken goes to OnError as an *AuditError. Where no change may happen without
// its record, call Audit in the handler before it answers. A panic of next is
// audited as status 500 and goes on.
func (c *Client) AuditRequests(next http.Handler, describe func(*http.Request) (Event, bool)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(c.ContextWithRequest(r.Context(), r))
		sw := &statusWriter{ResponseWriter: w}
		done := false
		defer func() {
			status := sw.status
			if !done && status == 0 {
				status = http.StatusInternalServerError
			} else if status == 0 {
				status = http.StatusOK
			}
			c.auditRequest(r, status, describe)
		}()
		next.ServeHTTP(sw, r)
		done = true
	})
}

func (c *Client) auditRequest(r *http.Request, status int, describe func(*http.Request) (Event, bool)) {
	e, ok := describe(r)
	if !ok {
		return
	}
	// A caller who went away is no reason to forget what was done for it.
	ctx := context.WithoutCancel(r.Context())
	fillFromContext(ctx, &e)
	if e.Request.StatusCode == 0 {
		e.Request.StatusCode = status // fillFromContext made a Request of its own
	}
	if e.Action.Result == "" {
		e.Action.Result = Success
		if status >= 400 {
			e.Action.Result = Failure
		}
	}
	if e.ID == "" {
		e.ID = NewID()
	}
	if err := c.Audit(ctx, e); err != nil {
		c.report(&AuditError{Event: e, Err: err})
	}
}

// AuditError is an event of AuditRequests that Audit did not take.
type AuditError struct {
	Event Event
	Err   error
}

func (e *AuditError) Error() string {
	return fmt.Sprintf("belfry: event %s of a request was not taken: %v", e.Event.ID, e.Err)
}

func (e *AuditError) Unwrap() error { return e.Err }

type requestKey struct{}

type requestOrigin struct {
	request Request
	address string
}

// ContextWithRequest returns a context with which Audit fills in the event's
// Request and Actor.IPAddress from r: the method, the path without its query,
// the user agent, the client's address, and as id the W3C traceparent if r has
// a valid one, otherwise its X-Request-Id.
func (c *Client) ContextWithRequest(ctx context.Context, r *http.Request) context.Context {
	id := r.Header.Get("Traceparent")
	if !validTraceparent(id) {
		id = clip(r.Header.Get("X-Request-Id"), 128)
	}
	return context.WithValue(ctx, requestKey{}, requestOrigin{
		request: Request{
			ID: id, Method: clip(r.Method, 32), URI: clip(r.URL.EscapedPath(), 2048), UserAgent: clip(r.UserAgent(), 1024),
		},
		address: clientAddress(r, c.cfg.TrustedProxies),
	})
}

func fillFromContext(ctx context.Context, e *Event) {
	o, ok := ctx.Value(requestKey{}).(requestOrigin)
	if !ok {
		return
	}
	if e.Request != nil { // what the caller said stands
		given := *e.Request
		o.request.ID = cmp.Or(given.ID, o.request.ID)
		o.request.Method = cmp.Or(given.Method, o.request.Method)
		o.request.URI = cmp.Or(given.URI, o.request.URI)
		o.request.UserAgent = cmp.Or(given.UserAgent, o.request.UserAgent)
		o.request.StatusCode = given.StatusCode
	}
	e.Request = &o.request // of this call alone
	if e.Actor.IPAddress == "" {
		e.Actor.IPAddress = o.address
	}
}

// clip makes text of a stranger fit for an event: valid UTF-8 of at most n
// bytes.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// validTraceparent follows W3C Trace Context, 3.2.2: version, trace id, parent
// id and flags in lower-case hexadecimal; neither id is zero, no version ff.
func validTraceparent(s string) bool {
	if len(s) < 55 || len(s) > 128 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return false
	}
	if len(s) > 55 && (s[:2] == "00" || s[55] != '-') {
		return false
	}
	zero := func(part string) bool { return strings.Trim(part, "0") == "" }
	for i := range 55 {
		c := s[i]
		if i != 2 && i != 35 && i != 52 && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	for i := 55; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return !zero(s[3:35]) && !zero(s[36:52])
}

// clientAddress is the nearest address that no trusted proxy vouches away:
// X-Forwarded-For read from the right, as far as each hop is trusted.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && contains(trusted, address); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break // what is left of a broken hop proves nothing
		}
		address = hop
	}
	return address.Unmap().WithZone("").String()
}

// parseHop reads an address, with or without a port or brackets, as the server
// does; sdk/vectors/forwarded.json states the cases.
func parseHop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr(), true
	}
	address, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return address, err == nil
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// statusWriter remembers the status. Unwrap serves http.ResponseController;
// Flush and Hijack serve those who ask for the interfaces.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush does nothing where the connection cannot be flushed.
func (w *statusWriter) Flush() {
	if http.NewResponseController(w.ResponseWriter).Flush() == nil && w.status == 0 {
		w.status = http.StatusOK
	}
}

// Hijack fails with http.ErrNotSupported where it is not possible.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
