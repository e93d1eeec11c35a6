package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
)

// reader asks as one client, request after request.
type reader struct {
	*bench
	s    *measuredServer
	rng  *rand.Rand
	zipf *rand.Zipf
	ids  map[string][]string // by account: events to ask for
	size map[string]uint64   // by account: of its log
}

// reads measures what readers and verifiers ask, in the one large account and
// over all accounts as they are used.
func (b *bench) reads(ctx context.Context) error {
	return b.within(ctx, func(s *measuredServer) error {
		rng := rand.New(rand.NewPCG(7, 7))
		r := &reader{
			bench: b,
			s:     s,
			rng:   rng,
			zipf:  rand.NewZipf(rng, 1.1, 8, uint64(len(b.state.Accounts)-1)),
			ids:   map[string][]string{},
			size:  map[string]uint64{},
		}
		if err := r.sample(ctx, b.state.One, 40); err != nil {
			return err
		}
		size, err := r.logSize(ctx, b.state.One)
		if err != nil {
			return err
		}
		one := func() string { return b.state.One }
		if err := r.rows(ctx, fmt.Sprintf("one account of %s", report.Thousands(int(size))), one); err != nil {
			return err
		}
		drawn := func() string { return b.state.Accounts[r.zipf.Uint64()] }
		return r.rows(ctx, fmt.Sprintf("%d accounts, Zipf", b.accounts), drawn)
	})
}

// rows measures every kind of question.
func (r *reader) rows(ctx context.Context, where string, account func() string) error {
	page := func(query string) func() (string, error) {
		return func() (string, error) {
			return account() + "/logs/audit?limit=100&since=2000-01-01&before=2100-01-01" + query, nil
		}
	}
	event := func(format string) func() (string, error) {
		return func() (string, error) {
			a := account()
			id, err := r.event(ctx, a)
			return a + fmt.Sprintf(format, id), err
		}
	}
	kinds := []struct {
		name string
		path func() (string, error)
	}{
		{"newest 100", page("")},
		{"100 before a time in the past", func() (string, error) {
			before := time.Now().Add(-time.Duration(r.rng.Int64N(int64(80 * 24 * time.Hour))))
			return account() + "/logs/audit?limit=100&since=2000-01-01&before=" +
				url.QueryEscape(before.UTC().Format(time.RFC3339)), nil
		}},
		{"newest 100 of a product with a quarter of all", page("&resource_product=" + oftenProduct)},
		{"newest 100 of one resource in 50,000", func() (string, error) {
			return page("&resource_id=" + resource(r.rng.IntN(resources)))()
		}},
		{"newest 100 of one actor in a million", page("&actor_id=" + rareActor)},
		{"newest 100 of an actor who did nothing", page("&actor_id=nobody")},
		{"other filter, a tenth matches", page("&interface=CLI")},
		{"one event", event("/audit/events/%s")},
		{"history of an event's resource", event("/logs/audit/%s/history?limit=100")},
		{"inclusion proof", event("/audit/log/proof?event_id=%s")},
		{"checkpoint", func() (string, error) { return account() + "/audit/log/checkpoint", nil }},
		{"tile of hashes", func() (string, error) { return r.tile(ctx, account(), "") }},
		{"tile of 256 entries", func() (string, error) { return r.tile(ctx, account(), "entries/") }},
		{"summary of 30 days by product", func() (string, error) {
			return account() + "/audit/summary?group_by=product", nil
		}},
	}
	for _, k := range kinds {
		if err := r.row(ctx, where, k.name, k.path); err != nil {
			return fmt.Errorf("%s, %s: %w", where, k.name, err)
		}
	}
	return nil
}

