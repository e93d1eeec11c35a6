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
	{"dialog", "/parts", `document.querySelector("[data-dialog]").click()`},
	{"shortcuts", "/parts", `document.querySelector("#shortcuts").showModal()`},
	{"hub", "/hub", ""},
	{"hub-open", "/hub", `document.querySelector(".hub-head .menu").open = document.querySelector(".hub-fold").open = true`},
	{"picker", "/picker", ""},
	{"picker-open", "/picker", `pick("zones", "sh")`},
	{"picker-other", "/picker", `pick("addresses", "jo@acme.dev")`},
	{"picker-empty", "/picker", `pick("severity", "nothing like it")`},
	{"picker-error", "/picker", `pick("broken", "")`},
	{"list", "/list?severity=critical&zone.not=z3&q=checkout", ""},
	{"list-filter", "/list", `document.querySelector(".add-filter").open = document.querySelector("[data-filter-key=severity]").open = true`},
	{"list-views", "/list", `document.querySelector(".views").open = true`},
	{"list-range", "/list", `document.querySelector(".range").open = true`},
	{"list-selected", "/list", `for (const n of [1, 3, 4]) document.querySelectorAll("tbody .pick input")[n].click()`},
	{"charts", "/charts", ""},
	{"charts-zoomed", "/charts?from=1795368600&to=1795369500", ""},
	{"signin", "/sign-in", ""},
	{"problem", "/problem", ""},
}

// helpers are for the scripts of the states.
const helpers = `const pick = (name, text) => { const e = document.querySelector("#f-" + name); e.focus(); e.value = text; e.click(); };`

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
					b.Evaluate(`(async () => { ` + helpers + state.script + `; await new Promise((r) => setTimeout(r, 400)); return ""; })()`)
				}
				b.Look(state.name, theme, width)
			}
		}
	}
}
