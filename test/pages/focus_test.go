package pages_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

// mostStops is the number of elements of a page that are reached by Tab in the walk: lists have more of the same.
const mostStops = 90

// moreStops are pressed beyond that: a field for a time has several, and so has a region that scrolls.
const moreStops = 25

// watchFocus records where the focus goes, and how it is shown there. It returns the number of elements that Tab must
// reach. A list that would load more rows at its end does not grow during the walk.
const watchFocus = `(() => {
	for (const end of document.querySelectorAll('[hx-trigger="revealed"]')) end.replaceWith(end.cloneNode(true));
	globalThis.stops = [];
	document.addEventListener("focusin", ({target}) => {
		// A field shows the ring on the frame around it, or on the picture that stands for it.
		const ringed = (e) => {
			const s = getComputedStyle(e);
			return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 || s.boxShadow !== "none";
		};
		const near = [target, target.parentElement, target.nextElementSibling ?? target];
		const ring = target.matches("main, [tabindex='-1']") ||
			(target.matches("input, select, textarea") ? near : [target]).some(ringed);
		stops.push([target, ring]);
	});
	document.activeElement?.blur();
	const first = (radio) => [...document.querySelectorAll('input[type=radio][name="' + radio.name + '"]')]
		.find((other, _, all) => other.checked || other === all[0] && !all.some((one) => one.checked));
	globalThis.mustReach = [...document.querySelectorAll(
		"a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")].filter((e) =>
		!e.disabled && e.tabIndex >= 0 && e.checkVisibility({visibilityProperty: true}) &&
		!(e.type === "radio" && e !== first(e))).slice(0, MOST);
	return String(mustReach.length);
})()`

// judged compares the stops with what can be reached.
const judged = `(() => {
	const faults = [];
	const show = (e) => e.outerHTML.slice(0, 140);
	const visited = new Set(stops.map(([e]) => e));
	for (const e of mustReach) {
		if (e.isConnected && e.checkVisibility() && !visited.has(e)) faults.push("Tab does not reach " + show(e));
	}
	for (const [e, ring] of stops) if (!ring) faults.push("no ring on " + show(e));
	for (let i = 1; i < stops.length; i++) {
		const [a, b] = [stops[i - 1][0], stops[i][0]];
		if (!a.isConnected || !b.isConnected || !a.closest("main") || !b.closest("main")) continue;
		if (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_PRECEDING && !a.contains(b) && b !== mustReach[0])
			faults.push("Tab goes back from " + show(a) + " to " + show(b));
	}
	const last = new Set(stops.slice(-20).map(([e]) => e));
	if (mustReach.length > 3 && last.size < 3) faults.push("Tab does not leave " + [...last].map(show).join(" and "));
	return [...new Set(faults)].slice(0, 5).join("\n");
})()`

// updated requests each part that updates itself, and lists the ones in which the visitor would lose focus, typed text,
// caret, selected text or the place on the page.
const updated = `(async () => {
	const faults = [];
	const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
	const find = (root, selector) => [...root.querySelectorAll(selector)].find((e) => !e.disabled && e.checkVisibility());
	const name = (e) => e?.outerHTML.slice(0, 80);
	// ask requests a part, and reports whether an answer was merged. A part that must not change now makes no request.
	const ask = async (part) => {
		let asked = false;
		const of = (event) => event.detail?.ctx?.sourceElement === part;
		const starts = (event) => { asked ||= of(event); };
		let ends;
		const answered = new Promise((done) => { ends = (event) => { if (of(event)) done(); }; });
		document.addEventListener("htmx:before:request", starts);
		document.addEventListener("htmx:finally:request", ends);
		htmx.trigger(part, "every");
		await frames();
		if (asked) await answered;
		document.removeEventListener("htmx:before:request", starts);
		document.removeEventListener("htmx:finally:request", ends);
		await frames();
		return asked;
	};
	const fields = "input[type=search], input[type=text], input:not([type]), textarea";
	const type = (e) => { e.focus({preventScroll: true}); e.value = "typed text"; e.setSelectionRange(2, 5); };
	const kept = (e, what) => {
		if (document.activeElement !== e) faults.push(what + ": the focus goes to " + name(document.activeElement));
		if (e.value !== "typed text") faults.push(what + ": the text becomes " + e.value);
		if (e.selectionStart !== 2 || e.selectionEnd !== 5) faults.push(what + ": the caret moves to " + e.selectionStart);
	};
	const parts = [...document.querySelectorAll("[hx-trigger]")].filter((e) => /every/.test(e.getAttribute("hx-trigger")));
	for (const part of parts) {
		if (!part.isConnected || !part.checkVisibility()) continue;
		const which = part.outerHTML.slice(0, 100);
		const inside = find(part, "a[href], button, summary, [tabindex='0']") ?? find(document, "main a[href], main button");
		inside?.focus({preventScroll: true});
		const before = document.activeElement;
		const text = name(before);
		window.scrollTo(0, 120);
		const y = window.scrollY;
		if (!await ask(part) && !await ask(part)) faults.push(which + " is not requested");
		const after = document.activeElement;
		if (after !== before && name(after) !== text)
			faults.push(which + ": the focus goes from " + text + " to " + name(after));
		if (window.scrollY !== y) faults.push(which + ": the page scrolls from " + y + " to " + window.scrollY);
		if (!after.checkVisibility({visibilityProperty: true})) faults.push(which + ": the focus is hidden");
		const own = find(part, fields);
		if (own) {
			type(own);
			if (await ask(part)) faults.push(which + " is requested while the visitor types in it");
			kept(own, which);
		}
		const other = [...document.querySelectorAll(fields)].find((e) => !part.contains(e) && e.checkVisibility());
		if (other) {
			type(other);
			await ask(part);
			kept(other, which);
			other.blur();
		}
		if (part.textContent.trim() && part.closest("main")) {
			getSelection().selectAllChildren(part);
			const ends = () => [getSelection().anchorNode, getSelection().anchorOffset, getSelection().focusOffset];
			const selected = ends();
			const words = part.textContent;
			await ask(part);
			const now = ends();
			if (selected.some((end, n) => end !== now[n]) || part.textContent !== words || !part.isConnected)
				faults.push(which + ": the selected text changes");
			getSelection().removeAllRanges();
		}
	}
	return faults.join("\n");
})()`

