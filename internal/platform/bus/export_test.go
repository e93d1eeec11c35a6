package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// For the tests: the judgement of progress.
type Progress = progress

// Advance is another look at a partition.
func (p progress) Advance(next, end int64, now time.Time) progress { return p.advance(next, end, now) }

// Judge is the state of the progress.
var Judge = judge

// GroupHealth judges groups by the offsets that they have committed to Kafka, as other tools see them. A group that
// never committed counts from the start.
func GroupHealth(ctx context.Context, admin *kadm.Client, lagLimit int64, groups ...string) ([]Health, error) {
	lags, err := admin.Lag(ctx, groups...)
	if err != nil {
		return nil, err
	}
	var list []Health
	for _, g := range lags.Sorted() {
		if err := g.Error(); err != nil {
			return nil, fmt.Errorf("group %s: %w", g.Group, err)
		}
		for _, l := range g.Lag.Sorted() {
			h := Health{
				Group:     g.Group,
				Topic:     l.Topic,
				Partition: l.Partition,
				Next:      max(l.Commit.At, l.Start.Offset),
				End:       l.End.Offset,
			}
			h.State = judge(progress{next: h.Next, end: h.End}, time.Time{}, lagLimit, time.Hour)
			if len(g.Members) == 0 {
				h.State = NoMembers
			}
			list = append(list, h)
		}
	}
	return list, nil
}
