package ui_test

import (
	"flag"
	"testing"

	chromium "github.com/belfryhq/belfry/test/browser"
)

var update = flag.Bool("update", false, "write the baselines of the gallery's pictures")

// galleryStates are the pages of the gallery and what is open on them.
var galleryStates = []struct {
	name, path string
	script     string // brings the page into the state
}{
	{"record", "/record", ""},
	{"event", "/record?event=0&actor=ana%40acme.dev&action.not=member.read", ""},
	{"objective", "/objective", ""},
	{"parts", "/parts", ""},
	{"menu", "/parts", `unfold(".panel .menu")`},
	{"dialog", "/parts", `document.querySelector("[data-dialog]").click()`},
	{"shortcuts", "/parts", `document.querySelector("#shortcuts").showModal()`},
	{"hub", "/hub", ""},
	{"hub-open", "/hub", `unfold(".hub-fold")`},
	{"picker", "/picker", ""},
	{"picker-open", "/picker", `pick("zones", "sh")`},
	{"picker-other", "/picker", `pick("addresses", "jo@acme.dev")`},
	{"picker-empty", "/picker", `pick("severity", "nothing like it")`},
	{"picker-error", "/picker", `pick("broken", "")`},
	{"list", "/list?severity=critical&zone.not=z3&q=checkout", ""},
	{"list-filter", "/list", `unfold(".add-filter", "[data-filter-key=severity]")`},
	{"list-views", "/list", `unfold(".views")`},
	{"list-range", "/list", `unfold(".range")`},
	{"list-selected", "/list", `for (const n of [1, 3, 4]) document.querySelectorAll("tbody .pick input")[n].click()`},
	{"charts", "/charts", ""},
	{"charts-zoomed", "/charts?from=1795368600&to=1795369500", ""},
	{"signin", "/sign-in", ""},
	{"problem", "/problem", ""},
}

// helpers are for the scripts of the states.
const helpers = `
	const unfold = (...list) => { for (const s of list) document.querySelector(s).open = true; };
	const pick = (name, text) => {
		const field = document.querySelector("#f-" + name);
		field.focus();
		field.value = text;
		field.click();
	};
	const rest = (ms) => new Promise((done) => setTimeout(done, ms));
	const said = (e) => e.querySelector(".picker-state").textContent.replace("Searching…", "");
	const asks = (e) => !e.querySelector("[role=option]") && !said(e);
	const settle = async () => {
		const open = ".picker-pop:not([hidden]), .filter-key[open] .filter-found";
		for (let i = 0; i < 100 && (i === 0 || [...document.querySelectorAll(open)].some(asks)); i++) await rest(50);
	};
`

// TestTheGallery looks at every component in every state, in both themes and
// three widths: axe, the content security policy, the width, and the picture
// against its baseline. make test keeps the pictures in build/screenshots.
func TestTheGallery(t *testing.T) {
	b := chromium.Start(t)
	s := gallery(t)
	b.Baselines("testdata/gallery", *update, `time[data-local="ago"]`, ".calendar")
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1400, 800, 390} {
			for _, state := range galleryStates {
				b.Open(s.URL+state.path, theme, width)
				if state.script != "" {
					b.Evaluate(`(async () => { ` + helpers + state.script + `; await settle(); return ""; })()`)
				}
				b.Look(state.name, theme, width)
			}
		}
	}
}
