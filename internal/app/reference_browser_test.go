package app_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

func TestTheDocumentationHoldsInABrowser(t *testing.T) {
	s := newSite(t)
	b := browser.Start(t)
	for _, one := range []struct{ name, path, act string }{
		{"docs", "/docs", ""},
		{"docs-group", "/docs/api/notifications", ""},
		{"docs-operation", "/docs/api/publish-audit-events", `
			document.querySelectorAll("details").forEach((d) => { d.open = true; }); ""`},
		{"docs-stream", "/docs/api/stream-audit-events", ""},
		{"docs-guide", "/docs/guide/publish", ""},
		{"docs-settings", "/docs/guide/configure", ""},
		{"docs-format", "/docs/guide/format", ""},
		{"docs-errors", "/docs/errors", ""},
		{"docs-error", "/docs/errors/1103", ""},
		{"docs-search", "/docs/search?q=webhook", ""},
		{"docs-try", "/docs/api/create-policy", `document.querySelector("[data-dialog=try]").click();
			document.querySelector("[data-try]").requestSubmit(); ""`},
		{"docs-hits", "/docs/api/create-policy", typeQuery("secret")},
	} {
		for _, look := range []struct {
			theme string
			width int64
		}{{"light", 1400}, {"dark", 1400}, {"light", 800}, {"dark", 390}} {
			b.Open(s.url+one.path, look.theme, look.width)
			if one.act != "" {
				b.Evaluate(one.act)
				b.Drawn()
			}
			b.Look(one.name, look.theme, look.width)
		}
	}
	b.Open(s.url+"/docs/api/create-policy", "light", 390)
	b.Evaluate(`document.querySelector(".ref-menu").click(); ""`)
	b.Look("docs-menu", "light", 390)
}

// typeQuery types into the search and waits for results.
func typeQuery(query string) string {
	return `(async () => {
		const field = document.querySelector("[data-docs-search]");
		field.focus();
		field.value = "` + query + `";
		field.dispatchEvent(new Event("input", { bubbles: true }));
		while (!document.querySelector(".ref-hit, #ref-hits .note")) await new Promise((r) => setTimeout(r, 20));
		return [...document.querySelectorAll(".ref-hit")].map((a) => a.getAttribute("href")).join(" ");
	})()`
}

func TestTheDocumentationTriesOperations(t *testing.T) {
	s := newSite(t)
	account := s.account("Acme")
	ana := s.member(account, "ana@acme.example", "owner")
	b := browser.Start(t)

	// The search of the browser and that of the server find the same.
	b.Open(s.url+"/docs", "light", 1400)
	b.Evaluate(`document.dispatchEvent(new KeyboardEvent("keydown", { key: "k", ctrlKey: true })); ""`)
	if focused := b.Evaluate(`document.activeElement.name`); focused != "q" {
		t.Errorf("Ctrl-K focuses %q", focused)
	}
	for _, query := range []string{"webhook secret", "1103", "occurred_at", "nothing has these words"} {
		got := strings.Fields(b.Evaluate(typeQuery(query)))
		b.Evaluate(`document.getElementById("ref-hits").replaceChildren(); ""`)
		d := &docsSite{s, map[string]string{}}
		_, page := d.open("/docs/search?q=" + strings.ReplaceAll(query, " ", "+"))
		_, page, _ = strings.Cut(page, `class="ref-found"`)
		for i, href := range got {
			link := `href="` + href + `"`
			if i == 0 && !strings.Contains(page[:min(len(page), 200)], link) || !strings.Contains(page, link) {
				t.Errorf("%q: the browser finds %s in place %d, the server does not", query, href, i)
			}
		}
		if (len(got) == 0) != (page == "") {
			t.Errorf("%q: the browser finds %d, the server %q", query, len(got), page)
		}
	}

	send := func(script string) string {
		return b.Evaluate(`(async () => {
			const form = document.querySelector("[data-try]");
			document.querySelector("[data-dialog=try]").click();
			` + script + `
			form.requestSubmit();
			const question = form.querySelector("[data-try-question]");
			if (!question.hidden) question.querySelector("[data-try-yes]").click();
			while (!form.querySelector(".ref-try-status") || form.querySelector("[data-try-stop]:not([hidden])"))
				await new Promise((r) => setTimeout(r, 20));
			return form.querySelector("[data-try-answer]").textContent;
		})()`)
	}
	fill := `form.elements["path:account_id"].value = "` + account + `";`
	b.Open(s.url+"/docs/api/list-zones", "light", 1400)
	if answer := send(fill); !strings.HasPrefix(answer, "401") || !strings.Contains(answer, "Sign in") {
		t.Errorf("without a session: %s", answer)
	}
	b.Carry(s.url, ana.Cookies())
	b.Open(s.url+"/docs/api/create-zone", "light", 1400)
	answer := send(fill + `form.elements.body.value = JSON.stringify({ name: "tried.example" });`)
	for _, want := range []string{"200", "ms", "x-request-id", `"name": "tried.example"`} {
		if !strings.Contains(answer, want) {
			t.Errorf("with the session: %q is missing: %s", want, answer)
		}
	}
	// A token takes the place of the session, and does not leave the tab.
	b.Open(s.url+"/docs/api/get-account", "light", 1400)
	answer = send(fill + `form.elements.auth.value = "token"; form.elements.token.value = "blf_not_a_token";`)
	if !strings.HasPrefix(answer, "401") {
		t.Errorf("a wrong token beside a session: %s", answer)
	}
	kept := b.Evaluate(`JSON.stringify(localStorage) + location.href + document.cookie`)
	if strings.Contains(kept, "not_a_token") {
		t.Errorf("the token is kept: %s", kept)
	}
}

func TestTheDocumentationRemembersTheLanguage(t *testing.T) {
	s := newSite(t)
	b := browser.Start(t)
	shown := `[...document.querySelectorAll("[data-tab]")].filter((p) => p.checkVisibility())
		.map((p) => p.dataset.tab).join(" ")`
	b.Open(s.url+"/docs/api/get-account", "light", 1400)
	if got := b.Evaluate(shown); got != "curl" {
		t.Errorf("first: %q", got)
	}
	b.Evaluate(`document.querySelector("[data-language][value=python]").click(); ""`)
	if got := b.Evaluate(shown); got != "python" {
		t.Errorf("chosen: %q", got)
	}
	b.Open(s.url+"/docs/api/list-zones", "light", 1400)
	if got := b.Evaluate(shown); got != "python" {
		t.Errorf("on the next page: %q", got)
	}
}
