package producer

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

type metrics struct {
	rejects    *prometheus.CounterVec
	unreadable prometheus.Counter
	catalogues prometheus.Gauge
}

func newMetrics() metrics {
	return metrics{
		rejects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_producer_rejects_total",
			Help: "Refused events stored for their producers, by the reason of the first fault.",
		}, []string{"reason"}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_producer_rejects_unreadable_total",
			Help: "Records of the topic of rejects that are no rejects; they are skipped.",
		}),
		catalogues: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_producer_products",
			Help: "Declared products, Belfry's own included.",
		}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	for _, title := range errs.OfData() {
		m.rejects.WithLabelValues(strings.ReplaceAll(title, " ", "_"))
	}
	return errors.Join(r.Register(m.rejects), r.Register(m.unreadable), r.Register(m.catalogues))
}

// reason is a code's title as a label: not_in_the_catalogue. Codes come from a
// closed list, which bounds the number of series.
func reason(code int) string {
	e, ok := errs.Code(code).Entry()
	if !ok {
		return "other"
	}
	return strings.ReplaceAll(e.Title, " ", "_")
}
