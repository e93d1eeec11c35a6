package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
)

// verify exports up to a million events of the large account with the command
// that customers use, and verifies them offline with the other.
func (b *bench) verify(ctx context.Context) error {
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	n := min(1_000_000, b.resident)
	file := filepath.Join(b.dir, "export.ndjson")
	defer os.Remove(file)
	t := b.out.Table("Export and verification", "what", "events", "took", "events/s", "us/event of the command",
		"us/event of the server", "load")
	t.Note("`belfry audit export` of the account's first events to a file on the same disk, then " +
		"`belfry verify --export`, each a process of its own.")
	command := func(args ...string) (time.Duration, time.Duration, error) {
		c := exec.CommandContext(ctx, b.binary, args...)
		c.Env = []string{"BELFRY_URL=" + s.URL, "BELFRY_TOKEN=" + b.state.Token, "HOME=" + os.Getenv("HOME")}
		begin := time.Now()
		out, err := c.CombinedOutput()
		if err != nil {
			return 0, 0, fmt.Errorf("belfry %s: %w\n%s", args[0], err, out)
		}
		return time.Since(begin), c.ProcessState.UserTime() + c.ProcessState.SystemTime(), nil
	}
	before := b.usage()
	took, own, err := command("audit", "export", "--account", b.state.One, "--out", file,
		"--from", "0", "--to", fmt.Sprint(n))
	if err != nil {
		return err
	}
	u := b.usage().since(before)
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	t.Add(
		fmt.Sprintf("export, %s", report.Megabytes(info.Size())),
		report.Thousands(n),
		took.Round(time.Millisecond).String(),
		report.Rate(n, took),
		report.Each(own, n),
		report.Each(u.server, n),
		process.Load(),
	)
	b.say("export: %v", took)
	if err := s.stop(); err != nil {
		return err
	}
	key, err := os.ReadFile(file + ".key")
	if err != nil {
		return err
	}
	for range 2 {
		took, own, err = command("verify", "--export", file, "--checkpoint", file+".checkpoint", "--key",
			strings.TrimSpace(string(key)))
		if err != nil {
			return err
		}
		t.Add("verify", report.Thousands(n), took.Round(time.Millisecond).String(), report.Rate(n, took),
			report.Each(own, n), "", process.Load())
		b.say("verify: %v, CPU %v", took, own)
	}
	return nil
}
