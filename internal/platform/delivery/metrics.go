package delivery

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

type metrics struct {
	prefix     string
	deliveries *prometheus.CounterVec
	attempts   *prometheus.HistogramVec
}

func newMetrics(name string, kinds []string) *metrics {
	m := &metrics{prefix: "belfry_" + name + "_"}
	m.deliveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: m.prefix + "deliveries_total",
		Help: "Deliveries that ended, by kind and outcome.",
	}, []string{"kind", "outcome"})
	m.attempts = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    m.prefix + "attempt_seconds",
		Help:    "Time of one attempt, by kind and by what followed (delivered, waiting, failed, kept).",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30},
	}, []string{"kind", "outcome"})
	telemetry.StartAtZero(m.deliveries, kinds,
		[]string{StateDelivered, StateFailed, StateSuperseded, StateNotSent, StateKept})
	return m
}

func (m *metrics) register(r prometheus.Registerer, q *Queue) error {
	gauge := func(name, help string, f func() float64) error {
		return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.prefix + name, Help: help}, f))
	}
	return errors.Join(
		r.Register(m.deliveries),
		r.Register(m.attempts),
		gauge("queue_depth", "Deliveries that this process holds in memory.", func() float64 {
			depth, _, _ := q.state()
			return float64(depth)
		}),
		gauge("attempts_running", "Attempts in flight.", func() float64 {
			_, inFlight, _ := q.state()
			return float64(inFlight)
		}),
		gauge("oldest_due_seconds", "How long the delivery that is overdue longest has been due.", func() float64 {
			_, _, oldest := q.state()
			return oldest.Seconds()
		}))
}

func (m *metrics) attempted(kind string, v Verdict, took time.Duration) {
	if v.made {
		m.attempts.WithLabelValues(kind, v.State).Observe(took.Seconds())
	}
	if v.State != StateWaiting {
		m.ended(kind, v.State)
	}
}

func (m *metrics) ended(kind, state string) { m.deliveries.WithLabelValues(kind, state).Inc() }
