package app_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

const (
	paletteOpen   = `document.getElementById("palette").open`
	paletteField  = `document.querySelector("#palette input")`
	paletteChosen = `document.querySelector("#palette [aria-selected=true]")`
)

// optionHas waits until an option of the palette has the text, and nothing more is asked for.
func optionHas(t *testing.T, b *browser.Browser, text string) {
	t.Helper()
	until(t, b, `!document.getElementById("palette").hasAttribute("data-pending") && [...document.querySelectorAll("#palette [role=option]")].some((o) => o.textContent.includes("`+text+`"))`)
}

func TestThePaletteFindsAndDoesThingsByKeyboard(t *testing.T) {
	b := browser.Start(t)
	v, full, _ := furnished(t)
	v.made("POST", "/accounts/"+full+"/zones", object{"name": "checkout.shop.example"})
	base := "/accounts/" + full
	b.Carry(v.url, v.Cookies())
	b.Open(v.url+base+"/audit", "light", 1400)
	start := `document.querySelector('a[href="` + base + `/members"]')`
	b.Evaluate(`(` + start + `.focus(), "")`)

	// It opens with what can be done and where to go, and gives the focus back.
	b.Press("Control+k")
	until(t, b, paletteOpen+` && document.activeElement === `+paletteField)
	optionHas(t, b, "Create a policy")
	optionHas(t, b, "Properties")
	b.Look("palette", "light", 1400)
	b.Press("Escape")
	until(t, b, `!`+paletteOpen+` && document.activeElement === `+start)

	// The focus stays in the field while the arrows choose.
	b.Press("Control+k")
	b.Press("checkout")
	optionHas(t, b, "checkout.shop.example")
	until(t, b, paletteChosen+`.textContent.includes("checkout.shop.example") && `+
		paletteField+`.getAttribute("aria-activedescendant") === `+paletteChosen+`.id`)
	b.Look("palette-found", "light", 1400)
	b.Press("ArrowDown")
	until(t, b, `!`+paletteChosen+`.textContent.startsWith("checkout.shop") && document.activeElement === `+paletteField)
	b.Press("ArrowUp")
	b.Press("Enter")
	b.Arrives(base + "/properties/")

	// What was looked at is offered again, and kept in this browser as titles and paths only.
	b.Open(v.url+base+"/members", "light", 1400)
	b.Press("Control+k")
	optionHas(t, b, "checkout.shop.example")
	kept := b.Evaluate(`JSON.stringify(Object.entries(localStorage).filter(([k]) => k.startsWith("belfry-recent:")))`)
	if !strings.Contains(kept, "checkout.shop.example") || strings.Contains(kept, "production") ||
		!strings.Contains(kept, full) {
		t.Errorf("the browser keeps %s", kept)
	}

	// An id that is pasted and sent at once leads to its object.
	v.append(full, auditEvent("event-number-4711", "ana", nil))
	b.Evaluate(`(() => { const f = ` + paletteField + `; f.value = "event-number-4711"; f.dispatchEvent(new Event("input")); return ""; })()`)
	b.Press("Enter")
	b.Arrives(base + "/audit/events/event-number-4711")

	// Pages and actions are matched by parts of their words.
	b.Press("Control+k")
	b.Press("crepol")
	optionHas(t, b, "Create a policy")
	b.Press("Enter")
	b.Arrives(base + "/notifications/policies/new")
	b.Press("Control+k")
	b.Press("theme dark")
	optionHas(t, b, "Theme: dark")
	b.Press("Enter")
	until(t, b, `!`+paletteOpen+` && document.documentElement.dataset.theme === "dark"`)
	b.Evaluate(`(localStorage.clear(), "")`)
}

func TestThePaletteFillsAPhone(t *testing.T) {
	b := browser.Start(t)
	v, full, _ := furnished(t)
	b.Carry(v.url, v.Cookies())
	b.Open(v.url+"/accounts/"+full, "dark", 390)
	b.Click(`.side-top [data-palette-open]`, "#palette")
	optionHas(t, b, "Create a policy")
	until(t, b, `(() => {
		const r = document.getElementById("palette").getBoundingClientRect();
		return r.left === 0 && r.top === 0 && r.width === innerWidth && r.height === innerHeight;
	})()`)
	b.Look("palette", "dark", 390) // last: for the picture the window becomes as high as the page
	b.Open(v.url+"/accounts/"+full+"/search?q=shop", "light", 390)
	b.Look("search", "light", 390)
}
