package story_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/demo/inbox"
	"github.com/belfryhq/belfry/test/browser"
)

// What the story's objective is made of: 99.95 % over 28 days, paged at 14.4
// times over an hour and five minutes, counted by ten seconds.
const (
	allowed = 0.0005
	factor  = 14.4
	long    = time.Hour
	short   = 5 * time.Minute
	tick    = 10 * time.Second
)

// alert is one alert of the API, with its decision.
type alert struct {
	ID          string `json:"id"`
	Type        string `json:"alert_type"`
	Event       string `json:"event"`
	Correlation string `json:"correlation_id"`
	OccurredAt  string `json:"occurred_at"`
	BeganAt     string `json:"began_at"`
	Summary     string `json:"summary"`
	Data        struct {
		Long, Short struct {
			Burn       float64
			Total, Bad int64
		}
	} `json:"data"`
	Policies []struct {
		Policy  string `json:"policy"`
		Matched bool   `json:"matched"`
		Reason  string `json:"why"`
	} `json:"policies"`
	Deliveries []struct {
		State    string
		Attempts []struct {
			Status int
			Error  string
		}
	} `json:"deliveries"`
	Changes []struct {
		EventID string `json:"event_id"`
		At      string `json:"at"`
		Actor   string `json:"actor"`
		Summary string `json:"summary"`
		URL     string `json:"url"`
		Why     string `json:"why_listed"`
	} `json:"changes"`
}

// event is one event of the record.
type event struct {
	ID       string
	Sentence string
	Action   struct {
		Type string
		Time time.Time
	}
	Resource struct{ ID, Product, Type string }
}

func TestTheStory(t *testing.T) {
	p := begin(t)
	b := browser.Start(t)
	p.step("two: nothing is wrong, most of the budget is left, the record is proved", func() { p.quiet(b) })
	var broke time.Time
	p.step("three: a visitor lowers the payment timeout, and the live tail says so", func() { broke = p.breakIt() })
	p.step("four: requests fail, the burn climbs", func() { p.burning(b) })
	var start alert
	p.step("five: the alert is in the inbox, signed, with the change that preceded it", func() {
		start = p.alerted(broke)
	})
	p.step("six: the alert's page says why it was sent, and to whom not", func() { p.explained(b, start) })
	var fixed time.Time
	p.step("seven: the change's page, and the undo", func() { fixed = p.undo(b, start) })
	p.step("eight: one file proves the change; one byte changed disproves it", func() {
		p.proved(start.Changes[0].EventID)
	})
	p.step("nine: killed while it takes events; nothing acknowledged is lost, nobody is told twice", func() {
		p.killed(start)
	})
	p.step("ten: the alert ends with its correlation id, and the record tells all in order", func() {
		p.ended(b, start, fixed)
	})
	p.step("eleven: now yours", p.yours)
}

// step runs one part of the story and says how long it took.
func (p *play) step(name string, do func()) {
	p.t.Helper()
	began := time.Now()
	p.t.Logf("-- %s", name)
	do()
	p.t.Logf("   %v", time.Since(began).Round(time.Second))
}

// look shows a page of the dashboard and holds it against what a browser tells.
func (p *play) look(b *browser.Browser, name, path string, parts ...string) {
	p.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		b.Open(p.URL+path, theme, 1400)
		b.Look("story-"+name, theme, 1400)
	}
	text := b.Evaluate(`document.body.innerText`)
	if missing := has(text, parts...); missing != "" {
		p.t.Errorf("%s (%s) does not say %q:\n%s", name, path, missing, text)
	}
}

