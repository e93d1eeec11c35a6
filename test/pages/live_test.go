package pages_test

import (
	"testing"

	"github.com/belfryhq/belfry/test/browser"
	"github.com/belfryhq/belfry/test/poll"
)

// TestRowsThatArriveLiveLeaveFocusTextAndPlace follows the audit log live while the visitor reads a row, types in the
// search, and has scrolled down.
func TestRowsThatArriveLiveLeaveFocusTextAndPlace(t *testing.T) {
	b := browser.Start(t)
	i := install(t)
	w := newWalker(t, b, i)
	w.open(shown{path: "/accounts/" + i.full + "/audit", who: owner}, state{1400, "light"})
	w.b.Press("l")
	poll.Until(t, "the log is followed", func() bool {
		return w.b.Evaluate(`document.querySelector("[data-live]").dataset.state ?? ""`) == "live"
	})
	arrives := func(id, shows string) {
		t.Helper()
		i.call("POST", "/accounts/"+i.full+"/audit/events", event(id, 0, user("Ana Lima", owner), nil))
		poll.Until(t, "the event "+id+" arrives", func() bool { return w.b.Evaluate(shows) == "true" })
	}
	row := func(id string) string {
		return `String(document.querySelector("[data-row]")?.textContent.includes("` + id + `.shop.example"))`
	}
	focused := `(() => {
		const [e, before] = [document.activeElement, globalThis.before];
		return e === before ? "" : "the focus goes to " + e.outerHTML.slice(0, 100);
	})()`

	w.b.Evaluate(`(globalThis.before = document.querySelectorAll("[data-row] [data-open]")[2], before.focus(), "")`)
	arrives("live-1", row("live-1"))
	if fault := w.b.Evaluate(focused); fault != "" {
		t.Errorf("on a row: %s", fault)
	}

	w.b.Evaluate(`(globalThis.before = document.querySelector("[data-search]"), before.focus(),
		before.value = "typed text", before.setSelectionRange(2, 5), "")`)
	arrives("live-2", row("live-2"))
	if fault := w.b.Evaluate(focused); fault != "" {
		t.Errorf("in the search: %s", fault)
	}
	if got := w.b.Evaluate(`[before.value, before.selectionStart, before.selectionEnd].join()`); got != "typed text,2,5" {
		t.Errorf("the search is %s", got)
	}

	w.b.Evaluate(`(globalThis.before = [...document.querySelectorAll("[data-row] [data-open]")].at(-1), before.focus(),
		globalThis.place = before.getBoundingClientRect().top, "")`)
	arrives("live-3", `String(document.querySelector(".pill")?.textContent === "1 new")`)
	stays := `(() => {
		const top = before.getBoundingClientRect().top;
		return Math.abs(top - place) <= 1 && scrollY > 80 ? "" : "the row moves from " + place + " to " + top;
	})()`
	if fault := w.b.Evaluate(focused + " || " + stays); fault != "" {
		t.Errorf("below: %s", fault)
	}
}
