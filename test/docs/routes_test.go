package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are addresses outside of the API that documents may name: those that
// people open, and those of the server itself.
var pages = []string{
	"/sign-in",
	"/confirm-address",
	"/acknowledge",
	"/docs",
	"/llms.txt",
	"/status",
	"/openapi.json",
	"/healthz",
	"/readyz",
	"/metrics",
}

var (
	// named are the ways in which documents name a route of the API: with its
	// method, with the base of the API, or by the end of its path.
	named = []*regexp.Regexp{
		regexp.MustCompile("`((?:GET|POST|PUT|PATCH|DELETE|HEAD) [^` ]+)[`? ]"),
		regexp.MustCompile("(/client/v4/[^`\"'\\s)?]*)"),
		regexp.MustCompile("`(\\.\\.\\.?/[^` ]+|/[a-z_]+(?:/[^` ]*)?)`"),
	}
	// shorthand are the variables by which commands abbreviate a path.
	shorthand = strings.NewReplacer(
		"$BELFRY_URL", "", "$api", "/accounts/{account_id}/alerting/v3", "$A", "/accounts/{account_id}",
		"${BELFRY_URL}", "", "/client/v4", "",
	)
	placeholder = regexp.MustCompile(`^(\{[^}]*\}|\$[A-Za-z_{}]+|[A-Z_]+|'?"?\$[a-z]+"?'?|` +
		`ext:.*|customer-42|[0-9a-f]{32})$`)
	servedPath = regexp.MustCompile(`(?m)^  (/[^:]*):$|^    (get|put|post|delete|patch|head):$`)
)

// elsewhere are paths that look like Belfry's routes and are files or another service's.
var elsewhere = regexp.MustCompile(`^(/etc/|/var/|/usr/|/after|/before|/resource/|/actor/|/checkout|/pots|/\?q=)`)

// served are the operations of the API's own description: method and segments.
func served(t *testing.T) (list [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "api", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	path := ""
	for _, m := range servedPath.FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			path = strings.TrimPrefix(m[1], "/client/v4")
		} else if path != "" {
			list = append(list, append([]string{strings.ToUpper(m[2])}, strings.Split(path, "/")[1:]...))
		}
	}
	if len(list) < 100 {
		t.Fatalf("only %d operations found", len(list))
	}
	return list
}

// isServed reports whether a route as a document names it is one of the API.
func isServed(operations [][]string, method, path string) bool {
	suffix := strings.HasPrefix(path, "...")
	path = strings.TrimPrefix(strings.TrimPrefix(path, "..."), "/")
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for _, o := range operations {
		own := o[1:]
		if method != "" && method != o[0] && (method != "HEAD" || o[0] != "GET") {
			continue
		}
		if suffix && len(own) >= len(segments) {
			own = own[len(own)-len(segments):]
		}
		// A path without a method may be the beginning of routes: the base of an API.
		if len(own) < len(segments) || method != "" && len(own) != len(segments) {
			continue
		}
		same := true
		for i, s := range segments {
			variable := strings.HasPrefix(own[i], "{")
			same = same && (s == own[i] || variable && placeholder.MatchString(s) || variable && strings.HasPrefix(s, "{"))
		}
		if same {
			return true
		}
	}
	return false
}

// routesIn are the routes that a document names, as written.
func routesIn(text string) (list []string) {
	for _, pattern := range named {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			list = append(list, m[1])
		}
	}
	return list
}

// namedIsServed reports whether one route as written is served, by the API or as a page.
func namedIsServed(operations [][]string, route string) bool {
	method, path, has := strings.Cut(route, " ")
	if !has {
		method, path = "", route
	}
	path, _, _ = strings.Cut(path, "#")
	path, _, _ = strings.Cut(path, "?")
	path = shorthand.Replace(path)
	for _, page := range pages {
		if path == page || strings.HasPrefix(path, page+"/") {
			return true
		}
	}
	return path == "" || path == "/" || path == "/..." || elsewhere.MatchString(path) || isServed(operations, method, path)
}

// TestDocumentsNameOnlyWhatIsServed holds every route that a document names
// against the API's own description.
func TestDocumentsNameOnlyWhatIsServed(t *testing.T) {
	operations := served(t)
	list := documents(t)
	for _, pattern := range []string{"ARCHITECTURE.md", "docs/*.md", "docs/*/*.md", "sdk/*/*.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, more...)
	}
	seen := map[string]bool{}
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range routesIn(string(text)) {
			seen[route] = true
			if !namedIsServed(operations, route) {
				t.Errorf("%s names %s, which is not served", strings.TrimPrefix(path, root+"/"), route)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d routes found", len(seen))
	}
	for route, want := range map[string]bool{
		"POST /client/v4/alerts":                    true,
		"POST .../audit/erasures":                   true,
		"GET $api/policies":                         true,
		"/client/v4/accounts/$BELFRY_ACCOUNT/slos":  true,
		"GET /accounts/{id}/audit/export":           true,
		"GET /audit/anchors/checkpoint":             false,
		"PUT /client/v4/alerts":                     false,
		".../destinations/webhooks/{id}/public_key": true,
		"/client/v4/accounts/$BELFRY_ACCOUNT/inbox": true,
		"POST /accounts/{id}/flags/projects":        false,
	} {
		if got := namedIsServed(operations, route); got != want {
			t.Errorf("%s: served is %v instead of %v", route, got, want)
		}
	}
}
