package notify_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/notify"
)

func TestAWebhookIsAddedToPoliciesOnItsPage(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t)
	hook := s.hook(r.URL)
	first := s.policy(map[string]any{"name": "First <b>", "mechanisms": to(hook)})
	second := s.policy(map[string]any{"name": "Second", "mechanisms": map[string]any{
		"email": []map[string]string{{"id": "ana@acme.example"}}}})
	path := "/notifications/webhooks/" + hook.ID
	create := s.base + "/notifications/policies/new?type=shop_down&webhook=" + hook.ID
	form := s.get(path+"/policies").Expect(200).Says("Shop down", "First &lt;b&gt;", "Second").
		Links(create)
	s.get(strings.TrimPrefix(create, s.base)).Expect(200).Says("<b>hook</b>")
	s.get(path).Expect(200).Links(s.base + path + "/policies")

	form.Submit("Save", "policy", first.ID, "policy", second.ID).RedirectsTo(s.base + path)
	s.get(path).Expect(200).Says("Policies saved.", "First &lt;b&gt;", "Second")
	form.Submit("Save", "policy", second.ID).Expect(400).Says("First &lt;b&gt;", "sends to this webhook only",
		`value="`+second.ID+`" checked`).Lacks(`value="` + first.ID + `" checked`)
	form.Submit("Save", "policy", first.ID).RedirectsTo(s.base + path)
	var after notify.Policy
	s.must("GET", "/policies/"+second.ID, nil, &after)
	if len(after.Mechanisms.Webhooks) != 0 || len(after.Mechanisms.Email) != 1 {
		t.Errorf("%+v", after.Mechanisms)
	}
	s.post(path+"/policies", "shown", "unknown", "policy", second.ID).RedirectsTo(s.base + path)
	s.must("GET", "/policies/"+second.ID, nil, &after)
	if len(after.Mechanisms.Webhooks) != 0 {
		t.Error("a policy that the form did not show was changed")
	}

	viewer := s.installation.Member(s.account, "vic@acme.example", accounts.Viewer)
	viewer.Get(s.base + path).Expect(200).Lacks(path + "/policies")
	viewer.Get(s.base + path + "/policies").Expect(403)
	viewer.Post(s.base+path+"/policies", "shown", first.ID).Expect(403)
	s.owner.PostFrom("cross-site", s.base+path+"/policies", "shown", first.ID).Expect(403)
	globex := s.installation.Account("Globex")
	eve := s.installation.Member(globex, "eve@globex.example", accounts.Owner)
	eve.Get(s.base + path + "/policies").Expect(404)
	eve.Post("/accounts/"+globex+path+"/policies", "shown", first.ID).Expect(404)
}

func TestAReplayIsStartedOnThePageOfItsWebhook(t *testing.T) {
	s := newSite(t)
	s.openJobs()
	s.deps.Jobs = s.jobs
	s.deps.Registerer = prometheus.NewRegistry()
	s.stop()
	s.reopen()
	s.runJobs()
	r := newReceiver(t)
	hook := s.hook(r.URL)
	s.policy(map[string]any{"mechanisms": to(hook)})
	path := "/notifications/webhooks/" + hook.ID
	s.post(path + "/pause").RedirectsTo(s.base + path)
	a := s.alert(map[string]any{"event": "start", "correlation_id": "c"})
	until(t, "the message is not sent", func() bool { return strings.Contains(s.states(a.ID), "not_sent") })

	enabled := s.post(path + "/enable").Expect(303)
	if !strings.HasPrefix(enabled.Location, s.base+path+"/replay?since=") {
		t.Fatalf("the enabled webhook leads to %s", enabled.Location)
	}
	form := s.owner.Get(enabled.Location).Expect(200).Says("Webhook enabled", "Count the messages")
	counted := form.Submit("Count the messages", "do", "count").Expect(200).Says("1 message would be sent again")
	viewer := s.installation.Member(s.account, "vic@acme.example", accounts.Viewer)
	viewer.Post(s.base+path+"/replay", "do", "start").Expect(403)
	s.owner.PostFrom("cross-site", s.base+path+"/replay", "do", "start").Expect(403)

	started := counted.Submit("Send 1 message again", "do", "start").Expect(303)
	until(t, "the replay ends", func() bool {
		page := s.owner.Get(started.Location).Expect(200)
		return strings.Contains(page.Body, "1 message was queued again")
	})
	until(t, "the message arrives", func() bool {
		return len(r.all()) == 1 && s.states(a.ID) == "start not_sent, start delivered"
	})
	s.get(path + "/replay/unknown").Expect(404)
	viewer.Get(started.Location).Expect(403)
	globex := s.installation.Account("Globex")
	eve := s.installation.Member(globex, "eve@globex.example", accounts.Owner)
	eve.Get(strings.Replace(started.Location, s.account, globex, 1)).Expect(404)
	if got := strings.Join(s.records("notification_destination"), " "); !strings.Contains(got, "pause enable replay") {
		t.Errorf("recorded %s", got)
	}
}
