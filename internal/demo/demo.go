// Package demo runs Belfry on a real record, for somebody who looks around: the
// change history of the checkout it runs in, or a bundled public one, beside
// Belfry's own changes, which it records through the same door.
package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed" // the bundled history
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/history"
)

//go:embed data/history.ndjson.gz
var bundled []byte

// Options are the demo's choices.
type Options struct {
	Listen  string // a busy port is replaced by a free one
	DataDir string // empty = a temporary folder, removed at the end
	Version string
	Out     io.Writer // what the visitor reads
	Log     io.Writer
	Getenv  func(string) (string, bool)
}

// Ready is what a running demo offers.
type Ready struct {
	URL, SignIn, Token, Account, Kafka string
	Events                             int
}

// Run starts the demo and serves until ctx ends. ready is told when everything
// stands; it may be nil.
func Run(ctx context.Context, o Options, ready func(Ready)) error {
	dir := o.DataDir
	if dir == "" {
		tmp, err := os.MkdirTemp("", "belfry-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	cfg, err := config(o, dir)
	if err != nil {
		return err
	}
	a, err := app.Setup(ctx, cfg, o.Version, o.Log)
	if err != nil {
		return err
	}
	defer a.Close()
	// The import goes through the running parts; when it fails, they stop.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	filled := make(chan struct{})
	err = a.Run(ctx, func() {
		go func() {
			defer close(filled)
			r, err := fill(ctx, a, o)
			if err != nil {
				cancel(fmt.Errorf("demo: %w", err))
				return
			}
			r.tell(o.Out)
			if ready != nil {
				ready(r)
			}
		}()
	})
	<-filled
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// config is the server's configuration with what a demo sets by itself.
func config(o Options, dir string) (app.Config, error) {
	set := map[string]string{"BELFRY_DATA_DIR": dir, "BELFRY_EPOCH": "2s", "BELFRY_LOG_LEVEL": "warn", "BELFRY_LOG_FORMAT": "text"}
	var err error
	if set["BELFRY_LISTEN"], err = freeAddress(o.Listen, "HTTP", o.Out); err != nil {
		return app.Config{}, err
	}
	if set["BELFRY_KAFKA_LISTEN"], err = freeAddress("127.0.0.1:9092", "Kafka", o.Out); err != nil {
		return app.Config{}, err
	}
	return app.LoadConfig("", func(name string) (string, bool) {
		if v, ok := set[name]; ok {
			return v, true
		}
		return o.Getenv(name)
	})
}

// freeAddress gives the address, or one with a free port when it is taken.
func freeAddress(want, what string, out io.Writer) (string, error) {
	l, err := net.Listen("tcp", want)
	if err != nil {
		host, _, splitErr := net.SplitHostPort(want)
		if splitErr != nil {
			return "", fmt.Errorf("--listen %q must be host:port", want)
		}
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
		fmt.Fprintf(out, "%s: the port of %s is taken; using %s\n", what, want, l.Addr())
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// fill makes the demo's account and imports the record.
func fill(ctx context.Context, a *app.App, o Options) (Ready, error) {
	began := time.Now()
	by := app.Console()
	r := Ready{URL: a.URL(), Kafka: a.KafkaAddr()}
	source, commits := chooseHistory(ctx)
	acc, err := a.Account.UpsertAccount(ctx, by, "demo", source.Repository)
	if err != nil {
		return r, err
	}
	r.Account = acc.ID
	token, err := a.Account.CreateToken(ctx, by, acc.ID, account.TokenSpec{Name: "demo", Permissions: []string{account.Everything}})
	if err != nil {
		return r, err
	}
	r.Token = token.Value
	fmt.Fprintf(o.Out, "Importing the change history of %s ...", source.Repository)
	if r.Events, err = importHistory(ctx, a.Audit, acc.ID, source, commits); err != nil {
		return r, err
	}
	fmt.Fprintf(o.Out, " %d changes in %v\n", r.Events, time.Since(began).Round(10*time.Millisecond))
	// The link leads to the record, not to the operators' console.
	r.SignIn, err = a.LoginLink(ctx, "")
	r.SignIn += "&next=/accounts/" + acc.ID + "/audit"
	return r, err
}

// The checkout's history counts as a record worth looking at from here on.
const (
	minCommits = 200
	minAuthors = 3
	maxCommits = 2000 // the newest ones
)

// chooseHistory takes the history of the checkout, if it has one that is worth
// it, else the bundled one.
func chooseHistory(ctx context.Context) (history.Source, []history.Commit) {
	if commits, err := collect(history.FromGit(ctx, ".")); err == nil {
		authors := map[string]bool{}
		for _, c := range commits {
			authors[c.Email] = true
		}
		if len(commits) >= minCommits && len(authors) >= minAuthors {
			name := "this repository"
			if dir, err := os.Getwd(); err == nil {
				name = filepath.Base(dir)
			}
			return history.Source{Repository: name}, commits
		}
	}
	commits, err := bundledHistory()
	if err != nil {
		panic("the bundled history does not read: " + err.Error()) // it is part of the binary, and a test reads it
	}
	return history.Source{Repository: "harfbuzz", CommitURL: "https://github.com/harfbuzz/harfbuzz/commit/%s"}, commits
}

func bundledHistory() ([]history.Commit, error) {
	z, err := gzip.NewReader(bytes.NewReader(bundled))
	if err != nil {
		return nil, err
	}
	return collect(history.FromLines(z))
}

func collect(seq iter.Seq2[history.Commit, error]) ([]history.Commit, error) {
	var list []history.Commit
	for c, err := range seq {
		if err != nil {
			return list, err
		}
		if list = append(list, c); len(list) == maxCommits {
			break
		}
	}
	return list, nil
}

// importHistory appends the commits, the oldest first, as the import command
// does over HTTP.
func importHistory(ctx context.Context, f *audit.Feature, accountID string, s history.Source, commits []history.Commit) (int, error) {
	from := audit.Origin{By: audit.Submitter{Type: "system", ID: "demo"}, Account: accountID, Interface: "CLI"}
	n := 0
	var batch []*audit.Pending
	flush := func() error {
		err := f.Ledger().Append(ctx, batch, nil)
		batch = nil
		return err
	}
	for i := len(commits) - 1; i >= 0; i-- {
		events, err := s.Events(commits[i])
		if err != nil {
			return n, err
		}
		for _, e := range events {
			p, err := f.Intake().Prepare(ctx, from, e, audit.NewSeed())
			if err != nil {
				return n, err
			}
			if p.Status == audit.Rejected {
				return n, fmt.Errorf("commit %s: %w", commits[i].Hash, p.Faults)
			}
			batch = append(batch, p)
			n++
		}
		if len(batch) >= 1000 {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

// tell says what is where, and what to try.
func (r Ready) tell(out io.Writer) {
	fmt.Fprintf(out, `
belfry: ready on %[1]s

  Dashboard   %[2]s
              (signs you in once; 'belfry login-link' prints another while a server runs)
  API         %[1]s/client/v4   docs: %[1]s/docs
  Account     %[3]s  (or ext:demo)
  Token       %[4]s
  Kafka       %[5]s  topic belfry.audit.events

Try
  1. Open the dashboard: %[6]d changes by the people of a real project. Press ? for the keys, L for the live tail.
  2. Publish a change and see it arrive:
     curl -s %[1]s/client/v4/accounts/ext:demo/audit/events -H "Authorization: Bearer %[4]s" \
       -H 'Content-Type: application/json' -d '{"action":{"type":"update"},"actor":{"type":"user","id":"you"},
       "resource":{"product":"shop","type":"setting","id":"payment_timeout"},"before":{"ms":3000},"after":{"ms":30}}'
  3. Take the record away and prove it without this server:
     BELFRY_URL=%[1]s BELFRY_TOKEN=%[4]s go run ./cmd/belfry audit export --account ext:demo --out demo.ndjson
     go run ./cmd/belfry verify --export demo.ndjson --checkpoint demo.ndjson.checkpoint --key "$(cat demo.ndjson.key)"
     Change one byte of demo.ndjson and verify again.
  4. Stop with Ctrl-C.

`, r.URL, r.SignIn, r.Account, r.Token, r.Kafka, r.Events)
}
