package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func TestEveryAccountRouteAnswersAStrangerTheSameBeforeLookingAtAnythingElse(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	jobs.New(openDB(t), jobs.Config{}, nil).API(a.API)
	routes := 0
	for _, r := range a.Routes() {
		if !r.Account {
			continue
		}
		routes++
		var answers []string
		for _, account := range []string{ours, missing, "ext:none", "nonsense"} {
			path := strings.ReplaceAll(strings.Replace(r.Path, "{account_id}", account, 1), "{", "x")
			path = strings.ReplaceAll(path, "}", "x")
			w := ask(t, a, r.Method+" "+path+"?unknown=%zz", `{"broken`, as("stranger"), "Content-Encoding: nonsense",
				"Content-Type: nonsense")
			refused(t, w, 403, errs.CodeForbidden, "")
			answers = append(answers, w.Body.String())
		}
		for _, other := range answers[1:] {
			if other != answers[0] {
				t.Errorf("%s: %s differs from %s", r.ID, other, answers[0])
			}
		}
	}
	if routes < 8 {
		t.Fatalf("only %d routes were tried", routes)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.denied) != routes*4 ||
		!strings.HasPrefix(a.denied[0], "stranger GET /client/v4/accounts/{account_id}/things "+ours) {
		t.Fatalf("denied: %q", a.denied)
	}
}

func TestAnAccountThatCannotBeResolvedNowIsUnavailable(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	w := ask(t, a, "GET /client/v4/accounts/ext:down/things", "", as("reader"))
	refused(t, w, 503, errs.CodeUnavailable, "")
	if w.Header().Get("Retry-After") != "1" || w.Header().Get("X-Should-Retry") != "" {
		t.Fatalf("%v", w.Header())
	}
}

func TestCanIsDenyByDefault(t *testing.T) {
	member := web.Principal{Kind: web.KindUser, ID: "u", AccountID: ours, Permissions: web.Permissions{"audit:read"},
		Grants: map[string]web.Permissions{foreign: {"*"}}}
	forgotten := web.Principal{Kind: web.KindToken, ID: "t", Permissions: web.Permissions{"*", "audit:read"}}
	owner := people["owner"]
	producer := people["producer"]
	staff := people["staff"]
	root := people["root"]
	for i, c := range []struct {
		p          *web.Principal
		account    string
		permission string
		want       bool
	}{
		{nil, ours, "audit:read", false},
		{&member, ours, "audit:read", true},
		{&member, ours, "audit:write", false},
		{&member, foreign, "anything", true},
		{&member, missing, "audit:read", false},
		{&member, "", "audit:read", false},
		{&member, ours, "", false},
		{&owner, ours, "audit:erase", true},
		{&owner, foreign, "audit:read", false},
		{&owner, "", "accounts:read", false},
		{&forgotten, ours, "audit:read", false}, // no account and not the installation's
		{&forgotten, "", "audit:read", false},
		{&producer, ours, "audit:write", true},
		{&producer, ours, "audit:read", false},
		{&producer, "", "audit:write", false},
		{&staff, ours, "accounts:read", true},
		{&staff, "", "accounts:read", true},
		{&staff, ours, "audit:read", false}, // "*" does not count installation-wide
		{&root, ours, "audit:read", true},
		{&root, "", "accounts:write", true},
	} {
		if got := c.p.Can(c.account, c.permission); got != c.want {
			t.Errorf("case %d: Can(%q, %q) = %v", i, c.account, c.permission, got)
		}
	}
}

func TestCookiesCountOnlyFromOurOwnPages(t *testing.T) {
	a := newAPI(t, func(c *web.Config, _ *web.Deps) { c.ExternalURL = "https://belfry.example" })
	registerThings(a.API)
	path := "/client/v4/accounts/" + ours + "/things"
	cross := []string{"Cookie: session=owner", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}
	refused(t, ask(t, a, "POST "+path, `{"name":"a"}`, cross...), 403, errs.CodeCrossOrigin, "")
	for _, headers := range [][]string{
		{"Cookie: session=owner", "Sec-Fetch-Site: same-origin"},
		{"Cookie: session=owner", "Sec-Fetch-Site: cross-site", "Origin: https://belfry.example"},
		// a token is not sent by the browser itself
		{as("owner"), "Sec-Fetch-Site: cross-site", "Origin: https://other.example"},
	} {
		if w := ask(t, a, "POST "+path, `{"name":"a"}`, headers...); w.Code != 201 {
			t.Errorf("%v: %d %s", headers, w.Code, w.Body)
		}
	}
	if w := ask(t, a, "GET "+path, "", cross...); w.Code != 200 {
		t.Errorf("reading: %d", w.Code)
	}
}

