package incident

import "github.com/prometheus/client_golang/prometheus"

// metrics of the feature; deliveries have those of their queue.
type metrics struct{ announced *prometheus.CounterVec }

func newMetrics() metrics {
	m := metrics{announced: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belfry_incident_recipients_total",
		Help: "Recipients of broadcasts that were served, by audience.",
	}, []string{"audience"})}
	for _, audience := range []string{toAccounts, toSubscribers} {
		m.announced.WithLabelValues(audience)
	}
	return m
}

func (m metrics) register(r prometheus.Registerer) error { return r.Register(m.announced) }
