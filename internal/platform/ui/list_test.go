package ui_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

func TestFiltersKeepTheURLTheirState(t *testing.T) {
	u, err := url.Parse("/list?q=a&zone=z1&zone.not=z3&tab=x&cursor=c&sort=sent")
	if err != nil {
		t.Fatal(err)
	}
	names := func(id string) string {
		if id == "z1" {
			return "shop.example"
		}
		return ""
	}
	f := ui.NewFilters(u, "Search", ui.FilterKey{Key: "zone", Label: "Property", Name: names})
	if f.Clear != "/list?sort=sent&tab=x" {
		t.Errorf("clear: got %s", f.Clear)
	}
	if len(f.Chips) != 2 || f.Chips[0].Value != "shop.example" || f.Chips[1].Value != "z3" || !f.Chips[1].Not {
		t.Errorf("chips: got %+v", f.Chips)
	}
	if f.RawQuery != "q=a&sort=sent&tab=x&zone=z1&zone.not=z3" {
		t.Errorf("query of a view: got %s", f.RawQuery)
	}
	orders := []ui.Choice{{Value: "name", Label: "By name"}, {Value: "sent", Label: "Most sent"}}
	sorts := ui.Sorts(u, orders...)
	if sorts[0].Current || !sorts[1].Current || sorts[0].Href != "/list?q=a&tab=x&zone=z1&zone.not=z3" {
		t.Errorf("sorts: got %+v", sorts)
	}
	u.RawQuery = "sort=no"
	if got := ui.SortOf(u, orders...); got != "name" {
		t.Errorf("an unknown order: got %s", got)
	}
}

const chosen = `[...document.querySelectorAll("tbody .pick input")].map((b) => Number(b.checked)).join("")`

func TestRowsAreChosenWithShiftAndTheKeyboard(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/list", "light", 1400)
	click := `((n, shift) => { document.querySelectorAll("tbody .pick input")[n].dispatchEvent(
		new MouseEvent("click", {bubbles: true, cancelable: true, shiftKey: shift})); return ""; })`
	evaluate(t, ctx, click+`(1, false)`)
	evaluate(t, ctx, click+`(4, true)`)
	until(t, ctx, chosen+` === "01111000" && document.querySelector("[data-select-count]").textContent === "4"`)
	until(t, ctx, `document.querySelector("[data-select-all]").indeterminate &&
		document.querySelector(".select-bar").checkVisibility()`)
	press(t, ctx, "\x1b")
	until(t, ctx, chosen+` === "00000000" && !document.querySelector(".select-bar").checkVisibility()`)
	press(t, ctx, "jjx")
	until(t, ctx, chosen+` === "01000000"`)
	evaluate(t, ctx, `(document.querySelector("[data-select-all]").click(), "")`)
	until(t, ctx, chosen+` === "11111111" && document.querySelector("[data-select-count]").textContent === "8"`)
}

func TestChosenRowsAreSentWithoutScripts(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	noScripts := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
	err := chromedp.Do(ctx, chromedp.EmulateViewport(1400, 900), noScripts, chromedp.Navigate(s.URL+"/list"),
		chromedp.Click(chromedp.CSS("tbody tr:nth-child(2) .pick")),
		chromedp.Click(chromedp.CSS("tbody tr:nth-child(5) .pick")),
		chromedp.Click(chromedp.CSS(`.select-bar [value="disable"]`)), chromedp.WaitVisible(chromedp.CSS("#sent")))
	if err != nil {
		t.Fatal(err)
	}
	if got := evaluate(t, ctx, `document.querySelector("#sent").textContent`); got != "act=disable&id=p1&id=p4" {
		t.Errorf("got %s", got)
	}
}

