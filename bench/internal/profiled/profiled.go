// Package profiled serves with the runtime's CPU profiler, and keeps its profiles.
package profiled

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
	"syscall"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/internal/app"
)

// Argument is the argument with which a benchmark serves: the same wiring as the binary's, with the profiler on a port
// of its own.
const Argument = "profiled-server"

// Requested reports whether this process was started to serve.
func Requested() bool { return len(os.Args) > 1 && os.Args[1] == Argument }

// Serve serves until the process is asked to end.
func Serve() error {
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

// Save keeps a CPU profile of the server, taken over whole seconds, in a file.
func Save(ctx context.Context, s *process.Server, length time.Duration, file string) (err error) {
	url := fmt.Sprintf("%s?seconds=%d", s.Profile, max(1, int(length.Seconds())))
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
