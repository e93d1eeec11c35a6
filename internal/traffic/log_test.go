package traffic_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/traffic"
)

func TestTheLogOfARealSiteIsReadToTheLastLine(t *testing.T) {
	counts, sum, err := traffic.Combined.ReadCounts(strings.NewReader(site(t)), "semicomplete.com", "")
	if err != nil || sum.Refused != 0 || sum.Lines != 10_000 {
		t.Fatalf("%d lines, %d refused (line %d: %v), %v", sum.Lines, sum.Refused, sum.Line, sum.First, err)
	}
	want := map[int]int{200: 9126, 304: 445, 404: 213, 301: 164, 206: 45, 500: 3, 416: 2, 403: 2}
	if !maps.Equal(sum.Statuses, want) {
		t.Errorf("statuses %v, want %v", sum.Statuses, want)
	}
	var total, bad, last int64
	for _, c := range counts {
		total, bad = total+c.Total, bad+c.Bad
		if c.At < last || c.At%traffic.Width != 0 || c.Seconds != traffic.Width || c.Zone != "semicomplete.com" ||
			c.Unreachable != 0 {
			t.Fatalf("%+v behind %d", c, last)
		}
		last = c.At
	}
	if total != 10_000 || bad != 3 {
		t.Errorf("%d requests, %d bad; want 10000 and 3", total, bad)
	}
}

