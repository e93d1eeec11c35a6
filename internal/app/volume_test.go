package app_test

import (
	"testing"
	"time"
)

// The page of a team counts the events of its products in all accounts, and those of no other product.
func TestATeamSeesItsEventsOfAllAccounts(t *testing.T) {
	s := newSite(t)
	team := s.team("names", `version: 1
products:
  - product: dns
    title: DNS
    category: Network
    resources:
      - type: record
        actions: [{type: update, sentence: "{actor} changed {resource}"}]
`)
	now := time.Now().UTC()
	ago := func(days int) object { return object{"occurred_at": now.AddDate(0, 0, -days).Format(time.RFC3339)} }
	shop := func(days int) object {
		e := ago(days)
		e["resource"] = object{"product": "shop", "type": "setting", "id": "x"}
		return e
	}
	s.append(s.account("A"), auditEvent("1", "ana", ago(3)), auditEvent("2", "ana", ago(3)),
		auditEvent("s", "ana", shop(3)))
	s.append(s.account("B"), auditEvent("1", "bo", ago(3)), auditEvent("2", "bo", ago(5)),
		auditEvent("old", "bo", ago(30)))
	s.signIn("").Get("/console/producers/"+team).Expect(200).Says("4 in 14 days, in all accounts",
		now.AddDate(0, 0, -3).Format("2 January")+": 3", now.AddDate(0, 0, -5).Format("2 January")+": 1")
}
