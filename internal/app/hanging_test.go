package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
)

// One token's tests of a webhook whose receiver hangs take the places of that
// token, and no other credential waits for them.
func TestHangingTestsOfAWebhookLeaveRoomForOthers(t *testing.T) {
	const places = 40 // of the server; a token has 32 of them
	var hanging atomic.Int32
	release := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hanging.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer receiver.Close()
	s := newSite(t, func(c *app.Config) {
		c.AllowNetworks = []string{"127.0.0.0/8"}
		c.MaxRequests = places
		c.Rate.PerSecond = -1
	})
	account := s.account("Acme")
	var hook struct{ ID string }
	s.decode(s.call(http.MethodPost, "/accounts/"+account+"/alerting/v3/destinations/webhooks", m{"name": "hangs", "url": receiver.URL}), &hook)
	hanging.Store(0) // a new webhook may be tried at once
	var token struct{ Value string }
	s.decode(s.call(http.MethodPost, "/accounts/"+account+"/tokens", m{"name": "robot", "permissions": []string{"notifications:write"}}), &token)

	test := s.url + "/client/v4/accounts/" + account + "/alerting/v3/destinations/webhooks/" + hook.ID + "/test"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var refused atomic.Int32
	var asking sync.WaitGroup
	for range places + 10 {
		asking.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, test, strings.NewReader("{}"))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+token.Value)
			r.Header.Set("Content-Type", "application/json")
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				return // the test is over
			}
			res.Body.Close()
			if res.StatusCode == http.StatusTooManyRequests {
				refused.Add(1)
			}
		})
	}
	s.await("the token's places are taken, and its other requests refused", func() bool {
		return hanging.Load() > 0 && refused.Load() >= 10
	})
	// Others are answered while the receiver hangs.
	s.call(http.MethodGet, "/accounts/"+account, nil)
	s.signIn("operator@localhost").get("/console/producers").has(t, "Product teams")
	close(release)
	cancel()
	asking.Wait()
}