func (p *play) quiet(b *browser.Browser) {
	// The link's page is a form, so that a mail scanner that opens it does not
	// use it up.
	b.Open(p.SignIn, "light", 1400)
	b.Click(`form[data-fragment="link"] button`, "main.main")
	home := "/accounts/" + p.Account
	if at := b.Evaluate(`location.pathname`); at != home {
		p.t.Errorf("the link leads to %s, not to the account's overview", at)
	}
	p.look(b, "2-overview", home, "Nothing is firing", "Checkout availability", "of its budget", "On record")
	p.look(b, "2-objectives", home+"/objectives", "Checkout availability", "Storefront availability",
		"Old site availability")
	// The real site of 2015: three errors, and no page.
	p.look(b, "2-quiet", home+"/objectives/"+p.Quiet, "could be chance")
	var firing []alert
	if p.get("/alerting/v3/alerts?state=firing", &firing); len(firing) != 0 {
		p.t.Errorf("something fires before anything was broken: %+v", firing)
	}
	var status struct{ Budget struct{ Left float64 } }
	if p.get("/slos/"+p.Objective+"/status", &status); status.Budget.Left < 0.85 || status.Budget.Left > 0.97 {
		p.t.Errorf("the checkout has %.3f of its budget, the past leaves it about 0.91", status.Budget.Left)
	}
	if sent := p.messages(); slices.ContainsFunc(sent, func(m inbox.Message) bool {
		return strings.Contains(m.Text, "budget") && strings.Contains(m.Text, "Checkout")
	}) {
		p.t.Errorf("somebody was told of the past: %+v", sent)
	}
}

// messages returns the inbox's messages, the newest first.
func (p *play) messages() (list []inbox.Message) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.text(p.Inbox+"/messages")), &list); err != nil {
		p.t.Fatal(err)
	}
	return list
}

// tail reads the newest events of the record, the oldest first.
func (p *play) tail(since time.Time) (list []event) {
	p.t.Helper()
	q := url.Values{
		"since":     {since.UTC().Format(time.RFC3339)},
		"before":    {time.Now().Add(time.Hour).UTC().Format(time.RFC3339)},
		"direction": {"asc"},
		"limit":     {"1000"},
	}
	p.get("/logs/audit?"+q.Encode(), &list)
	return list
}

// breakIt lowers the payment timeout by the shop's form.
func (p *play) breakIt() time.Time {
	began := time.Now()
	p.set("payment_timeout", "30", "Fail fast on slow payments", "https://git.shop.example/shop/pull/214")
	var seen event
	p.until("the change is in the record", func() bool {
		for _, e := range p.tail(began.Add(-time.Second)) {
			if e.Resource.ID == "payment_timeout" {
				seen = e
			}
		}
		return seen.ID != ""
	})
	p.t.Logf("   %q, %v after it was made", seen.Sentence, time.Since(seen.Action.Time).Round(time.Millisecond))
	if missing := has(seen.Sentence, "Sam Rivera", "payment timeout", "3000", "30"); missing != "" {
		p.t.Errorf("the sentence %q lacks %q", seen.Sentence, missing)
	}
	p.until("the terminal tells it", func() bool { return strings.Contains(p.out.String(), seen.Sentence) })
	return seen.Action.Time
}

// set sends the shop's form for one setting.
func (p *play) set(setting, value, reason, link string) {
	p.t.Helper()
	p.send(p.Shop+"/settings/"+setting, url.Values{"value": {value}, "reason": {reason}, "link": {link}})
}

func (p *play) burning(b *browser.Browser) {
	p.until("the burn rate over five minutes is above the factor", func() bool {
		var status struct {
			Pairs []struct {
				Short struct{ Burn float64 }
			} `json:"pairs"`
		}
		p.get("/slos/"+p.Objective+"/status", &status)
		return len(status.Pairs) > 0 && status.Pairs[0].Short.Burn > factor
	})
	p.look(b, "4-burning", "/accounts/"+p.Account+"/objectives/"+p.Objective+"?range=1h", "Checkout availability",
		"payment timeout")
}

