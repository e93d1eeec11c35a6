package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// provider is the payment provider: a service of its own behind a listener of
// its own, which the checkout reaches over HTTP.
type provider struct {
	server *http.Server
	url    string
	client *http.Client
	done   chan struct{}
}

func newProvider() (*provider, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &provider{
		url:  "http://" + l.Addr().String(),
		done: make(chan struct{}),
		server: &http.Server{
			Handler:           http.HandlerFunc(charge),
			ReadHeaderTimeout: 5 * time.Second,
			IdleTimeout:       time.Minute,
		},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second}},
	}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(l) // ends with close
	}()
	return p, nil
}

func (p *provider) close() {
	p.server.Close()
	<-p.done
	p.client.CloseIdleConnections()
}

// latency of the provider: two of five answers come from its cache.
func latency() time.Duration {
	if rand.Float64() < 0.4 {
		return time.Duration(2+rand.IntN(13)) * time.Millisecond
	}
	return time.Duration(40+rand.IntN(361)) * time.Millisecond
}

// charge is the provider's one operation.
func charge(w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(latency())
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
		return // the shop has given up
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"status": "authorised", "id": fmt.Sprintf("ch_%08x", rand.Uint32())})
}

// pay asks the provider and gives the status that the checkout answers: 200,
// 504 when it took longer than the payment timeout, 502 when it failed.
func (p *provider) pay(ctx context.Context, timeout time.Duration) int {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, p.url+"/charge", http.NoBody)
	if err != nil {
		return http.StatusBadGateway
	}
	res, err := p.client.Do(req)
	if err == nil {
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return http.StatusGatewayTimeout
	case err != nil || res.StatusCode != http.StatusOK:
		return http.StatusBadGateway
	}
	return http.StatusOK
}