// untilTrue waits until a condition holds, for at most a second. It returns what the page shows where it does not.
const untilTrue = `(async () => {
	for (let n = 0; n < 60; n++) {
		if (%s) return "";
		await new Promise((done) => requestAnimationFrame(done));
	}
	const open = [...document.querySelectorAll("dialog[open], details.menu[open], :popover-open")];
	return "the focus is on " + document.activeElement.outerHTML.slice(0, 120) + "; open are " +
		open.map((e) => e.outerHTML.slice(0, 80)).join(", ");
})()`

// isOpen finds an open menu or dialog.
const isOpen = `document.querySelector("dialog[open], details.menu[open], details.range[open], :popover-open")`

// openers numbers the elements that open menus and dialogs.
const openers = `([...document.querySelectorAll("details.menu > summary, details.range > summary, " +
	"main [data-dialog], [data-shortcuts], [data-palette-open], [data-bell]")]
	.filter((e) => e.checkVisibility()).forEach((e, n) => { e.dataset.opener = n; }), "")`

// TestTheFocusOfEveryPage walks with the Tab key over every page, updates every part that updates itself, and opens and
// closes every menu and dialog.
func TestTheFocusOfEveryPage(t *testing.T) {
	b := browser.Start(t)
	i := install(t)
	inTabs(t, b, i, i.chosen(), func(w *walker, p shown) {
		w.open(p, state{1400, "light"})
		w.tab(p)
		if faults := w.b.Evaluate(updated); faults != "" {
			w.t.Errorf("%s (%s): after an update: %s", p.name, p.path, faults)
		}
		w.escapes(p)
		if faults := w.traffic.Faults(); faults != "" {
			w.t.Errorf("%s (%s): %s", p.name, p.path, faults)
		}
	})
}

// tab goes over a page with the Tab key.
func (w *walker) tab(p shown) {
	w.t.Helper()
	var reachable int
	watch := strings.ReplaceAll(watchFocus, "MOST", strconv.Itoa(mostStops))
	if _, err := fmt.Sscan(w.b.Evaluate(watch), &reachable); err != nil {
		w.t.Fatal(err)
	}
	for range reachable + moreStops {
		w.b.Press("Tab")
	}
	if faults := w.b.Evaluate(judged); faults != "" {
		w.t.Errorf("%s (%s): %s", p.name, p.path, faults)
	}
}

// escapes opens the menus and dialogs of a page with Enter and leaves them with Escape.
func (w *walker) escapes(p shown) {
	w.t.Helper()
	w.b.Evaluate(openers)
	for n := range 16 {
		selector := fmt.Sprintf(`[data-opener="%d"]`, n)
		found := w.b.Evaluate(`(() => {
			const e = document.querySelector('` + selector + `'); e?.focus(); return e ? "yes" : "";
		})()`)
		if found == "" {
			return
		}
		w.b.Press("Enter")
		w.b.Evaluate(fmt.Sprintf(untilTrue, isOpen))
		w.b.Press("Escape")
		if back := w.b.Evaluate(fmt.Sprintf(untilTrue, `document.activeElement.matches('`+selector+`')`)); back != "" {
			w.t.Errorf("%s (%s): Escape does not lead back to opener %d: %s", p.name, p.path, n, back)
			return
		}
	}
}
