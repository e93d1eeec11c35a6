// Package ui is the dashboard's look: page shell, components, assets.
//
// A feature keeps its pages in its own folder (page.go, page*.html), embeds
// them and parses them together with the components of this package:
//
//	//go:embed page*.html
//	var pages embed.FS
//
//	page, err := u.Parse(pages, "page*.html")        // lints, then parses
//
//	func explorer(w http.ResponseWriter, r *http.Request) error {
//		data := load(r)
//		return page.Render(w, r, ui.Shell{Title: "Audit log", Account: a, User: me, Nav: nav}, "explorer", data)
//	}
//
//	{{define "explorer"}}
//	<header class="head"><h1>Audit log</h1><p class="sub">{{num .Total}} events</p>
//	  <div class="actions">{{template "button" (dict "Label" "Export" "Icon" "download" "Href" .ExportURL)}}</div>
//	</header>
//	{{template "search" (dict "Action" "/audit" "Query" .Query "Chips" .Chips "Placeholder" "Filter the record")}}
//	<div class="split" id="split">
//	  <ol class="record panel" id="rows">{{template "explorer#rows" .}}</ol>
//	  <aside class="detail" id="detail">{{with .Event}}...{{end}}</aside>
//	</div>
//	{{end}}
//	{{define "explorer#rows"}}
//	  {{range .Rows}}
//	    {{template "row" (dict "Href" .URL "Actor" .Actor "Sentence" .Sentence "Action" .Action "At" .At)}}
//	  {{end}}
//	  {{template "more" (dict "ID" "rows-more" "Href" .Next)}}
//	{{end}}
//	{{define "explorer#rows-more"}}{{template "explorer#rows" .}}{{end}}
//
// # Whole pages and fragments
//
// [Page.Render] answers a browser with the whole page. An htmx request that
// targets the element with id "rows" is answered with the template
// "explorer#rows" alone if there is one, else with "explorer" without the
// shell; so a handler has one path for both. Back and forward, boosted links
// and requests without htmx get the whole page.
//
// # Components
//
// A component is a template that takes a dict, or one of the types of this
// package: [Hub], [Activity], [Picker], [Filters], [Selection]. docs/design.md says
// when to use which. The comment of a dict's component in templates/*.html
// lists its parameters, and that list is checked: [UI.Parse] refuses a parameter
// that the component does not have, a missing required one, and everything
// that the content security policy would block in the browser (inline script
// and style, hx-on, js: values, trigger filters, foreign origins). Containers
// are classes: head, panel, cards, grid, split and detail, record, table,
// dialog. The gallery in this package's tests shows every one with its markup.
//
// # Scripts
//
// Pages work without JavaScript where a link or a form can. The modules in
// assets/js add to that by data attributes only: data-open (j, k, Enter),
// data-search (/), data-go="a" (g a), data-live (l), data-copy, data-filter,
// data-local (times), data-chart, data-dialog, data-close (Esc), data-key="e" (an
// action's key), data-selectable (boxes of rows, x), data-list and data-col
// (density and columns), data-picker.
//
// A part of a page that shows what happens now asks for itself again with
// hx-get and hx-trigger="every 5s". refresh.js merges the answer into the part,
// whatever its hx-swap says, and leaves focus, selection, open folds and the
// zoom of charts as they are. A form answers with [Redirect], and the page
// after it reads its flash message with [FlashKey]. While a part is not answered,
// a note says since when.
package ui

import (
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Options of a [UI]. The zero value is complete.
type Options struct {
	// FrameAncestors are the origins ("https://portal.example.com") whose
	// pages may frame the customers' pages. Operators' pages are never framed.
	FrameAncestors []string
	// Now is the clock for relative times and "today"; nil is time.Now.
	Now func() time.Time
	// Log hears of an icon that a page names and that icons.svg does not have,
	// once for each name; nil is nowhere.
	Log *slog.Logger
	// Extra are a feature's own scripts or images, by the feature's name:
	// Extra["flags"] with tester.js is the asset "x/flags/tester.js", which a
	// page loads with Shell.Modules.
	Extra map[string]fs.FS
}

// UI holds the parsed components and the compressed assets. It may be used from
// any goroutine: only the names of missing icons change after New.
type UI struct {
	base       *template.Template
	components map[string]component // by template name
	reserved   map[string]bool      // every template name of this package
	icons      map[string]bool
	log        *slog.Logger
	missing    sync.Map // names of icons that were logged as missing
	assets     map[string]asset
	hash       string // of all assets: a segment of every asset's URL
	now        func() time.Time
	csp        map[Face]string
}

// New parses the components and compresses the assets, once.
func New(o Options) (*UI, error) {
	u := &UI{now: o.Now, log: o.Log}
	if u.now == nil {
		u.now = time.Now
	}
	if u.log == nil {
		u.log = slog.New(slog.DiscardHandler)
	}
	if err := u.loadAssets(o.Extra); err != nil {
		return nil, fmt.Errorf("ui: assets: %w", err)
	}
	u.loadIcons()
	var err error
	if u.components, err = readComponents(templateFiles); err != nil {
		return nil, fmt.Errorf("ui: components: %w", err)
	}
	u.base, err = template.New("ui").Funcs(u.funcs()).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("ui: templates: %w", err)
	}
	u.reserved = map[string]bool{}
	for _, t := range u.base.Templates() {
		u.reserved[t.Name()] = true
	}
	if u.csp, err = policies(o.FrameAncestors); err != nil {
		return nil, err
	}
	return u, nil
}

// loadIcons reads the names of the sprite's symbols. [Lint] refuses a template
// that names another one; a name that comes from Go code is looked up when the
// page is rendered.
func (u *UI) loadIcons() {
	u.icons = map[string]bool{}
	sprite := string(u.assets["icons.svg"].plain)
	for _, part := range strings.Split(sprite, `<symbol id="`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		u.icons[name] = true
	}
}
