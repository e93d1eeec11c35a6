package ui_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

func TestFlashIsShownOnceAndNotByTheURL(t *testing.T) {
	page := parse(t, `{{define "x"}}<p>the list</p>{{end}}`)
	sentences := map[string]string{"token-revoked": "The token is revoked."}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		if err := ui.Redirect(w, r, "/list", "token-revoked"); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /list", func(w http.ResponseWriter, r *http.Request) {
		shell := ui.Shell{Face: ui.Plain}
		if text := sentences[ui.FlashKey(r)]; text != "" {
			shell.Flash = &ui.Flash{Tone: ui.Good, Text: text}
		}
		if err := page.Render(w, r, shell, "x", nil); err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	says := func(r *http.Request) bool {
		t.Helper()
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b strings.Builder
		if err := res.Write(&b); err != nil {
			t.Fatal(err)
		}
		if got := res.Request.URL.RequestURI(); got != "/list" && got != "/list?flash=token-revoked" {
			t.Errorf("the browser is at %s", got)
		}
		return strings.Contains(b.String(), sentences["token-revoked"])
	}
	request := func(method, path string, headers ...string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	if !says(request("POST", "/form")) {
		t.Error("the page behind the form does not say what it did")
	}
	if says(request("GET", "/list")) {
		t.Error("a reload says it again")
	}
	if says(request("GET", "/list?flash=token-revoked")) {
		t.Error("an address can make the page say it")
	}
	if says(request("GET", "/list", "Cookie", "belfry_flash=<b>sold</b>")) {
		t.Error("a cookie can make the page say what it does not have")
	}
	// A fragment that a page asks for by itself leaves the sentence to the page.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(request("POST", "/form"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if says(request("GET", "/list", "HX-Request", "true")) || !says(request("GET", "/list")) {
		t.Error("a fragment has taken the sentence away")
	}
}
