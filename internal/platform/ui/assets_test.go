package ui_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

func fetch(t *testing.T, u *ui.UI, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	u.Assets().ServeHTTP(w, r)
	return w
}

func assetURL(t *testing.T, u *ui.UI, name string) string {
	t.Helper()
	s, err := u.Asset(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnAssetIsKeptForEverUnderItsHashAndNotUnderAnother(t *testing.T) {
	u := newUI(t)
	for name, kind := range map[string]string{
		"belfry.css":                   "text/css; charset=utf-8",
		"js/app.js":                    "text/javascript; charset=utf-8",
		"icons.svg":                    "image/svg+xml",
		"fonts/inter.woff2":            "font/woff2",
		"third_party/htmx.LICENSE.txt": "text/plain; charset=utf-8",
	} {
		w := fetch(t, u, assetURL(t, u, name))
		if w.Code != 200 || w.Header().Get("Content-Type") != kind ||
			!strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if w := fetch(t, u, "/assets/0123456789ab/"+name); w.Code != 200 || w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s of another version: %d %v", name, w.Code, w.Header())
		}
	}
	for _, path := range []string{"/assets/", "/assets/x/nosuch.js", "/assets/x/../ui.go", "/assets/x/css/00-tokens.css"} {
		if w := fetch(t, u, path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestTheHashChangesWithTheContent(t *testing.T) {
	with := func(text string) string {
		u, err := ui.New(ui.Options{Extra: map[string]fs.FS{"flags": fstest.MapFS{"tester.js": {Data: []byte(text)}}}})
		if err != nil {
			t.Fatal(err)
		}
		return assetURL(t, u, "x/flags/tester.js")
	}
	if with("1") == with("2") || with("1") != with("1") {
		t.Error("the hash must follow the content, and only that")
	}
}

func TestGzipAndPlainAreTheSameFileUnderTwoTags(t *testing.T) {
	u := newUI(t)
	path := assetURL(t, u, "belfry.css")
	plain := fetch(t, u, path)
	packed := fetch(t, u, path, "Accept-Encoding", "br, gzip;q=0.8")
	zr, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(zr)
	if err != nil || !bytes.Equal(got, plain.Body.Bytes()) || packed.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("gzip: %v, %v", err, packed.Header())
	}
	if plain.Header().Get("ETag") == packed.Header().Get("ETag") || plain.Header().Get("Content-Encoding") != "" {
		t.Error("the two forms need two tags")
	}
	if w := fetch(t, u, path, "Accept-Encoding", "gzip;q=0"); w.Header().Get("Content-Encoding") != "" {
		t.Error("q=0 refuses gzip")
	}
	for _, tag := range []string{plain.Header().Get("ETag"), "W/" + plain.Header().Get("ETag"),
		`"other", ` + plain.Header().Get("ETag"), "*"} {
		if w := fetch(t, u, path, "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("If-None-Match %s: %d", tag, w.Code)
		}
	}
	if w := fetch(t, u, path, "If-None-Match", `"other"`); w.Code != 200 {
		t.Errorf("another tag: %d", w.Code)
	}
}

var outside = regexp.MustCompile(`(?:src|href|url|import|from|@import)\s*[=(]?\s*["'(]?(?:https?:)?//[a-z0-9]`)

func TestNoAssetLoadsFromElsewhereOrNamesASourceMap(t *testing.T) {
	err := fs.WalkDir(os.DirFS("assets"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !(strings.HasSuffix(name, ".js") || strings.HasSuffix(name, ".css") ||
			strings.HasSuffix(name, ".svg")) {
			return err
		}
		body, err := os.ReadFile("assets/" + name)
		if bytes.Contains(body, []byte("sourceMappingURL")) {
			t.Errorf("%s names a source map that is not there", name)
		}
		if found := outside.Find(body); found != nil {
			t.Errorf("%s loads from elsewhere: %s", name, found)
		}
		if own := strings.HasPrefix(name, "js/"); own &&
			(bytes.Contains(body, []byte("eval(")) || bytes.Contains(body, []byte("new Function"))) {
			t.Errorf("%s evaluates a string", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryThirdPartyFileIsInTheTableWithItsLicence(t *testing.T) {
	table, err := os.ReadFile("assets/third_party/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, glob := range []string{"third_party/*", "fonts/*"} {
		found, err := fs.Glob(os.DirFS("assets"), glob)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", glob, found, err)
		}
		for _, path := range found {
			name := path[strings.IndexByte(path, '/')+1:]
			if name != "README.md" && !bytes.Contains(table, []byte(name)) {
				t.Errorf("%s is not in the table", path)
			}
		}
	}
	for _, name := range regexp.MustCompile(`[a-z-]+\.LICENSE\.txt`).FindAllString(string(table), -1) {
		if text, err := os.ReadFile("assets/third_party/" + name); err != nil || len(text) < 500 {
			t.Errorf("%s: %v, %d bytes", name, err, len(text))
		}
	}
}
