package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/app"
	testsite "github.com/belfryhq/belfry/test/site"
)

const bootstrap = "a bootstrap token of at least 32 characters"

// site is a whole Belfry with its dashboard.
type site struct {
	t   *testing.T
	app *app.App
	url string
	dir string // its data directory
}

func newSite(t *testing.T, change ...func(*app.Config)) *site {
	t.Helper()
	return newSiteWith(t, t.Output(), nil, change...)
}

// newSiteWith is newSite with a place for its log, and further settings.
func newSiteWith(t *testing.T, log io.Writer, settings []string, change ...func(*app.Config)) *site {
	t.Helper()
	dir := t.TempDir()
	values := map[string]string{
		"BELFRY_LISTEN":          "127.0.0.1:0",
		"BELFRY_KAFKA_LISTEN":    "127.0.0.1:0",
		"BELFRY_DATA_DIR":        dir,
		"BELFRY_BOOTSTRAP_TOKEN": bootstrap,
		"BELFRY_LOG_LEVEL":       "error",
		"BELFRY_EPOCH":           "1h",
	}
	for i := 0; i < len(settings); i += 2 {
		values[settings[i]] = settings[i+1]
	}
	cfg, err := app.LoadConfig("", env(values))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := app.Setup(t.Context(), cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- a.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = a.Close() // Run has let go of most of it
	})
	<-ready
	return &site{t, a, a.URL(), dir}
}

// call asks the API as the operators and gives the result.
func (s *site) call(method, path string, body any) json.RawMessage {
	s.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/client/v4"+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var envelope struct {
		Success bool
		Result  json.RawMessage
		Errors  json.RawMessage
	}
	if err := json.NewDecoder(res.Body).Decode(&envelope); err != nil || !envelope.Success {
		s.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, envelope.Errors, err)
	}
	return envelope.Result
}

func (s *site) account(name string) string {
	s.t.Helper()
	var made struct{ ID string }
	if err := json.Unmarshal(s.call("POST", "/accounts", map[string]any{"name": name}), &made); err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

type object = map[string]any

// append stores events of an account.
func (s *site) append(account string, events ...object) {
	s.t.Helper()
	s.call("POST", "/accounts/"+account+"/audit/events", events)
}

// visitor is a browser without scripts on this installation.
type visitor struct {
	*site
	browser *testsite.Visitor
	client  *http.Client // with the cookies of the browser
}

// member signs a new member of an account in.
func (s *site) member(account, email, role string) *visitor {
	s.t.Helper()
	s.call("POST", "/accounts/"+account+"/members", object{"email": email, "name": email, "role": role})
	return s.signIn(email)
}

func (s *site) signIn(email string) *visitor {
	s.t.Helper()
	link, err := s.app.LoginLink(s.t.Context(), email)
	if err != nil {
		s.t.Fatal(err)
	}
	v := s.stranger()
	v.browser.SignIn(link)
	return v
}

func (s *site) stranger() *visitor {
	s.t.Helper()
	browser := testsite.NewVisitor(s.t, s.url)
	return &visitor{s, browser, browser.Client()}
}

// page is an answer.
type page struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (v *visitor) get(path string, headers ...string) page {
	v.t.Helper()
	p := v.browser.Get(path, headers...)
	return page{p.Status, p.Location, p.Header, p.Body}
}

func (p page) has(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(p.body, w) {
			t.Errorf("%d: the page lacks %q:\n%s", p.status, w, visibleText(p.body))
		}
	}
}

func (p page) lacks(t *testing.T, refused ...string) {
	t.Helper()
	for _, w := range refused {
		if strings.Contains(p.body, w) {
			t.Errorf("%d: the page has %q", p.status, w)
		}
	}
}

var tags = regexp.MustCompile(`<[^>]*>|\s+`)

