package crash_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/poll"
)

// exporter is a target with a counter and a histogram of requests. Series appear with their first request.
type exporter struct {
	mu      sync.Mutex // guards the fields below
	scrapes int
	ok, bad int
}

func (e *exporter) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.scrapes++
	fmt.Fprintf(w, "# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} %d\n", e.ok)
	if e.bad > 0 {
		fmt.Fprintf(w, "http_requests_total{code=\"503\"} %d\n", e.bad)
	}
	fmt.Fprintf(w, "# TYPE up_since gauge\nup_since 7\n")
}

func (e *exporter) add(ok, bad int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ok += ok
	e.bad += bad
}

func (e *exporter) seen() (scrapes int, n counted) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.scrapes, counted{e.ok + e.bad, e.bad}
}

// prometheus is a Prometheus that scrapes an exporter and writes to Belfry.
type prometheus struct {
	t    *testing.T
	file string
	args []string
	out  string // file with what it printed
	cmd  *exec.Cmd
}

func (p *prometheus) start() {
	p.t.Helper()
	out, err := os.OpenFile(p.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close() // the child has its own
	p.cmd = exec.Command(p.file, p.args...)
	p.cmd.Stdout = out
	p.cmd.Stderr = out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *prometheus) end(s syscall.Signal) {
	p.cmd.Process.Signal(s)
	p.cmd.Wait() // its error is the signal
}

// TestRemoteWriteCountsExactlyOverRestartsOfBothSides lets a real Prometheus write the counters of a target, while
// Prometheus and the server are restarted and killed.
func TestRemoteWriteCountsExactlyOverRestartsOfBothSides(t *testing.T) {
	prom := &prometheus{t: t, file: engines.Prometheus(t)}
	token := id.Secret(40)
	p := newProcess(t, token, "BELFRY_KAFKA_LISTEN="+freeAddress(t))
	p.start()
	p.waitReady()
	c := newClient(token, p)
	account := newAccounts(t, c, 1)[0]
	e := &exporter{}
	target := httptest.NewServer(e)
	t.Cleanup(target.Close)

	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 250ms}
scrape_configs:
  - job_name: shop
    static_configs: [{targets: ["%s"], labels: {belfry_zone: shop.example}}]
remote_write:
  - url: %s/client/v4/accounts/%s/traffic/prometheus/write
    authorization: {credentials: %s}
    queue_config: {min_shards: 2, batch_send_deadline: 100ms, min_backoff: 50ms, max_backoff: 500ms}
`, strings.TrimPrefix(target.URL, "http://"), p.url, account, token), 0o600); err != nil {
		t.Fatal(err)
	}
	prom.out = filepath.Join(dir, "output")
	prom.args = []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + freeAddress(t), "--storage.remote.flush-deadline=1s"}
	prom.start()
	t.Cleanup(func() {
		prom.end(syscall.SIGKILL)
		if text, err := os.ReadFile(prom.out); t.Failed() && err == nil {
			t.Logf("the last of what Prometheus printed:\n%s", text[max(0, len(text)-4000):])
		}
	})

	scraped := func(n int) {
		t.Helper()
		before, _ := e.seen()
		poll.Until(t, "the target is scraped", func() bool {
			now, _ := e.seen()
			return now >= before+n
		})
	}
	exact := func() {
		t.Helper()
		_, want := e.seen()
		poll.Until(t, fmt.Sprintf("%+v are counted", want), func() bool {
			got := zoneCounts(t, c, account)
			if got.Total > want.Total || got.Bad > want.Bad {
				t.Fatalf("%+v are counted, want %+v", got, want)
			}
			return got == want
		})
	}
	scraped(3) // a counter begins with its first sample
	e.add(10, 0)
	scraped(2)
	exact()
	for round := range 8 {
		for range 20 {
			e.add(rand.IntN(100), rand.IntN(5))
			wait(t.Context(), rand.N(20*time.Millisecond))
		}
		switch round % 4 {
		case 0:
			prom.end(syscall.SIGTERM)
			e.add(7, 1)
			prom.start()
		case 1:
			p.kill()
			scraped(2)
			p.start()
		case 2:
			prom.end(syscall.SIGKILL)
			prom.start()
		case 3:
			p.kill()
			prom.end(syscall.SIGTERM)
			p.start()
			prom.start()
		}
		p.waitReady()
		scraped(2)
		exact()
	}
	scraped(4)
	exact() // and nothing more
	metrics, err := c.get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(metrics), `belfry_traffic_counts_total{via="prometheus"}`) {
		t.Error("the metrics do not name the on-ramp")
	}
	p.stop()
	text, err := os.ReadFile(prom.out)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "non-recoverable error") && !strings.Contains(line, "context canceled") {
			t.Errorf("Prometheus dropped samples: %s", line)
		}
	}
}
