// Command soak puts a stated load on one server for a long time and prints, for each interval, what the server uses:
// memory, descriptors, goroutines, disk. Each must be flat at the end; one that still grows is a leak, or has no bound.
//
//	go run ./bench/soak               ten minutes
//	go run ./bench/soak -minutes 60   an hour
//
// The load: 625 audit events, 12 alerts and 12 counts a second, over 20 accounts, as single requests of 25 events, of
// one alert and of one count. A policy of each account sends every alert to a webhook that answers at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/bench/internal/load"
	"github.com/belfryhq/belfry/bench/internal/process"
)

const (
	accounts         = 20
	eventsPerSecond  = 625
	eventsPerRequest = 25
	alertsPerSecond  = 12
	countsPerSecond  = 12
	callers          = 8 // of each kind of request, so that a slow answer delays no other
)

type options struct {
	folder   string
	minutes  int
	interval time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.minutes, "minutes", 10, "rows of the table, each the length of -interval")
	flag.DurationVar(&o.interval, "interval", time.Minute, "time between two rows")
	flag.StringVar(&o.folder, "dir", "", "where the server keeps its data; empty = a temporary folder, deleted at the end")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/soak:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.folder == "" {
		if o.folder, err = os.MkdirTemp("", "belfry-soak-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.folder)) }()
	}
	program, err := process.Build(ctx, o.folder)
	if err != nil {
		return err
	}
	s := &soak{options: o, data: filepath.Join(o.folder, "data")}
	if s.server, err = process.Start(ctx, settings(s.data), program, "serve"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.server.Stop()) }()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.delivered.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // the answer is the same for every message
	}))
	defer receiver.Close()
	if err := s.prepare(ctx, receiver.URL); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}

	fmt.Printf("%s. %d audit events, %d alerts and %d counts a second over %d accounts, for %v\n\n", process.Machine(),
		eventsPerSecond, alertsPerSecond, countsPerSecond, accounts, time.Duration(o.minutes)*o.interval)
	return s.run(ctx)
}

// settings are the server's; two that are compared in runs may be set in the environment.
func settings(data string) map[string]string {
	extra := map[string]string{"BELFRY_LOG_LEVEL": "error"}
	for _, name := range []string{"BELFRY_SQLITE_CACHE_MB", "GODEBUG"} {
		if value, ok := os.LookupEnv(name); ok {
			extra[name] = value
		}
	}
	return process.Settings(data, "soak-soak-soak-soak-soak-soak-soak-soak", extra)
}

// soak is a run.
type soak struct {
	options
	server   *process.Server
	data     string
	accounts []string

	sent, refused, delivered atomic.Int64
	fault                    atomic.Value // error
}

// run loads the server and prints a row at each interval.
func (s *soak) run(ctx context.Context) error {
	loaded, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, kind := range []struct {
		perSecond int
		request   func(n int) (path string, body any)
	}{
		{eventsPerSecond / eventsPerRequest, s.events},
		{alertsPerSecond, s.alert},
		{countsPerSecond, s.count},
	} {
		running.Go(func() {
			load.Pace(loaded, kind.perSecond, callers, math.MaxInt, func(ctx context.Context, n int) {
				path, body := kind.request(n)
				s.post(ctx, path, body)
			})
		})
	}

	printHead()
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	for row := 1; row <= s.minutes; row++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		used, err := s.measure(ctx)
		if err != nil {
			return err
		}
		used.print(row, s)
	}
	if n := s.refused.Load(); n > 0 {
		return fmt.Errorf("%d requests were refused or failed; the last: %v", n, s.fault.Load())
	}
	return nil
}

func (s *soak) post(ctx context.Context, path string, body any) {
	err := s.server.Call(ctx, "POST", path, body, nil)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.refused.Add(1)
		s.fault.Store(err)
	default:
		s.sent.Add(1)
	}
}