func TestEachFormatIsReadWithItsOwnSignsOfFailure(t *testing.T) {
	const at = 1431857103 // 2015-05-17T10:05:03Z
	for _, c := range []struct {
		format traffic.Format
		line   string
		want   traffic.Entry
	}{
		{
			traffic.Combined,
			`83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a.png HTTP/1.1" 200 203023 "http://s.example/" "Mozilla/5"`,
			traffic.Entry{
				At:     at,
				Status: 200,
			},
		},
		{traffic.Combined, `::1 - ana [17/May/2015:12:05:03 +0200] "GET / HTTP/1.1" 500 -`, traffic.Entry{
			At:     at,
			Status: 500,
			Bad:    true,
		}},
		{traffic.Combined, `::1 - [odd] [17/May/2015:05:35:03 -0430] "GET /a\"b HTTP/1.1" 503 1 "-" "says \"hi\" 200"`,
			traffic.Entry{
				At:     at,
				Status: 503,
				Bad:    true,
			}},
		{traffic.Combined, `192.0.2.7 - - [17/May/2015:10:05:03 +0000] "-" 408 -`, traffic.Entry{At: at, Status: 408}},
		{traffic.Combined, `192.0.2.7 - - [17/May/2015:10:05:03 +0000] "" 521`, traffic.Entry{
			At:          at,
			Status:      521,
			Bad:         true,
			Unreachable: true,
		}},
		{traffic.Combined, `WWW.Shop.example:443 192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 5 "-" "-"`,
			traffic.Entry{
				At:       at,
				Status:   200,
				Hostname: "www.shop.example",
			}},
		{traffic.Combined, `www.x.example 192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 5`, traffic.Entry{
			At:       at,
			Status:   200,
			Hostname: "www.x.example",
		}},
		{traffic.Combined, `www.x.example client.isp.example - - [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 5`,
			traffic.Entry{
				At:       at,
				Status:   200,
				Hostname: "www.x.example",
			}},
		// Neither a time, nor the address or the name of a visitor is a host.
		{traffic.Combined, `2026-11-28T04:20:38.123456789Z 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5`,
			traffic.Entry{
				At:     at,
				Status: 200,
			}},
		{traffic.Combined, `198.51.100.7:4711 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5`,
			traffic.Entry{
				At:     at,
				Status: 200,
			}},
		{traffic.Combined, `198.51.100.7:4711 - John Doe [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5`, traffic.Entry{
			At:     at,
			Status: 200,
		}},
		{traffic.Combined, `198.51.100.7 - John.X Doe [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5`, traffic.Entry{
			At:     at,
			Status: 200,
		}},
		{traffic.Combined, `[2001:db8::7]:4711 - John Doe [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5`, traffic.Entry{
			At:     at,
			Status: 200,
		}},
		{traffic.Combined, `client.isp.example - John Doe [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5`, traffic.Entry{
			At:     at,
			Status: 200,
		}},
		// The visitor chooses the user's name and the agent.
		{traffic.Combined, `192.0.2.1 - x[28/Nov/2026:04:00:00 +0000] [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 500 5`,
			traffic.Entry{
				At:     at,
				Status: 500,
				Bad:    true,
			}},
		{
			traffic.Combined,
			`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 500 5 "-" ` +
				`"x [28/Nov/2026:04:00:00 +0000] \"GET /\" 200"`,
			traffic.Entry{
				At:     at,
				Status: 500,
				Bad:    true,
			},
		},
		{traffic.Combined, "\ufeff" + `192.0.2.1 - - [17/May/2015:10:05:03.250 +0000] "GET / HTTP/1.1" 200 5`, traffic.Entry{
			At:     at,
			Status: 200,
		}},
		{traffic.Combined, `192.0.2.1 - - [29/Feb/2016:00:00:00 +0000] "GET / HTTP/1.1" 200 5`, traffic.Entry{
			At:     1456704000,
			Status: 200,
		}},
		{traffic.NginxJSON, `{"@timestamp":"2015-05-17T10:05:03.123Z","status":200}`, traffic.Entry{At: at, Status: 200}},
		{traffic.NginxJSON, `{"time":"17/May/2015:12:05:03 +0200","status":200}`, traffic.Entry{At: at, Status: 200}},
		{traffic.NginxJSON, `{"date":"[17/May/2015:10:05:03 +0000]","status":200}`, traffic.Entry{At: at, Status: 200}},
		{traffic.NginxJSON, `{"timestamp":"1431857103.5","status":200}`, traffic.Entry{At: at, Status: 200}},
		{traffic.NginxJSON, "\ufeff" + `{"time_iso8601":"2015-05-17T10:05:03+00:00","status":200}`, traffic.Entry{
			At:     at,
			Status: 200,
		}},
		{
			traffic.NginxJSON,
			`{"time_iso8601":"2015-05-17T10:05:03+00:00","host":"Shop.example","status":200,"request_uri":"/x"}`,
			traffic.Entry{
				At:       at,
				Status:   200,
				Hostname: "shop.example",
			},
		},
		{
			traffic.NginxJSON,
			`{"msec":1431857103.250,"http_host":"shop.example:8443","status":"502",` +
				`"upstream_addr":"10.0.0.1:80, 10.0.0.2:80","upstream_connect_time":"0.001, -"}`,
			traffic.Entry{
				At:          at,
				Status:      502,
				Hostname:    "shop.example",
				Origin:      "10.0.0.2:80",
				Bad:         true,
				Unreachable: true,
				Reason:      "not-connected",
			},
		},
		{
			traffic.NginxJSON,
			`{"time_local":"17/May/2015:10:05:03 +0000","server_name":"shop.example","status":"502",` +
				`"upstream_addr":"10.0.0.1:80","upstream_connect_time":"0.001"}`,
			traffic.Entry{
				At:       at,
				Status:   502,
				Hostname: "shop.example",
				Origin:   "10.0.0.1:80",
				Bad:      true,
			},
		},
		{traffic.NginxJSON, `{"time_iso8601":"2015-05-17T10:05:03Z","status":502}`, traffic.Entry{
			At:     at,
			Status: 502,
			Bad:    true,
		}},
		{
			traffic.Caddy,
			`{"level":"info","ts":1431857103.7,"logger":"http.log.access","msg":"handled request",` +
				`"request":{"method":"GET","host":"shop.example:443","uri":"/"},"status":500}`,
			traffic.Entry{
				At:       at,
				Status:   500,
				Hostname: "shop.example",
				Bad:      true,
			},
		},
		{traffic.Caddy, `{"ts":"2015/05/17 10:05:03.000","request":{"host":"[::1]:80"},"status":0}`, traffic.Entry{
			At:       at,
			Hostname: "::1",
		}},
		{
			traffic.Logpush,
			`{"EdgeStartTimestamp":1431857103000000000,"EdgeResponseStatus":200,"OriginResponseStatus":200,` +
				`"ZoneName":"shop.example","ClientRequestHost":"www.shop.example","RayID":"1"}`,
			traffic.Entry{
				At:       at,
				Status:   200,
				Zone:     "shop.example",
				Hostname: "www.shop.example",

				OriginStatus: 200,
			},
		},
		{
			traffic.Logpush,
			`{"EdgeStartTimestamp":1431857103,"EdgeResponseStatus":503,"OriginResponseStatus":0,"ZoneName":"shop.example"}`,
			traffic.Entry{
				At:     at,
				Status: 503,
				Zone:   "shop.example",

				OriginStatus: traffic.NotAsked,
			},
		},
		{
			traffic.Logpush,
			`{"EdgeStartTimestamp":"2015-05-17T10:05:03Z","EdgeResponseStatus":521,"OriginResponseStatus":0,` +
				`"OriginIP":"192.0.2.9"}`,
			traffic.Entry{
				At:          at,
				Status:      521,
				Origin:      "192.0.2.9",
				Bad:         true,
				Unreachable: true,

				OriginStatus: traffic.NotAsked,
			},
		},
		{traffic.Logpush, `{"EdgeStartTimestamp":1431857103,"EdgeResponseStatus":200,"OriginResponseStatus":502}`,
			traffic.Entry{
				At:     at,
				Status: 200,
				Bad:    true,

				OriginStatus: 502,
			}},
		{traffic.Logpush, `{"EdgeStartTimestamp":1431857103,"EdgeResponseStatus":500}`, traffic.Entry{
			At:     at,
			Status: 500,
			Bad:    true,
		}},
	} {
		got, err := c.format.Parse([]byte(c.line))
		if err != nil || got != c.want {
			t.Errorf("%s %s\n got %+v, %v\nwant %+v", c.format, c.line, got, err, c.want)
		}
	}
}

