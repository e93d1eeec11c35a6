package account_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Headers of a browser, of a page of this server and of another site.
const (
	sameOrigin = "Sec-Fetch-Site: same-origin"
	crossSite  = "Sec-Fetch-Site: cross-site"
)

func TestOfTwentyWhoUseALinkAtOnceOneSignsIn(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		path, err := f.accounts.NewLoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		answers := make(chan int, 20)
		for range cap(answers) {
			go func() { answers <- f.form("192.0.2.1", "", "link", secretOf(path)).Status }()
		}
		count := map[int]int{}
		for range cap(answers) {
			count[<-answers]++
		}
		if count[200] != 1 || count[401] != 19 {
			t.Fatal(count)
		}
	})
}

func TestALinkIsGoodForAQuarterOfAnHour(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		link := func() string {
			path, err := f.accounts.NewLoginLink(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
		late := link()
		f.later(time.Second)
		early := link()
		f.later(account.LinkTime - time.Second)
		if got := f.form("192.0.2.1", "", "link", secretOf(late)); got.Status != 401 {
			t.Fatal(got.Status)
		}
		f.form("192.0.2.1", "", "link", secretOf(early)).ok()
		if _, err := f.accounts.NewLoginLink(t.Context(), "nobody@example.com"); !errs.Is(err, errs.CodeNotFound) {
			t.Fatal(err)
		}
	})
}

func TestTheFirstOperatorMayDoEverything(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		if has, err := f.accounts.HasOperators(t.Context()); has || err != nil {
			t.Fatal(has, err)
		}
		path, err := f.accounts.NewLoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		cookie := f.signIn(path)
		f.call(cookie, "POST", "/accounts", object{"name": "A"}, sameOrigin).ok()
		f.call(cookie, "POST", "/accounts", object{"name": "A"}, crossSite).fails(403, errs.CodeCrossOrigin)
		if has, err := f.accounts.HasOperators(t.Context()); !has || err != nil {
			t.Fatal(has, err)
		}
		if got := f.recorded(account.Installation, "session"); !slices.Equal(got, []string{"sign_in success"}) {
			t.Fatal(got)
		}
		e := f.outbox()[len(f.outbox())-1]
		if e.Actor.Type != "staff" || e.Interface != "UI" || e.Request == nil || e.Request.URI != "/client/v4/accounts" {
			t.Fatalf("%+v %+v", e.Actor, e.Request)
		}
	})
}

func TestASessionEndsIdleOrOldOrSignedOut(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		id, cookie := f.member(a, "ana@example.com", "viewer")
		alive := func() bool { return f.call(cookie, "GET", "/accounts", nil).Status == 200 }
		for range 60 { // used every 12 hours but a minute, for almost 30 days
			f.later(account.IdleTime - time.Minute)
			if !alive() {
				t.Fatal("a session that is used ended")
			}
			f.drained() // a process notes the use
		}
		f.later(2 * time.Hour)
		if alive() {
			t.Fatal("a session is older than 30 days")
		}
		link := func() string {
			return f.call(root, "POST", "/accounts/"+a+"/members/"+id+"/sign_in_link", nil).ok().text("url")
		}
		cookie = f.signIn(link())
		f.later(account.IdleTime)
		if alive() {
			t.Fatal("an idle session lives")
		}
		cookie = f.signIn(link())
		out := f.call(cookie, "POST", "/sign-out", nil, sameOrigin)
		if out.Status != 200 || len(out.Cookies) != 1 || out.Cookies[0].MaxAge >= 0 || alive() {
			t.Fatal(out.Status, out.Cookies)
		}
		want := []string{"sign_in success", "sign_in success", "sign_in success", "sign_out success"}
		if got := f.recorded(a, "session"); !slices.Equal(got, want) {
			t.Fatal(got)
		}
		if got := f.call(cookie, "POST", "/sign-out", nil, crossSite); got.Status != 403 {
			t.Fatal(got.Status)
		}
	})
}

// A page in an open tab asks for its parts again and again, while its visitor
// may be far away.
func TestWhatAnOpenPageAsksForByItselfKeepsNoSessionAlive(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		_, cookie := f.member(a, "ana@example.com", "viewer")
		refresh := func() int { return f.call(cookie, "GET", "/accounts", nil, "Belfry-Refresh: true").Status }
		f.later(account.IdleTime - time.Minute)
		if got := refresh(); got != 200 {
			t.Fatalf("a live session answers %d", got)
		}
		f.drained()
		f.later(time.Minute)
		if got := refresh(); got != 401 {
			t.Fatalf("the idle session lives on by the requests of an open page: %d", got)
		}
	})
}

