// Command notify measures notifications: how many deliveries a machine makes
// durable and sends, how long one takes from the request to the receiver, what
// it costs in CPU, and what one receiver that hangs does to the others.
//
//	go run ./bench/notify                     SQLite and the embedded broker
//	go run ./bench/notify -engine postgres    PostgreSQL and Apache Kafka (BELFRY_TEST_POSTGRES, BELFRY_TEST_KAFKA)
//
// The server is the real binary in a process of its own; the load generator
// and the receivers are this process, on the same machine. A receiver reads the
// body, finds the time at which it was sent, and answers 200. Every message must
// have a signature; every webhook-id is counted, and lost and doubled ones are
// columns of the result. CPU/each is user and system time of the server process
// for each delivery (proc(5)). Nothing here is asserted.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

type options struct {
	engine       string
	binary       string
	rows         string
	alerts       int
	destinations int
	batch        int
	callers      int
	rate         int
	seconds      int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.engine, "engine", "sqlite", "sqlite (with the embedded broker) or postgres (with Apache Kafka)")
	flag.StringVar(&o.binary, "binary", "", "a built belfry; empty = it is built")
	flag.IntVar(&o.alerts, "alerts", 30_000, "alerts of the throughput rows, each one delivery")
	flag.StringVar(&o.rows, "rows", "", "only the rows whose name begins so")
	flag.IntVar(&o.destinations, "destinations", 20, "destinations of the rows with several")
	flag.IntVar(&o.batch, "batch", 50, "alerts in a request of the throughput rows")
	flag.IntVar(&o.callers, "callers", 8, "concurrent requests of the throughput rows")
	flag.IntVar(&o.rate, "rate", 500, "alerts a second of the latency rows")
	flag.IntVar(&o.seconds, "seconds", 20, "length of a latency row")
	flag.Parse()
	if err := measure(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/notify:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, o options) error {
	s, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer s.stop()
	b := &bench{o: o, s: s, sink: newSink()}
	defer b.sink.server.CloseClientConnections()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	fmt.Printf("%s, %d alerts a request by %d callers; server and receivers on one machine of %s\n\n", o.engine, o.batch, o.callers, machine())
	fmt.Printf("%-44s %10s %8s %8s %8s %10s %6s %7s %10s\n", "row", "per second", "p50", "p99", "max", "CPU/each", "lost", "doubled", "own events")
	for _, row := range []struct {
		name string
		run  func(context.Context) (result, error)
	}{
		{"warm-up: one destination", func(ctx context.Context) (result, error) { return b.flood(ctx, "one", o.alerts/5, nil) }},
		{"flood: one destination", func(ctx context.Context) (result, error) { return b.flood(ctx, "one", o.alerts, nil) }},
		{fmt.Sprintf("flood: %d destinations", o.destinations), func(ctx context.Context) (result, error) { return b.flood(ctx, "many", o.alerts, nil) }},
		{"storm: starts, a correlation each", func(ctx context.Context) (result, error) { return b.storm(ctx, "start") }},
		{"storm: their ends", func(ctx context.Context) (result, error) { return b.storm(ctx, "end") }},
		{fmt.Sprintf("%d/s, %d destinations", o.rate, o.destinations), func(ctx context.Context) (result, error) { return b.steady(ctx, "many") }},
		{fmt.Sprintf("%d/s, one of %d hangs", o.rate, o.destinations), func(ctx context.Context) (result, error) {
			b.sink.hang(true)
			defer b.sink.hang(false)
			return b.steady(ctx, "poisoned")
		}},
		{fmt.Sprintf("%d/s, %d destinations, all good", o.rate, spread), func(ctx context.Context) (result, error) {
			return b.steady(ctx, "spread")
		}},
		{fmt.Sprintf("%d/s, %d of %d hang, drip or answer 429", o.rate, spreadBad, spread), func(ctx context.Context) (result, error) {
			b.sink.hang(true)
			defer b.sink.hang(false)
			return b.steady(ctx, "spread")
		}},
	} {
		if !strings.HasPrefix(row.name, o.rows) {
			continue
		}
		r, err := row.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		fmt.Printf("%-44s %10.0f %8s %8s %8s %10s %6d %7d %10d\n", row.name, r.rate, ms(r.p50), ms(r.p99), ms(r.max), us(r.cpu), r.lost, r.doubled, r.events)
	}
	all, own := s.memory()
	fmt.Printf("\nthe server's memory: %d MB, %d MB without pages of files\n", all>>20, own>>20)
	return nil
}

