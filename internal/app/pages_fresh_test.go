package app_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTheExplorersHeadCountsWhatItsFiltersShow(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	s.append(id, auditEvent("one", "ana", nil), auditEvent("two", "ana", nil),
		auditEvent("mail", "bo", object{"resource": object{"product": "mail", "type": "t", "id": "1"}}))
	v := s.member(id, "ana@acme.example", "owner")
	base := "/accounts/" + id + "/audit"
	head := func(path string) string {
		t.Helper()
		p := v.get(path, "HX-Request", "true", "HX-Target", "p#audit-size")
		if p.status != http.StatusOK || strings.Contains(p.body, "<html") || strings.Contains(p.body, `id="rows"`) {
			t.Fatalf("%s: %d %s", path, p.status, p.body)
		}
		return visibleText(p.body)
	}
	v.get(base+"?resource_product=dns").has(t, "2 of ", "The 2 that match as CSV")
	v.get(base+"?resource_type=t").has(t, "1 of ", `<span class="chip-key">Type</span>`)
	v.get(base+"?resource_id=r-one").has(t, "1 of ", `<span class="chip-key">Resource</span>`)
	v.get(base).lacks(t, " of 4 events", "that match")
	// What is excluded is in no row, and its chip says the name all the same.
	v.get(base+"?resource_id.not=r-one").has(t, ">is not</a><b>wwwone.shop.example</b>")
	before := head(base + "?resource_product=dns")
	s.append(id, auditEvent("three", "ana", nil))
	if after := head(base + "?resource_product=dns"); before == after || !strings.Contains(after, "3 of ") {
		t.Errorf("the head says %q, and after another event %q", before, after)
	}
	// A page without Live says what its list does not show.
	shown := v.get(base + "?resource_product=dns")
	asksFor := func(p page) string {
		t.Helper()
		found := regexp.MustCompile(`id="audit-size" hx-get="([^"]*seen=[0-9]+)"`).FindStringSubmatch(p.body)
		if found == nil {
			t.Fatalf("the head does not ask again: %s", p.body)
		}
		return html.UnescapeString(found[1])
	}
	poll := asksFor(shown)
	if got := head(poll); strings.Contains(got, "new event") {
		t.Errorf("the head says %q while nothing is new", got)
	}
	s.append(id, auditEvent("four", "ana", nil),
		auditEvent("other", "bo", object{"resource": object{"product": "mail", "type": "t", "id": "1"}}))
	fresh := v.get(poll, "HX-Request", "true", "HX-Target", "p#audit-size")
	fresh.has(t, `<a class="sub-link" href="`+base+`?resource_product=dns">1 new event, show</a>`, "seen=")
	if again := asksFor(fresh); again != poll {
		t.Errorf("the head asks for %s instead of %s", again, poll)
	}
	if got := head(strings.Replace(poll, "seen=", "seen=x", 1)); strings.Contains(got, "new event") {
		t.Errorf("rows that Live has shown are new: %q", got)
	}
	shown.lacks(t, "new event")
	if got := head(base); strings.Contains(got, " of ") {
		t.Errorf("without filters the head says %q", got)
	}
}

func TestEveryRowOfTheRecordHasItsDay(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	ago := func(days int) string { return time.Now().AddDate(0, 0, -days).UTC().Format(time.RFC3339Nano) }
	same := object{"product": "dns", "type": "record", "id": "r", "name": "www.shop.example"}
	for i, days := range []int{20, 20, 9, 3} {
		s.append(id, auditEvent(string(rune('a'+i)), "ana", object{"occurred_at": ago(days), "resource": same, "zone": "shop.example",
			"before": object{"ttl": i}, "after": object{"ttl": i + 1}}))
	}
	v := s.member(id, "ana@acme.example", "owner")
	base := "/accounts/" + id + "/audit"
	history := v.get(base + "/history?resource_product=dns&resource_type=record&resource_id=r")
	if days := regexp.MustCompile(`<li class="day" data-day>`).FindAllString(history.body, -1); len(days) != 3 {
		t.Errorf("the history of three days has %d headings", len(days))
	}
	event := v.get(base + "/events/c")
	event.has(t, time.Now().AddDate(0, 0, -20).UTC().Format("2 Jan 2006")+", ",
		time.Now().AddDate(0, 0, -3).UTC().Format("2 Jan 2006")+", ")
}

func TestTheNavigationAndTheTabSayHowManyAlertsFire(t *testing.T) {
	s := newCrawled(t)
	v := s.signIn(crawlEmail("owner"))
	for _, path := range []string{"", "/audit", "/members", "/no/such/page"} {
		v.get("/accounts/"+s.full+path).has(t, "<title>(2) ", `<span class="count bad">2</span>`)
		v.get("/accounts/"+s.bare+path).lacks(t, "<title>(", `<span class="count bad">`)
	}
	v.get("/accounts/"+s.full+"/firing", "HX-Request", "true").has(t, `<span class="count bad">2</span>`)
	if p := s.signIn(crawlEmail("auditor")).
		get("/accounts/" + s.full + "/audit"); strings.Contains(p.body, "<title>(") || strings.Contains(p.body, "/firing") {
		t.Error("who may not read alerts is told how many fire")
	}
	if p := s.signIn(crawlEmail("auditor")).get("/accounts/" + s.full + "/firing"); p.status != http.StatusForbidden {
		t.Errorf("the number is given to who may not read alerts: %d", p.status)
	}
}

func TestAFilterByAPropertysIDIsShownByItsName(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	var zone struct{ ID string }
	if err := json.Unmarshal(s.call("POST", "/accounts/"+id+"/zones", object{"name": "shop.example"}), &zone); err != nil {
		t.Fatal(err)
	}
	s.append(id, auditEvent("one", "ana", object{"zone": "shop.example"}))
	v := s.member(id, "ana@acme.example", "owner")
	for _, key := range []string{"zone", "zone.not"} {
		p := v.get("/accounts/" + id + "/audit?" + key + "=" + zone.ID)
		p.has(t, "<b>shop.example</b>")
		p.lacks(t, "<b>"+zone.ID+"</b>")
	}
}
