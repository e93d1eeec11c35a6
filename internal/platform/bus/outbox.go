package bus

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

const insertOutbox = `INSERT INTO outbox (topic, partition, msg_key, value, headers, at)
	VALUES ($1, $2, $3, $4, $5, $6)`

// Enqueue writes messages to the outbox in the caller's transaction: they are
// published if and only if it commits. The trace of ctx goes with them. After
// the commit the caller calls [Relay.Notify].
func Enqueue(ctx context.Context, tx *db.Tx, msgs ...Message) error {
	for _, m := range msgs {
		headers, err := json.Marshal(traced(ctx, m.Headers))
		if err != nil {
			return err
		}
		at := m.Time
		if at.IsZero() {
			at = time.Now()
		}
		var partition sql.NullInt64
		if m.Partition != nil {
			partition = sql.NullInt64{Int64: int64(*m.Partition), Valid: true}
		}
		if _, err := tx.Exec(ctx, insertOutbox, m.Topic, partition, m.Key, m.Value, headers, at.UnixMicro()); err != nil {
			return fmt.Errorf("enqueue for %s: %w", m.Topic, err)
		}
	}
	return nil
}

// RelayOptions bound a Relay. Zero values are replaced by the defaults.
type RelayOptions struct {
	Name       string        // label in logs and metrics: the feature
	Batch      int           // messages in one delivery; 500
	BatchBytes int           // bytes of values in one delivery, a larger message goes alone; 4 MiB
	Poll       time.Duration // for messages that another process enqueued; 1 s
	Lease      time.Duration // after which another process takes over from a dead one; 30 s
	Retry      Backoff       // after a failed delivery; 100 ms to 30 s
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Relay drains the outbox of one database, in order and at least once. With several
// processes, the holder of a lease drains it. A delivery may take half of the lease,
// so two processes never deliver at a time if the clocks of the machines differ by
// less than the other half.
//
// On PostgreSQL, two transactions that commit at the same time may be drained
// in either order; messages of one transaction, and of transactions that wait
// for each other's rows, keep theirs.
type Relay struct {
	db      *db.DB
	deliver func(context.Context, []Message) error
	opts    RelayOptions
	lease   db.Lease
	wake    chan struct{}
	waiting prometheus.Gauge
	results *prometheus.CounterVec
}

// NewRelay makes a Relay. deliver publishes the messages, or passes them to another
// part of the process; it returns nil when they are safe, and may get the same ones
// again.
func NewRelay(d *db.DB, deliver func(context.Context, []Message) error, opts RelayOptions) (*Relay, error) {
	if opts.Batch <= 0 {
		opts.Batch = 500
	}
	if opts.BatchBytes <= 0 {
		opts.BatchBytes = 4 << 20
	}
	if opts.Poll <= 0 {
		opts.Poll = time.Second
	}
	if opts.Lease <= 0 {
		opts.Lease = 30 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	labels := prometheus.Labels{"outbox": opts.Name}
	r := &Relay{
		db: d, deliver: deliver, opts: opts, lease: outboxLeases.Of(id.New(), 1), wake: make(chan struct{}, 1),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name:        "belfry_outbox_oldest_seconds",
			Help:        "Age of the oldest message in the outbox; 0 when it is empty or another process drains it.",
			ConstLabels: labels}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_outbox_relayed_total", Help: "Messages relayed, by outcome (ok or the kind of the error).",
			ConstLabels: labels}, []string{"outcome"}),
	}
	telemetry.StartAtZero(r.results, append(errs.Kinds(), "ok"))
	if opts.Registerer != nil {
		if err := errors.Join(opts.Registerer.Register(r.waiting), opts.Registerer.Register(r.results)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Notify wakes the Relay: call it after a commit that enqueued. It never blocks.
func (r *Relay) Notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// deliveredPoll is the interval of [Relay.Delivered].
const deliveredPoll = 20 * time.Millisecond

// Delivered waits until the messages of a topic and key that are in the outbox
// now have been delivered, by this process or another one. When ctx ends first,
// the error is Unavailable.
func (r *Relay) Delivered(ctx context.Context, topic string, key []byte) error {
	r.Notify()
	var last, waiting int64
	err := r.db.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT COALESCE(max(id), 0) FROM outbox WHERE topic = $1 AND msg_key = $2`, topic,
			key).Scan(&last)
	})
	if err != nil || last == 0 {
		return err
	}
	poll := time.NewTicker(deliveredPoll)
	defer poll.Stop()
	for {
		err := r.db.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE topic = $1 AND msg_key = $2 AND id <= $3`, topic, key,
				last).Scan(&waiting)
		})
		if err != nil || waiting == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return errs.New(errs.CodeUnavailable, "%d messages still wait in the outbox of %s", waiting, r.opts.Name)
		case <-poll.C:
		}
	}
}

