package ui_test

import (
	"context"
	"os"
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
