package notify

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// WebhookStatistics are the results of a webhook's newest deliveries.
type WebhookStatistics struct {
	Day        DeliveryCounts `json:"last_24_hours"`
	Week       DeliveryCounts `json:"last_7_days"`
	MedianMS   float64        `json:"latency_p50_ms" doc:"Of the last attempts of the last 7 days that were answered"`
	P99MS      float64        `json:"latency_p99_ms"`
	Hours      []DeliveryHour `json:"hours" doc:"The last 24 hours, the oldest first"`
	Considered int            `json:"considered" doc:"Deliveries of the last 7 days, the newest 2,000 at most"`
}

// DeliveryCounts counts deliveries by their results.
type DeliveryCounts struct {
	Delivered int `json:"delivered"`
	Failed    int `json:"failed" doc:"Failed for good, or not sent"`
	Waiting   int `json:"waiting"`
}

// DeliveryHour counts the deliveries that were made in one hour.
type DeliveryHour struct {
	From web.Time `json:"from"`
	DeliveryCounts
}

// mostStatistics is how many deliveries statistics read.
const mostStatistics = 2000

const statisticsHours = 24

func (c *DeliveryCounts) add(state string) {
	switch state {
	case delivery.StateDelivered:
		c.Delivered++
	case delivery.StateFailed, delivery.StateNotSent:
		c.Failed++
	case delivery.StateWaiting:
		c.Waiting++
	}
}

// rate is the share of the ended deliveries that were delivered; ok is false when
// none has ended.
func (c *DeliveryCounts) rate() (share float64, ok bool) {
	ended := c.Delivered + c.Failed
	if ended == 0 {
		return 0, false
	}
	return float64(c.Delivered) / float64(ended), true
}

// WebhookStatistics reads the results of a webhook's deliveries.
func (n *Feature) WebhookStatistics(
	ctx context.Context, accountID, webhookID string,
) (out WebhookStatistics, err error) {
	d, err := n.Destination(ctx, accountID, webhookID)
	if err != nil {
		return out, err
	}
	return n.statistics(ctx, d.ID)
}

func (n *Feature) statistics(ctx context.Context, destinationID string) (out WebhookStatistics, err error) {
	type result struct {
		state   string
		made    time.Time
		took    time.Duration
		answers bool
	}
	now := n.Now()
	var results []result
	scan := func(row db.Row) (r result, err error) {
		var made, took, status int64
		err = row.Scan(&r.state, &made, &took, &status)
		r.made = time.UnixMicro(made)
		r.took = time.Duration(took) * time.Microsecond
		r.answers = status > 0
		return r, err
	}
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		results, err = db.Collect(ctx, tx, scan, `SELECT d.state, d.created_at, COALESCE(t.took, 0), COALESCE(t.status, 0)
			FROM delivery d LEFT JOIN attempt t ON t.delivery_id = d.id AND t.n = d.attempts
			WHERE d.destination = $1 AND d.id >= $2 ORDER BY d.id DESC LIMIT $3`,
			destinationID, id.Lowest(now.Add(-7*24*time.Hour)), mostStatistics)
		return err
	})
	if err != nil {
		return out, err
	}

	first := now.Truncate(time.Hour).Add(-(statisticsHours - 1) * time.Hour)
	out.Hours = make([]DeliveryHour, statisticsHours)
	for i := range out.Hours {
		out.Hours[i].From = moment(first.Add(time.Duration(i) * time.Hour))
	}
	var latencies []time.Duration
	for _, r := range results {
		out.Week.add(r.state)
		if now.Sub(r.made) <= 24*time.Hour {
			out.Day.add(r.state)
		}
		if hour := int(r.made.Sub(first) / time.Hour); !r.made.Before(first) && hour < statisticsHours {
			out.Hours[hour].add(r.state)
		}
		if r.answers {
			latencies = append(latencies, r.took)
		}
	}
	out.Considered = len(results)
	slices.Sort(latencies)
	out.MedianMS = quantileMS(latencies, 50)
	out.P99MS = quantileMS(latencies, 99)
	return out, nil
}

// quantileMS is a percentile of sorted durations, in milliseconds; 0 without any.
func quantileMS(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	d := sorted[(len(sorted)-1)*percent/100]
	return float64(d.Microseconds()) / 1000
}