// alerted waits for the alert and holds its time against the closed form.
func (p *play) alerted(broke time.Time) (start alert) {
	p.until("the alert fires", func() bool {
		var firing []alert
		p.get("/alerting/v3/alerts?state=firing", &firing)
		if len(firing) > 1 {
			p.t.Fatalf("more than the checkout's alert fires: %+v", firing)
		}
		if len(firing) == 1 {
			start = firing[0]
		}
		return start.ID != ""
	})
	p.until("its decision and deliveries are complete", func() bool {
		p.get("/alerting/v3/alerts/"+start.ID, &start)
		return len(start.Deliveries) == 2 && !slices.ContainsFunc(start.Deliveries, func(d struct {
			State    string
			Attempts []struct {
				Status int
				Error  string
			}
		}) bool {
			return len(d.Attempts) == 0
		})
	})
	began := p.moment(start.BeganAt)
	at := p.moment(start.OccurredAt)
	if gap := broke.Sub(began); gap > tick || gap < -2*tick {
		p.t.Errorf("the alert says that it began at %v, the setting was changed at %v", began, broke)
	}
	// The detection time at a constant share of errors e is factor x W x (1 - SLO) / e
	// (workbook, table 5-?): e as the windows themselves counted it.
	rate := float64(start.Data.Long.Total) / long.Seconds()
	took := at.Sub(began)
	e := float64(start.Data.Short.Bad) / (rate * took.Seconds())
	want := time.Duration(factor * allowed / e * float64(long))
	p.t.Logf("   %.0f %% of requests failed: detected %v after it began, closed form %v plus a tick", 100*e, took,
		want.Round(100*time.Millisecond))
	if took < want-tick || took > want+2*tick {
		p.t.Errorf("detected after %v, the closed form says %v and a tick of %v", took, want, tick)
	}
	if start.Data.Long.Burn < factor || start.Data.Short.Burn < factor {
		p.t.Errorf("it fired at burn rates of %g and %g", start.Data.Long.Burn, start.Data.Short.Burn)
	}
	if len(start.Changes) == 0 || !strings.Contains(start.Changes[0].Summary, "payment timeout") ||
		!strings.Contains(start.Changes[0].Summary, "Sam Rivera") {
		p.t.Fatalf("the change that preceded it is not the first: %+v", start.Changes)
	}
	for _, c := range start.Changes {
		if strings.Contains(c.Summary, "bucket") || strings.Contains(c.Summary, "banner") {
			p.t.Errorf("a change of another property is listed: %+v", c)
		}
	}
	var told []inbox.Message
	p.until("the webhook and the mail are in the inbox", func() bool {
		told = p.about(start)
		return len(told) >= 2
	})
	if len(told) != 2 || told[0].Kind == told[1].Kind {
		p.t.Errorf("one webhook and one mail should have come: %+v", told)
	}
	for _, m := range told {
		if m.Kind == inbox.Webhook && !m.Verified {
			p.t.Errorf("the webhook's signature does not hold: %s", m.Fault)
		}
		if missing := has(m.Text, "times too fast", "receded", "payment timeout"); missing != "" {
			p.t.Errorf("the %s does not say %q:\n%s", m.Kind, missing, m.Text)
		}
		if strings.Contains(strings.ToLower(m.Text+m.Body), "caused by") {
			p.t.Errorf("the %s says what caused it:\n%s", m.Kind, m.Text)
		}
		if m.Kind == inbox.Mail && m.To != "sam@shop.example" {
			p.t.Errorf("mail went to %s", m.To)
		}
	}
	return start
}

// about are the messages about one alert, start or end.
func (p *play) about(a alert) (list []inbox.Message) {
	p.t.Helper()
	for _, m := range p.messages() {
		if strings.Contains(m.Body, a.ID) ||
			m.Kind == inbox.Mail && strings.Contains(m.Text, "/alerts/") &&
				strings.Contains(strings.ReplaceAll(m.Body, "=\r\n", ""), a.ID) {
			list = append(list, m)
		}
	}
	return list
}

