package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/browser"
)

// furnished is an account with something of every kind, and one without.
func furnished(t *testing.T) (v *visitor, full, bare string) {
	t.Helper()
	s := newSite(t)
	full, bare = s.account("Acme production"), s.account("Bare")
	ago := func(minutes int) string {
		return time.Now().Add(-time.Duration(minutes) * time.Minute).UTC().Format(time.RFC3339Nano)
	}
	var set []object
	for i := range 40 {
		set = append(set, auditEvent(fmt.Sprintf("tf-%d", i), "terraform", object{
			"occurred_at": ago(400),
			"change_set":  "apply-31",
			"reason":      object{"text": "apply 31", "url": "https://tickets.example/31"},
			"zone":        "shop.example",
		}))
	}
	for i := range 100 {
		set = append(set, auditEvent(fmt.Sprintf("old-%d", i), "li.wei@acme.example", object{
			"occurred_at": ago(3000 + 90*i),
		}))
	}
	s.append(full, set...)
	long := strings.Repeat("NoSpacesInThisName", 12)
	s.append(full, hostile(),
		auditEvent("long", long, object{
			"resource": object{
				"product": "object-storage-gateway-with-a-long-name",
				"type":    "lifecycle_configuration_rule",
				"id":      long + "/" + long,
				"name":    long,
			},
			"reason": object{"text": strings.Repeat("a reason that goes on, ", 30)},
			"before": object{"rules": []any{long, 1}},
			"after":  object{"rules": []any{long + long, 2}, "owner": long},
		}),
		auditEvent("ttl", "ana", object{
			"occurred_at": ago(20),
			"zone":        "shop.example",
			"before":      object{"ttl": 300, "proxied": true},
			"after":       object{"ttl": 60, "proxied": true},
			"reason":      object{"text": "Move", "url": "https://tickets.example/OPS-88"},
			"request": object{
				"id":          "8f0a",
				"method":      "PATCH",
				"uri":         "/zones/z-1",
				"status_code": 200,
				"user_agent":  "terraform/1.9",
			},
			"related":  []object{{"type": "zone", "id": "z-1", "name": "shop.example"}},
			"metadata": object{"region": "eu"},
		}),
		auditEvent("ttl2", "bo", object{
			"occurred_at": ago(10),
			"resource":    object{"product": "dns", "type": "record", "id": "r-ttl", "name": "wwwttl.shop.example"},
			"zone":        "shop.example",
			"before":      object{"ttl": 61, "proxied": true},
			"after":       object{"ttl": 61, "proxied": false},
		}),
		auditEvent("staff", "sam", object{
			"actor":  object{"type": "staff", "id": "s-7", "name": "Sam (support)"},
			"action": object{"type": "update", "result": "failure"},
		}),
		auditEvent("app", "dd", object{
			"actor": object{
				"type":         "integration",
				"id":           "i-1",
				"name":         "Datadog",
				"on_behalf_of": object{"type": "user", "id": "ana", "email": "ana@acme.example"},
			},
			"action": object{"type": "create"},
			"after":  object{"scope": "read"},
		}),
		auditEvent("gone", "bo", object{
			"action": object{"type": "delete"},
			"before": object{"url": "https://hooks.example"},
		}),
		auditEvent("look", "bo", object{"action": object{"type": "view"}}))
	s.member(full, "ana.lima@acme.example", "owner")
	s.call("POST", "/accounts/"+bare+"/members", object{"email": "ana.lima@acme.example", "role": "owner"})
	v = s.signIn("ana.lima@acme.example")
	return v, full, bare
}

func TestTheRecordsPagesStandInABrowser(t *testing.T) {
	b := browser.Start(t)
	v, full, bare := furnished(t)
	b.Carry(v.url, v.Cookies())
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
	b.Carry(v.url, v.Cookies())
	b.Open(v.url+"/accounts/"+id+"/audit?resource_product=dns", "light", 1400)
	until(t, b, `document.querySelector("#rows > [data-day] + [data-row]")
		&& document.querySelectorAll("#rows > [data-row]").length > 5`)
	press(b, "j")
	press(b, "j")
	b.Evaluate(`(document.activeElement.click(), "")`)
	until(t, b, `location.search.includes("event=")
		&& document.querySelector("#detail .kv")
		&& document.querySelector("#detail h2") === document.activeElement`)
	b.Evaluate(`([...document.querySelectorAll(".event-tabs a")]
		.find((a) => a.textContent.includes("Proof")).click(), "")`)
	until(t, b, `document.querySelector("#detail .button.primary")?.textContent.includes("Verify")`)
	b.Evaluate(`(document.querySelector("#detail .button.primary").click(), "")`)
	until(t, b, `document.querySelectorAll("#detail .step.good").length === 3`)
	// The pane closes, and the row that was open has the focus again.
	b.Press("Escape")
	until(t, b, `!location.search.includes("event=") && !document.querySelector("#detail h2")
		&& document.activeElement?.closest("[data-row]") === document.querySelectorAll("#rows > [data-row]")[1]`)
	until(t, b, `document.readyState === "complete" && document.querySelector("[data-fold]")`)
	// A change set opens in its place, and the next page is loaded when the end of the list is visible.
	b.Evaluate(`(document.querySelector("[data-fold]").click(), "")`)
	until(t, b, `document.querySelector(".fold").open && document.querySelectorAll(".fold .row").length === 20`)
	before := `document.querySelectorAll("#rows > [data-row]").length`
	b.Evaluate(`(window.rowsBefore = ` + before + `, window.scrollTo(0, 1e6), "")`)
	until(t, b, before+` > window.rowsBefore`)
	until(t, b, `[...document.querySelectorAll("#rows > [data-day]")]
		.every((d) => d.nextElementSibling?.matches("[data-row]"))`)
	b.Evaluate(`(window.scrollTo(0, 0), "")`)
	press(b, "l")
	until(t, b, `document.querySelector("[data-live]").dataset.state === "live"`)
	v.append(id, auditEvent("fresh", "jo", object{"occurred_at": time.Now().UTC().Format(time.RFC3339Nano)}))
	until(t, b, `document.querySelector("#rows > [data-row]")?.id === "e-fresh"
		&& document.querySelector("#rows > :first-child").matches("[data-day]")`)
}
