// Package exchange reads objectives from files of OpenSLO v1, Sloth and Pyrra, and writes them as OpenSLO v1 and as
// rules of Prometheus.
//
//	file -> Read -> Imported: the objective, and notes on what it does not express
//	objectives -> OpenSLO, Rules
//
// These projects define an objective by queries of metrics, and Belfry by the requests of a property. So names,
// targets, windows and thresholds are imported; the caller names the property, or the annotation belfry.dev/property.
package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Limits of a file.
const (
	MaxFile      = 1 << 20
	maxDocuments = 500
	maxImported  = 500
)

// Imported is an objective that was read from a file.
type Imported struct {
	Source string            `json:"source"` // its name in the file
	Spec   slo.ObjectiveSpec `json:"objective"`
	Notes  []string          `json:"notes,omitempty"` // what the objective does not express
	Fault  string            `json:"fault,omitempty"` // why it cannot be imported
}

func (i *Imported) note(format string, args ...any) {
	i.Notes = append(i.Notes, fmt.Sprintf(format, args...))
}

func (i *Imported) fail(format string, args ...any) {
	if i.Fault == "" {
		i.Fault = fmt.Sprintf(format, args...)
	}
}

// propertyKey is the annotation that names the property of an objective.
const propertyKey = "belfry.dev/property"

// Read reads the objectives of a file. property is that of objectives which name none.
func Read(data []byte, property string) (list []Imported, err error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("the file has more than %d bytes", MaxFile)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for n := 1; ; n++ {
		var node yaml.Node
		err := decoder.Decode(&node)
		switch {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("document %d is not YAML: %w", n, err)
		case n > maxDocuments:
			return nil, fmt.Errorf("the file has more than %d documents", maxDocuments)
		}
		found, err := readDocument(&node)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		for i := range found {
			found[i].fitPairs()
		}
		if list = append(list, found...); len(list) > maxImported {
			return nil, fmt.Errorf("the file has more than %d objectives", maxImported)
		}
		for i := range list {
			if list[i].Spec.Match.Zone == "" {
				list[i].Spec.Match.Zone = property
			}
		}
	}
}

// header tells the formats apart.
type header struct {
	APIVersion string `yaml:"apiVersion"`
	Version    string `yaml:"version"`
	Kind       string `yaml:"kind"`
}

func readDocument(node *yaml.Node) ([]Imported, error) {
	if node.Kind == yaml.DocumentNode && len(node.Content) == 1 && node.Content[0].Kind == yaml.SequenceNode {
		var list []Imported
		for _, item := range node.Content[0].Content {
			found, err := readDocument(item)
			if err != nil {
				return nil, err
			}
			list = append(list, found...)
		}
		return list, nil
	}
	var h header
	if err := node.Decode(&h); err != nil {
		return nil, err
	}
	switch {
	case h.APIVersion == "openslo/v1" && h.Kind == "SLO":
		return readOpenSLO(node)
	case strings.HasPrefix(h.APIVersion, "openslo/"):
		if h.APIVersion != "openslo/v1" {
			return nil, fmt.Errorf("%s is not read: only openslo/v1 is", h.APIVersion)
		}
		return nil, nil // a service, data source or alert policy
	case h.Version == "prometheus/v1", strings.HasPrefix(h.APIVersion, "sloth.slok.dev/"):
		return readSloth(node, h.Kind != "")
	case strings.HasPrefix(h.APIVersion, "pyrra.dev/"):
		return readPyrra(node)
	case h == header{}:
		return nil, errors.New("it is no file of OpenSLO v1 (apiVersion: openslo/v1), Sloth (version: prometheus/v1) or " +
			"Pyrra (apiVersion: pyrra.dev/v1alpha1)")
	}
	return nil, fmt.Errorf("there is no reader for apiVersion %q, version %q and kind %q", h.APIVersion, h.Version, h.Kind)
}

type metadata struct {
	Name        string            `yaml:"name"`
	DisplayName string            `yaml:"displayName"`
	Annotations map[string]string `yaml:"annotations"`
}

type openSLO struct {
	Metadata metadata `yaml:"metadata"`
	Spec     struct {
		Indicator    *yaml.Node `yaml:"indicator"`
		IndicatorRef string     `yaml:"indicatorRef"`
		TimeWindow   []struct {
			Duration  string `yaml:"duration"`
			IsRolling *bool  `yaml:"isRolling"`
			Calendar  *struct {
				TimeZone string `yaml:"timeZone"`
			} `yaml:"calendar"`
		} `yaml:"timeWindow"`
		BudgetingMethod string `yaml:"budgetingMethod"`
		Objectives      []struct {
			DisplayName     string   `yaml:"displayName"`
			Target          *float64 `yaml:"target"`
			TargetPercent   *float64 `yaml:"targetPercent"`
			CompositeWeight *float64 `yaml:"compositeWeight"`

			// Of the members of a composite.
			Indicator    *yaml.Node `yaml:"indicator"`
			IndicatorRef string     `yaml:"indicatorRef"`
		} `yaml:"objectives"`
		AlertPolicies []yaml.Node `yaml:"alertPolicies"`
	} `yaml:"spec"`
}

