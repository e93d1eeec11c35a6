// Package ledger stores audit events in one append-only log for each account, and
// proves, signs, finds and erases them.
//
//	Pending -> Ledger.Append -> group commit -> one transaction -> COMMIT = acknowledgement
//	             leaf, entry, reading, head, tiles, digests, roll-ups, offsets
//	head -> Signer: reproduce the last signed root -> SignedLog -> checkpoint
//	Reader: by time (index), by facet (digests of tiles and spans), by seq (exports, live tail)
//	Scrubber: envelope -> leaf -> tile -> root, for ever
//
// leaf and entry are kept and never change; triggers guard them. reading opens and
// finds events, and an erasure empties parts of it: every proof still holds.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sort"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// TxHook is further work in the transaction of the events, done before them: a
// consumer moves its position (and returns bus.ErrFenced to leave its events
// out, having changed nothing), an on-ramp enqueues its rejects.
type TxHook func(ctx context.Context, tx *db.Tx) error

// appendCall is one caller's work in the queue of the group commit.
type appendCall struct {
	events []*Pending
	before TxHook
	after  TxHook // the same, when the events have their answers
	weight int
	err    error // of this call alone
}

// Ledger appends. One transaction carries everything: leaves, envelopes, what
// opens them, heads, full tiles, digests, roll-ups, and the consumers' offsets.
// The acknowledgement is its commit.
type Ledger struct {
	db      *db.DB
	lanes   []*db.Writer[*appendCall] // an account's events go through one of them
	now     func() time.Time
	zoneKey func(name string) string
	grown   func(accounts []string) // called after each commit: live tails, the signer
	sign    SignBatch

	patience time.Duration // longest that a commit may take

	mu       sync.Mutex // guards the places reserved for this process
	pos, end int64
}

// Size of the group commit, in events or, where they are larger than that, in
// KiB. The batch bounds a transaction (and the time that a head stays locked),
// the queue bounds memory.
const (
	batchWeight = 4000
	queueWeight = 40_000
	posBlock    = 1 << 16
)

// commitPatience ends a commit that waits for another process's locks.
const commitPatience = 30 * time.Second

// SignBatch signs the root of one commit's leaves (see [Signer.SignBatch]).
type SignBatch func(size uint64, root merkle.Hash) (checkpoint []byte, err error)

// Config names what a Ledger needs.
type Config struct {
	DB  *db.DB // the audit database
	Now func() time.Time
	// ZoneKey returns the form by which names of zones are compared.
	ZoneKey func(name string) string
	// Grown is called after each commit with the accounts that grew; it must not
	// block. nil = nothing is called.
	Grown func(accounts []string)
	// Sign makes receipts; nil = there are none.
	Sign SignBatch
}

// New makes a Ledger.
func New(cfg Config) *Ledger {
	l := &Ledger{
		db:       cfg.DB,
		now:      cfg.Now,
		zoneKey:  cfg.ZoneKey,
		grown:    cfg.Grown,
		sign:     cfg.Sign,
		patience: commitPatience,
	}
	lanes := 1
	if cfg.DB.Engine == db.Postgres {
		lanes = 2 // measured: a second connection doubles the rate, a third gains nothing on two cores
	}
	for range lanes {
		l.lanes = append(l.lanes, db.NewWriter(db.Limits{Batch: batchWeight, Queue: queueWeight, Lanes: 1},
			func(c *appendCall) int { return c.weight }, l.flush))
	}
	return l
}

// lane chooses by account: two commits that touched the same account would wait
// for each other at its head, until the first is on the disk.
func (l *Ledger) lane(account string) int {
	h := fnv.New32a()
	h.Write([]byte(account))
	return int(h.Sum32() % uint32(len(l.lanes)))
}

// Run commits appended events until ctx ends, then drains the queue.
func (l *Ledger) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, w := range l.lanes {
		running.Go(func() { _ = w.Run(ctx) }) // a lane ends with ctx only
	}
	running.Wait()
	return nil
}

// Append stores events and, in the same transaction, does what goes before them
// (which may be nil). When it returns nil, every event has its answer
// and every accepted one is durable. After an error nothing is answered, and what
// goes before the events was not done; but some of the events may be stored (on
// PostgreSQL those of other accounts are in another commit, and when ctx ended
// first the outcome is unknown). Sending the same ids again finds out.
func (l *Ledger) Append(ctx context.Context, events []*Pending, before TxHook) error {
	return l.AppendWithHooks(ctx, events, before, nil)
}

