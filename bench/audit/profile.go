package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/internal/app"
)

// profiledServer is the argument with which this program serves: the same wiring as the binary's, with the runtime's
// profiler on a port of its own.
const profiledServer = "profiled-server"

func serveProfiled() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := app.LoadConfig("", os.LookupEnv)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	profiler := &http.Server{Handler: http.HandlerFunc(pprof.Profile)}
	go func() { _ = profiler.Serve(listener) }() // ends with Close
	defer profiler.Close()
	fmt.Printf("profile on http://%s\n", listener.Addr())

	a, err := app.Setup(ctx, cfg, "bench", os.Stderr)
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Run(ctx, func() {
		fmt.Printf("belfry: ready on http://%s\n", a.Addr())
		if k := a.KafkaAddr(); k != "" {
			fmt.Printf("belfry: kafka on %s\n", k)
		}
	})
}

// profile takes a CPU profile of the server under each of the main rows, and keeps it in the folder of the run.
func (b *bench) profile(ctx context.Context) error {
	if !b.keep {
		return errors.New("the phase profile needs -dir, where it leaves its profiles")
	}
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := b.startProgram(ctx, self, profiledServer)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}

	t := b.out.Table("CPU profiles of the server", "row", "events", "file")
	t.Note("Read one with go tool pprof -top -cum FILE. A profile covers a third of the time limit of a row.")
	for _, r := range b.rows() {
		if r.name != gzipBatches && r.name != singleEvents {
			continue
		}
		list, err := b.prepare(ctx, s, r)
		if err != nil {
			return err
		}
		file := filepath.Join(b.dir, fmt.Sprintf("batches-of-%d.pprof", r.batch))
		profiled := make(chan error, 1)
		go func() { profiled <- b.saveProfile(ctx, s, file) }()
		n, _, err := s.publish(ctx, r.callers, list)
		if err := errors.Join(err, <-profiled); err != nil {
			return err
		}
		t.Add(r.name, fmt.Sprint(n), file)
	}
	return s.stop()
}

func (b *bench) saveProfile(ctx context.Context, s *measuredServer, file string) (err error) {
	url := fmt.Sprintf("%s?seconds=%d", s.Profile, max(1, int(b.limit.Seconds())/3))
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	res, err := process.Client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
