package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/belfryhq/belfry/internal/slo"
)

// Metrics are the selectors of a Prometheus that counts the same requests: http_requests_total{job="shop"}.
type Metrics struct {
	Total string
	Bad   string
}

// encode writes documents as YAML.
func encode(documents ...any) ([]byte, error) {
	var b bytes.Buffer
	out := yaml.NewEncoder(&b)
	out.SetIndent(2)
	for _, d := range documents {
		if err := out.Encode(d); err != nil {
			return nil, err
		}
	}
	err := out.Close()
	return b.Bytes(), err
}

// notName are the characters that a name of Kubernetes does not have.
var notName = regexp.MustCompile(`[^a-z0-9]+`)

// resourceName is a name as OpenSLO and Prometheus take it.
func resourceName(name string) string {
	name = strings.Trim(notName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	name = strings.Trim(name[:min(len(name), 63)], "-")
	if name == "" {
		return "objective"
	}
	return name
}

// mapping keeps its members in order.
type mapping []any // key, value, ...

// MarshalYAML writes the members.
func (m mapping) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(m); i += 2 {
		var key, value yaml.Node
		if err := errors.Join(key.Encode(m[i]), value.Encode(m[i+1])); err != nil {
			return nil, err
		}
		node.Content = append(node.Content, &key, &value)
	}
	return node, nil
}

// OpenSLO writes objectives as documents of OpenSLO v1. A condition of an alert policy has one window there, so the
// pairs are an annotation. The parts of a composite have targets there, and the whole has none: mode and target of the
// whole are an annotation, and its members are named with their own targets.
func OpenSLO(list []slo.Objective) ([]byte, error) {
	var documents []any
	for i := range list {
		o := &list[i]
		pairs, err := json.Marshal(o.Pairs)
		if err != nil {
			return nil, err
		}
		annotations := mapping{propertyKey, o.Match.Zone, "belfry.dev/pairs", string(pairs)}
		spec := mapping{"service", resourceName(firstOf(o.Match.Zone, o.Name))}
		goals := []any{mapping{"displayName", o.Name, "targetPercent", o.Target}}
		if o.Composite == nil {
			spec = append(spec, "indicator", indicator(o))
		} else {
			goals = members(o, list)
			annotations = append(annotations, "belfry.dev/composite",
				fmt.Sprintf("mode %s, target %v %%", o.Composite.Mode, o.Target))
		}
		spec = append(spec,
			"timeWindow", []any{timeWindow(o.Window)},
			"budgetingMethod", "Occurrences",
			"objectives", goals)
		documents = append(documents, mapping{
			"apiVersion", "openslo/v1",
			"kind", "SLO",
			"metadata", mapping{
				"name", resourceName(o.Name),
				"displayName", o.Name,
				"annotations", annotations,
			},
			"spec", spec,
		})
	}
	return encode(documents...)
}

// indicator writes the requests of an objective.
func indicator(o *slo.Objective) mapping {
	spec := mapping{"zone", o.Match.Zone}
	for _, part := range [][2]string{
		{"origin", o.Match.Origin},
		{"hostname", o.Match.Hostname},
		{"path_class", o.Match.PathClass},
		{"sli", o.SLI},
	} {
		if part[1] != "" {
			spec = append(spec, part[0], part[1])
		}
	}
	source := func(counts string) mapping {
		of := append(mapping{"counts", counts}, spec...)
		return mapping{"metricSource", mapping{"type", "Belfry", "spec", of}}
	}
	return mapping{
		"metadata", mapping{"name", resourceName(o.Name) + "-requests"},
		"spec", mapping{"ratioMetric", mapping{
			"counter", true,
			"bad", source("bad"),
			"total", source("total"),
		}},
	}
}

// members writes the members of a composite that are among the exported objectives; the others by their ids.
func members(o *slo.Objective, list []slo.Objective) (out []any) {
	for _, m := range o.Composite.Members {
		weight := mapping{}
		if m.Weight > 0 {
			weight = mapping{"compositeWeight", float64(m.Weight) / 100}
		}
		i := slices.IndexFunc(list, func(other slo.Objective) bool { return other.ID == m.Objective })
		if i < 0 {
			out = append(out, append(mapping{"displayName", m.Objective, "targetPercent", o.Target,
				"indicatorRef", m.Objective}, weight...))
			continue
		}
		member := &list[i]
		out = append(out, append(mapping{
			"displayName", member.Name,
			"targetPercent", member.Target,
			"indicator", indicator(member),
		}, weight...))
	}
	return out
}

// timeWindow is a period as OpenSLO writes it.
func timeWindow(w slo.Window) mapping {
	if !w.IsCalendar() {
		return mapping{"duration", w.String(), "isRolling", true}
	}
	duration := map[string]string{"week": "1w", "month": "1M", "quarter": "1Q"}[w.String()]
	return mapping{
		"duration", duration,
		"isRolling", false,
		"calendar", mapping{"startTime", "2024-01-01 00:00:00", "timeZone", "UTC"},
	}
}

// Rules writes an objective as a file of rules of Prometheus: the ratio of failures in each window, and an alert for
// each pair. Prometheus knows neither the guard against chance nor that a faster pair covers a slower one.
func Rules(o *slo.Objective, metrics Metrics) ([]byte, error) {
	if o.Composite != nil {
		return nil, errors.New("a composite objective has no requests of its own: export the rules of its members")
	}
	pairs, err := slo.PairsOf(o.Pairs)
	if err != nil {
		return nil, err
	}
	name := resourceName(o.Name)
	var records, alerts []any
	recorded := map[string]string{}
	ratio := func(w slo.Window) string {
		window := w.String()
		if recorded[window] == "" {
			recorded[window] = "slo:error_ratio:rate" + window
			records = append(records, mapping{
				"record", recorded[window],
				"expr", fmt.Sprintf("sum(rate(%[1]s[%[3]s])) / sum(rate(%[2]s[%[3]s]))",
					metrics.Bad, metrics.Total, window),
				"labels", mapping{"slo", name},
			})
		}
		return fmt.Sprintf("%s{slo=%q}", recorded[window], name)
	}
	for _, p := range pairs {
		limit := fmt.Sprintf("(%v * %.7g)", p.Factor, (100-o.Target)/100)
		alerts = append(alerts, mapping{
			"alert", "ErrorBudgetBurn",
			"expr", fmt.Sprintf("%s > %s and %s > %s", ratio(p.Long), limit, ratio(p.Short), limit),
			"labels", mapping{
				"severity", string(p.Severity),
				"slo", name,
				"long", p.Long.String(),
				"short", p.Short.String(),
			},
			"annotations", mapping{
				"summary", fmt.Sprintf("%s burns its error budget more than %v times too fast", o.Name, p.Factor),
			},
		})
	}
	return encode(mapping{"groups", []any{
		mapping{"name", "belfry-" + name, "rules", append(records, alerts...)},
	}})
}
