package reference

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

const searchPath = "/docs/search"

// entry is something that the search finds. The browser searches the same list, with
// the same rules (assets/search.js).
type entry struct {
	Kind  string `json:"k"` // operation, guide, error, group
	Title string `json:"t"`
	Sub   string `json:"s"` // method and path; the guide of a heading
	Href  string `json:"h"`
	Words string `json:"w"` // lower case: fields, codes, text
}

// entries are all things that can be found.
func (s *site) entries() []entry {
	var list []entry
	for _, g := range s.groups {
		list = append(list, entry{"group", g.Title, "Operations", g.Href, strings.ToLower(g.Tag + " " + g.About)})
		for _, op := range g.Ops {
			list = append(list, entry{"operation", op.Summary, op.Method + " " + op.Path, op.Href, op.words()})
		}
	}
	for _, g := range s.guides {
		for _, h := range g.Headings {
			one := entry{"guide", h.Text, g.Title, g.Href() + "#" + h.ID, clean(h.paragraphs)}
			if h.Level == 1 {
				one.Title = g.Title
				one.Sub = g.About
				one.Href = g.Href()
			}
			list = append(list, one)
		}
	}
	for _, e := range s.errors {
		list = append(list, entry{"error", strings.TrimPrefix(e.Href(), "/docs/errors/") + " " + e.Title, e.Meaning, e.Href(),
			clean(e.Remedy)})
	}
	return list
}

// words are those of an operation: its id, group, permission and fields.
func (op *Op) words() string {
	var b strings.Builder
	b.WriteString(op.ID + " " + op.Group.Title + " " + op.Permission + " " + op.Description)
	seen := map[string]bool{}
	var add func(list []Field)
	add = func(list []Field) {
		for _, f := range list {
			if !seen[f.Name] {
				seen[f.Name] = true
				b.WriteString(" " + f.Name)
			}
			add(f.Fields)
		}
	}
	for _, list := range [][]Field{op.PathParams, op.QueryParams, op.HeaderParams, op.Result.Fields} {
		add(list)
	}
	for _, body := range op.Bodies {
		add(body.Fields)
	}
	return clean(b.String())
}

func clean(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// Limits of a search.
const (
	maxQuery = 100
	maxHits  = 40
)

// find returns the best entries that have every word of the query.
func find(list []entry, query string) []entry {
	terms := strings.Fields(strings.ToLower(query[:min(len(query), maxQuery)]))
	if len(terms) == 0 {
		return nil
	}
	type scored struct {
		entry
		score int
	}
	var hits []scored
	for _, e := range list {
		if n := e.score(terms); n > 0 {
			hits = append(hits, scored{e, n})
		}
	}
	slices.SortStableFunc(hits, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	var found []entry
	for _, h := range hits[:min(len(hits), maxHits)] {
		found = append(found, h.entry)
	}
	return found
}

// score is 0 unless the entry has all terms.
func (e entry) score(terms []string) int {
	title, sub := strings.ToLower(e.Title), strings.ToLower(e.Sub)
	total := 0
	for _, t := range terms {
		n := 0
		switch {
		case strings.HasPrefix(title, t):
			n = 20
		case strings.Contains(title, " "+t):
			n = 14
		case strings.Contains(title, t):
			n = 9
		case strings.Contains(sub, t):
			n = 6
		case strings.HasPrefix(e.Words, t), strings.Contains(e.Words, " "+t):
			n = 3
		case strings.Contains(e.Words, t):
			n = 1
		}
		if n == 0 {
			return 0
		}
		total += n
	}
	if e.Kind == "operation" {
		total++
	}
	return total
}

// results is the data of the page of a search.
type results struct {
	Query string
	Hits  []entry
}

func (r *Reference) serveSearch(w http.ResponseWriter, req *http.Request, s *site) {
	query := strings.TrimSpace(req.URL.Query().Get("q"))
	query = strings.ToValidUTF8(query[:min(len(query), maxQuery)], "")
	text, err := s.html(view{
		Title:    "Search",
		Template: "ref-search",
		Data:     results{query, find(s.index, query)},
		Query:    query,
	})
	if err != nil {
		r.cfg.API.Refuse(w, req, err)
		return
	}
	r.cfg.UI.Secure(w.Header(), ui.Plain)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if req.Method == http.MethodHead {
		return
	}
	_, _ = w.Write([]byte(text)) // a client that disconnected is not an error
}
