// Package shop is a small web shop that is integrated with Belfry as any
// product is: through the Go SDK, one HTTP request every ten seconds, and a
// catalogue file.
//
//	visitors -> storefront, checkout -> payment provider
//	              |-> access log, counts -> outbox on disk -> POST .../traffic/counts
//	settings page -> client.Audit (spool on disk) -> settings file
//
// Its settings are real: the payment timeout is how long a checkout waits for
// the provider, which sometimes takes 400 ms. Set it to 30 ms, and three of five
// checkouts fail.
package shop

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// The shop's two zones: who watches the checkout does not want the noise of
// the storefront.
const (
	CheckoutZone   = "checkout.shop.example"
	StorefrontZone = "www.shop.example"
)

// Config of a shop. URL, Token, Account and DataDir are required.
type Config struct {
	URL     string // of Belfry
	Token   string // with audit:write and traffic:write
	Account string // id, or ext:<external id>
	Listen  string // address of the shop; port 0 takes a free one
	DataDir string // settings, access log, what waits for Belfry
	Rate    int    // generated visits of the checkout a second; a quarter as many of the storefront; 0 = none

	Back  string            // address of the page that led here, for a link in the settings; "" = none
	Log   io.Writer         // what went wrong; nil = nowhere
	Ready func(addr string) // called with the shop's address when it serves; may be nil
}

// Main runs the shop with flags and environment until ctx ends, and gives the
// exit code: 0, 1 (it failed) or 2 (wrong usage).
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("shop", flag.ContinueOnError)
	f.SetOutput(stderr)
	env := func(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
	cfg := Config{
		Log:   stderr,
		Token: os.Getenv("BELFRY_TOKEN"),
		Ready: func(addr string) { fmt.Fprintf(stdout, "shop: ready on http://%s\n", addr) },
	}
	f.StringVar(&cfg.URL, "url", os.Getenv("BELFRY_URL"), "`address` of Belfry (BELFRY_URL)")
	f.StringVar(&cfg.Account, "account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (BELFRY_ACCOUNT)")
	f.StringVar(&cfg.Listen, "listen", env("SHOP_LISTEN", "127.0.0.1:8090"), "`address` of the shop (SHOP_LISTEN)")
	f.StringVar(&cfg.DataDir, "data-dir", env("SHOP_DATA_DIR", "./shop-data"),
		"`folder` of what the shop keeps (SHOP_DATA_DIR)")
	rate := f.String("rate", env("SHOP_RATE", "20"), "generated `visits` of the checkout a second, 0 to 1000 (SHOP_RATE)")
	f.StringVar(&cfg.Back, "back", os.Getenv("SHOP_BACK"), "`address` that the settings link back to (SHOP_BACK)")
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "A small shop that tells Belfry of its changes and its traffic.\n\nUsage: shop "+
			"[flags]    (the token is in BELFRY_TOKEN)\n\nFlags:\n")
		f.PrintDefaults()
		fmt.Fprintf(f.Output(), "\nExample:\n  BELFRY_TOKEN=blf_... shop -url http://127.0.0.1:8080 -account ext:acme\n")
	}
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	var err error
	if cfg.Rate, err = strconv.Atoi(*rate); err != nil || f.NArg() > 0 {
		fmt.Fprintf(stderr, "shop: -rate (SHOP_RATE) is a number and there are no further arguments\n")
		return 2
	}
	if err := cfg.check(); err != nil {
		fmt.Fprintf(stderr, "shop: %v\n", err)
		return 2
	}
	if err := Run(ctx, cfg); err != nil {
		fmt.Fprintf(stderr, "shop: %v\n", err)
		return 1
	}
	return 0
}

func (c *Config) check() error {
	var list []error
	for _, v := range []struct{ name, value string }{
		{"-url (BELFRY_URL)", c.URL},
		{"BELFRY_TOKEN", c.Token},
		{"-account (BELFRY_ACCOUNT)", c.Account},
		{"-data-dir (SHOP_DATA_DIR)", c.DataDir},
	} {
		if v.value == "" {
			list = append(list, fmt.Errorf("%s is required", v.name))
		}
	}
	if c.Rate < 0 || c.Rate > 1000 {
		list = append(list, fmt.Errorf("-rate (SHOP_RATE) is 0 to 1000, not %d", c.Rate))
	}
	return errors.Join(list...)
}

// shop is one that runs.
type shop struct {
	log      *log.Logger
	audit    *belfry.Client
	settings *settings
	traffic  *traffic
	provider *provider
	belfry   string // address of the account's pages in Belfry
	back     string // address that the settings link back to; "" = none
}

// The person who uses the settings page, until they say otherwise: the shop has
// no accounts of its own.
const (
	UserName  = "Sam Rivera"
	UserEmail = "sam@shop.example"
)

// Run opens the shop, serves until ctx ends, and hands over what it can before
// it returns; the rest waits in DataDir for the next start.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.check(); err != nil {
		return err
	}
	s := &shop{
		log:    log.New(cmp.Or[io.Writer](cfg.Log, io.Discard), "shop: ", 0),
		belfry: strings.TrimSuffix(cfg.URL, "/") + "/accounts/" + url.PathEscape(cfg.Account),
		back:   cfg.Back,
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return err
	}
	s.audit, err = belfry.New(belfry.Config{
		URL: cfg.URL, Token: cfg.Token, AccountID: cfg.Account, SpoolDir: filepath.Join(cfg.DataDir, "audit"),
		Linger: 10 * time.Millisecond, RetryMax: 2 * time.Second, HoldOff: 5 * time.Second,
		OnReject: func(r belfry.Rejected) { s.log.Printf("Belfry refused event %s: %v", r.ID, r.Errors) },
		OnError:  func(err error) { s.log.Printf("audit: %v", err) },
	})
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if waits := s.audit.Close(last); waits != nil {
			s.log.Printf("audit: %v", waits) // in the spool, until the next start
		}
	}()
	if s.settings, err = openSettings(settingsIn(cfg.DataDir)); err != nil {
		return err
	}
	if s.traffic, err = openTraffic(cfg, s.log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.traffic.close()) }()
	if s.provider, err = newProvider(); err != nil {
		return err
	}
	defer s.provider.close()
	listener, err := net.Listen("tcp", cmp.Or(cfg.Listen, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          s.log,
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	failed := make(chan error, 1)
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
			stop()
		}
	})
	addr := listener.Addr().String()
	running.Go(func() { s.traffic.report(ctx) })
	running.Go(func() { visit(ctx, addr, CheckoutZone, cfg.Rate, checkoutVisit) })
	running.Go(func() { visit(ctx, addr, StorefrontZone, (cfg.Rate+3)/4, storefrontVisit) })
	if cfg.Ready != nil {
		cfg.Ready(addr)
	}
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if server.Shutdown(last) != nil {
		server.Close()
	}
	running.Wait()
	s.traffic.hurry() // the last, unfinished interval
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
