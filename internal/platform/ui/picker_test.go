package ui_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const focusPicker = `((e) => { e.focus(); e.click(); return ""; })(document.querySelector("#f-NAME"))`

func TestAPickerIsUsedByTheKeyboardAlone(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/picker", "light", 1400)
	chips := `[...document.querySelectorAll("[data-picker=zones] .chip b")].map((b) => b.textContent).join()`
	evaluate(t, ctx, strings.Replace(focusPicker, "NAME", "zones", 1))
	until(t, ctx, `document.querySelectorAll("#o-zones [role=option]").length === 3`)
	until(t, ctx, `document.querySelector("#o-zones [role=option]").getAttribute("aria-selected") === "true"`)
	press(t, ctx, "stag")
	until(t, ctx, `document.activeElement.getAttribute("aria-activedescendant") === "o-zones-0" &&
		document.querySelector("#o-zones mark").textContent === "stag"`)
	press(t, ctx, "\r")
	until(t, ctx, chips+` === "shop.example,checkout.shop.example,staging.shop.example" &&
		document.activeElement.value === ""`)
	press(t, ctx, "\b")
	until(t, ctx, chips+` === "shop.example,checkout.shop.example"`)
	press(t, ctx, "nothing")
	until(t, ctx, `document.querySelector("[data-picker=zones] .picker-state").textContent.includes("Nothing matches")`)
	press(t, ctx, "\x1b")
	until(t, ctx, `document.querySelector("[data-picker=zones] .picker-pop").hidden &&
		document.activeElement.id === "f-zones" && document.activeElement.value === "nothing"`)
}

func TestTextThatNoPickerTookStopsTheForm(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/picker", "light", 1400)
	evaluate(t, ctx, strings.Replace(focusPicker, "NAME", "zones", 1))
	press(t, ctx, "nothing")
	evaluate(t, ctx, `(document.querySelector("#main [type=submit]").click(), "")`)
	until(t, ctx, `document.querySelector("#f-zones").validationMessage.startsWith("Choose one")`)
	until(t, ctx, `document.querySelector("#f-owner").validationMessage !== ""`) // required
}

func TestAPickerSendsEachValueWithItsLabel(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/picker", "light", 1400)
	evaluate(t, ctx, strings.Replace(focusPicker, "NAME", "owner", 1))
	until(t, ctx, `document.querySelectorAll("#o-owner [role=option]").length === 2`)
	evaluate(t, ctx, `(document.querySelector("#o-owner [role=option]").click(), "")`)
	evaluate(t, ctx, strings.Replace(focusPicker, "NAME", "addresses", 1))
	press(t, ctx, "jo@acme.dev")
	evaluate(t, ctx, `(document.querySelector("#main [type=submit]").click(), "")`)
	until(t, ctx, `document.readyState === "complete" &&
		document.querySelector(".head .sub").textContent.includes("zones=z1&zones=z2")`)
	sent := evaluate(t, ctx, `document.querySelector(".head .sub").textContent`)
	parts := []string{"owner=m1", "Ana+Lima", "addresses=jo%40acme.dev", "severity=critical", "zones.mode=is"}
	for _, part := range parts {
		if !strings.Contains(sent, part) {
			t.Errorf("the form has no %s: %s", part, sent)
		}
	}
}

func TestAPickerThatCannotAskSaysSo(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/picker", "light", 1400)
	evaluate(t, ctx, strings.Replace(focusPicker, "NAME", "broken", 1))
	until(t, ctx, `document.querySelector("[data-picker=broken] .picker-state.bad").textContent.includes("search failed")`)
}

func TestAPickerIsAPlainFieldWithoutScripts(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	noScripts := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
	err := chromedp.Do(ctx, chromedp.EmulateViewport(1400, 900), noScripts, chromedp.Navigate(s.URL+"/picker"),
		chromedp.Click(chromedp.CSS("#main [type=submit]")), chromedp.WaitVisible(chromedp.CSS("textarea[name=zones]")))
	if err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `document.querySelector(".head .sub").textContent.includes("zones=z1%0D%0Az2") &&
		document.querySelector(".head .sub").textContent.includes("severity=critical")`)
	until(t, ctx, `!document.querySelector(".picker-input").checkVisibility()`)
}