func TestTheClientsAddressComesFromTrustedProxiesOnly(t *testing.T) {
	a := newAPI(t)
	web.Get(a.API, web.Op{
		Path:    "/address",
		ID:      "get-address",
		Tag:     "T",
		Summary: "S",
		Public:  true,
	}, func(ctx context.Context, _ *struct{}) (string, error) {
		return web.ClientAddr(ctx).String(), nil
	})
	// The SDKs' middleware follows the same vectors; the API of the tests trusts
	// the same proxies.
	text, err := os.ReadFile("../../../sdk/vectors/forwarded.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Cases []struct{ Name, Remote, Forwarded, Want string }
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors.Cases) == 0 {
		t.Fatalf("%v, %d cases", err, len(vectors.Cases))
	}
	for _, c := range vectors.Cases {
		w := ask(t, a, "GET /client/v4/address", "", "Remote: "+c.Remote, "X-Forwarded-For: "+c.Forwarded)
		if got := string(decode(t, w).Result); got != `"`+c.Want+`"` {
			t.Errorf("%s: %s via %q: %s, want %s", c.Name, c.Remote, c.Forwarded, got, c.Want)
		}
	}
}

func TestAProxyThatIsNotNamedIsWarnedOfOnce(t *testing.T) {
	a := newAPI(t)
	for range 3 {
		ask(t, a, "GET /client/v4/capabilities", "", "Remote: 192.0.2.1:5", "X-Forwarded-For: 203.0.113.9")
		ask(t, a, "GET /client/v4/capabilities", "", "Remote: 10.0.0.1:5", "X-Forwarded-For: 203.0.113.9")
		ask(t, a, "GET /client/v4/capabilities", "", "Remote: 192.0.2.2:5")
	}
	if n := strings.Count(a.log(), "X-Forwarded-For is ignored"); n != 1 || !strings.Contains(a.log(), "peer=192.0.2.1") {
		t.Fatalf("%d warnings: %s", n, a.log())
	}
}

func TestARequestIDIsTakenFromTrustedProxiesOnly(t *testing.T) {
	a := newAPI(t)
	for _, c := range []struct {
		remote, id string
		kept       bool
	}{
		{"10.0.0.1:5", "abc-1", true}, {"192.0.2.1:5", "abc-1", false},
		{"10.0.0.1:5", "a b", false}, {"10.0.0.1:5", strings.Repeat("a", 65), false}, {"10.0.0.1:5", "", false},
	} {
		got := ask(t, a, "GET /client/v4/none", "", "Remote: "+c.remote, "X-Request-Id: "+c.id).Header().Get("X-Request-Id")
		if (got == c.id) != c.kept || got == "" {
			t.Errorf("%+v: %q", c, got)
		}
	}
	ask(t, a, "GET /client/v4/none", "", "Remote: 10.0.0.1:5", "X-Request-Id: seen-in-log")
	if !strings.Contains(a.log(), "request_id=seen-in-log") {
		t.Fatal("the log line lacks the request's id")
	}
}

