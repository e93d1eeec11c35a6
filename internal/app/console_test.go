package app_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/poll"
)

func TestTheConsoleSaysWhetherTheInstallationIsWell(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	s.append(acme, auditEvent("1", "ana", nil), auditEvent("2", "ana", nil))
	operator := s.signIn("")
	poll.Until(t, "the installation is well", func() bool {
		return strings.Contains(operator.Get("/console").Body, "The installation is well.")
	})
	p := operator.Get("/console").Expect(200)
	p.Says("Waiting records", "Free disk", "goroutines", "Nothing was rejected", "Acme", "Belfry test")
	p.Links("/console/accounts/"+acme, "/console/system", "/console/accounts")
	operator.Fragment("/console", "div#console-now").Says("The installation is well.").Lacks("Newest accounts")

	s.raw("POST", "/accounts/"+acme+"/audit/events", "application/json", `{"action":{"type":"update"}}`)
	poll.Until(t, "the refused event is shown", func() bool {
		return strings.Contains(operator.Get("/console").Body, "/accounts/"+acme+"/audit/rejects")
	})
	owner := s.member(acme, "ana@acme.example", "owner")
	for _, path := range []string{
		"/console", "/console/system", "/console/accounts", "/console/accounts/" + acme, "/console/accounts/new",
	} {
		owner.Get(path).Expect(403)
	}
	owner.Get("/accounts/" + acme).Lacks("You are looking into the account")
}

func TestTheSystemPageHasFigures(t *testing.T) {
	s := newSite(t)
	operator := s.signIn("")
	poll.Until(t, "the consumers are shown", func() bool {
		return strings.Contains(operator.Get("/console/system").Body, "Up to date")
	})
	p := operator.Get("/console/system").Expect(200)
	p.Says("belfry.audit.events", "Outbox of account", "0001_account", "migrations, last",
		"Embedded broker", "free", "Topic belfry.audit.events", "7 days", "Belfry does not make backups")
	operator.Fragment("/console/system", "div#system-now").Says("Consumers").Lacks("Retention")
}

func TestOperatorsFindAccountsAndLookIntoThem(t *testing.T) {
	s := newSite(t)
	var ids []string
	for _, name := range []string{"Beta", "Alpha", "Gamma"} {
		ids = append(ids, s.account(name))
	}
	s.append(ids[2], auditEvent("1", "ana", nil))
	s.call("PATCH", "/accounts/"+ids[1], object{"external_id": "customer-42"})
	s.call("POST", "/accounts/"+ids[0]+"/close", object{"name": "Beta"})
	s.member(ids[2], "ana@acme.example", "owner")
	operator := s.signIn("")
	const list = "/console/accounts"
	inOrder := func(query string, names ...string) {
		t.Helper()
		body := operator.Get(list + query).Expect(200).Body
		_, body, _ = strings.Cut(body, `id="account-rows"`)
		body, _, _ = strings.Cut(body, "</table>")
		for _, name := range names {
			_, rest, found := strings.Cut(body, ">"+name+"</a>")
			if !found {
				t.Errorf("%s: %s is missing or in another place", query, name)
			}
			body = rest
		}
		if strings.Contains(body, "data-open") {
			t.Errorf("%s: more than %v", query, names)
		}
	}
	inOrder("?q=beta", "Beta")
	inOrder("?q=customer-42", "Alpha")
	inOrder("?q="+ids[2], "Gamma")
	inOrder("?state=closed", "Beta")
	inOrder("?state=open&sort=name&q=a", "Alpha")
	operator.Get(list+"?sort=events").Says("Gamma", "Last event", "4 accounts")
	operator.Get(list + "?q=nothing+of+the+kind").Says("No account matches")

	hub := operator.Get(list + "/" + ids[2]).Expect(200)
	hub.Says("Gamma", "Members", "ana@acme.example", "Look into the account")
	hub.Links("/accounts/"+ids[2], "/accounts/"+ids[2]+"/settings/close")
	operator.Get(list + "/ext:customer-42").Expect(200).Says("Alpha")
	operator.Get(list + "/" + strings.Repeat("0", 31) + "1").Expect(404)
	closed := operator.Get(list + "/" + ids[0]).Expect(200).Says("Closed")
	closed.Submit("Reopen").RedirectsTo(list + "/" + ids[0])

	inside := operator.Get("/accounts/" + ids[2]).Expect(200)
	inside.Says("You are looking into the account of", "Gamma").Links(list + "/" + ids[2])
	operator.Get(list + "/new").Submit("Create the account").Expect(400)
	made := operator.Get(list+"/new").Submit("Create the account", "name", "Delta").Expect(303)
	operator.Get(made.Location).Says("Delta", "Account created.", "never")
}
