package ui

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Page is a feature's templates, parsed with the layout and the components.
type Page struct {
	ui  *UI
	set *template.Template
}

// Parse lints the files and parses them over a clone of the base. A template
// that takes the name of one of this package's is an error.
func (u *UI) Parse(fsys fs.FS, patterns ...string) (*Page, error) {
	if err := u.lint(fsys, patterns); err != nil {
		return nil, err
	}
	set, err := u.base.Clone()
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	if set, err = set.ParseFS(fsys, patterns...); err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	if err := undefined(set); err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	return &Page{ui: u, set: set}, nil
}

// layoutData is the data of templates/layout.html.
type layoutData struct {
	Shell
	Body template.HTML
}

// Render answers with the template name inside the shell, or, to an htmx
// request, with the fragment alone: "name#ID" where ID is the id of the
// request's target and such a template exists, else name. It writes nothing
// when it returns an error.
func (p *Page) Render(w http.ResponseWriter, r *http.Request, shell Shell, name string, data any) error {
	fragment := Fragment(r)
	if fragment {
		if part := name + "#" + Target(r); p.set.Lookup(part) != nil {
			name = part
		}
	}
	var body bytes.Buffer
	if err := p.set.ExecuteTemplate(&body, name, data); err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	if !fragment {
		var whole bytes.Buffer
		l := layoutData{Shell: shell, Body: template.HTML(body.String())} //nolint:gosec // executed by html/template just now
		if err := p.set.ExecuteTemplate(&whole, "layout", l); err != nil {
			return fmt.Errorf("ui: %w", err)
		}
		body = whole
	}
	if !fragment && shell.MaxAge == 0 {
		deleteFlash(w, r)
	}
	h := w.Header()
	p.ui.Secure(h, shell.Face)
	if shell.MaxAge > 0 && !fragment {
		if Cached(w, r, body.Bytes(), shell.MaxAge) {
			return nil
		}
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	status := shell.Status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// A client that disconnected is not an error.
		_, _ = w.Write(body.Bytes())
	}
	return nil
}

// Cached sets the headers by which caches may keep an answer for everybody, and answers 304 when the client has it. It
// reports whether the answer is complete.
func Cached(w http.ResponseWriter, r *http.Request, body []byte, maxAge time.Duration) bool {
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds())))
	h.Set("ETag", etag)
	for one := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == etag || one == "*" {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// HTML executes one template to a string, for a row that a live stream sends.
func (p *Page) HTML(name string, data any) (string, error) {
	var b strings.Builder
	if err := p.set.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("ui: %w", err)
	}
	return b.String(), nil
}

// Fragment reports whether the request wants a fragment: it comes from htmx
// and is neither a boosted link nor a step in the history.
func Fragment(r *http.Request) bool {
	h := r.Header
	return h.Get("HX-Request") == "true" && h.Get("HX-Boosted") == "" &&
		h.Get("HX-History-Restore-Request") == "" && h.Get("HX-Request-Type") != "full"
}

// Refresh reports whether a part of an open page asked for itself again
// (refresh.js). Such a request shows no action of the visitor.
func Refresh(r *http.Request) bool { return r.Header.Get("Belfry-Refresh") == "true" }

// Target is the id of the element that an htmx request will put the answer in,
// or "". htmx 4 sends TAG#ID.
func Target(r *http.Request) string {
	_, id, _ := strings.Cut(r.Header.Get("HX-Target"), "#")
	if s, err := url.PathUnescape(id); err == nil {
		return s
	}
	return id
}

// Secure sets the headers of every answer that is a page: nothing is kept by
// caches, nothing runs or loads that is not our own file, and only the
// configured origins may frame a customer's page.
func (u *UI) Secure(h http.Header, face Face) {
	h.Set("Content-Security-Policy", u.csp[face])
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Add("Vary", "HX-Request, HX-Target")
}

// policies are the content security policies by face (CSP Level 3).
func policies(ancestors []string) (map[Face]string, error) {
	const own = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
		"connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors "
	framed := "'none'"
	if len(ancestors) > 0 {
		framed = "'self'"
	}
	for _, a := range ancestors {
		o, err := url.Parse(a)
		if err != nil || (o.Scheme != "https" && o.Scheme != "http") || o.Host == "" ||
			o.Path != "" || o.RawQuery != "" || o.User != nil || strings.ContainsAny(a, " ;,'\r\n") {
			return nil, fmt.Errorf("ui: frame ancestor %q: expected an origin such as https://portal.example.com", a)
		}
		framed += " " + a
	}
	return map[Face]string{
		Customer: own + framed,
		Plain:    own + framed,
		Public:   own + framed,
		Operator: own + "'none'",
	}, nil
}
