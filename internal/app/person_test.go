package app_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/poll"
)

// A product names a member by an id of its own: counts and filters of pages join both.
func TestOnePersonIsOneActorOnPages(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	base := "/accounts/" + id + "/audit"
	chen := s.member(id, "chen@acme.example", "owner")
	as := func(actor string) object {
		return object{"actor": object{"type": "user", "id": actor, "name": "Chen Wei", "email": "chen@acme.example"}}
	}
	s.append(id, auditEvent("shop-1", "", as("u-77")), auditEvent("shop-2", "", as("u-77")), auditEvent("bo", "bo", nil))
	chen.Get("/accounts/"+id+"/properties/new").Submit("Add the property", "name", "www.acme.example").Expect(303)

	person := regexp.MustCompile(`<a href="([^"]*actor_id=[^"]*)">`)
	var memberID string
	poll.Until(t, "the property is in the log", func() bool {
		return strings.Contains(chen.Get(base+"?resource_type=zone").Body, "www.acme.example")
	})
	summary := chen.Get(base + "/summary")
	for _, m := range person.FindAllStringSubmatch(summary.Body, -1) {
		if href := strings.ReplaceAll(m[1], "&amp;", "&"); strings.Contains(href, "actor_id=u-77") {
			memberID = regexp.MustCompile(`actor_id=([0-9a-f]{32})`).FindStringSubmatch(href)[1]
			chen.Get(href).Says(`id="e-shop-1"`, "www.acme.example")
		}
	}
	summary.Says("2 ids")
	// A filter on either id finds both; the API stays exact.
	for _, actor := range []string{"u-77", memberID} {
		chen.Get(base+"?actor_id="+actor).Says(`id="e-shop-1"`, "www.acme.example", "(2 ids)").Lacks(`id="e-bo"`)
		chen.Get(base + "?actor_id.not=" + actor).Says(`id="e-bo"`).Lacks(`id="e-shop-1"`)
	}
	_, exact := s.raw("GET", "/accounts/"+id+"/logs/audit?since=2020-01-01&before=2040-01-01&actor_id="+memberID, "", "")
	if strings.Contains(exact, "shop-1") || !strings.Contains(exact, "www.acme.example") {
		t.Errorf("the API finds another id: %s", exact)
	}
	grouped := string(s.call("GET", "/accounts/"+id+"/audit/summary?group_by=person", nil))
	if !strings.Contains(grouped, `"ids":["`) || !strings.Contains(grouped, "u-77") {
		t.Errorf("by person: %s", grouped)
	}
	chen.Get("/accounts/"+id+"/members/"+memberID).Says("wwwshop-2.shop.example", "www.acme.example")
}
