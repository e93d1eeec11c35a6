package notify

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

type metrics struct {
	alerts    *prometheus.CounterVec
	decisions *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notify_alerts_total",
			Help: "Alerts handed in, by what became of them: accepted, duplicate, conflict, rejected.",
		}, []string{"status"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notify_decisions_total",
			Help: "Accepted alerts, by whether a message is to be sent.",
		}, []string{"told"}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	telemetry.StartAtZero(m.alerts, []string{
		string(ingest.Accepted),
		string(ingest.Duplicate),
		string(ingest.Conflict),
		string(ingest.Rejected),
	})
	telemetry.StartAtZero(m.decisions, []string{"yes", "no"})
	return errors.Join(r.Register(m.alerts), r.Register(m.decisions))
}

// stored counts a batch of alerts after its commit.
func (m *metrics) stored(list []*prepared) {
	for _, p := range list {
		m.alerts.WithLabelValues(string(p.status)).Inc()
		if p.status == ingest.Accepted {
			sent := "no"
			if len(p.queued) > 0 {
				sent = "yes"
			}
			m.decisions.WithLabelValues(sent).Inc()
		}
	}
}
