package app_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
	"github.com/belfryhq/belfry/test/poll"
)

// unseen is the number in the bell, as the navigation asks for it.
func (v *visitor) unseen(account string) string {
	v.t.Helper()
	return v.Fragment("/accounts/"+account+"/firing", "firing").Find(`data-unseen="(\d+)"`)
}

// seen marks all news as seen, as the button on the page does.
func (v *visitor) seen(account string) {
	v.t.Helper()
	path := "/accounts/" + account + "/news"
	v.Get(path).Expect(200).Submit("Mark all as seen").RedirectsTo(path)
}

// alert reports a start or an end of the shop's alert type.
func (c *crawled) alert(id, correlation, event string) {
	c.t.Helper()
	c.call("POST", "/accounts/"+c.full+"/alerting/v3/alerts", object{
		"id": id, "event": event, "correlation_id": correlation, "alert_type": "shop_payment_provider_down",
		"severity": "critical", "zone": "checkout.shop.example", "data": object{"provider": "cardpay", "failed": 41},
	})
}

func TestTheBellCountsWhatIsNewUntilItWasSeen(t *testing.T) {
	t.Parallel()
	s := newCrawled(t)
	owner := s.signIn(crawlEmail("owner"))
	auditor := s.signIn(crawlEmail("auditor"))
	base := "/accounts/" + s.full
	// A refused event comes back over a topic, after its answer.
	poll.Until(t, "the refused event is in the news", func() bool {
		return strings.Contains(owner.Get(base+"/news").Text(), "rejected")
	})
	owner.Get(base+"/news").Says("Alert began", "checkout.shop.example", "Objective created", "rejected",
		"joined the account")
	owner.seen(s.full)
	if n := owner.unseen(s.full); n != "0" {
		t.Errorf("after all was seen the bell shows %s", n)
	}
	owner.Get(base + "/news").Lacks("Mark all as seen")

	// An alert begins and ends: two entries, for those who may see alerts.
	before := auditor.unseen(s.full)
	s.alert("third", "third", "start")
	s.alert("third-end", "third", "end")
	poll.Until(t, "the alert and its end are new", func() bool { return owner.unseen(s.full) == "2" })
	owner.Get(base+"/news").Says("2 new entries", "Alert ended", "Mark all as seen")
	owner.Get(base).Says(`aria-label="News, 2 new"`)
	if after := auditor.unseen(s.full); after != before {
		t.Errorf("the auditor's bell went from %s to %s by an alert", before, after)
	}
	auditor.Get(base + "/news").Lacks("Alert began")
	owner.seen(s.full)
	if n := owner.unseen(s.full); n != "0" {
		t.Errorf("after all was seen again the bell shows %s", n)
	}
	owner.Get("/accounts/" + s.account("Foreign") + "/news").Expect(404)
}

func TestTitleIconAndBellFollowWhatFires(t *testing.T) {
	b := browser.Start(t)
	s := newCrawled(t)
	owner := s.signIn(crawlEmail("owner"))
	b.Carry(s.url, owner.Cookies())
	base := "/accounts/" + s.bare
	b.Open(s.url+base+"/members", "light", 1400)
	calm := `document.querySelector("link[rel=icon]").getAttribute("href")`
	if icon := b.Evaluate(calm); !strings.HasSuffix(icon, "/favicon.svg") {
		t.Fatalf("a calm account has the icon %s", icon)
	}
	focused := `document.querySelector('a[href="` + base + `/tokens"]')`
	b.Evaluate(`(` + focused + `.focus(), "")`)
	s.call("POST", base+"/alerting/v3/alerts", object{
		"id": "one", "event": "start", "correlation_id": "one", "alert_type": "shop_payment_provider_down",
		"severity": "critical", "data": object{"provider": "cardpay", "failed": 41},
	})
	until(t, b, `(htmx.trigger(document.querySelector("[data-firing]"), "every"), document.title.startsWith("(1) "))`)
	until(t, b, calm+`.endsWith("/favicon-firing.svg") && document.querySelector("[data-bell]").getAttribute("aria-label") === "News, 1 new"`)
	until(t, b, `document.activeElement === `+focused)

	// The bell opens what is new, marks it and gives the focus back.
	b.Click("[data-bell]", "#bell-panel .news")
	until(t, b, `document.querySelector("#bell-panel").textContent.includes("Alert began") && document.getElementById("bell-panel").contains(document.activeElement)`)
	b.Look("bell", "light", 1400)
	b.Click("#bell-panel button", "#bell-panel .news")
	until(t, b, `document.querySelector("[data-bell]").getAttribute("aria-label") === "News" && !document.querySelector("#bell-panel button")`)
	b.Press("Escape")
	until(t, b, `!document.getElementById("bell-panel").matches(":popover-open") && document.activeElement === document.querySelector("[data-bell]")`)

	s.call("POST", base+"/alerting/v3/alerts", object{
		"id": "one-end", "event": "end", "correlation_id": "one", "alert_type": "shop_payment_provider_down",
		"severity": "critical",
		"data":     object{"provider": "cardpay", "failed": 41},
	})
	until(t, b, `(htmx.trigger(document.querySelector("[data-firing]"), "every"), !document.title.startsWith("(")) && `+calm+`.endsWith("/favicon.svg")`)
	for _, at := range []struct {
		theme string
		width int64
	}{{"light", 1400}, {"dark", 800}, {"light", 390}} {
		b.Open(s.url+"/accounts/"+s.full+"/news", at.theme, at.width)
		b.Look("news", at.theme, at.width)
	}
}