func (p *play) explained(b *browser.Browser, start alert) {
	matched := map[string]bool{}
	for _, d := range start.Policies {
		matched[d.Policy] = d.Matched
		if !d.Matched && !strings.Contains(d.Reason, "zones") && !strings.Contains(strings.ToLower(d.Reason), "propert") {
			p.t.Errorf("the policy %s did not match, because %q", d.Policy, d.Reason)
		}
	}
	if len(matched) != 2 || !matched["On-call"] || matched["Storefront team"] {
		p.t.Errorf("policies: %+v", start.Policies)
	}
	home := "/accounts/" + p.Account
	p.look(b, "6-alert", home+"/alerts/"+start.ID, "times too fast", "Preceded by", "payment timeout", "On-call",
		"Storefront team", "14.4")
	p.look(b, "6-overview", home, "times too fast")
	p.look(b, "6-alerts", home+"/alerts", "times too fast")
	b.Open(p.Inbox, "light", 1400)
	b.Look("story-6-inbox", "light", 1400)
}

// undo looks at the change and takes it back in the shop.
func (p *play) undo(b *browser.Browser, start alert) time.Time {
	c := start.Changes[0]
	p.look(b, "7-change", "/accounts/"+p.Account+"/audit/events/"+c.EventID, "payment timeout", "3000", "30",
		"Fail fast on slow payments")
	p.set("payment_timeout", "3000", "Undo: payments fail", "")
	fixed := time.Now()
	p.look(b, "7-history", "/accounts/"+p.Account+
		"/audit/history?resource_product=shop&resource_type=setting&resource_id=payment_timeout", "payment timeout",
		"Present state", "Undo: payments fail", "Fail fast on slow payments")
	p.until("the page says when it resolves", func() bool {
		b.Open(p.URL+"/accounts/"+p.Account+"/objectives/"+p.Objective+"?range=1h", "light", 1400)
		return strings.Contains(b.Evaluate(`document.body.innerText`), "if it stays clean")
	})
	b.Look("story-7-undone", "light", 1400)
	return fixed
}

func (p *play) proved(id string) {
	file := filepath.Join(p.dir, "event.json")
	var bundle []byte
	p.get("/audit/events/"+id+"/bundle", &bundle)
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		p.t.Fatal(err)
	}
	code, out := p.run("verify", "--bundle", file)
	if code != 0 || has(out, "OK", "leaf", "checkpoint") != "" {
		p.t.Errorf("exit code %d:\n%s", code, out)
	}
	keep(p.t, "verify.txt", []byte(out))
	at := strings.Index(string(bundle), "payment timeout")
	if at < 0 {
		p.t.Fatalf("the bundle does not show the event:\n%s", bundle)
	}
	bundle[at] ^= 1
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if code, out = p.run("verify", "--bundle", file); code == 0 || !strings.Contains(out, "FAIL") {
		p.t.Errorf("a changed byte was not noticed: exit code %d\n%s", code, out)
	}
}

