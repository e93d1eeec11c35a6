package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
)

// measuredServer is the running server, or this program as one.
type measuredServer struct {
	*process.Server
	b *bench
}

// start starts the server on the run's data and waits until it is ready.
func (b *bench) start(ctx context.Context) (*measuredServer, error) {
	return b.startProgram(ctx, b.binary, "serve")
}

func (b *bench) startProgram(ctx context.Context, program string, args ...string) (*measuredServer, error) {
	p, err := process.Start(ctx, b.settings(), program, args...)
	if err != nil {
		return nil, err
	}
	b.running = &measuredServer{Server: p, b: b}
	return b.running, nil
}

// stop ends the server in order.
func (s *measuredServer) stop() error {
	s.b.running = nil
	return s.Stop()
}

// usage is the CPU time of the server (with its embedded parts), of PostgreSQL, of Apache Kafka and of this process.
type usage struct {
	at                              time.Time
	server, database, broker, bench time.Duration
}

// usage reads the CPU times until now; those of the server only while one runs.
func (b *bench) usage() usage {
	u := usage{at: time.Now(), bench: process.SelfCPU()}
	if b.running != nil {
		u.server = process.CPU(b.running.PID())
	}
	if b.postgres == "" {
		return u
	}
	// Connections come and go, and with them PostgreSQL's processes.
	for _, pid := range process.Family(process.Listener(hostport(b.postgres))) {
		u.database += process.CPU(pid)
	}
	for _, pid := range process.Family(process.Listener(b.kafka)) {
		u.broker += process.CPU(pid)
	}
	return u
}

func (u usage) since(v usage) usage {
	return usage{
		at:       u.at,
		server:   u.server - v.server,
		database: u.database - v.database,
		broker:   u.broker - v.broker,
		bench:    u.bench - v.bench,
	}
}

// served is the CPU of all processes but the generator's.
func (u usage) served() time.Duration { return u.server + u.database + u.broker }

func hostport(url string) string {
	_, rest, _ := strings.Cut(url, "@")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// within starts a server that has stored all of its own events, and stops it when work is done.
func (b *bench) within(ctx context.Context, work func(*measuredServer) error) error {
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := work(s); err != nil {
		return err
	}
	return errors.Join(b.save(), s.stop())
}

// startUp measures the start of the server on the data as they are, and its memory when it has nothing to do.
func (b *bench) startUp(ctx context.Context, size string) error {
	t := b.out.Table("Start of the server", "data", "ready after", "CPU")
	t.Note("From the start of the process to the first good answer of /readyz; the first row " +
		"makes the databases and the key.")
	for _, name := range []string{"first start, " + size, "next start, " + size} {
		s, err := b.start(ctx)
		if err != nil {
			return err
		}
		t.Add(name, report.Milliseconds(s.Ready), report.Milliseconds(process.CPU(s.PID())))
		b.say("%s: ready after %s", name, report.Milliseconds(s.Ready))
		time.Sleep(3 * time.Second)
		s.memoryRow("idle after the " + name)
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}

func (s *measuredServer) memoryRow(when string) {
	t := s.b.out.Table("Memory of the server", "when", "RSS", "without pages of files")
	t.Note("VmRSS and RssAnon of /proc/PID/status. SQLite maps its file for reading: those pages count in RSS, " +
		"and the kernel releases them when it needs memory.")
	m := process.MemoryOf(s.PID())
	t.Add(when, report.Megabytes(m.Resident), report.Megabytes(m.Anonymous))
}

// atSize repeats start and ingest on the resident events.
func (b *bench) atSize(ctx context.Context) error {
	size := report.Thousands(b.resident + b.spread)
	if err := b.startUp(ctx, size); err != nil {
		return err
	}
	return b.ingest(ctx, size)
}