// text is a page's words, for messages.
func visibleText(body string) string {
	if _, after, ok := strings.Cut(body, "<main"); ok {
		body = after
	}
	body = tags.ReplaceAllString(body, " ")
	return body[:min(len(body), 1500)]
}

// change is an event of ten minutes ago.
func auditEvent(id, actor string, more object) object {
	e := object{
		"id":          id,
		"occurred_at": time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339Nano),
		"interface":   "UI",
		"action":      object{"type": "update"},
		"actor":       object{"type": "user", "id": actor, "name": actor},
		"resource":    object{"product": "dns", "type": "record", "id": "r-" + id, "name": "www" + id + ".shop.example"},
	}
	for k, v := range more {
		e[k] = v
	}
	return e
}

func TestNobodySeesAPageWithoutASession(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	for _, path := range []string{"/", "/accounts/" + id, "/accounts/" + id + "/audit?actor_id=x",
		"/accounts/" + strings.Repeat("0", 32) + "/audit/integrity"} {
		p := s.stranger().get(path)
		if p.status != http.StatusSeeOther || !strings.HasPrefix(p.location, "/sign-in") {
			t.Errorf("%s: %d to %q", path, p.status, p.location)
		}
		if next := url.QueryEscape(path); path != "/" && !strings.HasSuffix(p.location, "next="+next) {
			t.Errorf("%s: the way back is lost: %q", path, p.location)
		}
	}
	if p := s.stranger().get("/no/such/page"); p.status != http.StatusNotFound || !strings.Contains(p.body, "Not found") {
		t.Errorf("%d %s", p.status, visibleText(p.body))
	}
}

// secret of a page: the request's id and nothing else may tell two apart.
var requestID = regexp.MustCompile(`request <code>[^<]*</code>`)

func TestAForeignAccountLooksLikeOneThatDoesNotExist(t *testing.T) {
	s := newSite(t)
	mine, foreign := s.account("Mine"), s.account("Foreign")
	s.append(foreign, auditEvent("1", "bo", nil))
	v := s.member(mine, "ana@acme.example", "owner")
	for _, path := range []string{"", "/audit", "/audit/live", "/audit/events/1",
		"/audit/history?resource_product=dns&resource_type=record&resource_id=r-1", "/audit/summary", "/audit/integrity"} {
		theirs := v.get("/accounts/" + foreign + path)
		unknown := v.get("/accounts/" + strings.Repeat("0", 32) + path)
		if theirs.status != http.StatusNotFound || unknown.status != http.StatusNotFound {
			t.Errorf("%s: %d and %d: expected 404", path, theirs.status, unknown.status)
		}
		if a, b := requestID.ReplaceAllString(theirs.body, ""), requestID.ReplaceAllString(unknown.body, ""); a != b {
			t.Errorf("%s: the pages differ", path)
		}
		theirs.lacks(t, "Foreign", foreign)
	}
}

func TestEverybodyBeginsWhereTheyBelong(t *testing.T) {
	s := newSite(t)
	b, a := s.account("B"), s.account("A")
	s.member(b, "ana@acme.example", "owner")
	s.call("POST", "/accounts/"+a+"/members", object{"email": "ana@acme.example", "role": "auditor"})
	ana := s.signIn("ana@acme.example")
	if p := ana.get("/"); p.location != "/accounts/"+a {
		t.Errorf("a member begins at %q: expected the first account by name", p.location)
	}
	p := ana.get("/accounts/" + a + "/audit")
	p.has(t, `data-face="customer"`, "Audit log", "/accounts/"+b+"/audit", "/accounts/"+a+"/audit/integrity")
	p.lacks(t, "/accounts/"+a+"/members", "/accounts/"+a+"/tokens", "/console/", "/notifications", "/objectives", "/flags")
	ana.get("/accounts/"+b).has(t, "/accounts/"+b+"/members", "/accounts/"+b+"/tokens", "No product has sent an event yet")
	operator := s.signIn("")
	start := operator.get("/")
	if console := operator.get("/console"); console.location != start.location {
		t.Errorf("/console leads to %q, and / to %q", console.location, start.location)
	}
	if !strings.HasPrefix(start.location, "/console/") {
		t.Fatalf("an operator begins at %q", start.location)
	}
	operator.get(start.location).has(t, `data-face="operator"`)
	operator.get("/accounts/"+b+"/audit").has(t, `data-face="customer"`, "Operators&#39; console")
	if p := operator.get("/accounts/" + strings.Repeat("0", 32)); p.status != http.StatusNotFound {
		t.Errorf("an account that does not exist: %d", p.status)
	}
}

