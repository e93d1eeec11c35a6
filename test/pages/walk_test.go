// Package pages_test walks over every page of the dashboard in a real Chromium.
//
// The list of pages comes from the links of a filled installation at a fixed time, checked against the registered
// paths. See [browser] for the programs that it needs.
package pages_test

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

var (
	update = flag.Bool("update", false, "write the baselines of the pictures")
	focus  = flag.Bool("focus", false, "walk with the Tab key over every page")
	only   = flag.String("only", "", "names of pages, with commas between; the others are left out")
)

// output keeps the pictures of the last walk.
const output = "../../build/pages"

// state is a width and a theme in which each page is shown.
type state struct {
	width int64
	theme string
}

// states are the widths and themes. The theme changes on the page that is shown.
var states = []state{{1400, "light"}, {1400, "dark"}, {800, "dark"}, {800, "light"}, {390, "light"}, {390, "dark"}}

// loadsFor reports whether the page is loaded for state n. Axe runs then: in each width, since it decides the layout
// and what is hidden, and in each theme, since it decides the colours.
func loadsFor(n int) bool { return n == 0 || states[n-1].width != states[n].width }

// walker is one tab that shows pages.
type walker struct {
	t       *testing.T
	b       *browser.Browser
	traffic *browser.Traffic
	i       *installation
	as      string
}

// newWalker opens a tab, or leaves the test out.
func newWalker(t *testing.T, b *browser.Browser, i *installation) *walker {
	t.Helper()
	w := &walker{t: t, b: b.Tab(t), i: i}
	w.b.Stop(now)
	w.traffic = w.b.Watch(strings.TrimPrefix(i.url, "http://"))
	return w
}

// open shows a page as its person, and waits until it is drawn.
func (w *walker) open(p shown, s state) {
	w.t.Helper()
	w.show(p, s)
	w.b.Drawn()
}

// show shows a page as its person.
func (w *walker) show(p shown, s state) {
	w.t.Helper()
	if w.as != p.who {
		w.b.Forget()
		if p.who != "" {
			w.b.Carry(w.i.url, w.i.visitors[p.who].Cookies())
		}
		w.as = p.who
	}
	w.traffic.Reset()
	w.b.Show(w.i.url+p.path, s.theme, s.width)
}

func TestEveryPage(t *testing.T) {
	b := browser.Start(t)
	if err := os.MkdirAll(output, 0o755); err != nil {
		t.Fatal(err)
	}
	i := install(t)
	list := i.pages()
	if *only != "" {
		named := strings.Split(*only, ",")
		list = slices.DeleteFunc(list, func(p shown) bool { return !slices.Contains(named, p.name) })
	}
	queue := make(chan shown, len(list))
	for _, p := range list {
		queue <- p
	}
	close(queue)
	t.Run("tabs", func(t *testing.T) {
		for n := range 2 {
			t.Run(fmt.Sprint(n+1), func(t *testing.T) {
				t.Parallel()
				w := newWalker(t, b, i)
				for p := range queue {
					w.look(p)
				}
			})
		}
	})
	for line := range strings.Lines(i.log.String()) {
		if strings.Contains(line, "ERROR") {
			t.Errorf("the server logged %s", line)
		}
	}
	if *only == "" {
		stale(t, list)
	}
}

// look shows a page in all states, and checks all that a browser can see.
func (w *walker) look(p shown) {
	w.t.Helper()
	recorded, err := readSheet(sheetOf(p), widthsOf(states))
	if err != nil && !*update {
		w.t.Errorf("%s: %v (accept the page as it is: scripts/pages.sh -update)", p.name, err)
	}
	var pictures []blocks
	for n, s := range states {
		at := fmt.Sprintf("%s (%s), %d px, %s", p.name, p.path, s.width, s.theme)
		if !loadsFor(n) {
			w.b.Theme(s.theme)
		} else {
			w.open(p, s)
			if found := w.b.Violations(); found != "" {
				w.t.Errorf("%s: axe: %s", at, found)
			}
		}
		if over := w.b.Overflow(); over != "" {
			w.t.Errorf("%s: wider than its place: %s", at, over)
		}
		w.b.Evaluate(masked)
		full := w.b.Picture()
		file := filepath.Join(output, fmt.Sprintf("%s-%d-%s", p.name, s.width, s.theme))
		if err := os.WriteFile(file+".png", full, 0o600); err != nil {
			w.t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(full))
		if err != nil {
			w.t.Fatal(err)
		}
		pictures = append(pictures, blocksOf(picture))
		_ = os.Remove(file + ".difference.png")
		if recorded != nil && !*update {
			different, why := pictures[n].compare(recorded[n])
			if why == "" {
				continue
			}
			if err := mark(file+".difference.png", picture, different); err != nil {
				w.t.Fatal(err)
			}
			w.t.Logf("%s: the picture is another: %s; see build/pages/%s", at, why, filepath.Base(file)+".difference.png")
		}
	}
	if refused := w.b.Refusals(); refused != "" {
		w.t.Errorf("%s: refused by the policy: %s", p.name, refused)
	}
	if faults := w.traffic.Faults(); faults != "" {
		w.t.Errorf("%s (%s): %s", p.name, p.path, faults)
	}
	if *update {
		if err := writeSheet(sheetOf(p), pictures); err != nil {
			w.t.Fatal(err)
		}
	}
}

// sheetOf is the file of a page's baselines.
func sheetOf(p shown) string { return filepath.Join("testdata", p.name+".png") }

func widthsOf(shownIn []state) []int64 {
	var list []int64
	for _, s := range shownIn {
		list = append(list, s.width)
	}
	return list
}

// stale removes, or reports, baselines of pages that are no longer there.
func stale(t *testing.T, list []shown) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.png")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, p := range list {
		known[sheetOf(p)] = true
	}
	for _, file := range files {
		switch {
		case known[file]:
		case *update:
			_ = os.Remove(file)
		default:
			t.Errorf("%s is the picture of a page that no link leads to", file)
		}
	}
}

// masked replaces what is random by text of the same length: ids, hashes, keys, ports. Times and all else are fixed.
const masked = `(() => {
	const random = /\b(?=[a-f]*\d)[0-9a-f]{8,}\b|(?=[A-Za-z+\/_]*\d)[A-Za-z0-9+\/_]{24,}={0,2}|127\.0\.0\.1:\d+/g;
	const even = (text) => text.replaceAll(random, (found) => "0".repeat(found.length));
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node = texts.nextNode(); node; node = texts.nextNode()) {
		if (node.parentElement.closest("script, style")) continue;
		const text = even(node.data);
		if (text !== node.data) node.data = text;
	}
	for (const field of document.querySelectorAll("input, textarea")) {
		if (field.type !== "password" && even(field.value) !== field.value) field.value = even(field.value);
		if (field.placeholder) field.placeholder = even(field.placeholder);
	}
	// The window is as high as the page in a picture: what loads more at its end must not.
	for (const end of document.querySelectorAll('[hx-trigger="revealed"]')) end.replaceWith(end.cloneNode(true));
	return "";
})()`
