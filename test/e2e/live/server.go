// Package live runs the real belfry for tests: the program as users start it, as a process
// of its own, reached over HTTP and Kafka only.
package live

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = time.Minute
	stopLimit  = 30 * time.Second
	tailLines  = 100 // how much of the output is kept
)

// Build builds the program into dir and returns its path.
func Build(dir string) (string, error) {
	binary := filepath.Join(dir, "belfry")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/belfryhq/belfry/cmd/belfry").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// A Server is a running belfry. Its fields do not change.
type Server struct {
	Binary  string
	URL     string // http://127.0.0.1:PORT
	Brokers string // where a Kafka client publishes
	Token   string // the operator's

	cmd    *exec.Cmd
	output *output
	ended  chan error
}

// Start starts binary with all that it keeps in dir and waits until it is ready. settings
// are NAME=value; with BELFRY_KAFKA_BROKERS among them there is no embedded broker.
func Start(binary, dir string, settings ...string) (*Server, error) {
	secret := make([]byte, 24)
	rand.Read(secret) // never fails, see crypto/rand
	s := &Server{Binary: binary, Token: hex.EncodeToString(secret), ended: make(chan error, 1)}
	s.cmd = exec.Command(binary, "serve")
	s.cmd.Dir = dir
	s.cmd.Env = append(Environment(), "BELFRY_LISTEN=127.0.0.1:0", "BELFRY_KAFKA_LISTEN=127.0.0.1:0",
		"BELFRY_DATA_DIR="+filepath.Join(dir, "data"), "BELFRY_BOOTSTRAP_TOKEN="+s.Token)
	s.cmd.Env = append(s.cmd.Env, settings...)
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = write, write
	err = s.cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return nil, err
	}
	s.output = follow(read)
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.await(settings); err != nil {
		return nil, errors.Join(err, s.Stop(), errors.New(s.Tail()))
	}
	return s, nil
}

// await waits for the lines that say where the server listens.
func (s *Server) await(settings []string) error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	outside := slices.IndexFunc(settings, func(one string) bool { return strings.HasPrefix(one, "BELFRY_KAFKA_BROKERS=") })
	if outside >= 0 {
		_, s.Brokers, _ = strings.Cut(settings[outside], "=")
	}
	for s.URL == "" || s.Brokers == "" {
		select {
		case s.URL = <-s.output.url:
		case s.Brokers = <-s.output.brokers:
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("belfry serve ended before it was ready: %w", err)
		case <-limit.C:
			return fmt.Errorf("belfry serve was not ready after %s", startLimit)
		}
	}
	return nil
}

// Stop ends the server with SIGTERM; the error says that it did not end well. It is called
// once.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended, which Wait tells
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	var err error
	select {
	case err = <-s.ended:
	case <-limit.C:
		_ = s.cmd.Process.Kill()
		err = fmt.Errorf("it still ran %s after SIGTERM: %w", stopLimit, <-s.ended)
	}
	<-s.output.done
	if err != nil {
		return fmt.Errorf("belfry serve: %w", err)
	}
	return nil
}

// Tail is the end of what the server printed.
func (s *Server) Tail() string {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	return strings.Join(s.output.tail, "\n")
}

// Defects are the lines, at most 20, by which the server says that something went wrong
// that no caller is to blame for.
func (s *Server) Defects() []string {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	return slices.Clone(s.output.defects)
}

// output follows what the server prints.
type output struct {
	url, brokers chan string // each gets one value
	done         chan struct{}

	mu      sync.Mutex // guards what follows
	tail    []string
	defects []string
}

func follow(r io.ReadCloser) *output {
	o := &output{url: make(chan string, 1), brokers: make(chan string, 1), done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer r.Close()
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			for prefix, to := range map[string]chan string{"belfry: ready on ": o.url, "belfry: kafka on ": o.brokers} {
				if address, ok := strings.CutPrefix(lines.Text(), prefix); ok && len(to) == 0 {
					to <- strings.TrimSpace(address)
				}
			}
			o.keep(lines.Text())
		}
		_, _ = io.Copy(io.Discard, r) // after a line beyond the buffer the server must not block
	}()
	return o
}

func (o *output) keep(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tail = append(o.tail, line); len(o.tail) > tailLines {
		o.tail = o.tail[1:]
	}
	if strings.Contains(line, `"level":"ERROR"`) && len(o.defects) < 20 {
		o.defects = append(o.defects, line)
	}
}

// Environment is the test's own without Belfry's settings: a developer's must not leak in.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(setting string) bool { return strings.HasPrefix(setting, "BELFRY_") })
}
