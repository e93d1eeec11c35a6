// Package browser shows pages to tests in a real Chromium.
//
// BELFRY_TEST_CHROMIUM names the program and BELFRY_TEST_NODE a folder with
// node_modules/axe-core. A test is left out where they are not set; with
// BELFRY_TEST_ALL=1 it fails instead.
package browser

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/belfryhq/belfry/test/poll"
)

// Browser is one headless Chromium with one page. It ends with its test.
type Browser struct {
	t   testing.TB
	ctx context.Context
	axe string // the checker's script, once it was asked for

	album *album // of baselines; nil = pictures are not compared
}

// Start runs Chromium, or leaves the test out.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := os.Getenv("BELFRY_TEST_CHROMIUM")
	if program == "" {
		leaveOut(t, "a browser (set BELFRY_TEST_CHROMIUM)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 28*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	b.keepFocus() // Chromium runs from the first command on
	return b
}

func leaveOut(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("BELFRY_TEST_ALL") == "1" {
		t.Fatalf("BELFRY_TEST_ALL is set, and this cannot run: %s", what)
	}
	t.Skipf("left out: %s", what)
}

// Carry gives the browser cookies of a site.
func (b *Browser) Carry(url string, cookies []*http.Cookie) {
	b.t.Helper()
	for _, c := range cookies {
		set := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
			_, err := cdp.Call(ctx, page, network.SetCookie, network.SetCookieParams{
				Name:     c.Name,
				Value:    c.Value,
				URL:      url,
				HTTPOnly: new(true),
			})
			return err
		})
		if err := chromedp.Do(b.ctx, set); err != nil {
			b.t.Fatal(err)
		}
	}
}

// Open shows a page in a theme (light or dark) and a window of a width, and
// waits until it is drawn.
func (b *Browser) Open(url, theme string, width int64) {
	b.t.Helper()
	b.Show(url, theme, width)
	b.Drawn()
}

// Show is Open without waiting for what scripts draw.
func (b *Browser) Show(url, theme string, width int64) {
	b.t.Helper()
	media := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetEmulatedMedia, emulatedMedia(theme))
		return err
	})
	window := chromedp.EmulateViewport(width, windowHeight)
	if err := chromedp.Do(b.ctx, window, media, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("%s: %v", url, err)
	}
}

// drawn waits for fonts, charts, icons, parts that are asked for, two frames, and transitions.
const drawn = `(async () => {
	await document.fonts.ready;
	// Parts that ask for themselves shortly after the load have no such trigger once they were answered.
	for (let i = 0; i < 250; i++) {
		const waits = (chart) => chart.querySelector("script") && !chart.querySelector("canvas");
		const blank = (icon) => icon.checkVisibility() && icon.getBBox().width === 0;
		const waiting = document.querySelector('[hx-trigger^="load delay"]') ||
			[...document.querySelectorAll("[data-chart]")].some(waits) ||
			[...document.querySelectorAll("svg.icon > use")].some(blank) || document.querySelector(".htmx-request");
		if (!waiting && document.readyState === "complete") break;
		await new Promise((r) => setTimeout(r, 20));
	}
	await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
	const ends = (a) => a.effect?.getComputedTiming().endTime < Infinity;
	await Promise.allSettled(document.getAnimations().filter(ends).map((a) => a.finished));
	return "";
})()`

// Drawn waits until the page has its fonts and charts.
func (b *Browser) Drawn() {
	b.t.Helper()
	b.Evaluate(drawn)
}

// Submit fills the form with the action and sends it as its button would, but
// without the browser's own checks, and waits for an element of the answer.
// fields are names and values.
func (b *Browser) Submit(action, answer string, fields ...string) {
	b.t.Helper()
	script := `const f = document.querySelector('form[action="` + action + `"]'); f.noValidate = true;`
	for i := 0; i < len(fields); i += 2 {
		script += `f.elements[` + strconv.Quote(fields[i]) + `].value = ` + strconv.Quote(fields[i+1]) + `;`
	}
	b.Evaluate(`(() => { ` + script + ` f.submit(); return ""; })()`)
	if err := chromedp.Do(b.ctx, chromedp.WaitVisible(answer)); err != nil {
		b.t.Fatalf("%s: %v", action, err)
	}
	b.Drawn()
}

// Click clicks what the selector finds and waits for another element.
func (b *Browser) Click(selector, answer string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Click(selector), chromedp.WaitVisible(answer)); err != nil {
		b.t.Fatalf("%s: %v", selector, err)
	}
	b.Drawn()
}

