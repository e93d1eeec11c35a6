package main

import (
	"context"
	"io"
	"os"

	"github.com/belfryhq/belfry/internal/demo"
)

func demoCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("demo", "demo [flags]", "Runs Belfry on the change history of a real project, on this machine alone, and says what to try.",
		"belfry demo --listen 127.0.0.1:8090", stderr)
	listen := f.String("listen", "127.0.0.1:8080", "HTTP `address`; a busy port is replaced by a free one")
	dir := f.String("data-dir", "", "keep the data in this `folder`; the default is a temporary one, removed at the end")
	if code, done := parse(f, args, stdout); done {
		return code
	}
	if err := demo.Run(ctx, demo.Options{Listen: *listen, DataDir: *dir, Version: buildVersion(), Out: stdout, Log: stderr, Getenv: os.LookupEnv}, nil); err != nil {
		return fail(stderr, "demo", err)
	}
	return 0
}
