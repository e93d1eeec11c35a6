// Command shop is the example shop: see the README beside it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/belfryhq/belfry/examples/shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := shop.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
