// Package belfrytest is for the tests of programs that audit through the SDK.
//
// New gives a real client whose server is in memory, AssertAudited says what
// must have been audited:
//
//	rec := belfrytest.New(t)
//	shop := NewShop(rec.Client())
//	shop.SetTimeout("3s")
//	belfrytest.AssertAudited(t, rec, belfry.Event{
//		Action: belfry.Action{Type: "update"},
//		After:  map[string]any{"timeout": "3s"},
//	})
//
// Server speaks the real protocol over a loopback connection and fails as the
// test wishes.
package belfrytest

import (
	"context"
	"net/http"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// AccountID is the account of a Recorder's client.
const AccountID = "00000000000000000000000000000000"

// Recorder keeps what its client audits.
type Recorder struct {
	client *belfry.Client
	server *Server
}

// New makes a recorder whose client uses a temporary spool and no network. The
// client is closed with the test. configure may change the client's settings
// (Redact, AccountID, ...) before it is made.
func New(t testing.TB, configure ...func(*belfry.Config)) *Recorder {
	t.Helper()
	server := new(Server)
	cfg := belfry.Config{
		URL: "http://belfry.invalid", Token: TestToken, AccountID: AccountID,
		SpoolDir: t.TempDir(), Durability: belfry.ProcessCrash, Linger: -1, NoGzip: true,
		HTTPClient: &http.Client{Transport: server},
		OnReject:   func(r belfry.Rejected) { t.Errorf("belfry: event %s was %s: %v", r.ID, r.Status, r.Errors) },
	}
	for _, f := range configure {
		f(&cfg)
	}
	client, err := belfry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		client.Close(ctx)
	})
	return &Recorder{client: client, server: server}
}

// patience is for a machine that does other things too.
const patience = 10 * time.Second

// Client returns the client for the program under test.
func (r *Recorder) Client() *belfry.Client { return r.client }

// Server returns the server that the client calls, for tests that cause failures.
func (r *Recorder) Server() *Server { return r.server }

// Events are the events that were audited so far, in order.
func (r *Recorder) Events(t testing.TB) []belfry.Event {
	t.Helper()
	var events []belfry.Event
	for _, s := range r.stored(t) {
		e, err := s.Event()
		if err != nil {
			t.Fatalf("event %s: %v", s.ID, err)
		}
		events = append(events, e)
	}
	return events
}

func (r *Recorder) stored(t testing.TB) []Stored {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return r.server.Events()
}
