package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/platform/run"
)

// Server listens on one address and serves an API until its context ends.
type Server struct {
	api      *API
	listener net.Listener
	http     *http.Server
}

// drainTime is how long running requests may take once the server drains.
const drainTime = 15 * time.Second

// Listen opens the address ("127.0.0.1:0" takes a free port; see Addr). With a
// certificate the server speaks TLS. Nothing is served before Run.
func (a *API) Listen(ctx context.Context, address string, cert *tls.Certificate) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	s := &Server{api: a, listener: l, http: &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		// The body's and the answer's deadlines depend on the operation: see
		// withBodyDeadline and lifetime.
		ErrorLog: slog.NewLogLogger(a.deps.Log.Handler(), slog.LevelDebug),
	}}
	if cert != nil {
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert}}
	}
	return s, nil
}

// Addr is the address that is listened on, with its port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Stage runs the server as a stage of the program: the first to stop.
func (s *Server) Stage() run.Stage {
	return run.Stage{Name: "http", Run: s.Run, Drain: drainTime + 5*time.Second}
}

// Run serves until ctx ends, then drains: /readyz says no, event streams end,
// no connection is accepted, running requests get their time.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		if s.http.TLSConfig != nil {
			served <- s.http.ServeTLS(s.listener, "", "")
		} else {
			served <- s.http.Serve(s.listener)
		}
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.api.deps.Health.Drain()
	s.api.endDrain()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := s.http.Shutdown(late)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests still running after %v were cut: %w", drainTime, err), s.http.Close())
	}
	_ = <-served
	return err
}

// Close frees the address when Run was never called.
func (s *Server) Close() error { return s.listener.Close() }
