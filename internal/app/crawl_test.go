package app_test

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	pages "github.com/belfryhq/belfry/test/site"
)

// The crawl opens every page that a role can reach by links and forms, in an
// account that is full and in one that is empty. Two addresses that differ in
// ids only are one shape; of each shape one is opened, and two with
// BELFRY_TEST_ALL=1.
const (
	maxFilters = 1    // filters that are combined in one address
	maxPages   = 4000 // of one role: the crawl must end
)

// crawlers are the roles that see the least and the most of an account, and the operator; all with BELFRY_TEST_ALL=1.
func crawlers() []string {
	if os.Getenv("BELFRY_TEST_ALL") == "1" {
		return crawlRoles
	}
	return []string{"auditor", "owner", staffRole}
}

func perShape() int {
	if os.Getenv("BELFRY_TEST_ALL") == "1" {
		return 2
	}
	return 1
}

var (
	hexID      = regexp.MustCompile(`^[0-9a-f]{32}$`)
	reloaded   = regexp.MustCompile(`\shx-get="([^"]*)"`)
	switcher   = regexp.MustCompile(`(?s)<details class="menu whose">.*?</details>`)
	identified = regexp.MustCompile(`\sid="([^"]*)"`)
)

// ends are forms that end something: they are sent last, by one role.
var ends = regexp.MustCompile(`/(delete|remove|revoke|end|rotate|sign-out|transfer|close)$`)

// bareIDs are pages on which a link may show an id, with the reason.
var bareIDs = map[string]string{}

// crawl is one person's way through the pages.
type crawl struct {
	*visitor
	t     *testing.T
	role  string
	last  string // the account that was looked at last
	seen  map[string]int
	queue []step
	posts map[string]step
	pages int
}

// step is an address and the page that names it.
type step struct {
	method, target, from string
	fields               url.Values
}

func TestNoLinkOrFormOfAnyPageLeadsNowhere(t *testing.T) {
	t.Parallel()
	s := newCrawled(t)
	crawls := map[string]*crawl{}
	for _, role := range crawlers() {
		c := &crawl{visitor: s.signIn(crawlEmail(role)), t: t, role: role, seen: map[string]int{}, posts: map[string]step{}}
		crawls[role] = c
		for _, account := range []string{s.bare, s.full} {
			c.walk("/accounts/"+account, account)
		}
		if role == staffRole {
			c.walk("/console", "")
		}
		c.send(func(target string) bool { return !ends.MatchString(target) })
		t.Logf("%s: %d pages of %d shapes, %d forms", role, c.pages, len(c.seen), len(c.posts))
		if c.pages >= maxPages {
			t.Errorf("%s: the crawl did not end within %d pages", role, maxPages)
		}
	}
	// What ends something is sent by the owner for the account, by the operator for
	// the console; what was deleted with something else is gone.
	signOut := func(target string) bool { return strings.HasSuffix(target, "/sign-out") }
	for role, prefix := range map[string]string{"owner": "/accounts/", staffRole: "/console/"} {
		for _, last := range []string{"rotate", "revoke", "remove", "delete"} {
			crawls[role].send(func(target string) bool {
				return strings.HasPrefix(target, prefix) && strings.HasSuffix(target, last)
			})
		}
		crawls[role].send(signOut)
	}
	for _, line := range strings.Split(s.log.String(), "\n") {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, `"ERROR"`) {
			t.Errorf("the server logged %s", line)
		}
	}
}

// walk follows everything from a page on. account is the one that its links
// must not leave; "" is the console, whose links lead everywhere.
func (c *crawl) walk(start, account string) {
	c.last = account
	c.queue = append(c.queue, step{method: "GET", target: start, from: "the start"})
	if account != "" {
		c.queue = append(c.queue, step{method: "GET", target: "/profile", from: "the start"})
	}
	for len(c.queue) > 0 && c.pages < maxPages {
		next := c.queue[0]
		c.queue = c.queue[1:]
		c.visit(next)
	}
}