func TestTooManyRequestsOfOneCredentialAreToldToWait(t *testing.T) {
	a := newAPI(t, func(c *web.Config, _ *web.Deps) {
		c.Rate = web.Rate{PerSecond: 0.5, Burst: 3}
		c.Failures = web.Rate{PerSecond: 0.5, Burst: 2}
	})
	registerThings(a.API)
	path := "GET /client/v4/accounts/" + ours + "/things"
	for range 3 {
		if w := ask(t, a, path, "", as("reader")); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	w := ask(t, a, path, "", as("reader"))
	refused(t, w, 429, errs.CodeRateLimited, "")
	if w.Header().Get("Retry-After") != "2" {
		t.Fatalf("Retry-After %q", w.Header().Get("Retry-After"))
	}
	if w := ask(t, a, path, "", as("owner")); w.Code != 200 {
		t.Fatalf("another credential: %d", w.Code)
	}
	for i := range 3 {
		w := ask(t, a, path, "", as(fmt.Sprint("guess", i)), "Remote: 203.0.113.7:1")
		if want := []int{401, 401, 429}[i]; w.Code != want {
			t.Fatalf("guess %d: %d", i, w.Code)
		}
	}
	if w := ask(t, a, path, "", as("guess"), "Remote: 203.0.113.8:1"); w.Code != 401 {
		t.Fatalf("another address: %d", w.Code)
	}
}

func TestOldClientsHeadersAreIgnoredAndOddCredentialsRefused(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	path := "GET /client/v4/accounts/" + ours + "/things"
	if w := ask(t, a, path, "", as("reader"), "X-Auth-Key: k", "X-Auth-Email: e@example.com"); w.Code != 200 {
		t.Fatal(w.Code)
	}
	for _, header := range []string{"Authorization: Basic cmVhZGVyOng=",
		"Authorization: reader", "Authorization: Bearer ", "X-Auth-Key: reader"} {
		w := ask(t, a, path, "", header)
		refused(t, w, 401, errs.CodeAuthentication, "")
		if w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("X-Should-Retry") != "false" {
			t.Errorf("%v", w.Header())
		}
	}
}

func TestAFullServerSaysWhenToComeBackAndStillAnswersProbes(t *testing.T) {
	a := newAPI(t, func(c *web.Config, _ *web.Deps) { c.MaxRequests = 1 })
	entered, leave := make(chan struct{}), make(chan struct{})
	web.Get(a.API, web.Op{
		Path:    "/slow",
		ID:      "get-slow",
		Tag:     "T",
		Summary: "S",
		Public:  true,
	}, func(context.Context, *struct{}) (web.None, error) {
		close(entered)
		<-leave
		return web.None{}, nil
	})
	done := make(chan int)
	go func() { done <- ask(t, a, "GET /client/v4/slow", "").Code }()
	<-entered
	w := ask(t, a, "GET /client/v4/capabilities", "")
	refused(t, w, 503, errs.CodeUnavailable, "")
	if w.Header().Get("Retry-After") != "1" {
		t.Fatalf("%v", w.Header())
	}
	if w := ask(t, a, "GET /healthz", ""); w.Code != 200 {
		t.Fatalf("healthz: %d", w.Code)
	}
	close(leave)
	if code := <-done; code != 200 {
		t.Fatal(code)
	}
	if w := ask(t, a, "GET /client/v4/capabilities", ""); w.Code != 200 {
		t.Fatalf("afterwards: %d", w.Code)
	}
}

func TestPagesIdentifyTheirVisitorByTheSameRules(t *testing.T) {
	a := newAPI(t)
	a.Mount("POST /page", false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.Identify(r)
		if err != nil {
			http.Error(w, err.Error(), errs.KindOf(err).Status())
			return
		}
		fmt.Fprint(w, p.ID)
	}))
	if w := ask(t, a, "POST /page", "", "Cookie: session=owner",
		"Sec-Fetch-Site: same-origin"); w.Body.String() != "owner" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, a, "POST /page", "", "Cookie: session=owner", "Sec-Fetch-Site: cross-site"); w.Code != 403 {
		t.Fatal(w.Code)
	}
	if w := ask(t, a, "POST /page", ""); w.Code != 401 {
		t.Fatal(w.Code)
	}
	a.NotFoundPage(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		fmt.Fprint(w,
			"page")
	}))
	if w := ask(t, a, "GET /nowhere", "", "Accept: text/html"); w.Body.String() != "page" {
		t.Fatal(w.Body)
	}
	refused(t, ask(t, a, "GET /nowhere", ""), 404, errs.CodeNoRoute, "")
	refused(t, ask(t, a, "GET /client/v4/nowhere", "", "Accept: text/html"), 404, errs.CodeNoRoute, "")
}