func readOpenSLO(node *yaml.Node) ([]Imported, error) {
	var doc openSLO
	if err := node.Decode(&doc); err != nil {
		return nil, err
	}
	if len(doc.Spec.Objectives) == 0 {
		one := Imported{Source: doc.Metadata.Name}
		one.fail("spec.objectives is empty: expected at least one with a target")
		return []Imported{one}, nil
	}
	var list []Imported
	for _, o := range doc.Spec.Objectives {
		one := Imported{Source: doc.Metadata.Name}
		one.Spec.Name = firstOf(doc.Metadata.DisplayName, doc.Metadata.Name)
		if len(doc.Spec.Objectives) > 1 && o.DisplayName != "" {
			one.Spec.Name += ", " + o.DisplayName
		}
		one.Spec.Match.Zone = doc.Metadata.Annotations[propertyKey]
		switch {
		case o.TargetPercent != nil:
			one.Spec.Target = *o.TargetPercent
		case o.Target != nil:
			one.Spec.Target = percent(*o.Target)
		default:
			one.fail("an objective has neither target nor targetPercent")
		}
		if o.CompositeWeight != nil || o.Indicator != nil || o.IndicatorRef != "" {
			one.note("it is a member of a composite SLO: create a composite objective with the ids of the imported ones")
		}
		doc.window(&one)
		if doc.Spec.BudgetingMethod != "" && doc.Spec.BudgetingMethod != "Occurrences" {
			one.note("budgetingMethod %s: the budget is weighted by requests", doc.Spec.BudgetingMethod)
		}
		if doc.Spec.Indicator != nil || doc.Spec.IndicatorRef != "" {
			one.note("the indicator's queries: the objective counts the requests of its property")
		}
		if len(doc.Spec.AlertPolicies) > 0 {
			one.note("alertPolicies: OpenSLO has one window in a condition; the objective has the standard pairs of two")
		}
		list = append(list, one)
	}
	return list, nil
}

// window sets the period of an objective.
func (d *openSLO) window(one *Imported) {
	if len(d.Spec.TimeWindow) != 1 {
		one.fail("spec.timeWindow must have one window, not %d", len(d.Spec.TimeWindow))
		return
	}
	w := d.Spec.TimeWindow[0]
	calendar := w.Calendar != nil || w.IsRolling != nil && !*w.IsRolling
	if !calendar {
		one.rolling(w.Duration)
		return
	}
	name, known := map[string]string{
		"1w": "week", "7d": "week", "1M": "month", "1m": "month", "1Q": "quarter", "3M": "quarter",
	}[w.Duration]
	if !known {
		one.fail("the calendar window %s: there are 1w, 1M and 1Q", w.Duration)
		return
	}
	one.Spec.Window = name
	if w.Calendar != nil && w.Calendar.TimeZone != "" && w.Calendar.TimeZone != "UTC" {
		one.note("the window's time zone %s: the calendar is that of UTC", w.Calendar.TimeZone)
	}
}

// rolling sets a rolling period.
func (i *Imported) rolling(duration string) {
	n, unit := 0, ""
	if len(duration) > 1 {
		unit = duration[len(duration)-1:]
		n, _ = strconv.Atoi(duration[:len(duration)-1])
	}
	days := 0
	switch {
	case unit == "d":
		days = n
	case unit == "w":
		days = 7 * n
	case unit == "h" && n%24 == 0:
		days = n / 24
	case unit == "M" && n == 1:
		days = 30
		i.note("the rolling window of one month: 30 days")
	case unit == "Q" && n == 1:
		days = 90
		i.note("the rolling window of one quarter: 90 days")
	}
	w, ok := tally.Days(days)
	if !ok {
		i.fail("the rolling window %q: it must be whole days, %d to %d", duration, tally.MinDays, tally.MaxDays)
		return
	}
	i.Spec.Window = w.String()
}

type slothSpec struct {
	Service string `yaml:"service"`
	SLOs    []struct {
		Name      string            `yaml:"name"`
		Objective float64           `yaml:"objective"`
		Labels    map[string]string `yaml:"labels"`
		Alerting  struct {
			Page   slothAlert `yaml:"page_alert"`
			Ticket slothAlert `yaml:"ticket_alert"`
			// As Kubernetes writes them.
			PageAlert   slothAlert `yaml:"pageAlert"`
			TicketAlert slothAlert `yaml:"ticketAlert"`
		} `yaml:"alerting"`
	} `yaml:"slos"`
}

type slothAlert struct {
	Disable bool `yaml:"disable"`
}

