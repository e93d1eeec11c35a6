package incident_test

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/site"
)

// newSite is the world with its pages and its API.
func newSite(t *testing.T, w *world) *site.Site {
	t.Helper()
	s := site.New(t, site.Config{Now: w.Now, Nav: []site.Entry{
		{Section: "incidents", Label: "Incidents", Path: incident.ConsolePath},
		{Section: "status", Label: "Status page", Path: incident.PagePath},
	}})
	s.Add(w.f.Pages)
	w.f.API(s.API)
	return s
}

func TestTheStatusPageAppearsWithTheFirstComponent(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	stranger := s.Visitor()
	for _, path := range []string{
		"/status", "/status.json", "/status/history.rss", "/status/history", "/status/subscribe",
	} {
		stranger.Get(path).Expect(404)
	}
	w.component("API")
	first := stranger.Get("/status").Expect(200).Says("All systems operational", "API", "Core")
	if got := first.Header.Get("Cache-Control"); got != "public, max-age=30" {
		t.Errorf("Cache-Control: %s", got)
	}
	tag := first.Header.Get("ETag")
	if tag == "" || first.Header.Get("Set-Cookie") != "" {
		t.Errorf("ETag %q, Set-Cookie %q", tag, first.Header.Get("Set-Cookie"))
	}
	if again := stranger.Get("/status", "If-None-Match", tag).Expect(304); again.Body != "" {
		t.Errorf("304 with a body: %s", again.Body)
	}
	w.declare(incident.IncidentCreate{Name: "Errors of the API"})
	stranger.Get("/status", "If-None-Match", tag).Expect(200).Says("Errors of the API")
}

func TestThePublicPageNamesNoOperator(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	api := w.component("API")
	lee := s.Operator()
	lee.Get("/console/incidents/new").Expect(200).Submit("Declare the incident",
		"name", "Errors of the API", "impact", "major", "status", "investigating",
		"message", "Some requests fail.\n<script>alert(1)</script>", "components.partial_outage", api.ID).Expect(303)
	list, err := w.f.Incidents(t.Context(), incident.Query{}, zeroKey, 10)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	i := list[0]
	hub := lee.Get("/console/incidents/" + i.ID).Expect(200)
	hub.Says("Errors of the API", "Investigating", "Partial outage", "by Operator")
	hub.Links("/console/incidents/"+i.ID+"/publish", "/status/incidents/"+i.ID)
	stranger := s.Visitor()
	for _, path := range []string{
		"/status", "/status/incidents/" + i.ID, "/status/history.atom", "/status/history.rss", "/status.json",
		"/status/api/v2/incidents.json", "/status/history",
	} {
		stranger.Get(path).Expect(200).Lacks("Operator", "operator@localhost", "<script>alert")
	}
	stranger.Get("/status").Says("Partial outage", "Some requests fail.")
	stranger.Get("/status/incidents/none").Expect(404)
	stranger.Get("/status/history?month=2026-13").Expect(404)
}

func TestAnUpdateIsPreviewedAndPublished(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	api := w.component("API")
	i := w.declare(incident.IncidentCreate{Name: "Errors", Components: down(api, incident.PartialOutage)})
	lee := s.Operator()
	lee.Get("/console/status/templates").Expect(200).Submit("Save", "name", "Fixed", "message", "It is fixed.",
		"status", "resolved").RedirectsTo("/console/status")
	path := "/console/incidents/" + i.ID + "/publish"
	form := lee.Get(path + "?template=0").Expect(200).Says("It is fixed.")
	form.Submit("Preview", "act", "preview").Expect(200).Says("nothing is published yet", "Resolved", "It is fixed.")
	form.Submit("Publish the update", "message", "", "status", "nonsense").Expect(400).Says("Expected one of")
	if got, err := w.f.Incident(t.Context(), i.ID); err != nil || len(got.Updates) != 1 {
		t.Fatalf("something was published: %+v (%v)", got, err)
	}
	form.Submit("Publish the update").Expect(303)
	s.Visitor().Get("/status").Expect(200).Says("All systems operational", "It is fixed.")
	lee.Get(path).Expect(409)
	edit := lee.Get("/console/incidents/" + i.ID + "/edit").Expect(200)
	edit.Submit("Save", "postmortem", "A certificate expired.").Expect(303)
	s.Visitor().Get("/status/incidents/"+i.ID).Expect(200).Says("Post-mortem", "A certificate expired.")
}

