package traffic_test

import (
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/belfryhq/belfry/internal/event"
)

// promCounter is a series of a request: labels in pairs, and samples "seconds after the start, value".
type promCounter struct {
	labels  []string
	start   int64 // seconds after the start; 0 = none
	samples [][2]float64
}

func sub(b []byte, n protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), data)
}

func varint(b []byte, n protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
}

func sampleOf(s [2]float64, began int64) []byte {
	b := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(s[1]))
	b = varint(b, 2, start.Add(time.Duration(s[0]*float64(time.Second))).UnixMilli())
	if began != 0 {
		b = varint(b, 3, start.Add(time.Duration(began)*time.Second).UnixMilli())
	}
	return b
}

// write1 encodes a request of remote write 1.0.
func write1(list ...promCounter) (body []byte) {
	for _, c := range list {
		var series []byte
		for i := 0; i < len(c.labels); i += 2 {
			series = sub(series, 1, sub(sub(nil, 1, []byte(c.labels[i])), 2, []byte(c.labels[i+1])))
		}
		for _, s := range c.samples {
			series = sub(series, 2, sampleOf(s, 0))
		}
		body = sub(body, 1, series)
	}
	return body
}

// write2 encodes a request of remote write 2.0.
func write2(list ...promCounter) (body []byte) {
	symbols := []string{""}
	var all []byte
	for _, c := range list {
		var series, refs []byte
		for _, text := range c.labels {
			refs = protowire.AppendVarint(refs, uint64(len(symbols)))
			symbols = append(symbols, text)
		}
		series = sub(series, 1, refs)
		for _, s := range c.samples {
			series = sub(series, 2, sampleOf(s, c.start))
		}
		all = sub(all, 5, sub(series, 5, varint(nil, 1, 1)))
	}
	for _, text := range symbols {
		body = sub(body, 4, []byte(text))
	}
	return append(body, all...)
}

// write sends a request of remote write to account a.
func (w *world) write(token, contentType string, body []byte) (status int, header http.Header, text string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "POST",
		w.http.URL+"/client/v4/accounts/"+w.a+"/traffic/prometheus/write", strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Content-Encoding", "snappy")
	res, err := w.http.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(said)
}

const (
	proto1 = "application/x-protobuf"
	proto2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

func requestsTotal(code string, began int64, samples ...[2]float64) promCounter {
	return promCounter{[]string{"__name__", "http_requests_total", "code", code, "instance", "a:80", "job", "shop",
		"host", "shop.example"}, began, samples}
}

func TestCountersOfPrometheusAreCountedByTheirDifferences(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Pass(time.Hour)
		send := func(contentType string, body []byte, want string) {
			t.Helper()
			status, header, text := w.write("writer", contentType, snappy.Encode(nil, body))
			if got := header.Get("X-Prometheus-Remote-Write-Samples-Written"); status != 200 || got != want {
				t.Errorf("%d %q %s; want %s written", status, got, text, want)
			}
		}
		up := promCounter{[]string{"__name__", "up", "job", "shop"}, 0, [][2]float64{{0, 1}}}
		// 1.0 names no start: the first sample is where a counter begins.
		send(proto1, write1(up, requestsTotal("200", 0, [2]float64{0, 100}, [2]float64{15, 110})), "3")
		send(proto1, write1(requestsTotal("200", 0, [2]float64{15, 110})), "1") // repeated
		send(proto1, write1(requestsTotal("200", 0, [2]float64{30, 4})), "1")   // restarted
		send(proto1, write1(requestsTotal("200", 0, [2]float64{45, math.Float64frombits(0x7ff0000000000002)})), "1")
		// 2.0 has the start.
		send(proto2, write2(requestsTotal("502", 30, [2]float64{60, 7}), requestsTotal("5xx", 30, [2]float64{60, 2})), "2")
		list := w.sharded(3)
		if got, want := counted(list), "0+15  0/10, 15+15  0/4, 30+30  7/7, 30+30  2/2"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if c := list[0].Counts[0]; c.Hostname != "shop.example" || c.Origin != "a:80" {
			t.Errorf("%+v", c)
		}
	})
}

