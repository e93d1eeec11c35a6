package main

import (
	"context"
	"io"
	"os"

	"github.com/belfryhq/belfry/examples/shop"
)

// demoPartCommand is a process of the demo: `belfry demo` starts itself again
// in these parts. A part ends when its standard input does, so that none
// outlives the demo, however that dies.
func demoPartCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printf(stderr, "belfry demo-part: belfry demo starts this; the parts are serve and shop\n")
		return 2
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // nothing is ever written there; its end counts
	}()
	switch args[0] {
	case "serve":
		return serveCommand(ctx, args[1:], stdout, stderr)
	case "shop":
		return shop.Main(ctx, args[1:], stdout, stderr)
	}
	printf(stderr, "belfry demo-part: there is no part %q\n", args[0])
	return 2
}
