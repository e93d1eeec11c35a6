package traffic

import (
	"context"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"

	"github.com/klauspost/compress/snappy"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The messages of remote write, as the parameter proto of the Content-Type names them. None = version 1.0.
const (
	write1Proto = "prometheus.WriteRequest"
	write2Proto = "io.prometheus.write.v2.Request"

	maxWriteBody = 8 << 20 // bytes of a request, decompressed
)

func (f *Feature) registerPrometheus(api *web.API) {
	web.Raw(api, "POST", web.Op{
		Path:    "/accounts/{account_id}/traffic/prometheus/write",
		ID:      "send-prometheus-metrics",
		Tag:     tag,
		Summary: "Send counters and histograms by Prometheus remote write",
		Description: "Remote write 1.0 and 2.0 (protobuf, snappy). The metrics of replace-traffic-rules are counted by their " +
			"differences; without any, the usual counters of requests (http_requests_total and those of ingress-nginx, " +
			"Envoy, Traefik, HAProxy and Caddy) and, for objectives about latency, the histograms beside them. Other " +
			"series are accepted and left out. X-Prometheus-Remote-Write-Samples-Written and -Histograms-Written have " +
			"the numbers that were accepted. 400 names what was refused: the sender does not repeat it, and the others " +
			"are stored.",
		Permission: account.TrafficWrite,
		MaxBody:    MaxCountsBody,
		Accepts:    []string{protobufType},
		Coding:     "snappy",
		Content:    "text/plain",
	}, f.ingestPrometheus)
	api.Limit("traffic.prometheus_metrics", maxMetricRules)
	api.Limit("traffic.prometheus_series_of_request", maxPromSeries)
}

// ingestPrometheus counts the requests in series of Prometheus.
func (f *Feature) ingestPrometheus(ctx context.Context, _ *MetricParams, x *web.Exchange) error {
	list, err := readWrite(x)
	if err != nil {
		return err
	}
	if list == nil { // of a version that is not known
		return answerText(x, http.StatusUnsupportedMediaType, "proto must be "+write1Proto+" or "+write2Proto)
	}

	m := &writeBatch{metricBatch: f.newMetricBatch(ingest.From(ctx, web.Account(ctx).ID), "prometheus", prometheusFormat)}
	rules, err := f.rulesOf(ctx, m.from.Account)
	if err != nil {
		return err
	}
	if err := m.read(ctx, rules.metrics, list); err != nil {
		return err
	}
	outcome, err := m.storePoints(ctx)
	if err != nil {
		return err
	}
	for _, p := range outcome.full {
		if p.native {
			m.histograms.refused++
		} else {
			m.samples.refused++
		}
	}
	h := x.Writer().Header()
	h.Set("X-Prometheus-Remote-Write-Samples-Written", m.samples.written())
	h.Set("X-Prometheus-Remote-Write-Histograms-Written", m.histograms.written())
	h.Set("X-Prometheus-Remote-Write-Exemplars-Written", m.exemplars.written())
	if m.rejected > 0 { // the sender does not repeat it; what is not rejected is stored
		return answerText(x, http.StatusBadRequest, m.message())
	}
	return answerText(x, http.StatusOK, fmt.Sprintf("accepted: %s samples, %s histograms", m.samples.written(),
		m.histograms.written()))
}

// answerText answers with a sentence, which senders write to their log.
func answerText(x *web.Exchange, status int, text string) error {
	x.Writer().Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.Writer().WriteHeader(status)
	_, err := x.Writer().Write([]byte(text + "\n"))
	return err
}

// readWrite decodes a request; nil = its version is not known.
func readWrite(x *web.Exchange) ([]*promSeries, error) {
	read := parseWrite1
	_, params, err := mime.ParseMediaType(x.Header().Get("Content-Type"))
	if err != nil && x.Header().Get("Content-Type") != "" {
		return nil, nil
	}
	switch params["proto"] {
	case "", write1Proto:
	case write2Proto:
		read = parseWrite2
	default:
		return nil, nil
	}
	body, err := x.Bytes()
	if err != nil {
		return nil, err
	}
	size, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, badWrite("it is not compressed with snappy")
	}
	if size > maxWriteBody {
		return nil, errs.New(errs.CodeTooLarge, "the body is larger than %d bytes, decompressed", maxWriteBody)
	}
	if body, err = snappy.Decode(nil, body); err != nil {
		return nil, badWrite("it is not compressed with snappy")
	}
	list, err := read(body)
	if list == nil {
		list = []*promSeries{}
	}
	return list, err
}

