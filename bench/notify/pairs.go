package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
)

// measurePairs runs the row with good receivers and the row with bad ones in turn, on one server, and compares the
// latencies of the good receivers. The order changes with each pair, so that a machine that becomes faster or slower
// favours neither.
func (b *bench) measurePairs(ctx context.Context) error {
	var out report.Report
	t := out.Table(fmt.Sprintf("%d/s to %d destinations, without and with %d bad ones", b.rate, spread, spreadBad),
		"pair", "p95 without, with", "p99 without, with", "ratio of p95", "ratio of p99",
		"server us/delivery without, with", "lost", "load")
	t.Note(fmt.Sprintf("%s; %s. Rows of %d s.", b.engine, process.Machine(), b.seconds))
	quantiles := []float64{0.95, 0.99}
	ratios := make([][]float64, len(quantiles))
	if _, err := b.spreadRow(ctx, false); err != nil { // connections, caches
		return err
	}
	for pair := range b.pairs {
		var good, bad result
		for i := range 2 {
			withBad := (i+pair)%2 == 1
			r, err := b.spreadRow(ctx, withBad)
			if err != nil {
				return err
			}
			if withBad {
				bad = r
			} else {
				good = r
			}
		}
		var times, quotients []string
		for i, q := range quantiles {
			without := report.Quantile(good.latencies, q)
			with := report.Quantile(bad.latencies, q)
			ratio := float64(with) / float64(without)
			ratios[i] = append(ratios[i], ratio)
			times = append(times, report.Milliseconds(without)+", "+report.Milliseconds(with))
			quotients = append(quotients, fmt.Sprintf("%.2f", ratio))
		}
		t.Add(
			fmt.Sprint(pair+1),
			times[0],
			times[1],
			quotients[0],
			quotients[1],
			report.Each(good.used.server, good.sent)+", "+report.Each(bad.used.server, bad.sent),
			fmt.Sprint(good.expected-good.received+bad.expected-bad.received),
			process.Load(),
		)
	}
	t.Note(fmt.Sprintf("Median of the ratios: p95 %.2f, p99 %.2f.", median(ratios[0]), median(ratios[1])))
	out.Print(os.Stdout)
	return nil
}

// spreadRow waits until the retries of the row before have ended.
func (b *bench) spreadRow(ctx context.Context, bad bool) (result, error) {
	select {
	case <-ctx.Done():
	case <-time.After(7 * time.Second): // a destination that works again sends its retries within five
	}
	b.idle(ctx)
	if bad {
		return b.spreadWithBad(ctx)
	}
	return b.steady(ctx, "spread")
}

// median of a list that is not empty.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
