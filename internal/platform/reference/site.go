package reference

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// site has all pages, by address.
type site struct {
	templates *ui.Page
	url       string // of the server, for llms.txt
	groups    []*group
	guides    []*guidePage
	errors    []errorPage
	index     []entry
	pages     map[string]func() (*web.Static, error)
}

// view is the data of a whole page.
type view struct {
	Title    string
	Address  string // of the page; "" = none of its own
	Template string // of the body
	Data     any
	Group    string // slug of the group that is open in the navigation
	Wide     bool   // the body has a column of code

	Body   template.HTML
	Guides []*guidePage
	Groups []*group
	Query  string // what was searched for
}

// Markdown is the address of the page's Markdown.
func (v view) Markdown() string {
	if v.Address == "" {
		return ""
	}
	return v.Address + ".md"
}

// errorPage is the page of an error code.
type errorPage struct {
	errs.Entry
	Status int
	Retry  bool
	Ops    []*Op // that list the code beyond what all operations can answer
}

// home is the data of the first page.
type home struct {
	Groups   []*group
	Guides   []*guidePage
	Ops      int
	Setup    codeBlock // the variables of all samples
	Envelope codeBlock
}

const envelope = `{
  "success": false,
  "errors": [
    {
      "code": 1103,
      "message": "action.type is required",
      "documentation_url": "URL/docs/errors/1103",
      "source": {"pointer": "/action/type"}
    }
  ],
  "messages": [],
  "result": null
}`

