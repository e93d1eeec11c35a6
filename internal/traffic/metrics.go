package traffic

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

type metrics struct {
	counts   *prometheus.CounterVec // by via
	requests *prometheus.CounterVec // by via
	others   *prometheus.CounterVec // by via
	renamed  *prometheus.CounterVec // by via
	refused  *prometheus.CounterVec // by via and reason
	lines    *prometheus.CounterVec // by format and outcome
	zones    *prometheus.CounterVec // by via
	sharded  prometheus.Counter
	replayed prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		counts:   vec("belfry_traffic_counts_total", "Counts accepted, by on-ramp.", "via"),
		requests: vec("belfry_traffic_requests_total", "Requests in the accepted counts, by on-ramp.", "via"),
		others: vec("belfry_traffic_other_requests_total",
			"Requests counted for the zone other because their account had no room for new zones, by on-ramp.", "via"),
		renamed: vec("belfry_traffic_renamed_requests_total",
			"Requests counted under the name other because their account had too many names, by on-ramp.", "via"),
		refused: vec("belfry_traffic_refused_total",
			"Counts and lines refused; by on-ramp and the reason of the first fault.", "via", "reason"),
		lines: vec("belfry_traffic_lines_total", "Lines of access logs, by format and outcome (ok, refused).",
			"format", "outcome"),
		zones: vec("belfry_traffic_zone_lookups_total", "Zones looked up, once a batch, by outcome (ok, other, refused).",
			"outcome"),
		sharded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_traffic_sharded_total",
			Help: "Messages enqueued for the topic of sharded traffic.",
		}),
		replayed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_traffic_replayed_total",
			Help: "Repeated requests, which counted nothing.",
		}),
	}
	ways := []string{"http", "kafka", "log", "otlp", "prometheus"}
	telemetry.StartAtZero(m.counts, ways)
	telemetry.StartAtZero(m.requests, ways)
	telemetry.StartAtZero(m.refused, ways, reasons())
	telemetry.StartAtZero(m.zones, []string{"ok", "refused"})
	telemetry.StartAtZero(m.lines, formatNames(), []string{"ok", "refused"})
	telemetry.StartAtZero(m.others, ways)
	telemetry.StartAtZero(m.renamed, ways)
	if r == nil {
		return m, nil
	}
	var failed []error
	for _, c := range []prometheus.Collector{
		m.counts, m.requests, m.others, m.renamed, m.refused, m.lines, m.zones, m.sharded, m.replayed,
	} {
		failed = append(failed, r.Register(c))
	}
	return m, errors.Join(failed...)
}

// stored counts a batch that is stored.
func (m *metrics) stored(b *batch, sharded int) {
	m.counts.WithLabelValues(b.via).Add(float64(len(b.good)))
	m.requests.WithLabelValues(b.via).Add(float64(b.total))
	m.others.WithLabelValues(b.via).Add(float64(b.other))
	m.renamed.WithLabelValues(b.via).Add(float64(b.renamed))
	m.sharded.Add(float64(sharded))
	for _, r := range b.bad {
		if r.data == nil {
			continue // a line of a log: counted when it was read
		}
		m.refused.WithLabelValues(b.via, reason(r.faults[0].Code)).Inc()
	}
}

// reason is a code's title as a label. Codes come from a closed list, so that
// the number of series is bounded.
func reason(code errs.Code) string {
	e, ok := code.Entry()
	if !ok {
		return "other"
	}
	return strings.ReplaceAll(e.Title, " ", "_")
}

// reasons lists the reasons for which data is refused.
func reasons() []string {
	list := errs.OfData()
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], " ", "_")
	}
	return list
}
