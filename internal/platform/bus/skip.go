package bus

import (
	"context"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// A stored batch that cannot be decoded would stop its partition for ever: it is the
// same at every repetition, and after a restart. The partition moves past it, and the
// skipped records are reported.

// inspectFor limits the inspection of the batch stored at a position.
const inspectFor = 30 * time.Second

// skipUndecodable moves the position past batches that cannot be decoded, if the
// next ones cannot. It is true if it did; the claim has ended then. The
// queue is empty: the position is where the client reads.
func (p *claimedPartition) skipUndecodable() bool {
	c := p.c
	p.mu.Lock()
	pos := p.pos
	p.mu.Unlock()
	log := c.cfg.Log.With("topic", p.at.topic, "partition", p.at.partition, "offset", pos.Next)
	ctx, cancel := context.WithTimeout(p.ctx, inspectFor)
	defer cancel()
	next, why, err := c.decoder.inspect(ctx, c.cfg.Cluster, p.at.topic, p.at.partition, pos.Next)
	if err != nil {
		log.Warn("a batch that was not consumed cannot be inspected", "error", err)
		return false
	}
	if why == nil {
		return false
	}
	s := Skipped{
		Group:     c.cfg.Group,
		Topic:     p.at.topic,
		Partition: p.at.partition,
		From:      pos.Next,
		To:        next,
		Reason:    why.Error(),
		TooLarge:  errors.Is(why, ErrTooLarge),
	}
	err = c.cfg.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := move(ctx, tx, &pos, next); err != nil {
			return err
		}
		if c.Skipped == nil {
			return nil
		}
		return c.Skipped(ctx, tx, s)
	})
	if err != nil {
		log.Warn("a batch that cannot be decoded was not skipped, will be tried again", "error", err)
		return false
	}
	c.m.skipped.WithLabelValues(s.Topic).Inc()
	log.Error("records were skipped: no consumer can decode them", "to", s.To, "reason", s.Reason)
	c.abandon(p) // the claim that follows reads from the new position
	return true
}
