package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// sink is a response that records, without a connection; block makes its
// writes wait for their deadline, as those to a client that does not read.
type sink struct {
	mu       sync.Mutex // guards what follows
	header   http.Header
	text     strings.Builder
	deadline time.Time
	block    bool
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) FlushError() error   { return nil }

func (s *sink) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	return nil
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.block {
		time.Sleep(time.Until(s.deadline)) // in a synctest bubble
		return 0, os.ErrDeadlineExceeded
	}
	return s.text.Write(p)
}

func TestEventsAreWrittenAsTheSpecificationHasThemWithHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{header: http.Header{}}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Last-Event-ID", "41")
		web.ServeEvents(t.Context(), s, r,
			web.Events{Source: func(ctx context.Context, last string, send func(web.Event) error) error {
				if err := send(web.Event{
					ID:   "42\nid: 1",
					Name: "event",
					Data: []byte("after " + last + "\nsecond\r\nthird\rfourth"),
				}); err != nil {
					return err
				}
				time.Sleep(40 * time.Second)
				return send(web.Event{Data: []byte("{}")})
			}})
		want := "retry: 2000\n\nid: 42 id: 1\nevent: event\ndata: after 41\ndata: second\ndata: third\ndata: " +
			"fourth\n\n:\n\n:\n\ndata: {}\n\n"
		if s.text.String() != want || s.header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%q", s.text.String())
		}
	})
}

func TestAClientThatDoesNotReadIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{header: http.Header{}}
		began := time.Now()
		var ended error
		web.ServeEvents(t.Context(), s, httptest.NewRequest("GET", "/", nil),
			web.Events{Source: func(ctx context.Context, _ string, send func(web.Event) error) error {
				for n := 0; ; n++ {
					if n == 10 {
						s.mu.Lock()
						s.block = true
						s.mu.Unlock()
					}
					if ended = send(web.Event{Data: []byte("x")}); ended != nil {
						return ended
					}
				}
			}})
		if took := time.Since(began); took > 11*time.Second || ended == nil {
			t.Fatalf("dropped after %v with %v", took, ended)
		}
		if !errors.Is(ended, context.Canceled) && !errors.Is(ended, web.ErrSlowClient) {
			t.Fatal(ended)
		}
	})
}

func TestEventsPassAtOnceUncompressedAndEndWithTheDrain(t *testing.T) {
	a := newAPI(t)
	ended := make(chan error, 1)
	web.Get(a.API, web.Op{
		Path:    "/live",
		ID:      "get-live",
		Tag:     "T",
		Summary: "S",
		Scope:   web.ScopeSelf,
		Stream:  true,
	}, func(context.Context, *struct{}) (web.Events, error) {
		return web.Events{Source: func(ctx context.Context, last string, send func(web.Event) error) error {
			if err := send(web.Event{ID: "1", Data: []byte(strings.Repeat("a", 3000))}); err != nil {
				return err
			}
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}}, nil
	})
	url, stop := serve(t, a)
	req, err := http.NewRequest("GET", url+"/client/v4/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer reader")
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Content-Encoding") != "" {
		t.Fatal("the stream is compressed")
	}
	lines := bufio.NewReader(res.Body)
	for !strings.HasPrefix(mustLine(t, lines), "data: aaa") {
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for {
		if _, err := lines.ReadString('\n'); err != nil {
			break // the stream ended
		}
	}
}

func mustLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestThereAreOnlySoManyStreamsAndTheyDoNotTakeTheRequestsPlaces(t *testing.T) {
	a := newAPI(t, func(c *web.Config, _ *web.Deps) {
		c.MaxDownloads = 1
		c.MaxRequests = 1
	})
	entered := make(chan struct{})
	leave := make(chan struct{})
	web.Get(a.API, web.Op{
		Path:    "/live",
		ID:      "get-live",
		Tag:     "T",
		Summary: "S",
		Public:  true,
		Stream:  true,
	}, func(context.Context, *struct{}) (web.Stream, error) {
		return web.Stream{ContentType: "text/csv", Write: func(context.Context, *web.StreamWriter) error {
			close(entered)
			<-leave
			return nil
		}}, nil
	})
	done := make(chan int)
	go func() { done <- ask(t, a, "GET /client/v4/live", "").Code }()
	<-entered
	if w := ask(t, a, "GET /client/v4/capabilities", ""); w.Code != 200 {
		t.Fatalf("a request beside a stream: %d", w.Code)
	}
	if w := ask(t, a, "GET /client/v4/live", ""); w.Code != 503 {
		t.Fatalf("a second stream: %d", w.Code)
	}
	close(leave)
	if code := <-done; code != 200 {
		t.Fatal(code)
	}
}

// serve runs the API on a free port; stop drains it and gives Run's error.
func serve(t *testing.T, a *fixture) (url string, stop func() error) {
	t.Helper()
	s, err := a.Listen(t.Context(), "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return fmt.Sprint("http://", s.Addr()), stop
}
