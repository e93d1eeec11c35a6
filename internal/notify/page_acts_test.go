package notify_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/notify"
)

func TestAWebhookIsPausedAndEnabled(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t)
	hook := s.hook(r.URL)
	s.policy(map[string]any{"mechanisms": to(hook)})
	path := "/notifications/webhooks/" + hook.ID
	s.post(path + "/pause").RedirectsTo(s.base + path)
	s.get(path).Expect(200).Says("paused", "Paused by Ana Lima", "Enable", "Nothing is sent here.")
	before := len(r.all())
	a := s.alert(map[string]any{"event": "start", "correlation_id": "c"})
	until(t, "the message is not sent", func() bool { return strings.Contains(s.states(a.ID), "not_sent") })
	if len(r.all()) != before {
		t.Error("a message was sent to a webhook that is paused")
	}
	s.post(path + "/enable").RedirectsTo(s.base + path)
	s.post(path+"/replay", "states", "failed", "rate", "10", "do", "count").Expect(200).
		Says("1 message would be sent again", "Send 1 message again")
	s.post(path+"/replay", "since", "yesterday", "rate", "0").Expect(400).Says("not a time", "Rate is 1 to 10000")
	var statistics notify.WebhookStatistics
	s.must("GET", "/destinations/webhooks/"+hook.ID+"/statistics", nil, &statistics)
	if statistics.Considered != 1 || statistics.Day.Failed != 1 || len(statistics.Hours) != 24 ||
		statistics.Hours[23].Failed+statistics.Hours[22].Failed != 1 {
		t.Errorf("%+v", statistics)
	}
	got := strings.Join(s.records("notification_destination"), " ")
	if !strings.Contains(got, "pause enable") {
		t.Errorf("recorded %s", got)
	}
}

func TestListsAreFilteredAndActOnChosenRows(t *testing.T) {
	s := newSite(t)
	hook, policy := s.furnish(newReceiver(t))
	s.get("/alerts?severity=warning").Expect(200).Says("a certificate ends", "2 alerts with these filters")
	if b := s.get("/alerts?severity=warning&state=firing").Expect(200).Body; strings.Contains(b, "checkout shop down") {
		t.Error("a critical alert is among those of the severity warning")
	}
	s.get("/alerts?type=http_alert_origin_error").Expect(200).Says("Origin errors", "1 alert with these filters")
	s.get("/alerts?type.not=shop_down").Expect(200).Says("1 alert with these filters")
	s.post("/alerts/chosen", "id", "burn", "id", "quiet", "act", "ack").RedirectsTo(s.base + "/alerts")
	if s.decision("burn").AckedBy != "Ana Lima" || s.decision("quiet").AckedBy != "Ana Lima" {
		t.Error("the chosen alerts are not acknowledged")
	}
	s.post("/alerts/chosen", "id", "burn", "act", "unack").RedirectsTo(s.base + "/alerts")
	if s.decision("burn").AckedBy != "" {
		t.Error("the acknowledgement is not withdrawn")
	}

	failed := s.get("/notifications/deliveries?state=failed").Expect(200).Says("certificate")
	id := failed.Find(`name="id" value="([0-9a-f]{32})"`)
	s.get("/notifications/deliveries?webhook=" + hook[strings.LastIndexByte(hook, '/')+1:] + "&state=superseded").
		Expect(200).Says("No delivery matches")
	s.post("/notifications/deliveries/replay", "id", id, "act", "replay").Expect(200).
		Says("1 message goes out again at once, to Shop &lt;hook&gt;")
	s.post("/notifications/deliveries/replay", "id", id, "act", "replay", "confirmed", "yes").
		RedirectsTo(s.base + "/notifications/deliveries")
	s.post("/notifications/deliveries/replay", "act", "replay").Expect(409)

	policyID := policy[strings.LastIndexByte(policy, '/')+1:]
	chosen := "/notifications/policies/chosen"
	list := s.base + "/notifications/policies"
	s.post(chosen, "id", policyID, "act", "disable").RedirectsTo(list)
	s.get(policy).Expect(200).Says("Turn on")
	s.post(policy + "/enable").RedirectsTo(s.base + policy)
	s.post(chosen, "act", "enable").RedirectsTo(list)
	s.post(chosen, "id", policyID, "act", "drop").Expect(400)
	s.post(chosen, "id", "unknown", "act", "delete").Expect(404)
	blog := s.get("/notifications/policies?q=blog").Expect(200).Find(`name="id" value="([0-9a-f]{32})"`)
	s.post(chosen, "id", policyID, "id", blog, "act", "delete").Expect(200).
		Says("Delete 2 policies?", "No other policy sends alerts of this type.")
	s.post(chosen, "id", "unknown", "id", policyID, "act", "delete").Expect(200).
		Says("Delete 1 policy?", "Shop is down &lt;i&gt;").Lacks("No other policy").Submit("Delete").RedirectsTo(list)
	s.get(policy).Expect(404)
	s.post(chosen, "id", policyID, "act", "delete", "confirmed", "yes").RedirectsTo(list)
}