func TestAFilterIsAddedByTyping(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/list?sort=sent", "light", 1400)
	evaluate(t, ctx, `(document.querySelector(".add-filter > summary").click(),
		document.querySelector("[data-filter-key=zone] > summary").click(), "")`)
	until(t, ctx, `document.querySelectorAll("#k-zone [role=option]").length === 3 &&
		document.querySelector("#k-zone .option-count").textContent === "412"`)
	press(t, ctx, "stag")
	until(t, ctx, `document.activeElement.getAttribute("aria-activedescendant") === "k-zone-0"`)
	press(t, ctx, "\r")
	until(t, ctx, `location.search === "?sort=sent&zone=z3" &&
		document.querySelector(".chip b").textContent === "staging.shop.example"`)
}

func TestColumnsAndDensityAreThereBeforeThePageIsPainted(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/list", "light", 1400)
	evaluate(t, ctx, `(document.querySelector("[data-column=sent]").click(),
		document.querySelector("[data-density=compact]").click(), "")`)
	until(t, ctx, `!document.querySelector("td[data-col=sent]").checkVisibility() &&
		document.querySelector("tbody tr").offsetHeight < 32`)
	openPath(t, ctx, s.URL+"/list", "light", 1400)
	until(t, ctx, `!document.querySelector("td[data-col=sent]").checkVisibility() &&
		!document.querySelector("[data-column=sent]").checked`)
	until(t, ctx, `document.querySelector("[data-density=compact]").getAttribute("aria-pressed") === "true" &&
		document.querySelector("tbody tr").offsetHeight < 32`)
}

func TestTimesAreInTheZoneOfTheAccountUntilAPersonChoosesAnother(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/list?since=2026-03-28T23:30:00Z&before=2026-10-20T00:00:00Z", "light", 1400)
	// The clock in Berlin went forward at 2026-03-29 02:00.
	fields := func() string {
		return evaluate(t, ctx, `(() => { const f = document.querySelector("[data-range]").elements;
			return f.since.value + " to " + f.before.value; })()`)
	}
	evaluate(t, ctx, `(document.documentElement.dataset.timeZone = "Europe/Berlin",
		document.querySelector("[data-zone-choice=account]").click(), "")`)
	until(t, ctx, `!document.querySelector("[data-zone-choice=account]").hidden &&
		document.querySelector("[data-zone-choice=account]").getAttribute("aria-pressed") === "true"`)
	evaluate(t, ctx, `(() => {
		const f = document.querySelector("[data-range]").elements;
		f.since.value = "2026-03-29 00:30"; f.before.value = "2026-03-29 03:30:00"; return ""; })()`)
	evaluate(t, ctx, `(document.querySelector("[data-zone-choice=utc]").click(), "")`)
	if got := fields(); got != "2026-03-28 23:30:00 to 2026-03-29 01:30:00" {
		t.Errorf("times in Berlin are %s in UTC", got)
	}
	evaluate(t, ctx, `(document.querySelector("[data-zone-choice=account]").click(), "")`)
	if got := fields(); got != "2026-03-29 00:30:00 to 2026-03-29 03:30:00" {
		t.Errorf("and back: %s", got)
	}
	until(t, ctx, `[...document.querySelectorAll("[data-zone]")].every((n) => n.textContent === "Times in Europe/Berlin")`)
}

func TestTheCalendarFillsTheRangeInTheChosenZone(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/list?before=2026-10-20T00:00:00Z", "light", 1400)
	evaluate(t, ctx, `(document.querySelector("details.range > summary").click(),
		document.querySelector("[data-zone-choice=utc]").click(), "")`)
	evaluate(t, ctx, `(() => {
		for (const i of [0, 2]) document.querySelectorAll(".month:first-child .day-cell")[i].click();
		return "";
	})()`)
	until(t, ctx, `document.querySelector("details.range").open &&
		document.querySelectorAll(".day-cell[data-in]").length === 1`)
	evaluate(t, ctx, `(document.querySelector("[data-range]").requestSubmit(), "")`)
	until(t, ctx, `(() => {
		const q = new URLSearchParams(location.search);
		const [a, b] = [new Date(q.get("since")), new Date(q.get("before"))];
		return a.getUTCDate() === 1 && a.getUTCHours() === 0 && b - a === 3 * 86400e3; })()`)
}
