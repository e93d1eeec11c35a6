// Package conformance_test runs the real server and lets clients that others wrote use it:
// the official API clients in Go and JavaScript, kcat and kafkajs, and a verifier that
// shares no code with Belfry. It compares content field by field, pages to the end and
// provokes the errors; that a call succeeds proves little.
package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/engines"
)

const (
	startLimit = time.Minute
	stopLimit  = 30 * time.Second
	callLimit  = 30 * time.Second
)

// A server is a running belfry process and the account that the tests share.
type server struct {
	binary  string
	url     string // http://127.0.0.1:PORT
	brokers string // where a Kafka client publishes
	token   string // the operator's
	account account
}

type account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func TestTheEmbeddedServerKeepsItsContracts(t *testing.T) {
	// The embedded broker tells its address to nobody, so the test picks a free one.
	listen := freeAddress(t)
	contracts(t, start(t, listen, "BELFRY_KAFKA_LISTEN="+listen))
}

func TestTheServerOnPostgresAndKafkaKeepsItsContracts(t *testing.T) {
	database := engines.Postgres(t)
	brokers := engines.StartKafka(t).URL() // of its own: the topics' names are fixed
	key := make([]byte, 32)
	rand.Read(key) // never fails, see crypto/rand
	contracts(t, start(t, brokers,
		"BELFRY_DATABASE_URL="+database,
		"BELFRY_KAFKA_BROKERS="+brokers,
		"BELFRY_MASTER_KEY="+base64.StdEncoding.EncodeToString(key)))
}

func contracts(t *testing.T, s *server) {
	f := seed(t, s)
	t.Run("the official Go client reads what was written", func(t *testing.T) { goClient(t, s, f) })
	t.Run("the official JavaScript client reads what was written", func(t *testing.T) { nodeClient(t, s, f) })
	t.Run("Kafka clients of others publish", func(t *testing.T) { kafkaClients(t, s) })
	t.Run("every intake answer is final", func(t *testing.T) { intake(t, s, f) })
	t.Run("every error is an envelope that is not retried", func(t *testing.T) { failures(t, s, f) })
	t.Run("an independent verifier accepts the record", func(t *testing.T) { proofs(t, s, f) })
}

// start builds and starts belfry with a fresh data directory and waits until it is ready.
// It is stopped with SIGTERM when the test ends, and must then end well.
func start(t *testing.T, brokers string, settings ...string) *server {
	t.Helper()
	dir := t.TempDir()
	secret := make([]byte, 24)
	rand.Read(secret) // never fails, see crypto/rand
	s := &server{binary: filepath.Join(dir, "belfry"), brokers: brokers, token: hex.EncodeToString(secret)}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, "github.com/belfryhq/belfry/cmd/belfry")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}

	cmd := exec.Command(s.binary, "serve")
	cmd.Dir = dir
	cmd.Env = append(environment(),
		append(settings, "BELFRY_LISTEN=127.0.0.1:0", "BELFRY_DATA_DIR="+filepath.Join(dir, "data"), "BELFRY_BOOTSTRAP_TOKEN="+s.token)...)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	output := follow(read)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { stop(t, cmd, ended, output) })

	select {
	case s.url = <-output.ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("belfry serve ended before it was ready: %v", err)
	case <-time.After(startLimit):
		t.Fatalf("belfry serve was not ready after %s", startLimit)
	}
	return s
}

func stop(t *testing.T, cmd *exec.Cmd, ended chan error, output *output) {
	cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended, which Wait tells
	var err error
	select {
	case err = <-ended:
	case <-time.After(stopLimit):
		cmd.Process.Kill()
		err = fmt.Errorf("it still ran %s after SIGTERM: %w", stopLimit, <-ended)
	}
	<-output.done
	if err != nil {
		t.Errorf("belfry serve: %v", err)
	}
	if t.Failed() {
		t.Logf("the last of what belfry printed:\n%s", strings.Join(output.tail, "\n"))
	}
}

// output follows what the server prints. ready gets the URL; tail may be read after done.
type output struct {
	ready chan string
	done  chan struct{}
	tail  []string
}

func follow(r io.ReadCloser) *output {
	o := &output{ready: make(chan string, 1), done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer r.Close()
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "belfry: ready on "); ok && len(o.ready) == 0 {
				o.ready <- strings.TrimSpace(url)
			}
			if o.tail = append(o.tail, lines.Text()); len(o.tail) > 100 {
				o.tail = o.tail[1:]
			}
		}
	}()
	return o
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

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// An answer is an API response: the status, the headers and the envelope.
type answer struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Body   []byte      `json:"-"`

	Success    bool            `json:"success"`
	Errors     []apiError      `json:"errors"`
	Messages   json.RawMessage `json:"messages"`
	Result     json.RawMessage `json:"result"`
	ResultInfo json.RawMessage `json:"result_info"`
}

type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Source  struct {
		Pointer string `json:"pointer"`
	} `json:"source"`
}

// send makes one request below /client/v4 with a token and reads the whole answer.
func (s *server) send(t *testing.T, token, method, path, contentType string, body []byte, headers ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url+"/client/v4"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := answer{Status: response.StatusCode, Header: response.Header}
	if a.Body, err = io.ReadAll(response.Body); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// call is send for JSON: the answer must be an envelope.
func (s *server) call(t *testing.T, token, method, path string, body any) answer {
	t.Helper()
	var encoded []byte
	contentType := ""
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		contentType = "application/json"
	}
	a := s.send(t, token, method, path, contentType, encoded)
	if err := json.Unmarshal(a.Body, &a); err != nil {
		t.Fatalf("%s %s: status %d, no envelope: %v\n%.500s", method, path, a.Status, err, a.Body)
	}
	return a
}

// must is call that has to succeed; it decodes the result.
func (s *server) must(t *testing.T, method, path string, body, result any) {
	t.Helper()
	a := s.call(t, s.token, method, path, body)
	if a.Status != http.StatusOK && a.Status != http.StatusCreated || !a.Success {
		t.Fatalf("%s %s: status %d\n%.1000s", method, path, a.Status, a.Body)
	}
	if result != nil {
		if err := json.Unmarshal(a.Result, result); err != nil {
			t.Fatalf("%s %s: %v\n%.1000s", method, path, err, a.Body)
		}
	}
}

func (s *server) accountPath(rest string) string { return "/accounts/" + s.account.ID + rest }

// eventually asks until done says yes; what travels over the bus arrives when it arrives.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(callLimit)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("after %s still not: %s", callLimit, what)
		}
	}
}
