// Package story_test plays the demo's eleven steps against the real binary, as
// a visitor would: the shop's form, the pages in a real Chromium, the inbox,
// the API, kill -9. Times are compared with the closed form of burn-rate alerts
// (SRE workbook, chapter 5) in event time, never against a guess.
//
// It takes about eight minutes, most of them the five that an alert's short
// window needs to be clean again, so it runs with BELFRY_TEST_ALL=1 only (CI),
// or with BELFRY_TEST_STORY=1.
package story_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/demo"
	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/poll"
)

// patience bounds what takes no set time: starting, arriving.
const patience = 2 * time.Minute

// play is a running demo and its visitor.
type play struct {
	t      *testing.T
	dir    string
	binary string
	out    *printed
	demo.State
	web *http.Client // the visitor's browser, where no script is needed
}

// printed is the output of the demo on its terminal.
type printed struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// begin builds the program and starts the demo; it ends with the test.
func begin(t *testing.T) *play {
	t.Helper()
	if os.Getenv("BELFRY_TEST_ALL") != "1" && os.Getenv("BELFRY_TEST_STORY") != "1" {
		t.Skip("left out: the story takes eight minutes (set BELFRY_TEST_STORY=1)")
	}
	p := &play{t: t, dir: t.TempDir(), out: &printed{}}
	var err error
	if p.binary, err = live.Build(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.binary, "demo", "--listen", "127.0.0.1:0", "--data-dir", p.dir)
	cmd.Env = live.Environment()
	cmd.Stdout = p.out
	cmd.Stderr = p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the demo said:\n%s", p.out)
		}
		keep(t, "terminal.txt", []byte(p.out.String()))
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the demo ended: %v", err)
			}
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			t.Error("the demo does not end")
		}
	})
	p.until("the demo is ready", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the demo ended: %v\n%s", err, p.out)
		default:
		}
		return p.reload() && p.Ready
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.web = &http.Client{Jar: jar, Timeout: 30 * time.Second}
	return p
}

// reload reads the demo's state again.
func (p *play) reload() bool {
	b, err := os.ReadFile(filepath.Join(p.dir, "demo.json"))
	return err == nil && json.Unmarshal(b, &p.State) == nil
}

// keep leaves a file as build output.
func keep(t *testing.T, name string, b []byte) {
	folder := os.Getenv("BELFRY_TEST_SCREENSHOTS")
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, "story-"+name), b, 0o600); err != nil {
		t.Error(err)
	}
}

// until waits for what must come.
func (p *play) until(what string, holds func() bool) {
	p.t.Helper()
	p.untilFor(patience, what, holds)
}

func (p *play) untilFor(limit time.Duration, what string, holds func() bool) {
	p.t.Helper()
	poll.UntilFor(p.t, limit, what, holds)
}

// api calls with the visitor's token and decodes the result; it answers with
// the status, 0 when nothing answered.
func (p *play) api(method, path string, in, out any) int {
	p.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			p.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.URL+"/client/v4/accounts/"+p.Account+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0
	}
	if out != nil {
		if raw, ok := out.(*[]byte); ok {
			*raw = text
			return res.StatusCode
		}
		var env struct{ Result json.RawMessage }
		if json.Unmarshal(text, &env) != nil || json.Unmarshal(env.Result, out) != nil {
			p.t.Fatalf("%s %s: %d\n%.2000s", method, path, res.StatusCode, text)
		}
	}
	return res.StatusCode
}

// get is api for what must be there.
func (p *play) get(path string, out any) {
	p.t.Helper()
	if status := p.api(http.MethodGet, path, nil, out); status != http.StatusOK {
		p.t.Fatalf("GET %s: %d", path, status)
	}
}

// text reads a page of the shop or the inbox.
func (p *play) text(address string) string {
	p.t.Helper()
	res, err := p.web.Get(address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %d %v\n%.500s", address, res.StatusCode, err, b)
	}
	return string(b)
}

// send fills a form of the shop.
func (p *play) send(address string, fields url.Values) {
	p.t.Helper()
	res, err := p.web.PostForm(address, fields)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %d %v\n%.500s", address, res.StatusCode, err, b)
	}
}

// run runs the program and gives its exit code and output.
func (p *play) run(args ...string) (int, string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.binary, args...)
	cmd.Env, cmd.Dir = live.Environment(), p.dir
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return 0, string(out)
}

// moment parses a time of the API.
func (p *play) moment(s string) time.Time {
	p.t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		p.t.Fatal(err)
	}
	return at
}

// minutes writes 4:56.
func minutes(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// has reports whether the text has all the parts.
func has(text string, parts ...string) string {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return part
		}
	}
	return ""
}
