package ui_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

const refreshed = `{{define "page"}}<header class="head"><h1>Live</h1></header>
{{template "page#now" .}}{{end}}
{{define "page#now"}}<div id="now" hx-get="/" hx-trigger="every 100ms" hx-target="this" hx-swap="outerHTML">
{{template "part" .}}</div>{{end}}
{{define "part"}}<p id="count">{{.N}}</p><p id="words">Words to select</p>
{{if .Odd}}<p>A line that comes and goes</p>{{end}}
<p><a id="link" href="/there?n={{.N}}">Card {{.N}}</a> {{time .At}}</p>
<details id="fold"><summary>Fold</summary><p>inside {{.N}}</p></details>
{{template "chart" (dict "Chart" .Chart)}}{{end}}`

// refreshing is a page with a part that asks for itself again, and the number
// of answers.
func refreshing(t *testing.T) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	u := newUI(t)
	page, err := u.Parse(templateFiles(refreshed), "page.html")
	if err != nil {
		t.Fatal(err)
	}
	var answers atomic.Int64
	var marked atomic.Bool
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", u.Assets())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		n := answers.Add(1)
		// With 100 ms the first request may come before the page's own scripts run.
		if ui.Refresh(r) {
			marked.Store(true)
		} else if marked.Load() {
			t.Error("a part asked for itself without the header that says so")
		}
		c := ui.Chart{Label: "Burn"}
		for i := range int64(60) {
			y := float64(i + n)
			c.X = append(c.X, galleryNow.Unix()+10*(i+n))
			c.Series = []ui.ChartSeries{{Name: "Burn", Y: append(yOf(c), &y)}}
		}
		data := map[string]any{"N": n, "Odd": n%2 == 1, "At": galleryNow.Add(-48 * time.Hour), "Chart": c}
		if err := page.Render(w, r, ui.Shell{Face: ui.Customer}, "page", data); err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		if !marked.Load() {
			t.Error("no request of a part has the header that says so")
		}
	})
	return s, &answers
}

func yOf(c ui.Chart) []*float64 {
	if len(c.Series) == 0 {
		return nil
	}
	return c.Series[0].Y
}

func TestAPartThatAsksForItselfAgainKeepsFocusFoldsAndZoom(t *testing.T) {
	ctx := browser(t)
	s, answers := refreshing(t)
	openPath(t, ctx, s.URL, "light", 1400)
	evaluate(t, ctx, `(() => {
		document.querySelector("#link").focus();
		document.querySelector("#fold").open = true;
		const over = document.querySelector(".u-over"), box = over.getBoundingClientRect();
		const mouse = (type, share, more) => new MouseEvent(type,
			{button: 0, clientX: box.left + box.width * share, clientY: box.top + 20, ...more});
		const at = (type, share) => over.dispatchEvent(mouse(type, share, {bubbles: true, movementX: 9}));
		at("mouseenter", 0.25);
		at("mousemove", 0.25);
		at("mousedown", 0.25);
		at("mousemove", 0.5);
		document.dispatchEvent(mouse("mouseup", 0.5));
		window.canvas = document.querySelector("canvas");
		return "";
	})()`)
	from := answers.Load()
	until(t, ctx, fmt.Sprintf(`Number(document.querySelector("#count").textContent) > %d`, from+3))
	until(t, ctx, `document.activeElement.id === "link" && document.activeElement.textContent !== "Card 1"`)
	until(t, ctx, `document.querySelector("#fold").open`)
	until(t, ctx, `document.querySelector("canvas") === window.canvas && document.querySelector(".chart-tools")`)
	until(t, ctx, `!document.querySelector("time").textContent.includes("UTC")`)
	// The chart has the new values: the legend shows the last one.
	if got := evaluate(t, ctx, `JSON.parse(document.querySelector("[data-chart] script").textContent).x[0] > `+
		fmt.Sprint(galleryNow.Unix()+10)+` ? "" : "old values"`); got != "" {
		t.Error(got)
	}
	evaluate(t, ctx, `(document.querySelector(".chart-tools button").click(), "")`)
	until(t, ctx, `!document.querySelector(".chart-tools")`)
	// While words of the part are selected, nothing is asked for.
	evaluate(t, ctx, `(document.getSelection().selectAllChildren(document.querySelector("#words")), "")`)
	until(t, ctx, `document.getSelection().toString() === "Words to select"`)
	held := evaluate(t, ctx, `new Promise((done) => {
		const before = document.querySelector("#count").textContent;
		let ticks = 0;
		const listen = () => {
			if (++ticks < 4) return;
			document.removeEventListener("every", listen, true);
			const same = document.getSelection().toString() === "Words to select" &&
				before === document.querySelector("#count").textContent;
			done(same ? "" : "the selection is lost");
		};
		document.addEventListener("every", listen, true);
	})`)
	if held != "" {
		t.Error(held)
	}
}
