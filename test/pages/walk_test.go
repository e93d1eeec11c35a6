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
	only   = flag.String("only", "", "names of pages, with commas between; the others are left out")
)

// output keeps the pictures of the last walk.
const output = "../../build/pages"

// state is a width and a theme in which each page is shown.
type state struct {
	width int64
	theme string
}

// sizes are the widths in which each page is shown, with the themes of its pictures. The page is loaded at the widest
// and at the narrowest, whose scripts, navigation and hidden parts differ. Axe runs there, once in each theme: the
// width decides the layout, and the theme the colours.
var sizes = []struct {
	width  int64
	themes [2]string
	loads  bool
}{
	{1400, [2]string{"light", "dark"}, true},
	{800, [2]string{"dark", "light"}, false},
	{390, [2]string{"dark", "light"}, true},
}

// states are the pictures of a page, in the order of its sheet.
var states = func() (list []state) {
	for _, size := range sizes {
		for _, theme := range size.themes {
			list = append(list, state{size.width, theme})
		}
	}
	return list
}()

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

// chosen lists the pages, or the ones that -only names.
func (i *installation) chosen() []shown {
	i.t.Helper()
	list := i.pages()
	if *only != "" {
		named := strings.Split(*only, ",")
		list = slices.DeleteFunc(list, func(p shown) bool { return !slices.Contains(named, p.name) })
	}
	return list
}

// inTabs visits the pages in two tabs at the same time.
func inTabs(t *testing.T, b *browser.Browser, i *installation, list []shown, visit func(w *walker, p shown)) {
	t.Helper()
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
					visit(w, p)
				}
			})
		}
	})
}

func TestEveryPage(t *testing.T) {
	b := browser.Start(t)
	if err := os.MkdirAll(output, 0o755); err != nil {
		t.Fatal(err)
	}
	i := install(t)
	list := i.chosen()
	inTabs(t, b, i, list, (*walker).look)
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
	var taken []blocks
	for _, size := range sizes {
		at := fmt.Sprintf("%s (%s), %d px", p.name, p.path, size.width)
		if size.loads {
			w.open(p, state{size.width, size.themes[0]})
		} else {
			w.b.Resize(size.width)
		}
		if over := w.b.Overflow(); over != "" {
			w.t.Errorf("%s: wider than its place: %s", at, over)
		}
		w.b.Evaluate(masked)
		for n, picture := range w.b.Pictures(size.themes[:]...) {
			s := state{size.width, size.themes[n]}
			var before *blocks
			if recorded != nil && !*update {
				before = &recorded[len(taken)]
			}
			taken = append(taken, w.keep(p, s, picture, before))
		}
		if !size.loads {
			continue
		}
		if found := w.b.Violations(); found != "" {
			w.t.Errorf("%s, %s: axe: %s", at, size.themes[1], found)
		}
	}
	if refused := w.b.Refusals(); refused != "" {
		w.t.Errorf("%s: refused by the policy: %s", p.name, refused)
	}
	if faults := w.traffic.Faults(); faults != "" {
		w.t.Errorf("%s (%s): %s", p.name, p.path, faults)
	}
	if *update {
		if err := writeSheet(sheetOf(p), taken); err != nil {
			w.t.Fatal(err)
		}
	}
}

// keep writes a picture of a page into the output, and compares it with the recorded one; nil = there is none.
func (w *walker) keep(p shown, s state, taken []byte, recorded *blocks) blocks {
	w.t.Helper()
	file := filepath.Join(output, fmt.Sprintf("%s-%d-%s", p.name, s.width, s.theme))
	if err := os.WriteFile(file+".png", taken, 0o600); err != nil {
		w.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(taken))
	if err != nil {
		w.t.Fatal(err)
	}
	seen := blocksOf(picture)
	_ = os.Remove(file + ".difference.png")
	if recorded == nil {
		return seen
	}
	different, why := seen.compare(*recorded)
	if why == "" {
		return seen
	}
	if err := mark(file+".difference.png", picture, different); err != nil {
		w.t.Fatal(err)
	}
	w.t.Errorf("%s (%s), %d px, %s: the picture is another: %s; see build/pages/%s.difference.png",
		p.name, p.path, s.width, s.theme, why, filepath.Base(file))
	return seen
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
