package crash_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process is one Belfry, which may be ended and started again with the same settings.
// One goroutine at a time may call its methods.
type process struct {
	t   testing.TB
	url string // http://127.0.0.1:PORT, the same after every start
	env []string
	log string // everything that all its lives printed

	*processLife // nil while it does not run
}

// processLife is one run of a process.
type processLife struct {
	cmd   *exec.Cmd
	began time.Time
	ready chan struct{} // closed when it accepts requests, after took is set
	took  time.Duration // from start to ready
	ended chan error    // gets how it ended
}

func (l *processLife) follow(output io.ReadCloser) {
	defer output.Close()
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "belfry: ready on ") { // printed once
			l.took = time.Since(l.began)
			close(l.ready)
		}
	}
}

// newProcess prepares a Belfry; start starts it. It is killed when the test ends.
func newProcess(t testing.TB, token string, settings ...string) *process {
	t.Helper()
	dir := t.TempDir()
	listen := freeAddress(t)
	p := &process{t: t, url: "http://" + listen, log: filepath.Join(dir, "output")}
	p.env = append(environment(), "BELFRY_LISTEN="+listen, "BELFRY_BOOTSTRAP_TOKEN="+token,
		"BELFRY_DATA_DIR="+filepath.Join(dir, "data"), "BELFRY_LOG_LEVEL=warn", "BELFRY_EPOCH=1s")
	p.env = append(p.env, settings...) // the last of the same name counts
	t.Cleanup(func() {
		if p.processLife != nil {
			p.kill()
		}
		if t.Failed() {
			t.Logf("the last of what %s printed:\n%s", p.url, p.tail())
		}
	})
	return p
}

// start starts the process and does not wait for it.
func (p *process) start() {
	p.t.Helper()
	file, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close() // the child has its own
	read, write, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	defer write.Close()
	fmt.Fprintf(log, "--- start at %s\n", time.Now().Format(time.TimeOnly))
	p.processLife = &processLife{
		cmd:   exec.Command(file, "serve"),
		began: time.Now(),
		ready: make(chan struct{}),
		ended: make(chan error, 1),
	}
	p.cmd.Env = p.env
	p.cmd.Stdout = write
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	life := p.processLife
	go life.follow(read)
	go func() { life.ended <- life.cmd.Wait() }()
}

// waitReady waits until the process accepts requests and tells how long the start took.
func (p *process) waitReady() time.Duration {
	p.t.Helper()
	select {
	case <-p.ready:
		return p.took
	case err := <-p.ended:
		p.processLife = nil
		p.t.Fatalf("belfry serve ended before it was ready: %v\n%s", err, p.tail())
	case <-time.After(patience):
		p.t.Fatalf("belfry serve was not ready after %s", patience)
	}
	return 0
}

// kill ends the process with SIGKILL, also while it starts or is frozen.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
	p.processLife = nil
}

// stop asks the process to end and waits until it ended well.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		p.processLife = nil
		if err != nil {
			p.t.Errorf("belfry serve after SIGTERM: %v", err)
		}
	case <-time.After(patience):
		p.t.Fatalf("belfry serve still ran %s after SIGTERM", patience)
	}
}

// signal fails only when the process has ended, which ended tells.
func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// alive reports whether the process still runs.
func (p *process) alive() bool { return len(p.ended) == 0 }

// tail is the end of what the process printed.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	lines = lines[max(0, len(lines)-30):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), 400)]
	}
	return string(bytes.Join(lines, []byte("\n")))
}

// environment is the test's own without Belfry's settings: a developer's must not leak in.
func environment() []string {
	var kept []string
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "BELFRY_") {
			kept = append(kept, setting)
		}
	}
	return kept
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
