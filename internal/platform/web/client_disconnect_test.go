package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/web"
)

func TestAClientThatGoesAwayIsNoFaultOfTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(ctx context.Context, leave func()) error
		want string
	}{
		"the client left": {func(ctx context.Context, leave func()) error { leave(); return ctx.Err() },
			"level=INFO msg=request"},
		"something else was cancelled": {func(context.Context, func()) error { return context.Canceled },
			"level=ERROR msg=request"},
		"another fault, and the client left": {func(_ context.Context, leave func()) error {
			leave()
			return http.ErrServerClosed
		}, "level=ERROR msg=request"},
	} {
		ctx, leave := context.WithCancel(t.Context())
		f := newAPI(t)
		web.Get(f.API, web.Op{Path: "/slow", ID: "get-slow", Tag: "T", Summary: "S", Scope: web.ScopeSelf},
			func(ctx context.Context, _ *struct{}) (string, error) { return "", c.fail(ctx, leave) })
		r := httptest.NewRequestWithContext(ctx, "GET", "/client/v4/slow", nil)
		r.Header.Set("Authorization", "Bearer reader")
		f.ServeHTTP(httptest.NewRecorder(), r)
		leave()
		if log := f.log(); !strings.Contains(log, c.want) ||
			strings.Contains(log, "status=499") != strings.Contains(c.want, "INFO") {
			t.Errorf("%s: want %s:\n%s", name, c.want, log)
		}
	}
}

func TestAMountedPageFindsItsRequest(t *testing.T) {
	f := newAPI(t)
	var method, path string
	f.Mount("POST /page/{id}", false, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if seen := web.Request(r.Context()); seen != nil {
			method, path = seen.Method, seen.URL.Path
		}
	}))
	f.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/page/7?secret=1", nil))
	if method != "POST" || path != "/page/7" {
		t.Errorf("%s %s", method, path)
	}
	if web.Request(t.Context()) != nil {
		t.Error("a request outside of any")
	}
}
