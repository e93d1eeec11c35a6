package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/poll"
)

// countingServer counts requests as the server does: each key once.
type countingServer struct {
	t *testing.T

	mu    sync.Mutex // guards what follows
	seen  map[string]string
	asked int // for rules
	total int
	bad   int
	dice  *rand.Rand
}

func (s *countingServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	roll := s.dice.IntN(20)
	if roll == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"success":false}`)
		return
	}
	if r.Method == http.MethodGet { // the rules, which are not the default ones every other time
		s.asked++
		rules := `{"default":true,"rules":[{"when":{"edge":"503"},"is":"bad"}],"latency":[]}`
		if s.asked%2 == 0 {
			rules = `{"rules":[{"when":{"edge":"500-599"},"is":"bad"}],"latency":["1s"]}`
		}
		io.WriteString(w, `{"success":true,"errors":[],"result":`+rules+`}`)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if before, ok := s.seen[key]; !ok {
		s.seen[key] = string(body)
		var list []struct {
			Total, Bad int
			SLI        string
		}
		if err := json.Unmarshal(body, &list); err != nil {
			s.t.Error(err)
		}
		for _, c := range list {
			if c.SLI != "" { // latency, of the same requests
				continue
			}
			s.total += c.Total
			s.bad += c.Bad
		}
	} else if before != string(body) {
		s.t.Errorf("key %s has two contents", key)
	}
	if roll == 1 { // the answer is lost
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, `{"success":true,"errors":[],"result":{"refused":[]},"result_info":{"accepted":1,"rejected":0}}`)
}

func (s *countingServer) counted() (total, bad int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total, s.bad
}

// TestTailProcess is no test: the next one runs it as a process of its own.
func TestTailProcess(t *testing.T) {
	args := os.Getenv("BELFRY_TAIL_PROCESS")
	if args == "" {
		return
	}
	os.Exit(dispatch(t.Context(), strings.Split(args, "\n"), os.Stdout, os.Stderr))
}

// formatLines write one line of each format: of a time, with a number and a status.
var formatLines = map[string]func(at time.Time, n, status int) string{
	"combined": func(at time.Time, n, status int) string {
		return fmt.Sprintf("192.0.2.7 - - [%s] \"GET /%d HTTP/1.1\" %d 1 \"-\" \"-\"\n",
			at.Format("02/Jan/2006:15:04:05 -0700"), n, status)
	},
	"envoy": func(at time.Time, n, status int) string {
		return fmt.Sprintf("[%s] \"GET /%d HTTP/2\" %d - 0 1 2 1 \"-\" \"-\" \"id\" \"shop.example\" \"10.0.0.1:80\"\n",
			at.Format(time.RFC3339Nano), n, status)
	},
	"haproxy": func(at time.Time, n, status int) string {
		return fmt.Sprintf("10.0.1.2:33317 [%s] in bk/s1 1/0/3/6/10 %d 2 - - ---- 1/1/1/1/0 0/0 \"GET /%d HTTP/1.1\"\n",
			at.Format("02/Jan/2006:15:04:05.000"), status, n)
	},
	"alb": func(at time.Time, n, status int) string {
		return fmt.Sprintf("https %s app/lb/50 192.0.2.7:2817 10.0.0.1:80 0.1 0.048 0.1 %d %d 34 366 "+
			"\"GET https://shop.example:443/%d HTTP/1.1\" \"curl\" - - arn \"Root=1\" \"-\"\n",
			at.Format("2006-01-02T15:04:05.000000Z"), status, status, n)
	},
	"cloudfront": func(at time.Time, n, status int) string {
		return fmt.Sprintf("{\"date\":%q,\"time\":%q,\"sc-status\":\"%d\","+
			"\"x-host-header\":\"shop.example\",\"cs-uri-stem\":\"/%d\"}\n",
			at.Format("2006-01-02"), at.Format("15:04:05"), status, n)
	},
}

func TestTailCountsExactlyOverRotationsAndKills(t *testing.T) {
	all := 100_000
	if n, err := strconv.Atoi(os.Getenv("BELFRY_TEST_TAIL_LINES")); err == nil { // a longer run, by hand
		all = n
	}
	countsExactly(t, "combined", all)
}

func TestTailCountsTheOtherFormatsExactly(t *testing.T) {
	for _, format := range []string{"envoy", "haproxy", "alb", "cloudfront"} {
		t.Run(format, func(t *testing.T) { countsExactly(t, format, 10_000) })
	}
}

// countsExactly writes a log of so many lines while it is followed; the log is renamed,
// copied and truncated, and compressed, old writers go on, and the follower is killed, in
// the middle of any of it. Every line is counted once.
func countsExactly(t *testing.T, format string, all int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	s := &countingServer{t: t, seen: map[string]string{}, dice: rand.New(rand.NewPCG(seed, 1))}
	listener := httptest.NewServer(s)
	defer listener.Close()
	dir := t.TempDir()
	log := filepath.Join(dir, "access.log")
	args := []string{"tail", "--account", "ext:acme", "--zone", "shop.example", "--url", listener.URL, "--token", "blf_x",
		"--format", format, "--state", filepath.Join(dir, "state", "s.json"), log}
	var words bytes.Buffer
	start := func(args ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTailProcess$")
		cmd.Env = append(os.Environ(), "BELFRY_TAIL_PROCESS="+strings.Join(args, "\n"))
		words.Reset()
		cmd.Stderr = &words
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	follower := start(append(args, "-f")...)
	kill := func() {
		if follower != nil {
			follower.Process.Kill()
			follower.Wait() // its error is the kill
			follower = nil
		}
	}
	t.Cleanup(kill)

	written, failures := 0, 0
	put := func(file string, n int) {
		var b bytes.Buffer
		for range min(n, all-written) {
			status := 200
			if dice.IntN(10) == 0 {
				status = 503
				failures++
			}
			b.WriteString(formatLines[format](time.Date(2026, 11, 22, 10, 0, written/10, 0, time.UTC), written, status))
			written++
		}
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// shift makes room for another rotated file, and compresses the fourth.
	shift := func() {
		for n := 40; n >= 1; n-- {
			for _, suffix := range []string{"", ".gz"} {
				from := fmt.Sprintf("%s.%d%s", log, n, suffix)
				if _, err := os.Stat(from); err == nil {
					must(os.Rename(from, fmt.Sprintf("%s.%d%s", log, n+1, suffix)))
				}
			}
		}
		plain := log + ".4"
		if text, err := os.ReadFile(plain); err == nil {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, err := z.Write(text)
			must(err)
			must(z.Close())
			must(os.WriteFile(plain+".gz", b.Bytes(), 0o600))
			must(os.Remove(plain))
		}
	}
	// What was rotated before the log was first seen is history.
	put(log, 100)
	poll.Until(t, "a line is counted", func() bool {
		total, _ := s.counted()
		return total > 0
	})
	rotations := map[string]int{}
	for written < all {
		put(log, 1+dice.IntN(max(1000, all/2000)))
		_, late := os.Stat(log + ".1")
		switch roll := dice.IntN(24); {
		case roll < 2 && rotations["renamed"]+rotations["truncated"] < 36:
			shift()
			must(os.Rename(log, log+".1"))
			rotations["renamed"]++
		case roll < 4 && rotations["renamed"]+rotations["truncated"] < 36:
			shift()
			text, err := os.ReadFile(log)
			must(err)
			must(os.WriteFile(log+".1", text, 0o600))
			must(os.Truncate(log, 0))
			rotations["truncated"]++
		case roll < 6 && late == nil: // an old writer
			put(log+".1", 1+dice.IntN(50))
		case roll < 8:
			kill()
		case follower == nil && roll < 16:
			follower = start(append(args, "-f")...)
		case roll < 20: // time for it to be somewhere else
			before, _ := s.counted()
			for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); time.Sleep(time.Millisecond) {
				if now, _ := s.counted(); now != before {
					break
				}
			}
		}
	}
	kill()
	for range 2 { // what is left, and then nothing more
		cmd := start(args...)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the last run: %v: %s", err, &words)
		}
		if total, bad := s.counted(); total != all || bad != failures {
			t.Errorf("%d requests and %d failures are counted, want %d and %d; %v", total, bad, all, failures, rotations)
		}
	}
}