func TestAMaintenanceIsScheduledAndMovedOnThePages(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	c := w.component("Database")
	lee := s.Operator()
	lee.Get("/console/incidents/new-maintenance").Expect(200).Submit("Schedule",
		"name", "Upgrade", "message", "Read-only.", "started_at", "2026-11-29T22:00", "scheduled_until", "2026-11-29T21:00",
		"components.under_maintenance", c.ID).Expect(400).Says("after scheduled_for")
	lee.Get("/console/incidents/new-maintenance").Expect(200).Submit("Schedule",
		"name", "Upgrade", "message", "Read-only.", "started_at", "2026-11-29T22:00", "scheduled_until", "2026-11-29T23:00",
		"components.under_maintenance", c.ID).Expect(303)
	s.Visitor().Get("/status").Expect(200).Says("Scheduled maintenance", "29 November 2026, 22:00 to 23:00 UTC")
	list, err := w.f.Incidents(t.Context(), incident.Query{}, zeroKey, 10)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	edit := lee.Get("/console/incidents/" + list[0].ID + "/edit").Expect(200)
	edit.Submit("Save", "scheduled_until", "2026-11-30T01:00").Expect(303)
	s.Visitor().Get("/status").Expect(200).Says("29 November 2026, 22:00 to 30 November 2026, 01:00 UTC", "New schedule")
}

func TestFeedsHaveStableIDs(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	w.component("API")
	i := w.declare(incident.IncidentCreate{Name: "Errors & <more>", Message: "Some requests fail."})
	stranger := s.Visitor()
	atom := func() (feed struct {
		XMLName xml.Name  `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string    `xml:"id"`
		Updated time.Time `xml:"updated"`
		Links   []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		} `xml:"link"`
		Entries []struct {
			ID      string    `xml:"id"`
			Title   string    `xml:"title"`
			Updated time.Time `xml:"updated"`
			Content struct {
				Type string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"content"`
		} `xml:"entry"`
	}) {
		p := stranger.Get("/status/history.atom").Expect(200)
		if got := p.Header.Get("Content-Type"); got != "application/atom+xml; charset=utf-8" {
			t.Errorf("Content-Type: %s", got)
		}
		if err := xml.Unmarshal([]byte(p.Body), &feed); err != nil {
			t.Fatal(err)
		}
		return feed
	}
	before := atom()
	w.Pass(time.Hour)
	w.publish(i.ID, incident.UpdateCreate{State: incident.Resolved})
	after := atom()
	if len(before.Entries) != 1 || len(after.Entries) != 1 {
		t.Fatalf("%d and %d entries", len(before.Entries), len(after.Entries))
	}
	one, two := before.Entries[0], after.Entries[0]
	if one.ID != two.ID || one.Title != "Errors & <more>" || !two.Updated.After(one.Updated) || before.ID != after.ID ||
		!after.Updated.Equal(two.Updated) || two.Content.Type != "html" ||
		!strings.Contains(two.Content.Text, "<strong>Resolved</strong>") {
		t.Errorf("%+v, then %+v", before, after)
	}
	var rss struct {
		Version string `xml:"version,attr"`
		Channel struct {
			Items []struct {
				GUID      string `xml:"guid"`
				Link      string `xml:"link"`
				Published string `xml:"pubDate"`
			} `xml:"item"`
		} `xml:"channel"`
	}
	if err := xml.Unmarshal([]byte(stranger.Get("/status/history.rss").Expect(200).Body), &rss); err != nil {
		t.Fatal(err)
	}
	if rss.Version != "2.0" || len(rss.Channel.Items) != 1 || rss.Channel.Items[0].GUID != one.ID {
		t.Errorf("%+v", rss)
	}
	if _, err := time.Parse(time.RFC1123Z, rss.Channel.Items[0].Published); err != nil {
		t.Error(err)
	}
}

