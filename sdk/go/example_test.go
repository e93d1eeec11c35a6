package belfry_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

// exampleClient is a client with a server of its own; yours has yours.
func exampleClient() (*belfry.Client, func()) {
	dir, err := os.MkdirTemp("", "belfry-example")
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(new(belfrytest.Server))
	c, err := belfry.New(belfry.Config{
		URL: server.URL, Token: belfrytest.TestToken, AccountID: belfrytest.AccountID, SpoolDir: dir,
	})
	if err != nil {
		log.Fatal(err)
	}
	return c, func() {
		if err := c.Close(context.Background()); err != nil {
			log.Fatal(err)
		}
		server.Close()
		os.RemoveAll(dir)
	}
}

func setting(to string) belfry.Event {
	return belfry.Event{
		Action:   belfry.Action{Type: "update", Result: belfry.Success},
		Actor:    belfry.Actor{Type: belfry.User, ID: "u-1", Name: "Ana"},
		Resource: belfry.Resource{Product: "shop", Type: "setting", ID: "payment_timeout"},
		Before:   map[string]any{"seconds": 3},
		After:    map[string]any{"seconds": to},
		Reason:   &belfry.Reason{Text: "the bank became slow", URL: "https://tickets.example/214"},
	}
}

func ExampleClient_Audit() {
	c, done := exampleClient()
	defer done()

	err := c.Audit(context.Background(), setting("5"))
	switch {
	case err == nil:
		fmt.Println("safe on this disk, delivery follows")
	case errors.Is(err, belfry.ErrSpoolFull):
		fmt.Println("not taken: decide whether the change may happen without its record")
	default:
		fmt.Println(err)
	}
	// Output: safe on this disk, delivery follows
}

func ExampleClient_AuditSync() {
	c, done := exampleClient()
	defer done()

	good, bad := setting("5"), setting("7")
	bad.Actor.ID = ""
	results, err := c.AuditSync(context.Background(), good, bad)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		fmt.Println(r.Status, r.Errors)
	}
	// Output:
	// accepted []
	// rejected [/actor/id: is required and must not be empty]
}

func ExampleClient_AuditRequests() {
	c, done := exampleClient()
	defer done()

	shop := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	h := c.AuditRequests(shop, func(r *http.Request) (belfry.Event, bool) {
		return setting("5"), r.Method != http.MethodGet // reads are not audited
	})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "/settings/payment_timeout?csrf=x", nil))

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(c.Flush(ctx), c.Stats().Accepted)
	// Output: <nil> 1
}

func ExampleEvent_Validate() {
	e := setting("5")
	e.Actor.Type = "robot"
	e.Resource.ID = ""
	fmt.Println(e.Validate())
	// Output: belfry: invalid event: /actor/type: must be one of user, token, integration, staff, system; /resource/id: is required and must not be empty
}