func (s *site) home(ops int) home {
	url := cmp.Or(s.url, "http://127.0.0.1:8080")
	setup := "export BELFRY_URL=" + url + "\nexport BELFRY_ACCOUNT=ext:acme   # an account's id, or ext: and yours\n" +
		"export BELFRY_TOKEN=...           # a token of the account\n\n" +
		`curl "$BELFRY_URL/client/v4/user/tokens/verify" \` + "\n" + `  -H "Authorization: Bearer $BELFRY_TOKEN"`
	return home{s.groups, s.guides, ops, codeBlock{"The variables of all samples", "sh", setup},
		codeBlock{"An error", "json", strings.ReplaceAll(envelope, "URL", url)}}
}

func (r *Reference) read() (*site, error) {
	text, err := r.cfg.API.OpenAPI()
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(text)
	if err != nil {
		return nil, err
	}
	s := &site{templates: r.pages, url: r.cfg.API.ExternalURL(), pages: map[string]func() (*web.Static, error){}}
	routes := r.cfg.API.Routes()
	ops, err := readOps(d, routes, r.cfg.Examples)
	if err != nil {
		return nil, err
	}
	if err := addSamples(ops, r.cfg.Samples); err != nil {
		return nil, err
	}
	if err := s.readGuides(r.cfg); err != nil {
		return nil, err
	}
	if err := s.group(r.cfg.Groups, d, ops); err != nil {
		return nil, err
	}
	s.readErrors()
	s.chain()
	s.index = s.entries()
	s.add("/docs", view{Title: "Documentation", Template: "ref-home",
		Data: s.home(len(ops))}, s.homeMarkdown)
	s.addPages()
	s.addFile("/docs/search.json", "application/json", func() (string, error) {
		b, err := json.Marshal(s.index)
		return string(b), err
	})
	s.addFile("/llms.txt", "text/plain; charset=utf-8", func() (string, error) { return s.llms(), nil })
	return s, nil
}

// addSamples puts further samples after the first of their operation.
func addSamples(ops []*Op, more map[string][]Sample) error {
	left := maps.Clone(more)
	for _, op := range ops {
		if list := more[op.ID]; len(list) > 0 && len(op.Samples) > 0 {
			op.Samples = slices.Concat(op.Samples[:1], list, op.Samples[1:])
		}
		delete(left, op.ID)
	}
	for id := range left {
		return fmt.Errorf("reference: there is a sample of %s, which is no operation", id)
	}
	return nil
}

func (s *site) readGuides(cfg Config) error {
	g := guideReader{files: cfg.Files, root: cfg.Root, repository: cfg.Repository, served: map[string]string{},
		code: func(language, text string) (string, error) {
			return s.templates.HTML("ref-code", codeBlock{languageName(language), language, text})
		}}
	for _, guide := range cfg.Guides {
		g.served[guide.File] = "/docs/guide/" + guide.Name
	}
	for _, guide := range cfg.Guides {
		page, err := g.read(guide)
		if err != nil {
			return err
		}
		s.guides = append(s.guides, page)
	}
	return nil
}

// Href is the address of the guide.
func (g *guidePage) Href() string { return "/docs/guide/" + g.Name }

// Contents are the headings of the second and third level.
func (g *guidePage) Contents() []heading {
	return slices.DeleteFunc(slices.Clone(g.Headings), func(h heading) bool { return h.Level < 2 || h.Level > 3 })
}

// group sorts the operations into their groups.
func (s *site) group(known []Group, d *document, ops []*Op) error {
	byTag := map[string]*group{}
	add := func(g Group) *group {
		slug := strings.ToLower(strings.ReplaceAll(g.Title, " ", "-"))
		one := &group{Group: g, Slug: slug, Href: "/docs/api/" + slug}
		for _, guide := range s.guides {
			if guide.Name == g.Guide {
				one.GuideTitle, one.GuideHref = guide.Title, guide.Href()
			}
		}
		byTag[g.Tag] = one
		s.groups = append(s.groups, one)
		return one
	}
	for _, g := range known {
		add(g)
	}
	for _, op := range ops {
		tag := d.Paths[op.Path][strings.ToLower(op.Method)].Tags[0]
		g := byTag[tag]
		if g == nil {
			g = add(Group{Tag: tag, Title: tag})
		}
		op.Group = g
		g.Ops = append(g.Ops, op)
	}
	s.groups = slices.DeleteFunc(s.groups, func(g *group) bool { return len(g.Ops) == 0 })
	for _, op := range ops {
		for _, g := range s.groups {
			if op.Href == g.Href {
				return fmt.Errorf("reference: the operation %s has the address of a group", op.ID)
			}
		}
	}
	return nil
}

func (s *site) readErrors() {
	for _, e := range errs.Entries() {
		page := errorPage{Entry: e, Status: web.StatusOf(e.Code),
			Retry: e.Kind.Retryable() || e.Code == errs.CodeIdempotencyBusy}
		for _, g := range s.groups {
			for _, op := range g.Ops {
				if slices.ContainsFunc(op.Errors, func(r ErrorRef) bool { return r.Code == e.Code }) {
					page.Ops = append(page.Ops, op)
				}
			}
		}
		s.errors = append(s.errors, page)
	}
}

// Href is the address of the page.
func (e errorPage) Href() string { return "/docs/errors/" + strconv.Itoa(int(e.Code)) }

// Everywhere reports whether so many operations can answer the code that a list of
// them says nothing.
func (e errorPage) Everywhere() bool { return len(e.Ops) > 40 }

// chain gives each page the links to its neighbours.
func (s *site) chain() {
	var last **link
	var before *link
	next := func(here link, prev, after **link) {
		*prev = before
		if last != nil {
			*last = &here
		}
		before, last = &here, after
	}
	for _, g := range s.guides {
		next(link{g.Href(), g.Title}, &g.Prev, &g.Next)
	}
	for _, g := range s.groups {
		for _, op := range g.Ops {
			next(link{op.Href, op.Summary}, &op.Prev, &op.Next)
		}
	}
}

func (s *site) addPages() {
	for _, g := range s.guides {
		s.add(g.Href(), view{Title: g.Title, Template: "ref-guide", Data: g},
			func() string { return g.Markdown })
	}
	for _, g := range s.groups {
		s.add(g.Href, view{Title: g.Title, Template: "ref-group", Data: g, Group: g.Slug}, g.markdown)
		for _, op := range g.Ops {
			s.add(op.Href, view{Title: op.Summary, Template: "ref-operation", Data: op, Group: g.Slug, Wide: true}, op.markdown)
		}
	}
	s.add("/docs/errors", view{Title: "Error codes", Template: "ref-errors", Data: s.errors}, s.errorsMarkdown)
	for _, e := range s.errors {
		s.add(e.Href(), view{Title: fmt.Sprintf("%d: %s", e.Code, e.Title), Template: "ref-error", Data: e}, e.markdown)
	}
}

// add adds a page and its Markdown.
func (s *site) add(address string, v view, markdown func() string) {
	v.Address = address
	s.addFile(address, "text/html; charset=utf-8", func() (string, error) { return s.html(v) })
	s.addFile(address+".md", "text/markdown; charset=utf-8", func() (string, error) { return markdown(), nil })
}

func (s *site) addFile(address, contentType string, made func() (string, error)) {
	s.pages[address] = sync.OnceValues(func() (*web.Static, error) {
		text, err := made()
		return web.NewStatic(contentType, []byte(text)), err
	})
}

// html is the whole page.
func (s *site) html(v view) (string, error) {
	body, err := s.templates.HTML(v.Template, v.Data)
	if err != nil {
		return "", err
	}
	v.Body = template.HTML(body) //nolint:gosec // executed by html/template just now
	v.Guides, v.Groups = s.guides, s.groups
	return s.templates.HTML("reference", v)
}

// codeBlock is the data of the template "ref-code".
type codeBlock struct{ Label, Language, Text string }

// languageName is the name of a language for people.
func languageName(language string) string {
	switch language {
	case "sh":
		return "Shell"
	case "go", "nginx", "text", "python":
		return strings.ToUpper(language[:1]) + language[1:]
	}
	return strings.ToUpper(language)
}

// HTML is the coloured code.
func (c codeBlock) HTML() template.HTML { return highlight(c.Language, c.Text) }

// HTML is the coloured code.
func (s Sample) HTML() template.HTML {
	language := s.Key
	switch s.Key {
	case "sdk", "cloudflare-go":
		language = "go"
	case "cloudflare-js":
		language = "javascript"
	}
	return highlight(language, s.Text)
}

// ResponseHTML is the coloured answer of the example.
func (op *Op) ResponseHTML() template.HTML {
	language := "json"
	if !strings.HasSuffix(op.Result.Type, "json") {
		language = "text"
	}
	return highlight(language, op.Response)
}