func (c *crawl) visit(at step) {
	u, err := url.Parse(at.target)
	if err != nil {
		c.t.Errorf("%s: %s names %q, which is no address", c.role, at.from, at.target)
		return
	}
	c.pages++
	p := c.open(u)
	switch {
	case p.Status >= 300 && p.Status < 400:
		c.found(u, p.Location, at.from)
		return
	case p.Status != http.StatusOK:
		c.t.Errorf("%s: %s leads to %s: %d %s", c.role, at.from, at.target, p.Status, p.Text())
		return
	}
	if !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
		return
	}
	c.hasPart(p.Body, u, at.from)
	if strings.HasPrefix(u.Path, "/docs") {
		return // the tests of the reference follow the links among its pages
	}
	c.read(u, p.Body)
}

// hasPart fails when an address names a part of a page that the page lacks.
func (c *crawl) hasPart(body string, u *url.URL, from string) {
	named := func(m []string) bool { return m[1] == u.Fragment }
	if u.Fragment != "" && !slices.ContainsFunc(identified.FindAllStringSubmatch(body, -1), named) {
		c.t.Errorf("%s: %s leads to %s, which has no such part", c.role, from, u)
	}
}

// open gets a page. A stream is left as soon as it has begun.
func (c *crawl) open(u *url.URL) *pages.Page {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", c.url+u.RequestURI(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	res, err := c.Client().Do(r)
	if err != nil {
		c.t.Fatalf("%s: %v", u, err)
	}
	defer res.Body.Close()
	var b []byte
	if res.Header.Get("Content-Type") != "text/event-stream" {
		if b, err = io.ReadAll(res.Body); err != nil {
			c.t.Fatalf("%s: %v", u, err)
		}
	}
	return &pages.Page{
		Status:   res.StatusCode,
		Location: res.Header.Get("Location"),
		Header:   res.Header,
		Body:     string(b),
	}
}

// read finds the links and forms of a page.
func (c *crawl) read(at *url.URL, body string) {
	inside := switcher.ReplaceAllString(body, "")
	if at.Path == "/profile" { // it lists the accounts of the person
		inside, _, _ = strings.Cut(inside, "<main")
	}
	for _, link := range pages.LinksOf(inside) {
		if part, ok := strings.CutPrefix(link.Href, "#"); ok {
			c.hasPart(body, &url.URL{Path: at.Path, Fragment: part}, at.String())
		} else {
			c.found(at, link.Href, at.String())
		}
		if hexID.MatchString(link.Text) && bareIDs[shapeOf(at)] == "" {
			c.t.Errorf("%s: on %s a link is called %s: a person reads names", c.role, at, link.Text)
		}
	}
	for _, m := range reloaded.FindAllStringSubmatch(inside, -1) {
		c.found(at, html.UnescapeString(m[1]), at.String())
	}
	for _, f := range pages.FormsOf(inside) {
		action := f.Action
		if action == "" {
			action = at.RequestURI()
		}
		if f.Post {
			c.within(at, action)
			if u, err := at.Parse(action); err == nil && c.posts[shapeOf(u)].target == "" {
				c.posts[shapeOf(u)] = step{"POST", u.RequestURI(), at.String(), f.Fields}
			}
			continue
		}
		to, query, _ := strings.Cut(action, "?")
		if query != "" && len(f.Fields) == 0 {
			to = action
		} else if len(f.Fields) > 0 {
			to += "?" + f.Fields.Encode()
		}
		c.found(at, to, at.String())
	}
}

// found queues an address unless enough of its shape were opened.
func (c *crawl) found(at *url.URL, ref, from string) {
	u, err := at.Parse(ref)
	if err != nil || ref == "" {
		c.t.Errorf("%s: %s names %q, which is no address", c.role, from, ref)
		return
	}
	if u.Host != "" && !strings.HasSuffix(c.url, u.Host) || u.Scheme != "" && u.Scheme != "http" {
		return // another site
	}
	if !c.within(at, u.Path) {
		return
	}
	filters := 0
	for name := range u.Query() {
		if !slices.Contains([]string{"since", "before", "event", "tab", "verify", "cursor", "views", "range", "state",
			"next"}, name) {
			filters++
		}
	}
	combined := len(u.Query())
	if at.Path != u.Path { // another page names what it combines; a list adds to its own
		combined--
	}
	shape := shapeOf(u)
	if filters > maxFilters || filters > 0 && combined > maxFilters || c.seen[shape] >= perShape() ||
		c.last != "" && strings.HasPrefix(u.Path, "/console") {
		return
	}
	c.seen[shape]++
	c.queue = append(c.queue, step{method: "GET", target: u.RequestURI() + fragmentOf(u), from: from})
}