func TestTheExplorerShowsWhatItsAddressSays(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	var set []object
	for i := range 40 {
		set = append(set, auditEvent("set-"+string(rune('a'+i%26))+
			string(rune('a'+i/26)), "terraform", object{"change_set": "apply-31", "reason": object{"text": "apply 31"}}))
	}
	s.append(id, set...)
	s.append(id, auditEvent("early", "bo", object{"zone": "shop.example"}),
		auditEvent("one", "ana", object{"before": object{"ttl": 300}, "after": object{"ttl": 60}, "zone": "shop.example"}),
		auditEvent("seen", "bo", object{"action": object{"type": "view"}}),
		auditEvent("lost", "bo", object{"action": object{"type": "update", "result": "failure"}}))
	v := s.member(id, "ana@acme.example", "owner")
	base := "/accounts/" + id + "/audit"
	p := v.get(base)
	p.has(t, "40 records", "in one change set", "apply 31", "<code>300</code>", "failed", "All 40 changes")
	p.lacks(t, "viewed")
	v.get(base+"?views=shown").has(t, "viewed")
	p = v.get(base + "?actor_id=ana&action_result.not=failure")
	p.has(t, `id="e-one"`, "Remove the filter Actor ana", "Included. Click to exclude", "Excluded. Click to include")
	p.lacks(t, `id="e-lost"`, "apply 31")
	v.get(base+"?colour=red").has(t, "They filter nothing: colour")
	if p := v.get(base + "?q=actor:ana+-type:zone+www&since=7d"); p.location != base+
		"?actor_id=ana&q=www&resource_type.not=zone&since=7d" {
		t.Errorf("a search leads to %q", p.location)
	}
	if p := v.get(base + "?q=192.0.2.7"); p.location != base+"?actor_ip_address=192.0.2.7" {
		t.Errorf("an address is searched by %q", p.location)
	}
	p = v.get(base + "?q=WWWONE")
	p.has(t, `id="e-one"`, "events were looked at")
	p.lacks(t, `id="e-lost"`)
	v.get(base+"?actor_id=nobody").has(t, "No event matches", "Clear the filters")
	v.get(base+"?change_set=apply-31").has(t, `id="e-set-aa"`)
	if p := v.get(base + "?cursor=forged"); p.status != http.StatusBadRequest {
		t.Errorf("a forged cursor: %d", p.status)
	}
	p = v.get(base+"?event=one", "HX-Request", "true", "HX-Target", "aside#detail")
	p.has(t, "through the", "shop.example", "Changed")
	p.lacks(t, "<html", `id="rows"`)
	v.get(base+"?event=gone").has(t, "There is no event gone")
	v.get(base+"/events/one").has(t, "Before and after this on shop.example", "/audit/history?")
	v.get(base+"/history?resource_product=dns&resource_type=record&resource_id=r-one").
		has(t, "Present state", "<code class=\"blame-name\">ttl</code>")
	v.get(base+"/events/one?tab=proof&verify=1").has(t, "Verified", "belfry verify --bundle event-one.json --key")
	v.get(base+"/events/one?tab=json").has(t, "recorded_at")
	v.get(base+"/integrity").has(t, "Everything that was acknowledged is covered", "belfry verify --export")
	v.get(base+"/summary").has(t, "By product", "dns", "Events by day")
	v.get("/accounts/"+id).has(t, "Nothing is firing.", "40 records")
}

