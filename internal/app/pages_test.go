package app_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestNobodySeesAPageWithoutASession(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	for _, path := range []string{"/", "/accounts/" + id, "/accounts/" + id + "/audit?actor_id=x",
		"/accounts/" + strings.Repeat("0", 32) + "/audit/integrity"} {
		p := s.stranger().Get(path)
		if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, "/sign-in") {
			t.Errorf("%s: %d to %q", path, p.Status, p.Location)
		}
		if next := url.QueryEscape(path); path != "/" && !strings.HasSuffix(p.Location, "next="+next) {
			t.Errorf("%s: the way back is lost: %q", path, p.Location)
		}
	}
	if p := s.stranger().Get("/no/such/page"); p.Status != http.StatusNotFound || !strings.Contains(p.Body, "Not found") {
		t.Errorf("%d %s", p.Status, p.Text())
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
		theirs := v.Get("/accounts/" + foreign + path)
		unknown := v.Get("/accounts/" + strings.Repeat("0", 32) + path)
		if theirs.Status != http.StatusNotFound || unknown.Status != http.StatusNotFound {
			t.Errorf("%s: %d and %d: expected 404", path, theirs.Status, unknown.Status)
		}
		if a, b := requestID.ReplaceAllString(theirs.Body, ""), requestID.ReplaceAllString(unknown.Body, ""); a != b {
			t.Errorf("%s: the pages differ", path)
		}
		theirs.Lacks("Foreign", foreign)
	}
}

