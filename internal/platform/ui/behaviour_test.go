package ui_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// until asks the page again and again whether a condition holds, through
// navigations, and fails after five seconds with what the page looked like.
func until(t *testing.T, ctx context.Context, condition string) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	var last error
	for range 100 {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		if err == nil && holds {
			return
		}
		last = err
		<-again.C
	}
	t.Fatalf("never held: %s (%v)\n%s", condition, last, evaluate(t, ctx, `location.href + "\n" +
		document.activeElement?.outerHTML.slice(0, 200) + "\n" + document.body.innerText.slice(0, 300)`))
}

func press(t *testing.T, ctx context.Context, keys string) {
	t.Helper()
	for _, key := range keys {
		if err := chromedp.Do(ctx, chromedp.KeyEvent(string(key))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheKeyboardReachesEverything(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/record", "light", 1400)
	press(t, ctx, "jj")
	until(t, ctx, `document.activeElement.closest("[data-row]")?.id === "e1"`)
	press(t, ctx, "k\r")
	until(t, ctx, `document.querySelector("#detail h2") === document.activeElement && location.search === "?event=0" &&
		document.querySelector("#e0").getAttribute("aria-current") === "true"`)
	press(t, ctx, "/x")
	until(t, ctx, `document.activeElement.matches("[data-search]") && document.activeElement.value.endsWith("x")`)
	press(t, ctx, "\x1b\x1b")
	until(t, ctx, `document.readyState === "complete" && location.search === "" && !document.querySelector("#detail > *")`)
	press(t, ctx, "?")
	until(t, ctx, `document.querySelector("#shortcuts").open`)
	press(t, ctx, "\x1b")
	until(t, ctx, `!document.querySelector("#shortcuts").open`)
	press(t, ctx, "t")
	until(t, ctx, `document.documentElement.dataset.theme === "light" && localStorage.getItem("belfry-theme") === "light"`)
	press(t, ctx, "l")
	until(t, ctx, `document.querySelector("#rows > :first-child").id === "live-1"`)
	press(t, ctx, "gs")
	until(t, ctx, `location.pathname === "/objective"`)
}

func TestAClickFiltersAndAltClickExcludes(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/record?cursor=abc", "light", 1400)
	click := `(() => {
		const event = new MouseEvent("click", {bubbles: true, cancelable: true, altKey: ALT});
		document.querySelector("#e0 [data-filter=resource]").dispatchEvent(event);
		return "";
	})()`
	evaluate(t, ctx, strings.Replace(click, "ALT", "false", 1))
	until(t, ctx, `location.search === "?resource=shop.example" && document.readyState === "complete"`)
	evaluate(t, ctx, strings.Replace(click, "ALT", "true", 1))
	until(t, ctx, `location.search === "?resource.not=shop.example"`)
}

func TestTimesTurnToTheViewersZoneAndNothingIsEvaluated(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/record", "light", 1400)
	until(t, ctx, `[...document.querySelectorAll("time[data-local]")].every((e) =>
		!e.textContent.includes("UTC") && e.title.includes("UTC"))`)
	// In a timer, because what the test itself evaluates is above the policy.
	if got := evaluate(t, ctx, `new Promise((done) => setTimeout(() => {
		try { new Function("return 1")(); done("evaluated a string"); } catch { /* refused */ }
		const e = document.createElement("p");
		document.body.append(e);
		e.setAttribute("style", "color: rgb(1, 2, 3)");
		done(getComputedStyle(e).color === "rgb(1, 2, 3)" ? "styled inline" : "");
	}))`); got != "" {
		t.Errorf("the policy let the page do it: %s", got)
	}
}

func TestMenusFiltersAndTimesWorkWithoutScripts(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	noScripts := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
	err := chromedp.Do(ctx, chromedp.EmulateViewport(1400, 900), noScripts, chromedp.Navigate(s.URL+"/record?actor=ana"),
		chromedp.Click(chromedp.CSS("details.range > summary")),
		chromedp.WaitVisible(chromedp.CSS("details.range .menu-item")),
		chromedp.Click(chromedp.CSS(".chip-x")), chromedp.WaitNotPresent(chromedp.CSS(".chip")))
	if err != nil {
		t.Fatal(err)
	}
	got := evaluate(t, ctx, `[
		document.querySelector("#e1 time").textContent,
		getComputedStyle(document.querySelector("[data-live]")).display,
	].join()`)
	if got != "16:22:00 UTC,none" {
		t.Errorf("got %s: expected a time in UTC and no button that needs a script", got)
	}
}

func TestTheNextPageOfRowsComesWhenItsPlaceIsSeen(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/record?paged=1", "light", 1400)
	evaluate(t, ctx, `(window.scrollTo(0, 1e6), "")`)
	until(t, ctx, `document.querySelectorAll("#rows > [data-row]").length === 20 && !document.querySelector(".more")`)
	until(t, ctx, `[...document.querySelectorAll("#rows time")].every((e) => !e.textContent.includes("UTC"))`)
}

func TestWhoHasScrolledIsNotMovedByLiveRows(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/record", "light", 800)
	evaluate(t, ctx, `(document.querySelector("#rows").style.minHeight = "3000px", window.scrollTo(0, 500), "")`)
	press(t, ctx, "l")
	until(t, ctx, `document.querySelector(".pill")?.textContent === "1 new" && !document.querySelector("#live-1")`)
	evaluate(t, ctx, `(document.querySelector(".pill").click(), "")`)
	until(t, ctx, `document.querySelector("#rows > :first-child").id === "live-1" && window.scrollY < 80 &&
		!document.querySelector(".pill")`)
}

func TestTheNavigationOfANarrowWindowIsAMenu(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/record", "light", 800)
	until(t, ctx, `!document.querySelector("#nav").checkVisibility()`)
	evaluate(t, ctx, `(document.querySelector("[popovertarget=nav]").click(), "")`)
	until(t, ctx, `document.querySelector("#nav [aria-current=page]").checkVisibility()`)
}

func TestARangeTypedInTheViewersZoneIsSentAsUTC(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/record?actor=ana", "light", 1400)
	evaluate(t, ctx, `(() => {
		const form = document.querySelector("[data-range]");
		document.querySelector("details.range").open = true;
		form.elements.since.value = "yesterday";
		form.requestSubmit();
		return "";
	})()`)
	until(t, ctx, `document.querySelector("[data-range]").elements.since.validationMessage.includes("2026-11-22")`)
	evaluate(t, ctx, `(() => {
		const form = document.querySelector("[data-range]");
		form.elements.since.value = "2026-11-01 10:00";
		form.elements.since.dispatchEvent(new Event("input", {bubbles: true}));
		form.requestSubmit();
		return "";
	})()`)
	until(t, ctx, `new URLSearchParams(location.search).get("since") === new Date(2026, 10, 1, 10).toISOString() &&
		new URLSearchParams(location.search).get("actor") === "ana"`)
}
