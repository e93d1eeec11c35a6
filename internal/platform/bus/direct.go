package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// With one process, it assigns all partitions to itself. A group would have no
// advantage, and any client that joined it would get partitions.

// pollFor limits a poll of a direct consumer, which claims again between two polls.
const pollFor = 500 * time.Millisecond

// runDirect consumes all partitions until ctx ends.
func (c *Consumer) runDirect(ctx context.Context) error {
	offsets, err := c.everyPartition(ctx)
	if err == nil {
		offsets, err = c.assign(ctx, offsets)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("consumer %s: %w", c.cfg.Group, err)
	}
	cl, err := c.cfg.Cluster.Client("belfry-"+c.cfg.Group, append(c.fetching(), kgo.ConsumePartitions(offsets))...)
	if err != nil {
		c.release(nil, 0)
		return fmt.Errorf("consumer %s: %w", c.cfg.Group, err)
	}
	defer cl.Close()
	c.mu.Lock()
	c.cl = cl
	c.mu.Unlock()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		c.watch(ctx)
	}()
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, pollFor)
		c.dispatch(cl.PollRecords(limited, 10_000))
		cancel()
		c.claimAgain(ctx)
	}
	<-watching
	c.release(nil, c.cfg.Drain)
	return nil
}

// everyPartition lists the partitions of the topics. It retries until the brokers
// answer or ctx ends.
func (c *Consumer) everyPartition(ctx context.Context) (map[string]map[int32]kgo.Offset, error) {
	cl, err := c.cfg.Cluster.Client("belfry-" + c.cfg.Group)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	backoff := c.cfg.Retry
	for {
		starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, c.cfg.Topics...)
		if err == nil {
			err = starts.Error()
		}
		if err == nil {
			offsets := map[string]map[int32]kgo.Offset{}
			starts.Each(func(o kadm.ListedOffset) {
				if offsets[o.Topic] == nil {
					offsets[o.Topic] = map[int32]kgo.Offset{}
				}
				offsets[o.Topic][o.Partition] = kgo.NewOffset().AtStart()
			})
			return offsets, nil
		}
		c.failed(fmt.Errorf("the partitions are not known: %w", err))
		if err := backoff.Wait(ctx); err != nil {
			return nil, err
		}
	}
}

// claimAgain claims the partitions that were abandoned since the last poll. No poll
// runs meanwhile, so that no record of an old claim reaches the new one.
func (c *Consumer) claimAgain(ctx context.Context) {
	c.mu.Lock()
	given := c.givenUp
	c.givenUp = nil
	c.mu.Unlock()
	if len(given) == 0 {
		return
	}
	lost := map[string][]int32{}
	offsets := map[string]map[int32]kgo.Offset{}
	for _, at := range given {
		lost[at.topic] = append(lost[at.topic], at.partition)
		if offsets[at.topic] == nil {
			offsets[at.topic] = map[int32]kgo.Offset{}
		}
		offsets[at.topic][at.partition] = kgo.NewOffset().AtStart()
	}
	c.cl.RemoveConsumePartitions(lost)
	if offsets, err := c.assign(ctx, offsets); err == nil {
		c.cl.AddConsumePartitions(offsets)
	}
}
