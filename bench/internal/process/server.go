// Package process starts the real server in a process of its own, as users have it, and reads from /proc what it uses.
package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Client keeps enough connections for the callers of every benchmark.
var Client = &http.Client{
	Timeout:   2 * time.Minute,
	Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
}

// Build builds the server in folder as releases are built, and returns its path.
func Build(ctx context.Context, folder string) (string, error) {
	program := filepath.Join(folder, "belfry")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/belfryhq/belfry/cmd/belfry")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build (run it in the repository): %w\n%s", err, out)
	}
	return program, nil
}

// Server is a running server.
type Server struct {
	URL     string
	Kafka   string        // address of the embedded broker
	Profile string        // URL of the profiler, of a program that prints one
	Token   string        // of the operators
	Ready   time.Duration // from the start of the process to the first good answer of /readyz

	cmd *exec.Cmd
}

// Settings are the settings that a server on data needs, by their names in the environment; extra ones replace them.
func Settings(data, token string, extra map[string]string) map[string]string {
	settings := map[string]string{
		"BELFRY_DATA_DIR":        data,
		"BELFRY_LISTEN":          "127.0.0.1:0",
		"BELFRY_KAFKA_LISTEN":    "127.0.0.1:0",
		"BELFRY_BOOTSTRAP_TOKEN": token,
		"BELFRY_ALLOW_NETWORKS":  "127.0.0.0/8",
		"BELFRY_LOG_LEVEL":       "warn",
	}
	for name, value := range extra {
		settings[name] = value
	}
	return settings
}

// Start starts a program that serves, with the settings as its environment, and waits until it is ready.
func Start(ctx context.Context, settings map[string]string, program string, args ...string) (*Server, error) {
	s := &Server{Token: settings["BELFRY_BOOTSTRAP_TOKEN"], Kafka: settings["BELFRY_KAFKA_BROKERS"]}
	s.cmd = exec.Command(program, args...)
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range settings {
		s.cmd.Env = append(s.cmd.Env, name+"="+value)
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}

	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.addresses(out); err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx, begin); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.Ready = time.Since(begin)
	return s, nil
}

// addresses reads where the server listens from its output, and discards the rest of it.
func (s *Server) addresses(out io.Reader) error {
	lines := bufio.NewScanner(out)
	for s.URL == "" || s.Kafka == "" {
		if !lines.Scan() {
			return errors.Join(errors.New("the server ended before it was ready"), s.cmd.Wait())
		}
		for prefix, to := range map[string]*string{
			"belfry: ready on ": &s.URL,
			"belfry: kafka on ": &s.Kafka,
			"profile on ":       &s.Profile,
		} {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				*to = rest
			}
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return nil
}

func (s *Server) awaitReady(ctx context.Context, begin time.Time) error {
	for {
		err := s.Call(ctx, "GET", "/readyz", nil, nil)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Since(begin) > 2*time.Minute {
			return fmt.Errorf("not ready after %v: %w", time.Since(begin), err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Stop ends the server in order.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// PID is the id of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Call makes one request as the operators. Paths that are not those of pages and probes begin after /client/v4. body
// is sent as JSON; into takes the result of the answer. Both may be nil.
func (s *Server) Call(ctx context.Context, method, path string, body, into any) error {
	if path != "/readyz" {
		path = "/client/v4" + path
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Content-Type", "application/json")

	res, err := Client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %.300s", method, path, res.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, &struct{ Result any }{into})
}
