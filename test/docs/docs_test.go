package docs_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/engines"
)

const (
	root = "../.."
	// limit bounds one document: a hanging command must not hang the run.
	limit = 2 * time.Minute
)

// binary is the program under test, built once; TestMain sets it.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "belfry-docs")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = live.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// documents are all that have commands.
func documents(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"README.md", "docs/guide/*.md", "sdk/*/README.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	if len(list) < 10 {
		t.Fatalf("there are only %d documents: %v", len(list), list)
	}
	return list
}

// programs are used by the documents' commands, beside belfry, go and bash. A word of a
// command asks for the program that the probe starts.
var programs = []struct {
	word  string
	probe []string
}{
	{"curl", []string{"curl", "--version"}},
	{"jq", []string{"jq", "--version"}},
	{"openssl", []string{"openssl", "version"}},
	{"sqlite3", []string{"sqlite3", "--version"}},
	{"node", []string{"node", "--version"}},
	{"python3", []string{"python3", "--version"}},
	{"verify.py", []string{"python3", "-c", "import cryptography"}},
}

// needs leaves a document out where a program that it uses is missing.
func (s *shell) needs(t *testing.T, list []block) {
	t.Helper()
	var text string
	for _, b := range list {
		if b.kind == command {
			text += b.text
		}
	}
	for _, p := range programs {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(p.word) + `\b`).MatchString(text) {
			continue
		}
		if s.run("'"+strings.Join(p.probe, "' '")+"' >/dev/null 2>&1") != nil {
			engines.Missing(t, strings.Join(p.probe, " "), "the document uses it")
		}
	}
}

// TestTheDocumentsWorkAsWritten runs every document from its beginning to its end.
func TestTheDocumentsWorkAsWritten(t *testing.T) {
	for _, path := range documents(t) {
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { runDocument(t, path) })
	}
}

func runDocument(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list, err := blocks(string(text))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, b := range list {
		if b.kind == command {
			commands++
		}
	}
	if commands == 0 {
		return
	}
	t.Parallel()
	s := newShell(t)
	s.needs(t, list)
	s.prepare(t, path)
	script := "set -eu\n"
	for i, b := range list {
		switch b.kind {
		case command:
			script += fmt.Sprintf("echo %d >.at\n{\n%s} >.out-%d 2>.err-%d\n", i, s.local(b.text), i, i)
		case file:
			// It is written when the commands before it have run, as a reader would do it.
			source := fmt.Sprintf(".file-%d", i)
			s.write(t, source, s.local(b.text))
			script += fmt.Sprintf("mkdir -p \"$(dirname '%s')\"\ncp %s '%s'\n", b.name, source, b.name)
		}
	}
	script += "echo done >.at\n"
	if err := s.run(script); err != nil {
		t.Log(s.read("belfry.log"), s.read("ready.json"))
		at, _ := strconv.Atoi(strings.TrimSpace(s.read(".at"))) // "done" and nothing are 0
		t.Fatalf("line %d: %v\n%s\nprinted:\n%s%s", list[at].line, err, list[at].text, s.read(fmt.Sprintf(".out-%d", at)),
			s.read(fmt.Sprintf(".err-%d", at)))
	}
	last := -1
	for i, b := range list {
		switch b.kind {
		case command:
			last = i
		case answer:
			if last < 0 {
				t.Errorf("line %d: an answer without a command", b.line)
				continue
			}
			got := s.read(fmt.Sprintf(".out-%d", last)) + s.read(fmt.Sprintf(".err-%d", last))
			if err := matches(s.local(b.text), got); err != nil {
				t.Errorf("line %d: %v; it printed:\n%s", b.line, err, got)
			}
		}
	}
}

// A shell is where a document is run: an empty folder, with the program in its path.
type shell struct {
	dir string
	env []string
	// They replace the ports that the documents show: several documents run at once.
	port, kafka, shop string
}

// newShell makes a shell, with the program under test and this repository (SOURCE).
func newShell(t *testing.T) *shell {
	t.Helper()
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Dir(binary) + ":" + os.Getenv("PATH")
	if python := os.Getenv("BELFRY_TEST_PYTHON"); python != "" {
		path = filepath.Dir(python) + ":" + path
	}
	s := &shell{dir: t.TempDir(), shop: freePort(t)}
	s.env = append(live.Environment(), "PATH="+path, "HOME="+s.dir, "XDG_CACHE_HOME="+s.dir+"/.cache",
		"SOURCE="+repository, "SHOP_LISTEN=127.0.0.1:"+s.shop)
	for _, name := range []string{"GOPATH", "GOMODCACHE", "GOCACHE", "GOFLAGS"} {
		if value, err := exec.Command("go", "env", name).Output(); err == nil {
			s.env = append(s.env, name+"="+strings.TrimSpace(string(value)))
		}
	}
	return s
}

// prepare makes what the reader of a guide has. The two that begin with "belfry serve" have
// nothing; the others have what start.md leaves behind: a server, an account and tokens, in
// the environment.
func (s *shell) prepare(t *testing.T, path string) {
	t.Helper()
	if name := filepath.Base(path); name == "start.md" || name == "operate.md" {
		s.port = freePort(t)
		s.kafka = freePort(t)
		s.env = append(s.env, "BELFRY_LISTEN=127.0.0.1:"+s.port, "BELFRY_KAFKA_LISTEN=127.0.0.1:"+s.kafka)
		return
	}
	server, err := live.Start(binary, t.TempDir(), "BELFRY_ALLOW_NETWORKS=127.0.0.0/8", "BELFRY_EPOCH=1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.port = portOf(server.URL)
	s.kafka = portOf(server.Brokers)
	begin, err := os.ReadFile("testdata/begin.sh")
	if err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "BELFRY_URL="+server.URL, "OPERATOR="+server.Token)
	if err := s.run("set -eu\n" + string(begin)); err != nil {
		t.Fatalf("%v\n%s", err, s.read(".log"))
	}
	for line := range strings.Lines(s.read("env")) {
		s.env = append(s.env, strings.TrimSpace(line))
	}
	if err := os.Remove(filepath.Join(s.dir, "env")); err != nil {
		t.Fatal(err)
	}
}

// local is a text of a document with the ports of this run.
func (s *shell) local(text string) string {
	return strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:"+s.port, "127.0.0.1:9092", "127.0.0.1:"+s.kafka, "8090",
		s.shop).Replace(text)
}

// run runs a script, and ends what it left running.
func (s *shell) run(script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = s.dir
	cmd.Env = s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group is gone when nothing was left running
	}
	return err
}

func (s *shell) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name)) // a command that did not run has printed nothing
	return string(b)
}

func (s *shell) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return portOf(l.Addr().String())
}
