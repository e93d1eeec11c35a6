package app_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"go/format"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	testsite "github.com/belfryhq/belfry/test/site"
)

// docsSite reads the pages of /docs without a session.
type docsSite struct {
	*site
	pages map[string]string // HTML by address
}

func newDocsSite(t *testing.T) *docsSite {
	t.Helper()
	return &docsSite{newSite(t), map[string]string{}}
}

// open asks for a page of any status.
func (d *docsSite) open(path string, headers ...string) (*http.Response, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.url+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res, string(body)
}

// page is a page that exists.
func (d *docsSite) page(path string) string {
	d.t.Helper()
	if body, ok := d.pages[path]; ok {
		return body
	}
	res, body := d.open(path)
	if res.StatusCode != http.StatusOK {
		d.t.Errorf("%s: %d", path, res.StatusCode)
	}
	d.pages[path] = body
	return body
}

// addresses are those of all pages, from /llms.txt.
func (d *docsSite) addresses() []string {
	d.t.Helper()
	_, text := d.open("/llms.txt")
	list := []string{"/docs"}
	listed := regexp.MustCompile(`\]\(` + regexp.QuoteMeta(d.url) + `(/docs/[^)]*)\.md\)`)
	for _, m := range listed.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	if len(list) < 150 || !slices.Contains(list, "/docs/guide/start") || !slices.Contains(list, "/docs/errors/1103") {
		d.t.Fatalf("/llms.txt lists %d pages: %v", len(list), list)
	}
	return list
}

func TestEveryOperationHasAPageWithCodeAndAnswer(t *testing.T) {
	d := newDocsSite(t)
	_, llms := d.open("/llms.txt")
	home := d.page("/docs")
	var index []struct{ K, T, S, H, W string }
	if _, text := d.open("/docs/search.json"); json.Unmarshal([]byte(text), &index) != nil {
		t.Fatal(text)
	}
	for _, rt := range d.app.API.Routes() {
		path := strings.ReplaceAll(rt.Path, "...}", "}")
		address := "/docs/api/" + rt.ID
		page := d.page(address)
		words := visible(page)
		for _, want := range []string{rt.Method + " " + path, "curl", "Answer"} {
			if !strings.Contains(strings.ReplaceAll(words, "DEL /", "DELETE /"), want) {
				t.Errorf("%s lacks %q", address, want)
			}
		}
		if rt.Permission != "" && rt.Permission != "any" && !strings.Contains(words, rt.Permission) {
			t.Errorf("%s does not name the permission %s", address, rt.Permission)
		}
		for _, label := range []string{"curl", "Go", "Python", "JavaScript", "Answer"} {
			if code(t, page, label) == "" {
				t.Errorf("%s has no code of %s", address, label)
			}
		}
		source := code(t, page, "Go")
		if formatted, err := format.Source([]byte(source)); err != nil || string(formatted) != source {
			t.Errorf("%s: the Go sample is not formatted Go: %v\n%s", address, err, source)
		}
		_, markdown := d.open(address + ".md")
		for _, want := range []string{"`" + rt.Method + " " + path + "`", "```sh\ncurl", "## Errors"} {
			if !strings.Contains(markdown, want) {
				t.Errorf("%s.md lacks %q", address, want)
			}
		}
		if !strings.Contains(llms, d.url+address+".md") {
			t.Errorf("/llms.txt lacks %s", address)
		}
		if !strings.Contains(home, `id="`+rt.ID+`"`) {
			t.Errorf("/docs has no anchor %s, which was its address", rt.ID)
		}
		found := false
		for _, e := range index {
			found = found || e.H == address && strings.Contains(e.W, rt.ID)
		}
		if !found {
			t.Errorf("the search does not know %s", rt.ID)
		}
	}
}

var (
	wordBreak = regexp.MustCompile(`<wbr>|</?b>`)
	preTag    = regexp.MustCompile(`(?s)<pre [^>]*aria-label="([^"]*)"[^>]*>(.*?)</pre>`)
	anyTag    = regexp.MustCompile(`<[^>]*>`)
	idTag     = regexp.MustCompile(`\sid="([^"]+)"`)
)

// visible is the text of a page.
func visible(body string) string {
	text := anyTag.ReplaceAllString(wordBreak.ReplaceAllString(body, ""), " ")
	return html.UnescapeString(strings.Join(strings.Fields(text), " "))
}

