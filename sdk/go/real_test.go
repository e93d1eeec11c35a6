package belfry_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// The tests beside this one run against belfrytest.Server, which shares the
// SDK's own idea of the protocol. This one runs where a real server is named:
// test/conformance of the main module starts one.
func TestTheRealServer(t *testing.T) {
	url := os.Getenv("BELFRY_TEST_SERVER")
	if url == "" {
		t.Skip("BELFRY_TEST_SERVER is not set")
	}
	var mu sync.Mutex
	answers := map[belfry.Status]int{}
	cfg := belfry.Config{
		URL:       url,
		Token:     os.Getenv("BELFRY_TEST_SERVER_TOKEN"),
		AccountID: os.Getenv("BELFRY_TEST_SERVER_ACCOUNT"),
		SpoolDir:  t.TempDir(),
		OnAccept:  func(r belfry.Result) { mu.Lock(); answers[r.Status]++; mu.Unlock() },
		OnReject:  func(r belfry.Rejected) { mu.Lock(); answers["refused"]++; mu.Unlock() },
	}
	c, err := belfry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	event := func(id string) belfry.Event {
		return belfry.Event{
			ID:        id,
			Action:    belfry.Action{Type: "update"},
			Actor:     belfry.Actor{Type: "user", ID: "ana", Email: "ana@example.com", IPAddress: "192.0.2.1"},
			Resource:  belfry.Resource{Product: "checkout", Type: "setting", ID: "payment_timeout"},
			Interface: "UI",
			Before:    map[string]any{"ms": 3000},
			After:     map[string]any{"ms": 30},
			Reason:    &belfry.Reason{Text: "faster", URL: "https://example.com/214"},
		}
	}
	for range 500 {
		if err := c.Audit(ctx, event("")); err != nil {
			t.Fatal(err)
		}
	}
	// Belfry's own product is reserved: only the server can know that.
	reserved := event("reserved")
	reserved.Resource.Product = "belfry"
	if err := c.Audit(ctx, reserved); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	results, err := c.AuditSync(ctx, event("once"), event("once"))
	if err != nil || len(results) != 2 || results[0].Status != "accepted" || results[0].Seq == nil {
		t.Fatalf("%+v %v", results, err)
	}
	other := event("once")
	other.After = map[string]any{"ms": 31}
	if results, err := c.AuditSync(ctx, other); err != nil || len(results) != 1 || results[0].Status != "conflict" {
		t.Fatalf("%+v %v", results, err)
	}
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if answers["accepted"] < 500 || answers["refused"] != 1 {
		t.Fatalf("answers %v", answers)
	}
}
