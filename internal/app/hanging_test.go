package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/test/poll"
)

// One token's tests of a webhook whose receiver hangs take the places of that
// token, and no other credential waits for them.
func TestHangingTestsOfAWebhookLeaveRoomForOthers(t *testing.T) {
	const asked = 112 // a token may have a tenth of the server's 1024 places
	var hangs atomic.Bool
	var hanging atomic.Int32
	release := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if !hangs.Load() {
			return // the test message of the new webhook
		}
		hanging.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer receiver.Close()
	freed := sync.OnceFunc(func() { close(release) })
	defer freed()
	s := newSite(t, func(c *app.Config) {
		c.AllowNetworks = []string{"127.0.0.0/8"}
	})
	account := s.account("Acme")
	var hook struct{ ID string }
	s.decode(s.call(http.MethodPost, "/accounts/"+account+"/alerting/v3/destinations/webhooks",
		object{"name": "hangs", "url": receiver.URL}), &hook)
	hangs.Store(true)
	var token struct{ Value string }
	s.decode(s.call(http.MethodPost, "/accounts/"+account+"/tokens",
		object{"name": "robot", "permissions": []string{"notifications:write"}}), &token)

	test := s.url + "/client/v4/accounts/" + account + "/alerting/v3/destinations/webhooks/" + hook.ID + "/test"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var refused atomic.Int32
	var asking sync.WaitGroup
	for range asked {
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
			text, _ := io.ReadAll(res.Body) // cut when the test is over
			res.Body.Close()
			if res.StatusCode == http.StatusTooManyRequests && strings.Contains(string(text), "which is its share") {
				refused.Add(1)
			}
		})
	}
	poll.Until(s.t, "the token's places are taken, and its other requests refused", func() bool {
		return hanging.Load() > 0 && refused.Load() >= 10
	})
	// Others are answered while the receiver hangs.
	s.call(http.MethodGet, "/accounts/"+account, nil)
	s.signIn("operator@localhost").Get("/console/producers").Says("Product teams")
	freed()
	cancel()
	asking.Wait()
}
