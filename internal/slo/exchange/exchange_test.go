package exchange

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

func read(t *testing.T, name string) []Imported {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := Read(data, "shop.example")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestFilesOfOtherProjects reads files that follow the published schemas of these projects.
func TestFilesOfOtherProjects(t *testing.T) {
	type want struct {
		name    string
		target  float64
		window  string
		latency string
		zone    string
		note    string // part of a note
		fault   string // part of the fault
	}
	for file, list := range map[string][]want{
		"openslo.yaml": {
			{"Checkout availability", 99.95, "28d", "", "checkout.example", "queries", ""},
			{"Search, Good", 99.5, "week", "", "shop.example", "Timeslices", ""},
			{"Search, Better", 99.9, "week", "", "shop.example", "time zone", ""},
			{"hourly", 99, "", "", "shop.example", "", "whole days"},
		},
		"sloth.yml": {
			{"shop requests-availability", 99.9, "30d", "", "shop.example", "queries", ""},
			{"shop requests-latency", 95, "30d", "", "shop.example", "queries", ""},
		},
		"sloth-kubernetes.yml": {{"shop requests-availability", 99.9, "30d", "", "shop.example", "queries", ""}},
		"pyrra.yaml": {
			{"api-errors", 99.9, "28d", "", "shop.example", "metrics", ""},
			{"api-latency", 90, "14d", "500ms", "shop.example", "could never be reached", ""},
			{"api-latency-native", 99, "28d", "200ms", "shop.example", "metrics", ""},
			{"probe", 99, "28d", "", "shop.example", "metrics", "bool_gauge"},
		},
	} {
		got := read(t, file)
		if len(got) != len(list) {
			t.Errorf("%s: %d objectives, want %d: %+v", file, len(got), len(list), got)
			continue
		}
		for i, w := range list {
			g := got[i]
			latency := ""
			if g.Spec.Latency != nil {
				latency = g.Spec.Latency.Threshold
			}
			has := func(note string) bool { return strings.Contains(note, w.note) }
			noted := w.note == "" || slices.ContainsFunc(g.Notes, has)
			fails := strings.Contains(g.Fault, w.fault) && (g.Fault == "") == (w.fault == "")
			if g.Spec.Name != w.name || g.Spec.Target != w.target || g.Spec.Window != w.window || latency != w.latency ||
				g.Spec.Match.Zone != w.zone || !noted || !fails {
				t.Errorf("%s: %+v, want %+v", file, g, w)
			}
			if g.Fault == "" {
				if err := slo.CheckSpec(g.Spec); err != nil {
					t.Errorf("%s: %s: %v", file, g.Source, err)
				}
			}
		}
	}
	pairs, ok := read(t, "sloth.yml")[1].Spec.Pairs.([]slo.Pair)
	if !ok || len(pairs) != 2 || pairs[0].Severity != slo.Ticket {
		t.Errorf("pages are disabled: %+v", pairs)
	}
}

func TestOtherFilesAreRefusedWithTheReason(t *testing.T) {
	for text, reason := range map[string]string{
		"a: [":                                   "not YAML",
		"a: 1":                                   "OpenSLO v1",
		"apiVersion: openslo/v2alpha\nkind: SLO": "only openslo/v1",
		"apiVersion: apps/v1\nkind: Deployment":  "no reader",
		strings.Repeat("#", MaxFile+1):           "bytes",
	} {
		if _, err := Read([]byte(text), ""); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.40q: %v, want %q", text, err, reason)
		}
	}
}

func objectives() []slo.Objective {
	week := tally.Week
	return []slo.Objective{
		{Name: "Checkout", Match: slo.Match{Zone: "shop"}, Target: 99.95, Window: tally.D28, Pairs: slo.Standard},
		{Name: "Slow: \"x\"", Match: slo.Match{Zone: "shop", Origin: "o"}, SLI: "latency:300ms", Target: 99, Window: week,
			Pairs: []slo.Pair{{Long: slo.H1, Short: slo.M5, Factor: 14.4, Severity: slo.Page}}},
	}
}