func TestEverybodyBeginsWhereTheyBelong(t *testing.T) {
	s := newSite(t)
	b, a := s.account("B"), s.account("A")
	s.member(b, "ana@acme.example", "owner")
	s.call("POST", "/accounts/"+a+"/members", object{"email": "ana@acme.example", "role": "auditor"})
	ana := s.signIn("ana@acme.example")
	if p := ana.Get("/"); p.Location != "/accounts/"+a {
		t.Errorf("a member begins at %q: expected the first account by name", p.Location)
	}
	p := ana.Get("/accounts/" + a + "/audit")
	p.Says(`data-face="customer"`, "Audit log", "/accounts/"+b+"/audit", "/accounts/"+a+"/audit/integrity")
	p.Lacks("/accounts/"+a+"/members", "/accounts/"+a+"/tokens", "/console/", "/notifications", "/objectives", "/flags")
	ana.Get("/accounts/"+b).Says("/accounts/"+b+"/members", "/accounts/"+b+"/tokens", "Record the first event")
	operator := s.signIn("")
	start := operator.Get("/")
	if start.Location != "/console" {
		t.Fatalf("an operator begins at %q", start.Location)
	}
	operator.Get(start.Location).Says(`data-face="operator"`)
	operator.Get("/accounts/"+b+"/audit").Says(`data-face="customer"`, "Operators&#39; console")
	if p := operator.Get("/accounts/" + strings.Repeat("0", 32)); p.Status != http.StatusNotFound {
		t.Errorf("an account that does not exist: %d", p.Status)
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
	p := v.Get(base)
	p.Says("40 records", "in one change set", "apply 31", "<code>300</code>", "failed", "All 40 changes")
	p.Lacks("viewed")
	v.Get(base + "?views=shown").Says("viewed")
	p = v.Get(base + "?actor_id=ana&action_result.not=failure")
	p.Says(`id="e-one"`, "Remove the filter Actor ana", "Included. Click to exclude", "Excluded. Click to include")
	p.Lacks(`id="e-lost"`, "apply 31")
	v.Get(base + "?colour=red").Says("They filter nothing: colour")
	if p := v.Get(base + "?q=actor:ana+-type:zone+www&since=7d"); p.Location != base+
		"?actor_id=ana&q=www&resource_type.not=zone&since=7d" {
		t.Errorf("a search leads to %q", p.Location)
	}
	if p := v.Get(base + "?q=192.0.2.7"); p.Location != base+"?actor_ip_address=192.0.2.7" {
		t.Errorf("an address is searched by %q", p.Location)
	}
	p = v.Get(base + "?q=WWWONE")
	p.Says(`id="e-one"`, "events were looked at")
	p.Lacks(`id="e-lost"`)
	v.Get(base+"?actor_id=nobody").Says("No event matches", "Clear the filters")
	v.Get(base + "?change_set=apply-31").Says(`id="e-set-aa"`)
	// The menu suggests values, the head counts what matches, and an export names it.
	p = v.Get(base + "?actor_id.not=bo&resource_product=dns")
	p.Says(`data-source="/accounts/`+id+`/find" data-kind="actor"`, "41 of ",
		"41 events where actor is not bo and product is dns as CSV")
	v.Get(base+"?actor_id=ana").Says("1 of ", "1 event where actor is ana as NDJSON")
	if p := v.Get(base + "?cursor=forged"); p.Status != http.StatusBadRequest {
		t.Errorf("a forged cursor: %d", p.Status)
	}
	p = v.Get(base+"?event=one", "HX-Request", "true", "HX-Target", "aside#detail")
	p.Says("through the", "shop.example", "Changed")
	p.Lacks("<html", `id="rows"`)
	v.Get(base + "?event=gone").Says("There is no event gone")
	v.Get(base+"/events/one").Says("Before and after this on shop.example", "/audit/history?")
	v.Get(base+"/history?resource_product=dns&resource_type=record&resource_id=r-one").
		Says("Present state", "<code class=\"blame-name\">ttl</code>")
	v.Get(base+"/events/one?tab=proof&verify=1").Says("Verified", "belfry verify --bundle event-one.json --key")
	v.Get(base + "/events/one?tab=json").Says("recorded_at")
	v.Get(base+"/integrity").Says("Everything that was acknowledged is covered", "belfry verify --export")
	v.Get(base+"/summary").Says("By product", "dns", "Events by day", "The audit log begins on", "busiest day")
	v.Get("/accounts/"+id).Says("Nothing is firing.", "40 records")
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
		p := v.Get(path, "HX-Request", "true", "HX-Target", "li#rows-more")
		for _, found := range row.FindAllStringSubmatch(p.Body, -1) {
			seen[found[1]]++
		}
		next := more.FindStringSubmatch(p.Body)
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
	if p := v.Get("/accounts/" + id + "/audit"); strings.Contains(p.Body, "Export") {
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
		p := v.Get(path)
		if p.Status != http.StatusOK {
			t.Errorf("%s: %d %s", path, p.Status, p.Text())
		}
		if strings.Contains(p.Body, "<script>alert") || strings.Contains(p.Body, "<img") ||
			strings.Contains(p.Body, `href="javascript`) || attr.MatchString(quoted.ReplaceAllString(p.Body, `""`)) {
			t.Errorf("%s: an event's text became markup", path)
		}
		if strings.ContainsAny(p.Body, "\u202e\u2066") {
			t.Errorf("%s: a direction override turns the text around it", path)
		}
		if policy := p.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") ||
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
	res, err := v.Client().Do(r)
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
	kept := v.Get("/client/v4/accounts/" + id + "/audit/log/checkpoint").Body
	s.append(id, auditEvent("b", "ana", nil), auditEvent("c", "ana", nil))
	base := "/accounts/" + id + "/audit/integrity?old="
	v.Get(base + url.QueryEscape(strings.ReplaceAll(kept, "\n", "\r\n"))).Says("begin with these, unchanged")
	lines := strings.SplitN(kept, "\n", 3)
	v.Get(base + url.QueryEscape(lines[0]+"\n999\n"+lines[2])).Says("FAIL")
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
	v.Get(base + url.QueryEscape(foreign)).Says("FAIL")
}

func TestTheSystemPage(t *testing.T) {
	s := newSite(t)
	operator := s.signIn("")
	operator.Get("/console/system").Says("Belfry test", "Ready", "database account", "notify", "sqlite",
		"0001_notify")
	if to := s.stranger().Get("/console/system"); to.Location != "/sign-in?next=%2Fconsole%2Fsystem" {
		t.Errorf("%d to %q", to.Status, to.Location)
	}
	if member := s.member(s.account("Acme"), "ana@acme.example", "owner").
		Get("/console/system"); member.Status != http.StatusForbidden {
		t.Error(member.Status)
	}
}
