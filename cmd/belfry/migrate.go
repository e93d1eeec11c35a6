package main

import (
	"context"
	"io"
	"time"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/platform/db"
)

func migrateCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("migrate", "migrate [flags]",
		"Brings the databases up to this version and lists what is applied. `serve` does the same when it "+
			"starts;\nthis command lets it happen before, under your eyes.",
		"BELFRY_DATABASE_URL=postgres://belfry@db/belfry BELFRY_MASTER_KEY_FILE=/etc/belfry/key belfry migrate", stderr)
	file := f.String("config", "", "config `file`, as for serve")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	cfg, err := loadConfig(*file, "", stderr)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	err = app.Migrate(ctx, cfg, func(feature string, applied []db.Applied) {
		for _, m := range applied {
			printf(stdout, "%-8s %-8s %-24s %s\n", feature, m.Source, m.Name, m.At.Format(time.RFC3339))
		}
	})
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	return 0
}
