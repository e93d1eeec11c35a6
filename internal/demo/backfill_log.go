package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed" // the real access log
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/traffic"
)

// realLines is the access log of a real web server, 17 to 20 May 2015; its
// origin is described in data/README.md.
//
//go:embed data/apache_combined_2015-05.log.gz
var realLines []byte

// quietTraffic continues the old site's requests, minute by minute, from the beginning of its log: an objective without
// counts has the state "no data" after a quarter of an hour. It ends with ctx.
func (d *demo) quietTraffic(ctx context.Context) error {
	old, err := realLog(time.Now())
	if err != nil {
		return err
	}
	every := time.NewTicker(time.Minute)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		minute := time.Now().Unix()/60*60 - 60
		now := minuteOf(old, minute)
		body, err := json.Marshal(now)
		if err != nil {
			return err
		}
		_, err = d.api.Call(ctx, client.Request{
			Method:      http.MethodPost,
			Path:        "/accounts/" + d.now().Account + "/traffic/counts",
			ContentType: "application/json",
			Body:        body,
			Key:         fmt.Sprintf("demo-old-site-%d", minute),
		})
		if err != nil && ctx.Err() == nil { // the server may be gone: killing it is part of the demo
			fmt.Fprintf(d.Log, "demo: the old site's requests of a minute were not counted: %v\n", err)
		}
	}
}

// minuteOf returns the requests of one minute, evenly distributed over it, from an hour of the log: the log has all
// requests of an hour in one minute.
func minuteOf(old []count, minute int64) count {
	first := old[0].TS
	hours := (old[len(old)-1].TS-first)/3600 + 1
	from := first + minute/3600%hours*3600
	var total, bad int64
	for _, c := range old {
		if c.TS >= from && c.TS < from+3600 {
			total += c.Total
			bad += c.Bad
		}
	}
	n := minute / 60 % 60
	share := func(of int64) int64 { return of*(n+1)/60 - of*n/60 }
	now := count{Zone: quiet, Hostname: quiet, TS: minute, Seconds: 60, Total: share(total)}
	now.Bad = min(share(bad), now.Total)
	return now
}

// realLog counts the requests of the real log, shifted as a whole so that its last line is now: a site with a hundred
// requests an hour, and three errors in four days.
func realLog(now time.Time) ([]count, error) {
	z, err := gzip.NewReader(bytes.NewReader(realLines))
	if err != nil {
		return nil, fmt.Errorf("the real log: %w", err)
	}
	counts, _, err := traffic.Combined.ReadCounts(z, quiet, "")
	if err != nil {
		return nil, fmt.Errorf("the real log: %w", err)
	}
	last := counts[len(counts)-1]
	shift := (now.Unix() - last.At - last.Seconds) / 10 * 10
	list := make([]count, len(counts))
	for i, c := range counts {
		list[i] = count{
			Zone:        quiet,
			TS:          c.At + shift,
			Seconds:     c.Seconds,
			Total:       c.Total,
			Bad:         c.Bad,
			Unreachable: c.Unreachable,
		}
	}
	return list, nil
}