func TestTheEditorAnswersWhileAPolicyIsWritten(t *testing.T) {
	s := newSite(t)
	s.furnish(newReceiver(t))
	s.post("/notifications/policies/try", "alert_type", "shop_down", "filter.severity", "warning", "name", "Try").
		Expect(200).Says("It would have matched", "from the sample of the type", "alert_type", `name="filter.severity"`)
	s.post("/notifications/policies/try", "alert_type", "http_alert_origin_error", "filter.region", "eu").
		Expect(200).Lacks(`name="filter.region"`)
}

func TestTheListOfPoliciesIsFilteredAndSorted(t *testing.T) {
	s := newSite(t)
	s.get("/notifications/policies").Expect(200).Says("No notification policies yet").
		Links(s.base + "/notifications/policies/new")
	hook, _ := s.furnish(newReceiver(t))
	hookID := hook[strings.LastIndexByte(hook, '/')+1:]
	zones := s.zones()
	s.post("/notifications/policies", "name", "Origins", "alert_type", "belfry_budget_burn", "mail",
		"ana@acme.example").Expect(303)
	shown := func(query string, names ...string) {
		t.Helper()
		body := s.get("/notifications/policies" + query).Expect(200).Body
		at := 0
		for _, name := range []string{"Only the blog", "Origins", "Shop is down &lt;i&gt;"} {
			if strings.Contains(body, "data-open>"+name+"<") != slices.Contains(names, name) {
				t.Errorf("%s: wrong about %s", query, name)
			}
		}
		for _, name := range names {
			i := strings.Index(body[at:], "data-open>"+name+"<")
			if i < 0 {
				t.Fatalf("%s: %s is missing or out of order", query, name)
			}
			at += i
		}
	}
	shown("", "Only the blog", "Origins", "Shop is down &lt;i&gt;")
	shown("?sort=newest", "Origins", "Only the blog", "Shop is down &lt;i&gt;")
	shown("?sort=type", "Origins", "Only the blog", "Shop is down &lt;i&gt;")
	shown("?state=on", "Only the blog", "Shop is down &lt;i&gt;")
	shown("?state=off", "Origins")
	shown("?type=shop_down&to=ana@acme.example", "Shop is down &lt;i&gt;")
	shown("?to="+hookID, "Only the blog", "Shop is down &lt;i&gt;")
	shown("?to.not="+hookID, "Origins")
	shown("?zone="+zones["blog.example"], "Only the blog", "Origins")
	shown("?zone="+zones["shop.example"], "Origins", "Shop is down &lt;i&gt;")
	shown("?zone.not="+zones["shop.example"], "Only the blog")
	shown("?zone=unknown", "Origins", "Shop is down &lt;i&gt;")
	shown("?q=page+us", "Shop is down &lt;i&gt;")
	shown("?q=shop+hook", "Only the blog", "Shop is down &lt;i&gt;")
	s.get("/notifications/policies?q=nothing").Expect(200).Says("No policy matches")
	s.get("/notifications/policies?zone="+zones["blog.example"]).Says("blog.example").
		Says("2 policies of 3; 2 of 3 on", "/views?list=notifications%2Fpolicies")
	viewer := s.installation.Member(s.account, "vic@acme.example", accounts.Viewer)
	viewer.Get(s.base+"/notifications/policies").Expect(200).Lacks("select-bar", "Create a policy")
	viewer.Post(s.base+"/notifications/policies/chosen", "act", "enable").Expect(403)
	s.owner.PostFrom("cross-site", s.base+"/notifications/policies/chosen", "act", "enable").Expect(403)
	eve := s.installation.Member(s.installation.Account("Globex"), "eve@globex.example", accounts.Owner)
	eve.Get(s.base + "/notifications/policies").Expect(404)
}

