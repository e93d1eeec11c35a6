// Command dnswatch watches the secondary DNS of zones: see the README beside it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/examples/dnswatch"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dnswatch:", err)
		os.Exit(1)
	}
}

func run() error {
	zones := flag.String("zones", "zones.json", "`file` with the zones and their servers")
	data := flag.String("data-dir", "dnswatch-data", "`folder` for the state")
	interval := flag.Duration("interval", 30*time.Second, "time between two rounds")
	hold := flag.Duration("hold", time.Minute, "time that a fault lasts before its alert")
	flag.Parse()

	text, err := os.ReadFile(*zones)
	if err != nil {
		return err
	}
	cfg := dnswatch.Config{
		URL:      os.Getenv("BELFRY_URL"),
		Token:    os.Getenv("BELFRY_TOKEN"),
		Account:  os.Getenv("BELFRY_ACCOUNT"),
		DataDir:  *data,
		Interval: *interval,
		Hold:     *hold,
		Log:      slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if err := json.Unmarshal(text, &cfg.Zones); err != nil {
		return fmt.Errorf("%s: %w", *zones, err)
	}
	watch, err := dnswatch.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = watch.Run(ctx)
	closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if closeErr := watch.Close(closing); err == nil {
		err = closeErr
	}
	return err
}