// Evaluate runs a script that gives a string, or a promise of one.
func (b *Browser) Evaluate(script string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// Violations returns the findings of axe on the page as text; "" = none.
func (b *Browser) Violations() string {
	b.t.Helper()
	if b.axe == "" {
		script, err := os.ReadFile(filepath.Join(os.Getenv("BELFRY_TEST_NODE"), "node_modules", "axe-core", "axe.min.js"))
		if err != nil {
			leaveOut(b.t, "axe-core (set BELFRY_TEST_NODE to a folder with node_modules/axe-core)")
		}
		b.axe = string(script)
	}
	b.Evaluate(b.axe + `;""`)
	return b.Evaluate(`(async () => {
		const results = await axe.run({resultTypes: ["violations"], preload: false, rules: {"target-size": {enabled: true}}});
		const node = (n) => "    " + n.html.slice(0, 200) + "\n      " + (n.failureSummary || "").replaceAll("\n", " ");
		const finding = (v) => v.id + ": " + v.help + "\n" + v.nodes.slice(0, 4).map(node).join("\n");
		return results.violations.map(finding).join("\n");
	})()`)
}

// Overflow names what is wider than its panel or the window.
func (b *Browser) Overflow() string {
	b.t.Helper()
	return b.Evaluate(`document.documentElement.scrollWidth > innerWidth ?
		"the page: " + [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth &&
			e.checkVisibility()).slice(-3).map((e) => e.outerHTML.slice(0, 160)).join("\n") :
		[...document.querySelectorAll(".row > *, .table td, .panel-body > *")].filter((e) => {
			const p = (e.closest(".panel, .detail") ?? document.body).getBoundingClientRect(), b = e.getBoundingClientRect();
			return b.width > 0 && b.right > p.right + 1;
		}).map((e) => e.outerHTML.slice(0, 120)).join("\n")`)
}

// Refusals returns the requests that the content security policy blocked on the page.
func (b *Browser) Refusals() string {
	b.t.Helper()
	return b.Evaluate(`new Promise((r) => {
		const seen = [];
		const keep = (reports) => reports.forEach((v) => seen.push(v.body.blockedURL + " " + v.body.effectiveDirective));
		new ReportingObserver(keep, {types: ["csp-violation"], buffered: true}).observe();
		setTimeout(() => r(seen.join("\n")), 50);
	})`)
}

// Look holds a page against all that a browser can tell: axe, the policy, the
// width, and its picture where [Browser.Baselines] were named. Where
// BELFRY_TEST_SCREENSHOTS names a folder, it writes the picture for a person to
// look at.
func (b *Browser) Look(name, theme string, width int64) {
	b.t.Helper()
	at := name + ", " + theme + ", " + strconv.FormatInt(width, 10) + " px: "
	if found := b.Violations(); found != "" {
		b.t.Errorf("%saxe: %s", at, found)
	}
	if over := b.Overflow(); over != "" {
		b.t.Errorf("%swider than its place: %s", at, over)
	}
	if refused := b.Refusals(); refused != "" {
		b.t.Errorf("%srefused by the policy: %s", at, refused)
	}
	folder := os.Getenv("BELFRY_TEST_SCREENSHOTS")
	if folder == "" && b.album == nil {
		return
	}
	page, masked := b.picture()
	file := name + "-" + theme + "-" + strconv.FormatInt(width, 10)
	if folder != "" {
		if err := os.WriteFile(filepath.Join(folder, file+".png"), page, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	if b.album != nil {
		b.compare(file, page, masked)
	}
}

// namedKeys are the keys that are not text, by their names in the DOM.
var namedKeys = map[string]string{
	"Enter": kb.Enter, "Escape": kb.Escape, "ArrowDown": kb.ArrowDown, "ArrowUp": kb.ArrowUp, "Tab": kb.Tab,
	"ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
}

// Press presses keys as the keyboard does: a name such as Enter, "Control+k", or text.
func (b *Browser) Press(keys string) {
	b.t.Helper()
	var held []chromedp.KeyOption
	if rest, ok := strings.CutPrefix(keys, "Control+"); ok {
		keys = rest
		held = append(held, chromedp.KeyModifiers(chromedp.ModifierCtrl))
	}
	if named, ok := namedKeys[keys]; ok {
		keys = named
	}
	if err := chromedp.Do(b.ctx, chromedp.KeyEvent(keys, held...)); err != nil {
		b.t.Fatalf("press %q: %v", keys, err)
	}
}

// Arrives waits until the page of a path is shown. The condition is asked again where a navigation interrupts it.
func (b *Browser) Arrives(path string) {
	b.t.Helper()
	here := chromedp.Evaluate[string](`document.readyState === "complete" ? location.pathname : ""`)
	poll.Until(b.t, "the page "+path+" is shown", func() bool {
		at, err := chromedp.Run(b.ctx, here)
		return err == nil && strings.HasPrefix(at, path)
	})
	b.Drawn()
}
