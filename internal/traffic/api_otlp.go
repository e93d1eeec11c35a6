package traffic

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const protobufType = "application/x-protobuf"

func (f *Feature) registerOTLP(api *web.API) {
	web.Raw(api, "POST", web.Op{
		Path:    "/accounts/{account_id}/traffic/otlp/v1/metrics",
		ID:      "send-otlp-metrics",
		Tag:     tag,
		Summary: "Send OpenTelemetry metrics",
		Description: "OTLP over HTTP, protobuf or JSON, gzip or not: exporters append /v1/metrics to an endpoint that ends " +
			"with /traffic/otlp. Of the metrics, http.server.request.duration is counted, with delta or cumulative " +
			"temporality; the others are accepted and left out. The answer is that of OTLP, in the type " +
			"of the request: partialSuccess names rejected points, and latency thresholds that lie between the bounds of a " +
			"histogram.",
		Permission: account.TrafficWrite,
		MaxBody:    MaxCountsBody,
		Accepts:    []string{protobufType, "application/json"},
		Content:    "application/json",
		Result:     web.Bytes{},
		Errors:     []errs.Code{errs.CodeInvalid},
	}, f.ingestOTLP)
	api.Limit("traffic.metric_points", MaxMetricPoints)
	api.Limit("traffic.metric_sources", maxSources)
	api.Limit("traffic.metric_series_of_source", maxSourceSeries)
}

// ingestOTLP counts the requests in metrics of OpenTelemetry.
func (f *Feature) ingestOTLP(ctx context.Context, _ *MetricParams, x *web.Exchange) error {
	body, err := x.Bytes()
	if err != nil {
		return err
	}
	var in collector.ExportMetricsServiceRequest
	asJSON := x.MediaType() == "application/json"
	if asJSON {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, &in)
	} else {
		err = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, &in)
	}
	if err != nil {
		return errs.New(errs.CodeInvalid, "the body is not an ExportMetricsServiceRequest of OTLP: %s",
			strict.Clip(strings.ReplaceAll(err.Error(), "\u00a0", " "), 200))
	}
	m := f.newMetricBatch(ingest.From(ctx, web.Account(ctx).ID), "otlp", otlpFormat)
	if err := m.readOTLP(ctx, &in); err != nil {
		return err
	}
	if _, err := m.storePoints(ctx); err != nil {
		return err
	}

	out := &collector.ExportMetricsServiceResponse{}
	if m.rejected > 0 || len(m.said) > 0 {
		out.PartialSuccess = &collector.ExportMetricsPartialSuccess{
			RejectedDataPoints: int64(m.rejected),
			ErrorMessage:       m.message(),
		}
	}
	contentType := protobufType
	answer, err := proto.Marshal(out)
	if asJSON {
		contentType = "application/json"
		answer, err = protojson.Marshal(out)
	}
	if err != nil {
		return err
	}
	x.Writer().Header().Set("Content-Type", contentType)
	_, err = x.Writer().Write(answer)
	return err
}

// The metrics that are counted, and the unit of their bounds: the present semantic
// convention, and the one before.
var otlpMetrics = map[string]float64{
	"http.server.request.duration": 1,
	"http.server.duration":         1e-3,
}