func TestTheJSONHasTheShapeOfOtherStatusPages(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	api := w.component("API")
	i := w.declare(incident.IncidentCreate{
		Name: "Errors", Impact: incident.ImpactCritical, Components: down(api, incident.MajorOutage),
	})
	var got struct {
		Status     struct{ Indicator string }
		Components []struct {
			ID, Name, Status string
			Group            bool
			GroupID          *string `json:"group_id"`
			Components       []string
		}
		Incidents []struct {
			ID, Status, Impact, Shortlink string
			Updates                       []struct{ Body string } `json:"incident_updates"`
		}
		Scheduled []any `json:"scheduled_maintenances"`
	}
	page := s.Visitor().Get("/status.json").Expect(200)
	if err := json.Unmarshal([]byte(page.Body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Components) != 2 || !got.Components[0].Group || got.Components[0].Components[0] != api.ID ||
		*got.Components[1].GroupID != got.Components[0].ID || got.Components[1].Status != "major_outage" {
		t.Errorf("components %+v", got.Components)
	}
	if got.Status.Indicator != "critical" || len(got.Incidents) != 1 || got.Incidents[0].ID != i.ID ||
		got.Incidents[0].Impact != "critical" || len(got.Incidents[0].Updates) != 1 || got.Scheduled == nil {
		t.Errorf("%s", page.Body)
	}
	if page.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("programs of other sites cannot read it")
	}
	for _, name := range []string{
		"summary", "status", "components", "incidents", "incidents/unresolved", "scheduled-maintenances",
		"scheduled-maintenances/upcoming", "scheduled-maintenances/active",
	} {
		s.Visitor().Get("/status/api/v2/" + name + ".json").Expect(200).Says(`"page"`)
	}
	s.Visitor().Get("/status/api/v2/secrets.json").Expect(404)
	s.Visitor().Get("/status/api/v2/summary").Expect(404)
}

func TestOnlyOperatorsReachTheConsole(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	i := w.declare(incident.IncidentCreate{Name: "Errors"})
	one := "/console/incidents/" + i.ID
	for _, path := range []string{
		"/console/incidents", one, one + "/publish", one + "/edit", one + "/correct", "/console/incidents/new",
		"/console/status", "/console/status/edit", "/console/status/templates", "/console/status/subscribers",
	} {
		ana.Get(path).Expect(403).Lacks("Errors")
	}
	ana.Post(one+"/publish", "message", "x", "status", "resolved").Expect(403)
	if got, err := w.f.Incident(t.Context(), i.ID); err != nil || !got.Open() {
		t.Errorf("%+v (%v)", got, err)
	}
}

