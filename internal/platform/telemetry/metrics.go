package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry makes the program's metrics registry, with the collectors of the
// Go runtime, the process and the build, and belfry_build_info{version}.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "belfry_build_info", Help: "1, with the version as a label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	r.MustRegister(info, collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// MetricsHandler serves the registry in Prometheus' formats. A scrape takes at
// most 10 s, and at most 4 run at once.
func MetricsHandler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second, EnableOpenMetrics: true,
	})
}

// HTTPMetrics counts the requests of an HTTP server. The route label is the
// pattern ("GET /client/v4/accounts/{account_id}"), never the path, so that the
// number of series is that of the routes.
type HTTPMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	streams  prometheus.Gauge
	refused  *prometheus.CounterVec
}

// NewHTTPMetrics makes and registers them.
func NewHTTPMetrics(r prometheus.Registerer) *HTTPMetrics {
	m := &HTTPMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "belfry_http_request_seconds",
			Help:    "Time from the first byte of a request's head to the last of its answer; streams are left out.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_http_in_flight",
			Help: "Requests being answered now.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "belfry_http_streams", Help: "Streams open now."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_http_refused_total",
			Help: "Requests refused before their handler, by reason: busy, rate, authentication, permission.",
		}, []string{"reason"}),
	}
	StartAtZero(m.refused, []string{"busy", "rate", "authentication", "permission"})
	r.MustRegister(m.requests, m.seconds, m.inFlight, m.streams, m.refused)
	return m
}

// Begin counts a request in.
func (m *HTTPMetrics) Begin() { m.inFlight.Inc() }

// End counts it out. took is not observed for streams.
func (m *HTTPMetrics) End(route, status string, stream bool, took time.Duration) {
	m.inFlight.Dec()
	m.requests.WithLabelValues(route, status).Inc()
	if !stream {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

// Streams changes the number of open streams.
func (m *HTTPMetrics) Streams(by int) { m.streams.Add(float64(by)) }

// Refused counts a request that did not reach its handler.
func (m *HTTPMetrics) Refused(reason string) { m.refused.WithLabelValues(reason).Inc() }