func TestNotesAreShownInTheOrderOfAnAlert(t *testing.T) {
	s := newSite(t)
	s.furnish(newReceiver(t))
	path := "/alerts/burn"
	form := s.get(path + "/notes/new").Expect(200).Says("Add a note")
	form.Submit("Add the note", "text", "  ").Expect(400).Says("must have 1 to 2000 characters")
	form.Submit("Add the note", "text", strings.Repeat("é", 2001)).Expect(400).Says("must have 1 to 2000 characters", "éé")
	form.Submit("Add the note", "text", "Rolled back <b>PR 214</b>.\r\nWatching.").RedirectsTo(s.base + path)
	shown := s.get(path).Expect(200).Says("Note added.", "Ana Lima wrote a note",
		"Rolled back &lt;b&gt;PR 214&lt;/b&gt;.\nWatching.").Lacks("<b>PR")
	if d := s.decision("burn"); len(d.Notes) != 1 || d.Notes[0].Author != "Ana Lima" {
		t.Errorf("%+v", d.Notes)
	}
	remove := shown.Find(`href="` + s.base + `(/alerts/burn/notes/[0-9a-f]{32}/delete)"`)

	viewer := s.installation.Member(s.account, "vic@acme.example", accounts.Viewer)
	viewer.Get(s.base + path).Expect(200).Says("Rolled back").Lacks("/notes/")
	viewer.Get(s.base + path + "/notes/new").Expect(403)
	viewer.Post(s.base+path+"/notes", "text", "x").Expect(403)
	viewer.Post(s.base + remove).Expect(403)
	operator := s.installation.Member(s.account, "olga@acme.example", accounts.Operator)
	operator.Post(s.base + remove).Expect(403)
	own := operator.Post(s.base+path+"/notes", "text", "Mine").Expect(303)
	operator.Get(own.Location).Expect(200).Says("Mine")
	eve := s.installation.Member(s.installation.Account("Globex"), "eve@globex.example", accounts.Owner)
	eve.Post(s.base+path+"/notes", "text", "x").Expect(404)
	s.owner.PostFrom("cross-site", s.base+path+"/notes", "text", "x").Expect(403)
	s.post("/alerts/unknown/notes", "text", "x").Expect(404)

	s.get(remove).Expect(200).Says("Delete the note of Ana Lima?", "Rolled back").Submit("Delete the note").
		RedirectsTo(s.base + path)
	s.get(path).Expect(200).Says("Note deleted.", "Mine").Lacks("Rolled back")
	s.get(remove).Expect(404)
	got := strings.Join(s.records("alert"), " ")
	if !strings.Contains(got, "note note delete_note") {
		t.Errorf("recorded %s", got)
	}
}

func TestAlertsAreSorted(t *testing.T) {
	s := newSite(t)
	now := time.Now().Truncate(time.Second)
	send := func(id, kind, severity string, at time.Duration) {
		s.alert(map[string]any{
			"id":             id + kind,
			"event":          kind,
			"correlation_id": id,
			"severity":       severity,
			"occurred_at":    now.Add(-at).UTC().Format(time.RFC3339),
			"summary":        "alert " + id,
		})
	}
	send("short", "start", "critical", 5*time.Hour)
	send("short", "end", "critical", 5*time.Hour-time.Minute)
	send("long", "start", "warning", 4*time.Hour)
	send("long", "end", "warning", time.Hour)
	send("open", "start", "warning", time.Minute)
	order := func(query string, want ...string) {
		t.Helper()
		body := s.get("/alerts" + query).Expect(200).Body
		for _, id := range want {
			i := strings.Index(body, `id="alert-`+id+`start"`)
			if i < 0 {
				t.Fatalf("%s: %s is missing or out of order", query, id)
			}
			body = body[i:]
		}
	}
	order("", "open", "long", "short")
	order("?sort=longest", "open", "long", "short")
	order("?sort=severity", "short", "open", "long")
	order("?sort=longest&state=ended", "long", "short")
	for sort, want := range map[string][]string{
		"newest":   {"openstart", "longstart", "shortstart"},
		"longest":  {"openstart", "longstart", "shortstart"},
		"severity": {"shortstart", "openstart", "longstart"},
	} {
		cursor := ""
		for _, id := range want {
			var list []notify.Alert
			list, cursor = s.alertsPart(sort, cursor)
			if len(list) != 1 || list[0].ID != id {
				t.Errorf("%s: %+v instead of %s", sort, list, id)
			}
		}
		if cursor != "" {
			t.Errorf("%s goes on with %q", sort, cursor)
		}
	}
}

// alertsPart reads one alert of the list and the cursor of the next.
func (s *site) alertsPart(sort, cursor string) (list []notify.Alert, next string) {
	s.t.Helper()
	query := url.Values{"limit": {"1"}, "sort": {sort}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	address := s.api.URL + "/client/v4/accounts/" + s.account + "/alerting/v3/alerts?" + query.Encode()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", address, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer acme")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Result     []notify.Alert
		ResultInfo struct{ Cursor string } `json:"result_info"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer.Result, answer.ResultInfo.Cursor
}