func TestEveryTimeFormatOfCaddyIsRead(t *testing.T) {
	for _, at := range []string{
		`1431857103000.25`,
		`1431857103000`,
		`1431857103`,
		`1431857103000000000`,
		`1431857103.9`,
		`1.431857103e9`,
		`"17/May/2015:10:05:03 +0000"`,
		`"2015-05-17T10:05:03Z"`,
		`"2015-05-17T10:05:03.000+0000"`,
		`"2015-05-17T10:05:03.123456789Z"`,
		`"2015/05/17 10:05:03"`,
		`"2015/05/17 10:05:03.123456789"`,
	} {
		line := `{"ts":` + at + `,"logger":"http.log.access.log0","msg":"handled request",` +
			`"request":{"host":"h.example"},"status":200}`
		got, err := traffic.Caddy.Parse([]byte(line))
		want := traffic.Entry{At: 1431857103, Status: 200, Hostname: "h.example"}
		if err != nil || got != want {
			t.Errorf("%s\n got %+v, %v\nwant %+v", line, got, err, want)
		}
	}
}

func TestALineThatIsNoRequestSaysWhy(t *testing.T) {
	for _, c := range []struct {
		format    traffic.Format
		line, why string
	}{
		{traffic.Combined, `hello`, "no time"},
		{traffic.Combined, `1.2.3.4 - - [17/Mai/2015:10:05:03 +0000] "GET /" 200 1`, "no time"},
		{traffic.Combined, `1.2.3.4 - - [17/May/2015:10:05:03 +0000]`, "no quoted request"},
		{traffic.Combined, `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /`, "no end"},
		{traffic.Combined, `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" - 1`, "three digits"},
		{traffic.Combined, `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" 2000 1`, "three digits"},
		{traffic.Combined, `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" 042 1`, "not one of HTTP"},
		{traffic.Combined, `[17/May/2015:10:05:03 +0000] "GET /" 200 1`, "no client"},
		{traffic.NginxJSON, `{"status":200}`, "none of time_iso8601"},
		{traffic.NginxJSON, `{"time_iso8601":"yesterday","status":200}`, "not a time"},
		{traffic.NginxJSON, `{"time_iso8601":"2015-05-17T10:05:03Z"}`, "not a number"},
		{traffic.NginxJSON, `{"time_iso8601":`, "not one JSON object"},
		{traffic.NginxJSON, `[]`, "not one JSON object"},
		{traffic.Caddy, `{"level":"warn","ts":1,"msg":"tls"}`, "not of an access log"},
		{traffic.Combined, `1.2.3.4 - - [31/Feb/2015:10:05:03 +0000] "GET /" 200 1`, "no time"},
		{traffic.Combined, `1.2.3.4 - - [29/Feb/2015:10:05:03 +0000] "GET /" 200 1`, "no time"},
		{traffic.Combined, `1.2.3.4 - - [00/May/2015:10:05:03 +0000] "GET /" 200 1`, "no time"},
		// Two lines whose end of line was lost.
		{
			traffic.Combined,
			`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" 200 1 "-" "-"` +
				`1.2.3.4 - - [17/May/2015:10:05:04 +0000] "GET /" 500 1 "-" "-"`,
			"--data-binary",
		},
		{
			traffic.Combined,
			`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" 200 1` +
				`1.2.3.4 - - [17/May/2015:10:05:04 +0000] "GET /" 500 1`,
			"--data-binary",
		},
		{
			traffic.NginxJSON,
			`{"time_iso8601":"2015-05-17T10:05:03Z","status":200}{"time_iso8601":"2015-05-17T10:05:03Z","status":500}`,
			"--data-binary",
		},
		{
			traffic.Caddy,
			`{"level":"error","ts":1431857103.7,"logger":"http.log.error","msg":"dial tcp: refused",` +
				`"request":{"host":"shop.example"},"status":502}`,
			"its logger is",
		},
		{
			traffic.Caddy,
			`{"level":"error","ts":1431857103.7,"msg":"dial tcp: refused","request":{"host":"shop.example"},"status":502}`,
			"its message is",
		},
		{traffic.Logpush, `{"EdgeStartTimestamp":1}`, "no EdgeResponseStatus"},
		{traffic.Logpush, `{"EdgeResponseStatus":200}`, "no time"},
		{traffic.Logpush, `{"EdgeResponseStatus":200,"EdgeStartTimestamp":-1}`, "not a time of a request"},
		{traffic.Logpush, `{"EdgeResponseStatus":200,"EdgeStartTimestamp":1,"ClientRequestHost":"a b"}`, "host name"},
	} {
		_, err := c.format.Parse([]byte(c.line))
		if err == nil || errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s %s: %v, want %q", c.format, c.line, err, c.why)
		}
	}
}

