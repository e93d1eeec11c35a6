package pages_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/test/poll"
	"github.com/belfryhq/belfry/test/site"
)

// now is the time of the installation and of the browser: a Tuesday afternoon. The times of all that is stored are
// counted from it, so that pages are the same in each run.
var now = time.Date(2026, time.May, 12, 14, 3, 20, 0, time.UTC)

const bootstrap = "a bootstrap token of at least 32 characters"

type object = map[string]any

// installation is a whole Belfry at a fixed time, with an account that has something of every kind, and one without
// anything.
type installation struct {
	t    *testing.T
	app  *app.App
	url  string
	full string
	bare string
	made made
	log  *site.Log
	data string // folder of the installation

	visitors map[string]*site.Visitor // who have signed in, by address
	clock    atomic.Int64             // in nanoseconds
}

// made are ids of the full account's objects.
type made struct {
	team  string
	zones []string
	hooks []string
}

// install starts the installation and fills it.
func install(t *testing.T) *installation {
	t.Helper()
	data := t.TempDir()
	values := map[string]string{
		"BELFRY_LISTEN":          "127.0.0.1:0",
		"BELFRY_KAFKA_LISTEN":    "off",
		"BELFRY_DATA_DIR":        data,
		"BELFRY_EXTERNAL_URL":    "http://belfry.example",
		"BELFRY_BOOTSTRAP_TOKEN": bootstrap,
		"BELFRY_LOG_LEVEL":       "error",
		"BELFRY_EPOCH":           "1h",
		"BELFRY_ALLOW_NETWORKS":  "127.0.0.0/8,::1/128",
	}
	cfg, err := app.LoadConfig("", func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{t: t, log: &site.Log{}, data: data, visitors: map[string]*site.Visitor{}}
	i.ago(28 * 24 * time.Hour)
	cfg.Now = func() time.Time { return time.Unix(0, i.clock.Load()).UTC() }
	i.app, err = app.Setup(t.Context(), cfg, "test", i.log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- i.app.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = i.app.Close() // Run has closed most of it
	})
	<-ready
	i.url = "http://" + i.app.Addr()
	i.fill()
	return i
}

// ago sets the clock to a time before [now].
func (i *installation) ago(d time.Duration) { i.clock.Store(now.Add(-d).UnixNano()) }

