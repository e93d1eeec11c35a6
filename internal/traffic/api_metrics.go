package traffic

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// MetricParams are the parameters of the on-ramps of metrics.
type MetricParams struct {
	Key string `header:"Idempotency-Key" doc:"Not needed: a repeated point is known by its series and its time"`
}

// MaxMetricPoints limits the points of one request.
const MaxMetricPoints = 10_000

// metricBatch collects the points of one request, and what is to be said about them.
type metricBatch struct {
	*batch
	format   Format
	points   []*point
	rejected int
	said     []string // the first different reasons and warnings
}

const maxSaid = 10

// say adds a sentence to the answer.
func (m *metricBatch) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(m.said) < maxSaid && !slices.Contains(m.said, text) {
		m.said = append(m.said, text)
	}
}

// refuse rejects points, with a reason.
func (m *metricBatch) refuse(points int, code errs.Code, format string, args ...any) {
	m.rejected += points
	m.f.metrics.refused.WithLabelValues(m.via, reason(code)).Add(float64(points))
	m.say(format, args...)
}

// take checks the time and the zone of a point and adds it. Its error is one of the
// infrastructure.
func (m *metricBatch) take(ctx context.Context, p *point) error {
	window := Recent(m.f.now())
	if late := window.check(p.at / int64(time.Second)); late != nil {
		m.refuse(1, late.Code, "the time of a point: %s", late.Message)
		return nil
	}
	if p.start < 0 || p.start > p.at || p.delta && p.at-p.start > int64(sourcesKept) {
		m.refuse(1, errs.CodeOutOfRange, "the start of a point is behind its time, or more than two days before it")
		return nil
	}
	if p.values[0] > maxTotal {
		m.refuse(1, errs.CodeOutOfRange, "a point counts more than %d requests", int64(maxTotal))
		return nil
	}
	if p.ref == "" {
		m.refuse(1, errs.CodeMissingField, "a point names no property: set belfry.zone (a resource attribute), "+
			"server.address or service.name; in Prometheus, a label belfry_zone or host")
		return nil
	}
	zone, err := m.resolveZone(ctx, m.from.Account, p.ref)
	if err != nil {
		return err
	}
	if zone.fault != nil {
		m.refuse(1, zone.fault.Code, "%s", zone.fault.Message)
		return nil
	}
	if p.how, err = m.countingOf(ctx, m.from.Account, p.ref); err != nil {
		return err
	}
	p.how.Rules.Classify(m.format, &p.entry)
	if p.bounds != nil {
		for _, threshold := range p.how.Latency {
			if p.bound(threshold) < 0 {
				m.say("the latency threshold %s of %s lies between the bounds of the histogram: requests are not counted "+
					"by it; add %g to the bounds of the view", threshold, p.ref, threshold.Seconds())
			}
		}
	}
	m.points = append(m.points, p)
	return nil
}

// storePoints stores the counts of the points and the states of their series in one
// transaction.
func (m *metricBatch) storePoints(ctx context.Context) (outcome pointsOutcome, err error) {
	if err := m.closed(ctx); err != nil {
		return outcome, err
	}
	if len(m.points) == 0 {
		return outcome, nil
	}
	if err := m.limitPoints(ctx); err != nil {
		return outcome, err
	}
	s := &submission{scope: m.from.Scope()}
	s.late = func(ctx context.Context, tx *db.Tx) (err error) {
		m.good = nil // the transaction may run again
		m.bad = nil
		m.total = 0
		m.other = 0
		if outcome, err = m.addPoints(ctx, tx, m.points); err != nil {
			return err
		}
		s.msgs, err = Shard(s.batchID, m.good, m.f.cfg.Partitions)
		return err
	}
	if _, _, err := m.f.submit(ctx, m.batch, s); err != nil {
		return outcome, err
	}
	if n := len(outcome.full); n > 0 {
		m.refuse(n, errs.CodeLimit, "the account has no room for more series: at most %d sources (resources, instances) "+
			"with %d series each", maxSources, maxSourceSeries)
	}
	if outcome.begins > 0 {
		m.say("%d counters were seen for the first time, and count from here: what they counted before is not known to "+
			"be of now", outcome.begins)
	}
	if m.renamed > 0 {
		m.say("%d points were counted under the name other: the account has more origins, hostnames or path classes than "+
			"%d", m.renamed, m.f.maxNames)
	}
	if m.other > 0 {
		m.say("%d requests were counted for the property other: the account has no room for more properties by traffic",
			m.other)
	}
	return outcome, nil
}

// closed refuses the points of an account that accepts none.
func (m *metricBatch) closed(ctx context.Context) error {
	_, fault, err := m.resolveAccount(ctx, "")
	if err == nil && fault != nil {
		return fault
	}
	return err
}

func (m *metricBatch) message() string { return strings.Join(m.said, "; ") }

// newMetricBatch begins the points of one request.
func (f *Feature) newMetricBatch(from ingest.Sender, via string, format Format) *metricBatch {
	return &metricBatch{batch: f.newBatch(from, via), format: format}
}

func tooManyPoints() error {
	return errs.New(errs.CodeTooLarge, "the request has more than %d points of requests; send fewer at once",
		MaxMetricPoints)
}