func (r *reader) row(ctx context.Context, where, name string, path func() (string, error)) error {
	t := r.out.Table("Reads over HTTP, one after the other", "question", "in", "requests", "p50", "p99",
		"server us/request", "answer", "load")
	t.Note("One client asks one question after the other; every request goes through the API with a token. A row ends " +
		"after the number of requests or a quarter of the time limit. `400` counts answers \"narrow the time range\" of " +
		"searches that found nothing in two seconds.")
	paths := make([]string, 0, r.requests)
	for range r.requests {
		p, err := path()
		if err != nil {
			return err
		}
		paths = append(paths, p)
	}
	var times []time.Duration
	answer := &bytes.Buffer{}
	var bytesRead, narrow int
	before := r.usage()
	for _, p := range paths {
		begin := time.Now()
		status, text, err := r.s.call(ctx, "GET", "/accounts/"+p, nil, answer)
		if err != nil {
			return err
		}
		times = append(times, time.Since(begin))
		bytesRead += len(text)
		switch status {
		case 200:
		case 400:
			narrow++
		default:
			return fmt.Errorf("%s: status %d: %.300s", p, status, text)
		}
		if time.Since(before.at) > r.limit/4 {
			break
		}
	}
	u := r.usage().since(before)
	n := len(times)
	size := fmt.Sprintf("%.1f KB", float64(bytesRead)/float64(n)/1e3)
	if narrow > 0 {
		size += fmt.Sprintf(", %d of them 400", narrow)
	}
	p50 := report.Milliseconds(report.Quantile(times, 0.5))
	p99 := report.Milliseconds(report.Quantile(times, 0.99))
	t.Add(name, where, report.Thousands(n), p50, p99, report.Each(u.server, n), size, process.Load())
	r.say("%s, %s: p50 %s, p99 %s", where, name, p50, p99)
	return nil
}

// sample gathers ids of events at random times.
func (r *reader) sample(ctx context.Context, account string, pages int) error {
	for i := range pages {
		before := time.Now()
		if i > 0 {
			before = before.Add(-time.Duration(r.rng.Int64N(int64(85 * 24 * time.Hour))))
		}
		var list []struct{ ID string }
		path := "/accounts/" + account + "/logs/audit?limit=100&since=2000-01-01&before=" +
			url.QueryEscape(before.UTC().Format(time.RFC3339))
		if err := r.s.Call(ctx, "GET", path, nil, &list); err != nil {
			return err
		}
		for _, e := range list {
			r.ids[account] = append(r.ids[account], e.ID)
		}
	}
	if len(r.ids[account]) == 0 {
		return fmt.Errorf("account %s has no events; run the phase load or ingest first", account)
	}
	return nil
}

// event draws one of the account's events.
func (r *reader) event(ctx context.Context, account string) (string, error) {
	if len(r.ids[account]) == 0 {
		if err := r.sample(ctx, account, 1); err != nil {
			return "", err
		}
	}
	return r.ids[account][r.rng.IntN(len(r.ids[account]))], nil
}

// logSize reads the size of an account's log from its checkpoint.
func (r *reader) logSize(ctx context.Context, account string) (uint64, error) {
	if n, ok := r.size[account]; ok {
		return n, nil
	}
	status, text, err := r.s.call(ctx, "GET", "/accounts/"+account+"/audit/log/checkpoint", nil, nil)
	if err != nil || status != 200 {
		return 0, fmt.Errorf("checkpoint: status %d: %.300s %w", status, text, err)
	}
	var n uint64
	lines := bytes.SplitN(text, []byte("\n"), 3)
	if len(lines) < 3 {
		return 0, fmt.Errorf("not a checkpoint: %.300s", text)
	}
	if _, err := fmt.Sscan(string(lines[1]), &n); err != nil {
		return 0, err
	}
	r.size[account] = n
	return n, nil
}

// tile draws a tile, a full one where there are any.
func (r *reader) tile(ctx context.Context, account, kind string) (string, error) {
	n, err := r.logSize(ctx, account)
	if err != nil {
		return "", err
	}
	if kind == "" {
		kind = "0/"
	}
	if n < 256 {
		return fmt.Sprintf("%s/audit/log/tile/%s000.p/%d", account, kind, n), nil
	}
	i := r.rng.Uint64N(n / 256)
	path := fmt.Sprintf("%03d", i%1000)
	for i /= 1000; i > 0; i /= 1000 {
		path = fmt.Sprintf("x%03d/%s", i%1000, path)
	}
	return account + "/audit/log/tile/" + kind + path, nil
}
