// Package reference serves the API reference and the guides at /docs: one page for
// each operation, group, guide and error code, made from the OpenAPI document, the
// recorded examples and the Markdown files of the guides.
//
//	Config -> New -> Mount -> first request: read -> site -> page -> web.Static
//
// Pages are public and the same for every visitor, so each is rendered once, on its
// first request, and then served from memory with its entity tag. Only the search
// without scripts is rendered for each request. Every page exists as Markdown too:
// the address with ".md"; /llms.txt lists all of them.
package reference

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed *.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// AssetsName is the name of [Assets] in [ui.Options].Extra.
const AssetsName = "reference"

// Assets are the stylesheet and the scripts of the pages.
func Assets() fs.FS {
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

// Config has the parts that the pages are made of. UI and API are required.
type Config struct {
	UI       *ui.UI
	API      *web.API
	Groups   []Group // order and words of the groups; tags that are missing follow
	Examples Examples
	// Samples are further code samples by the id of the operation, shown after curl.
	Samples map[string][]Sample

	Guides     []Guide
	Files      fs.FS  // of the guides
	Root       string // folder of Files in the repository
	Repository string // URL of the repository's files, for links to files that are not served
}

// Reference serves the pages. It is safe for concurrent use after Mount.
type Reference struct {
	cfg   Config
	pages *ui.Page
	site  func() (*site, error) // read on the first request, when all operations are registered
}

// New parses the templates.
func New(cfg Config) (*Reference, error) {
	if cfg.UI == nil || cfg.API == nil {
		return nil, errors.New("reference: UI and API are required")
	}
	pages, err := cfg.UI.Parse(templateFiles, "*.html")
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	r := &Reference{cfg: cfg, pages: pages}
	r.site = sync.OnceValues(r.read)
	return r, nil
}

// Mount registers the pages.
func (r *Reference) Mount() {
	for _, pattern := range []string{"GET /docs", "GET /docs.md", "GET /docs/{page...}", "GET /llms.txt"} {
		r.cfg.API.MountPublic(pattern, r)
	}
}

// ServeHTTP answers with a page.
func (r *Reference) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s, err := r.site()
	if err != nil {
		r.cfg.API.Refuse(w, req, err)
		return
	}
	if req.URL.Path == searchPath {
		r.serveSearch(w, req, s)
		return
	}
	page, ok := s.pages[req.URL.Path]
	if !ok {
		r.serveMissing(w, req, s)
		return
	}
	answer, err := page()
	if err != nil {
		r.cfg.API.Refuse(w, req, err)
		return
	}
	r.cfg.UI.Secure(w.Header(), ui.Plain)
	answer.ServeHTTP(w, req)
}

// serveMissing answers browsers with a page and programs with the envelope.
func (r *Reference) serveMissing(w http.ResponseWriter, req *http.Request, s *site) {
	if !strings.Contains(req.Header.Get("Accept"), "text/html") {
		r.cfg.API.Refuse(w, req, errs.New(errs.CodeNotFound, "the documentation has no page of this address"))
		return
	}
	text, err := s.html(view{Title: "Page not found", Template: "ref-missing"})
	if err != nil {
		r.cfg.API.Refuse(w, req, err)
		return
	}
	r.cfg.UI.Secure(w.Header(), ui.Plain)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(text)) // a client that disconnected is not an error
}
