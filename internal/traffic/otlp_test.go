package traffic_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/belfryhq/belfry/internal/event"
)

// otlp sends metrics in JSON to account a, and returns the answer.
func (w *world) otlp(token, body string, headers ...string) (status int, answered string) {
	w.t.Helper()
	r := w.call(token, "POST", "/traffic/otlp/v1/metrics", body, headers...)
	return r.Status, r.Text
}

// histogram is a request with one histogram of shop.example; a point is "start at count b1 b2 b3" with
// seconds after the start of the tests' clock; the bounds are 0.1 and 0.5 s.
func histogram(temporality int, status string, points ...string) string {
	var list []string
	for _, p := range points {
		var from, at, n, a, b, c int
		if _, err := fmt.Sscan(p, &from, &at, &n, &a, &b, &c); err != nil {
			panic(err)
		}
		list = append(list, fmt.Sprintf(`{"startTimeUnixNano":"%d","timeUnixNano":"%d","count":"%d",`+
			`"bucketCounts":["%d","%d","%d"],"explicitBounds":[0.1,0.5],`+
			`"attributes":[%s{"key":"http.route","value":{"stringValue":"/pay"}}]}`,
			start.Add(time.Duration(from)*time.Second).UnixNano(), start.Add(time.Duration(at)*time.Second).UnixNano(),
			n, a, b, c, status))
	}
	return `{"resourceMetrics":[{"resource":{"attributes":[{"key":"belfry.zone",` +
		`"value":{"stringValue":"shop.example"}}]},` +
		`"scopeMetrics":[{"metrics":[{"name":"http.server.request.duration","unit":"s","histogram":{` +
		fmt.Sprintf(`"aggregationTemporality":%d,"dataPoints":[%s]}},`, temporality, strings.Join(list, ",")) +
		`{"name":"process.cpu.time","sum":{}}]}]}]}`
}

const (
	deltaTemporality = 1
	cumulative       = 2
)

func statusIs(code int) string {
	return fmt.Sprintf(`{"key":"http.response.status_code","value":{"intValue":"%d"}},`, code)
}

// counted writes the counts of messages in short: seconds after the start, width, SLI, total, bad.
func counted(list []event.Traffic) string {
	var out []string
	for _, m := range list {
		for _, c := range m.Counts {
			out = append(out, fmt.Sprintf("%d+%d %s %d/%d", c.At-start.Unix(), c.Seconds, c.SLI, c.Bad, c.Total))
		}
	}
	return strings.Join(out, ", ")
}

