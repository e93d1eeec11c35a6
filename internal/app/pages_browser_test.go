package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/browser"
)

// cookies are those of the browser without scripts.
func (v *visitor) cookies() []*http.Cookie {
	at, err := url.Parse(v.url)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.client.Jar.Cookies(at)
}

// furnished is an account with something of every kind, and one without.
func furnished(t *testing.T) (v *visitor, full, bare string) {
	t.Helper()
	s := newSite(t)
	full, bare = s.account("Acme production"), s.account("Bare")
	ago := func(minutes int) string {
		return time.Now().Add(-time.Duration(minutes) * time.Minute).UTC().Format(time.RFC3339Nano)
	}
	var set []m
	for i := range 40 {
		set = append(set, change(fmt.Sprintf("tf-%d", i), "terraform", m{
			"occurred_at": ago(400),
			"change_set":  "apply-31",
			"reason":      m{"text": "apply 31", "url": "https://tickets.example/31"},
			"zone":        "shop.example",
		}))
	}
	for i := range 100 {
		set = append(set, change(fmt.Sprintf("old-%d", i), "li.wei@acme.example", m{"occurred_at": ago(3000 + 90*i)}))
	}
	s.append(full, set...)
	long := strings.Repeat("NoSpacesInThisName", 12)
	s.append(full, hostile(),
		change("long", long, m{
			"resource": m{
				"product": "object-storage-gateway-with-a-long-name",
				"type":    "lifecycle_configuration_rule",
				"id":      long + "/" + long,
				"name":    long,
			},
			"reason": m{"text": strings.Repeat("a reason that goes on, ", 30)},
			"before": m{"rules": []any{long, 1}},
			"after":  m{"rules": []any{long + long, 2}, "owner": long},
		}),
		change("ttl", "ana", m{
			"occurred_at": ago(20),
			"zone":        "shop.example",
			"before":      m{"ttl": 300, "proxied": true},
			"after":       m{"ttl": 60, "proxied": true},
			"reason":      m{"text": "Move", "url": "https://tickets.example/OPS-88"},
			"request": m{
				"id":          "8f0a",
				"method":      "PATCH",
				"uri":         "/zones/z-1",
				"status_code": 200,
				"user_agent":  "terraform/1.9",
			},
			"related":  []m{{"type": "zone", "id": "z-1", "name": "shop.example"}},
			"metadata": m{"region": "eu"},
		}),
		change("ttl2", "bo", m{
			"occurred_at": ago(10),
			"resource":    m{"product": "dns", "type": "record", "id": "r-ttl", "name": "wwwttl.shop.example"},
			"zone":        "shop.example",
			"before":      m{"ttl": 61, "proxied": true},
			"after":       m{"ttl": 61, "proxied": false},
		}),
		change("staff", "sam", m{
			"actor":  m{"type": "staff", "id": "s-7", "name": "Sam (support)"},
			"action": m{"type": "update", "result": "failure"},
		}),
		change("app", "dd", m{
			"actor": m{
				"type":         "integration",
				"id":           "i-1",
				"name":         "Datadog",
				"on_behalf_of": m{"type": "user", "id": "ana", "email": "ana@acme.example"},
			},
			"action": m{"type": "create"},
			"after":  m{"scope": "read"},
		}),
		change("gone", "bo", m{"action": m{"type": "delete"}, "before": m{"url": "https://hooks.example"}}),
		change("look", "bo", m{"action": m{"type": "view"}}))
	v = s.member(full, "ana.lima@acme.example", "owner")
	s.call("POST", "/accounts/"+bare+"/members", m{"email": "ana.lima@acme.example", "role": "owner"})
	v = s.signIn("ana.lima@acme.example")
	return v, full, bare
}

