package audit

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// metrics are the feature's metrics.
type metrics struct {
	events  *prometheus.CounterVec
	rejects *prometheus.CounterVec
	scrubs  *prometheus.CounterVec
	recent  prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_audit_events_total",
			Help: "Events answered, by on-ramp and status.",
		}, []string{"via", "status"}),
		rejects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_audit_rejects_total",
			Help: "Rejected events, by on-ramp and reason.",
		}, []string{"via", "reason"}),
	}
	m.scrubs = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belfry_audit_scrubbed_tiles_total",
		Help: "Tiles of 256 events that were read again and compared with their hashes, by result.",
	}, []string{"result"})
	m.recent = prometheus.NewCounter(prometheus.CounterOpts{Name: "belfry_audit_preceding_decoded_total",
		Help: "Events that were decoded to find the changes before an alert."})
	ways := []string{"http", "kafka"}
	telemetry.StartAtZero(m.events, ways,
		[]string{string(ledger.Accepted), string(ledger.Duplicate), string(ledger.Conflict), string(ledger.Rejected)})
	telemetry.StartAtZero(m.rejects, ways, errs.OfData())
	telemetry.StartAtZero(m.scrubs, []string{"ok", "damaged"})
	if r != nil {
		r.MustRegister(m.events, m.rejects, m.scrubs, m.recent)
	}
	return m
}

func (m *metrics) scrubbed(fault error) {
	result := "ok"
	if fault != nil {
		result = "damaged"
	}
	m.scrubs.WithLabelValues(result).Inc()
}

func (m *metrics) answered(via string, all []*ledger.Pending) {
	counts := map[ledger.Status]int{}
	for _, p := range all {
		counts[p.Status]++
		if p.Status == ledger.Rejected && len(p.Faults) > 0 {
			reason := "unknown"
			if e, ok := p.Faults[0].Code.Entry(); ok {
				reason = e.Title
			}
			m.rejects.WithLabelValues(via, reason).Inc()
		}
	}
	for s, n := range counts {
		m.events.WithLabelValues(via, string(s)).Add(float64(n))
	}
}
