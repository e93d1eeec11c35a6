package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

// reader asks as one client, request after request.
type reader struct {
	*bench
	s    *server
	rng  *rand.Rand
	zipf *rand.Zipf
	ids  map[string][]string // by account: events to ask for
	size map[string]uint64   // by account: of its log
}

// reads measures what readers and verifiers ask, in the one large account and
// over all accounts as they are used.
func (b *bench) reads(ctx context.Context) error {
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(7, 7))
	r := &reader{bench: b, s: s, rng: rng, zipf: rand.NewZipf(rng, 1.1, 8, uint64(len(b.state.Accounts)-1)),
		ids: map[string][]string{}, size: map[string]uint64{}}
	one := func() string { return b.state.One }
	if err := r.sample(ctx, b.state.One, 40); err != nil {
		return err
	}
	size, err := r.logSize(ctx, b.state.One)
	if err != nil {
		return err
	}
	if err := r.rows(ctx, fmt.Sprintf("one account of %s", thousands(int(size))), one); err != nil {
		return err
	}
	if err := r.rows(ctx, fmt.Sprintf("%d accounts, Zipf", b.accounts), func() string { return b.state.Accounts[r.zipf.Uint64()] }); err != nil {
		return err
	}
	return s.stop()
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
		most time.Duration
	}{
		{"newest 100", page(""), 0},
		{"100 before a time in the past", func() (string, error) {
			before := time.Now().Add(-time.Duration(r.rng.Int64N(int64(80 * 24 * time.Hour)))).UTC().Format(time.RFC3339)
			return account() + "/logs/audit?limit=100&since=2000-01-01&before=" + url.QueryEscape(before), nil
		}, 0},
		{"newest 100 of a product with a quarter of all", page("&resource_product=" + oftenProduct), 0},
		{"newest 100 of one resource in 50,000", func() (string, error) {
			p, err := page("&resource_id=" + resource(r.rng.IntN(resources)))()
			return p, err
		}, 0},
		{"newest 100 of one actor in a million", page("&actor_id=" + rareActor), 0},
		{"newest 100 of an actor who did nothing", page("&actor_id=nobody"), 0},
		{"other filter, a tenth matches", page("&interface=CLI"), 0},
		{"one event", event("/audit/events/%s"), 0},
		{"history of an event's resource", event("/logs/audit/%s/history?limit=100"), 0},
		{"inclusion proof", event("/audit/log/proof?event_id=%s"), 0},
		{"checkpoint", func() (string, error) { return account() + "/audit/log/checkpoint", nil }, 0},
		{"tile of hashes", func() (string, error) { return r.tile(ctx, account(), "") }, 0},
		{"tile of 256 entries", func() (string, error) { return r.tile(ctx, account(), "entries/") }, 0},
		{"summary of 30 days by product", func() (string, error) { return account() + "/audit/summary?group_by=product", nil }, 0},
	}
	for _, k := range kinds {
		if err := r.row(ctx, where, k.name, k.path); err != nil {
			return fmt.Errorf("%s, %s: %w", where, k.name, err)
		}
	}
	return nil
}

func (r *reader) row(ctx context.Context, where, name string, path func() (string, error)) error {
	t := r.out.table("Reads over HTTP, one after the other", "question", "in", "requests", "p50", "p99", "server us/request", "answer", "load")
	t.note("One client asks one question after the other; every request goes through the API with a token. A row ends after the number of requests or a quarter of the time limit. `400` counts answers \"narrow the time range\" of searches that found nothing in two seconds.")
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
	before := r.s.usage()
	for _, p := range paths {
		begin := time.Now()
		status, text, err := r.s.call(ctx, "GET", "/client/v4/accounts/"+p, "", nil, answer)
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
	u := r.s.usage().since(before)
	n := len(times)
	size := fmt.Sprintf("%.1f KB", float64(bytesRead)/float64(n)/1e3)
	if narrow > 0 {
		size += fmt.Sprintf(", %d of them 400", narrow)
	}
	t.add(name, where, thousands(n), ms(quantile(times, 0.5)), ms(quantile(times, 0.99)), each(u.server, n), size, read("/proc/loadavg")[:4])
	r.say("%s, %s: p50 %s, p99 %s", where, name, ms(quantile(times, 0.5)), ms(quantile(times, 0.99)))
	return nil
}

// sample gathers ids of events at random times.
func (r *reader) sample(ctx context.Context, account string, pages int) error {
	for i := range pages {
		before := time.Now()
		if i > 0 {
			before = before.Add(-time.Duration(r.rng.Int64N(int64(85 * 24 * time.Hour))))
		}
		var list []struct {
			ID string `json:"id"`
		}
		if err := r.get(ctx, account+"/logs/audit?limit=100&since=2000-01-01&before="+url.QueryEscape(before.UTC().Format(time.RFC3339)), &list); err != nil {
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

func (r *reader) get(ctx context.Context, path string, to any) error {
	status, text, err := r.s.call(ctx, "GET", "/client/v4/accounts/"+path, "", nil, nil)
	if err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("%s: status %d: %.300s", path, status, text)
	}
	var env struct {
		Result any `json:"result"`
	}
	env.Result = to
	return json.Unmarshal(text, &env)
}

// logSize reads the size of an account's log from its checkpoint.
func (r *reader) logSize(ctx context.Context, account string) (uint64, error) {
	if n, ok := r.size[account]; ok {
		return n, nil
	}
	status, text, err := r.s.call(ctx, "GET", "/client/v4/accounts/"+account+"/audit/log/checkpoint", "", nil, nil)
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