func TestASignInReplacesTheSessionThatTheBrowserHad(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		_, eve := f.member(a, "eve@example.com", "viewer")
		path, err := f.accounts.NewLoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		fresh := f.form("192.0.2.9", eve, "link", secretOf(path)).ok().cookie()
		if fresh == eve {
			t.Fatal("the session id was kept")
		}
		f.call(eve, "GET", "/accounts", nil).fails(401, errs.CodeAuthentication)
		f.call(fresh, "GET", "/accounts", nil).ok()
	})
}

func TestAPersonSeesAndEndsTheirOwnSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		id, first := f.member(a, "ana@example.com", "viewer")
		_, other := f.member(a, "bob@example.com", "viewer")
		f.later(time.Second)
		second := f.signIn(f.call(root, "POST", "/accounts/"+a+"/members/"+id+"/sign_in_link", nil).ok().text("url"))
		list := f.call(second, "GET", "/user/sessions", nil).ok()
		if len(list.List) != 2 || list.List[0]["current"] != true || list.List[1]["current"] != false {
			t.Fatal(list.Body)
		}
		bob := f.call(other, "GET", "/user/sessions", nil).ok().List[0]["id"].(string)
		f.call(second, "DELETE", "/user/sessions/"+bob, nil, sameOrigin).fails(404, errs.CodeNotFound)
		f.call(second, "DELETE", "/user/sessions/"+list.List[1]["id"].(string), nil, sameOrigin).ok()
		f.call(first, "GET", "/accounts", nil).fails(401, errs.CodeAuthentication)
		f.call(second, "GET", "/accounts", nil).ok()
		_, token := f.token(a, "*")
		f.call(token, "GET", "/user/sessions", nil).fails(403, errs.CodeForbidden)
	})
}

func TestAPersonHasABoundedNumberOfSessionsAndLinks(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	a := f.account("A")
	id, oldest := f.member(a, "ana@example.com", "viewer")
	link := func() string {
		f.later(time.Minute) // also lets the limit of attempts recover
		return f.call(root, "POST", "/accounts/"+a+"/members/"+id+"/sign_in_link", nil).ok().text("url")
	}
	newest := ""
	for range account.MaxSessions {
		newest = f.signIn(link())
	}
	if got := f.call(newest, "GET", "/user/sessions", nil).ok(); len(got.List) != account.MaxSessions {
		t.Fatal(len(got.List))
	}
	f.call(oldest, "GET", "/accounts", nil).fails(401, errs.CodeAuthentication)
	first := link()
	for range account.MaxLinks {
		link()
	}
	if got := f.form("192.0.2.1", "", "link", secretOf(first)); got.Status != 401 {
		t.Fatal("more links wait than may")
	}
}

func TestAPasswordSignsInAndItsChangeEndsOtherSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		_, cookie := f.member(a, "ana@example.com", "viewer")
		put := func(as string, body object) *response { return f.call(as, "PUT", "/user/password", body, sameOrigin) }
		put(cookie, object{"password": "short"}).fails(400, errs.CodeOutOfRange)
		put(cookie, object{"password": "ana@example.com"}).fails(400, errs.CodeInvalid)
		put(cookie, object{"password": "first password"}).ok()
		second := f.form("192.0.2.9", "", "email", "ANA@example.com", "password", "first+password").ok().cookie()
		// A session by password needs the present one; the one by link is fresh.
		put(second, object{"password": "second password"}).fails(403, errs.CodeForbidden)
		put(second, object{"current": "first password", "password": "second password"}).ok()
		f.call(cookie, "GET", "/accounts", nil).fails(401, errs.CodeAuthentication)
		f.call(second, "GET", "/accounts", nil).ok()
		if got := f.form("192.0.2.9", "", "email", "ana@example.com", "password", "first+password"); got.Status != 401 {
			t.Fatal(got.Status)
		}
		for _, e := range f.outbox() {
			if s := string(e.Before) + string(e.After); strings.Contains(s, "argon2") || strings.Contains(s, "password\"") {
				t.Fatalf("a secret is in the record: %s", s)
			}
		}
	})
}