func TestTheListGoesOnWhereItsPageEnds(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	var all []object
	for i := range 150 {
		all = append(all, auditEvent("n"+strings.Repeat("x", i%5)+string(rune('a'+i%26))+string(rune('a'+i/26)), "ana",
			object{"occurred_at": time.Now().Add(-time.Duration(i) * time.Minute).UTC().Format(time.RFC3339Nano)}))
	}
	s.append(id, all...)
	v := s.member(id, "ana@acme.example", "viewer")
	row := regexp.MustCompile(`id="(e-n[^"]*)"`)
	more := regexp.MustCompile(`id="rows-more" hx-get="([^"]*)"`)
	seen := map[string]int{}
	path := "/accounts/" + id + "/audit?resource_product=dns"
	for range 5 {
		p := v.get(path, "HX-Request", "true", "HX-Target", "li#rows-more")
		for _, found := range row.FindAllStringSubmatch(p.body, -1) {
			seen[found[1]]++
		}
		next := more.FindStringSubmatch(p.body)
		if next == nil {
			break
		}
		path = strings.ReplaceAll(next[1], "&amp;", "&")
	}
	if len(seen) != 150 {
		t.Errorf("%d of 150 events were listed", len(seen))
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s was listed %d times", id, n)
		}
	}
	if p := v.get("/accounts/" + id + "/audit"); strings.Contains(p.body, "Export") {
		t.Error("a viewer is offered an export")
	}
}

// hostile is an event whose every text tries to leave its place.
func hostile() object {
	const script = "<script>alert(1)</script>"
	return auditEvent("evil", "evil", object{
		"action": object{"type": script, "description": script},
		"actor": object{
			"type":       "user",
			"id":         `"><img src=x onerror=alert(2)>`,
			"name":       script,
			"email":      script + "@x.example",
			"token_name": script,
		},
		"resource":   object{"product": `"'>` + script, "type": `{{.}}` + script, "id": `';alert(3)//`, "name": script},
		"zone":       `</li>` + script,
		"change_set": `"` + script,
		"before":     object{script: script, "__proto__": "\u202e"},
		"after":      object{script: `</script>` + script},
		"reason":     object{"text": "\u202e\u2066" + script, "url": `https://evil.example/"onmouseover="alert(4)`},
		"metadata":   object{script: script},
		"related":    []object{{"type": script, "id": script, "name": script}},
		"request":    object{"method": script, "uri": "javascript:alert(5)", "user_agent": script},
	})
}

func TestNothingInAnEventLeavesItsPlace(t *testing.T) {
	s := newSite(t)
	id := s.account("<script>alert(0)</script>")
	e := hostile()
	e["action"] = object{"type": "x<script>alert(1)</script>"}
	s.append(id, e)
	v := s.member(id, "ana@acme.example", "owner")
	base := "/accounts/" + id + "/audit"
	quoted := regexp.MustCompile(`"[^"]*"`)
	attr := regexp.MustCompile(`<[^>]*\s(on[a-z]+|srcdoc)\s*=`)
	for _, path := range []string{base, base + "?event=evil", base + "?event=evil&tab=json",
		base + "?event=evil&tab=proof&verify=1", base + "/events/evil", base + "/summary",
		base + "/integrity?old=%3Cscript%3E",
		base + "/history?resource_product=" + url.QueryEscape(`"'><script>alert(1)</script>`) + "&resource_type=" +
			url.QueryEscape(`{{.}}<script>alert(1)</script>`) + "&resource_id=" + url.QueryEscape(`';alert(3)//`),
		base + "?q=%3Cscript%3Ealert(1)%3C/script%3E", base + "?actor_id=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
		base + "?event=%3Cscript%3Ealert(1)%3C/script%3E", "/accounts/" + id} {
		p := v.get(path)
		if p.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, p.status, visibleText(p.body))
		}
		if strings.Contains(p.body, "<script>alert") || strings.Contains(p.body, "<img") ||
			strings.Contains(p.body, `href="javascript`) || attr.MatchString(quoted.ReplaceAllString(p.body, `""`)) {
			t.Errorf("%s: an event's text became markup", path)
		}
		if strings.ContainsAny(p.body, "\u202e\u2066") {
			t.Errorf("%s: a direction override turns the text around it", path)
		}
		if policy := p.header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") ||
			strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
}