func readSloth(node *yaml.Node, kubernetes bool) ([]Imported, error) {
	var spec slothSpec
	var meta metadata
	if kubernetes {
		var doc struct {
			Metadata metadata  `yaml:"metadata"`
			Spec     slothSpec `yaml:"spec"`
		}
		if err := node.Decode(&doc); err != nil {
			return nil, err
		}
		spec = doc.Spec
		meta = doc.Metadata
	} else if err := node.Decode(&spec); err != nil {
		return nil, err
	}
	var list []Imported
	for _, s := range spec.SLOs {
		one := Imported{Source: s.Name}
		one.Spec.Name = strings.TrimPrefix(spec.Service+" "+s.Name, " ")
		one.Spec.Target = s.Objective
		one.Spec.Window = slo.D30.String() // Sloth's default; a file cannot name another
		one.Spec.Match.Zone = firstOf(s.Labels[propertyKey], meta.Annotations[propertyKey])
		one.note("the sli's queries: the objective counts the requests of its property")
		setSeverities(&one, s.Alerting.Page.Disable || s.Alerting.PageAlert.Disable,
			s.Alerting.Ticket.Disable || s.Alerting.TicketAlert.Disable)
		list = append(list, one)
	}
	return list, nil
}

// setSeverities leaves out the pairs of a severity that the file disables. Sloth's pairs are the standard ones.
func setSeverities(one *Imported, noPage, noTicket bool) {
	pairs := []slo.Pair{}
	for _, p := range slo.StandardPairs() {
		if p.Severity == slo.Page && !noPage || p.Severity == slo.Ticket && !noTicket {
			pairs = append(pairs, p)
		}
	}
	switch {
	case len(pairs) == 0:
		one.note("alerts are disabled: an objective has at least one pair, so it has the standard ones")
	case noPage || noTicket:
		one.Spec.Pairs = pairs
	}
}

// fitPairs leaves out the pairs that could never fire at the target: more than all requests would have to fail.
func (i *Imported) fitPairs() {
	pairs, own := i.Spec.Pairs.([]slo.Pair)
	if !own {
		pairs = slo.StandardPairs()
	}
	fits := func(p slo.Pair) bool { return p.Factor*(100-i.Spec.Target) < 100 }
	var kept []slo.Pair
	for _, p := range pairs {
		if fits(p) {
			kept = append(kept, p)
		} else {
			i.note("the pair %s: at %v %% its factor %v could never be reached", p, i.Spec.Target, p.Factor)
		}
	}
	if len(kept) < len(pairs) && len(kept) > 0 {
		i.Spec.Pairs = kept
	}
}

type pyrra struct {
	Metadata metadata `yaml:"metadata"`
	Spec     struct {
		Target    string `yaml:"target"`
		Window    string `yaml:"window"`
		Latency   string `yaml:"latency"` // of versions before the indicator had the threshold
		Indicator struct {
			Ratio         *yaml.Node `yaml:"ratio"`
			BoolGauge     *yaml.Node `yaml:"bool_gauge"`
			LatencyNative *struct {
				Latency string `yaml:"latency"`
			} `yaml:"latencyNative"`
			Latency *struct {
				Success struct {
					Metric string `yaml:"metric"`
				} `yaml:"success"`
			} `yaml:"latency"`
		} `yaml:"indicator"`
		Alerting struct {
			Disabled *bool `yaml:"disabled"`
		} `yaml:"alerting"`
	} `yaml:"spec"`
}

func readPyrra(node *yaml.Node) ([]Imported, error) {
	var doc pyrra
	if err := node.Decode(&doc); err != nil {
		return nil, err
	}
	one := Imported{Source: doc.Metadata.Name}
	one.Spec.Name = doc.Metadata.Name
	one.Spec.Match.Zone = doc.Metadata.Annotations[propertyKey]
	target, err := strconv.ParseFloat(doc.Spec.Target, 64)
	if err != nil {
		one.fail("spec.target %q is no percentage", doc.Spec.Target)
	}
	one.Spec.Target = target
	one.rolling(doc.Spec.Window)
	one.note("the indicator's metrics: the objective counts the requests of its property")
	in := doc.Spec.Indicator
	switch {
	case in.Ratio != nil:
	case in.BoolGauge != nil:
		one.fail("bool_gauge: an objective counts requests, not probes of a gauge")
	case in.LatencyNative != nil:
		one.latency(in.LatencyNative.Latency)
	case in.Latency != nil:
		one.latency(firstOf(bucketOf(in.Latency.Success.Metric), doc.Spec.Latency))
	default:
		one.fail("spec.indicator must have ratio, latency or latencyNative")
	}
	if doc.Spec.Alerting.Disabled != nil && *doc.Spec.Alerting.Disabled {
		one.note("alerting.disabled: the objective alerts; leave its alert type out of the policies")
	}
	return []Imported{one}, nil
}

// bucketOf is the boundary that a selector of a histogram names: le="0.5".
func bucketOf(selector string) string {
	_, rest, found := strings.Cut(selector, `le="`)
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// latency sets the threshold: a duration, or a number of seconds.
func (i *Imported) latency(text string) {
	d, err := time.ParseDuration(text)
	if seconds, wrong := strconv.ParseFloat(text, 64); wrong == nil {
		d = time.Duration(math.Round(seconds * float64(time.Second)))
		err = nil
	}
	if err != nil {
		i.fail("the latency's threshold %q is neither a duration nor a number of seconds", text)
		return
	}
	i.Spec.Latency = &slo.Latency{Threshold: d.String()}
}

// percent is a share as a percentage, without the noise of binary fractions.
func percent(share float64) float64 { return math.Round(share*1e9) / 1e7 }

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
