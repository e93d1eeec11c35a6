package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// logWatch is kfake's logger. kfake truncates a log that it cannot read, and
// continues after a failed write, with only a warning; so a warning is a fault that
// stays until the process is restarted. A batch that did not fit on the disk is no
// fault: its producer got an error (see diskfull.go).
type logWatch struct {
	log      *slog.Logger
	warnings *prometheus.CounterVec
	full     func() // a batch did not fit on the disk

	mu    sync.Mutex // guards the fields below
	first string
	count int
}

// harmless are the prefixes of warnings that clients cause, by leaving groups or
// being slow. Every other warning, also one that a later kfake adds, is a fault.
var harmless = []string{"consumerHeartbeatLate", "consumerRebalanceTimeout",
	"consumerSessionTimeout", "OffsetCommit STALE", "txn timeout abort", "txn: EndTxn slow"}

// Logf implements kfake.Logger.
func (w *logWatch) Logf(level kfake.LogLevel, format string, args ...any) {
	if level > kfake.LogLevelWarn || level == kfake.LogLevelNone {
		return
	}
	text := fmt.Sprintf(format, args...)
	for _, h := range harmless {
		if strings.HasPrefix(text, h) {
			w.warnings.WithLabelValues("client").Inc()
			w.log.Debug("broker", "message", text)
			return
		}
	}
	if strings.HasPrefix(text, "persist batch ") && diskFull(text) {
		w.warnings.WithLabelValues("disk").Inc()
		w.log.Error("the broker refuses records: its disk is full", "message", text)
		w.full()
		return
	}
	w.warnings.WithLabelValues("log").Inc()
	w.log.Error("broker log", "message", text)
	w.blame(text)
}

// diskFull reports whether a warning comes from a full disk or quota.
func diskFull(text string) bool {
	return strings.HasSuffix(text, syscall.ENOSPC.Error()) || strings.HasSuffix(text, syscall.EDQUOT.Error())
}

// blame records a fault; the first one is shown.
func (w *logWatch) blame(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count++; w.count == 1 {
		w.first = text
	}
}

// fault is the first warning, with the number of all.
func (w *logWatch) fault() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.count {
	case 0:
		return nil
	case 1:
		return errors.New(w.first)
	}
	return fmt.Errorf("%s (and %d more)", w.first, w.count-1)
}

// metrics of the broker.
type metrics struct {
	warnings    *prometheus.CounterVec
	connections prometheus.Gauge
	closed      *prometheus.CounterVec
	refused     prometheus.Counter
	batches     *prometheus.CounterVec
	bytes       prometheus.Gauge
	limit       prometheus.Gauge
	trimmed     prometheus.Counter
}

func newMetrics() metrics {
	return metrics{
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_broker_warnings_total",
			Help: "Warnings of the embedded broker: about its log (a fault), a full disk (refused, and recovers), or caused " +
				"by clients."}, []string{"about"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_broker_connections", Help: "Foreign Kafka connections that are open."}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_broker_connections_refused_total", Help: "Foreign Kafka connections that were closed, by reason."},
			[]string{"reason"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_broker_produce_refused_total",
			Help: "Produce requests refused because the log has reached its limit."}),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_broker_batches_refused_total",
			Help: "Batches of foreign clients that cannot be decoded, refused, by reason (corrupt, too_large)."},
			[]string{"reason"}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_broker_log_bytes", Help: "Size of the embedded broker's log."}),
		limit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_broker_log_limit_bytes", Help: "Size from which records are refused."}),
		trimmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_broker_trimmed_records_total", Help: "Records that trimming deleted."}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	telemetry.StartAtZero(m.warnings, []string{"client", "disk", "log"})
	telemetry.StartAtZero(m.closed, []string{"too_many", "bad_request"})
	telemetry.StartAtZero(m.batches, []string{"corrupt", "too_large"})
	var list []error
	for _, c := range []prometheus.Collector{m.warnings, m.connections, m.closed, m.refused, m.batches, m.bytes, m.limit,
		m.trimmed} {
		list = append(list, r.Register(c))
	}
	return errors.Join(list...)
}
