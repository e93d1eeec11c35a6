package slo

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Latency makes an objective about the time that requests take.
type Latency struct {
	Threshold string `json:"threshold" maxLength:"20" doc:"A request is good if it took at most this long: 300ms, 1.5s"`
}

const (
	latencyPrefix = "latency:"
	maxThreshold  = 10 * time.Minute
)

// thresholdOf is the threshold of an SLI; ok is false when it is not about latency.
func thresholdOf(sli string) (d time.Duration, ok bool) {
	text, ok := strings.CutPrefix(sli, latencyPrefix)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	ok = err == nil && d >= time.Millisecond && d <= maxThreshold && d%time.Millisecond == 0
	return d, ok
}

// latency sets the SLI of an objective about latency. Counts carry it with the threshold in one spelling.
func (c *checker) latency(o *Objective, given *Latency) {
	sli := o.SLI
	if given != nil {
		sli = latencyPrefix + strings.TrimSpace(given.Threshold)
	}
	d, ok := thresholdOf(sli)
	switch {
	case ok && given != nil && o.SLI != "" && o.SLI != event.LatencySLI(d):
		c.fault(errs.CodeInvalid, "/sli", "an objective about latency has no other SLI: leave out sli or latency")
	case ok:
		o.SLI = event.LatencySLI(d)
		o.Latency = &Latency{Threshold: d.String()}
	case given != nil:
		c.fault(errs.CodeInvalid, "/latency/threshold",
			"the threshold must be a duration of 1ms to 10m in whole milliseconds, such as 300ms or 1.5s, not %q",
			clip(given.Threshold, 40))
	}
}

// LatencyThresholds lists the thresholds of an account's objectives about the latency of a zone, by id, ascending:
// requests with a duration are counted by each of them.
func (f *Feature) LatencyThresholds(ctx context.Context, accountID, zoneID string) (list []time.Duration, err error) {
	var names []string
	err = f.db.View(ctx, func(tx *db.Tx) error {
		names, err = db.Collect(ctx, tx, db.ScanText, `SELECT DISTINCT sli FROM objective
			WHERE account_id = $1 AND zone_id = $2 AND sli LIKE 'latency:%'`, accountID, zoneID)
		return err
	})
	for _, name := range names {
		if d, ok := thresholdOf(name); ok {
			list = append(list, d)
		}
	}
	slices.Sort(list)
	return list, err
}
