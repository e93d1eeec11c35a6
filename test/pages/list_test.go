package pages_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/test/site"
)

// shown is a page of the walk.
type shown struct {
	name string // of its files: "alerts-id"
	path string // with its query
	who  string // the person who looks at it; "" = not signed in
}

// unlinked are registered paths that are not among the walk's pages, with the reason. The walk fails for a path that
// no link leads to and that is not here, so that a new page is in the walk or its absence is explained.
var unlinked = map[string]string{
	"/{$}":     "leads on to an account or to the console",
	"/console": "leads on to the first page of the console",

	"/accounts/{account_id}/firing":                         "a part of pages",
	"/accounts/{account_id}/objectives/new/parts/{zone_id}": "a part of a form",

	"/accounts/{account_id}/find":    "the suggestions of pickers",
	"/accounts/{account_id}/palette": "the suggestions of the palette",
	"/console/find":                  "the suggestions of pickers",
	"/console/palette":               "the suggestions of the palette",

	"/sign-out":        "is shown to who opens the form's address",
	"/confirm-address": "is opened by a link in a mail",
	"/acknowledge":     "is opened by a link in a message",
	"/invitations":     "is opened by who has invitations",
	"/assets/":         "files",
	"/openapi.json":    "a file",
	"/docs.md":         "a file",
	"/llms.txt":        "a file",

	"/console/status/subscribers/{subscriber_id}/delete": "is opened from the row of a subscriber",
	"/status.json":                                  "a document",
	"/status/history.rss":                           "a feed",
	"/status/history.atom":                          "a feed",
	"/status/api/v2/{name...}":                      "documents",
	"/status/subscriptions/{subscriber_id}":         "is opened by a link in a mail",
	"/status/subscriptions/{subscriber_id}/confirm": "is opened by a link in a mail",

	"/accounts/{account_id}/notifications/webhooks/{webhook_id}/replay/{job_id}": "is shown while a replay runs",

	"/accounts/{account_id}/views/{view_id}/delete":                   "is opened by a button in the menu of views",
	"/accounts/{account_id}/alerts/{alert_id}/notes/{note_id}/delete": "is opened from a note of a member",
	"/accounts/{account_id}/notifications/silences/{silence_id}/end":  "is opened from a silence that has not ended",
}

// views are the parameters that choose what a page shows, as another page would. Others filter or sort a list.
var views = []string{"tab", "verify", "event"}

// crawler follows links as one person. Of each pattern and view it opens the first pages, and keeps the one with the
// longest text.
type crawler struct {
	*installation
	visitor *site.Visitor
	who     string
	mux     *http.ServeMux      // of the registered patterns
	opened  map[string][]string // paths, by name
	longest map[string]int
	reached map[string]bool // patterns
	queue   []string
	list    []shown
}

// ofEach is the number of pages of one kind that are opened.
const ofEach = 6

// pages lists a page of each kind that links lead to: as the owner of an account, as an operator, and as a stranger;
// and the pages in the navigation of an account without anything.
func (i *installation) pages() []shown {
	i.t.Helper()
	c := &crawler{
		installation: i, mux: http.NewServeMux(), opened: map[string][]string{}, longest: map[string]int{},
		reached: map[string]bool{},
	}
	for _, m := range i.app.API.Mounts() {
		if strings.HasPrefix(m.Pattern, "GET ") && !m.Stream {
			c.mux.Handle(m.Pattern, http.NotFoundHandler())
		}
	}
	ana := i.visitors[owner]
	c.walk(owner, ana, "/accounts/"+i.full, "/profile", "/docs")
	c.walk(operator, i.visitors[operator], "/console")
	c.walk("", site.NewVisitor(i.t, i.url), "/sign-in", "/status")
	for _, m := range i.app.API.Mounts() {
		path, isGet := strings.CutPrefix(m.Pattern, "GET ")
		if isGet && !m.Stream && !c.reached[m.Pattern] && unlinked[path] == "" {
			i.t.Errorf("no link leads to %s: link to it from a page, or give the reason in unlinked", path)
		}
	}
	home := ana.Get("/accounts/" + i.bare).Expect(http.StatusOK)
	navigation, _, _ := strings.Cut(home.Body, "</nav>")
	for _, link := range site.LinksOf(navigation) {
		if strings.HasPrefix(link.Href, "/accounts/"+i.bare) {
			name := "empty-" + strings.TrimPrefix(c.nameOf(link.Href), "account-")
			if c.longest[name] == 0 {
				c.longest[name] = 1
				c.list = append(c.list, shown{name, link.Href, owner})
			}
		}
	}
	return c.list
}

