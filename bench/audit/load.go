package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
)

// loadBatch is one call of the loader: as much as one commit takes.
const loadBatch = 3900

// load appends the resident events through the real Intake and Ledger in this
// process, as fast as they go: first those of the one account, then those of
// all accounts.
func (b *bench) load(ctx context.Context) error {
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	if b.state.Loaded {
		b.say("the folder's resident events are used")
		return nil
	}
	a, err := b.inProcess(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	stopped, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Audit.Ledger().Run(stopped) }()
	defer func() { cancel(); <-ended }()
	t := b.out.table("Resident events", "what", "events", "took", "events/s", "CPU us/event")
	for _, part := range []struct {
		name     string
		accounts []string
		n        int
	}{{"in one account", []string{b.state.One}, b.resident}, {"over all accounts", b.state.Accounts, b.spread}} {
		before, begin := selfCPU(), time.Now()
		if err := b.append(ctx, a.Audit, part.accounts, part.n); err != nil {
			return err
		}
		took := time.Since(begin)
		t.add(part.name, thousands(part.n), took.Round(time.Second).String(), rate(part.n, took), each(selfCPU()-before, part.n))
	}
	t.note("Loaded in-process by Intake.Prepare and Ledger.Append in calls of 3,900 events, three at a time; CPU of this process, which makes the events too (1.5 us each).")
	b.state.Loaded = true
	return errors.Join(b.weigh(ctx, t), b.save())
}

// weigh notes how large the record is on the disk.
func (b *bench) weigh(ctx context.Context, t *table) error {
	count, err := b.counter()
	if err != nil {
		return err
	}
	defer count.Close()
	events, err := count.size(ctx)
	if err != nil || events == 0 {
		return err
	}
	var size int64
	if b.postgres != "" {
		err = count.QueryRowContext(ctx, `SELECT pg_database_size(current_database())`).Scan(&size)
	} else {
		err = count.QueryRowContext(ctx, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`).Scan(&size)
	}
	t.note(fmt.Sprintf("The database has %s after it: %d bytes an event.", megabytes(size), size/events))
	return err
}

func (b *bench) append(ctx context.Context, f *audit.Feature, accounts []string, total int) error {
	var mu sync.Mutex // guards g and made
	made := 0
	g := newGenerator(b.state.Made, accounts, past(total, b.state.Made))
	b.state.Made += uint64(total)
	var done atomic.Int64
	failed := make([]error, 3)
	var wg sync.WaitGroup
	from := audit.Origin{By: record.Submitter{Type: "system", ID: "bench"}, Operator: true, Interface: "API"}
	begin := time.Now()
	for w := range failed {
		wg.Go(func() {
			var buf []byte
			var ends []int
			for {
				buf, ends = buf[:0], ends[:0]
				mu.Lock()
				for len(ends) < loadBatch && made < total {
					buf, _ = g.next(buf)
					ends = append(ends, len(buf))
					made++
				}
				mu.Unlock()
				if len(ends) == 0 || ctx.Err() != nil {
					return
				}
				list := make([]*ledger.Pending, len(ends))
				start := 0
				for i, end := range ends {
					var seed [32]byte
					rand.Read(seed[:])
					p, err := f.Intake().Prepare(ctx, from, buf[start:end], seed)
					if err == nil && p.Status == ledger.Rejected {
						err = p.Faults
					}
					if err != nil {
						failed[w] = err
						return
					}
					list[i] = p
					start = end
				}
				if err := f.Ledger().Append(ctx, list, nil); err != nil {
					failed[w] = err
					return
				}
				if n := done.Add(int64(len(list))); n/250_000 != (n-int64(len(list)))/250_000 {
					b.say("%s of %s resident events, %s/s", thousands(int(n)), thousands(total), rate(int(n), time.Since(begin)))
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(append(failed, ctx.Err())...)
}
