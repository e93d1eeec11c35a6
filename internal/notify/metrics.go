package notify

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

type metrics struct {
	alerts     *prometheus.CounterVec
	decisions  *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	attempts   *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notify_alerts_total", Help: "Alerts handed in, by what became of them: accepted, duplicate, conflict, rejected."}, []string{"status"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notify_decisions_total", Help: "Accepted alerts, by whether somebody is to be told."}, []string{"told"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notify_deliveries_total", Help: "Deliveries that ended, by kind and outcome."}, []string{"kind", "outcome"}),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "belfry_notify_attempt_seconds", Help: "Time of one attempt, by kind and by what followed (delivered, waiting, failed, kept).",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30}}, []string{"kind", "outcome"}),
	}
}

func (m *metrics) register(r prometheus.Registerer, q *queue) error {
	gauge := func(name, help string, f func() float64) error {
		return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	telemetry.StartAtZero(m.alerts, []string{string(Accepted), string(Duplicate), string(Conflict), string(Rejected)})
	telemetry.StartAtZero(m.decisions, []string{"yes", "no"})
	return errors.Join(r.Register(m.alerts), r.Register(m.decisions), r.Register(m.deliveries), r.Register(m.attempts),
		gauge("belfry_notify_queue_depth", "Deliveries that this process holds in memory.", func() float64 { n, _, _ := q.state(); return float64(n) }),
		gauge("belfry_notify_attempts_running", "Attempts under way.", func() float64 { _, n, _ := q.state(); return float64(n) }),
		gauge("belfry_notify_oldest_due_seconds", "How long the delivery that is due longest has been due.", func() float64 { _, _, d := q.state(); return d.Seconds() }))
}

// stored counts a batch of alerts after its commit.
func (m *metrics) stored(list []*prepared) {
	for _, p := range list {
		m.alerts.WithLabelValues(string(p.status)).Inc()
		if p.status == Accepted {
			told := "no"
			if len(p.queued) > 0 {
				told = "yes"
			}
			m.decisions.WithLabelValues(told).Inc()
		}
	}
}

func (m *metrics) attempted(kind string, v verdict, r Result, took time.Duration, made bool) {
	if made {
		m.attempts.WithLabelValues(kind, v.state).Observe(took.Seconds())
	}
	if v.state != stateWaiting {
		m.ended(kind, v.state)
	}
}

func (m *metrics) ended(kind, state string) { m.deliveries.WithLabelValues(kind, state).Inc() }