func TestAnUnknownAddressIsNotToldFromAWrongPassword(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	a := f.account("A")
	_, cookie := f.member(a, "ana@example.com", "viewer")
	f.call(cookie, "PUT", "/user/password", object{"password": "the password"}, sameOrigin).ok()
	f.member(a, "bare@example.com", "viewer") // has no password
	bodies := map[string]string{}
	for _, email := range []string{"ana@example.com", "nobody@example.com", "bare@example.com"} {
		// A clock would measure the machine. Argon2 is made of memory: whoever
		// was hashed for has cost its working memory, and nobody else.
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := f.form("192.0.2.1", "", "email", email, "password", "wrong+password")
		runtime.ReadMemStats(&after)
		if bodies[email] = got.Body; got.Status != 401 || got.Body != bodies["ana@example.com"] {
			t.Errorf("%s: %d %q; a wrong password: %q", email, got.Status, got.Body, bodies["ana@example.com"])
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost < hashingMemory {
			t.Errorf("%s: no password was hashed (%d bytes were used)", email, cost)
		}
	}
}

// hashingMemory is the least that one hashing of a password uses: 19 MiB
// (OWASP's smallest argon2id).
const hashingMemory = 19 << 20

func TestAttemptsToSignInAreLimited(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	count := map[int]int{}
	for range 10 {
		count[f.form("192.0.2.1", "", "email", "ana@example.com", "password", "wrong+password").Status]++
	}
	if count[401] != 6 || count[429] != 4 {
		t.Fatal(count)
	}
	if got := f.form("192.0.2.2", "", "email", "ana@example.com", "password", "wrong+password"); got.Status != 401 {
		t.Fatal("a stranger locks a person out at another address:", got.Status)
	}
	f.later(time.Minute)
	if got := f.form("192.0.2.1", "", "email", "ana@example.com", "password", "wrong+password"); got.Status != 401 {
		t.Fatal(got.Status)
	}
	count = map[int]int{}
	for range 40 { // links, from a subscriber who changes the address
		count[f.form("[2001:db8::"+string(rune('a'+len(count)))+"]", "", "link", strings.Repeat("a", 52)).Status]++
	}
	if count[401] != 30 || count[429] != 10 {
		t.Fatal(count)
	}
}

func TestASignInFromAnotherSiteIsRefused(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	path, err := f.accounts.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	body := "link=" + secretOf(path)
	form := "Content-Type: application/x-www-form-urlencoded"
	if got := f.call("", "POST", "/sign-in", body, form, crossSite); got.Status != 403 {
		t.Fatal(got.Status)
	}
	f.call("", "POST", "/sign-in", body, form, sameOrigin).ok()
}

func TestFailedSignInsOfAPersonAreRecordedTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		f.member(a, "ana@example.com", "viewer")
		for range 3 {
			f.form("192.0.2.1", "", "email", "ana@example.com", "password", "wrong+password")
			f.form("192.0.2.1", "", "email", "nobody@example.com", "password", "wrong+password")
		}
		f.drained()
		var failures []event.Audit
		for _, e := range f.outbox() {
			if e.Action.Result == "failure" {
				failures = append(failures, e)
			}
		}
		in := map[string]bool{}
		for _, e := range failures {
			in[e.Account] = true
			if e.Metadata["count"] != 3.0 || e.Actor.Email != "ana@example.com" || e.Actor.IPAddress != "192.0.2.1" {
				t.Errorf("%+v", e)
			}
		}
		if len(failures) != 2 || !in[a] || !in[account.Installation] {
			t.Fatalf("%+v", failures)
		}
	})
}

func TestCookiesAreBoundToTheHostAndHiddenFromScripts(t *testing.T) {
	for _, secure := range []bool{false, true} {
		f := newFixture(t, db.Config{DataDir: t.TempDir()}, func(c *account.Config) { c.Secure = secure })
		a := f.account("A")
		path, err := f.accounts.NewLoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		own := session(t, f.form("192.0.2.1", "", "link", secretOf(path)).ok())
		url := f.call(root, "POST", "/accounts/"+a+"/portal_sessions", object{
			"member": object{"id": "1"},
			"role":   "viewer",
		}).ok().text("url")
		framed := session(t, f.form("192.0.2.1", "", "link", secretOf(url)).ok())
		for _, c := range []*http.Cookie{own, framed} {
			if !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.Secure != secure ||
				strings.HasPrefix(c.Name, "__Host-") != secure {
				t.Errorf("%v", c)
			}
		}
		if own.SameSite != http.SameSiteLaxMode || own.MaxAge != 30*24*3600 || framed.MaxAge != 3600 ||
			own.Name == framed.Name {
			t.Errorf("%v\n%v", own, framed)
		}
		if (framed.SameSite == http.SameSiteNoneMode && framed.Partitioned) != secure {
			t.Errorf("%v", framed)
		}
	}
}

func session(t *testing.T, a *response) *http.Cookie {
	t.Helper()
	for _, c := range a.Cookies {
		if c.Value != "" {
			return c
		}
	}
	t.Fatal("no session")
	return nil
}

func TestABearerTokenCountsBeforeACookie(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	a := f.account("A")
	_, cookie := f.member(a, "ana@example.com", "owner")
	_, token := f.token(a, "audit:read")
	f.call(token, "GET", "/accounts/"+a, nil, "Cookie: "+cookie).fails(403, errs.CodeForbidden)
	r := httptest.NewRequest("GET", "/", nil)
	if who, err := f.accounts.Authenticate(t.Context(), r); who != nil || err != nil {
		t.Fatal(who, err)
	}
}
