package traffic

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/strict"
)

// described is a series of remote write with the meaning of its labels.
type described struct {
	rule      namedMetric
	labels    map[string]string
	source    digestOf
	series    digestOf
	family    digestOf
	ref       string // name of the zone
	entry     Entry
	pathClass string
}

// describe reads the labels of a series.
func (s *promSeries) describe(rule namedMetric) *described {
	d := &described{rule: rule, labels: make(map[string]string, len(s.labels))}
	for _, l := range s.labels {
		d.labels[l.name] = l.value
	}
	d.source = newDigest("prometheus", d.labels["job"], d.labels["instance"])
	d.family = newDigest("first", rule.Name, strconv.Itoa(int(rule.role)))
	le := d.labels["le"]
	if rule.role == roleBucket {
		delete(d.labels, "le") // all buckets of a histogram are one series
	}
	d.series = newDigest(flatten(d.labels)...)
	d.labels["le"] = le

	label := func(name string) string {
		if name == "" {
			return ""
		}
		return d.labels[name]
	}
	d.ref = cmp.Or(d.labels["belfry_zone"], rule.Zone, label(rule.Labels.Zone), d.labels["host"])
	if host := strings.ToLower(hostOf(cmp.Or(label(rule.Labels.Hostname), d.ref))); isHost(host) {
		d.entry.Hostname = host
	}
	if origin := strings.ToLower(label(rule.Labels.Origin)); isLabel(origin, maxRef) {
		d.entry.Origin = origin
	}
	d.entry.Status = statusOfLabel(d.labels, rule.Labels.Status)
	if path := label(rule.Labels.PathClass); strict.Clip(path, maxWord) == path {
		d.pathClass = path
	}
	return d
}

// point makes a point of availability. Times are in Unix milliseconds.
func (d *described) point(at, start int64, values []uint64) *point {
	return &point{
		source:    d.source,
		series:    d.series,
		family:    d.family,
		start:     nanoseconds(start),
		at:        nanoseconds(at),
		values:    values,
		entry:     d.entry,
		pathClass: d.pathClass,
		ref:       d.ref,
	}
}

// latencyPoint makes a point of latency by one threshold.
func (d *described) latencyPoint(at, start int64, threshold time.Duration, values []uint64) *point {
	p := d.point(at, start, values)
	p.latency = threshold
	p.series = newDigest(string(d.series[:]), threshold.String())
	return p
}

// nanoseconds turns Unix milliseconds into nanoseconds; -1 = the time is absurd.
func nanoseconds(millis int64) int64 {
	if millis < 0 || millis > math.MaxInt64/int64(time.Millisecond) {
		return -1
	}
	return millis * int64(time.Millisecond)
}

// statusOfLabel reads 502 and 5xx; 0 = none.
func statusOfLabel(labels map[string]string, name string) int {
	for _, label := range []string{name, "code", "status", "status_code"} {
		text := labels[label]
		if len(text) == 3 && strings.EqualFold(text[1:], "xx") {
			text = text[:1] + "00"
		}
		if n, err := strconv.Atoi(text); err == nil && n >= 100 && n <= 999 {
			return n
		}
	}
	return 0
}
