package pages_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/site"
)

// shown is a page of the walk.
type shown struct {
	name string // of files: "objectives-id"
	path string // with its query
	who  string // the person who looks at it; "" = not signed in
}

// kindOfQuery are the parameters that choose what a page shows, as another page would. Others filter or sort a list.
var kindOfQuery = []string{"tab", "state", "verify", "event", "kind"}

// notPages are registered paths that are no page of their own, with the reason. A path that a crawl does not reach and
// that is not here fails the walk.
var notPages = map[string]string{
	"/{$}": "leads on",
}

// crawler follows the links of a person's pages, and keeps the first page of each kind.
type crawler struct {
	i     *installation
	v     *site.Visitor
	who   string
	empty bool // the account without anything
	seen  map[string]bool
	queue []string
	list  []shown
}

var (
	anID      = regexp.MustCompile(`^([0-9a-f]{32}|.*@.*)$`)
	anAccount = regexp.MustCompile(`^/accounts/[0-9a-f]{32}`)
)

// nameOf is the name of a page's kind, and whether the page is one of an account that is looked at.
func (c *crawler) nameOf(u *url.URL) string {
	path := u.Path
	prefix := ""
	if strings.HasPrefix(path, "/accounts/") {
		prefix = "account"
		if c.empty {
			prefix = "empty"
		}
		path = anAccount.ReplaceAllString(path, "")
	}
	parts := []string{}
	if prefix != "" {
		parts = append(parts, prefix)
	}
	before := ""
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		if part == "" {
			continue
		}
		if anID.MatchString(part) || before == "events" || before == "errors" {
			part = "id"
		}
		parts = append(parts, part)
		before = part
	}
	for _, key := range kindOfQuery {
		value := u.Query().Get(key)
		switch {
		case value == "":
		case key == "event":
			parts = append(parts, "event")
		default:
			parts = append(parts, key, value)
		}
	}
	return strings.Join(parts, "-")
}

// walk follows the links from some pages on.
func (c *crawler) walk(starts ...string) {
	c.queue = append(c.queue, starts...)
	for len(c.queue) > 0 {
		next := c.queue[0]
		c.queue = c.queue[1:]
		u, err := url.Parse(next)
		if err != nil {
			c.i.t.Fatal(err)
		}
		name := c.nameOf(u)
		if c.seen[name] {
			continue
		}
		c.seen[name] = true
		p := c.v.Get(next)
		if p.Status >= 300 && p.Status < 400 {
			c.follow(u, p.Location)
			continue
		}
		if p.Status != http.StatusOK || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			continue // the crawl of package app looks for links that lead nowhere
		}
		c.list = append(c.list, shown{name, next, c.who})
		if strings.HasPrefix(u.Path, "/docs/") {
			continue // the start page has one of each kind
		}
		for _, link := range site.LinksOf(p.Body) {
			c.follow(u, link.Href)
		}
	}
}

func (c *crawler) follow(at *url.URL, href string) {
	u, err := at.Parse(href)
	if err != nil || u.Host != "" || strings.HasPrefix(u.Path, "/client/") {
		return
	}
	account, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/accounts/"), "/")
	ofAccount := strings.HasPrefix(u.Path, "/accounts/")
	switch {
	case c.who == operator && ofAccount, ofAccount && c.empty != (account == c.i.bare):
		return
	case c.empty && !ofAccount, strings.HasPrefix(at.Path, "/docs/"):
		return
	}
	query := url.Values{}
	for _, key := range kindOfQuery {
		if u.Query().Has(key) {
			query.Set(key, u.Query().Get(key))
		}
	}
	for key := range u.Query() {
		if key == "resource_product" || key == "resource_type" || key == "resource_id" {
			query = u.Query() // the history of an object is named by them
		}
	}
	u.RawQuery = query.Encode()
	c.queue = append(c.queue, u.RequestURI())
}

// pagesOf lists a page of each kind that links lead to: as the owner of an account, as an operator, and as a stranger.
func (i *installation) pages() []shown {
	var list []shown
	crawl := func(who string, empty bool, v *site.Visitor, starts ...string) {
		c := &crawler{i: i, v: v, who: who, empty: empty, seen: map[string]bool{}}
		c.walk(starts...)
		list = append(list, c.list...)
	}
	ana := i.signIn(owner)
	crawl(owner, false, ana, "/accounts/"+i.full, "/profile", "/docs")
	crawl(owner, true, ana, "/accounts/"+i.bare)
	crawl(operator, false, i.signIn(operator), "/console/accounts", "/console/system")
	crawl("", false, site.NewVisitor(i.t, i.url), "/sign-in")
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(p shown) bool {
		again := seen[p.name]
		seen[p.name] = true
		return again
	})
}

func TestList(t *testing.T) {
	i := install(t)
	for _, p := range i.pages() {
		t.Log(p.name, p.path)
	}
	for _, m := range i.app.API.Mounts() {
		t.Log(m)
	}
}