func TestASubscriptionOnThePages(t *testing.T) {
	w := newWorld(t, "")
	w.run(w.f)
	s := newSite(t, w)
	w.component("API")
	stranger := s.Visitor()
	form := stranger.Get("/status/subscribe").Expect(200)
	form.Submit("Subscribe by mail", "email", "not an address").Expect(400).Says("Expected one address")
	stranger.PostFrom("cross-site", "/status/subscribe", "by", "email", "email", "eve@acme.example").Expect(403)
	done := form.Submit("Subscribe by mail", "email", "ana@acme.example").Expect(200)
	done.Says("A mail with a link went to ana@acme.example")
	untilMails(t, w, 1)
	subscriber, token := linkIn(t, w.sent()[0], "confirm")
	confirm := "/status/subscriptions/" + subscriber + "/confirm?token=" + token
	page := stranger.Get(confirm).Expect(200)
	if list, err := w.f.Subscribers(t.Context(), "", 10); err != nil || list[0].Confirmed {
		t.Fatalf("opening the link confirms: %+v (%v)", list, err)
	}
	page.Submit("Confirm the subscription").Expect(200).Says("Subscription confirmed")
	if got := page.Header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("Cache-Control: %s", got)
	}
	w.declare(incident.IncidentCreate{Name: "Errors"})
	untilMails(t, w, 2)
	_, path, _ := strings.Cut(w.sent()[1].Unsubscribe, "http://belfry.test")
	stranger.Get(path).Expect(200).Says("End the subscription")
	wrong := strings.Split(path, "?")[0] + "?token=wrong"
	stranger.PostFrom("cross-site", wrong, "List-Unsubscribe", "One-Click").Expect(403)
	// A mail program posts to the address of the header, from nowhere (RFC 8058).
	stranger.PostFrom("cross-site", path, "List-Unsubscribe", "One-Click").Expect(200).Says("Subscription ended")
	if list, err := w.f.Subscribers(t.Context(), "", 10); err != nil || len(list) != 0 {
		t.Errorf("%+v (%v)", list, err)
	}
}

func TestASubscriberIsRemovedByAnOperator(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	if err := w.f.SubscribeByEmail(t.Context(), "ana@acme.example"); err != nil {
		t.Fatal(err)
	}
	lee := s.Operator()
	list := lee.Get("/console/status/subscribers").Expect(200).Says("a…@acme.example").Lacks("ana@")
	path := list.Find(`href="(/console/status/subscribers/[^"]*/delete)"`)
	lee.Get(path).Expect(200).Submit("End the subscription").Expect(303)
	lee.Get("/console/status/subscribers").Expect(200).Says("No subscriber yet")
	if got := w.actions("status_subscriber"); len(got) != 1 {
		t.Errorf("recorded %v", got)
	}
}

func TestThePageCanBeOff(t *testing.T) {
	w := newWorld(t, "")
	w.policies = []string{"acme"}
	w.f = w.another(func(c *incident.Config) { c.PageOff = true })
	s := newSite(t, w)
	w.component("API")
	s.Visitor().Get("/status").Expect(404)
	s.Operator().Get("/console/status").Expect(200).Says("BELFRY_STATUS_PAGE=off")
	w.declare(incident.IncidentCreate{Name: "Errors"})
	if n := w.count(`audience = 'subscribers'`); n != 0 {
		t.Errorf("%d broadcasts to subscribers", n)
	}
}

func TestComponentsAreManagedOnThePages(t *testing.T) {
	w := newWorld(t, "")
	s := newSite(t, w)
	lee := s.Operator()
	lee.Get("/console/status").Expect(200).Says("No component yet")
	lee.Get("/console/status/components/new").Expect(200).Submit("Add the component", "name", "API", "group", "Core",
		"location", "Amsterdam!").Expect(400).Says("such as AMS")
	lee.Get("/console/status/components/new").Expect(200).Submit("Add the component", "name", "API", "group", "Core",
		"location", "ams").Expect(303)
	list, err := w.f.Components(t.Context())
	if err != nil || len(list) != 1 || list[0].Location != "AMS" {
		t.Fatal(list, err)
	}
	path := "/console/status/components/" + list[0].ID
	lee.Get(path).Expect(200).Says("Last 90 days", "100% uptime", "No incident has affected it.")
	lee.Get(path+"/edit").Expect(200).Submit("Save", "name", "Public API").Expect(303)
	lee.Get("/console/status").Expect(200).Says("Public API")
	lee.Get(path + "/delete").Expect(200).Submit("Remove the component").Expect(303)
	if _, err := w.f.Component(t.Context(), list[0].ID); !errs.Is(err, errs.CodeNotFound) {
		t.Errorf("%v", err)
	}
}
