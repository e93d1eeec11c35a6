package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// claimedPartition is one claim: a queue that the poller fills and one goroutine that
// handles it. It ends when the claim does; another claim is another partition.
type claimedPartition struct {
	c      *Consumer
	at     source
	ctx    context.Context // of the handler; ends when the drain is over
	cancel context.CancelFunc
	stop   chan struct{} // closed: no further batch
	once   sync.Once
	done   chan struct{} // closed when the goroutine ended
	wake   chan struct{} // a token when records came

	mu     sync.Mutex // guards the fields below
	pos    Position
	queue  []*kgo.Record
	bytes  int
	paused bool
	last   error // of the last Handle; nil after a good one
	broken bool  // the batch stored at the position may not be decodable
}

// start begins the goroutine of a claim.
func (c *Consumer) start(pos Position) *claimedPartition {
	ctx, cancel := context.WithCancel(context.Background())
	p := &claimedPartition{c: c, at: source{pos.Topic, pos.Partition}, ctx: ctx, cancel: cancel, pos: pos,
		stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go func() {
		defer close(p.done)
		defer cancel()
		p.run()
	}()
	return p
}

func (p *claimedPartition) stopOnce() { p.once.Do(func() { close(p.stop) }) }

// end stops without waiting; a running handler is fenced or rolled back.
func (p *claimedPartition) end() {
	p.stopOnce()
	p.cancel()
}

// add queues records and reports whether fetching must pause.
func (p *claimedPartition) add(records []*kgo.Record) (pause bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		p.bytes += weight(r)
	}
	p.queue = append(p.queue, records...)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	if p.paused || len(p.queue) < 2*p.c.cfg.MaxRecords && p.bytes < p.c.cfg.MaxBytes {
		return false
	}
	p.paused = true
	return true
}

// resume reports whether fetching must continue.
func (p *claimedPartition) resume() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused || len(p.queue) >= p.c.cfg.MaxRecords || p.bytes >= p.c.cfg.MaxBytes/2 && len(p.queue) > 0 {
		return false
	}
	p.paused = false
	return true
}

func weight(r *kgo.Record) int { return len(r.Key) + len(r.Value) + 64 }

// suspect makes the partition check whether the batch stored at its position can be
// decoded, once the queue is empty.
func (p *claimedPartition) suspect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *claimedPartition) run() {
	for {
		batch, err := p.take()
		if err != nil {
			p.c.cfg.Log.Warn("claiming again", "topic", p.at.topic, "partition", p.at.partition, "reason", err)
			p.c.abandon(p)
			return
		}
		if batch == nil {
			p.mu.Lock()
			look := p.broken
			p.broken = false
			p.mu.Unlock()
			if look && p.skipUndecodable() {
				return
			}
			select {
			case <-p.wake:
				continue
			case <-p.stop:
				return
			}
		}
		if p.resume() {
			p.c.cl.ResumeFetchPartitions(map[string][]int32{p.at.topic: {p.at.partition}})
		}
		if !p.handle(batch) {
			return
		}
		select {
		case <-p.stop:
			return
		default:
		}
	}
}

// take removes the next batch from the queue; nil if it is empty.
func (p *claimedPartition) take() (*Batch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil, nil
	}
	n, size := 0, 0
	next := p.pos.Next
	for _, r := range p.queue {
		if r.Offset < next {
			return nil, fmt.Errorf("offset %d came again after %d: the log is another one", r.Offset, next-1)
		}
		w := weight(r)
		if n > 0 && (n >= p.c.cfg.MaxRecords || size+w > p.c.cfg.MaxBytes) {
			break
		}
		n++
		size += w
		next = r.Offset + 1
	}
	batch := newBatch(p.c.cfg.Cluster, p.c.cfg.OwnOnly, p.pos, p.queue[:n])
	p.queue = p.queue[n:]
	p.bytes -= size
	if len(p.queue) == 0 {
		p.queue = nil
	}
	return batch, nil
}

// handle repeats a batch until it is stored; false if the claim has ended.
func (p *claimedPartition) handle(batch *Batch) bool {
	c := p.c
	backoff := c.cfg.Retry
	for {
		ctx, cancel := context.WithTimeout(p.ctx, c.cfg.HandleTimeout)
		err := p.store(ctx, batch)
		cancel()
		p.mu.Lock()
		p.last = err
		if err == nil {
			p.pos = batch.after()
		}
		p.mu.Unlock()
		switch {
		case err == nil:
			c.m.records.WithLabelValues(p.at.topic).Add(float64(len(batch.Records)))
			if batch.dropped > 0 {
				c.m.foreign.WithLabelValues(p.at.topic).Add(float64(batch.dropped))
				c.cfg.Log.Error("records that Belfry did not publish were ignored",
					"topic", p.at.topic, "partition", p.at.partition,
					"before_offset", batch.to, "records", batch.dropped)
			}
			if c.cfg.Cluster.Alone {
				return true
			}
			c.cl.MarkCommitOffsets(map[string]map[int32]kgo.EpochOffset{p.at.topic: {p.at.partition: {
				Epoch:  batch.leader,
				Offset: batch.to,
			}}})
			return true
		case p.ctx.Err() != nil:
			return false
		case errors.Is(err, ErrFenced):
			c.m.fenced.WithLabelValues(p.at.topic).Inc()
			c.cfg.Log.Warn("fenced: another owner has the partition",
				"topic", p.at.topic, "partition", p.at.partition, "epoch", batch.epoch)
			_ = backoff.Wait(p.ctx) // so that two members that fence each other do not spin
			c.abandon(p)
			return false
		}
		c.m.retries.WithLabelValues(p.at.topic, errs.KindOf(err).String()).Inc()
		c.cfg.Log.Warn("batch not stored, will be tried again",
			"topic", p.at.topic, "partition", p.at.partition, "offset", batch.from, "records", len(batch.Records), "error", err)
		if !p.wait(&backoff) {
			return false
		}
	}
}

// store calls Handle. An empty batch only moves the position.
func (p *claimedPartition) store(ctx context.Context, batch *Batch) error {
	if len(batch.Records) > 0 {
		return p.c.cfg.Handle(ctx, batch)
	}
	return p.c.cfg.DB.Tx(ctx, func(tx *db.Tx) error { return batch.Commit(ctx, tx) })
}

// wait sleeps before a repetition; false if the claim ends meanwhile.
func (p *claimedPartition) wait(backoff *Backoff) bool {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	go func() {
		select {
		case <-p.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return backoff.Wait(ctx) == nil
}