func TestALiveRowIsHTMLAndAChangeSetGrowsInItsPlace(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	s.append(id, auditEvent("first", "ana", nil))
	v := s.member(id, "ana@acme.example", "owner")
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/accounts/"+id+"/audit/live?resource_product=dns", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := v.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	s.append(id, auditEvent("view", "bo", object{"action": object{"type": "view"}}),
		auditEvent("other", "bo", object{"resource": object{"product": "mail", "type": "t", "id": "1"}}),
		auditEvent("s1", "bo", object{"change_set": "cs"}), auditEvent("s2", "bo", object{"change_set": "cs"}),
		auditEvent("last", "<i>bo</i>", nil))
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "e-last") || !strings.HasSuffix(got.String(), "\n\n") {
		n, err := res.Body.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v after %s", err, got.String())
		}
	}
	out := got.String()
	ids := regexp.MustCompile(`id="(s-[0-9a-f]+)"`).FindAllStringSubmatch(out, -1)
	if len(ids) != 2 || ids[0][1] != ids[1][1] || !strings.Contains(out, "2 records") ||
		strings.Count(out, "event: row") != 3 {
		t.Errorf("the change set's rows are %v in\n%s", ids, out)
	}
	if strings.Contains(out, "e-view") || strings.Contains(out, "e-other") || strings.Contains(out, "<i>bo</i>") {
		t.Errorf("the tail has what it should not:\n%s", out)
	}
}

func TestAKeptCheckpointIsComparedAndAForgedOneRefused(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	s.append(id, auditEvent("a", "ana", nil))
	v := s.member(id, "ana@acme.example", "owner")
	kept := v.get("/client/v4/accounts/" + id + "/audit/log/checkpoint").body
	s.append(id, auditEvent("b", "ana", nil), auditEvent("c", "ana", nil))
	base := "/accounts/" + id + "/audit/integrity?old="
	v.get(base+url.QueryEscape(strings.ReplaceAll(kept, "\n", "\r\n"))).has(t, "begin with these, unchanged")
	lines := strings.SplitN(kept, "\n", 3)
	v.get(base+url.QueryEscape(lines[0]+"\n999\n"+lines[2])).has(t, "FAIL")
	other := s.account("Other")
	s.append(other, auditEvent("a", "ana", nil))
	var foreign string
	if r, err := http.NewRequestWithContext(t.Context(), "GET",
		s.url+"/client/v4/accounts/"+other+"/audit/log/checkpoint", nil); err == nil {
		r.Header.Set("Authorization", "Bearer "+bootstrap)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		foreign = string(b)
	}
	v.get(base+url.QueryEscape(foreign)).has(t, "FAIL")
}

func TestTheSystemPage(t *testing.T) {
	s := newSite(t)
	operator := s.signIn("")
	operator.get("/console/system").has(t, "Belfry test", "Ready", "database account", "Database of notify", "sqlite",
		"0001_notify")
	if to := s.stranger().get("/console/system"); to.location != "/sign-in?next=%2Fconsole%2Fsystem" {
		t.Errorf("%d to %q", to.status, to.location)
	}
	if member := s.member(s.account("Acme"), "ana@acme.example", "owner").
		get("/console/system"); member.status != http.StatusForbidden {
		t.Error(member.status)
	}
}
