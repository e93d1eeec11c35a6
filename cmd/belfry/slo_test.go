package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSimulatePrintsTransitionsAsLines(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	objective := write("checkout.json", `{"name":"checkout","target":99.9,"window":"30d"}`)
	var counts strings.Builder
	for i := range 720 {
		bad := 0
		if i >= 600 {
			bad = 100
		}
		fmt.Fprintf(&counts, `{"zone":"shop","ts":%d,"total":100,"bad":%d}`+"\n", 1_764_028_800+i*10, bad)
	}
	in := write("counts.ndjson", counts.String())
	var out, errs bytes.Buffer
	if code := dispatch(t.Context(), []string{"slo", "simulate", "--objective", objective, in}, &out, &errs); code != 0 {
		t.Fatalf("%d: %s", code, &errs)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var first struct {
		At, Objective, Pair, Event string
		Long                       struct{ Burn float64 }
	}
	// A total outage at 99.9 %: 51.8 s, and the tick.
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first.At != "2025-11-25T01:41:00Z" ||
		first.Pair != "1h/5m" || first.Event != "start" || first.Long.Burn < 14.4 || first.Objective != "checkout" {
		t.Errorf("%v: %s", err, lines[0])
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"slo"}, 2, "belfry slo simulate"},
		{[]string{"slo", "simulate", in}, 2, "--objective is required"},
		{[]string{"slo", "simulate", "--objective", objective}, 2, "at least one input"},
		{[]string{"slo", "simulate", "--objective", objective, "--format", "xml", in}, 2, `no format "xml"`},
		{[]string{"slo", "simulate", "--objective", filepath.Join(dir, "none"), in}, 1, "no such file"},
		{[]string{"slo", "simulate", "--objective", write("bad.json", `{"name":"x","target":99,"color":1}`), in}, 1, "color"},
		{
			[]string{"slo", "simulate", "--objective", objective,
				write("bad.ndjson", `{"zone":"shop","ts":1,"total":1,"bad":0}`+"\n"+
					`{"zone":"shop","ts":2,"total":1,"bad":2}`+"\n")},
			1,
			"line 2: /bad: ",
		},
	} {
		errs.Reset()
		if code := dispatch(t.Context(), c.args, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v: %d %s", c.args, code, &errs)
		}
	}
}

// A simulation that reads nothing must not look like one that found nothing.
func TestSimulateSaysWhatItDidNotCount(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var log, hosts, counts bytes.Buffer
	for i := range 720 { // two hours, the last half hour down
		status := 200
		bad := 0
		if i >= 540 {
			status = 500
			bad = 100
		}
		at := time.Unix(1_764_028_800+int64(i)*10, 0).UTC()
		for range 100 {
			line := fmt.Sprintf("192.0.2.7 - - [%s] \"GET / HTTP/1.1\" %d 1 \"-\" \"-\"\n",
				at.Format("02/Jan/2006:15:04:05 -0700"), status)
			log.WriteString(line)
			hosts.WriteString("shop.example:443 " + line)
		}
		fmt.Fprintf(&counts, `{"zone":"shop.example","ts":%d,"total":100,"bad":%d}`+"\n", at.Unix(), bad)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(log.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	anyZone := write("any.json", []byte(`{"name":"checkout","target":99.9,"window":"30d"}`))
	shop := write("shop.json", []byte(`{"name":"checkout","match":{"zone":"shop.example"},"target":99.9,"window":"30d"}`))
	blog := write("blog.json", []byte(`{"name":"checkout","match":{"zone":"blog.example"},"target":99.9,"window":"30d"}`))
	access := write("access.log", log.Bytes())
	vhost := write("vhost.log", hosts.Bytes())
	zipped := write("access.log.1", packed.Bytes())
	asCounts := write("counts.ndjson", counts.Bytes())
	empty := write("empty.log", nil)
	odd := write("odd.log", append([]byte("odd\nodd\n"), log.Bytes()...))
	want := ""
	for _, c := range []struct {
		args  string
		code  int
		lines bool // the transitions are those of the counts
		says  []string
	}{
		{"--objective " + shop + " " + asCounts, 0, true, []string{"720 of 720 lines counted, "}},
		{"--objective " + anyZone + " --format combined " + access, 0, true, []string{"72000 of 72000 lines counted"}},
		{access + " --format combined --objective " + shop, 0, true, []string{"72000 of 72000 lines counted"}},
		{"--objective " + shop + " " + vhost + " --format combined", 0, true, nil},
		{"--objective " + shop + " --format combined " + zipped, 0, true, nil},
		{"--objective " + shop + " --format combined " + odd, 0, true,
			[]string{"72000 of 72002 lines counted", "2 lines, the first is line 1: there is no time"}},
		{"--objective " + blog + " --format combined --zone blog.example " + vhost, 0, true, nil},
		{"--objective " + blog + " --format combined " + vhost, 1, false,
			[]string{"0 of 72000 lines counted", "the objective is about zone blog.example; the lines are of shop.example"}},
		{"--objective " + shop + " --format caddy " + access, 1, false,
			[]string{access + ": 0 of 72000 lines counted",
				"72000 lines, the first is line 1: the line is not one JSON object"}},
		{"--objective " + shop + " --format combined " + empty, 1, false, []string{"0 of 0 lines counted"}},
		{"--objective " + shop + " " + empty, 1, false, []string{"0 of 0 lines counted"}},
		{"--objective " + shop + " --format combined " + access + " " + empty, 1, true,
			[]string{empty + ": 0 of 0 lines counted", "72000 of 72000 lines counted"}},
		{"--objective " + shop + " --zone z " + asCounts, 2, false, []string{"counts name their zones"}},
	} {
		var out, complaints bytes.Buffer
		code := dispatch(t.Context(), append([]string{"slo", "simulate"}, strings.Fields(c.args)...), &out, &complaints)
		if want == "" {
			want = out.String()
		}
		if c.lines && (out.String() != want || !strings.Contains(want, `"pair":"1h/5m","event":"start"`)) ||
			!c.lines && out.Len() > 0 {
			t.Errorf("%s: prints %s", c.args, &out)
		}
		for _, part := range c.says {
			if !strings.Contains(complaints.String(), part) {
				t.Errorf("%s: says %s, want %q", c.args, &complaints, part)
			}
		}
		if code != c.code {
			t.Errorf("%s: %d, want %d: %s", c.args, code, c.code, &complaints)
		}
	}
}
