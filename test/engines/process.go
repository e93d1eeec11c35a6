package engines

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Process is a server of the test's own, which it may kill and start again: the data
// and the port stay. It is stopped and its data are deleted when the test ends.
//
// One goroutine at a time may call its methods.
type Process struct {
	t       testing.TB
	script  string // scripts/postgres.sh or scripts/kafka.sh
	dir     string // all that the server keeps
	address string
}

// startTime bounds one start, the recovery after a crash included.
const startTime = 3 * time.Minute

// StartPostgres starts a private PostgreSQL cluster. Like Postgres it skips the test
// unless BELFRY_TEST_POSTGRES is set, so that a quick run starts no servers.
func StartPostgres(t testing.TB) *Process {
	t.Helper()
	named(t, "BELFRY_TEST_POSTGRES", "PostgreSQL of its own")
	return start(t, "postgres")
}

// StartKafka starts a private Apache Kafka node; it skips unless BELFRY_TEST_KAFKA is set.
func StartKafka(t testing.TB) *Process {
	t.Helper()
	named(t, "BELFRY_TEST_KAFKA", "Apache Kafka of its own")
	return start(t, "kafka")
}

func start(t testing.TB, engine string) *Process {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	// "make test" names a directory that it sweeps at its end, because a test binary that
	// crashes runs no cleanup.
	parent := os.Getenv("BELFRY_TEST_PRIVATE")
	if parent == "" {
		parent = filepath.Join(root, ".cache", "private")
	}
	p := &Process{
		t:      t,
		script: filepath.Join(root, "scripts", engine+".sh"),
		dir:    filepath.Join(parent, engine+"-"+randomHex(6)),
	}
	t.Cleanup(func() {
		if _, err := p.run("stop"); err != nil {
			t.Errorf("%s did not stop: %v", engine, err)
		}
	})
	p.Start()
	return p
}

// URL returns how to reach the server: the URL of PostgreSQL's database "belfry", or
// Kafka's bootstrap address. It is the same after a restart.
func (p *Process) URL() string { return p.address }

// Start starts the server unless it runs, and returns when it answers clients.
func (p *Process) Start() {
	p.t.Helper()
	address, err := p.run("start")
	if err != nil {
		p.t.Fatal(err)
	}
	if p.address != "" && p.address != address {
		p.t.Fatalf("the server came back at another address")
	}
	p.address = address
}

// Kill ends the server with SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	p.t.Helper()
	if _, err := p.run("kill"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Process) run(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, p.script, command, p.dir)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", errors.New(filepath.Base(p.script) + " " + command + ": " + err.Error() + "\n" + complaints.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// repository returns the root of the work tree: the first directory upwards with scripts.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "postgres.sh")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("engines: scripts/postgres.sh is in no directory above this test")
		}
		dir = parent
	}
}