// killed kills the server while it takes events, and looks for what was
// acknowledged.
func (p *play) killed(start alert) {
	before := len(p.about(start))
	var mu sync.Mutex // guards acknowledged
	var acknowledged []string
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	for w := range 4 {
		publishing.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("kill-%d-%d", w, n)
				status := p.api(http.MethodPost, "/audit/events",
					map[string]any{
						"id":       id,
						"action":   map[string]any{"type": "update"},
						"actor":    map[string]any{"type": "user", "id": "tester"},
						"resource": map[string]any{"product": "kill", "type": "setting", "id": "x"},
					}, nil)
				if status == http.StatusOK {
					mu.Lock()
					acknowledged = append(acknowledged, id)
					mu.Unlock()
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	p.until("events are acknowledged", func() bool { return count() > 50 })
	old := p.Server
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	p.until("the demo has started it again", func() bool { return p.reload() && p.Server != old && p.Server != 0 })
	after := count()
	p.until("it takes events again", func() bool { return count() > after+20 })
	close(stop)
	publishing.Wait()
	for _, id := range acknowledged {
		if status := p.api(http.MethodGet, "/audit/events/"+id, nil, nil); status != http.StatusOK {
			p.t.Errorf("the acknowledged event %s answers %d", id, status)
		}
	}
	p.t.Logf("   %d acknowledged events, all there", len(acknowledged))
	var firing []alert
	if p.get("/alerting/v3/alerts?state=firing", &firing); len(firing) != 1 || firing[0].ID != start.ID {
		p.t.Errorf("after the kill there fires: %+v", firing)
	}
	if now := len(p.about(start)); now != before {
		p.t.Errorf("%d messages about the alert, there were %d", now, before)
	}
}

// ended waits for the end and holds its time against the closed form.
func (p *play) ended(b *browser.Browser, start alert, fixed time.Time) {
	var over []alert
	p.untilFor(short+patience, "the alert ends", func() bool {
		p.get("/alerting/v3/alerts?state=ended", &over)
		over = slices.DeleteFunc(over, func(a alert) bool { return a.Correlation != start.Correlation })
		return len(over) > 0
	})
	var told []inbox.Message
	p.until("the inbox has heard of the end", func() bool {
		told = slices.DeleteFunc(p.messages(), func(m inbox.Message) bool {
			return !strings.Contains(m.Body, "ALERT_STATE_EVENT_END")
		})
		return len(told) == 1
	})
	var body struct {
		Correlation string `json:"alert_correlation_id"`
		TS          int64  `json:"ts"`
	}
	if err := json.Unmarshal([]byte(told[0].Body), &body); err != nil || body.Correlation != start.Correlation ||
		!told[0].Verified {
		p.t.Errorf("the end's webhook: %v %+v", err, told[0])
	}
	// Reset: what failed leaves the short window S x (1 - factor x (1 - SLO) / e) after the last failure.
	var record []event
	for _, e := range p.tail(fixed.Add(-10 * time.Minute)) {
		if e.Resource.Product == "belfry" && e.Resource.Type == "alert" || e.Resource.ID == "payment_timeout" {
			record = append(record, e)
		}
	}
	var order []string
	var end time.Time
	for _, e := range record {
		order = append(order, e.Action.Type)
		if e.Action.Type == "end" {
			end = e.Action.Time
		}
	}
	at := func(action string, from int) int { return slices.Index(order[min(from, len(order)):], action) + from }
	change := at("lower", 0)
	began := at("start", change+1)
	delivered := at("deliver", change+1)
	undone := at("raise", change+1)
	finished := at("end", undone+1)
	if !(change >= 0 && change < began && began < undone && delivered > change && delivered < undone &&
		undone < finished) {
		p.t.Errorf("the record does not tell the story in order: %v", order)
	}
	e := 0.6 // of the requests, as the shop's provider fails them; what it was exactly changes the result by a second
	want := time.Duration(float64(short) * (1 - factor*allowed/e))
	took := end.Sub(fixed)
	p.t.Logf("   ended %s after the undo, closed form %s from the last failure plus a tick", minutes(took), minutes(want))
	if took < want-tick || took > want+3*tick {
		p.t.Errorf("ended %v after the undo, the closed form says %v from the last bucket with failures", took, want)
	}
	home := "/accounts/" + p.Account
	p.look(b, "10-overview", home, "Nothing is firing")
	p.look(b, "10-alert", home+"/alerts/"+start.ID, "ended")
	p.look(b, "10-record", home+"/audit?resource_product=shop&resource_product=belfry", "payment timeout",
		"Alert started", "Alert ended after")
}

func (p *play) yours() {
	var taken []struct {
		ID  string
		Seq *int64
	}
	status := p.api(http.MethodPost, "/audit/events",
		map[string]any{"action": map[string]any{"type": "update"}, "actor": map[string]any{"type": "user", "id": "you"},
			"resource": map[string]any{"product": "mine", "type": "setting", "id": "colour"}}, &taken)
	if status != http.StatusOK || len(taken) != 1 || taken[0].ID == "" || taken[0].Seq == nil {
		p.t.Errorf("three fields were not enough: %d %+v", status, taken)
	}
	if code, out := p.run("catalog", "init"); code != 0 {
		p.t.Errorf("catalog init: %d\n%s", code, out)
	} else if code, out = p.run("catalog", "check", "belfry.yaml"); code != 0 {
		p.t.Errorf("catalog check of what init wrote: %d\n%s", code, out)
	}
}
