//go:build unix

package belfry_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// benchEvent is about 450 bytes as JSON.
func benchEvent() belfry.Event {
	return belfry.Event{
		Action: belfry.Action{Type: "update", Description: "change the record", Result: belfry.Success},
		Actor: belfry.Actor{
			Type:      belfry.User,
			ID:        "0192f0c1a2b37c4d8e5f60718293a4b5",
			Email:     "ana@example.com",
			IPAddress: "192.0.2.7",
		},
		Interface: belfry.API,
		Resource: belfry.Resource{
			Product: "dns",
			Type:    "record",
			ID:      "0192f0c1a2b37c4d8e5f60718293a4b6",
			Name:    "www.shop.example",
		},
		Zone:   "shop.example",
		Before: map[string]any{"ttl": 300, "content": "192.0.2.1"},
		After:  map[string]any{"ttl": 60, "content": "192.0.2.1"},
	}
}

// accepting answers 200 with a result for each line, at next to no cost.
func accepting(b *testing.B, events *atomic.Int64) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		n := strings.Count(string(text), "\n")
		answer := []byte(`{"success":true,"errors":[],"messages":[],"result":[`)
		for i := range n {
			if i > 0 {
				answer = append(answer, ',')
			}
			answer = append(answer, `{"index":`...)
			answer = strconv.AppendInt(answer, int64(i), 10)
			answer = append(answer, `,"status":"accepted","seq":1}`...)
		}
		w.Write(append(answer, `]}`...))
		events.Add(int64(n))
	}))
	b.Cleanup(srv.Close)
	return srv
}

// unzipped decompresses the body before next.
func unzipped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(z)
		next.ServeHTTP(w, r)
	})
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAudit measures the call alone: nothing is delivered meanwhile.
func BenchmarkAudit(b *testing.B) {
	for _, durability := range []belfry.Durability{belfry.PowerLoss, belfry.ProcessCrash} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", strings.ReplaceAll(durability.String(), " ", "-"), callers), func(b *testing.B) {
				hang := make(chan struct{})
				srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
				defer srv.Close()
				defer close(hang)
				c, err := belfry.New(belfry.Config{
					URL: srv.URL, Token: "t", AccountID: "a", SpoolDir: b.TempDir(), Durability: durability,
					MaxSpoolBytes: 8 << 30, Linger: time.Hour, BatchEvents: 1,
				})
				if err != nil {
					b.Fatal(err)
				}
				e := benchEvent()
				b.ReportAllocs()
				b.ResetTimer()
				used := cpu()
				var wg sync.WaitGroup
				var next atomic.Int64
				for range callers {
					wg.Go(func() {
						for next.Add(1) <= int64(b.N) {
							if err := c.Audit(context.Background(), e); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64((cpu()-used).Nanoseconds())/1e3/float64(b.N), "cpu-us/event")
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				c.Close(ctx)
			})
		}
	}
}

// BenchmarkDeliver measures a full spool being delivered to a server on the
// loopback address that does nothing; the server's cost is in the figure.
func BenchmarkDeliver(b *testing.B) {
	for _, plain := range []bool{false, true} {
		name := "gzip"
		if plain {
			name = "plain"
		}
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			cfg := belfry.Config{
				URL: "http://127.0.0.1:1", Token: "t", AccountID: "a", SpoolDir: dir, Durability: belfry.ProcessCrash,
				MaxSpoolBytes: 8 << 30, RetryMin: time.Hour, RetryMax: time.Hour, NoGzip: plain,
			}
			c, err := belfry.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			e := benchEvent()
			for range b.N {
				if err := c.Audit(context.Background(), e); err != nil {
					b.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			c.Close(ctx)
			var got atomic.Int64
			srv := accepting(b, &got)
			if !plain {
				srv.Config.Handler = unzipped(srv.Config.Handler)
			}
			cfg.URL = srv.URL
			runtime.GC()
			b.ResetTimer()
			used := cpu()
			if c, err = belfry.New(cfg); err != nil {
				b.Fatal(err)
			}
			if err := c.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if got.Load() != int64(b.N) {
				b.Fatalf("%d of %d events arrived", got.Load(), b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64((cpu()-used).Nanoseconds())/1e3/float64(b.N), "cpu-us/event")
		})
	}
}
