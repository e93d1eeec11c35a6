package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/slo"
)

// exporterVariable has "address targets" in the process that is scraped: its CPU belongs to neither side.
const exporterVariable = "BELFRY_BENCH_EXPORTER"

// windows are those of an objective over 30 days.
var windows = []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"}

// compare runs Prometheus with recording rules for the windows of a number of series, and then Belfry with an
// objective for each, for the same time: a scrape, or a tick, every ten seconds.
func compare(ctx context.Context, o options, out *report.Report) error {
	program, err := exec.LookPath("prometheus")
	if named := os.Getenv("BELFRY_TEST_PROMETHEUS"); named != "" {
		program, err = named, nil
	}
	if err != nil {
		return fmt.Errorf("%w (BELFRY_TEST_PROMETHEUS names it; scripts/tools.sh prometheus installs it)", err)
	}
	t := out.Table("The same series in Prometheus and in Belfry",
		"engine", "series", "ticks", "CPU of a tick", "CPU of a series and tick", "resident memory", "on disk", "load")
	t.Note(fmt.Sprintf("%s; %s. Each series has the windows %s and is counted and evaluated every ten seconds, for %v "+
		"minutes. In that time the long windows of Prometheus have few samples: its figures are a lower bound. "+
		"Belfry's row has the producer, the broker and the database in its process.",
		process.Machine(), version(ctx, program), strings.Join(windows, ", "), o.minutes))
	ticks := max(1, int(o.minutes*60/slo.Tick))
	if err := runPrometheus(ctx, program, o, ticks, t); err != nil {
		return fmt.Errorf("prometheus: %w", err)
	}
	return runBelfry(ctx, o, ticks, t)
}

func version(ctx context.Context, program string) string {
	text, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
	if err != nil {
		return "Prometheus"
	}
	line, _, _ := strings.Cut(string(text), " (")
	return strings.Replace(line, "prometheus, version", "Prometheus", 1)
}

// compared is the CPU, memory and disk that one engine used for a number of ticks.
type compared struct {
	name          string
	series, ticks int
	cpu           time.Duration
	memory, disk  int64 // bytes
}

func (c *compared) addTo(t *report.Table) {
	each := c.cpu / time.Duration(c.ticks)
	t.Add(
		c.name,
		report.Thousands(c.series),
		fmt.Sprint(c.ticks),
		report.Milliseconds(each),
		fmt.Sprintf("%.2f us", float64(each.Nanoseconds())/1000/float64(c.series)),
		report.Megabytes(c.memory),
		report.Megabytes(c.disk),
		process.Load(),
	)
}

// runPrometheus measures a Prometheus that scrapes another process.
func runPrometheus(ctx context.Context, program string, o options, ticks int, t *report.Table) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	target, err := freeAddress()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	exporter := exec.CommandContext(ctx, self)
	exporter.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", exporterVariable, target, o.targets))
	if err := exporter.Start(); err != nil {
		return err
	}
	defer func() { _ = exporter.Wait() }() // its error is the end of ctx
	defer stop()

	listen, err := freeAddress()
	if err != nil {
		return err
	}
	folder := filepath.Join(o.dir, "prometheus")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	config, err := writeRules(folder, target)
	if err != nil {
		return err
	}
	data := filepath.Join(folder, "data")
	server := exec.CommandContext(ctx, program, "--config.file="+config, "--storage.tsdb.path="+data,
		"--web.listen-address="+listen, "--log.level=error")
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { _ = server.Wait() }()
	defer stop()

	if err := pause(ctx, 2*slo.Tick*time.Second); err != nil { // start, first scrape and first evaluation
		return err
	}
	before := process.CPU(server.Process.Pid)
	if err := pause(ctx, time.Duration(ticks)*slo.Tick*time.Second); err != nil {
		return err
	}
	cpu := process.CPU(server.Process.Pid) - before
	used := compared{
		name:   "Prometheus",
		series: o.targets,
		ticks:  ticks,
		cpu:    cpu,
		memory: process.MemoryOf(server.Process.Pid).Resident,
		disk:   treeSize(data),
	}
	used.addTo(t)
	return nil
}

// writeRules writes the configuration with a vectorised rule for each window, and returns its path.
func writeRules(folder, target string) (string, error) {
	var rules strings.Builder
	rules.WriteString("groups:\n- name: budgets\n  interval: 10s\n  rules:\n")
	for _, w := range windows {
		fmt.Fprintf(&rules, "  - record: error_ratio_%s\n    expr: sum by (origin) (rate(http_requests_total{code=\"500\"}[%s])) "+
			"/ sum by (origin) (rate(http_requests_total[%s]))\n", w, w, w)
	}
	file := filepath.Join(folder, "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		return "", err
	}
	config := filepath.Join(folder, "prometheus.yml")
	return config, os.WriteFile(config, fmt.Appendf(nil, "global: {scrape_interval: 10s, evaluation_interval: 10s}\n"+
		"rule_files: [%q]\nscrape_configs:\n- job_name: bench\n  static_configs: [{targets: [%q]}]\n", file, target), 0o600)
}

// runBelfry measures the shards of one process, with their database and the broker.
func runBelfry(ctx context.Context, o options, ticks int, t *report.Table) (err error) {
	o.origins = o.targets
	o.dir = filepath.Join(o.dir, "belfry")
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	w, closeAll, err := newFlow(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	if err := w.objectives(ctx); err != nil {
		return err
	}
	w.start = time.Now().Unix() / slo.Tick * slo.Tick
	return w.run(ctx, func(ctx context.Context) error {
		var before time.Duration
		for tick := range ticks + 2 {
			if tick == 2 { // as long as Prometheus before its first figure
				before = process.SelfCPU()
			}
			list, err := w.messages(1)
			if err != nil {
				return err
			}
			if err := w.publish(ctx, list); err != nil {
				return err
			}
			if err := pause(ctx, slo.Tick*time.Second); err != nil {
				return err
			}
		}
		used := compared{
			name:   "Belfry",
			series: w.accounts * flowOrigins,
			ticks:  ticks,
			cpu:    process.SelfCPU() - before,
			memory: process.MemoryOf(os.Getpid()).Resident,
			disk:   treeSize(o.dir),
		}
		used.addTo(t)
		return nil
	})
}

// export serves counters of requests by origin, which grow between scrapes.
func export(setting string) error {
	var address string
	var targets int
	if _, err := fmt.Sscan(setting, &address, &targets); err != nil {
		return err
	}
	var mu sync.Mutex // guards the counters
	good := make([]int, targets)
	bad := make([]int, targets)
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(w, "# TYPE http_requests_total counter")
		for i := range targets {
			good[i] += 1 + rand.IntN(60)
			if i%8 == 0 && rand.IntN(30) == 0 {
				bad[i]++
			}
			fmt.Fprintf(w, "http_requests_total{origin=\"origin-%d\",code=\"200\"} %d\n", i, good[i])
			fmt.Fprintf(w, "http_requests_total{origin=\"origin-%d\",code=\"500\"} %d\n", i, bad[i])
		}
	}))
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// treeSize is the size of all files in a folder.
func treeSize(folder string) (size int64) {
	_ = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file that was deleted meanwhile
		}
		if info, err := d.Info(); err == nil && !d.IsDir() {
			size += info.Size()
		}
		return nil
	})
	return size
}
