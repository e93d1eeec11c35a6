package ui_test

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func newUI(t *testing.T) *ui.UI {
	t.Helper()
	u, err := ui.New(ui.Options{Now: func() time.Time { return galleryNow }})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func parse(t *testing.T, text string) *ui.Page {
	t.Helper()
	page, err := newUI(t).Parse(templateFiles(text), "page.html")
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func templateFiles(text string) fstest.MapFS {
	return fstest.MapFS{"page.html": {Data: []byte(text)}}
}

func html(t *testing.T, text string, data any) string {
	t.Helper()
	s, err := parse(t, `{{define "x"}}`+text+`{{end}}`).HTML("x", data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheGalleryIsCleanToTheLint(t *testing.T) {
	if err := ui.Lint(os.DirFS("testdata")); err != nil {
		t.Error(err)
	}
}

func TestOurOwnTemplatesAreCleanToTheLintButForTheirNames(t *testing.T) {
	err := ui.Lint(os.DirFS("templates"))
	if err == nil {
		t.Fatal("the names are ui's own: expected faults")
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if !strings.Contains(line, "the name is one of ui's") {
			t.Error(line)
		}
	}
}

func TestTheLintRefusesWhatThePolicyWouldBlock(t *testing.T) {
	for fault, text := range map[string]string{
		"inline handlers":        "<p>\n<b onclick='x()'>",
		"inline styles":          `<p style="color:red">`,
		"<style>":                `<style>p{}</style>`,
		"inline scripts":         `<script>x()</script>`,
		"hx-on evaluates":        `<b hx-on:click="x()">`,
		"trigger filters":        `<b hx-get="/" hx-trigger="click[ctrlKey]">`,
		"a script in a value":    `<b hx-vals='js:{a:1}'>`,
		"another origin":         `<img src="//cdn.example/x.png">`,
		"our own origin only":    `<b hx-get="https://other.example/">`,
		"no parameter \"Lable\"": `{{template "button" (dict "Label" "x" "Lable" "y")}}`,
		"\"Label\" is missing":   `{{if .}}{{else}}{{template "button" (dict "Icon" "x")}}{{end}}`,
		"one of ui's":            `{{define "button"}}{{end}}`,
	} {
		err := ui.Lint(templateFiles(text))
		if err == nil || !strings.Contains(err.Error(), fault) || !strings.Contains(err.Error(), "page.html") {
			t.Errorf("%s: got %v, expected a fault that says %q", text, err, fault)
		}
		if _, err := newUI(t).Parse(templateFiles(text), "page.html"); err == nil {
			t.Errorf("%s: Parse let it pass", text)
		}
	}
	err := ui.Lint(templateFiles("<p>\n\n<b onclick=x>"))
	if err == nil || !strings.Contains(err.Error(), "page.html:3:") {
		t.Errorf("got %v, expected the line of the fault", err)
	}
	good := `<a href="https://example.com">x</a><script type="application/json">{{.}}</script>` +
		`{{template "button" (dict "Label" .X)}}`
	if err := ui.Lint(templateFiles(good)); err != nil {
		t.Errorf("a link, a data block and a good call: %v", err)
	}
}

func TestWhatPeopleTypedIsEscapedEverywhere(t *testing.T) {
	const bad = `"><script>alert(1)</script>`
	for name, text := range map[string]string{
		"sentence":  `{{sentence .S}}`,
		"avatar":    `{{avatar .T "user"}}`,
		"json":      `{{template "json" (dict "Value" .T)}}`,
		"kbd":       `{{kbd .T}}`,
		"value":     `{{template "value" (dict "Key" .T "Value" .T)}}`,
		"code":      `{{template "code" (dict "Text" .T "Label" .T)}}`,
		"row":       `{{template "row" (dict "Sentence" .T "Actor" .T "Action" .T "Note" .T "Href" .T)}}`,
		"attrs":     `<b{{attrs "data-x" .T}}></b>`,
		"diff":      `{{template "diff" (dict "Lines" (linediff nil .T) "Left" .T)}}`,
		"chart":     `{{template "chart" (dict "Chart" .C)}}`,
		"copyable":  `{{template "copyable" (dict "Text" .T "Label" .T)}}`,
		"toast":     `{{template "toast" (dict "Text" .T)}}`,
		"textarea":  `{{template "textarea" (dict "Label" .T "Name" "n" "Value" .T)}}`,
		"changes":   `{{template "changes" (dict "Changes" .Ch)}}`,
		"menu item": `{{template "menu" (dict "Label" .T "Items" .L)}}`,
	} {
		one := 1.0
		got := html(t, text, map[string]any{
			"T": bad,
			"S": ui.Sentence{{Text: bad, Strong: true, Code: true, Key: bad, Value: bad}, {Text: bad, Href: bad}},
			"C": ui.Chart{
				Label:  bad,
				X:      []int64{1},
				Series: []ui.ChartSeries{{Name: bad, Y: []*float64{&one}}},
				Marks:  []ui.ChartMark{{Label: bad, Href: bad}},
			},
			"Ch": []ui.Change{{Path: bad, Op: "changed", Old: bad, New: bad}},
			"L":  []ui.Link{{Label: bad, Href: "javascript:alert(1)"}},
		})
		if strings.Contains(got, "<script>") || strings.Contains(got, `href="javascript`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := html(t, `{{sentence .}}`, ui.Sentence{{Text: "x", Href: "javascript:alert(1)"}}); got != "x" {
		t.Errorf("a link to a script: got %s", got)
	}
	for _, bad := range []string{`{{attrs "onclick" "x"}}`, `{{attrs "hx-on:click" "x"}}`, `{{attrs "hx-vals" "js:x"}}`,
		`{{attrs "style" "x"}}`} {
		if _, err := parse(t, `{{define "x"}}<b `+bad+`></b>{{end}}`).HTML("x", nil); err == nil {
			t.Errorf("%s: expected an error", bad)
		}
	}
}

func TestAMissingParameterPrintsNothing(t *testing.T) {
	for _, text := range []string{
		`{{template "button" (dict "Label" "x")}}`, `{{template "row" (dict "Sentence" "x")}}`,
		`{{template "search" (dict "Action" "/")}}`,
		`{{template "field" (dict "Label" "x" "Name" "x")}}`, `{{template "status" (dict "Label" "x")}}`,
		`{{template "stat" (dict "Label" "x" "Value" "y")}}`,
		`{{template "empty" (dict "Title" "x")}}`, `{{template "more" (dict "ID" "x")}}`,
		`{{template "menu" (dict "Label" "x" "Items" (list))}}`,
	} {
		if got := html(t, text, nil); strings.Contains(got, "no value") || strings.Contains(got, "nil") {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func get(
	t *testing.T,
	page *ui.Page,
	shell ui.Shell,
	name string,
	data any,
	headers ...string,
) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	w := httptest.NewRecorder()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if err := page.Render(w, r, shell, name, data); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestHtmxGetsTheFragmentOfItsTargetAndABrowserTheWholePage(t *testing.T) {
	page := parse(t, `{{define "list"}}<h1>List</h1><ol id="rows">{{template "list#rows" .}}</ol>{{end}}`+
		`{{define "list#rows"}}<li>{{.}}</li>{{end}}`)
	whole := func(w *httptest.ResponseRecorder) bool {
		return strings.Contains(w.Body.String(), "<!doctype html>") && strings.Contains(w.Body.String(), "<h1>List</h1>")
	}
	for name, headers := range map[string][]string{
		"no htmx": nil,
		"boosted": {"HX-Request", "true", "HX-Boosted", "true"},
		"history": {"HX-Request", "true", "HX-History-Restore-Request", "true"},
		"full":    {"HX-Request", "true", "HX-Request-Type", "full"},
	} {
		if w := get(t, page, ui.Shell{Title: "T"}, "list", "a<b", headers...); !whole(w) {
			t.Errorf("%s: expected the whole page, got %s", name, w.Body)
		}
	}
	if got := get(t, page, ui.Shell{}, "list", "a<b", "HX-Request", "true", "HX-Target", "ol#rows").
		Body.String(); got != "<li>a&lt;b</li>" {
		t.Errorf("the target's fragment: got %s", got)
	}
	if got := get(t, page, ui.Shell{}, "list", "a", "HX-Request", "true", "HX-Target", "div#other").
		Body.String(); got != `<h1>List</h1><ol id="rows"><li>a</li></ol>` {
		t.Errorf("no template for the target: got %s", got)
	}
}

func TestAFailedTemplateWritesNothing(t *testing.T) {
	page := parse(t, `{{define "x"}}<p>begun</p>{{.Missing.Field}}{{end}}`)
	w := httptest.NewRecorder()
	err := page.Render(w, httptest.NewRequest(http.MethodGet, "/", nil), ui.Shell{}, "x",
		struct{ Missing any }{template.HTML("x")})
	if err == nil || w.Body.Len() != 0 || len(w.Header()) != 0 {
		t.Errorf("got error %v, body %q, header %v", err, w.Body, w.Header())
	}
}

func TestThePolicyHasNoHoleAndOnlyCustomersPagesAreFramed(t *testing.T) {
	u, err := ui.New(ui.Options{FrameAncestors: []string{"https://portal.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	for face, ancestors := range map[ui.Face]string{
		ui.Customer: "frame-ancestors 'self' https://portal.example.com",
		ui.Operator: "frame-ancestors 'none'",
	} {
		h := http.Header{}
		u.Secure(h, face)
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'self'; script-src 'self'; style-src 'self';") ||
			strings.Contains(csp, "unsafe") || !strings.HasSuffix(csp, ancestors) {
			t.Errorf("%v: %s", face, csp)
		}
		if h.Get("Cache-Control") != "private, no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v: %v", face, h)
		}
	}
	for _, bad := range []string{"portal.example.com", "https://x.example/path", "https://x.example; script-src *", "*",
		"'unsafe-inline'"} {
		if _, err := ui.New(ui.Options{FrameAncestors: []string{bad}}); err == nil {
			t.Errorf("%q is no origin: expected an error", bad)
		}
	}
}

func TestAProblemShowsWhatIsForCallersOnly(t *testing.T) {
	u, secret := newUI(t), "dial tcp 10.0.0.1"
	err := errs.New(errs.CodeUnavailable, "the database does not answer").
		Because(errs.New(errs.CodeInternal, "%s", secret))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	if e := u.Problem(w, r, ui.Shell{Face: ui.Plain}, err, "req_1"); e != nil {
		t.Fatal(e)
	}
	body := w.Body.String()
	if w.Code != 503 || !strings.Contains(body, "The database does not answer") ||
		!strings.Contains(body, "/docs/errors/1002") || !strings.Contains(body, "req_1") || strings.Contains(body, secret) {
		t.Errorf("%d %s", w.Code, body)
	}
	r.Header.Set("HX-Request", "true")
	w = httptest.NewRecorder()
	if e := u.Problem(w, r, ui.Shell{}, err, "req_1"); e != nil {
		t.Fatal(e)
	}
	if w.Header().Get("HX-Retarget") != "#toasts" || strings.Contains(w.Body.String(), "<html") {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
}
