package pages_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

// scriptless lists what a page lacks without scripts. Text that only scripts would fill in, buttons that only scripts
// hear, forms that nothing sends, and charts whose values are not shown.
const scriptless = `(() => {
	const faults = [];
	const say = (what, e) => faults.push(what + ": " + (e?.outerHTML.slice(0, 140) ?? ""));
	const seen = (e) => e.checkVisibility({visibilityProperty: true});
	const main = document.querySelector("main");
	if (main.innerText.trim().length < 40) say("the page is empty", main);
	for (const e of main.querySelectorAll(".skeleton, [data-skeleton]")) if (seen(e)) say("waits for a script", e);
	for (const e of document.querySelectorAll(".only-js")) if (seen(e)) say("is for scripts and is shown", e);
	for (const e of document.querySelectorAll("button[type=button]:not([popovertarget])")) {
		if (seen(e)) say("a button that does nothing", e);
	}
	for (const form of document.querySelectorAll("form")) {
		if (!seen(form)) continue;
		const id = form.id ? document.querySelector('[form="' + form.id + '"]:is(button, [type=submit])') : null;
		const typed = form.querySelectorAll("input[type=text], input[type=search], input:not([type])");
		if (typed.length === 1) continue; // Enter sends it
		if (!id && !form.querySelector("button:not([type=button]), [type=submit]")) say("a form that nothing sends", form);
	}
	for (const chart of document.querySelectorAll("[data-chart]")) {
		if (!chart.querySelector("script")) continue;
		const table = chart.querySelector("table");
		if (!table || !seen(table) || table.getBoundingClientRect().height < 20) say("a chart without its values", chart);
	}
	for (const a of document.querySelectorAll("a:not([href])")) if (seen(a)) say("a link that leads nowhere", a);
	return faults.join("\n");
})()`

// menus opens every menu, and lists the ones whose entries stay hidden.
const opened = `(() => {
	const shut = [];
	for (const menu of document.querySelectorAll("details.menu, details.filters, details.range")) {
		if (!menu.checkVisibility()) continue;
		menu.open = true;
		const entries = [...menu.querySelectorAll("a, button, input, select, summary")].filter((e) => e.type !== "hidden" &&
			!menu.querySelector(":scope > summary").contains(e));
		if (entries.length > 0 && !entries.some((e) => e.checkVisibility())) shut.push(menu.outerHTML.slice(0, 200));
		menu.open = false;
	}
	return shut.join("\n");
})()`

// TestEveryPageWorksWithoutScripts shows every page with scripts off. That each form can be sent so is the crawl of
// package app.
func TestEveryPageWorksWithoutScripts(t *testing.T) {
	b := browser.Start(t)
	i := install(t)
	w := newWalker(t, b, i)
	w.b.WithoutScripts()
	for _, p := range i.pages() {
		if strings.HasPrefix(p.name, "docs") {
			continue // the tests of the reference show its pages without scripts
		}
		w.show(p, state{1400, "light"})
		if faults := w.b.Evaluate(scriptless); faults != "" {
			t.Errorf("%s (%s): %s", p.name, p.path, faults)
		}
		if shut := w.b.Evaluate(opened); shut != "" {
			t.Errorf("%s (%s): a menu that does not open: %s", p.name, p.path, shut)
		}
		if faults := w.traffic.Faults(); faults != "" {
			t.Errorf("%s (%s): %s", p.name, p.path, faults)
		}
	}
}