func TestTheRecordsPagesStandInABrowser(t *testing.T) {
	b := browser.Start(t)
	v, full, bare := furnished(t)
	b.Carry(v.url, v.cookies())
	base := "/accounts/" + full + "/audit"
	empty := "/accounts/" + bare + "/audit"
	for _, one := range []struct{ name, path string }{
		{"overview", "/accounts/" + full},
		{"overview-empty", "/accounts/" + bare},
		{"explorer", base},
		{"explorer-empty", empty},
		{"explorer-filters", base + "?actor_id.not=nobody&views=shown&q=e&since=30d&colour=red&actor_type=user"},
		{"explorer-nothing", base + "?actor_id=nobody"},
		{"event", base + "?event=ttl"},
		{"event-hostile", base + "?event=evil"},
		{"event-long", base + "?event=long"},
		{"event-json", base + "?event=long&tab=json"},
		{"event-proof", base + "?event=ttl&tab=proof&verify=1"},
		{"event-page", base + "/events/ttl"},
		{"event-page-long", base + "/events/long"},
		{"history", base + "/history?resource_product=dns&resource_type=record&resource_id=r-ttl"},
		{"history-deleted", base + "/history?resource_product=dns&resource_type=record&resource_id=r-gone"},
		{"summary", base + "/summary"},
		{"integrity", base + "/integrity"},
		{"integrity-forged", base + "/integrity?old=forged"},
		{"integrity-empty", empty + "/integrity"},
		{"nowhere", "/accounts/" + strings.Repeat("0", 32)},
	} {
		for _, at := range []struct {
			theme string
			width int64
		}{{"light", 1400}, {"dark", 800}, {"light", 390}} {
			b.Open(v.url+one.path, at.theme, at.width)
			b.Look(one.name, at.theme, at.width)
		}
	}
}

// until waits for a condition in the page, at most about five seconds.
func until(t *testing.T, b *browser.Browser, condition string) {
	t.Helper()
	got := b.Evaluate(`(async () => {
		for (let i = 0; i < 100; i++) {
			if (` + condition + `) return "";
			await new Promise((r) => setTimeout(r, 50));
		}
		return "never held at " + location.href + ": " + document.activeElement?.outerHTML.slice(0, 200);
	})()`)
	if got != "" {
		t.Fatalf("%s: %s", condition, got)
	}
}

// press sends a key to what has the focus.
func press(b *browser.Browser, key string) {
	b.Evaluate(`(document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "` + key +
		`", bubbles: true, cancelable: true})), "")`)
}

func TestTheExplorerWorksByKeyboardAndLive(t *testing.T) {
	b := browser.Start(t)
	v, id, _ := furnished(t)
	b.Carry(v.url, v.cookies())
	b.Open(v.url+"/accounts/"+id+"/audit?resource_product=dns", "light", 1400)
	until(t, b, `document.querySelector("#rows > [data-day] + [data-row]") && document.querySelectorAll("#rows > [data-row]").length > 5`)
	press(b, "j")
	press(b, "j")
	b.Evaluate(`(document.activeElement.click(), "")`)
	until(t, b, `location.search.includes("event=") && document.querySelector("#detail .kv") && document.querySelector("#detail h2") === document.activeElement`)
	b.Evaluate(`([...document.querySelectorAll(".event-tabs a")].find((a) => a.textContent.includes("Proof")).click(), "")`)
	until(t, b, `document.querySelector("#detail .button.primary")?.textContent.includes("Verify")`)
	b.Evaluate(`(document.querySelector("#detail .button.primary").click(), "")`)
	until(t, b, `document.querySelectorAll("#detail .step.good").length === 3`)
	// A change set opens in its place, and the next page comes when its end is seen.
	b.Evaluate(`(document.querySelector("[data-fold]").click(), "")`)
	until(t, b, `document.querySelector(".fold").open && document.querySelectorAll(".fold .row").length === 20`)
	before := `document.querySelectorAll("#rows > [data-row]").length`
	b.Evaluate(`(window.rowsBefore = ` + before + `, window.scrollTo(0, 1e6), "")`)
	until(t, b, before+` > window.rowsBefore`)
	until(t, b, `[...document.querySelectorAll("#rows > [data-day]")].every((d) => d.nextElementSibling?.matches("[data-row]"))`)
	b.Evaluate(`(window.scrollTo(0, 0), "")`)
	press(b, "l")
	until(t, b, `document.querySelector("[data-live]").dataset.state === "live"`)
	v.append(id, change("fresh", "jo", m{"occurred_at": time.Now().UTC().Format(time.RFC3339Nano)}))
	until(t, b, `document.querySelector("#rows > [data-row]")?.id === "e-fresh" && document.querySelector("#rows > :first-child").matches("[data-day]")`)
}
