package slo

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

type metrics struct {
	updates     prometheus.Counter
	refused     *prometheus.CounterVec
	transitions *prometheus.CounterVec
	seconds     prometheus.Histogram
	watermark   *prometheus.GaugeVec
	lines       *prometheus.GaugeVec
	bytes       *prometheus.GaugeVec
	reads       prometheus.Counter
	refreshed   prometheus.Counter
}

func newMetrics() metrics {
	perShard := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"shard"})
	}
	return metrics{
		updates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_slo_updates_total", Help: "Samples added to ticks."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_slo_refused_total", Help: "Counts refused, by reason: unreadable, repeat, future, old, limit; " +
				"origins: counted, and the origin is not monitored because the account has too many."},
			[]string{"reason"}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_slo_transitions_total", Help: "Pairs that started or stopped firing."}, []string{"event"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "belfry_slo_batch_seconds", Help: "Time to count and evaluate a batch, without storing it.",
			Buckets: []float64{.0001, .001, .01, .1, 1, 10}}),
		reads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_slo_shard_reads_total", Help: "Shards whose whole state was read from the database."}),
		refreshed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_slo_series_refreshed_total", Help: "Series read again because one of their objectives changed."}),
		watermark: perShard("belfry_slo_watermark_seconds",
			"End of the newest tick, Unix seconds; time() minus this is the lag."),
		lines: perShard("belfry_slo_lines", "Time series in memory."),
		bytes: perShard("belfry_slo_column_bytes", "Bytes of encoded blocks in memory."),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	telemetry.StartAtZero(m.refused, []string{"unreadable", "repeat", "future", "old", "limit", "origins"})
	telemetry.StartAtZero(m.transitions, []string{"start", "end"})
	return errors.Join(r.Register(m.updates), r.Register(m.refused), r.Register(m.transitions), r.Register(m.seconds),
		r.Register(m.watermark), r.Register(m.lines), r.Register(m.bytes),
		r.Register(m.reads), r.Register(m.refreshed))
}
