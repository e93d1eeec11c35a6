package notify_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/test/engines"
)

// launch runs a program until the test ends, and returns the address that it listens on.
func launch(t *testing.T, path, ready string, args ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "ADDRESS", address)
	}
	command := exec.Command(path, args...)
	command.Dir = t.TempDir()
	var output bytes.Buffer
	command.Stdout = &output
	command.Stderr = &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", filepath.Base(path), output.String())
		}
	})
	until(t, filepath.Base(path)+" is ready", func() bool {
		answer, err := http.Get("http://" + address + ready)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == 200
	})
	return address
}

// writeFile makes a file and returns its name.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// observed is the product that Prometheus scrapes: shop_down is 1 while it is down.
type observed struct {
	*httptest.Server
	down atomic.Bool
}

func newObserved(t *testing.T) *observed {
	o := &observed{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		value := 0
		if o.down.Load() {
			value = 1
		}
		fmt.Fprintf(w, "shop_unreachable %d\n", value)
	}))
	t.Cleanup(o.Close)
	return o
}

// countingProxy is a proxy before a server that counts the requests which were accepted.
func countingProxy(t *testing.T, target string) (address string, accepted *atomic.Int64) {
	t.Helper()
	accepted = &atomic.Int64{}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		again, err := http.NewRequestWithContext(r.Context(), r.Method, target+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		again.Header = r.Header
		answer, err := http.DefaultClient.Do(again)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		if answer.StatusCode == 200 {
			accepted.Add(1)
		} else if body, err := io.ReadAll(answer.Body); err == nil {
			t.Logf("refused with %d: %s", answer.StatusCode, body)
		}
	}))
	t.Cleanup(proxy.Close)
	return strings.TrimPrefix(proxy.URL, "http://"), accepted
}

// prometheusConfig scrapes TARGET every second and sends alerts to the Alertmanager.
const prometheusConfig = `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [RULES]
scrape_configs:
  - job_name: shop
    static_configs: [{targets: [TARGET], labels: {instance: www.shop.example}}]
alerting:
  alertmanagers:
    - path_prefix: PREFIX
      basic_auth: {username: belfry, password: acme}
      static_configs: [{targets: [ALERTMANAGER]}]
`

const prometheusRules = `
groups:
  - name: shop
    rules:
      - alert: ShopUnreachable
        expr: shop_unreachable == 1
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }} does not answer"}
`

// runPrometheus runs a Prometheus that repeats every alert each second.
func runPrometheus(t *testing.T, path, target, alertmanager, prefix string) {
	rules := writeFile(t, "rules.yml", prometheusRules)
	config := strings.NewReplacer("RULES", rules, "TARGET", strings.TrimPrefix(target, "http://"),
		"ALERTMANAGER", alertmanager, "PREFIX", prefix).Replace(prometheusConfig)
	launch(t, path, "/-/ready", "--config.file="+writeFile(t, "prometheus.yml", config),
		"--storage.tsdb.path="+t.TempDir(), "--web.listen-address=ADDRESS",
		"--rules.alert.resend-delay=1s", "--log.level=warn")
}

// growsBy waits until a counter has grown by n.
func growsBy(t *testing.T, what string, counter *atomic.Int64, n int64) {
	t.Helper()
	from := counter.Load()
	until(t, what, func() bool { return counter.Load() >= from+n })
}

// downAndUp lets the product be down for a while and checks what arrives.
func downAndUp(t *testing.T, w *world, o *observed, r *receiver, repeats *atomic.Int64) {
	t.Helper()
	o.down.Store(true)
	until(t, "the start arrives", func() bool { return len(r.all()) > 0 })
	growsBy(t, "Prometheus repeats the alert", repeats, 3)
	o.down.Store(false)
	until(t, "the end arrives", func() bool { return len(r.all()) > 1 })
	growsBy(t, "Prometheus repeats the end", repeats, 3)
	if got := r.events(); !slices.Equal(got, startAndEnd) {
		t.Errorf("the receiver got %v", got)
	}
	first := r.all()[0].Body
	if first.AlertType != notify.PrometheusAlert || first.Severity != "critical" {
		t.Errorf("the start is of the type %s and severity %s", first.AlertType, first.Severity)
	}
	d := w.decision(first.AlertID)
	if d.Summary != "www.shop.example does not answer" || d.Zone == nil || d.Zone.Name != "shop.example" {
		t.Errorf("the alert is %+v", d.Alert)
	}
}

func TestPrometheusItselfSendsAlerts(t *testing.T) {
	path := engines.Prometheus(t)
	w := newWorld(t, "", nil)
	r := newReported(w, t, notify.PrometheusAlert, nil)
	o := newObserved(t)
	address, accepted := countingProxy(t, w.api.URL)
	runPrometheus(t, path, o.URL, address, "/client/v4/accounts/"+acme+"/alerting/v3/alertmanager")
	downAndUp(t, w, o, r, accepted)
}

// alertmanagerConfig sends the alerts of every group each second.
const alertmanagerConfig = `
route: {receiver: belfry, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 1s}
receivers:
  - name: belfry
    webhook_configs:
      - url: URL
        send_resolved: true
        http_config: {authorization: {credentials: acme}}
`

func TestAlertmanagerItselfSendsAlerts(t *testing.T) {
	path := engines.Prometheus(t)
	manager := engines.Alertmanager(t)
	w := newWorld(t, "", nil)
	r := newReported(w, t, notify.PrometheusAlert, nil)
	o := newObserved(t)
	address, accepted := countingProxy(t, w.api.URL)
	hook := url.URL{Scheme: "http", Host: address, Path: "/client/v4/accounts/" + acme + "/alerting/v3" + alertmanagerPath}
	config := strings.ReplaceAll(alertmanagerConfig, "URL", hook.String())
	listen := launch(t, manager, "/-/ready", "--config.file="+writeFile(t, "alertmanager.yml", config),
		"--storage.path="+t.TempDir(), "--web.listen-address=ADDRESS", "--cluster.listen-address=", "--log.level=warn")
	runPrometheus(t, path, o.URL, listen, "/")

	o.down.Store(true)
	until(t, "the start arrives", func() bool { return len(r.all()) > 0 })
	growsBy(t, "Alertmanager repeats the alert", accepted, 2)
	o.down.Store(false)
	until(t, "the end arrives", func() bool { return len(r.all()) > 1 })
	if got := r.events(); !slices.Equal(got, startAndEnd) {
		t.Errorf("the receiver got %v", got)
	}
}