// send sends a body to the API as the operators, and returns the answer's status and result.
func (i *installation) send(method, path, contentType string, body []byte) (int, json.RawMessage) {
	i.t.Helper()
	if method != http.MethodGet {
		i.clock.Add(int64(time.Second)) // no two changes have one time
	}
	r, err := http.NewRequestWithContext(i.t.Context(), method, i.url+"/client/v4"+path, bytes.NewReader(body))
	if err != nil {
		i.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		i.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	var envelope struct{ Result json.RawMessage }
	isJSON := strings.HasPrefix(res.Header.Get("Content-Type"), "application/json")
	if err := json.Unmarshal(text, &envelope); err != nil && isJSON {
		i.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	if envelope.Result == nil {
		envelope.Result = text
	}
	return res.StatusCode, envelope.Result
}

// call is send with a JSON body, which must be accepted.
func (i *installation) call(method, path string, body any) json.RawMessage {
	i.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		i.t.Fatal(err)
	}
	status, result := i.send(method, path, "application/json", text)
	if status >= http.StatusMultipleChoices {
		i.t.Fatalf("%s %s: %d %s", method, path, status, result)
	}
	return result
}

// create is call, and returns the id of the new object.
func (i *installation) create(path string, body any) string {
	i.t.Helper()
	var created struct{ ID string }
	if err := json.Unmarshal(i.call("POST", path, body), &created); err != nil {
		i.t.Fatal(err)
	}
	return created.ID
}

// Persons of the installation, and the roles in which they see its pages.
const (
	owner    = "ana.lima@acme.example"
	operator = "operator@localhost"
)

// signIn signs a person in.
func (i *installation) signIn(email string) {
	i.t.Helper()
	link, err := i.app.LoginLink(i.t.Context(), email)
	if err != nil {
		i.t.Fatal(err)
	}
	i.visitors[email] = site.NewVisitor(i.t, i.url).SignIn(link)
}

// fill makes the accounts and everything in them, in the order of time.
func (i *installation) fill() {
	i.full = i.create("/accounts", object{"name": "Acme production"})
	i.bare = i.create("/accounts", object{"name": "Zeta staging"})
	i.people()
	i.team()
	base := "/accounts/" + i.full
	for _, z := range []object{
		{"name": "checkout.shop.example", "aliases": []string{"api.shop.example"}},
		{"name": "www.shop.example", "aliases": []string{"shop.example"}},
		{"name": "blog.shop.example"},
	} {
		i.made.zones = append(i.made.zones, i.create(base+"/zones", z))
	}
	for _, name := range []string{"reports", "deploys", "shop"} {
		i.create(base+"/tokens", object{"name": name, "permissions": []string{"audit:read"}})
	}
	i.later(20 * 24 * time.Hour)
	i.objectives()
	i.notifications()
	i.incidents()
	i.later(8 * time.Hour)
	i.rejected()
	i.later(time.Hour)
	i.signIn(owner)
	i.signIn(operator)
	i.visitors[owner].Get("/accounts/" + i.bare) // the first visit is recorded
	i.invite()
	i.later(15 * time.Minute)
	i.events()
	i.alerts()
	ana := i.visitors[owner]
	ana.Post(base+"/alerts/second/notes", "text", "The provider works on it.").Expect(http.StatusSeeOther)
	ana.Post(base+"/views?list=members", "name", "Owners", "query", "role=owner").Expect(http.StatusSeeOther)
	ana.Get(base) // shows the message about it, which would be on the first page of the walk
	i.later(time.Minute)
	i.requests()
	i.corrections()
	i.later(0)
	for _, account := range []string{i.full, i.bare} { // before the first page that asks for a signature
		i.send("GET", "/accounts/"+account+"/audit/log/checkpoint", "", nil)
	}
}

func (i *installation) people() {
	for _, account := range []string{i.full, i.bare} {
		i.create("/accounts/"+account+"/members", object{"email": owner, "name": "Ana Lima", "role": "owner"})
	}
	for _, m := range []object{
		{"email": "ben.okafor@acme.example", "name": "Ben Okafor", "role": "admin"},
		{"email": "li.wei@acme.example", "name": "Li Wei", "role": "editor"},
		{"email": "jo.park@acme.example", "name": "Jo Park", "role": "viewer"},
	} {
		i.create("/accounts/"+i.full+"/members", m)
	}
}

// invite invites a person as the owner of the account does, on a page.
func (i *installation) invite() {
	form := i.visitors[owner].Get("/accounts/" + i.full + "/members/new").Expect(http.StatusOK)
	form.Submit("Add the member", "email", "sam.silva@acme.example", "name", "Sam Silva", "role", "viewer")
}

// team declares the products of the example shop.
func (i *installation) team() {
	i.made.team = i.create("/producers", object{"name": "Shop team"})
	i.create("/producers", object{"name": "Team without a catalogue"})
	i.create("/producers/"+i.made.team+"/tokens", object{"name": "ci"})
	catalogue, err := os.ReadFile("../../examples/shop/belfry.yaml")
	if err != nil {
		i.t.Fatal(err)
	}
	status, answer := i.send("PUT", "/producers/"+i.made.team+"/catalog", "application/yaml", catalogue)
	if status != http.StatusOK {
		i.t.Fatalf("the catalogue is rejected: %d %s", status, answer)
	}
}

// event is an audit event of some time ago.
func event(id string, ago time.Duration, actor object, more object) object {
	e := object{
		"id":          id,
		"occurred_at": now.Add(-ago).Format(time.RFC3339Nano),
		"interface":   "UI",
		"action":      object{"type": "update"},
		"actor":       actor,
		"resource":    object{"product": "dns", "type": "record", "id": "r-" + id, "name": id + ".shop.example"},
	}
	for k, v := range more {
		e[k] = v
	}
	return e
}

func user(name, email string) object {
	return object{"type": "user", "id": email, "name": name, "email": email, "ip_address": "192.0.2.7"}
}

// events are some of every kind that pages show differently.
func (i *installation) events() {
	ana := user("Ana Lima", owner)
	ben := user("Ben Okafor", "ben.okafor@acme.example")
	wei := user("Li Wei", "li.wei@acme.example")
	terraform := object{"type": "token", "id": "t-1", "token_name": "terraform"}
	setting := object{"product": "shop", "type": "setting", "id": "payment_timeout", "name": "payment timeout"}
	long := strings.Repeat("NoSpacesInThisName", 12)
	var list []object
	for n := range 30 {
		list = append(list, event(fmt.Sprintf("tf-%d", n), 400*time.Minute, terraform, object{
			"interface":  "CLI",
			"change_set": "apply-31",
			"zone":       "www.shop.example",
			"reason":     object{"text": "apply 31", "url": "https://tickets.example/31"},
		}))
	}
	for n := range 90 {
		list = append(list, event(fmt.Sprintf("old-%d", n), 50*time.Hour+time.Duration(n)*90*time.Minute, wei,
			object{"zone": "blog.shop.example", "before": object{"ttl": 300}, "after": object{"ttl": 60 + n}}))
	}
	list = append(list,
		event("lowered", 16*time.Minute, ana, object{
			"zone":     "checkout.shop.example",
			"resource": setting,
			"action":   object{"type": "lower"},
			"before":   object{"value": 3000, "unit": "ms"},
			"after":    object{"value": 30, "unit": "ms"},
			"reason":   object{"text": "PR 214"},
			"request":  object{"id": "8f0a", "method": "PATCH", "uri": "/settings", "status_code": 200, "user_agent": "Mozilla"},
			"related":  []object{{"type": "deployment", "id": "2.1", "name": "2.1"}},
			"metadata": object{"region": "eu"},
		}),
		event("deleted", 3*time.Hour, ben, object{"action": object{"type": "delete"}, "before": object{"ttl": 60}}),
		event("failed", 4*time.Hour, object{"type": "staff", "id": "s-7", "name": "Sam (support)"},
			object{"action": object{"type": "update", "result": "failure"}}),
		event("integration", 5*time.Hour, object{
			"type":         "integration",
			"id":           "i-1",
			"name":         "Datadog",
			"on_behalf_of": object{"type": "user", "id": owner, "email": owner},
		}, nil),
		event("viewed", 6*time.Hour, ben, object{"action": object{"type": "view"}}),
		event("long", 7*time.Hour, wei, object{
			"resource": object{
				"product": "object-storage-gateway-with-a-long-name",
				"type":    "lifecycle_configuration_rule",
				"id":      "long",
				"name":    long,
			},
			"reason": object{"text": strings.Repeat("a reason that goes on, ", 30)},
			"before": object{"rules": []any{long, 1}},
			"after":  object{"rules": []any{long + long, 2}, "owner": long},
		}))
	i.call("POST", "/accounts/"+i.full+"/audit/events", list)
}

// objectives are one that burns, one that is calm and one without data.
func (i *installation) objectives() {
	base := "/accounts/" + i.full
	for n, name := range []string{"Checkout availability", "Storefront availability", "Blog availability"} {
		i.create(base+"/slos", object{
			"name":   name,
			"match":  object{"zone": i.made.zones[n]},
			"target": 99.9,
			"window": "28d",
		})
	}
}

// requests are those of four weeks.
func (i *installation) requests() {
	base := "/accounts/" + i.full
	end := now.Add(-time.Minute).Unix() / 10 * 10
	var counts []object
	add := func(at, seconds int64) {
		bad := int64(0)
		switch {
		case at >= end-180: // older than that is history, which sends no alert
			bad = 10 * seconds
		case at/3600%97 == 0:
			bad = seconds / 20
		}
		counts = append(counts,
			object{"zone": "checkout.shop.example", "ts": at, "seconds": seconds, "total": seconds * 20, "bad": bad},
			object{"zone": "www.shop.example", "ts": at, "seconds": seconds, "total": seconds * (5 + at/3600%7), "bad": 0})
	}
	recent := end - 6*3600
	for at := end - 27*24*3600; at < recent; at += 3600 {
		add(at, min(3600, recent-at))
	}
	for at := recent; at < end; at += 30 {
		add(at, min(30, end-at))
	}
	i.call("POST", base+"/traffic/counts", counts)
	poll.Until(i.t, "an objective burns", func() bool {
		var list []struct{ State string }
		return json.Unmarshal(i.read(base+"/alerting/v3/alerts?state=firing"), &list) == nil && len(list) > 1
	})
	i.settle()
}

// corrections are one that waits for a second member, and one that is active.
func (i *installation) corrections() {
	base := "/accounts/" + i.full
	i.create(base+"/slo_corrections", object{
		"zone":   i.made.zones[0],
		"reason": "Upgrade of the database",
		"from":   now.Add(24 * time.Hour),
		"to":     now.Add(32 * time.Hour),
	})
	i.create(base+"/slo_corrections", object{
		"zone":   i.made.zones[1],
		"kind":   "incident",
		"reason": "The load test of a partner",
		"from":   now.Add(-2 * time.Hour),
		"to":     now.Add(-time.Hour),
	})
}

// notifications has destinations of which one accepts, one rejects.
func (i *installation) notifications() {
	base := "/accounts/" + i.full + "/alerting/v3"
	for _, h := range []object{
		{"name": "On-call", "url": i.receiver(http.StatusOK)},
		{"name": "Archive", "url": i.receiver(http.StatusOK)},
	} {
		i.made.hooks = append(i.made.hooks, i.create(base+"/destinations/webhooks", h))
	}
	for n, name := range []string{"On-call", "Storefront", "Everything else"} {
		i.create(base+"/policies", object{
			"name":       name,
			"enabled":    n < 2,
			"alert_type": "shop_payment_provider_down",
			"filters":    object{"zones": i.made.zones[n : n+1]},
			"mechanisms": []object{
				{"webhooks": []object{{"id": i.made.hooks[0]}}},
				{"email": []object{{"id": owner}}},
				{"webhooks": []object{{"id": i.made.hooks[1]}}, "email": []object{{"id": owner}}},
			}[n],
		})
	}
}

// alerts are one that has ended and one that fires, of a team's own type. Each is delivered before the next is sent.
func (i *installation) alerts() {
	for _, a := range []object{
		{"id": "first", "event": "start", "zone": "checkout.shop.example"},
		{"id": "second", "event": "start", "zone": "www.shop.example"},
		{"id": "first-end", "event": "end", "zone": "checkout.shop.example"},
	} {
		i.clock.Add(int64(4 * time.Minute))
		a["alert_type"] = "shop_payment_provider_down"
		a["severity"] = "critical"
		a["data"] = object{"provider": "cardpay", "failed": 41}
		a["correlation_id"] = strings.TrimSuffix(a["id"].(string), "-end")
		i.call("POST", "/accounts/"+i.full+"/alerting/v3/alerts", a)
		i.settle()
	}
}

// rejected sends an event that the catalogue does not allow.
func (i *installation) rejected() {
	e := event("rejected", 8*time.Hour, user("Ana Lima", owner), object{
		"action":   object{"type": "explode"},
		"resource": object{"product": "shop", "type": "setting", "id": "x"},
	})
	text, err := json.Marshal([]object{e})
	if err != nil {
		i.t.Fatal(err)
	}
	i.send("POST", "/accounts/"+i.full+"/audit/events", "application/json", text)
}

func (i *installation) read(path string) json.RawMessage {
	i.t.Helper()
	return i.call("GET", path, nil)
}
