package exchange

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/slo/tally"
	"github.com/belfryhq/belfry/test/engines"
)

const epoch = 1_764_028_800 // a midnight in UTC

// interval is the counts of a scenario in one step of its samples.
type interval struct{ total, bad int64 }

// scenario is random stretches of time with different failure ratios, after a healthy beginning.
func scenario(rng *rand.Rand, healthy, steps int) (list []interval) {
	for range healthy {
		list = append(list, interval{1000, 0})
	}
	ratios := []int64{0, 0, 0, 4, 25, 80, 300, 700} // failures of 1,000 requests
	for len(list) < healthy+steps {
		bad := ratios[rng.IntN(len(ratios))]
		for range 1 + rng.IntN(steps/12) {
			list = append(list, interval{1000, bad})
		}
	}
	return list[:healthy+steps]
}

// firing is the times, in seconds since the epoch, in which a pair of an objective fires.
func firing(t *testing.T, o *slo.Objective, list []interval, step int64) (spans [][2]int64) {
	t.Helper()
	spec := slo.ObjectiveSpec{Name: o.Name, Match: o.Match, Target: o.Target, Window: "30d", Pairs: o.Pairs}
	each := func(s slo.Simulated) error {
		at, err := time.Parse(time.RFC3339, s.At)
		if err != nil {
			return err
		}
		if s.Event == slo.Start {
			spans = append(spans, [2]int64{at.Unix() - epoch, int64(len(list)) * step * 2})
		} else {
			spans[len(spans)-1][1] = at.Unix() - epoch
		}
		return nil
	}
	_, err := slo.Simulate(t.Context(), spec, each, func(count func(string, event.Count) error) error {
		for i, one := range list {
			c := event.Count{At: epoch + int64(i)*step, Seconds: step, Total: one.total, Bad: one.bad}
			if err := count("", c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return spans
}

// promtoolTest is a file of promtool test rules.
type promtoolTest struct {
	RuleFiles []string       `yaml:"rule_files"`
	Every     string         `yaml:"evaluation_interval"`
	Tests     []promtoolCase `yaml:"tests"`
}

type promtoolCase struct {
	Interval string           `yaml:"interval"`
	Series   []promtoolSeries `yaml:"input_series"`
	Alerts   []promtoolAlerts `yaml:"alert_rule_test"`
}

type promtoolSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type promtoolAlerts struct {
	At    string          `yaml:"eval_time"`
	Name  string          `yaml:"alertname"`
	Alert []promtoolAlert `yaml:"exp_alerts"`
}

type promtoolAlert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// counters are the samples of a counter: its value at the beginning of each step, and at the end.
func counters(list []interval, of func(interval) int64) string {
	var b strings.Builder
	sum := int64(0)
	b.WriteString("0")
	for _, one := range list {
		sum += of(one)
		b.WriteString(" " + strconv.FormatInt(sum, 10))
	}
	return b.String()
}

// TestPrometheusDecidesTheSame lets a real Prometheus evaluate the exported rules on the same series. At every
// evaluation that is more than a step away from a transition, its alerts are those of Belfry: so each transition has
// one of Prometheus within a step, and Prometheus has no other. A pair is an objective of its own, because Prometheus
// does not know that a faster pair covers a slower one. The windows of Belfry are up to one block longer, which is
// added to the step.
func TestPrometheusDecidesTheSame(t *testing.T) {
	promtool := engines.Promtool(t)
	pairs := slo.StandardPairs()
	for _, c := range []comparison{
		{pairs[:2], 10, 60, 6 * 360, 10 * 360},
		{pairs[2:], 60, 600, 3 * 1440, 5 * 1440},
	} {
		for seed := range uint64(2) {
			list := scenario(rand.New(rand.NewPCG(seed, 31)), c.healthy, c.steps)
			c.run(t, promtool, list)
		}
	}
}

// comparison is a kind of scenario: the seconds of a sample and of an evaluation, and the samples of the healthy
// beginning and of what follows.
type comparison struct {
	pairs          []slo.Pair
	sample, step   int64
	healthy, steps int
}

// run runs promtool on one scenario.
func (c comparison) run(t *testing.T, promtool string, list []interval) {
	t.Helper()
	pairs := c.pairs
	sample := c.sample
	step := c.step
	from := int64(c.healthy) * sample
	dir := t.TempDir()
	file := promtoolTest{Every: fmt.Sprintf("%ds", step)}
	one := promtoolCase{
		Interval: fmt.Sprintf("%ds", sample),
		Series: []promtoolSeries{
			{"requests_total", counters(list, func(i interval) int64 { return i.total })},
			{"bad_total", counters(list, func(i interval) int64 { return i.bad })},
		},
	}
	type evaluated struct {
		labels map[string]string
		name   string
		spans  [][2]int64
		slack  int64
	}
	var all []evaluated
	transitions := 0
	for i, p := range pairs {
		o := &slo.Objective{
			Name:   fmt.Sprint("pair ", i),
			Match:  slo.Match{Zone: "shop"},
			Target: 99.9,
			Pairs:  []slo.Pair{p},
		}
		rules, err := Rules(o, Metrics{Total: "requests_total", Bad: "bad_total"})
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("rules%d.yml", i)
		file.RuleFiles = append(file.RuleFiles, name)
		if err := os.WriteFile(filepath.Join(dir, name), rules, 0o600); err != nil {
			t.Fatal(err)
		}
		e := evaluated{
			labels: map[string]string{
				"severity": string(p.Severity),
				"slo":      resourceName(o.Name),
				"long":     p.Long.String(),
				"short":    p.Short.String(),
			},
			name:  fmt.Sprintf("%s burns its error budget more than %v times too fast", o.Name, p.Factor),
			spans: firing(t, o, list, sample),
			slack: step + tally.Levels[p.Long.Level()].Size,
		}
		transitions += 2 * len(e.spans)
		all = append(all, e)
	}
	if transitions < 4 {
		t.Fatalf("the scenario has only %d transitions", transitions)
	}
	for at := (from/step + 1) * step; at < int64(len(list))*sample; at += step {
		near := func(e evaluated) bool {
			return slices.ContainsFunc(e.spans, func(s [2]int64) bool {
				return max(at-s[0], s[0]-at) <= e.slack || max(at-s[1], s[1]-at) <= e.slack
			})
		}
		if slices.ContainsFunc(all, near) {
			continue
		}
		expected := promtoolAlerts{At: fmt.Sprintf("%ds", at), Name: "ErrorBudgetBurn", Alert: []promtoolAlert{}}
		for _, e := range all {
			if slices.ContainsFunc(e.spans, func(s [2]int64) bool { return s[0] <= at && at < s[1] }) {
				expected.Alert = append(expected.Alert, promtoolAlert{e.labels, map[string]string{"summary": e.name}})
			}
		}
		one.Alerts = append(one.Alerts, expected)
	}
	if compared := len(one.Alerts); compared < len(list)*int(sample)/int(step)/4 {
		t.Fatalf("only %d evaluations are away from transitions", compared)
	}
	file.Tests = []promtoolCase{one}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), promtool, "test", "rules", "test.yml")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("SUCCESS")) {
		t.Errorf("pairs %v: %v\n%.3000s", pairs, err, out)
	}
	t.Logf("%v: %d transitions, %d evaluations compared", pairs, transitions, len(one.Alerts))
}
