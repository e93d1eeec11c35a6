package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine describes where the figures come from.
func (b *bench) machine() {
	t := b.out.table("Machine", "what", "value")
	t.add("CPU", fmt.Sprintf("%s, %d cores for this process", cpuModel(), runtime.NumCPU()))
	t.add("memory", fmt.Sprintf("%.0f GB", float64(memory())/1e9))
	t.add("kernel, Go", strings.TrimSpace(read("/proc/sys/kernel/osrelease"))+", "+runtime.Version())
	t.add("load average at the start", strings.Join(strings.Fields(read("/proc/loadavg"))[:3], " "))
	if d, err := fsyncTimes(b.dir, 300); err == nil {
		t.add("fsync of 4 KiB in the data directory", fmt.Sprintf("p50 %s, p99 %s", ms(quantile(d, 0.5)), ms(quantile(d, 0.99))))
	}
	engine := "SQLite and the embedded broker, in the server's process"
	if b.postgres != "" {
		engine = "PostgreSQL and Apache Kafka on this machine, as scripts/postgres.sh and scripts/kafka.sh start them"
	}
	t.add("engine", engine)
	t.add("started", time.Now().UTC().Format(time.RFC3339))
}

func read(name string) string {
	text, _ := os.ReadFile(name)
	return string(text)
}

func cpuModel() string {
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func memory() int64 {
	for line := range strings.Lines(read("/proc/meminfo")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// fsyncTimes appends n blocks and times the fsync of each.
func fsyncTimes(dir string, n int) ([]time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	times := make([]time.Duration, n)
	for i := range times {
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		begin := time.Now()
		if err := f.Sync(); err != nil {
			return nil, err
		}
		times[i] = time.Since(begin)
	}
	return times, nil
}
