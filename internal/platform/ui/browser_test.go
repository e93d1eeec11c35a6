package ui_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium, or a skip: BELFRY_TEST_CHROMIUM names the
// program, and BELFRY_TEST_ALL=1 makes its absence a failure.
func browser(t *testing.T) context.Context {
	t.Helper()
	program := os.Getenv("BELFRY_TEST_CHROMIUM")
	if program == "" {
		if os.Getenv("BELFRY_TEST_ALL") == "1" {
			t.Fatal("BELFRY_TEST_CHROMIUM is not set and BELFRY_TEST_ALL is")
		}
		t.Skip("left out: a browser (set BELFRY_TEST_CHROMIUM)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

var galleryPaths = []string{"/record", "/record?event=0&actor=ana%40acme.dev&action.not=member.read", "/objective",
	"/parts", "/sign-in", "/problem"}

// openPath shows a path of the gallery and waits until fonts, sprite and charts are drawn. theme is "light" or "dark".
func openPath(t *testing.T, ctx context.Context, url, theme string, width int64) {
	t.Helper()
	media := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), media, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	evaluate(t, ctx, settled)
}

// evaluate runs a script that gives a string, or a promise of one.
func evaluate(t *testing.T, ctx context.Context, script string) string {
	t.Helper()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const settled = `(async () => {
	await document.fonts.ready;
	for (let i = 0; i < 100; i++) {
		const charts = [...document.querySelectorAll("[data-chart]")];
		const open = charts.filter((f) => f.querySelector("script") && !f.querySelector("canvas"));
		if (open.length === 0 && document.readyState === "complete") break;
		await new Promise((r) => setTimeout(r, 50));
	}
	await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
	return "";
})()`

const violations = `(async () => {
	const results = await axe.run({resultTypes: ["violations"]});
	const node = (n) => "    " + n.html.slice(0, 200) + "\n      " + (n.failureSummary || "").replaceAll("\n", " ");
	const finding = (v) => v.id + ": " + v.help + "\n" + v.nodes.slice(0, 4).map(node).join("\n");
	return results.violations.map(finding).join("\n");
})()`

func TestAxeFindsNothingInAnyPageThemeAndWidth(t *testing.T) {
	ctx := browser(t)
	axe, err := os.ReadFile(filepath.Join(os.Getenv("BELFRY_TEST_NODE"), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("BELFRY_TEST_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("left out: axe-core (set BELFRY_TEST_NODE to a folder with node_modules/axe-core)")
	}
	s := gallery(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1400, 800} {
			for _, path := range galleryPaths {
				openPath(t, ctx, s.URL+path, theme, width)
				evaluate(t, ctx, string(axe)+`;""`)
				if found := evaluate(t, ctx, violations); found != "" {
					t.Errorf("%s %s %d:\n%s", path, theme, width, found)
				}
			}
		}
	}
}

// overflow names what reaches out of its panel or makes the page wider than
// the window.
const overflow = `document.documentElement.scrollWidth > innerWidth ? "the page" :
	[...document.querySelectorAll(".row > *, .table td")].filter((e) => {
		const p = e.closest(".panel").getBoundingClientRect(), b = e.getBoundingClientRect();
		return b.width > 0 && b.right > p.right + 1;
	}).map((e) => e.outerHTML.slice(0, 120)).join("\n")`

const refusals = `new Promise((r) => {
	const seen = [];
	const keep = (reports) => reports.forEach((v) => seen.push(v.body.blockedURL + " " + v.body.effectiveDirective));
	new ReportingObserver(keep, {types: ["csp-violation"], buffered: true}).observe();
	setTimeout(() => r(seen.join("\n")), 50);
})`

func TestNothingIsWiderThanItsPlaceAndThePolicyRefusesNothing(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	for _, width := range []int64{1400, 1000, 800, 390} {
		for _, path := range galleryPaths {
			openPath(t, ctx, s.URL+path, "light", width)
			if over := evaluate(t, ctx, overflow); over != "" {
				t.Errorf("%s at %d px: wider than its place: %s", path, width, over)
			}
			if refused := evaluate(t, ctx, refusals); refused != "" {
				t.Errorf("%s: refused by the policy: %s", path, refused)
			}
		}
	}
}

// TestScreenshots writes what a person should look at into the folder
// BELFRY_TEST_SCREENSHOTS, when that is set.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("BELFRY_TEST_SCREENSHOTS")
	if folder == "" {
		t.Skip("left out: screenshots (set BELFRY_TEST_SCREENSHOTS to a folder)")
	}
	ctx := browser(t)
	s := gallery(t)
	for _, theme := range []string{"light", "dark"} {
		for width, word := range map[int64]string{1400: "wide", 800: "narrow"} {
			for _, path := range galleryPaths {
				openPath(t, ctx, s.URL+path, theme, width)
				png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
				if err != nil {
					t.Fatal(err)
				}
				name := strings.NewReplacer("/", "", "?", "-", "=", "", "&", "-", "%", "", ".", "").Replace(path) + "-" + theme +
					"-" + word + ".png"
				if err := os.WriteFile(filepath.Join(folder, name), png, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
