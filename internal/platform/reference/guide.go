package reference

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// Guide is a page of the guides, written in Markdown.
type Guide struct {
	Name  string // its address is /docs/guide/NAME
	Title string // in the navigation
	About string // one line, for lists
	File  string // in Config.Guides: "guide/start.md"
}

// guidePage is a guide that was read.
type guidePage struct {
	Guide
	HTML     template.HTML
	Headings []heading
	Markdown string // with the links that the server has
	Prev     *link
	Next     *link
}

type heading struct {
	Level      int
	ID, Text   string
	paragraphs string // the words below it, for the search
}

// guideReader turns the files of the guides into pages.
type guideReader struct {
	files      fs.FS
	root       string            // folder of files in the repository: "docs"
	repository string            // URL of a file in the repository, without its path
	served     map[string]string // address of a file by its path in files
	code       func(language, text string) (string, error)
}

func (g guideReader) read(guide Guide) (*guidePage, error) {
	source, err := fs.ReadFile(g.files, guide.File)
	if err != nil {
		return nil, fmt.Errorf("reference: guide: %w", err)
	}
	page := &guidePage{Guide: guide, Markdown: g.rewriteLinks(guide.File, string(source))}
	md := goldmark.New(
		// Inline styles, the default for aligned cells, are blocked by the policy of pages.
		goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(blocks{g.code}, 100))),
	)
	tree := md.Parser().Parse(text.NewReader(source))
	page.Headings = g.arrange(tree, source, guide.File)
	var out bytes.Buffer
	if err := md.Renderer().Render(&out, source, tree); err != nil {
		return nil, fmt.Errorf("reference: guide %s: %w", guide.Name, err)
	}
	page.HTML = template.HTML(out.String()) //nolint:gosec // goldmark escapes, and raw HTML is removed
	return page, nil
}

// arrange removes raw HTML (comments for tests), rewrites links and collects the
// headings with their words.
func (g guideReader) arrange(tree ast.Node, source []byte, file string) []heading {
	var list []heading
	var raw []ast.Node
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the visitor has no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.HTMLBlock, *ast.RawHTML:
			raw = append(raw, n)
		case *ast.Heading:
			h := heading{Level: n.Level, Text: plain(n, source)}
			if id, ok := n.AttributeString("id"); ok {
				h.ID = string(id.([]byte))
			}
			list = append(list, h)
		case *ast.Paragraph, *ast.TextBlock:
			if len(list) > 0 {
				list[len(list)-1].paragraphs += " " + plain(n, source)
			}
		case *ast.Link:
			n.Destination = []byte(g.target(file, string(n.Destination), false))
		}
		return ast.WalkContinue, nil
	})
	for _, n := range raw {
		n.Parent().RemoveChild(n.Parent(), n)
	}
	return list
}

// plain is the text below a node.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the visitor has no error
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// target is the address to which a link of a file leads: a page of the server, or
// the file in the repository.
func (g guideReader) target(file, to string, markdown bool) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.Path == "" || strings.HasPrefix(u.Path, "/") {
		return to
	}
	fragment := ""
	if u.Fragment != "" {
		fragment = "#" + u.Fragment
	}
	at := path.Join(path.Dir(file), u.Path)
	if page, ok := g.served[at]; ok {
		if markdown {
			page += ".md"
		}
		return page + fragment
	}
	return g.repository + path.Join(g.root, at) + fragment
}

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// rewriteLinks changes the links of a Markdown text, but for those in code.
func (g guideReader) rewriteLinks(file, source string) string {
	code := false
	lines := strings.Split(source, "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			code = !code
		}
		if !code {
			lines[i] = markdownLink.ReplaceAllStringFunc(l, func(m string) string {
				return "](" + g.target(file, m[2:len(m)-1], true) + ")"
			})
		}
	}
	return strings.Join(lines, "\n")
}

// blocks renders headings with a link to themselves, code in the dashboard's frame,
// and tables that scroll on their own.
type blocks struct {
	code func(language, text string) (string, error)
}

// RegisterFuncs names the nodes.
func (b blocks) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHeading, b.heading)
	r.Register(ast.KindFencedCodeBlock, b.block)
	r.Register(ast.KindCodeBlock, b.block)
	r.Register(extast.KindTable, b.table)
}

// table opens a box that scrolls: a wide table must not widen the page.
func (b blocks) table(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	body := "</table></div>\n"
	if entering {
		body = `<div class="ref-scroll" tabindex="0" role="group" aria-label="Table"><table>` + "\n"
	}
	_, err := w.WriteString(body)
	return ast.WalkContinue, err
}

func (b blocks) heading(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	h := n.(*ast.Heading)
	id := ""
	if v, ok := h.AttributeString("id"); ok {
		id = template.HTMLEscapeString(string(v.([]byte)))
	}
	if entering {
		fmt.Fprintf(w, `<h%d id="%s">`, h.Level, id)
		return ast.WalkContinue, nil
	}
	if h.Level > 1 {
		fmt.Fprintf(w, ` <a class="ref-anchor" href="#%s" aria-label="Link to this section">#</a>`, id)
	}
	fmt.Fprintf(w, "</h%d>\n", h.Level)
	return ast.WalkContinue, nil
}

// block renders both forms of code blocks.
func (b blocks) block(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	language := "text"
	if block, ok := n.(*ast.FencedCodeBlock); ok {
		language = cmp.Or(string(block.Language(source)), language)
	}
	var body strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		body.Write(line.Value(source))
	}
	html, err := b.code(language, strings.TrimRight(body.String(), "\n"))
	if err != nil {
		return ast.WalkStop, err
	}
	_, err = w.WriteString(html)
	return ast.WalkSkipChildren, err
}
