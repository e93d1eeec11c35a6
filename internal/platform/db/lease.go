package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// LeaseTable describes a table whose rows can be leased. A lease gives one of
// several processes the right to work on a row until the lease ends; its holder
// renews it. When the holder dies, the lease ends and another process claims it.
//
//	claim -> held -> renewed ... -> released
//	             \-> ended -> claimed by another holder; the first is fenced
//
// A process that was suspended may go on working after its lease has passed to
// another. Every transaction that depends on the lease therefore calls
// [Lease.Fence], or names the holder in the condition of its own UPDATE. The
// clocks of the processes must not differ by more than the time that a holder
// leaves unused.
type LeaseTable struct {
	Name   string
	Key    []string // columns that identify a row: a unique key of the table
	Holder string   // column with the holder's id, TEXT; empty = free
	Until  string   // column with the end of the lease, BIGINT microseconds
	Set    []string // further columns that a claim writes

	// Existing: the rows are inserted elsewhere (queued jobs), and a claim takes only
	// a row that fulfils the condition Where. Without it, a row is nothing but a
	// lease, and the first claim inserts it.
	Existing bool
	Where    string
}

// Leases are the leases of one table. It holds the texts of its statements.
type Leases struct{ claim, renew, fence, release string }

// NewLeases prepares the statements for a table, whose names are constants.
func NewLeases(t LeaseTable) *Leases {
	key := func(first int) string { return columnsEqual(t.Key, first) }
	where := ""
	if t.Where != "" {
		where = " AND (" + t.Where + ")"
	}
	held := fmt.Sprintf(`%s AND %s = $1%s`, key(3), t.Holder, where)
	l := &Leases{
		renew:   fmt.Sprintf(`UPDATE %s SET %s = $2 WHERE %s`, t.Name, t.Until, held),
		release: fmt.Sprintf(`UPDATE %s SET %s = '', %s = $2 WHERE %s`, t.Name, t.Holder, t.Until, held),
		// Writing the row locks it until the commit: the lease cannot pass to another
		// holder meanwhile.
		fence: fmt.Sprintf(`UPDATE %s SET %[2]s = %[2]s WHERE %s AND %s = $1%s`, t.Name, t.Until, key(2), t.Holder, where),
	}

	// $1 holder, $2 until, $3 now, then the key, then the columns of Set.
	free := fmt.Sprintf(`(%s.%s = $1 OR %[1]s.%[3]s < $3)`, t.Name, t.Holder, t.Until)
	if t.Existing {
		set := ""
		for i, column := range t.Set {
			set += fmt.Sprintf(`, %s = $%d`, column, 4+len(t.Key)+i)
		}
		l.claim = fmt.Sprintf(`UPDATE %s SET %s = $1, %s = $2%s WHERE %s AND %s%s`,
			t.Name, t.Holder, t.Until, set, key(4), free, where)
		return l
	}
	columns := strings.Join(append(append([]string{t.Holder, t.Until}, t.Key...), t.Set...), ", ")
	values := "$1, $2"
	for i := range len(t.Key) + len(t.Set) {
		values += fmt.Sprintf(", $%d", 4+i)
	}
	set := ""
	for _, column := range append([]string{t.Holder, t.Until}, t.Set...) {
		set += fmt.Sprintf(", %s = excluded.%[1]s", column)
	}
	l.claim = fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s WHERE %s%s`,
		t.Name, columns, values, strings.Join(t.Key, ", "), set[2:], free, where)
	return l
}

// columnsEqual is the condition that columns have the values of consecutive
// parameters.
func columnsEqual(columns []string, first int) string {
	terms := make([]string, len(columns))
	for i, column := range columns {
		terms[i] = fmt.Sprintf("%s = $%d", column, first+i)
	}
	return strings.Join(terms, " AND ")
}

// Lease is the lease of one row from the view of one holder.
type Lease struct {
	leases *Leases
	holder string
	key    []any
}

// Of is the lease of a row for a holder, whether or not it holds it now. holder
// is an id that no other process and no earlier claim of this row uses.
func (l *Leases) Of(holder string, key ...any) Lease {
	return Lease{leases: l, holder: holder, key: key}
}

// ErrLeaseLost means that another holder has the lease, or may have it.
var ErrLeaseLost = errors.New("db: the lease was lost")

// Claim takes the lease for so long if it is free or has ended, and renews it if
// it is this holder's. set are the values of [LeaseTable.Set].
func (l Lease) Claim(ctx context.Context, tx *Tx, ttl time.Duration, set ...any) (held bool, err error) {
	now := time.Now()
	args := append([]any{l.holder, now.Add(ttl).UnixMicro(), now.UnixMicro()}, l.key...)
	return l.exec(ctx, tx, l.leases.claim, append(args, set...))
}

// Renew prolongs the lease; held is false when it is no longer this holder's. A
// lease that has ended can be renewed as long as no other holder has taken it.
func (l Lease) Renew(ctx context.Context, tx *Tx, ttl time.Duration) (held bool, err error) {
	return l.exec(ctx, tx, l.leases.renew, append([]any{l.holder, time.Now().Add(ttl).UnixMicro()}, l.key...))
}

// Fence refuses with ErrLeaseLost when the lease is not this holder's; otherwise
// it stays so until the transaction ends.
func (l Lease) Fence(ctx context.Context, tx *Tx) error {
	held, err := l.exec(ctx, tx, l.leases.fence, append([]any{l.holder}, l.key...))
	if err == nil && !held {
		err = ErrLeaseLost
	}
	return err
}

// Release frees the lease, so that another holder need not wait for its end. No
// holder can claim it during pause. It does nothing when the lease is lost.
func (l Lease) Release(ctx context.Context, tx *Tx, pause time.Duration) error {
	var until int64
	if pause > 0 {
		until = time.Now().Add(pause).UnixMicro()
	}
	_, err := l.exec(ctx, tx, l.leases.release, append([]any{l.holder, until}, l.key...))
	return err
}

func (l Lease) exec(ctx context.Context, tx *Tx, text string, args []any) (bool, error) {
	n, err := tx.Exec(ctx, text, args...)
	return n == 1, err
}

// Keep renews a lease that was claimed for ttl, every third of it, and returns
// nil when ctx ends. It returns ErrLeaseLost when the lease is another holder's,
// or when it could not be renewed before its end (the database is away): the work
// must stop then. beat, if any, is further work in each transaction.
func (l Lease) Keep(ctx context.Context, d *DB, ttl time.Duration, beat func(context.Context, *Tx) error) error {
	tick := time.NewTicker(ttl / 3)
	defer tick.Stop()
	until := time.Now().Add(ttl)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}

		began := time.Now()
		held, err := l.renewOnce(ctx, d, ttl, beat)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && held:
			until = began.Add(ttl)
		case err == nil, time.Now().After(until):
			return ErrLeaseLost
		}
	}
}

func (l Lease) renewOnce(
	ctx context.Context, d *DB, ttl time.Duration, beat func(context.Context, *Tx) error,
) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ttl/3)
	defer cancel()
	err = d.Tx(ctx, func(tx *Tx) error {
		var err error
		held, err = l.Renew(ctx, tx, ttl)
		if err != nil || !held || beat == nil {
			return err
		}
		return beat(ctx, tx)
	})
	return held, err
}