// bench is a run. kinds of alerts lead to groups of destinations.
type bench struct {
	o       options
	s       *server
	sink    *sink
	account string
}

type result struct {
	rate          float64
	p50, p99, max time.Duration
	cpu           time.Duration // of the server, per delivery
	lost, doubled int
	events        int // Belfry's own in the audit log, of a storm
}

// prepare makes the account, the alert types, the webhooks and the policies.
func (b *bench) prepare(ctx context.Context) error {
	var account, team struct {
		ID string `json:"id"`
	}
	if err := b.s.call(ctx, "POST", "/accounts", map[string]any{"name": "bench"}, &account); err != nil {
		return err
	}
	b.account = account.ID
	if err := b.s.call(ctx, "POST", "/producers", map[string]any{"name": "bench"}, &team); err != nil {
		return err
	}
	var types []map[string]any
	for _, name := range []string{"one", "many", "poisoned", "storm", "spread"} {
		types = append(types, map[string]any{"type": "bench_" + name, "title": name, "severities": []string{"error"},
			"filters": []map[string]any{{"key": "to", "title": "To"}}})
	}
	resources := []any{map[string]any{"type": "setting", "actions": []any{map[string]any{"type": "update", "sentence": "{actor} changed {resource}"}}}}
	catalogue := map[string]any{"version": 1, "products": []any{map[string]any{"product": "bench", "title": "Bench",
		"resources": resources, "alert_types": types}}}
	if err := b.s.call(ctx, "PUT", "/producers/"+team.ID+"/catalog", catalogue, nil); err != nil {
		return err
	}
	base := "/accounts/" + b.account + "/alerting/v3"
	hook := func(path string) (string, error) {
		var made struct {
			ID string `json:"id"`
		}
		return made.ID, b.s.call(ctx, "POST", base+"/destinations/webhooks", map[string]any{"name": path, "url": b.sink.server.URL + "/" + path}, &made)
	}
	policy := func(kind, to, id string) error {
		body := map[string]any{"name": kind + " " + to, "enabled": true, "alert_type": "bench_" + kind, "mechanisms": map[string]any{"webhooks": []any{map[string]any{"id": id}}}}
		if to != "" {
			body["filters"] = map[string]any{"to": []string{to}}
		}
		return b.s.call(ctx, "POST", base+"/policies", body, nil)
	}
	id, err := hook("good/one")
	if err == nil {
		err = policy("one", "", id)
	}
	if err == nil {
		err = policy("storm", "", id)
	}
	if err == nil {
		err = b.prepareStorm(ctx)
	}
	for i := 0; err == nil && i < b.o.destinations; i++ {
		if id, err = hook(fmt.Sprint("good/", i)); err == nil {
			err = policy("many", fmt.Sprint(i), id)
		}
		if err == nil && i > 0 {
			err = policy("poisoned", fmt.Sprint(i), id)
		}
	}
	if err == nil {
		if id, err = hook("bad"); err == nil {
			err = policy("poisoned", "0", id)
		}
	}
	for i := 0; err == nil && i < spread; i++ {
		if id, err = hook(spreadPath(i)); err == nil {
			err = policy("spread", fmt.Sprint(i), id)
		}
	}
	return err
}

// spread is the number of destinations of the rows with bad receivers; the first
// spreadBad of them are the bad ones. Their messages are never counted, so that
// both rows measure the same destinations.
const (
	spread    = 100
	spreadBad = 20
)

func spreadPath(i int) string {
	if i >= spreadBad {
		return fmt.Sprint("good/spread-", i)
	}
	return "bad/" + []string{"hang", "drip", "429"}[i%3] + fmt.Sprint(i)
}