// code is a block of code by its label; "" = there is none.
func code(t *testing.T, body, label string) string {
	t.Helper()
	for _, m := range preTag.FindAllStringSubmatch(body, -1) {
		if m[1] == label {
			return html.UnescapeString(anyTag.ReplaceAllString(m[2], ""))
		}
	}
	return ""
}

func TestDocumentationPagesAreServedFromMemory(t *testing.T) {
	d := newDocsSite(t)
	list := append(d.addresses(), "/llms.txt", "/docs/search.json")
	for _, address := range list {
		paths := []string{address}
		if !strings.HasSuffix(address, ".txt") && !strings.HasSuffix(address, ".json") {
			paths = append(paths, address+".md")
		}
		for _, path := range paths {
			d.servedFromMemory(path)
		}
	}
}

func (d *docsSite) servedFromMemory(path string) {
	d.t.Helper()
	res, body := d.open(path)
	tag := res.Header.Get("ETag")
	if res.StatusCode != http.StatusOK || tag == "" || body == "" {
		d.t.Fatalf("%s: %d %v", path, res.StatusCode, res.Header)
	}
	if again, rest := d.open(path, "If-None-Match", tag); again.StatusCode != http.StatusNotModified || rest != "" {
		d.t.Errorf("%s again: %d, %d bytes", path, again.StatusCode, len(rest))
	}
	zipped, packed := d.open(path, "Accept-Encoding", "gzip")
	if zipped.Header.Get("Content-Encoding") == "gzip" {
		r, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil {
			d.t.Fatal(err)
		}
		if plain, err := io.ReadAll(r); err != nil || string(plain) != body {
			d.t.Errorf("%s: the compressed answer is another one (%v)", path, err)
		}
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		return
	}
	if !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		d.t.Errorf("%s is not whole", path)
	}
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "unsafe") {
		d.t.Errorf("%s: policy %q", path, policy)
	}
	for _, bad := range []string{"<style", " style=", " onclick", "//cdn", `src="http`} {
		if strings.Contains(body, bad) {
			d.t.Errorf("%s has %s", path, bad)
		}
	}
}

// repositoryFile is a link to a file that the server does not show.
const repositoryFile = "https://github.com/belfryhq/belfry/blob/main/"

func TestNoLinkOfTheDocumentationIsDead(t *testing.T) {
	d := newDocsSite(t)
	seen := map[string]bool{}
	for _, address := range d.addresses() {
		for _, l := range testsite.LinksOf(d.page(address)) {
			d.follows(address, l.Href, seen)
		}
	}
	if len(seen) < 250 {
		t.Errorf("only %d links were followed", len(seen))
	}
}

func (d *docsSite) follows(from, href string, seen map[string]bool) {
	d.t.Helper()
	to, err := url.Parse(href)
	if err != nil {
		d.t.Errorf("%s: %q: %v", from, href, err)
		return
	}
	if file, ok := strings.CutPrefix(href, repositoryFile); ok {
		file, _, _ = strings.Cut(file, "#")
		if _, err := os.Stat(filepath.Join("..", "..", file)); err != nil {
			d.t.Errorf("%s links to the file %s, which does not exist", from, file)
		}
		return
	}
	if to.IsAbs() {
		return
	}
	path := to.Path
	if path == "" {
		path = from
	}
	whole := path + "#" + to.Fragment
	if seen[whole] {
		return
	}
	seen[whole] = true
	if path == "/" {
		return // the dashboard, which asks for a session
	}
	body := d.page(path)
	if to.Fragment == "" || strings.HasSuffix(path, ".md") {
		return
	}
	for _, m := range idTag.FindAllStringSubmatch(body, -1) {
		if m[1] == to.Fragment {
			return
		}
	}
	d.t.Errorf("%s links to %s, which has no such section", from, href)
}

func TestTheGuidesAreMarkdownToo(t *testing.T) {
	d := newDocsSite(t)
	link := regexp.MustCompile(`\]\((/docs/[^)#]+)(#[^)]*)?\)`)
	files, err := filepath.Glob("../../docs/guide/*.md")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "../../docs/format.md") {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		res, text := d.open("/docs/guide/" + name + ".md")
		kind := res.Header.Get("Content-Type")
		if res.StatusCode != 200 || kind != "text/markdown; charset=utf-8" || !strings.HasPrefix(text, "# ") {
			t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if res, _ := d.open(m[1]); res.StatusCode != 200 || !strings.HasSuffix(m[1], ".md") {
				t.Errorf("%s.md links to %s: %d", name, m[1], res.StatusCode)
			}
		}
	}
}

