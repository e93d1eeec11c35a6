package web_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// BenchmarkRequests measures what the door costs without a connection: log
// line, metrics, credential, account, parameters, envelope.
func BenchmarkRequests(b *testing.B) {
	a := newAPI(b, func(c *web.Config, d *web.Deps) {
		c.Rate = web.Rate{PerSecond: 1e9, Burst: 1e9}
		d.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	})
	registerThings(a.API)
	for name, c := range map[string]struct{ method, path, who, body string }{
		"object": {"GET", "/client/v4/accounts/" + ours + "/things/x", "owner", ""},
		"list":   {"GET", "/client/v4/accounts/" + ours + "/things?limit=5&since=2026-11-22", "owner", ""},
		"create": {"POST", "/client/v4/accounts/" + ours + "/things", "owner", `{"name":"a","size":3,"tags":{"a":"b"}}`},
		"raw":    {"POST", "/client/v4/audit/events", "producer", strings.Repeat("x", 900)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := &discard{header: http.Header{}}
			for b.Loop() {
				r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
				r.Header.Set("Authorization", "Bearer "+c.who)
				if c.body != "" {
					r.Header.Set("Content-Type", "application/json")
				}
				clear(w.header)
				a.ServeHTTP(w, r)
				if w.status >= 300 {
					b.Fatal(w.status)
				}
			}
		})
	}
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