// Run drains until ctx ends, and releases the lease. Faults of the database and of
// deliver are retried.
func (r *Relay) Run(ctx context.Context) error {
	backoff := r.opts.Retry
	poll := time.NewTicker(r.opts.Poll)
	defer poll.Stop()
	defer r.release(ctx)
	for ctx.Err() == nil {
		n, err := r.drain(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			r.opts.Log.Warn("outbox not relayed, will be tried again", "outbox", r.opts.Name, "error", err)
			if backoff.Wait(ctx) != nil {
				return nil
			}
			continue
		}
		backoff.Reset()
		if n > 0 {
			continue
		}
		select {
		case <-r.wake:
		case <-poll.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// drain relays one batch and returns the number of its messages.
func (r *Relay) drain(ctx context.Context) (int, error) {
	ids, msgs, err := r.next(ctx)
	if err != nil || len(msgs) == 0 {
		return 0, err
	}
	r.waiting.Set(time.Since(msgs[0].Time).Seconds())
	limited, cancel := context.WithTimeout(ctx, r.opts.Lease/2)
	err = r.deliver(limited, msgs)
	cancel()
	if err != nil {
		r.results.WithLabelValues(errs.KindOf(err).String()).Add(float64(len(msgs)))
		return 0, fmt.Errorf("deliver %d messages: %w", len(msgs), err)
	}
	r.results.WithLabelValues("ok").Add(float64(len(msgs)))
	// Not ctx: delivered messages are deleted during a drain, too.
	if err := r.remove(context.WithoutCancel(ctx), ids); err != nil {
		return 0, fmt.Errorf("delete delivered messages: %w", err)
	}
	r.waiting.Set(0)
	return len(msgs), nil
}

const pending = `SELECT id, topic, partition, msg_key, value, headers, at FROM outbox ORDER BY id LIMIT $1`

// outboxLeases has one row: the right to drain the outbox.
var outboxLeases = db.NewLeases(db.LeaseTable{
	Name:   "outbox_lease",
	Key:    []string{"one"},
	Holder: "holder",
	Until:  "until",
})

// next claims or renews the lease and reads the oldest messages. Nothing is written
// while the outbox is empty.
func (r *Relay) next(ctx context.Context) (ids []int64, msgs []Message, err error) {
	empty := false
	err = r.db.View(ctx, func(tx *db.Tx) error {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM outbox LIMIT 1`).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			empty = true
			return nil
		}
		return err
	})
	if err != nil || empty {
		return nil, nil, err
	}
	held := false
	err = r.db.Tx(ctx, func(tx *db.Tx) (err error) {
		held, err = r.lease.Claim(ctx, tx, r.opts.Lease)
		return err
	})
	if err != nil || !held {
		return nil, nil, err
	}
	// After the lease: messages that the holder before has deleted are not read again.
	err = r.db.View(ctx, func(tx *db.Tx) error {
		ids, msgs = nil, nil
		rows, err := tx.Query(ctx, pending, r.opts.Batch)
		if err != nil {
			return err
		}
		defer rows.Close()
		size := 0
		for rows.Next() {
			var m Message
			var row, at int64
			var partition sql.NullInt64
			var headers []byte
			if err := rows.Scan(&row, &m.Topic, &partition, &m.Key, &m.Value, &headers, &at); err != nil {
				return err
			}
			if size += len(m.Value); size > r.opts.BatchBytes && len(msgs) > 0 {
				break
			}
			if err := json.Unmarshal(headers, &m.Headers); err != nil {
				return fmt.Errorf("outbox row %d: %w", row, err)
			}
			if partition.Valid {
				p := int32(partition.Int64)
				m.Partition = &p
			}
			m.Time = time.UnixMicro(at).UTC()
			ids, msgs = append(ids, row), append(msgs, m)
		}
		return rows.Err()
	})
	return ids, msgs, err
}

// The rows are deleted by their ids, never by a range: on PostgreSQL a smaller
// id may become visible after a larger one.
const (
	deleteSQLite   = `DELETE FROM outbox WHERE id IN (SELECT value FROM json_each($1))`
	deletePostgres = `DELETE FROM outbox WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json))`
)

func (r *Relay) remove(ctx context.Context, ids []int64) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	query := deleteSQLite
	if r.db.Engine == db.Postgres {
		query = deletePostgres
	}
	return r.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, query, string(list))
		return err
	})
}

// EndLease ends the lease of any holder. Where one process owns the database (SQLite,
// under the lock of the data directory), a lease at the start belongs to a dead
// process, and the messages would wait for its end.
func EndLease(ctx context.Context, d *db.DB) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM outbox_lease`)
		return err
	})
}

// release lets another process begin at once, instead of at the end of the lease.
func (r *Relay) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := r.db.Tx(ctx, func(tx *db.Tx) error {
		return r.lease.Release(ctx, tx, 0)
	})
	if err != nil {
		r.opts.Log.Info("outbox lease not released; it ends by itself", "outbox", r.opts.Name, "error", err)
	}
}