// walk follows the links of a person's pages.
func (c *crawler) walk(who string, visitor *site.Visitor, starts ...string) {
	c.visitor = visitor
	c.who = who
	c.queue = starts
	for len(c.queue) > 0 {
		next := c.queue[0]
		c.queue = c.queue[1:]
		name := c.nameOf(next)
		if name == "" || len(c.opened[name]) == ofEach || slices.Contains(c.opened[name], next) {
			continue
		}
		c.opened[name] = append(c.opened[name], next)
		c.visit(name, next)
	}
}

func (c *crawler) visit(name, path string) {
	at, err := url.Parse(path)
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.visitor.Get(path)
	switch {
	case p.Status >= 300 && p.Status < 400:
		c.follow(at, p.Location)
		return
	case p.Status != http.StatusOK || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html"):
		return // the crawl of package app finds links that lead nowhere
	}
	c.reached[c.patternOf(at.Path)] = true
	c.keep(shown{name, path, c.who}, len(p.Text()))
	if strings.HasPrefix(at.Path, "/docs/") {
		return // the start page of the reference links to one of each kind
	}
	for _, link := range site.LinksOf(p.Body) {
		c.follow(at, link.Href)
	}
	for _, form := range site.FormsOf(p.Body) {
		if !form.Post && form.Action != "" && len(form.Fields) == 0 {
			c.follow(at, form.Action)
		}
	}
}

func (c *crawler) keep(p shown, length int) {
	before := c.longest[p.name]
	c.longest[p.name] = max(length, before)
	switch {
	case before == 0:
		c.list = append(c.list, p)
	case length > before:
		c.list[slices.IndexFunc(c.list, func(other shown) bool { return other.name == p.name })] = p
	}
}

// follow queues a link within the person's own pages, without what only filters or sorts.
func (c *crawler) follow(at *url.URL, href string) {
	u, err := at.Parse(href)
	if err != nil || u.Host != "" {
		return
	}
	if account, ok := strings.CutPrefix(u.Path, "/accounts/"); ok &&
		(c.who != owner || !strings.HasPrefix(account, c.full)) {
		return
	}
	query := u.Query()
	kept := url.Values{}
	for key := range query {
		if slices.Contains(views, key) || strings.HasPrefix(key, "resource_") && strings.HasSuffix(u.Path, "/history") {
			kept.Set(key, query.Get(key))
		}
	}
	u.RawQuery = kept.Encode()
	c.queue = append(c.queue, u.RequestURI())
}

func (c *crawler) patternOf(path string) string {
	_, pattern := c.mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	return pattern
}

var (
	inBraces = regexp.MustCompile(`\{(?:[a-z]+_)?([a-z]+)(?:\.\.\.)?\}`)
	notName  = regexp.MustCompile(`[^a-z0-9]+`)
)

// nameOf is the name of a page's kind: its pattern and its view. It is "" for what is not registered as a page.
func (c *crawler) nameOf(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return ""
	}
	pattern := strings.TrimPrefix(c.patternOf(u.Path), "GET ")
	if pattern == "" || unlinked[pattern] != "" && pattern != "/{$}" && pattern != "/console" {
		return ""
	}
	name := strings.Replace(pattern, "/accounts/{account_id}", "/account", 1)
	if rest, ok := strings.CutPrefix(u.Path, "/docs/"); ok { // one of each kind
		kind, _, deeper := strings.Cut(rest, "/")
		if !deeper {
			kind = "guide"
		}
		name = "/docs/" + kind
	}
	for _, key := range views {
		if value := u.Query().Get(key); value != "" {
			name += "/" + key
			if key != "event" {
				name += "/" + value
			}
		}
	}
	return strings.Trim(notName.ReplaceAllString(inBraces.ReplaceAllString(name, "$1"), "-"), "-")
}
