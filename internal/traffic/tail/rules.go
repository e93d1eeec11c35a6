package tail

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/traffic"
)

// rules are those of one zone, as the server sent them.
type rules struct {
	sent traffic.CountingRules
	how  *traffic.Counting
	at   time.Time
}

const (
	rulesTime = time.Minute // after which the server is asked again
	maxZones  = 200         // with rules of their own in memory; further ones have those of the account
)

// byDefault counts by the default rules, without latency.
var byDefault = func() *traffic.Counting {
	how, err := traffic.CountingRules{Rules: traffic.DefaultRules}.Compile()
	if err != nil {
		panic(err) // the default rules are valid
	}
	return how
}()

// rulesOf says how a line of the zone is counted, and notes it in the range.
func (t *tailer) rulesOf(ctx context.Context, r *stretch, zone string) (*traffic.Counting, error) {
	if t.cfg.Counting == nil || zone == "" {
		return byDefault, nil
	}
	if r.again {
		return t.givenRules(r, zone)
	}
	one := t.rules[zone]
	if one == nil && len(t.rules) >= maxZones {
		zone = ""
		one = t.rules[zone]
	}
	if one == nil || time.Since(one.at) > rulesTime {
		var err error
		if one, err = t.askRules(ctx, zone); err != nil {
			return nil, err
		}
		t.rules[zone] = one
	}
	if !one.sent.Default || len(one.sent.Latency) > 0 {
		if r.used == nil {
			r.used = map[string]traffic.CountingRules{}
		}
		r.used[zone] = one.sent
	}
	return one.how, nil
}

// givenRules are those by which the range was counted before.
func (t *tailer) givenRules(r *stretch, zone string) (*traffic.Counting, error) {
	sent, ok := r.used[zone]
	if !ok {
		if sent, ok = r.used[""]; !ok {
			return byDefault, nil
		}
	}
	if r.given == nil {
		r.given = map[string]*traffic.Counting{}
	}
	how := r.given[zone]
	if how == nil {
		var err error
		if how, err = sent.Compile(); err != nil {
			return nil, fmt.Errorf("the rules of %s in the state file: %w", zone, err)
		}
		r.given[zone] = how
	}
	return how, nil
}

// askRules asks the server, with Follow for as long as it takes. Rules that are known
// already are used while the server does not answer.
func (t *tailer) askRules(ctx context.Context, zone string) (*rules, error) {
	wait := 250 * time.Millisecond
	for {
		sent, err := t.cfg.Counting(ctx, zone)
		var how *traffic.Counting
		if err == nil {
			how, err = sent.Compile()
		}
		switch {
		case err == nil:
			return &rules{sent, how, time.Now()}, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case t.rules[zone] != nil:
			old := *t.rules[zone]
			old.at = time.Now()
			return &old, nil
		case !t.cfg.Follow || t.cfg.Later == nil || !t.cfg.Later(err):
			return nil, &sendError{fmt.Errorf("the rules by which lines are counted: %w", err)}
		}
		t.report.trouble(t, "server", fmt.Sprintf("the rules by which lines are counted are not known, asked again: %v", err))
		select {
		case <-time.After(wait):
			wait = min(2*wait, 30*time.Second)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
