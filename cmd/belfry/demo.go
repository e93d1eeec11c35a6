package main

import (
	"context"
	"io"

	"github.com/belfryhq/belfry/internal/demo"
)

func demoCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("demo", "demo [flags]",
		"Runs Belfry with a shop that can be broken, four weeks of its past, and an inbox where the alert "+
			"arrives,\non this machine alone, and says what to try.",
		"belfry demo --listen 127.0.0.1:8090", stderr)
	listen := f.String("listen", "127.0.0.1:8080", "HTTP `address`; a busy port is replaced by a free one")
	dir := f.String("data-dir", "", "keep the data in this `folder`, to go on with later; the default is a "+
		"temporary one, removed at the end")
	link := f.Bool("link", false, "print another sign-in link for the demo that runs with --data-dir, and end")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	if *link {
		if *dir == "" {
			printf(stderr, "belfry demo: --link needs --data-dir; the running demo has printed the whole command\n")
			return 2
		}
		url, err := demo.Link(ctx, *dir)
		if err != nil {
			return fail(stderr, "demo", err)
		}
		printf(stdout, "%s\n", url)
		return 0
	}
	if err := demo.Run(ctx, demo.Options{Listen: *listen, DataDir: *dir, Out: stdout, Log: stderr}); err != nil {
		return fail(stderr, "demo", err)
	}
	return 0
}