// AppendWithHooks is Append with something else that is written before the events
// once their answers are known.
func (l *Ledger) AppendWithHooks(ctx context.Context, events []*Pending, before, after TxHook) error {
	if len(events) == 0 && before == nil {
		return nil
	}
	if len(l.lanes) == 1 || len(events) == 0 {
		return l.enqueue(ctx, 0, &appendCall{events: events, before: before, after: after})
	}
	if before != nil || after != nil {
		// One transaction for all of it. The events of a partition of the topic are
		// of few accounts that the others do not have; where they are not, the
		// commits wait for each other.
		return l.enqueue(ctx, l.lane(events[0].Account), &appendCall{events: events, before: before, after: after})
	}
	parts := make([]*appendCall, len(l.lanes))
	for _, p := range events {
		n := l.lane(p.Account)
		if parts[n] == nil {
			parts[n] = &appendCall{}
		}
		parts[n].events = append(parts[n].events, p)
	}
	failed := make([]error, len(parts))
	var handed sync.WaitGroup
	for n, call := range parts {
		if call != nil {
			handed.Go(func() { failed[n] = l.enqueue(ctx, n, call) })
		}
	}
	handed.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// enqueue puts a call into the queue of a lane and waits for its commit.
func (l *Ledger) enqueue(ctx context.Context, lane int, call *appendCall) error {
	call.weight = weigh(call.events)
	if err := l.lanes[lane].Do(ctx, call); err != nil {
		return err
	}
	return call.err
}

// weigh returns the share of a call's events in the limits of the group commit.
func weigh(events []*Pending) int {
	bytes := 0
	for _, p := range events {
		bytes += p.sealed.Size()
	}
	return 1 + max(len(events), bytes>>10)
}

// flush commits the calls together. When that fails, and not because the
// database is away, each is committed by itself: a call that cannot be stored
// must not take the others with it.
func (l *Ledger) flush(ctx context.Context, calls []*appendCall) error {
	err := l.commit(ctx, calls)
	if err == nil || len(calls) == 1 || errs.KindOf(err) == errs.Unavailable {
		return err
	}
	for i, c := range calls {
		if err := l.commit(ctx, calls[i:i+1]); err != nil {
			c.err = err
		}
	}
	return nil
}

func (l *Ledger) commit(ctx context.Context, calls []*appendCall) error {
	// The statements' own deadline: a lock that another process keeps would
	// hold up everything behind it.
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	n := 0
	for _, c := range calls {
		n += len(c.events)
	}
	pos, err := l.positions(ctx, int64(n))
	if err != nil {
		return err
	}
	var grown []string
	err = l.db.Tx(ctx, func(tx *db.Tx) error {
		grown, err = l.append(ctx, tx, calls, pos)
		return err
	})
	if err != nil {
		return err
	}
	if len(grown) > 0 && l.grown != nil {
		l.grown(grown)
	}
	l.giveReceipts(calls)
	return nil
}

func (l *Ledger) positions(ctx context.Context, n int64) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end-l.pos < n {
		block := max(n, posBlock)
		first, err := takePositions(ctx, l.db, block)
		if err != nil {
			return 0, err
		}
		l.pos = first
		l.end = first + block
	}
	l.pos += n
	return l.pos - n, nil
}

// append is the transaction. It may run twice (a deadlock on PostgreSQL): it
// sets every answer again and has no other effect outside tx.
func (l *Ledger) append(ctx context.Context, tx *db.Tx, calls []*appendCall, pos int64) (grown []string, err error) {
	var events []*Pending
	for _, c := range calls {
		c.err = nil
		if c.before != nil {
			if err := c.before(ctx, tx); err != nil {
				if !errors.Is(err, bus.ErrFenced) {
					return nil, err
				}
				c.err = err // another process owns the partition: the others' work goes on
				continue
			}
		}
		events = append(events, c.events...)
	}
	// Sorted by account, stable: the order within an account is the callers'.
	sort.SliceStable(events, func(i, j int) bool { return events[i].Account < events[j].Account })
	w, err := l.open(ctx, tx, events)
	if err != nil {
		return nil, err
	}
	w.pos = pos
	for i := 0; i < len(events); {
		j := i
		for j < len(events) && events[j].Account == events[i].Account {
			j++
		}
		before := len(w.rows)
		if err := w.account(ctx, tx, events[i:j]); err != nil {
			return nil, fmt.Errorf("account %s: %w", events[i].Account, err)
		}
		if len(w.rows) > before {
			grown = append(grown, events[i].Account)
		}
		i = j
	}
	for _, c := range calls {
		if c.after != nil && c.err == nil {
			if err := c.after(ctx, tx); err != nil {
				return nil, err
			}
		}
	}
	return grown, w.save(ctx, tx)
}

type rollupKey struct {
	account, day               int64
	product, action, actorType string
}

var rollupColumns = []string{"account", "day", "product", "action", "actor_type", "n"}

// row is the row of rollupColumns, with a number of events.
func (k rollupKey) row(n int64) []any {
	return []any{
		k.account,
		k.day,
		k.product,
		k.action,
		k.actorType,
		n,
	}
}
