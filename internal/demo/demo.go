// Package demo shows Belfry to a new user: a shop whose settings can break it, weeks of its history, an inbox that
// receives the alert, and the audit log that proves the change.
//
//	belfry demo -> belfry serve (a process of its own) <- public API - setup, past
//	            -> the shop (a process of its own)     <- SDK, counts
//	            -> inbox (in this process)             <- webhooks, mail
//
// The demo uses Belfry only through its public API, as any customer does.
package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/demo/inbox"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/run"
)

// Options configure the demo.
type Options struct {
	Listen  string // a busy port is replaced by a free one
	DataDir string // empty = a temporary folder, removed at the end
	Out     io.Writer
	Log     io.Writer
}

// Ports that are tried first; a port in use is replaced by a free one.
const (
	kafkaAddress = "127.0.0.1:9092"
	shopAddress  = "127.0.0.1:8081"
	inboxAddress = "127.0.0.1:8082"
)

// demo is a running demo.
type demo struct {
	Options
	dir string
	api *client.Client // the installation's operator

	mu    sync.Mutex // guards what follows
	state State

	inbox  *inbox.Inbox
	server *child
	shop   *child

	said  string // last printed sentence, and the number of repeats; used by the story's goroutine alone
	again int
}

// Run runs the demo until ctx ends.
func Run(ctx context.Context, o Options) error {
	d := &demo{Options: o, dir: o.DataDir}
	if ignored := settingsOfOthers(os.Environ()); len(ignored) > 0 {
		fmt.Fprintf(o.Out, "The demo does not use %s from the environment; --data-dir keeps its data.\n",
			strings.Join(ignored, ", "))
	}
	if d.dir == "" {
		tmp, err := os.MkdirTemp("", "belfry-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		d.dir = tmp
	} else if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	serverUp := make(chan struct{})
	shopMay := make(chan struct{})
	shopUp := make(chan struct{})
	log := slog.New(slog.NewTextHandler(o.Log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return run.All(ctx, log,
		run.Stage{Name: "story", Run: func(ctx context.Context) error {
			return d.story(ctx, serverUp, shopMay, shopUp)
		}},
		run.Stage{Name: "old site", Run: func(ctx context.Context) error {
			if !wait(ctx, shopMay) {
				return nil
			}
			return d.quietTraffic(ctx)
		}},
		run.Stage{Name: "shop", Drain: stopTime, Run: func(ctx context.Context) error {
			if !wait(ctx, shopMay) {
				return nil
			}
			d.shop = d.part("shop", "shop: ready on ", d.shopEnv())
			return d.shop.Run(ctx, func() { close(shopUp) })
		}},
		run.Stage{Name: "server", Drain: stopTime, Run: func(ctx context.Context) error {
			return d.server.Run(ctx, func() { close(serverUp) })
		}},
		run.Stage{Name: "inbox", Run: d.inbox.Run},
	)
}

// wait reports whether c was closed before ctx ended.
func wait(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// settingsOfOthers returns the names of the BELFRY_ variables of an environment. They are the settings of an
// installation: with its database or data directory the demo would write its shop into real data.
func settingsOfOthers(environ []string) (names []string) {
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "BELFRY_") {
			names = append(names, name)
		}
	}
	return names
}

// open reserves the addresses and creates the parts; nothing runs yet.
func (d *demo) open() (err error) {
	s, err := loadState(d.dir)
	if err != nil {
		return err
	}
	wantInbox := firstOf(strings.TrimPrefix(s.Inbox, "http://"), inboxAddress)
	wantSMTP := firstOf(s.SMTP, "127.0.0.1:0")
	if wantInbox, err = freeAddress(wantInbox, "the inbox", d.Out); err != nil {
		return err
	}
	if wantSMTP, err = freeAddress(wantSMTP, "the inbox's mail", d.Out); err != nil {
		return err
	}
	if d.inbox, err = inbox.New(wantInbox, wantSMTP); err != nil {
		return err
	}
	d.inbox.Trust(s.Secret)
	s.Inbox = d.inbox.URL()
	s.SMTP = d.inbox.SMTP()
	if s.Listen, err = freeAddress(firstOf(s.Listen, d.Listen), "HTTP", d.Out); err != nil {
		return err
	}
	if s.Kafka, err = freeAddress(firstOf(s.Kafka, kafkaAddress), "Kafka", d.Out); err != nil {
		return err
	}
	shop, err := freeAddress(firstOf(strings.TrimPrefix(s.Shop, "http://"), shopAddress), "the shop", d.Out)
	if err != nil {
		return err
	}
	s.URL = "http://" + s.Listen
	s.Shop = "http://" + shop
	d.inbox.Beside(s.URL, s.Shop)
	if s.Bootstrap == "" {
		s.Bootstrap = id.Secret(40)
	}
	d.api = client.New(s.URL, s.Bootstrap)
	d.server = d.part("serve", "belfry: ready on ", []string{
		"BELFRY_LISTEN=" + s.Listen, "BELFRY_KAFKA_LISTEN=" + s.Kafka, "BELFRY_DATA_DIR=" + filepath.Join(d.dir, "belfry"),
		"BELFRY_BOOTSTRAP_TOKEN=" + s.Bootstrap, "BELFRY_EPOCH=2s", "BELFRY_LOG_LEVEL=warn", "BELFRY_LOG_FORMAT=text",
		"BELFRY_SMTP_URL=smtp://" + s.SMTP, "BELFRY_MAIL_FROM=belfry@belfry.example",
		"BELFRY_ALLOW_NETWORKS=127.0.0.0/8,::1/128", // the inbox
		"BELFRY_TOUR=" + s.Shop + " " + s.Inbox,
	})
	return d.update(func(now *State) {
		*now = s
		now.Ready = false
	})
}

// part creates a process of the demo.
func (d *demo) part(name, ready string, env []string) *child {
	return &child{
		part:  name,
		ready: ready,
		env:   env,
		log:   d.Log,
		told: func(x died) {
			if x.Part == "serve" {
				_ = d.update(func(s *State) { s.Server = x.Pid }) // it is printed below in any case
			}
			fmt.Fprintf(d.Out, "\n  %s  %s ended (%s) and was started again; ready after %v. All acknowledged data is "+
				"there.\n",
				time.Now().Format(time.TimeOnly), partNames[x.Part], x.How, x.Back.Round(10*time.Millisecond))
		},
	}
}

var partNames = map[string]string{"serve": "Belfry", "shop": "The shop"}

func (d *demo) shopEnv() []string {
	s := d.now()
	return []string{
		"BELFRY_URL=" + s.URL,
		"BELFRY_TOKEN=" + s.ShopToken,
		"BELFRY_ACCOUNT=" + s.Account,
		"SHOP_LISTEN=" + strings.TrimPrefix(s.Shop, "http://"),
		"SHOP_DATA_DIR=" + filepath.Join(d.dir, "shop"),
		"SHOP_BACK=" + nextStep(s),
	}
}

// nextStep is the page of the dashboard with the steps of the demo.
func nextStep(s State) string { return s.URL + "/accounts/" + s.Account + "#next" }

func (d *demo) now() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// update changes the state, in memory and in its file.
func (d *demo) update(change func(*State)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.state)
	return d.state.save(d.dir)
}

// story creates the data, prints the guide, and follows the audit log.
func (d *demo) story(ctx context.Context, serverUp, shopMay, shopUp chan struct{}) error {
	if !wait(ctx, serverUp) {
		return nil
	}
	if d.now().Account == "" {
		if err := d.setUp(ctx); err != nil {
			return unlessStopped(ctx, err)
		}
	}
	d.inbox.Back(nextStep(d.now()))
	close(shopMay)
	if !wait(ctx, shopUp) {
		return nil
	}
	link, err := d.signIn(ctx)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	size, err := d.recordSize(ctx)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	if err := d.update(func(s *State) {
		s.Ready = true
		s.SignIn = link
		s.Server = d.server.Pid()
	}); err != nil {
		return err
	}
	d.printGuide(size)
	return d.follow(ctx, size)
}

func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// freeAddress returns the address, or one with a free port when it is in use.
func freeAddress(want, what string, out io.Writer) (string, error) {
	l, err := net.Listen("tcp", want)
	if err != nil {
		host, _, splitErr := net.SplitHostPort(want)
		if splitErr != nil {
			return "", fmt.Errorf("the address of %s, %q, must be host:port", what, want)
		}
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
		fmt.Fprintf(out, "%s: the port of %s is taken; using %s\n", what, want, l.Addr())
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
