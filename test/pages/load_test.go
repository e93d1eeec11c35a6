package pages_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

// Bounds of a page's first visit with an empty cache, and of the next ones. Times are printed and not asserted.
const (
	mostRequests = 10
	mostBytes    = 256 << 10
	mostAgain    = 2 // the page, and a part that it requests: files are cached for ever
)

// load is the cost of a page.
type load struct {
	page     shown
	requests int
	bytes    int64
	again    int       // requests of the second visit
	times    []float64 // milliseconds until the load event, of the later visits
}

const timing = `(() => {
	const n = performance.getEntriesByType("navigation")[0];
	return JSON.stringify([n.responseStart, n.loadEventEnd]);
})()`

// TestTheLoadOfEveryPage counts requests and bytes of every page, and writes build/pages/load.md.
func TestTheLoadOfEveryPage(t *testing.T) {
	b := browser.Start(t)
	i := install(t)
	w := newWalker(t, b, i)
	var loads []load
	for _, p := range i.pages() {
		w.b.ForgetFiles()
		w.open(p, state{1400, "light"})
		one := load{page: p}
		for _, r := range w.traffic.Requests() {
			if strings.HasPrefix(r.URL, "http") {
				one.requests++
				one.bytes += r.Bytes
			}
		}
		for range 3 {
			w.open(p, state{1400, "light"})
			if one.again == 0 {
				for _, r := range w.traffic.Requests() {
					if strings.HasPrefix(r.URL, "http") && r.Bytes > 0 {
						one.again++
					}
				}
			}
			var at []float64
			if err := json.Unmarshal([]byte(w.b.Evaluate(timing)), &at); err != nil {
				t.Fatal(err)
			}
			one.times = append(one.times, at[1])
		}
		if one.requests > mostRequests || one.bytes > mostBytes || one.again > mostAgain {
			t.Errorf("%s (%s): %d requests and %d bytes at the first visit, %d requests at the next; at most %d, %d, %d",
				p.name, p.path, one.requests, one.bytes, one.again, mostRequests, mostBytes, mostAgain)
		}
		loads = append(loads, one)
	}
	table := tableOf(loads, w.b.Version())
	if err := os.MkdirAll(output, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(output, "load.md"), []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table)
}

// tableOf is the report: machine and method, all visits together, the slowest pages, and each page.
func tableOf(loads []load, chromium string) string {
	var all []float64
	for n := range loads {
		slices.Sort(loads[n].times)
		all = append(all, loads[n].times...)
	}
	slices.Sort(all)
	slices.SortFunc(loads, func(a, b load) int {
		return cmp.Compare(percentile(b.times, 100), percentile(a.times, 100))
	})
	var b strings.Builder
	fmt.Fprintf(&b, "%d pages, %d visits after the first. ", len(loads), len(all))
	fmt.Fprintf(&b, "Until the load event: p50 %.0f ms, p95 %.0f ms, p99 %.0f ms.\n\n",
		percentile(all, 50), percentile(all, 95), percentile(all, 99))
	fmt.Fprintf(&b, "Machine: %s, %d CPUs, load %s; %s and Belfry on the same CPUs. ", cpu(), runtime.NumCPU(),
		machineLoad(), chromium)
	b.WriteString("Method: one tab at 1400 px shows each page with an empty cache, which gives requests and KiB, and then " +
		"three times; the time is loadEventEnd of the browser's navigation timing.\n\n")
	b.WriteString("| page, the slowest first | requests | KiB | again | median ms | slowest ms |\n" +
		"|---|---|---|---|---|---|\n")
	for _, l := range loads {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %.0f | %.0f |\n", l.page.name, l.requests, l.bytes>>10, l.again,
			percentile(l.times, 50), percentile(l.times, 100))
	}
	return b.String()
}

// percentile is that of a sorted list.
func percentile(sorted []float64, p int) float64 {
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// cpu is the model of the processor.
func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	_, after, _ := strings.Cut(string(text), "model name\t: ")
	model, _, _ := strings.Cut(after, "\n")
	return cmp.Or(model, runtime.GOARCH)
}

func machineLoad() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
