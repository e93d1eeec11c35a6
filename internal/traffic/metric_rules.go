package traffic

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// MetricRule says how the series of one metric of Prometheus are counted.
type MetricRule struct {
	Name     string       `json:"name" doc:"Name of the metric, such as http_requests_total; of a histogram without _bucket" maxLength:"200"`
	Type     MetricType   `json:"type" enum:"counter,histogram" doc:"counter: a counter of requests, by status. histogram: durations of requests, classic or native, for objectives about latency"`
	Requests bool         `json:"requests,omitempty" doc:"Of a histogram: count its requests for availability, too. Leave it out where a counter counts the same requests"`
	Unit     string       `json:"unit,omitempty" enum:"s,ms" doc:"Unit of the bounds of a histogram" default:"s"`
	Zone     string       `json:"zone,omitempty" doc:"The zone (property) of all series, by id, name or alias; shown as its id. Left out: the label belfry_zone, the label that labels.zone names, or host" maxLength:"255"`
	Labels   MetricLabels `json:"labels,omitzero"`
}

// MetricLabels names the labels that are read. An empty name means that there is none.
type MetricLabels struct {
	Status    string `json:"status,omitempty" doc:"Status: a number, or a class such as 5xx. Left out: code, status or status_code" maxLength:"100"`
	Zone      string `json:"zone,omitempty" doc:"Name of the zone (property)" maxLength:"100"`
	Hostname  string `json:"hostname,omitempty" doc:"The host that was asked for. Left out: the zone, where it is a host name" maxLength:"100"`
	Origin    string `json:"origin,omitempty" doc:"The server that answered, such as instance" maxLength:"100"`
	PathClass string `json:"path_class,omitempty" doc:"A class of paths, such as handler" maxLength:"100"`
}

// MetricType is the type of a metric.
type MetricType string

// The types of metrics that are counted.
const (
	CounterMetric   MetricType = "counter"
	HistogramMetric MetricType = "histogram"
)

const (
	maxMetricRules = 50
	maxMetricName  = 200
)

// DefaultMetrics apply where an account has no metrics of its own. Their histograms count latency only, because the
// counters beside them count the same requests.
var DefaultMetrics = []MetricRule{
	counterRule("http_requests_total", MetricLabels{Status: "code", Origin: "instance"}),
	counterRule("nginx_ingress_controller_requests", MetricLabels{Status: "status", Zone: "host"}),
	counterRule("envoy_cluster_upstream_rq", MetricLabels{Status: "envoy_response_code", Zone: "envoy_cluster_name"}),
	counterRule("traefik_service_requests_total", MetricLabels{Status: "code", Zone: "service"}),
	counterRule("haproxy_backend_http_responses_total", MetricLabels{Status: "code", Zone: "proxy"}),
	counterRule("caddy_http_requests_total", MetricLabels{Status: "code", Origin: "instance"}),
	histogramRule("http_request_duration_seconds", MetricLabels{Status: "code", Origin: "instance"}),
	histogramRule("nginx_ingress_controller_request_duration_seconds", MetricLabels{Status: "status", Zone: "host"}),
	histogramRule("traefik_service_request_duration_seconds", MetricLabels{Status: "code", Zone: "service"}),
	histogramRule("caddy_http_request_duration_seconds", MetricLabels{Status: "code", Origin: "instance"}),
}

func counterRule(name string, labels MetricLabels) MetricRule {
	return MetricRule{Name: name, Type: CounterMetric, Labels: labels}
}

func histogramRule(name string, labels MetricLabels) MetricRule {
	return MetricRule{Name: name, Type: HistogramMetric, Labels: labels}
}

// metricRole is the meaning of the name of a series.
type metricRole int

const (
	roleCounter metricRole = iota
	roleNative             // a native histogram
	roleBucket             // a bucket of a classic histogram
)

// namedMetric is a rule with the role of one of its names.
type namedMetric struct {
	*MetricRule
	role metricRole
}

// metricTable finds the rule of a series by its name. Safe for concurrent use.
type metricTable map[string]namedMetric

var defaultMetrics = tableOf(DefaultMetrics)

func tableOf(list []MetricRule) metricTable {
	table := metricTable{}
	for i := range list {
		r := &list[i]
		if r.Type == CounterMetric {
			table[r.Name] = namedMetric{r, roleCounter}
			continue
		}
		table[r.Name] = namedMetric{r, roleNative}
		table[r.Name+"_bucket"] = namedMetric{r, roleBucket}
		if r.Requests {
			table[r.Name+"_count"] = namedMetric{r, roleCounter}
		}
	}
	return table
}

// compileMetrics checks the metrics of an account. The pointers of the faults begin with at.
func compileMetrics(list []MetricRule, at string) (metricTable, errs.List) {
	var faults errs.List
	if len(list) > maxMetricRules {
		return nil, append(faults, errs.At(errs.CodeOutOfRange, at, "an account has at most %d metrics, not %d",
			maxMetricRules, len(list)))
	}
	seen := map[string]bool{}
	for i := range list {
		r := &list[i]
		pointer := fmt.Sprintf("%s/%d", at, i)
		faults = append(faults, r.check(pointer)...)
		if seen[r.Name] {
			faults = append(faults, errs.At(errs.CodeInvalid, pointer+"/name", "the metric is in the list twice"))
		}
		seen[r.Name] = true
	}
	return tableOf(list), faults
}

func (r *MetricRule) check(at string) (faults errs.List) {
	fault := func(code errs.Code, pointer, format string, args ...any) {
		faults = append(faults, errs.At(code, at+pointer, format, args...))
	}
	switch {
	case r.Name == "":
		fault(errs.CodeMissingField, "/name", "name is required: the name of a metric, such as http_requests_total")
	case !isLabel(r.Name, maxMetricName):
		fault(errs.CodeInvalid, "/name", "name has at most %d bytes, without spaces", maxMetricName)
	case r.Type == HistogramMetric && strings.HasSuffix(r.Name, "_bucket"):
		fault(errs.CodeInvalid, "/name", "name the histogram without _bucket")
	}
	if r.Type != CounterMetric && r.Type != HistogramMetric {
		fault(errs.CodeInvalid, "/type", "type must be counter or histogram, not %q", strict.Clip(string(r.Type), 40))
	}
	if r.Unit != "" && r.Unit != "s" && r.Unit != "ms" {
		fault(errs.CodeInvalid, "/unit", "unit must be s or ms, not %q", strict.Clip(r.Unit, 40))
	}
	for _, l := range []struct{ field, name string }{
		{"status", r.Labels.Status},
		{"zone", r.Labels.Zone},
		{"hostname", r.Labels.Hostname},
		{"origin", r.Labels.Origin},
		{"path_class", r.Labels.PathClass},
	} {
		if l.name != "" && !isLabel(l.name, maxWord) {
			fault(errs.CodeInvalid, "/labels/"+l.field, "the name of a label has at most %d bytes, without spaces", maxWord)
		}
	}
	return faults
}

// isLabel reports whether a text can be the name of a metric or label; since version 3, these may have any letters.
func isLabel(text string, most int) bool {
	return len(text) <= most && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r)
	})
}

// scale is the number of the unit's parts in a second.
func (r *MetricRule) scale() time.Duration {
	if r.Unit == "ms" {
		return 1000
	}
	return 1
}