// writeBatch collects the points of one request of remote write.
type writeBatch struct {
	*metricBatch
	samples, histograms, exemplars tried
}

// tried counts samples: all of a request, and those that were refused.
type tried struct{ all, refused int }

// written is the number of samples that were accepted, with those that are left out because no metric counts them.
func (t tried) written() string { return strconv.Itoa(max(0, t.all-t.refused)) }

// read takes the samples of a request. Its error is one of the infrastructure, or of the whole request.
func (m *writeBatch) read(ctx context.Context, table metricTable, list []*promSeries) error {
	for _, s := range list {
		m.samples.all += len(s.samples)
		m.histograms.all += len(s.histograms)
		m.exemplars.all += s.exemplars
		rule, counts := table[s.get("__name__")]
		if !counts || s.gauge {
			continue
		}
		d := s.describe(rule)
		how, err := m.countingOf(ctx, m.from.Account, d.ref)
		if err != nil {
			return err
		}
		if rule.role == roleNative {
			for _, h := range s.histograms {
				if err := m.readHistogram(ctx, d, how, h); err != nil {
					return err
				}
			}
			continue
		}
		for _, one := range s.samples {
			if err := m.readSample(ctx, d, how, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// readSample takes a sample of a counter, or of a bucket of a classic histogram.
func (m *writeBatch) readSample(ctx context.Context, d *described, how *Counting, one promSample) error {
	if math.Float64bits(one.value) == staleNaN {
		return nil
	}
	if !m.countable(d, one.value, &m.samples) {
		return nil
	}
	value := []uint64{uint64(one.value)}
	if d.rule.role == roleCounter {
		return m.takeOf(ctx, &m.samples, d.point(one.at, one.start, value))
	}
	bound, err := strconv.ParseFloat(d.labels["le"], 64)
	if err != nil {
		m.refuseSample(&m.samples, errs.CodeInvalid, "%s has the label le %q, which is not a number", d.rule.Name+"_bucket",
			d.labels["le"])
		return nil
	}
	var list []*point
	for _, threshold := range how.Latency {
		half := wholePoint
		if math.IsInf(bound, 1) {
			half = allRequests
		} else if isThreshold(bound, threshold*d.rule.scale()) {
			half = goodRequests
		}
		if half != wholePoint {
			p := d.latencyPoint(one.at, one.start, threshold, value)
			p.half = half
			list = append(list, p)
		}
	}
	return m.takeOf(ctx, &m.samples, list...)
}

// readHistogram takes a native histogram.
func (m *writeBatch) readHistogram(ctx context.Context, d *described, how *Counting, h *promHistogram) error {
	if h.gauge || math.Float64bits(h.sum) == staleNaN || !m.countable(d, h.count, &m.histograms) {
		return nil
	}
	var list []*point
	if d.rule.Requests {
		list = append(list, d.point(h.at, h.start, []uint64{uint64(h.count)}))
	}
	for _, threshold := range how.Latency {
		good, ok := h.within(threshold * d.rule.scale())
		if ok {
			list = append(list, d.latencyPoint(h.at, h.start, threshold, []uint64{uint64(h.count), uint64(max(0, good))}))
		}
	}
	for _, p := range list {
		p.native = true
	}
	return m.takeOf(ctx, &m.histograms, list...)
}

// countable refuses a value that cannot be a number of requests.
func (m *writeBatch) countable(d *described, value float64, of *tried) bool {
	if math.IsNaN(value) || value < 0 || value > maxTotal {
		m.refuseSample(of, errs.CodeOutOfRange, "%s is %g: a counter of requests is 0 to %d", d.labels["__name__"], value,
			int64(maxTotal))
		return false
	}
	return true
}

func (m *writeBatch) refuseSample(of *tried, code errs.Code, format string, args ...any) {
	of.refused++
	m.refuse(1, code, format, args...)
}

// takeOf takes the points of one sample. If one is refused, the sample is.
func (m *writeBatch) takeOf(ctx context.Context, of *tried, points ...*point) error {
	before := m.rejected
	for _, p := range points {
		if len(m.points) >= MaxMetricPoints {
			return tooManyPoints()
		}
		if err := m.take(ctx, p); err != nil {
			return err
		}
	}
	if m.rejected > before {
		m.rejected = before + 1
		of.refused++
	}
	return nil
}