func TestHistogramsOfOpenTelemetryAreCountedByTheirDifferences(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Pass(3 * time.Hour)
		for _, c := range []struct{ name, body, say string }{
			{"delta", histogram(deltaTemporality, statusIs(200), "0 60 10 5 3 2"), "{}"},
			{"the same again", histogram(deltaTemporality, statusIs(200), "0 60 10 5 3 2"), "{}"},
			{"failed", histogram(deltaTemporality, statusIs(503), "0 60 4 4 0 0"), "{}"},
			{"a new counter counts from its start", histogram(cumulative, statusIs(200), "100 160 10 5 3 2"), "{}"},
			{"and then by differences", histogram(cumulative, statusIs(200), "100 220 14 7 4 3", "100 280 15 8 4 3"), "{}"},
			{"a late point", histogram(cumulative, statusIs(200), "100 230 14 7 4 3"), "{}"},
			{"it began again", histogram(cumulative, statusIs(200), "300 340 3 3 0 0"), "{}"},
			{"without a start, by its values", histogram(cumulative, statusIs(200), "300 400 1 1 0 0"), "{}"},
			{"an old counter", histogram(cumulative, statusIs(404), "-4000 60 1000 1000 0 0"),
				"1 counters were seen for the first"},
			{"after a long time", histogram(cumulative, statusIs(404), "-4000 7260 1004 1004 0 0"), "{}"},
		} {
			if status, text := w.otlp("writer", c.body); status != 200 || !strings.Contains(text, c.say) {
				t.Errorf("%s: %d %s", c.name, status, text)
			}
		}
		got := counted(w.sharded(7))
		want := "0+60  0/10, 0+60  4/4, 100+60  0/10, 160+60  0/4, 220+60  0/1, 300+40  0/3, 340+60  0/1, " +
			"60+3600  0/2, 3660+3600  0/2"
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

func TestLatencyIsCountedByTheBoundsThatAreThresholds(t *testing.T) {
	w := newWorld(t, "", 1)
	w.took(w.counts(count("shop.example", start, 1, 0)), 1, 0)
	zone := w.zone(w.a, "shop.example")
	w.mu.Lock()
	w.thresholds = map[string][]time.Duration{zone: {500 * time.Millisecond, 300 * time.Millisecond}}
	w.mu.Unlock()
	status, text := w.otlp("writer", histogram(deltaTemporality, statusIs(200), "-60 0 10 5 3 2"))
	if status != 200 || !strings.Contains(text, "threshold 300ms of shop.example lies between the bounds") {
		t.Errorf("%d %s", status, text)
	}
	if got := counted(w.sharded(2)[1:]); got != "-60+60  0/10, -60+60 latency:500ms 2/10" {
		t.Error(got)
	}
}

func TestPointsThatCannotBeCountedAreRejectedWithTheReason(t *testing.T) {
	w := newWorld(t, "", 1)
	year := fmt.Sprint(370 * 24 * 3600)
	one := histogram(deltaTemporality, "", "-10 0 1 1 0 0")
	for _, c := range []struct{ name, body, say string }{
		{"a year ago", histogram(deltaTemporality, "", "-"+year+" -"+year+" 1 1 0 0"), "the oldest accepted"},
		{"in a year", histogram(deltaTemporality, "", "0 "+year+" 1 1 0 0"), "ahead of the server's clock"},
		{"the start is behind the end", histogram(deltaTemporality, "", "10 0 1 1 0 0"), "behind its time"},
		{"too long", histogram(deltaTemporality, "", "-180000 0 1 1 0 0"), "more than two days"},
		{"buckets of another sum", histogram(deltaTemporality, "", "-10 0 9 1 1 1"), "its count is 9"},
		{"an absurd count", histogram(deltaTemporality, "", "-10 0 4000000000000 4000000000000 0 0"),
			"more than 1000000000000"},
		{"no temporality", histogram(0, "", "-10 0 1 1 0 0"), "no aggregation temporality"},
		{"a bound that is no number", strings.Replace(one, "[0.1,", `["NaN",`, 1), "do not rise"},
		{"no property", strings.Replace(one, "belfry.zone", "other", 1), "names no property"},
		{"a property that cannot be", strings.Replace(one, "shop.example", "a b", 1), "is not known"},
	} {
		status, text := w.otlp("writer", c.body)
		if status != 200 || !strings.Contains(text, `"rejectedDataPoints":"1"`) || !strings.Contains(text, c.say) {
			t.Errorf("%s: %d %s, want %q", c.name, status, text, c.say)
		}
	}
	for _, c := range []struct {
		token, body string
		headers     []string
		want        int
	}{
		{"reader", `{}`, nil, 403},
		{"other", `{}`, nil, 403},
		{"writer", `{"resourceMetrics":7}`, nil, 400},
		{"writer", "\xff", []string{"Content-Type", "application/x-protobuf"}, 400},
		{"writer", "", []string{"Content-Type", "application/x-protobuf"}, 200},
		{"writer", `{}`, []string{"Content-Type", "text/plain"}, 400},
	} {
		if status, text := w.otlp(c.token, c.body, c.headers...); status != c.want {
			t.Errorf("%s %q: %d %s, want %d", c.token, c.body, status, text, c.want)
		}
	}
	if n := len(w.delivered(event.TopicTrafficSharded, 0)); n > 0 {
		t.Errorf("%d messages", n)
	}
}

func TestMetricsMayBeCompressed(t *testing.T) {
	w := newWorld(t, "", 1)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, histogram(deltaTemporality, statusIs(500), "-10 0 3 1 1 1")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if status, text := w.otlp("writer", b.String(), "Content-Encoding", "gzip"); status != 200 {
		t.Fatal(text)
	}
	if got := counted(w.sharded(1)); got != "-10+10  3/3" {
		t.Error(got)
	}
}

// The exporter of OpenTelemetry's own SDK, which appends /v1/metrics to nothing: it is given the whole URL,
// as the environment variable's endpoint gives it.
func TestTheExporterOfOpenTelemetryIsUnderstood(t *testing.T) {
	for _, temporality := range []metricdata.Temporality{metricdata.DeltaTemporality, metricdata.CumulativeTemporality} {
		w := newWorld(t, "", 1)
		w.Set(time.Now()) // the SDK takes its times from the machine
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", w.http.URL+"/client/v4/accounts/"+w.a+"/traffic/otlp")
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20writer")
		exporter, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithTemporalitySelector(
			func(sdk.InstrumentKind) metricdata.Temporality { return temporality }),
			otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "") // the servers of this test must not export their own traces there
		provider := sdk.NewMeterProvider(
			sdk.WithReader(sdk.NewPeriodicReader(exporter, sdk.WithInterval(time.Hour))),
			sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "shop.example"))))
		duration, err := provider.Meter("test").Float64Histogram("http.server.request.duration",
			metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(0.1, 0.5))
		if err != nil {
			t.Fatal(err)
		}
		for round := range 2 {
			for i := range 10 {
				code := 200
				if i < 3 {
					code = 502
				}
				duration.Record(t.Context(), 0.2, metric.WithAttributes(
					attribute.Int("http.response.status_code", code), attribute.String("http.route", "/pay")))
			}
			if err := provider.ForceFlush(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.Pass(time.Second)
			var total, bad int64
			for _, m := range w.sharded(round + 1) {
				for _, c := range m.Counts {
					total += c.Total
					bad += c.Bad
					if c.PathClass != "/pay" {
						t.Errorf("%+v", c)
					}
				}
			}
			if total != int64(10*(round+1)) || bad != int64(3*(round+1)) {
				t.Errorf("%v, round %d: %d requests, %d bad", temporality, round, total, bad)
			}
		}
		if err := provider.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}