// The first failure of a process makes a new series, whose beginning remote write 1.0 does not name: it is after the
// last sample of the others.
func TestASeriesThatAppearsLaterCountsFromTheSampleBefore(t *testing.T) {
	w := newWorld(t, "", 1)
	w.Pass(time.Hour)
	for _, body := range [][]byte{
		write1(requestsTotal("200", 0, [2]float64{0, 100})),
		write1(requestsTotal("404", 0, [2]float64{0, 1000})), // of the same scrape, in another request
		write1(requestsTotal("200", 0, [2]float64{15, 100}), requestsTotal("500", 0, [2]float64{15, 3})),
		write1(requestsTotal("502", 0, [2]float64{15, 2})),
	} {
		if status, _, text := w.write("writer", proto1, snappy.Encode(nil, body)); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	if got, want := counted(w.sharded(2)), "0+15  3/3, 0+15  2/2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// buckets are the series of a classic histogram at one time: pairs of a bound and a number.
func buckets(at float64, list ...any) (out []promCounter) {
	for i := 0; i < len(list); i += 2 {
		out = append(out, promCounter{[]string{"__name__", "http_request_duration_seconds_bucket", "le", list[i].(string),
			"code", "200", "host", "shop.example", "instance", "a:80", "job", "shop"}, 0,
			[][2]float64{{at, float64(list[i+1].(int))}}})
	}
	return out
}

// thresholdsAre sets the latency thresholds of shop.example.
func (w *world) thresholdsAre(list ...time.Duration) {
	w.t.Helper()
	w.took(w.counts(count("shop.example", start, 1, 0)), 1, 0)
	zone := w.zone(w.a, "shop.example")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.thresholds = map[string][]time.Duration{zone: list}
}

func TestClassicHistogramsCountLatencyWhateverTheRequests(t *testing.T) {
	w := newWorld(t, "", 1)
	w.thresholdsAre(300*time.Millisecond, 500*time.Millisecond)
	w.Pass(time.Hour)
	first := buckets(0, "0.1", 5, "0.5", 8, "+Inf", 10)
	second := buckets(15, "0.1", 9, "0.5", 17, "+Inf", 20)
	third := buckets(30, "0.1", 9, "0.5", 18, "+Inf", 22)
	for _, body := range [][]byte{
		write1(first...),
		write1(second[2]), // the buckets of a scrape come in two requests
		write1(third[2]),
		write1(second[:2]...),
		write1(second...), // repeated
		write1(third[:2]...),
		write1(buckets(45, "0.1", 1, "0.5", 1, "+Inf", 2)...), // restarted
	} {
		if status, _, text := w.write("writer", proto1, snappy.Encode(nil, body)); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	want := "0+15 latency:500ms 1/10, 15+15 latency:500ms 1/2, 30+15 latency:500ms 1/2"
	if got := counted(w.sharded(4)[1:]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func zigzag(b []byte, n protowire.Number, v int64) []byte {
	return varint(b, n, int64(protowire.EncodeZigZag(v)))
}

func double(b []byte, n protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(v))
}

// native encodes a native histogram of http_request_duration_seconds whose buckets have the indexes from first on.
func native(at float64, schema int64, custom []float64, first int64, counts ...int64) []byte {
	total := int64(0)
	var deltas []byte
	last := int64(0)
	for _, n := range counts {
		total += n
		deltas = protowire.AppendVarint(deltas, protowire.EncodeZigZag(n-last))
		last = n
	}
	h := double(varint(nil, 1, total+1), 3, 1.5) // one observation is in the zero bucket
	if custom != nil {
		h = double(varint(nil, 1, total), 3, 1.5)
	}
	h = double(zigzag(h, 4, schema), 5, 1e-9)
	if custom == nil {
		h = varint(h, 6, 1)
	}
	h = sub(h, 11, varint(zigzag(nil, 1, first), 2, int64(len(counts))))
	h = sub(h, 12, deltas)
	h = varint(h, 15, start.Add(time.Duration(at*float64(time.Second))).UnixMilli())
	for _, bound := range custom {
		h = double(h, 16, bound)
	}
	symbols := []string{"", "__name__", "http_request_duration_seconds", "host", "shop.example", "job", "shop"}
	series := sub(nil, 1, []byte{1, 2, 3, 4, 5, 6})
	series = sub(series, 3, h)
	series = sub(series, 5, varint(nil, 1, 3)) // a histogram
	var body []byte
	for _, text := range symbols {
		body = sub(body, 4, []byte(text))
	}
	return sub(body, 5, series)
}

func TestNativeHistogramsCountLatencyAtBoundsOfTheirBuckets(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second []byte
		want          string
	}{
		// Bounds of schema 0: 0.25, 0.5, 1, 2 are the indexes -2 to 1.
		{"schema 0", native(0, 0, nil, -2, 1, 1, 1, 1), native(15, 0, nil, -2, 3, 4, 1, 2), "0+15 latency:500ms 1/6"},
		// Of schema 1, every second bound is a power of two: 0.5 is the index -2.
		{"schema 1", native(0, 1, nil, -3, 1, 1, 1), native(15, 1, nil, -3, 2, 2, 4), "0+15 latency:500ms 3/5"},
		{"custom bounds", native(0, -53, []float64{0.1, 0.5, 1}, 0, 1, 1, 1, 1),
			native(15, -53, []float64{0.1, 0.5, 1}, 0, 2, 3, 1, 5), "0+15 latency:500ms 4/7"},
	} {
		w := newWorld(t, "", 1)
		w.thresholdsAre(500*time.Millisecond, 300*time.Millisecond) // 0.3 is no bound
		w.Pass(time.Hour)
		for _, body := range [][]byte{c.first, c.second, c.second} {
			status, header, text := w.write("writer", proto2, snappy.Encode(nil, body))
			if status != 200 || header.Get("X-Prometheus-Remote-Write-Histograms-Written") != "1" {
				t.Fatalf("%s: %d %v %s", c.name, status, header, text)
			}
		}
		if got := counted(w.sharded(2)[1:]); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAnAccountNamesTheMetricsThatAreCounted(t *testing.T) {
	w := newWorld(t, "", 1)
	w.thresholdsAre(500 * time.Millisecond)
	w.Pass(time.Hour)
	r := w.call("editor", "PUT", "/traffic/rules", `{"metrics":[
		{"name":"app_requests","type":"counter",
			"labels":{"status":"result","zone":"site","origin":"pod","path_class":"handler"}},
		{"name":"app_latency","type":"histogram","unit":"ms","requests":true,"zone":"shop.example",
			"labels":{"status":"result"}}
	]}`)
	if r.Status != 200 || !strings.Contains(r.Text, `"default_metrics":false`) ||
		!strings.Contains(r.Text, `"zone":"`+w.zone(w.a, "shop.example")+`"`) {
		t.Fatalf("%d %s", r.Status, r.Text)
	}
	requests := func(at, value float64) promCounter {
		return promCounter{[]string{"__name__", "app_requests", "result", "503", "site", "api.example", "pod", "pod-7",
			"handler", "/pay"}, 0, [][2]float64{{at, value}}}
	}
	latency := func(name, le string, at, value float64) promCounter {
		labels := []string{"__name__", "app_latency" + name, "result", "200", "le", le}
		return promCounter{labels, 0, [][2]float64{{at, value}}}
	}
	for _, at := range []float64{0, 15} {
		if status, _, text := w.write("writer", proto1, snappy.Encode(nil, write1(requests(at, at),
			latency("_bucket", "500", at, 2*at), latency("_bucket", "+Inf", at, 3*at), latency("_count", "", at, 3*at),
			requestsTotal("200", 0, [2]float64{at, 100 * at})))); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	list := w.sharded(3)[1:]
	if got, want := counted(list), "0+15  15/15, 0+15 latency:500ms 15/45, 0+15  0/45"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c := list[0].Counts[0]; c.Origin != "pod-7" || c.PathClass != "/pay" || c.Hostname != "api.example" {
		t.Errorf("%+v", c)
	}

	for _, c := range []struct{ metric, pointer string }{
		{`{"type":"counter"}`, "/metrics/0/name"},
		{`{"name":"a b","type":"counter"}`, "/metrics/0/name"},
		{`{"name":"a_bucket","type":"histogram"}`, "/metrics/0/name"},
		{`{"name":"a","type":"counter"},{"name":"a","type":"counter"}`, "/metrics/1/name"},
		{`{"name":"a","type":"gauge"}`, "/metrics/0/type"},
		{`{"name":"a","type":"histogram","unit":"us"}`, "/metrics/0/unit"},
		{`{"name":"a","type":"counter","zone":"unknown.example"}`, "/metrics/0/zone"},
		{`{"name":"a","type":"counter","labels":{"origin":"a b"}}`, "/metrics/0/labels/origin"},
		{strings.TrimSuffix(strings.Repeat(`{"name":"a","type":"counter"},`, 51), ","), "/metrics"},
	} {
		r := w.call("editor", "PUT", "/traffic/rules", `{"metrics":[`+c.metric+`]}`)
		if len(r.Errors) == 0 || r.Status/100 != 4 || !strings.HasSuffix(r.Errors[0].Source.Pointer, c.pointer) {
			t.Errorf("%s: %d %s", c.pointer, r.Status, r.Text)
		}
	}
	// Of another account, the default metrics are counted.
	if rules, err := w.f.RulesOf(t.Context(), w.b); err != nil || !rules.DefaultMetrics {
		t.Errorf("%+v %v", rules, err)
	}
}

func TestWhatIsNotRefusedIsStored(t *testing.T) {
	w := newWorld(t, "", 1)
	w.Pass(time.Hour)
	body := write2(
		requestsTotal("200", -5, [2]float64{0, 3}, [2]float64{15, -1}, [2]float64{30, 5}),
		promCounter{[]string{"__name__", "up"}, 0, [][2]float64{{0, 1}}},
	)
	status, header, text := w.write("writer", proto2, snappy.Encode(nil, body))
	if status != 400 || header.Get("X-Prometheus-Remote-Write-Samples-Written") != "3" ||
		!strings.Contains(text, "http_requests_total is -1") {
		t.Errorf("%d %v %s", status, header, text)
	}
	if got, want := counted(w.sharded(1)), "-5+5  0/3, 0+30  0/2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSamplesThatCannotBeCountedAreRejectedWithTheReason(t *testing.T) {
	w := newWorld(t, "", 1)
	none := requestsTotal("200", 0, [2]float64{0, 1})
	none.labels = none.labels[:8]
	for _, c := range []struct {
		name string
		one  promCounter
		say  string
	}{
		{"no number", requestsTotal("200", 0, [2]float64{0, math.NaN()}), "a counter of requests is"},
		{"endless", requestsTotal("200", 0, [2]float64{0, math.Inf(1)}), "a counter of requests is"},
		{"negative", requestsTotal("200", 0, [2]float64{0, -1}), "a counter of requests is"},
		{"absurd", requestsTotal("200", 0, [2]float64{0, 1e15}), "a counter of requests is"},
		{"a year ago", requestsTotal("200", 0, [2]float64{-370 * 86400, 1}), "the oldest accepted"},
		{"in a year", requestsTotal("200", 0, [2]float64{370 * 86400, 1}), "ahead of the server's clock"},
		{"no property", none, "names no property"},
	} {
		status, header, text := w.write("writer", proto1, snappy.Encode(nil, write1(c.one)))
		if status != 400 || !strings.Contains(text, c.say) ||
			header.Get("X-Prometheus-Remote-Write-Samples-Written") != "0" {
			t.Errorf("%s: %d %s", c.name, status, text)
		}
	}
	good := snappy.Encode(nil, write1(requestsTotal("200", 0, [2]float64{0, 1})))
	for _, c := range []struct {
		token, contentType string
		body               []byte
		want               int
	}{
		{"reader", proto1, good, 403},
		{"other", proto1, good, 403},
		{"writer", "text/plain", good, 400},
		{"writer", proto1, []byte("not snappy"), 400},
		{"writer", proto1, snappy.Encode(nil, []byte("\xff\xff")), 400},
		{"writer", proto2, snappy.Encode(nil, sub(nil, 5, sub(nil, 1, []byte{9, 9}))), 400},
		{"writer", "application/x-protobuf;proto=io.prometheus.write.v9.Request", good, 415},
		{"writer", "application/x-protobuf;proto=prometheus.WriteRequest", good, 200},
		{"writer", proto1, good, 200},
	} {
		if status, _, text := w.write(c.token, c.contentType, c.body); status != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.token, c.contentType, status, text, c.want)
		}
	}
	if n := len(w.delivered(event.TopicTrafficSharded, 0)); n > 0 {
		t.Errorf("%d messages", n)
	}
}