// TestACompositeIsExportedWithItsMembers reads the members again, each with its target.
func TestACompositeIsExportedWithItsMembers(t *testing.T) {
	list := objectives()
	list[0].ID = "a"
	list[1].ID = "b"
	list = append(list, slo.Objective{Name: "Journey", Target: 99.5, Window: tally.D28, Pairs: slo.Standard,
		Composite: &slo.Composite{Mode: slo.CompositeWeighted, Members: []slo.CompositeMember{
			{Objective: "a", Weight: 75}, {Objective: "b", Weight: 25}}}})
	data, err := OpenSLO(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"compositeWeight: 0.75", "mode weighted, target 99.5 %"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is missing in\n%s", want, data)
		}
	}
	got, err := Read(data, "shop.example")
	if err != nil || len(got) != 4 || got[2].Spec.Name != "Journey, Checkout" || got[2].Spec.Target != 99.95 ||
		got[3].Spec.Target != 99 || !strings.Contains(strings.Join(got[3].Notes, ";"), "composite") {
		t.Errorf("%v %+v", err, got)
	}
	if _, err := Rules(&list[2], Metrics{Total: "a", Bad: "b"}); err == nil {
		t.Error("rules of a composite")
	}
}

// update rewrites the golden file.
var update = flag.Bool("update", false, "rewrite golden files")

// TestRealFilesAreRead reads examples of these projects, and compares what is made of them with a golden file.
func TestRealFilesAreRead(t *testing.T) {
	files, err := filepath.Glob("testdata/real/*.y*ml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var got strings.Builder
	for _, file := range files {
		fmt.Fprintf(&got, "%s\n", filepath.Base(file))
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, err := Read(data, "shop.example")
		if err != nil {
			fmt.Fprintf(&got, "  error: %v\n", err)
		}
		for _, g := range list {
			fmt.Fprintf(&got, "  %s: %v %% in %s", g.Spec.Name, g.Spec.Target, g.Spec.Window)
			if g.Spec.Latency != nil {
				fmt.Fprintf(&got, ", faster than %s", g.Spec.Latency.Threshold)
			}
			fmt.Fprintln(&got)
			for _, note := range g.Notes {
				fmt.Fprintf(&got, "    %s\n", note)
			}
			if g.Fault != "" {
				fmt.Fprintf(&got, "    fault: %s\n", g.Fault)
			} else if err := slo.CheckSpec(g.Spec); err != nil {
				t.Errorf("%s: %s: %v", file, g.Source, err)
			}
		}
	}
	const golden = "testdata/real.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("%v: got\n%s", err, got.String())
	}
}

// TestExportsAreReadAgain imports what was exported.
func TestExportsAreReadAgain(t *testing.T) {
	data, err := OpenSLO(objectives())
	if err != nil {
		t.Fatal(err)
	}
	list, err := Read(data, "")
	if err != nil || len(list) != 2 {
		t.Fatal(err, list, string(data))
	}
	for i, o := range objectives() {
		g := list[i]
		if g.Spec.Name != o.Name || g.Spec.Target != o.Target || g.Spec.Window != o.Window.String() ||
			g.Spec.Match.Zone != o.Match.Zone || g.Fault != "" {
			t.Errorf("%+v of\n%s", g, data)
		}
	}
}

func TestRulesHaveEachWindowOnceAndAnAlertForEachPair(t *testing.T) {
	list := objectives()
	data, err := Rules(&list[0], Metrics{Total: "requests_total", Bad: `requests_total{code=~"5.."}`})
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Record, Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil || len(file.Groups) != 1 {
		t.Fatal(err, string(data))
	}
	records := map[string]string{}
	alerts := 0
	for _, r := range file.Groups[0].Rules {
		if r.Alert != "" {
			alerts++
			continue
		}
		if records[r.Record] != "" {
			t.Errorf("%s twice", r.Record)
		}
		records[r.Record] = r.Expr
	}
	if alerts != 4 || len(records) != 7 ||
		records["slo:error_ratio:rate5m"] != `sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m]))` {
		t.Errorf("%d alerts, %v", alerts, records)
	}
	if !strings.Contains(string(data), "(14.4 * 0.0005)") {
		t.Errorf("%s", data)
	}
}
