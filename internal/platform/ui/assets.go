package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"sort"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

//go:embed templates/*.html
var templateFiles embed.FS

// asset is one file in both forms. gz is nil where compressing does not pay.
type asset struct {
	plain, gz   []byte
	contentType string
	etag        string // strong, of the plain form; the compressed form adds "-gz"
}

// loadAssets reads the embedded files and extra. All stylesheets become one
// file, belfry.css, in the order of their names: the layers are declared in
// the first, so uPlot's may be the last and still yield. Modules are bundled
// (bundle.go), and htmx and its extension are one file.
func (u *UI) loadAssets(extra map[string]fs.FS) error {
	files := map[string][]byte{}
	var css []string
	read := func(fsys fs.FS, prefix string) error {
		return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			files[prefix+name] = body
			return nil
		})
	}
	own, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		return err
	}
	if err := read(own, ""); err != nil {
		return err
	}
	for name, fsys := range extra {
		if err := read(fsys, "x/"+name+"/"); err != nil {
			return fmt.Errorf("extra %s: %w", name, err)
		}
	}
	for name := range files {
		if strings.HasPrefix(name, "css/") {
			css = append(css, name)
		}
	}
	sort.Strings(css)
	var sheet bytes.Buffer
	for _, name := range css {
		sheet.Write(files[name])
		delete(files, name)
	}
	fmt.Fprintf(&sheet, "@layer vendor {\n%s\n}\n", files["third_party/uplot.css"])
	files["belfry.css"] = sheet.Bytes()
	delete(files, "third_party/uplot.css")
	files["htmx.js"] = bytes.Join([][]byte{files["third_party/htmx.js"], files["third_party/htmx-sse.js"]}, []byte(";\n"))
	delete(files, "third_party/htmx.js")
	delete(files, "third_party/htmx-sse.js")
	if err := bundleModules(files); err != nil {
		return err
	}
	return u.packAssets(files)
}

// packAssets compresses the files and names the set by its content.
func (u *UI) packAssets(files map[string][]byte) error {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	u.assets = make(map[string]asset, len(files))
	all := sha256.New()
	for _, name := range names {
		body := files[name]
		sum := sha256.Sum256(body)
		fmt.Fprintf(all, "%s %x\n", name, sum)
		a := asset{plain: body, contentType: contentType(name), etag: hex.EncodeToString(sum[:8])}
		if !strings.HasSuffix(name, ".woff2") {
			gz, err := compress(body)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if len(gz) < len(body) {
				a.gz = gz
			}
		}
		u.assets[name] = a
	}
	u.hash = hex.EncodeToString(all.Sum(nil)[:6])
	return nil
}

func compress(body []byte) ([]byte, error) {
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(body); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// contentType does not ask the machine's mime table for the types we have, so
// that an answer is the same everywhere.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".txt", ".md":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// Asset is the URL of an asset ("js/app.js"), or an error if there is none.
func (u *UI) Asset(name string) (string, error) {
	if _, ok := u.assets[name]; !ok {
		return "", fmt.Errorf("ui: no asset %q", name)
	}
	return "/assets/" + u.hash + "/" + name, nil
}

// Assets serves GET and HEAD /assets/HASH/NAME. The hash covers every asset,
// so scripts and stylesheets may name other assets relatively and an answer may
// be cached for ever. A page of another version (a rolling deploy) still gets
// the file, but not to keep.
func (u *UI) Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/assets/"), "/")
		a, ok := u.assets[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// An SVG opened as a document must not run anything either.
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; sandbox")
		h.Set("Vary", "Accept-Encoding")
		h.Set("Cache-Control", "no-cache")
		if hash == u.hash {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		body, etag := a.plain, `"`+a.etag+`"`
		if a.gz != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
			body, etag = a.gz, `"`+a.etag+`-gz"`
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("ETag", etag)
		if matches(r.Header.Get("If-None-Match"), etag) {
			h.Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method == http.MethodGet {
			// A client that disconnected is not an error.
			_, _ = w.Write(body)
		}
	})
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3): named, and not q=0.
func acceptsGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, ok := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if !ok {
			return true
		}
		v, err := strconv.ParseFloat(q, 64)
		return err == nil && v > 0
	}
	return false
}

// matches reads If-None-Match (RFC 9110, 13.1.2): weak comparison of a list.
func matches(header, etag string) bool {
	for _, part := range strings.Split(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == etag || part == "*" {
			return true
		}
	}
	return false
}
