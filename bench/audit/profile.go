package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/belfryhq/belfry/bench/internal/profiled"
)

// profile takes a CPU profile of the server under each of the main rows, and keeps it in the folder of the run.
func (b *bench) profile(ctx context.Context) error {
	if !b.keep {
		return errors.New("the phase profile needs -dir, where it leaves its profiles")
	}
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := b.startProgram(ctx, self, profiled.Argument)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}

	t := b.out.Table("CPU profiles of the server", "row", "events", "file")
	t.Note("Read one with go tool pprof -top -cum FILE. A profile covers a third of the time limit of a row.")
	for _, r := range b.rows() {
		if r.name != gzipBatches && r.name != singleEvents {
			continue
		}
		list, err := b.prepare(ctx, s, r)
		if err != nil {
			return err
		}
		file := filepath.Join(b.dir, fmt.Sprintf("batches-of-%d.pprof", r.batch))
		saved := make(chan error, 1)
		go func() { saved <- profiled.Save(ctx, s.Server, b.limit/3, file) }()
		n, _, err := s.publish(ctx, r.callers, list)
		if err := errors.Join(err, <-saved); err != nil {
			return err
		}
		t.Add(r.name, fmt.Sprint(n), file)
	}
	return s.stop()
}