// alert makes the n-th alert of a row; its destination is n's turn.
func (b *bench) alert(row, kind string, n int) map[string]any {
	destinations := b.o.destinations
	if kind == "spread" {
		destinations = spread
	}
	return map[string]any{
		"id":         fmt.Sprintf("%s-%d", row, n),
		"alert_type": "bench_" + kind,
		"event":      "notice",
		"summary":    "A message of the size that messages have, with a sentence for people in it",
		"filters":    map[string]any{"to": []string{fmt.Sprint(n % destinations)}},
		"data": map[string]any{
			"sent": time.Now().UnixNano(),
			"row":  row,
			"pad":  strings.Repeat("0123456789", 7),
		},
	}
}

// flood sends alerts as fast as they are accepted, and waits for the last. CPU is
// read when the server is idle again, because the audit log stores Belfry's own
// events after the deliveries. alertOf makes the n-th alert; nil = as in all
// other rows.
func (b *bench) flood(ctx context.Context, kind string, alerts int, alertOf func(row string, n int) map[string]any) (result, error) {
	if alertOf == nil {
		alertOf = func(row string, n int) map[string]any { return b.alert(row, kind, n) }
	}
	b.idle(ctx)
	row := fmt.Sprint(kind, time.Now().UnixNano())
	b.sink.begin(row)
	used, began := b.s.cpu(), time.Now()
	work := make(chan int)
	failed := make(chan error, b.o.callers)
	var wait sync.WaitGroup
	for range b.o.callers {
		wait.Go(func() {
			for first := range work {
				var list []any
				for n := first; n < min(first+b.o.batch, alerts); n++ {
					list = append(list, alertOf(row, n))
				}
				if err := b.s.call(ctx, "POST", "/accounts/"+b.account+"/alerting/v3/alerts", list, nil); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for first := 0; first < alerts; first += b.o.batch {
		select {
		case work <- first:
		case err := <-failed:
			close(work)
			return result{}, err
		}
	}
	close(work)
	wait.Wait()
	b.sink.await(ctx, alerts, time.Minute)
	took := b.sink.last().Sub(began)
	b.idle(ctx)
	return b.result(alerts, alerts, took, b.s.cpu()-used), nil
}

// steady sends one alert a request at an even rate.
func (b *bench) steady(ctx context.Context, kind string) (result, error) {
	row := fmt.Sprint(kind, time.Now().UnixNano())
	b.sink.begin(row)
	total := b.o.rate * b.o.seconds
	used, began := b.s.cpu(), time.Now()
	failed := make(chan error, 1)
	var wait sync.WaitGroup
	slots := make(chan struct{}, 64)
	for n := range total {
		if d := time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(b.o.rate))); d > 0 {
			time.Sleep(d)
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := b.s.call(ctx, "POST", "/accounts/"+b.account+"/alerting/v3/alerts", b.alert(row, kind, n), nil); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	wait.Wait()
	select {
	case err := <-failed:
		return result{}, err
	default:
	}
	expect := total
	if kind == "poisoned" {
		expect = total - (total+b.o.destinations-1)/b.o.destinations
	}
	if kind == "spread" {
		expect = total/spread*(spread-spreadBad) + max(0, total%spread-spreadBad)
	}
	b.sink.await(ctx, expect, 30*time.Second)
	return b.result(total, expect, time.Since(began), b.s.cpu()-used), nil
}

func (b *bench) result(sent, expect int, took, cpu time.Duration) result {
	seen, late := b.sink.end()
	r := result{rate: float64(len(seen)) / took.Seconds(), lost: expect - len(seen), cpu: cpu / time.Duration(sent)}
	for _, n := range seen {
		r.doubled += n - 1
	}
	if len(late) > 0 {
		slices.Sort(late)
		r.p50, r.p99, r.max = late[len(late)/2], late[len(late)*99/100], late[len(late)-1]
	}
	return r
}

// call is one request to the API.
func (s *server) call(ctx context.Context, method, path string, body, result any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+"/client/v4"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
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
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, &struct{ Result any }{result})
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: time.Minute}

func ms(d time.Duration) string { return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000) }
func us(d time.Duration) string { return fmt.Sprintf("%dus", d.Microseconds()) }