func TestTheDocumentationIsSearchedWithoutScripts(t *testing.T) {
	d := newDocsSite(t)
	for query, want := range map[string]string{
		"create webhook":             "/docs/api/create-webhook",
		"rotate-webhook-secret":      "/docs/api/rotate-webhook-secret",
		"personal data":              "/docs/guide/publish#",
		"1103":                       "/docs/errors/1103",
		"/alerting/v3/policies":      "/docs/api/create-policy",
		"occurred_at":                "/docs/api/publish-audit-events",
		"ERASE personal":             "/docs/api/start-audit-erasure",
		strings.Repeat("alert ", 90): "/docs/api/",
	} {
		res, body := d.open("/docs/search?q=" + url.QueryEscape(query))
		_, main, _ := strings.Cut(body, "<main")
		if res.StatusCode != 200 || !strings.Contains(main, `href="`+want) {
			t.Errorf("%q: %d, %s", query, res.StatusCode, visible(main))
		}
	}
	_, body := d.open("/docs/search?q=" + url.QueryEscape(`<script>alert(1)</script>`))
	if strings.Contains(body, "<script>alert") {
		t.Error("the query is not escaped")
	}
	if _, body := d.open("/docs/search"); !strings.Contains(body, `action="/docs/search"`) {
		t.Error("the search has no form")
	}
}

func TestErrorCodesKeepTheirAddresses(t *testing.T) {
	d := newDocsSite(t)
	for _, e := range errs.Entries() {
		words := visible(d.page(fmt.Sprintf("/docs/errors/%d", e.Code)))
		if !strings.Contains(words, e.Meaning) || !strings.Contains(words, e.Remedy) {
			t.Errorf("the page of %d lacks its words: %s", e.Code, words)
		}
	}
	res, body := d.open("/docs/errors/4711")
	if res.StatusCode != 404 || !strings.Contains(body, "Page not found") {
		t.Errorf("a browser: %d", res.StatusCode)
	}
	res, body = d.open("/docs/errors/4711", "Accept", "application/json")
	if res.StatusCode != 404 || !strings.Contains(body, `"code":7004`) {
		t.Errorf("a program: %d %s", res.StatusCode, body)
	}
}

// TestSamplesOfClientsAreProven: the SDK's sample is the program that the tests of
// documents run, and a sample of an official client calls what test/conformance calls.
func TestSamplesOfClientsAreProven(t *testing.T) {
	d := newDocsSite(t)
	read := func(pattern string) (text string) {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text += string(b)
		}
		return text
	}
	sample := code(t, d.page("/docs/api/publish-audit-events"), "Go SDK")
	if !strings.Contains(read("sdk/go/README.md"), sample) {
		t.Errorf("the sample of the SDK is not that of its README:\n%s", sample)
	}
	proofs := map[string]string{
		"cloudflare-go":    read("test/conformance/cloudflare/*.go"),
		"cloudflare (npm)": read("test/conformance/node/*.mjs"),
	}
	calls := map[string]*regexp.Regexp{
		"cloudflare-go":    regexp.MustCompile(`client\.(?:Alerting\.)?(?:AuditLogs\.)?([A-Z][A-Za-z.]*\()`),
		"cloudflare (npm)": regexp.MustCompile(`(client(?:\.[A-Za-z]+)+)\(`),
	}
	found := map[string]int{}
	for _, rt := range d.app.API.Routes() {
		for label, proof := range proofs {
			sample := code(t, d.page("/docs/api/"+rt.ID), label)
			if sample == "" {
				continue
			}
			found[label]++
			m := calls[label].FindStringSubmatch(sample)
			if m == nil || !strings.Contains(proof, m[1]) {
				t.Errorf("%s: the conformance tests never call %v", rt.ID, m)
			}
			if label != "cloudflare-go" {
				continue
			}
			if formatted, err := format.Source([]byte(sample)); err != nil || string(formatted) != sample {
				t.Errorf("%s: not formatted Go: %v", rt.ID, err)
			}
		}
	}
	if found["cloudflare-go"] < 8 || found["cloudflare (npm)"] < 10 {
		t.Errorf("samples of official clients: %v", found)
	}
}
