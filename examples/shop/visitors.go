package shop

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// visit sends so many requests a second to the shop's own address, each a real
// one with the zone's host name, until ctx ends. Requests overlap: a slow
// answer does not thin the traffic out.
func visit(ctx context.Context, addr, host string, perSecond int, next func() (method, path string)) {
	if perSecond == 0 {
		return
	}
	client := &http.Client{
		Timeout:       70 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	var under sync.WaitGroup
	defer under.Wait()
	places := make(chan struct{}, 10*perSecond+100) // at once
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		select {
		case places <- struct{}{}:
		default:
			continue // the shop hangs: visitors leave
		}
		under.Go(func() {
			defer func() { <-places }()
			method, path := next()
			// A visit that has begun ends by itself: it would count as failed else.
			req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, "http://"+addr+path, http.NoBody)
			if err != nil {
				return
			}
			req.Host = host
			req.Header.Set("User-Agent", agents[rand.IntN(len(agents))])
			if res, err := client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection is used again
				res.Body.Close()
			}
		})
	}
}

var agents = []string{"Mozilla/5.0 (X11; Linux x86_64) shop-visitor/1", "Mozilla/5.0 (iPhone) shop-visitor/1",
	"Mozilla/5.0 (Macintosh) shop-visitor/1"}

// checkoutVisit pays, or looks at the cart, whose prices the provider knows.
func checkoutVisit() (method, path string) {
	if rand.IntN(4) == 0 {
		return http.MethodGet, "/cart"
	}
	return http.MethodPost, "/checkout"
}

func storefrontVisit() (method, path string) {
	if rand.IntN(3) == 0 {
		return http.MethodGet, "/products/" + products[rand.IntN(len(products))].ID
	}
	return http.MethodGet, "/"
}
