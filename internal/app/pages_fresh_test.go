package app_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	testsite "github.com/belfryhq/belfry/test/site"
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
		p := v.Get(path, "HX-Request", "true", "HX-Target", "p#audit-size")
		if p.Status != http.StatusOK || strings.Contains(p.Body, "<html") || strings.Contains(p.Body, `id="rows"`) {
			t.Fatalf("%s: %d %s", path, p.Status, p.Body)
		}
		return p.Text()
	}
	v.Get(base+"?resource_product=dns").Says("2 of ", "2 events where product is dns as CSV")
	v.Get(base+"?resource_type=t").Says("1 of ", `<span class="chip-key">Type</span>`)
	v.Get(base+"?resource_id=r-one").Says("1 of ", `<span class="chip-key">Resource</span>`)
	v.Get(base).Lacks(" of 4 events", " events where ")
	// What is excluded is in no row, and its chip says the name all the same.
	v.Get(base + "?resource_id.not=r-one").Says(">is not</a><b>wwwone.shop.example</b>")
	before := head(base + "?resource_product=dns")
	s.append(id, auditEvent("three", "ana", nil))
	if after := head(base + "?resource_product=dns"); before == after || !strings.Contains(after, "3 of ") {
		t.Errorf("the head says %q, and after another event %q", before, after)
	}
	// A page without Live says what its list does not show.
	shown := v.Get(base + "?resource_product=dns")
	asksFor := func(p *testsite.Page) string {
		t.Helper()
		return html.UnescapeString(p.Find(`id="audit-size" hx-get="([^"]*seen=[0-9]+)"`))
	}
	refresh := asksFor(shown)
	if got := head(refresh); strings.Contains(got, "new event") {
		t.Errorf("the head says %q while nothing is new", got)
	}
	s.append(id, auditEvent("four", "ana", nil),
		auditEvent("other", "bo", object{"resource": object{"product": "mail", "type": "t", "id": "1"}}))
	fresh := v.Get(refresh, "HX-Request", "true", "HX-Target", "p#audit-size")
	fresh.Says(`<a class="sub-link" href="`+base+`?resource_product=dns">1 new event, show</a>`, "seen=")
	if again := asksFor(fresh); again != refresh {
		t.Errorf("the head asks for %s instead of %s", again, refresh)
	}
	if got := head(strings.Replace(refresh, "seen=", "seen=x", 1)); strings.Contains(got, "new event") {
		t.Errorf("rows that Live has shown are new: %q", got)
	}
	shown.Lacks("new event")
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
		s.append(id, auditEvent(string(rune('a'+i)), "ana", object{
			"occurred_at": ago(days),
			"resource":    same,
			"zone":        "shop.example",
			"before":      object{"ttl": i},
			"after":       object{"ttl": i + 1},
		}))
	}
	v := s.member(id, "ana@acme.example", "owner")
	base := "/accounts/" + id + "/audit"
	history := v.Get(base + "/history?resource_product=dns&resource_type=record&resource_id=r")
	if days := regexp.MustCompile(`<li class="day" data-day>`).FindAllString(history.Body, -1); len(days) != 3 {
		t.Errorf("the history of three days has %d headings", len(days))
	}
	event := v.Get(base + "/events/c")
	event.Says(time.Now().AddDate(0, 0, -20).UTC().Format("2 Jan 2006")+", ",
		time.Now().AddDate(0, 0, -3).UTC().Format("2 Jan 2006")+", ")
}

func TestTheNavigationAndTheTabSayHowManyAlertsFire(t *testing.T) {
	s := newCrawled(t)
	v := s.signIn(crawlEmail("owner"))
	for _, path := range []string{"", "/audit", "/members", "/no/such/page"} {
		v.Get("/accounts/"+s.full+path).Says("<title>(2) ", `<span class="count bad">2</span>`)
		v.Get("/accounts/"+s.bare+path).Lacks("<title>(", `<span class="count bad">`)
	}
	v.Get("/accounts/"+s.full+"/firing", "HX-Request", "true").Says(`<span class="count bad">2</span>`)
	// Who may not read alerts is not told how many fire; the bell asks at the same address.
	auditor := s.signIn(crawlEmail("auditor"))
	auditor.Get("/accounts/"+s.full+"/audit").Lacks("<title>(", "data-firing ")
	auditor.Fragment("/accounts/"+s.full+"/firing", "firing").Expect(200).Says("data-unseen").Lacks(`class="count`)
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
		p := v.Get("/accounts/" + id + "/audit?" + key + "=" + zone.ID)
		p.Says("<b>shop.example</b>")
		p.Lacks("<b>" + zone.ID + "</b>")
	}
}
