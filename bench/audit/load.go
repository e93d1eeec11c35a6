package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/bench/internal/load"
	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
)

const (
	loadBatch   = 3900 // events of one call of the loader: as many as one commit holds
	loadCallers = 3
)

// load appends the resident events through the real Intake and Ledger in this process: first those of the one account,
// then those of all accounts.
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
	defer func() {
		cancel()
		_ = <-ended // the end of what was cancelled
	}()

	t := b.out.Table("Resident events", "what", "events", "took", "events/s", "CPU us/event")
	for _, part := range []struct {
		name     string
		accounts []string
		n        int
	}{
		{"in one account", []string{b.state.One}, b.resident},
		{"over all accounts", b.state.Accounts, b.spread},
	} {
		before := process.SelfCPU()
		begin := time.Now()
		if err := b.append(ctx, a.Audit, part.accounts, part.n); err != nil {
			return err
		}
		took := time.Since(begin)
		t.Add(part.name, report.Thousands(part.n), took.Round(time.Second).String(), report.Rate(part.n, took),
			report.Each(process.SelfCPU()-before, part.n))
	}
	t.Note("Loaded in-process by Intake.Prepare and Ledger.Append in calls of 3,900 events, three at a time; CPU of " +
		"this process, which makes the events too (1.5 us each).")
	b.state.Loaded = true
	return errors.Join(b.weigh(ctx, t), b.save())
}

// weigh notes the size of the record on the disk.
func (b *bench) weigh(ctx context.Context, t *report.Table) error {
	count, err := b.counter()
	if err != nil {
		return err
	}
	defer count.Close()
	events, err := count.size(ctx)
	if err != nil || events == 0 {
		return err
	}
	query := `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`
	if b.postgres != "" {
		query = `SELECT pg_database_size(current_database())`
	}
	var size int64
	err = count.QueryRowContext(ctx, query).Scan(&size)
	t.Note(fmt.Sprintf("The database has %s after it: %d bytes an event.", report.Megabytes(size), size/events))
	return err
}

func (b *bench) append(ctx context.Context, f *audit.Feature, accounts []string, total int) error {
	var mu sync.Mutex // guards g
	g := newGenerator(b.state.Made, accounts, past(total, b.state.Made))
	b.state.Made += uint64(total)
	var done atomic.Int64
	begin := time.Now()
	calls := (total + loadBatch - 1) / loadBatch
	return load.Flood(ctx, loadCallers, calls, func(ctx context.Context, _, i int) error {
		mu.Lock()
		values := make([][]byte, min(loadBatch, total-i*loadBatch))
		for n := range values {
			values[n], _ = g.next(nil)
		}
		mu.Unlock()

		list, err := prepared(ctx, f, values)
		if err != nil {
			return err
		}
		if err := f.Ledger().Append(ctx, list, nil); err != nil {
			return err
		}
		n := done.Add(int64(len(list)))
		if n/250_000 != (n-int64(len(list)))/250_000 {
			b.say("%s of %s resident events, %s/s", report.Thousands(int(n)), report.Thousands(total),
				report.Rate(int(n), time.Since(begin)))
		}
		return nil
	})
}

func prepared(ctx context.Context, f *audit.Feature, values [][]byte) ([]*ledger.Pending, error) {
	from := audit.Origin{By: record.Submitter{Type: "system", ID: "bench"}, Operator: true, Interface: "API"}
	list := make([]*ledger.Pending, len(values))
	for i, value := range values {
		var seed [32]byte
		rand.Read(seed[:])
		p, err := f.Intake().Prepare(ctx, from, value, seed)
		if err != nil {
			return nil, err
		}
		if p.Status == ledger.Rejected {
			return nil, p.Faults
		}
		list[i] = p
	}
	return list, nil
}
