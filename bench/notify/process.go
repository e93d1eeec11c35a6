package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// server is the running binary.
type server struct {
	url, token, dir string
	cmd             *exec.Cmd
}

// start builds and starts the server on a fresh folder.
func start(ctx context.Context, o options) (*server, error) {
	dir, err := os.MkdirTemp("", "belfry-bench-notify")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, token: strings.Repeat("b", 40)}
	binary := o.binary
	if binary == "" {
		binary = filepath.Join(dir, "belfry")
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/belfry")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, err
		}
	}
	s.cmd = exec.Command(binary, "serve")
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "BELFRY_DATA_DIR=" + filepath.Join(dir, "data"), "BELFRY_LISTEN=127.0.0.1:0", "BELFRY_KAFKA_LISTEN=127.0.0.1:0",
		"BELFRY_BOOTSTRAP_TOKEN=" + s.token, "BELFRY_ALLOW_NETWORKS=127.0.0.0/8", "BELFRY_LOG_LEVEL=warn"}
	if o.engine == "postgres" {
		database, brokers := os.Getenv("BELFRY_TEST_POSTGRES"), os.Getenv("BELFRY_TEST_KAFKA")
		if database == "" || brokers == "" {
			return nil, errors.New("BELFRY_TEST_POSTGRES and BELFRY_TEST_KAFKA must name an empty database and a cluster")
		}
		s.cmd.Env = append(s.cmd.Env, "BELFRY_DATABASE_URL="+database, "BELFRY_KAFKA_BROKERS="+brokers, "BELFRY_MASTER_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for s.url == "" {
		if !lines.Scan() {
			return nil, errors.Join(errors.New("the server ended before it was ready"), s.cmd.Wait())
		}
		if rest, ok := strings.CutPrefix(lines.Text(), "belfry: ready on "); ok {
			s.url = rest
		}
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // until the server ends
	return s, nil
}

func (s *server) stop() {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err == nil {
		s.cmd.Wait() //nolint:errcheck // its own log says why
	}
	os.RemoveAll(s.dir)
}

// cpu is the user and system time of the server, in ticks of 10 ms (proc(5)).
func (s *server) cpu() (sum time.Duration) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	_, rest, ok := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if err != nil || !ok || len(f) < 13 {
		return 0
	}
	for _, ticks := range f[11:13] {
		n, _ := strconv.ParseInt(ticks, 10, 64)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// memory is the resident memory, and the part that is not pages of files.
func (s *server) memory() (all, own int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			all = kb << 10
		}
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kb); n == 1 {
			own = kb << 10
		}
	}
	return all, own
}

func machine() string { return fmt.Sprintf("%d cores, %s", runtime.NumCPU(), runtime.Version()) }

// sink are the receivers: one answers at once, one can be made to hang.
type sink struct {
	server  *httptest.Server
	hanging atomic.Bool

	mu   sync.Mutex // guards what follows
	row  string
	seen map[string]int // by webhook-id
	late []time.Duration
	at   time.Time
}

func newSink() *sink {
	s := &sink{}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body) // a broken one is not counted
		if strings.HasPrefix(r.URL.Path, "/bad/") {
			s.misbehave(w, r)
			return
		}
		if r.URL.Path == "/bad" && s.hanging.Load() {
			<-r.Context().Done()
			return
		}
		var body struct {
			Data struct {
				Sent int64  `json:"sent"`
				Row  string `json:"row"`
			} `json:"data"`
		}
		if json.Unmarshal(data, &body) != nil || body.Data.Row == "" || r.Header.Get("webhook-signature") == "" {
			return
		}
		now := time.Now()
		s.mu.Lock()
		defer s.mu.Unlock()
		if body.Data.Row == s.row {
			s.seen[r.Header.Get("webhook-id")]++
			s.late = append(s.late, now.Sub(time.Unix(0, body.Data.Sent)))
			s.at = now
		}
	}))
	return s
}

// misbehave is one of the bad receivers, while they are bad: it hangs, drips its
// answer or asks to wait, by its path.
func (s *sink) misbehave(w http.ResponseWriter, r *http.Request) {
	kind := strings.TrimPrefix(r.URL.Path, "/bad/")
	switch {
	case !s.hanging.Load():
	case strings.HasPrefix(kind, "hang"):
		<-r.Context().Done()
	case strings.HasPrefix(kind, "drip"):
		out := http.NewResponseController(w)
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(".")); err != nil || out.Flush() != nil {
				return
			}
			time.Sleep(time.Second)
		}
	default:
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
	}
}

func (s *sink) hang(yes bool) { s.hanging.Store(yes) }

func (s *sink) begin(row string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row, s.seen, s.late, s.at = row, map[string]int{}, nil, time.Now()
}

// await returns when so many have come, or none has for a while.
func (s *sink) await(ctx context.Context, n int, patience time.Duration) {
	for ctx.Err() == nil {
		s.mu.Lock()
		have, at := len(s.seen), s.at
		s.mu.Unlock()
		if have >= n || time.Since(at) > patience {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *sink) last() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *sink) end() (map[string]int, []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.late
}
