package demo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/belfryhq/belfry/examples/shop"
	"github.com/belfryhq/belfry/internal/client"
)

// The past is four weeks of a small shop. Each start generates the same numbers, shifted so that they end now. They
// are sent to the public API and counted in event time, in seconds.
const (
	weeks      = 4
	seed       = 2015
	checkouts  = 20.0      // requests a second, as the shop's own visitors go on with
	visits     = 5.0       // the same of the storefront
	chance     = 0.0000125 // share of requests that fail without a cause
	perRequest = 5000      // counts, or events, that one request carries
)

// incident is the one outage of the past, of a quarter of an hour: a deployment that was rolled back. It spent a part
// of the budget; its alert was not sent.
type incident struct {
	before time.Duration // how long ago it began
	lasted time.Duration
	share  float64 // of the requests failed
}

var lastIncident = incident{before: 9*24*time.Hour + 5*time.Hour, lasted: 4 * time.Minute, share: 0.30}

// began returns the time of the first failed request, at the start of a count.
func (i incident) began(now time.Time) time.Time {
	end := now.Unix() / 10 * 10
	return time.Unix((end-int64(i.before.Seconds()))/300*300, 0)
}

// count is a line for the traffic on-ramp.
type count struct {
	Zone        string `json:"zone"`
	Hostname    string `json:"hostname,omitempty"`
	TS          int64  `json:"ts"`
	Seconds     int64  `json:"seconds"`
	Total       int64  `json:"total"`
	Bad         int64  `json:"bad"`
	Unreachable int64  `json:"unreachable,omitempty"`
}

// requestsOf generates the counts of a zone with a steady rate up to now: of ten seconds in the last hours and around
// the incident, of longer intervals elsewhere.
func requestsOf(zone string, rate float64, now time.Time, bad *incident, r *rand.Rand) []count {
	var list []count
	end := now.Unix() / 10 * 10
	at := end - weeks*7*24*3600
	at -= at % 300
	from, to := int64(0), int64(0)
	if bad != nil {
		from = bad.began(now).Unix()
		to = from + int64(bad.lasted.Seconds())
	}
	for at < end {
		width := int64(300)
		switch {
		case bad != nil && at >= from-3600 && at < to+3600, at >= end-6*3600:
			width = 10
		case at >= end-3*24*3600 && at%60 == 0:
			width = 60
		}
		width = min(width, end-at)
		share := chance
		if at >= from && at < to {
			share = bad.share
		}
		total := int64(math.Round(rate * float64(width) * (1 + 0.03*r.NormFloat64())))
		total = max(total, 0)
		list = append(list, count{
			Zone:     zone,
			Hostname: zone,
			TS:       at,
			Seconds:  width,
			Total:    total,
			Bad:      failures(total, share, r),
		})
		at += width
	}
	return list
}

// failures draws how many of n requests fail.
func failures(n int64, share float64, r *rand.Rand) int64 {
	mean := float64(n) * share
	if mean > 30 {
		return min(n, int64(math.Round(mean+math.Sqrt(mean*(1-share))*r.NormFloat64())))
	}
	k := int64(0)
	p := 1.0
	limit := math.Exp(-mean) // Knuth, The Art of Computer Programming 3.4.1
	for p *= r.Float64(); p > limit; p *= r.Float64() {
		k++
	}
	return min(k, n)
}

// replay sends the requests and the changes of the past in order of time.
func (d *demo) replay(ctx context.Context, s State, say func(string, ...any)) (events int, requests int64, err error) {
	now := time.Now()
	r := rand.New(rand.NewPCG(seed, 0))
	counts := slices.Concat(
		requestsOf(checkout, checkouts, now, &lastIncident, r),
		requestsOf(storefront, visits, now, nil, r),
	)
	old, err := realLog(now)
	if err != nil {
		return 0, 0, err
	}
	counts = append(counts, old...)
	slices.SortStableFunc(counts, func(a, b count) int { return cmp.Compare(a.TS+a.Seconds, b.TS+b.Seconds) })
	before := pastChanges(now, r)
	if events, err = d.sendEvents(ctx, s, before.events); err != nil {
		return events, 0, err
	}
	if err := shop.Restore(filepath.Join(d.dir, "shop"), before.shop); err != nil {
		return events, 0, err
	}
	say("the shop's changes; now its requests, %s counts ...", thousands(int64(len(counts))))
	for n, part := range slices.Collect(slices.Chunk(counts, perRequest)) {
		var body bytes.Buffer
		for _, c := range part {
			line, err := json.Marshal(c)
			if err != nil {
				return events, requests, err
			}
			body.Write(append(line, '\n'))
			requests += c.Total
		}
		_, err := d.api.Call(ctx, client.Request{Method: http.MethodPost, Path: "/accounts/" + s.Account + "/traffic/counts",
			ContentType: "application/x-ndjson", Body: body.Bytes(), Key: fmt.Sprintf("demo-past-%d", n)})
		if err != nil {
			return events, requests, err
		}
	}
	return events, requests, d.caughtUp(ctx, s, counts[len(counts)-1])
}

// caughtUp waits until the objectives have counted the last request of the past.
func (d *demo) caughtUp(ctx context.Context, s State, last count) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		var status struct {
			AsOf time.Time `json:"as_of"`
		}
		if err := d.api.JSON(ctx, http.MethodGet, "/accounts/"+s.Account+"/slos/"+s.Objective+"/status", nil,
			&status); err != nil {
			return err
		}
		if status.AsOf.Unix() >= last.TS+last.Seconds {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the objectives have counted only up to %v", status.AsOf)
		}
	}
}

// sendEvents publishes changes as a batch.
func (d *demo) sendEvents(ctx context.Context, s State, list []map[string]any) (int, error) {
	for part := range slices.Chunk(list, perRequest) {
		var body bytes.Buffer
		for _, e := range part {
			line, err := json.Marshal(e)
			if err != nil {
				return 0, err
			}
			body.Write(append(line, '\n'))
		}
		env, err := d.api.Call(ctx, client.Request{Method: http.MethodPost, Path: "/accounts/" + s.Account + "/audit/events",
			ContentType: "application/x-ndjson", Body: body.Bytes()})
		if err != nil {
			return 0, err
		}
		var sum struct{ Rejected, Conflict int }
		if err := json.Unmarshal(env.ResultInfo, &sum); err != nil {
			return 0, err
		}
		if sum.Rejected+sum.Conflict > 0 {
			return 0, fmt.Errorf("the record refused %d of the demo's changes: %.400s", sum.Rejected+sum.Conflict, env.Result)
		}
	}
	return len(list), nil
}