func TestOddLinesAreCountedAndNamedAndTheOthersTaken(t *testing.T) {
	good := `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`
	// no end of line
	log := good + "\r\n\n  \n" + "odd\n" + strings.Repeat("x", traffic.MaxLine+5) + "\n" + good + "\n" + good
	counts, sum, err := traffic.Combined.ReadCounts(strings.NewReader(log), "z.example", "")
	if err != nil || sum.Lines != 3 || sum.Refused != 2 || sum.Line != 4 || len(counts) != 1 || counts[0].Total != 3 {
		t.Errorf("%+v %+v %v", sum, counts, err)
	}
	var long string
	err = traffic.Combined.Read(strings.NewReader(log), func(line int, _ traffic.Entry, fault error) error {
		if line == 5 && fault != nil {
			long = fault.Error()
		}
		return nil
	})
	if err != nil || !strings.Contains(long, "longer than 65536 bytes") {
		t.Errorf("%v, %q", err, long)
	}
}

// fuzzed checks what holds for every line of every format.
func fuzzed(f *testing.F, format traffic.Format, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, err := format.Parse([]byte(line))
		if err != nil {
			if !traffic.IsHeader(err) && errs.KindOf(err) != errs.Invalid {
				t.Fatalf("%q: %v is not the sender's fault", line, err)
			}
			return
		}
		if e.Unreachable && !e.Bad || e.Status < 0 || e.Status > 999 || len(e.Hostname) > 255 {
			t.Fatalf("%q: %+v", line, e)
		}
	})
}

func FuzzCombined(f *testing.F) {
	fuzzed(f, traffic.Combined, `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /\" HTTP/1.1" 200 1 "-" "-"`,
		`a.b:1 [ [17/May/2015:10:05:03 -2400] "" 521`)
}

func FuzzNginxJSON(f *testing.F) {
	fuzzed(f, traffic.NginxJSON,
		`{"msec":1.5,"status":"502","upstream_addr":"a, b","upstream_connect_time":"-","host":"[::1]:1"}`,
		`{"time_local":"17/May/2015:10:05:03 +0000","status":1e2}`)
}

func FuzzCaddy(f *testing.F) {
	fuzzed(f, traffic.Caddy, `{"ts":1e9,"request":{"host":"h:1"},"status":500}`)
}

func FuzzLogpush(f *testing.F) {
	fuzzed(f, traffic.Logpush,
		`{"EdgeStartTimestamp":1431857103000000000,"EdgeResponseStatus":521,"OriginResponseStatus":0,"ZoneName":"z"}`)
}

func BenchmarkCombined(b *testing.B) {
	line := []byte(`83.149.9.216 - - [17/May/2015:10:05:03 +0000] ` +
		`"GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1" 200 203023 ` +
		`"http://semicomplete.com/" "Mozilla/5.0"`)
	for b.Loop() {
		if _, err := traffic.Combined.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
