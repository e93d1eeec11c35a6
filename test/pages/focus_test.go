package pages_test

import (
	"fmt"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

// mostStops is the number of elements of a page that are reached by Tab in the walk: lists have more of the same.
const mostStops = 120

// moreStops are pressed beyond that: a field for a time has several, and so has what can be scrolled.
const moreStops = 30

// watchFocus records where the focus goes, and how it is shown there.
const watchFocus = `(() => {
	globalThis.stops = [];
	document.addEventListener("focusin", ({target}) => {
		// A field shows the ring on the frame around it.
		const ringed = (e) => {
			const s = getComputedStyle(e);
			return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 || s.boxShadow !== "none";
		};
		const ring = ringed(target) || target.matches("main, [tabindex='-1']") ||
			target.matches("input, select, textarea") &&
				(ringed(target.parentElement) || ringed(target.nextElementSibling ?? target));
		stops.push([target, ring]);
	});
	document.activeElement?.blur();
	globalThis.reachable = () => [...document.querySelectorAll(
		"a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")].filter((e) =>
		!e.disabled && e.tabIndex >= 0 && e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true}) &&
		!(e.type === "radio" && !e.checked && document.querySelector('input[name="' + e.name + '"]:checked')));
	return String(reachable().length);
})()`

// judged compares the stops with what can be reached.
const judged = `(() => {
	const faults = [];
	const show = (e) => e.outerHTML.slice(0, 140);
	const visited = new Set(stops.map(([e]) => e));
	const list = reachable();
	const limit = Math.min(list.length, %d);
	for (const e of list.slice(0, limit)) if (!visited.has(e)) faults.push("Tab does not reach " + show(e));
	for (const [e, ring] of stops) if (!ring) faults.push("no ring on " + show(e));
	for (let i = 1; i < stops.length; i++) {
		const [a, b] = [stops[i - 1][0], stops[i][0]];
		if (a.closest("main") === null || b.closest("main") === null) continue;
		if (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_PRECEDING && a !== stops.at(-1)[0] && b !== list[0] &&
			!a.contains(b))
			faults.push("Tab goes back from " + show(a) + " to " + show(b));
	}
	return [...new Set(faults)].slice(0, 5).join("\n");
})()`

// updated asks each part that updates itself again, with the focus in it and the page scrolled, and lists the ones that
// lose either.
const updated = `(async () => {
	const faults = [];
	const parts = [...document.querySelectorAll("[hx-trigger]")].filter((e) => /every/.test(e.getAttribute("hx-trigger")));
	for (const part of parts) {
		if (!part.isConnected || !part.checkVisibility()) continue;
		const inside = [...part.querySelectorAll("a[href], button, summary, [tabindex='0']")]
			.find((e) => e.checkVisibility());
		const target = inside ?? [...document.querySelectorAll("main a[href], main button")].find((e) => e.checkVisibility());
		target?.focus({preventScroll: true});
		const before = document.activeElement;
		const name = before?.outerHTML.slice(0, 60);
		window.scrollTo(0, 120);
		const y = window.scrollY;
		const answered = new Promise((done) => {
			const end = setTimeout(() => done(false), 8000);
			document.addEventListener("htmx:after:swap", () => { clearTimeout(end); done(true); }, {once: true});
		});
		htmx.trigger(part, "every");
		if (!await answered) { faults.push("is not answered: " + part.outerHTML.slice(0, 140)); continue; }
		await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
		const now = document.activeElement;
		if (now !== before && now?.outerHTML.slice(0, 60) !== name) {
			faults.push("the focus goes from " + name + " to " + now?.outerHTML.slice(0, 60));
		}
		if (window.scrollY !== y) faults.push("the page scrolls from " + y + " to " + window.scrollY);
		for (let e = now; e; e = e.parentElement)
			if (getComputedStyle(e).visibility === "hidden") faults.push("the focus is hidden");
	}
	return faults.join("\n");
})()`

// openers numbers what opens menus and dialogs.
const openers = `([...document.querySelectorAll(
	"main details.menu > summary, main details.range > summary, main [data-dialog], [data-shortcuts], [data-palette-open]")]
	.filter((e) => e.checkVisibility()).forEach((e, n) => { e.dataset.opener = n; }), "")`

func TestTheFocusOfEveryPage(t *testing.T) {
	if !*focus {
		t.Skip("-focus walks with the Tab key over every page; lists that grow under the walk are not told apart yet")
	}
	b := browser.Start(t)
	i := install(t)
	w := newWalker(t, b, i)
	for _, p := range i.pages() {
		w.open(p, state{1400, "light"})
		var reachable int
		if _, err := fmt.Sscan(w.b.Evaluate(watchFocus), &reachable); err != nil {
			t.Fatal(err)
		}
		reachable = min(reachable, mostStops) // before a list gets more rows while the focus goes through it
		for range reachable + moreStops {
			w.b.Press("Tab")
		}
		if faults := w.b.Evaluate(fmt.Sprintf(judged, reachable)); faults != "" {
			t.Errorf("%s (%s): %s", p.name, p.path, faults)
		}
		if faults := w.b.Evaluate(updated); faults != "" {
			t.Errorf("%s (%s): after an update %s", p.name, p.path, faults)
		}
		w.escapes(p)
	}
}

// escapes opens the menus and dialogs of a page with Enter and leaves them with Escape.
func (w *walker) escapes(p shown) {
	w.t.Helper()
	w.b.Evaluate(openers)
	for n := range 12 {
		selector := fmt.Sprintf(`[data-opener="%d"]`, n)
		found := w.b.Evaluate(`(() => {
			const e = document.querySelector('` + selector + `'); e?.focus(); return e ? "yes" : "";
		})()`)
		if found == "" {
			return
		}
		w.b.Press("Enter")
		w.b.Press("Escape")
		back := w.b.Evaluate(`(() => document.activeElement.matches('` + selector + `') ? "" :
			"to " + document.activeElement.outerHTML.slice(0, 120) + " from " +
				document.querySelector('` + selector + `')?.outerHTML.slice(0, 120))()`)
		if back != "" {
			w.t.Errorf("%s (%s): Escape does not lead back: %s", p.name, p.path, back)
		}
	}
}
