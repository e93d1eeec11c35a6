package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// credential is one that changes while its streams are open.
type credential struct {
	now atomic.Pointer[func(context.Context) (*web.Principal, error)]
}

func (c *credential) becomes(f func(context.Context) (*web.Principal, error)) { c.now.Store(&f) }

func (c *credential) authenticate(ctx context.Context, _ *http.Request) (*web.Principal, error) {
	return (*c.now.Load())(ctx)
}

func reader() *web.Principal {
	p := people["reader"]
	return &p
}

// streaming registers one stream of every kind and gives their paths.
func streaming(a *web.API) []string {
	op := web.Op{
		Path:       "/accounts/{account_id}/live",
		ID:         "get-live",
		Tag:        "T",
		Summary:    "S",
		Permission: "audit:read",
		Stream:     true,
	}
	web.Get(a, op, func(context.Context, *struct{}) (web.Events, error) {
		return web.Events{Source: func(ctx context.Context, _ string, send func(web.Event) error) error {
			<-ctx.Done()
			return ctx.Err()
		}}, nil
	})
	op.Path = "/accounts/{account_id}/export"
	op.ID = "export"
	web.Get(a, op, func(context.Context, *struct{}) (web.Stream, error) {
		return web.Stream{ContentType: "text/csv", Write: func(_ context.Context, w *web.StreamWriter) error {
			for { // a handler that does not look at its context
				if _, err := w.Write([]byte("line\n")); err != nil {
					return err
				}
				if err := w.Flush(); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
		}}, nil
	})
	a.Mount("GET /page/live", true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := a.Identify(r)
		if err != nil {
			http.Error(w, err.Error(), errs.KindOf(err).Status())
			return
		}
		stop, err := a.Watch(r.Context(), who, ours, func(ctx context.Context) (*web.Principal, error) {
			who, err := a.Reidentify(ctx, r)
			if err == nil && !who.Can(ours, "audit:read") {
				err = errs.New(errs.CodeForbidden, "no more")
			}
			return who, err
		})
		if err != nil {
			http.Error(w, err.Error(), errs.KindOf(err).Status())
			return
		}
		defer stop()
		web.ServeEvents(r.Context(), w, r,
			web.Events{Source: func(ctx context.Context, _ string, _ func(web.Event) error) error {
				<-ctx.Done()
				return ctx.Err()
			}})
	}))
	account := "/client/v4/accounts/" + ours
	return []string{account + "/live", account + "/export", "/page/live"}
}

func TestAStreamEndsWhenItsCredentialMayNotReadItAnyMore(t *testing.T) {
	refuse := func(code errs.Code) func(context.Context) (*web.Principal, error) {
		return func(context.Context) (*web.Principal, error) { return nil, errs.New(code, "no more") }
	}
	may := func(change func(*web.Principal)) func(context.Context) (*web.Principal, error) {
		p := reader()
		change(p)
		return func(context.Context) (*web.Principal, error) { return p, nil }
	}
	for name, later := range map[string]func(context.Context) (*web.Principal, error){
		"revoked":       refuse(errs.CodeAuthentication),
		"expired":       refuse(errs.CodeTokenExpired),
		"other address": refuse(errs.CodeTokenAddress),
		"lesser role":   may(func(p *web.Principal) { p.Permissions = web.Permissions{"accounts:read"} }),
		"removed member": may(func(p *web.Principal) {
			p.AccountID = foreign
			p.Permissions = nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var c credential
			c.becomes(may(func(*web.Principal) {}))
			a := newAPI(t, func(cfg *web.Config, deps *web.Deps) {
				cfg.Recheck = 10 * time.Millisecond
				deps.Authenticate = c.authenticate
			})
			paths := streaming(a.API)
			url, _ := serve(t, a)
			var open []*http.Response
			for _, path := range paths {
				open = append(open, mustOpen(t, url+path))
			}
			c.becomes(later)
			for i, res := range open {
				mustEnd(t, paths[i], res)
			}
		})
	}
}

func TestAStreamEndsWhenItsCredentialEnds(t *testing.T) {
	var c credential
	var asked atomic.Int64
	c.becomes(func(context.Context) (*web.Principal, error) {
		// The stream's own authentication starts the time, so that a slow start of the test does not use it up.
		if asked.Add(1) > 1 {
			return nil, errs.New(errs.CodeTokenExpired, "the token expired")
		}
		p := reader()
		p.Ends = time.Now().Add(300 * time.Millisecond)
		return p, nil
	})
	a := newAPI(t, func(cfg *web.Config, deps *web.Deps) {
		cfg.Recheck = time.Hour // so that the credential's end alone ends the stream
		deps.Authenticate = c.authenticate
	})
	paths := streaming(a.API)
	url, _ := serve(t, a)
	for _, path := range paths[:1] {
		mustEnd(t, path, mustOpen(t, url+path))
	}
}

func TestAStreamOutlivesAnAuthenticationThatCannotBeAskedAndIsNoUseOfItsSession(t *testing.T) {
	var c credential
	var asked, used atomic.Int64
	c.becomes(func(ctx context.Context) (*web.Principal, error) {
		if !web.Rechecking(ctx) {
			used.Add(1)
			return reader(), nil
		}
		if asked.Add(1) < 5 {
			return nil, errs.New(errs.CodeUnavailable, "the database does not answer")
		}
		return nil, errs.New(errs.CodeAuthentication, "revoked")
	})
	a := newAPI(t, func(cfg *web.Config, deps *web.Deps) {
		cfg.Recheck = time.Millisecond
		deps.Authenticate = c.authenticate
	})
	paths := streaming(a.API)
	url, _ := serve(t, a)
	mustEnd(t, paths[0], mustOpen(t, url+paths[0]))
	if asked.Load() != 5 || used.Load() != 1 {
		t.Fatalf("asked again %d times, used %d times", asked.Load(), used.Load())
	}
}

func TestAStreamThatIsNeverAskedForAgainIsADefect(t *testing.T) {
	a := newAPI(t)
	a.Mount("GET /page/live", true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.ServeEvents(r.Context(), w, r,
			web.Events{Source: func(context.Context, string, func(web.Event) error) error { return nil }})
	}))
	if w := ask(t, a, "GET /page/live", "", as("reader")); w.Code != 500 ||
		!strings.Contains(a.log(), "streams without Watch") {
		t.Fatalf("%d %s", w.Code, a.log())
	}
}

func TestHeadOpensNoStream(t *testing.T) {
	a := newAPI(t)
	for _, path := range streaming(a.API) {
		if w := ask(t, a, "HEAD "+path, "", as("reader")); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
}

func mustOpen(t *testing.T, url string) *http.Response {
	t.Helper()
	res, err := http.Get(url)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %v %v", url, res, err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// mustEnd reads a stream to its end; the deadline is that of the test.
func mustEnd(t *testing.T, path string, res *http.Response) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, res.Body); ended <- err }()
	select {
	case err := <-ended:
		if cut := strings.HasSuffix(path, "/export"); cut != errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s ended with %v", path, err)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("%s goes on", path)
	}
}
