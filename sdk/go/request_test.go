package belfry_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func describe(r *http.Request) (belfry.Event, bool) {
	return sample(1), r.Method != http.MethodGet
}

func serve(rec *belfrytest.Recorder, h http.HandlerFunc, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("PATCH", "http://shop.example/zones/a%2Fb?token=s3cret", nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("User-Agent", "terraform/1.9")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	rec.Client().AuditRequests(h, describe).ServeHTTP(w, r)
	return w
}

func TestARequestIsAuditedWithWhereItCameFromAndHowItEnded(t *testing.T) {
	rec := belfrytest.New(t)
	serve(rec, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}, func(r *http.Request) {
		r.Header.Set("Traceparent", traceparent)
	})
	want := belfry.Event{
		Action: belfry.Action{Type: "update", Result: belfry.Failure},
		Actor:  belfry.Actor{IPAddress: "192.0.2.7"},
		Request: &belfry.Request{
			ID:         traceparent,
			Method:     "PATCH",
			URI:        "/zones/a%2Fb",
			StatusCode: 403,
			UserAgent:  "terraform/1.9",
		},
	}
	belfrytest.AssertAudited(t, rec, want)
	for _, s := range rec.Server().Events() {
		if strings.Contains(string(s.JSON), "token=") {
			t.Errorf("the query was recorded: %s", s.JSON)
		}
	}
}

func TestRequestsThatNobodyDescribesAreNotAudited(t *testing.T) {
	rec := belfrytest.New(t)
	serve(rec, func(http.ResponseWriter, *http.Request) {}, func(r *http.Request) { r.Method = http.MethodGet })
	belfrytest.AssertNothing(t, rec)
}

func TestAHandlerThatWritesNothingAnswered200(t *testing.T) {
	rec := belfrytest.New(t)
	serve(rec, func(http.ResponseWriter, *http.Request) {}, nil)
	belfrytest.AssertAudited(t, rec, belfry.Event{
		Action: belfry.Action{Result: belfry.Success}, Request: &belfry.Request{StatusCode: 200},
	})
}

func TestAPanicIsAuditedAsAFailureAndGoesOn(t *testing.T) {
	rec := belfrytest.New(t)
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the panic was swallowed")
			}
		}()
		serve(rec, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil)
	}()
	belfrytest.AssertAudited(t, rec, belfry.Event{
		Action: belfry.Action{Result: belfry.Failure}, Request: &belfry.Request{StatusCode: 500},
	})
}

func TestAHandlerAuditsWithItsRequestsContext(t *testing.T) {
	rec := belfrytest.New(t)
	serve(rec, func(w http.ResponseWriter, r *http.Request) {
		e := sample(7)
		e.Request = &belfry.Request{ID: "mine"}
		if err := rec.Client().Audit(r.Context(), e); err != nil {
			t.Error(err)
		}
		if e.Request.Method != "" {
			t.Error("the caller's Request was changed")
		}
	}, func(r *http.Request) { r.Method = http.MethodGet })
	belfrytest.AssertAudited(t, rec, belfry.Event{
		Actor:   belfry.Actor{ID: "u-7", IPAddress: "192.0.2.7"},
		Request: &belfry.Request{ID: "mine", Method: "GET", URI: "/zones/a%2Fb"},
	})
}

func TestACallerWhoWentAwayIsStillAudited(t *testing.T) {
	rec := belfrytest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	serve(rec, func(http.ResponseWriter, *http.Request) { cancel() }, func(r *http.Request) { *r = *r.WithContext(ctx) })
	belfrytest.AssertAudited(t, rec, belfry.Event{Actor: belfry.Actor{ID: "u-1"}})
}

func TestAnEventOfARequestThatCannotBeTakenIsReported(t *testing.T) {
	var reported error
	rec := belfrytest.New(t, func(cfg *belfry.Config) {
		cfg.MaxSpoolBytes = 1
		cfg.OnError = func(err error) { reported = err }
	})
	serve(rec, func(http.ResponseWriter, *http.Request) {}, nil)
	var failure *belfry.AuditError
	if !errors.As(reported, &failure) || !errors.Is(reported, belfry.ErrSpoolFull) || failure.Event.Actor.ID != "u-1" ||
		failure.Event.ID == "" {
		t.Errorf("reported %v", reported)
	}
}

func TestOnlyAValidTraceparentBecomesTheRequestsID(t *testing.T) {
	const future = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-adds"
	for value, want := range map[string]string{
		traceparent:                  traceparent,
		future:                       future,
		"":                           "fallback",
		traceparent + "-more":        "fallback",
		strings.ToUpper(traceparent): "fallback",
		"ff" + traceparent[2:]:       "fallback",
		traceparent[:54]:             "fallback",
		"00-" + strings.Repeat("0", 32) + traceparent[35:]:   "fallback",
		traceparent[:36] + strings.Repeat("0", 16) + "-01":   "fallback",
		strings.Replace(traceparent, "-01", "-0\x01", 1):     "fallback",
		"cc" + traceparent[2:] + strings.Repeat("-long", 50): "fallback",
	} {
		rec := belfrytest.New(t)
		serve(rec, func(http.ResponseWriter, *http.Request) {}, func(r *http.Request) {
			r.Header["Traceparent"] = []string{value}
			r.Header.Set("X-Request-Id", "fallback")
		})
		belfrytest.AssertAudited(t, rec, belfry.Event{Request: &belfry.Request{ID: want}})
	}
}

// The vectors are the server's too.
func TestForwardedAddressesCountOnlyFromTrustedProxies(t *testing.T) {
	text, err := os.ReadFile("../vectors/forwarded.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Trusted []netip.Prefix
		Cases   []struct{ Name, Remote, Forwarded, Want string }
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors.Cases) == 0 {
		t.Fatalf("%v, %d cases", err, len(vectors.Cases))
	}
	noPeer := struct{ Name, Remote, Forwarded, Want string }{"no address of the peer", "@", "203.0.113.9", ""}
	for _, c := range append(vectors.Cases, noPeer) {
		rec := belfrytest.New(t, func(cfg *belfry.Config) { cfg.TrustedProxies = vectors.Trusted })
		serve(rec, func(http.ResponseWriter, *http.Request) {}, func(r *http.Request) {
			r.RemoteAddr = c.Remote
			if c.Forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.Forwarded)
			}
		})
		if got := rec.Events(t); len(got) != 1 || got[0].Actor.IPAddress != c.Want {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
}

func TestWhatAStrangerSendsCannotMakeTheEventInvalid(t *testing.T) {
	rec := belfrytest.New(t)
	serve(rec, func(http.ResponseWriter, *http.Request) {}, func(r *http.Request) {
		r.Header.Set("User-Agent", strings.Repeat("é", 100_000)+"\xff")
		r.URL.Path = "/" + strings.Repeat("x", 100_000)
		r.URL.RawPath = ""
		r.Header.Set("X-Request-Id", "\xff\x00"+strings.Repeat("y", 100_000))
	})
	if got := rec.Events(t); len(got) != 1 || len(got[0].Request.UserAgent) != 1024 || len(got[0].Request.URI) != 2048 ||
		len(got[0].Request.ID) != 128 {
		t.Errorf("got %d events", len(got))
	}
}

func TestTheWrappedWriterStillFlushes(t *testing.T) {
	rec := belfrytest.New(t)
	w := serve(rec, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		if _, ok := w.(http.Flusher); !ok {
			t.Error("no http.Flusher")
		}
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Error(err)
		}
	}, nil)
	if !w.Flushed {
		t.Error("not flushed")
	}
}
