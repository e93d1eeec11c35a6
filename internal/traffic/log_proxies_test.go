package traffic_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/traffic"
)

// short is a line in short: time, hostname, origin, status, origin's status, reason,
// duration and outcome.
func short(e traffic.Entry, fault error) string {
	if fault != nil {
		return "refused"
	}
	took := "-"
	if e.Timed {
		took = e.Took.String()
	}
	outcome := "good"
	switch {
	case e.Ignored:
		outcome = "ignored"
	case e.Unreachable:
		outcome = "unreachable"
	case e.Bad:
		outcome = "bad"
	}
	at := time.Unix(e.At, 0).UTC().Format("2006-01-02T15:04:05")
	return fmt.Sprintf("%s|%s|%s|%d|%d|%s|%s|%s", at, e.Hostname, e.Origin, e.Status, e.OriginStatus, e.Reason, took,
		outcome)
}

func TestLinesWrittenByOthersAreRead(t *testing.T) {
	for _, c := range []struct {
		file   string
		format traffic.Format
		want   []string
	}{
		{"envoy.log", traffic.Envoy, []string{
			"2016-04-15T20:17:00|locations|10.0.2.1:80|204|0||226ms|good",
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28472|200|0||7ms|good",
			"2026-11-28T20:14:39|shop.example||503|0|UH|0s|unreachable",
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28479|503|0|UF|0s|unreachable",
			"2026-11-28T20:14:39|shop.example|[::1]:28479|503|0|UF|0s|unreachable",
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28472|504|0|UT|197ms|bad",
			"2026-11-28T20:14:39|shop.example||404|0|NR|0s|good",
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28472|200|0||5ms|good",
			"2026-11-28T20:14:39|shop.example||503|0|UH|0s|unreachable",
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28479|503|0|UF|0s|unreachable",
			"refused", // quotes that are not escaped
		}},
		{"envoy.ndjson", traffic.Envoy, []string{
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28472|200|0||7ms|good",
			"2026-11-28T20:14:39|shop.example||503|0|UH|0s|unreachable",
			"2026-11-28T20:14:39|shop.example|[::1]:28479|503|0|UF|0s|unreachable",
			"2026-11-28T20:14:39|shop.example||404|0|NR|0s|good",
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28472|200|0||7ms|good",
			"2026-11-28T20:14:39|shop.example|127.0.0.1:28479|503|0|UF|0s|unreachable",
			"refused", // quotes that are not escaped
		}},
		{"haproxy.log", traffic.HAProxy, []string{
			"2026-11-28T20:15:21|shop.example|shop/s1|200|0||7ms|good",
			"2026-11-28T20:15:21|shop.example||403|0|PR|0s|good",
			"2026-11-28T20:15:21|shop.example|gone/s1|503|0|SC|3.003s|unreachable",
			"2026-11-28T20:15:24|shop.example||503|0|SC|0s|unreachable",
			"2026-11-28T20:15:24|shop.example|garbage/s1|502|0|PH|0s|bad",
			"2026-11-28T20:15:24|shop.example|shop/s1|200|0||1.001s|good",
			"2026-11-28T20:15:25|shop.example|hang/s1|200|0||0s|good",
			"2026-11-28T20:15:25|127.0.0.1|shop/s1|200|0||0s|good",
			"2026-11-28T20:15:25||shop/s1|200|0||1ms|good",
			"refused", // option tcplog
			"2026-11-28T20:15:25||shop/s1|200|0||0s|good",
			"2026-11-28T20:15:25|||400|0|CR|0s|good",
			"2026-11-28T20:15:25|||400|0|CR|0s|good",
			"2026-11-28T20:15:25|shop.example|shop/s1|200|0||1.001s|good",
			"2026-11-28T20:15:25|||408|0|cR|1.002s|good",
			"2026-11-28T20:15:27|||400|0|PR|0s|good",
		}},
		{"alb.log", traffic.ALB, []string{
			"2026-11-22T10:00:01|shop.example|10.0.0.1:80|200|200||1ms|good",
			"2026-11-22T10:00:02|shop.example|10.0.0.1:80|200|200||48ms|good",
			"2026-11-22T10:00:03|10.0.2.105|10.0.0.66:9000|500|500||2ms|bad",
			"2026-11-22T10:00:04|10.0.0.30|10.0.1.192:8010|101|101||3ms|good",
			"2026-11-22T10:00:05|10.0.0.30|10.0.0.171:8010|101|101||1ms|good",
			"2026-11-22T10:00:06|shop.example||200|200||1ms|good", // a Lambda function
			"2026-11-22T10:00:07|shop.example||502|0|LambdaInvalidResponse|1ms|bad",
			"2026-11-22T10:00:08|shop.example||503|0|no-target|-|unreachable",
			"2026-11-22T10:00:09|shop.example|10.0.0.1:80|502|0|not-dispatched|-|unreachable",
			"2026-11-22T10:00:10|shop.example|[2001:db8::1]:80|200|200||48ms|good",
		}},
		{"cloudfront.log", traffic.CloudFront, []string{
			"2026-11-22T10:00:01|shop.example||200|0|Hit|1ms|good",
			"2026-11-22T10:00:02|shop.example||502|0|OriginDnsError|102ms|unreachable",
			"2026-11-22T10:00:03|shop.example||502|0|OriginConnectError|107ms|unreachable",
			"2026-11-22T10:00:04|shop.example||504|0|OriginCommError|30.003s|bad",
			"2026-11-22T10:00:05|shop.example||304|0|RefreshHit|1ms|good",
		}},
		{"cloudfront.ndjson", traffic.CloudFront, []string{
			"2026-11-22T10:00:01|shop.example||304|0|Hit|1ms|good",
			"2026-11-22T10:00:02|shop.example||502|0|OriginConnectError|102ms|unreachable",
		}},
	} {
		file, err := os.Open("testdata/logs/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var got []string
		if err := c.format.Read(file, func(_ int, e traffic.Entry, fault error) error {
			got = append(got, short(e, fault))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.file, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

const (
	envoyLine = `[2016-04-15T20:17:00.310Z] "GET / HTTP/1.1" %s 0 10 226 100 "-" "%s" "id" ` +
		`"shop.example:443" "10.0.0.1:80"`
	haproxyLine = `10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in~ bk/s1 10/0/30/69/%s %s 2750 - - %s-- 1/1/1/1/0 0/0 ` +
		`"GET / HTTP/1.1"`
	albLine = `https 2018-07-02T22:23:00.186641Z app/lb/50 192.0.2.7:2817 %s %s 0.1 %s 34 366 ` +
		`"GET https://shop.example:443/ HTTP/1.1" "curl" - - arn "Root=1" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "%s"`
	frontLine = "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td1.cloudfront.net\t/\t%s\t-\tx\t-\t-\tError\tid==\t" +
		"Shop.example\thttps\t23\t%s\t-\t-\t-\tError\tHTTP/2.0\t-\t-\t11040\t0.001\t%s\ttext/html\t78\t-\t-"
)

func TestProxiesSayWhyARequestFailed(t *testing.T) {
	envoy := func(status, agent string) string { return fmt.Sprintf(envoyLine, status, agent) }
	haproxy := func(took, status, state string) string { return fmt.Sprintf(haproxyLine, took, status, state) }
	alb := func(target, times, statuses, reason string) string {
		return fmt.Sprintf(albLine, target, times, statuses, reason)
	}
	front := func(status, took, detail string) string { return fmt.Sprintf(frontLine, status, took, detail) }
	for _, c := range []struct {
		format     traffic.Format
		line, want string // of the latter, from the hostname
	}{
		{traffic.Envoy, envoy("200 -", "x"), "shop.example|10.0.0.1:80|200|0||226ms|good"},
		{traffic.Envoy, envoy("503 UF,URX", "x"), "shop.example|10.0.0.1:80|503|0|UF,URX|226ms|unreachable"},
		{traffic.Envoy, envoy("503 UH", "x"), "shop.example|10.0.0.1:80|503|0|UH|226ms|unreachable"},
		{traffic.Envoy, envoy("503 DF", "x"), "shop.example|10.0.0.1:80|503|0|DF|226ms|unreachable"},
		{traffic.Envoy, envoy("503 UO", "x"), "shop.example|10.0.0.1:80|503|0|UO|226ms|bad"},
		{traffic.Envoy, envoy("504 UT", "x"), "shop.example|10.0.0.1:80|504|0|UT|226ms|bad"},
		{traffic.Envoy, envoy("503 NC", "x"), "shop.example|10.0.0.1:80|503|0|NC|226ms|bad"},
		{traffic.Envoy, envoy("200 UC", "x"), "shop.example|10.0.0.1:80|200|0|UC|226ms|bad"}, // broken off in the body
		{traffic.Envoy, envoy("404 NR", "x"), "shop.example|10.0.0.1:80|404|0|NR|226ms|good"},
		{traffic.Envoy, envoy("429 RL", "x"), "shop.example|10.0.0.1:80|429|0|RL|226ms|good"},
		{traffic.Envoy, envoy("0 DC", "x"), "shop.example|10.0.0.1:80|0|0|DC|226ms|good"},
		{traffic.Envoy, envoy("200 -", `a "quoted" agent`), "shop.example|10.0.0.1:80|200|0||226ms|good"},
		{traffic.Envoy, `[2016-04-15T20:17:00Z] "GET /?q="200 UF HTTP/1.1" 503 UT 0 1 2`, "||503|0|UT|2ms|bad"},
		{traffic.Envoy, `[2016-04-15T20:17:00Z] "GET /?q="200" HTTP/1.1" 503 UT 0 1 2`, "||503|0|UT|2ms|bad"},
		{traffic.Envoy, `[2016-04-15T22:17:00.310+02:00] "GET / HTTP/1.1" 200 - 0 1 2 - "-" "-" "-" "[2001:db8::1]:443" "-"`,
			"2001:db8::1||200|0||2ms|good"},
		{traffic.Envoy, `{"start_time":"2016-04-15T20:17:00Z","response_code":502,"response_flags":"UPE","duration":12.5}`,
			"||502|0|UPE|12.5ms|bad"},
		{traffic.Envoy, `{"start_time":"2016-04-15T20:17:00Z","response_code":"0","response_flags":"DC"}`,
			"||0|0|DC|-|good"},

		{traffic.HAProxy, haproxy("109", "200", "--"), "|bk/s1|200|0||109ms|good"},
		{traffic.HAProxy, haproxy("109", "503", "SC"), "|bk/s1|503|0|SC|109ms|unreachable"},
		{traffic.HAProxy, haproxy("109", "503", "sC"), "|bk/s1|503|0|sC|109ms|unreachable"},
		{traffic.HAProxy, haproxy("109", "504", "sH"), "|bk/s1|504|0|sH|109ms|bad"},
		{traffic.HAProxy, haproxy("109", "502", "SH"), "|bk/s1|502|0|SH|109ms|bad"},
		{traffic.HAProxy, haproxy("109", "503", "sQ"), "|bk/s1|503|0|sQ|109ms|bad"},
		{traffic.HAProxy, haproxy("109", "200", "SD"), "|bk/s1|200|0|SD|109ms|bad"}, // broken off in the body
		{traffic.HAProxy, haproxy("109", "200", "CD"), "|bk/s1|200|0|CD|109ms|good"},
		{traffic.HAProxy, haproxy("-1", "-1", "CR"), "|bk/s1|0|0|CR|-|good"},
		{traffic.HAProxy, haproxy("109", "400", "PR"), "|bk/s1|400|0|PR|109ms|good"},

		{traffic.ALB, alb("10.0.0.1:80", "0.086 0.048", "200 200", "-"), "shop.example|10.0.0.1:80|200|200||48ms|good"},
		{traffic.ALB, alb("10.0.0.1:80", "0.086 0.048", "502 500", "-"), "shop.example|10.0.0.1:80|502|500||48ms|bad"},
		{traffic.ALB, alb("-", "-1 -1", "503 -", "-"), "shop.example||503|0|no-target|-|unreachable"},
		{traffic.ALB, alb("10.0.0.1:80", "0.01 -1", "502 -", "-"),
			"shop.example|10.0.0.1:80|502|0|not-dispatched|-|unreachable"},
		{traffic.ALB, alb("10.0.0.1:80", "0.01 -1", "504 -", "-"), "shop.example|10.0.0.1:80|504|0|not-dispatched|-|bad"},
		{traffic.ALB, alb("10.0.0.1:80", "-1 -1", "460 -", "-"), "shop.example|10.0.0.1:80|460|0|not-dispatched|-|good"},
		{traffic.ALB, alb("10.0.0.1:80", "-1 -1", "- -", "-"), "shop.example|10.0.0.1:80|0|0|not-dispatched|-|good"},

		{traffic.CloudFront, front("200", "0.25", "Hit"), "shop.example||200|0|Hit|250ms|good"},
		{traffic.CloudFront, front("502", "0.25", "OriginConnectError"),
			"shop.example||502|0|OriginConnectError|250ms|unreachable"},
		{traffic.CloudFront, front("504", "30.0", "OriginCommError"), "shop.example||504|0|OriginCommError|30s|bad"},
		{traffic.CloudFront, front("000", "0.25", "ClientCommError"), "shop.example||0|0|ClientCommError|250ms|good"},
		{traffic.CloudFront, front("503", "0.25", "LimitExceeded"), "shop.example||503|0|LimitExceeded|250ms|bad"},
		{traffic.CloudFront, front("403", "0.25", "Error"), "shop.example||403|0|Error|250ms|good"},
	} {
		got := short(c.format.Parse([]byte(c.line)))
		if _, rest, ok := strings.Cut(got, "|"); ok {
			got = rest
		}
		if got != c.want {
			t.Errorf("%s %s\n got %s\nwant %s", c.format, c.line, got, c.want)
		}
	}
}

func TestAProxysLineThatIsNoRequestSaysWhy(t *testing.T) {
	for _, c := range []struct {
		format    traffic.Format
		line, why string
	}{
		{traffic.Envoy, "hello", "no time"},
		{traffic.Envoy, `[2016-04-15T20:17:00.310Z] GET`, "no quoted request"},
		{traffic.Envoy, `[2016-04-15T20:17:00.310Z] "GET / HTT`, "no end"},
		{traffic.Envoy, `[2016-04-15T20:17:00.310Z] "GET / HTTP/1.1" 20`, "no status"},
		{traffic.Envoy, `[2016-04-15T20:17:00.310Z] "GET / HTTP/1.1" 200 - 0`, "was cut"},
		{traffic.Envoy, `[2016-04-15T20:17:00.310Z] "GET / HTTP/1.1" 200 - 0 1 2 - "-" "Mozilla`, "JSON"},
		{traffic.Envoy, `[2016-04-15T20:17:00.310Z] "GET / HTTP/1.1" ok - 0 1 2`, "not a number"},
		{traffic.Envoy, `{"start_time":"2016-04-15T20:17:00Z"}`, "no response_code"},
		{traffic.Envoy, `{"response_code":200}`, "none of start_time"},
		{traffic.Envoy, `{"response_code":200,"start_time":`, "not one JSON object"},
		{traffic.HAProxy, "Feb  6 12:12:56 gw haproxy[14387]: Proxy in started.", "no time"},
		{traffic.HAProxy, `haproxy[1]: 127.0.0.1:34550 [06/Feb/2009:12:12:51.443] frt/f1: invalid request`,
			"no quoted request"},
		{traffic.HAProxy, `1.2.3.4:5 [06/Feb/2009:12:14:14.655] in bk/s1 10/0/30/69/109 200 "GET / HTTP/1.1"`,
			"no five times"},
		{traffic.HAProxy, `1.2.3.4:5 [06/Feb/2009:12:14:14.655] in bk/s1 10/0/30 2 2 - - ---- 1/1 0/0 x "GET /"`,
			"no five times"},
		{traffic.HAProxy, `1.2.3.4:5 [06/Feb/2009:12:14:14.655] in bk/s1 10/0/30/69/109 no 2750 - - ---- 1/1/1/1/0 0/0 "GET /"`,
			"not a number"},
		{traffic.ALB, "hello", "does not begin"},
		{traffic.ALB, "tls 2.0 2018-12-20T02:59:40 net/my-nlb/c6 g3 72.21.218.154:51341 172.100.100.185:443 5 2", "does not begin"},
		{traffic.ALB, "https 2018-07-02T22:23:00.186641Z app/lb/50 192.0.2.7:2817 10.0.0.1:80 0.0", "was cut"},
		{traffic.ALB, `http yesterday app/lb 1:2 3:4 0 0 0 200 200 34 366 "GET http://a.example/ HTTP/1.1"`, "not a time"},
		{traffic.CloudFront, "2019-12-04\t21:02:31\tLAX1", "was cut"},
		{traffic.CloudFront, strings.ReplaceAll(fmt.Sprintf(frontLine, "200", "0.1", "Hit"), "2019-12-04", "2019-02-31"),
			"date and time"},
		{traffic.CloudFront, `{"date":"2019-12-04","time":"21:02:31"}`, "no sc-status"},
		{traffic.CloudFront, "#Fields: date time c-ip", "no sc-status"},
	} {
		_, err := c.format.Parse([]byte(c.line))
		if err == nil || errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s %s: %v, want %q", c.format, c.line, err, c.why)
		}
	}
}

// A header names the fields until another one comes: CloudFront adds fields, and jobs may leave some out.
func TestTheHeaderOfACloudFrontLogIsHonoured(t *testing.T) {
	log := "#Version: 1.0\n#Fields: sc-status date time x-host-header\n" +
		"503\t2019-12-04\t21:02:31\ta.example\n" +
		"#Fields: x-host-header timestamp(ms) time-taken sc-status\n" +
		"B.example:443\t1575493351250\t1.5\t200\n"
	var got []string
	p := traffic.Parser{Format: traffic.CloudFront}
	if err := p.Read(strings.NewReader(log), func(line int, _ []byte, e traffic.Entry, fault error) error {
		got = append(got, fmt.Sprint(line, " ", short(e, fault)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"3 2019-12-04T21:02:31|a.example||503|0||-|bad",
		"5 2019-12-04T21:02:31|b.example||200|0||1.5s|good",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	again := traffic.Parser{Format: traffic.CloudFront}
	again.SetHeader(p.Header())
	if e, err := again.Parse([]byte("c.example\t1575493351250\t-\t204")); err != nil || e.Status != 204 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestTimesOfHAProxyAreOfATimeZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf(haproxyLine, "109", "200", "--")
	for _, c := range []struct {
		line string
		zone *time.Location
		want string
	}{
		{line, nil, "12:14:14"},
		{line, berlin, "11:14:14"},
		{strings.Replace(line, "06/Feb", "06/Jul", 1), berlin, "10:14:14"}, // summer
		{"2009-02-06T12:14:14-05:00 lb haproxy[1]: " + line, berlin, "17:14:14"},
		{"<134>1 2009-02-06T12:14:14.700+03:30 lb haproxy 1 - - " + line, nil, "08:44:14"},
		{strings.Replace(line, "14.655]", "14 +0200]", 1), berlin, "10:14:14"},
	} {
		p := traffic.Parser{Format: traffic.HAProxy, Zone: c.zone}
		e, err := p.Parse([]byte(c.line))
		if got := time.Unix(e.At, 0).UTC().Format("15:04:05"); err != nil || got != c.want {
			t.Errorf("%s in %v: %s, %v; want %s", c.line, c.zone, got, err, c.want)
		}
	}
}

func TestDurationsAreReadInTheirUnits(t *testing.T) {
	const nginx = `{"time_iso8601":"2015-05-17T10:05:03Z","status":200,`
	const caddy = `{"ts":1431857103,"request":{"host":"h.example"},"status":200,`
	const logpush = `{"EdgeStartTimestamp":1431857103,"EdgeResponseStatus":200,"OriginResponseStatus":200,`
	for _, c := range []struct {
		format traffic.Format
		line   string
		took   time.Duration // -1 = none
	}{
		{traffic.NginxJSON, nginx + `"request_time":"0.012","upstream_response_time":"1"}`, 12 * time.Millisecond},
		{traffic.NginxJSON, nginx + `"request_time":1.5}`, 1500 * time.Millisecond},
		{traffic.NginxJSON, nginx + `"upstream_response_time":"0.010, 0.020 : 0.100"}`, 130 * time.Millisecond},
		{traffic.NginxJSON, nginx + `"upstream_response_time":"-"}`, -1},
		{traffic.NginxJSON, nginx + `"request_time":"NaN"}`, -1},
		{traffic.NginxJSON, nginx + `"request_time":-1}`, -1},
		{traffic.NginxJSON, nginx + `"request_time":1e300}`, -1},
		{traffic.Caddy, caddy + `"duration":0.0215}`, 21500 * time.Microsecond},
		{traffic.Caddy, caddy + `"duration":"21.5ms"}`, 21500 * time.Microsecond},
		{traffic.Caddy, caddy + `"duration":"-3ms"}`, -1},
		{traffic.Logpush, logpush + `"OriginResponseDurationMs":250}`, 250 * time.Millisecond},
		{traffic.Logpush, strings.Replace(logpush, `"OriginResponseStatus":200`, `"OriginResponseStatus":0`, 1) +
			`"OriginResponseDurationMs":0}`, -1}, // the origin was not asked
	} {
		e, err := c.format.Parse([]byte(c.line))
		if err != nil || e.Timed != (c.took >= 0) || e.Timed && e.Took != c.took {
			t.Errorf("%s: %v %v, %v; want %v", c.line, e.Timed, e.Took, err, c.took)
		}
	}
}

func FuzzEnvoy(f *testing.F) {
	fuzzed(f, traffic.Envoy, fmt.Sprintf(envoyLine, "503 UF,URX", `x"y`),
		`{"start_time":"2016-04-15T20:17:00Z","response_code":"0","response_flags":"DC","duration":"1s"}`)
}

func FuzzHAProxy(f *testing.F) {
	fuzzed(f, traffic.HAProxy, fmt.Sprintf(haproxyLine, "+9", "200", "sC"))
}

func FuzzALB(f *testing.F) {
	fuzzed(f, traffic.ALB, fmt.Sprintf(albLine, "[2001:db8::1]:80", "0.086 -1", "502 -", "-"))
}

func FuzzCloudFront(f *testing.F) {
	fuzzed(f, traffic.CloudFront, fmt.Sprintf(frontLine, "000", "0.1", "Hit"), "#Fields: date sc-status",
		`{"date":"2019-12-04","time":"21:02:31","sc-status":"200","time-taken":0.5}`)
}

// BenchmarkParse measures one line of each format.
func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		format traffic.Format
		line   string
	}{
		{traffic.Combined, `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /images/kibana-search.png HTTP/1.1" 200 203023 ` +
			`"http://semicomplete.com/" "Mozilla/5.0"`},
		{traffic.NginxJSON, `{"time_iso8601":"2015-05-17T10:05:03+00:00","host":"shop.example","status":200,` +
			`"upstream_addr":"10.0.0.1:80","upstream_connect_time":"0.001","request_time":"0.012"}`},
		{traffic.Caddy, `{"level":"info","ts":1431857103.7,"logger":"http.log.access","msg":"handled request",` +
			`"request":{"method":"GET","host":"shop.example:443","uri":"/"},"duration":0.01,"status":200}`},
		{traffic.Logpush, `{"EdgeStartTimestamp":1431857103000000000,"EdgeResponseStatus":200,"OriginResponseStatus":200,` +
			`"ZoneName":"shop.example","ClientRequestHost":"www.shop.example","RayID":"1"}`},
		{traffic.Envoy, fmt.Sprintf(envoyLine, "200 -", "curl/8")},
		{traffic.HAProxy, fmt.Sprintf(haproxyLine, "109", "200", "--")},
		{traffic.ALB, fmt.Sprintf(albLine, "10.0.0.1:80", "0.086 0.048", "200 200", "-")},
		{traffic.CloudFront, fmt.Sprintf(frontLine, "200", "0.1", "Hit")},
	} {
		b.Run(string(c.format), func(b *testing.B) {
			p := traffic.Parser{Format: c.format}
			line := []byte(c.line)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
