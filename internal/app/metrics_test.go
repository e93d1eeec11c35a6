package app_test

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// byTraffic are the counters whose labels are known only when there is traffic, and
// those that exist on Apache Kafka only.
var byTraffic = []string{
	"belfry_http_requests_total",        // by route and status
	"belfry_bus_published_total",        // by topic
	"belfry_audit_signed_ignored_total", // on Apache Kafka, at 0 from the start
}

var counterName = regexp.MustCompile(`"(belfry_[a-z_]+_total)"`)

func TestEveryCounterIsThereBeforeItsFirstEvent(t *testing.T) {
	var names []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range counterName.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
		return err
	})
	if err != nil || len(names) < 20 {
		t.Fatal(len(names), err)
	}
	s := newSite(t)
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !slices.Contains(byTraffic, name) && !strings.Contains(string(text), "\n"+name+"{") &&
			!strings.Contains(string(text), "\n"+name+" ") {
			t.Errorf("%s has no series at the start", name)
		}
	}
}