func fragmentOf(u *url.URL) string {
	if u.Fragment == "" {
		return ""
	}
	return "#" + u.Fragment
}

// within reports whether a path stays in the account that one is in, and fails
// where it does not. The menu that switches the account is left out before.
func (c *crawl) within(at *url.URL, path string) bool {
	ofAccount := strings.HasPrefix(at.Path, "/accounts/") || at.Path == "/profile"
	if c.last == "" || !ofAccount {
		return true
	}
	rest, ok := strings.CutPrefix(path, "/accounts/")
	if !ok {
		rest, ok = strings.CutPrefix(path, "/client/v4/accounts/")
	}
	account, _, _ := strings.Cut(rest, "/")
	account, _, _ = strings.Cut(account, "?")
	switch {
	case ok && account != c.last:
		c.t.Errorf("%s: in the account %s the page %s leads to another: %s", c.role, c.last, at, path)
		return false
	case path == "/":
		c.t.Errorf("%s: the page %s leads to /, which chooses an account by itself", c.role, at)
	}
	return true
}

// send sends the forms that were found as the page shows them. They may be
// refused for what is missing in them, but they must lead somewhere.
func (c *crawl) send(which func(target string) bool) {
	shapes := make([]string, 0, len(c.posts))
	for shape := range c.posts {
		shapes = append(shapes, shape)
	}
	slices.Sort(shapes)
	for _, shape := range shapes {
		at := c.posts[shape]
		if !which(at.target) {
			continue
		}
		r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.url+at.target, strings.NewReader(at.fields.Encode()))
		if err != nil {
			c.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Origin", c.url)
		res, err := c.Client().Do(r)
		if err != nil {
			c.t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			c.t.Fatal(err)
		}
		switch res.StatusCode {
		case http.StatusOK, http.StatusSeeOther, http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
		default:
			shown := (&pages.Page{Body: string(b)}).Text()
			c.t.Errorf("%s: the form of %s to %s answers %d: %s", c.role, at.from, at.target, res.StatusCode, shown)
		}
	}
}

// shapeOf is an address without its ids and values; what chooses a view stays.
func shapeOf(u *url.URL) string {
	var parts []string
	for i, s := range strings.Split(u.Path, "/") {
		before := ""
		if i > 0 {
			before = strings.Split(u.Path, "/")[i-1]
		}
		if hexID.MatchString(s) && before != "accounts" || before == "events" || before == "history" && i > 3 ||
			before == "errors" {
			s = "{id}"
		}
		parts = append(parts, s)
	}
	var names []string
	for name, values := range u.Query() {
		if slices.Contains([]string{"tab", "state", "range", "views", "verify"}, name) {
			name += "=" + values[0]
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(parts, "/") + "?" + strings.Join(names, "&") + fragmentOf(u)
}

func TestAnErrorsPageKeepsTheAccountOneIsIn(t *testing.T) {
	s := newSite(t)
	alpha, zeta := s.account("Alpha"), s.account("Zeta")
	s.call("POST", "/accounts/"+alpha+"/members", object{"email": "ana@acme.example", "name": "Ana", "role": "owner"})
	v := s.member(zeta, "ana@acme.example", "owner")
	if p := v.Get("/"); p.Location != "/accounts/"+alpha {
		t.Errorf("the first visit begins at %s, not in the first account by name", p.Location)
	}
	v.Get("/accounts/" + zeta)
	for _, path := range []string{"/profile", "/no/such/page", "/accounts/" + zeta + "/no/such/page"} {
		p := v.Get(path)
		p.Says(`class="brand" href="/accounts/`+zeta+`"`, `href="/accounts/`+zeta+`/members"`)
		p.Lacks(`href="/accounts/` + alpha + `/members"`)
	}
	if p := v.Get("/"); p.Location != "/accounts/"+zeta {
		t.Errorf("the mark leads to %s, not to the account that was used last", p.Location)
	}
	// The address counts before the memory; an account of others is not remembered as the last one.
	v.Get("/accounts/" + alpha + "/no/such/page").Says(`class="brand" href="/accounts/` + alpha + `"`)
	other := s.account("Other")
	v.Get("/profile", "Cookie", "belfry_last_place="+other).Lacks("/accounts/" + other)
	stranger := fmt.Sprintf("/accounts/%s/members", other)
	v.Get(stranger).Lacks(`href="/accounts/` + other)
}
