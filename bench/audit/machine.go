package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
)

// machine describes where the figures come from.
func (b *bench) machine() {
	t := b.out.Table("Machine", "what", "value")
	t.Add("machine", process.Machine())
	t.Add("load average at the start", process.Load())
	if times, err := fsyncTimes(b.dir, 300); err == nil {
		t.Add("fsync of 4 KiB in the data directory", fmt.Sprintf("p50 %s, p99 %s",
			report.Milliseconds(report.Quantile(times, 0.5)), report.Milliseconds(report.Quantile(times, 0.99))))
	}
	engine := "SQLite and the embedded broker, in the server's process"
	if b.postgres != "" {
		engine = "PostgreSQL and Apache Kafka on this machine, as scripts/postgres.sh and scripts/kafka.sh start them"
	}
	t.Add("engine", engine)
	t.Add("started", time.Now().UTC().Format(time.RFC3339))
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
