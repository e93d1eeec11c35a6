package ui_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

const stalePage = `{{define "page"}}<h1>Live</h1>{{template "page#now" .}}{{end}}
{{define "page#now"}}<p id="now" hx-get="/" hx-trigger="every 100ms" hx-target="this"
 hx-swap="outerHTML">{{.}}</p>{{end}}`

func TestAPartThatIsNotAnsweredSaysThatItIsStale(t *testing.T) {
	u := newUI(t)
	page, err := u.Parse(templateFiles(stalePage), "page.html")
	if err != nil {
		t.Fatal(err)
	}
	var broken atomic.Bool
	var answers atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", u.Assets())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			err := u.Problem(w, r, ui.Shell{}, errs.New(errs.CodeUnavailable, "the database does not answer"), "")
			if err != nil {
				t.Error(err)
			}
			return
		}
		if err := page.Render(w, r, ui.Shell{Face: ui.Customer}, "page", answers.Add(1)); err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })

	ctx := browser(t)
	openPath(t, ctx, s.URL, "light", 1400)
	until(t, ctx, `Number(document.querySelector("#now").textContent) > 2 && !document.querySelector("#stale")`)
	broken.Store(true)
	until(t, ctx, `document.querySelectorAll(".toast").length === 1 &&
		document.querySelector("#stale").textContent.startsWith("Not up to date since ")`)
	broken.Store(false)
	until(t, ctx, `!document.querySelector("#stale")`)
}
