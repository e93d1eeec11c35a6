package site

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Visitor is a browser without scripts, with cookies of its own. It does not
// follow redirects.
type Visitor struct {
	URL string // of the server

	t      *runner
	client *http.Client
}

// NewVisitor visits any server, such as that of a whole Belfry.
func NewVisitor(t testing.TB, serverURL string) *Visitor {
	t.Helper()
	return newVisitor(&runner{t}, serverURL)
}

func newVisitor(t *runner, serverURL string) *Visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Visitor{URL: serverURL, t: t, client: &http.Client{
		Jar:           jar,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// SignIn uses a one-time link.
func (v *Visitor) SignIn(link string) *Visitor {
	v.t.Helper()
	v.Post("/sign-in", "link", Secret(link)).Expect(http.StatusSeeOther)
	return v
}

// Secret is the secret of a one-time link.
func Secret(link string) string {
	_, secret, _ := strings.Cut(link, "link=")
	return secret
}

// Cookies are the visitor's cookies, for a real browser.
func (v *Visitor) Cookies() []*http.Cookie {
	v.t.Helper()
	u, err := url.Parse(v.URL)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.client.Jar.Cookies(u)
}

// Client is an HTTP client with the visitor's cookies and without a limit of time: for streams, and for requests that
// no page makes.
func (v *Visitor) Client() *http.Client {
	return &http.Client{Jar: v.client.Jar, CheckRedirect: v.client.CheckRedirect}
}

// Get opens a page. headers are names and values.
func (v *Visitor) Get(path string, headers ...string) *Page {
	v.t.Helper()
	return v.send(http.MethodGet, path, "", headers)
}

// Fragment asks for a part of a page as htmx does; target is the element that
// gets it, such as tr#tokens-more.
func (v *Visitor) Fragment(path, target string) *Page {
	v.t.Helper()
	return v.Get(path, "HX-Request", "true", "HX-Target", target)
}

// Post sends a form, as a page of the same site does. fields are names and
// values.
func (v *Visitor) Post(path string, fields ...string) *Page {
	v.t.Helper()
	return v.PostFrom("same-origin", path, fields...)
}

// PostFrom sends a form from a page elsewhere: from is a value of the header
// Sec-Fetch-Site.
func (v *Visitor) PostFrom(from, path string, fields ...string) *Page {
	v.t.Helper()
	return v.post(from, path, values(fields))
}

func (v *Visitor) post(from, path string, form url.Values) *Page {
	v.t.Helper()
	headers := []string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", from}
	return v.send(http.MethodPost, path, form.Encode(), headers)
}

func values(fields []string) url.Values {
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return form
}

func (v *Visitor) send(method, path, body string, headers []string) *Page {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.URL+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return &Page{
		Status:   res.StatusCode,
		Location: res.Header.Get("Location"),
		Header:   res.Header,
		Body:     string(b),
		path:     path,
		visitor:  v,
	}
}

// Page is the answer to a visitor.
type Page struct {
	Status   int
	Location string
	Header   http.Header
	Body     string

	path    string
	visitor *Visitor
}

// Expect ends the test unless the page has the status.
func (p *Page) Expect(status int) *Page {
	p.visitor.t.Helper()
	if p.Status != status {
		p.visitor.t.Fatalf("%s: status %d (to %q): expected %d: %s", p.path, p.Status, p.Location, status, p.Text())
	}
	return p
}

// Says fails the test for each of the texts that is not in the page's HTML.
func (p *Page) Says(texts ...string) *Page {
	p.visitor.t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.Body, text) {
			p.visitor.t.Errorf("%s: %d: the page lacks %q: %s", p.path, p.Status, text, p.Text())
		}
	}
	return p
}

// Lacks fails the test for each of the texts that is in the page's HTML.
func (p *Page) Lacks(texts ...string) *Page {
	p.visitor.t.Helper()
	for _, text := range texts {
		if strings.Contains(p.Body, text) {
			p.visitor.t.Errorf("%s: %d: the page has %q: %s", p.path, p.Status, text, p.Text())
		}
	}
	return p
}

// Links fails the test for each of the paths to which the page has no link.
func (p *Page) Links(paths ...string) *Page {
	p.visitor.t.Helper()
	links := map[string]bool{}
	for _, l := range LinksOf(p.Body) {
		links[l.Href] = true
	}
	for _, path := range paths {
		if !links[path] {
			p.visitor.t.Errorf("%s: no link leads to %s: %s", p.path, path, p.Text())
		}
	}
	return p
}

// RedirectsTo ends the test unless the browser is sent to the path.
func (p *Page) RedirectsTo(path string) *Page {
	p.visitor.t.Helper()
	if p.Status != http.StatusSeeOther || p.Location != path {
		p.visitor.t.Fatalf("%s: status %d to %q: expected 303 to %q: %s", p.path, p.Status, p.Location, path, p.Text())
	}
	return p
}

// Find is the first group of a pattern in the page's HTML. The test ends where
// nothing matches.
func (p *Page) Find(pattern string) string {
	p.visitor.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.Body)
	if m == nil {
		p.visitor.t.Fatalf("%s: nothing matches %s: %s", p.path, pattern, p.Text())
	}
	return m[1]
}

// Submit sends the form with the button of this label, with what the form shows
// and the given fields, which are names and values.
func (p *Page) Submit(button string, fields ...string) *Page {
	p.visitor.t.Helper()
	for _, f := range FormsOf(p.Body) {
		if !f.hasButton(button) {
			continue
		}
		for name, list := range values(fields) {
			f.Fields[name] = list
		}
		action := f.Action
		if action == "" {
			action = p.path
		}
		if f.Post {
			return p.visitor.post("same-origin", action, f.Fields)
		}
		return p.visitor.Get(action + "?" + f.Fields.Encode())
	}
	p.visitor.t.Fatalf("%s: no form has the button %q: %s", p.path, button, p.Text())
	return nil
}

var invisible = regexp.MustCompile(`(?s)<(head|svg).*?</(head|svg)>|<[^>]*>`)

// Text returns the visible text of the page.
func (p *Page) Text() string {
	return strings.Join(strings.Fields(invisible.ReplaceAllString(p.Body, " ")), " ")
}