// readOTLP takes the points of a request.
func (m *metricBatch) readOTLP(ctx context.Context, in *collector.ExportMetricsServiceRequest) error {
	index := 0
	for _, r := range in.GetResourceMetrics() {
		resource := attributesOf(r.GetResource().GetAttributes())
		for _, scope := range r.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				unit, counts := otlpMetrics[metric.GetName()]
				if !counts {
					continue
				}
				switch metric.GetUnit() {
				case "s":
					unit = 1
				case "ms":
					unit = 1e-3
				}
				family := []string{metric.GetName(), scope.GetScope().GetName()}
				points, delta, err := m.otlpPoints(metric, unit)
				if err != nil {
					return err
				}
				if index += len(points); index > MaxMetricPoints {
					return tooManyPoints()
				}
				for _, p := range points {
					p.describe(resource, family, delta)
					if err := m.take(ctx, &p.point); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// otlpPoint is a point with its attributes.
type otlpPoint struct {
	point
	attributes map[string]string
}

// otlpPoints reads the points of one metric.
func (m *metricBatch) otlpPoints(metric *otlp.Metric, unit float64) (list []*otlpPoint, delta bool, err error) {
	var temporality otlp.AggregationTemporality
	switch data := metric.GetData().(type) {
	case *otlp.Metric_Histogram:
		temporality = data.Histogram.GetAggregationTemporality()
		for _, d := range data.Histogram.GetDataPoints() {
			if isStale(d.GetFlags()) {
				continue
			}
			p := &otlpPoint{attributes: attributesOf(d.GetAttributes())}
			p.start = otlpTime(d.GetStartTimeUnixNano())
			p.at = otlpTime(d.GetTimeUnixNano())
			if fault := p.histogram(d.GetCount(), d.GetBucketCounts(), d.GetExplicitBounds(), unit); fault != "" {
				m.refuse(1, errs.CodeInvalid, "%s", fault)
				continue
			}
			list = append(list, p)
		}
	case *otlp.Metric_ExponentialHistogram:
		temporality = data.ExponentialHistogram.GetAggregationTemporality()
		for _, d := range data.ExponentialHistogram.GetDataPoints() {
			if isStale(d.GetFlags()) {
				continue
			}
			p := &otlpPoint{attributes: attributesOf(d.GetAttributes())}
			p.start = otlpTime(d.GetStartTimeUnixNano())
			p.at = otlpTime(d.GetTimeUnixNano())
			p.values = []uint64{d.GetCount()}
			p.bounds = []float64{} // none that is exact: a threshold is said to lie between them
			list = append(list, p)
		}
	default:
		m.refuse(1, errs.CodeInvalid, "%s is not a histogram", metric.GetName())
		return nil, false, nil
	}
	switch temporality {
	case otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA:
		return list, true, nil
	case otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE:
		return list, false, nil
	}
	m.refuse(len(list), errs.CodeInvalid, "%s has no aggregation temporality: delta or cumulative", metric.GetName())
	return nil, false, nil
}

// isStale reports that a point has no recorded value.
func isStale(flags uint32) bool {
	return flags&uint32(otlp.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) != 0
}

// otlpTime is a time in Unix nanoseconds; -1 = it is absurd.
func otlpTime(t uint64) int64 {
	if t > math.MaxInt64 {
		return -1
	}
	return int64(t)
}

// histogram sets the values of a histogram. A text names a fault.
func (p *point) histogram(count uint64, buckets []uint64, bounds []float64, unit float64) string {
	p.values = []uint64{count}
	p.bounds = []float64{}
	if len(buckets) == 0 {
		return ""
	}
	if len(buckets) != len(bounds)+1 {
		return "a histogram has other than one bucket more than it has bounds"
	}
	sum := uint64(0)
	for i, n := range buckets {
		if n > maxTotal {
			return fmt.Sprintf("a bucket of a histogram counts more than %d requests", int64(maxTotal))
		}
		sum += n
		if i < len(bounds) && (math.IsNaN(bounds[i]) || math.IsInf(bounds[i], 0) || i > 0 && bounds[i] <= bounds[i-1]) {
			return "the bounds of a histogram do not rise"
		}
	}
	if sum != count {
		return fmt.Sprintf("the buckets of a histogram have %d requests, and its count is %d", sum, count)
	}
	p.values = append(p.values, buckets...)
	for _, b := range bounds {
		p.bounds = append(p.bounds, b*unit)
	}
	return ""
}

// describe sets what the point is about, from its attributes and those of the resource.
func (p *otlpPoint) describe(resource map[string]string, family []string, delta bool) {
	a := p.attributes
	p.delta = delta
	p.source = newDigest(flatten(resource)...)
	identity := append(append([]string{}, family...), flatten(a)...)
	for _, b := range p.bounds {
		identity = append(identity, strconv.FormatFloat(b, 'g', -1, 64))
	}
	p.series = newDigest(identity...)
	host := strings.ToLower(hostOf(a["server.address"]))
	if isHost(host) {
		p.entry.Hostname = host
	}
	for _, ref := range []string{resource["belfry.zone"], p.entry.Hostname, resource["service.name"]} {
		if p.ref == "" {
			p.ref = ref
		}
	}
	if route := a["http.route"]; len(route) <= maxWord && strict.Clip(route, maxWord) == route {
		p.pathClass = route
	}
	status := a["http.response.status_code"]
	if status == "" {
		status = a["http.status_code"]
	}
	p.entry.Reason = a["error.type"]
	if n, err := strconv.Atoi(status); err == nil && n >= 100 && n <= 999 {
		p.entry.Status = n
	} else if p.entry.Reason != "" { // it failed before there was a status
		p.entry.Status = 500
	}
}

// attributesOf are the attributes that are text, numbers or booleans.
func attributesOf(list []*common.KeyValue) map[string]string {
	out := make(map[string]string, len(list))
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		case *common.AnyValue_BoolValue:
			out[kv.GetKey()] = strconv.FormatBool(v.BoolValue)
		}
	}
	return out
}

// flatten lists names and values in the order of the names.
func flatten(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	list := make([]string, 0, 2*len(m))
	for _, name := range names {
		list = append(list, name, m[name])
	}
	return list
}
