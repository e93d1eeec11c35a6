package crash_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/poll"
)

// tailLines is the number of lines of the log; BELFRY_TEST_TAIL_LINES sets another one.
func tailLines(t *testing.T) int {
	t.Helper()
	text := os.Getenv("BELFRY_TEST_TAIL_LINES")
	switch {
	case text == "" && os.Getenv("BELFRY_TEST_ALL") == "1":
		return 300_000
	case text == "":
		return 50_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("BELFRY_TEST_TAIL_LINES is %q, want a number from 1000", text)
	}
	return n
}

// TestTailCountsEachLineOnceOverRotationsAndKillsOfBothSides writes an access log that is renamed, copied and
// truncated, truncated and compressed, while belfry tail and the server are killed again and again.
func TestTailCountsEachLineOnceOverRotationsAndKillsOfBothSides(t *testing.T) {
	token := id.Secret(40)
	p := newProcess(t, token, "BELFRY_KAFKA_LISTEN="+freeAddress(t))
	p.start()
	p.waitReady()
	c := newClient(token, p)
	l := newTailedLog(t, p, newAccounts(t, c, 1)[0], token, tailLines(t))
	traffic := func() (n counted) { return zoneCounts(t, c, l.account) }

	l.follow()
	l.write(100) // what was rotated before the log was first seen is history
	poll.Until(t, "a line is counted", func() bool { return traffic().Total > 0 })
	began := time.Now()
	for l.written < l.all {
		l.write(1 + l.dice.IntN(max(500, l.all/2000)))
		switch roll := l.dice.IntN(200); {
		case roll < 12 && l.rotated < 1+maxRotations*l.written/l.all:
			l.rotate(roll%3 == 0)
		case roll < 14: // its last lines are read, or they would be lost
			poll.UntilFor(t, patience, "all lines are counted", func() bool {
				l.keepRunning()
				return traffic().Total == l.written
			})
			l.truncate()
		case roll < 26:
			l.kill()
		case roll < 32:
			p.kill()
			p.start()
			l.serverKills++
		case roll < 80:
			l.keepRunning()
			wait(t.Context(), rand.N(20*time.Millisecond))
		}
	}
	l.kill()
	wrote := time.Since(began)
	p.waitReady()
	l.finish()
	poll.UntilFor(t, patience, "the last line is counted", func() bool { return traffic().Total >= l.all })
	took := time.Since(began)
	if got := traffic(); got.Total != l.all || got.Bad != l.bad {
		t.Errorf("%+v, want %d lines, of which %d failed", got, l.all, l.bad)
	}

	if out := l.finish(); !strings.HasPrefix(out, "nothing new") {
		t.Errorf("a second run: %s", out)
	}
	body := fmt.Appendf(nil, `{"zone":"shop.example","ts":%d,"total":1}`, time.Now().Unix())
	if a, err := c.send(t.Context(), "POST", "/client/v4/accounts/"+l.account+"/traffic/counts", "application/json",
		body); err != nil || a.status != 200 {
		t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	poll.Until(t, "one more request is counted", func() bool { return traffic().Total > l.all })
	if got := traffic(); got.Total != l.all+1 {
		t.Errorf("after the second run %+v", got)
	}
	t.Logf("%d lines in %s (written in %s, %.0f lines/s); %d renamed or copied, %d truncated, %d kills of tail, %d of the "+
		"server; tail used %s of CPU, %.2f us a line", l.all, took.Round(time.Millisecond), wrote.Round(time.Millisecond),
		float64(l.all)/took.Seconds(), l.rotated, l.truncated, l.kills, l.serverKills, l.cpu.Round(time.Millisecond),
		float64(l.cpu.Microseconds())/float64(l.all))
	p.stop()
}

// counted is the traffic of the property in the last 24 hours.
type counted struct{ Total, Bad int }

// zoneCounts reads the requests of shop.example; none while the server does not run, or does not know the property.
func zoneCounts(t *testing.T, c *client, account string) (n counted) {
	t.Helper()
	a, err := c.send(t.Context(), "GET", "/client/v4/accounts/"+account+"/zones/shop.example/traffic", "", nil)
	if err != nil || a.status != 200 {
		return n
	}
	if err := json.Unmarshal(a.body, &struct{ Result *counted }{&n}); err != nil {
		t.Fatal(err)
	}
	return n
}

// maxRotations is less than the rotations over which belfry tail follows a log.
const maxRotations = 35

// tailedLog is an access log, and belfry tail that follows it.
type tailedLog struct {
	t       *testing.T
	dice    *rand.Rand
	file    string
	account string
	args    []string
	env     []string
	all     int
	start   time.Time // of the first line

	tail    *exec.Cmd // nil while it does not run
	written int
	bad     int
	cpu     time.Duration // of belfry tail

	rotated, truncated, kills, serverKills int
}

func newTailedLog(t *testing.T, p *process, account, token string, lines int) *tailedLog {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	l := &tailedLog{
		t:       t,
		dice:    rand.New(rand.NewPCG(seed, 0)),
		file:    filepath.Join(dir, "access.log"),
		account: account,
		env:     append(environment(), "BELFRY_URL="+p.url, "BELFRY_TOKEN="+token, "BELFRY_ACCOUNT="+account),
		all:     lines,
		start:   time.Now().Add(-8 * time.Hour),
	}
	l.args = []string{"tail", "--zone", "shop.example", "--state", filepath.Join(dir, "state", "s.json"), l.file}
	t.Cleanup(l.kill)
	return l
}

// command prepares a run of belfry tail.
func (l *tailedLog) command(more ...string) *exec.Cmd {
	l.t.Helper()
	file, err := binary()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(file, append(l.args, more...)...)
	cmd.Env = l.env
	return cmd
}

func (l *tailedLog) follow() {
	l.t.Helper()
	l.tail = l.command("-f")
	if err := l.tail.Start(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *tailedLog) keepRunning() {
	l.t.Helper()
	if l.tail == nil {
		l.follow()
	}
}

// kill ends belfry tail with SIGKILL.
func (l *tailedLog) kill() {
	if l.tail == nil {
		return
	}
	l.tail.Process.Kill()
	l.tail.Wait() // its error is the kill
	l.count(l.tail)
	l.tail = nil
	l.kills++
}

func (l *tailedLog) count(cmd *exec.Cmd) {
	l.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// finish reads what is left, without -f, and returns what was printed.
func (l *tailedLog) finish() string {
	l.t.Helper()
	cmd := l.command()
	var out, complaints bytes.Buffer
	cmd.Stdout = &out
	cmd.Stderr = &complaints
	if err := cmd.Run(); err != nil {
		l.t.Fatalf("the last run: %v: %s", err, &complaints)
	}
	l.count(cmd)
	return out.String()
}

// write adds lines. One in ten failed; all lines together are of six hours.
func (l *tailedLog) write(n int) {
	l.t.Helper()
	f, err := os.OpenFile(l.file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	l.must(err)
	defer f.Close()
	w := bufio.NewWriterSize(f, 64<<10)
	for range min(n, l.all-l.written) {
		status := 200
		if l.dice.IntN(10) == 0 {
			status = 503
			l.bad++
		}
		at := l.start.Add(time.Duration(l.written) * 6 * time.Hour / time.Duration(l.all))
		fmt.Fprintf(w, "192.0.2.7 - - [%s] \"GET /%d HTTP/1.1\" %d 1 \"-\" \"-\"\n",
			at.Format("02/Jan/2006:15:04:05 -0700"), l.written, status)
		l.written++
	}
	l.must(w.Flush())
}

// rotate renames the log, or copies and truncates it; the older files get the next number, the fourth is compressed.
func (l *tailedLog) rotate(copied bool) {
	l.t.Helper()
	l.rotated++
	name := func(n int, suffix string) string { return fmt.Sprintf("%s.%d%s", l.file, n, suffix) }
	for n := maxRotations; n >= 1; n-- {
		for _, suffix := range []string{"", ".gz"} {
			if _, err := os.Stat(name(n, suffix)); err == nil {
				l.must(os.Rename(name(n, suffix), name(n+1, suffix)))
			}
		}
	}
	if !copied {
		l.must(os.Rename(l.file, name(1, "")))
	} else {
		l.copy(l.file, func() (io.WriteCloser, error) { return os.Create(name(1, "")) })
		l.must(os.Truncate(l.file, 0))
	}
	if _, err := os.Stat(name(4, "")); err == nil {
		l.copy(name(4, ""), func() (io.WriteCloser, error) {
			f, err := os.Create(name(4, ".gz"))
			return gzipped{gzip.NewWriter(f), f}, err
		})
		l.must(os.Remove(name(4, "")))
	}
}

// truncate empties the log without a copy.
func (l *tailedLog) truncate() {
	l.t.Helper()
	l.truncated++
	l.must(os.Truncate(l.file, 0))
}

func (l *tailedLog) copy(from string, create func() (io.WriteCloser, error)) {
	l.t.Helper()
	source, err := os.Open(from)
	l.must(err)
	defer source.Close()
	target, err := create()
	l.must(err)
	_, err = io.Copy(target, source)
	l.must(err)
	l.must(target.Close())
}

// gzipped is a compressed file.
type gzipped struct {
	*gzip.Writer
	file *os.File
}

func (g gzipped) Close() error {
	if err := g.Writer.Close(); err != nil {
		return err
	}
	return g.file.Close()
}

func (l *tailedLog) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}
