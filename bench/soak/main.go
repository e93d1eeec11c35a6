// Command soak puts a stated load on one server for a long time and prints, each
// minute, what the server holds: memory, descriptors, goroutines, disk. Each must
// be flat at the end; what grows on is a leak, or has no bound.
//
//	go run ./bench/soak               ten minutes
//	go run ./bench/soak -minutes 60   an hour
//
// The load: 625 audit events, 12 alerts and 12 counts a second, over 20 accounts,
// as single requests of 25 events, of one alert and of one count. A policy of each
// account sends every alert to a webhook that answers at once.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"
)

const (
	accounts         = 20
	eventsPerSecond  = 625
	eventsPerRequest = 25
	alertsPerSecond  = 12
	countsPerSecond  = 12
	callers          = 8 // of each kind of request, so that a slow answer delays no tick
)

func main() {
	minutes := flag.Int("minutes", 10, "how long the load lasts")
	folder := flag.String("dir", "", "where the server keeps its data; empty = a temporary directory, removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := soak(ctx, *minutes, *folder); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func soak(ctx context.Context, minutes int, folder string) (err error) {
	if folder == "" {
		if folder, err = os.MkdirTemp("", "belfry-soak-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	s, err := start(ctx, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	var delivered atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		delivered.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // the answer is the same, whatever came
	}))
	defer receiver.Close()
	if err := s.prepare(ctx, receiver.URL); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	fmt.Printf("%d audit events, %d alerts and %d counts a second over %d accounts, for %d minutes\n\n",
		eventsPerSecond, alertsPerSecond, countsPerSecond, accounts, minutes)
	return s.run(ctx, minutes, &delivered)
}

// run loads the server and prints a line each minute.
func (s *server) run(ctx context.Context, minutes int, delivered *atomic.Int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var load sync.WaitGroup
	load.Go(func() { s.every(ctx, eventsPerSecond/eventsPerRequest, s.events) })
	load.Go(func() { s.every(ctx, alertsPerSecond, s.alert) })
	load.Go(func() { s.every(ctx, countsPerSecond, s.count) })
	defer load.Wait()
	defer cancel()
	printHead()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for minute := 1; minute <= minutes; minute++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		held, err := s.measure(ctx)
		if err != nil {
			return err
		}
		held.print(minute, s.sent.Load(), s.refused.Load(), delivered.Load())
	}
	if n := s.refused.Load(); n > 0 {
		return fmt.Errorf("%d requests were refused or failed; the last: %v", n, s.fault.Load())
	}
	return nil
}

// every makes perSecond requests a second until ctx ends.
func (s *server) every(ctx context.Context, perSecond int, request func(n int) (path string, body any)) {
	due := make(chan int, perSecond)
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for n := range due {
				path, body := request(n)
				switch err := s.call(ctx, "POST", path, body, nil); {
				case ctx.Err() != nil:
				case err != nil:
					s.refused.Add(1)
					s.fault.Store(err)
				default:
					s.sent.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			close(due)
			running.Wait()
			return
		}
		select {
		case due <- n:
		default: // a second behind: the request is left out, and seen in the table
			s.refused.Add(1)
			s.fault.Store(errors.New("the server is more than a second behind"))
		}
	}
}

// prepare makes the accounts, the type of alert and the policies.
func (s *server) prepare(ctx context.Context, receiver string) error {
	var team struct{ ID string }
	if err := s.call(ctx, "POST", "/producers", m{"name": "Soak"}, &team); err != nil {
		return err
	}
	err := s.call(ctx, "PUT", "/producers/"+team.ID+"/catalog", m{"version": 1, "products": []m{{
		"product": "soak", "title": "Soak", "category": "Soak",
		"alert_types": []m{{"type": "soak_notice", "title": "Soak notice", "severities": []string{"info"}}},
	}}}, nil)
	if err != nil {
		return err
	}
	for i := range accounts {
		var account, hook struct{ ID string }
		if err := s.call(ctx, "POST", "/accounts", m{"name": fmt.Sprint("Soak ", i)}, &account); err != nil {
			return err
		}
		s.accounts = append(s.accounts, account.ID)
		base := "/accounts/" + account.ID + "/alerting/v3"
		err := s.call(ctx, "POST", base+"/destinations/webhooks", m{"name": "Receiver", "url": receiver}, &hook)
		if err != nil {
			return err
		}
		err = s.call(ctx, "POST", base+"/policies", m{
			"name": "All", "enabled": true, "alert_type": "soak_notice",
			"mechanisms": m{"webhooks": []m{{"id": hook.ID}}},
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

type m = map[string]any

// The three kinds of requests, by their running number.

func (s *server) events(n int) (path string, body any) {
	list := make([]m, eventsPerRequest)
	for i := range list {
		serial := n*eventsPerRequest + i
		user := fmt.Sprint("user-", serial%500)
		setting := fmt.Sprint("setting-", serial%5000)
		list[i] = m{
			"action":   m{"type": "update"},
			"actor":    m{"type": "user", "id": user, "name": user, "email": user + "@example.com"},
			"resource": m{"product": "shop", "type": "setting", "id": setting, "name": setting},
			"before":   m{"value": serial},
			"after":    m{"value": serial + 1},
		}
	}
	return "/accounts/" + s.accounts[n%accounts] + "/audit/events", list
}

func (s *server) alert(n int) (path string, body any) {
	return "/accounts/" + s.accounts[n%accounts] + "/alerting/v3/alerts",
		m{"alert_type": "soak_notice", "event": "notice", "summary": fmt.Sprint("Notice ", n)}
}

func (s *server) count(n int) (path string, body any) {
	return "/accounts/" + s.accounts[n%accounts] + "/traffic/counts",
		m{"zone": "soak.example", "ts": time.Now().Unix(), "total": 100, "bad": n % 3}
}

// call makes one request as the operators; into takes its result, and may be nil.
func (s *server) call(ctx context.Context, method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+"/client/v4"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %.300s", method, path, res.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	var envelope struct{ Result json.RawMessage }
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return err
	}
	return json.Unmarshal(envelope.Result, into)
}
