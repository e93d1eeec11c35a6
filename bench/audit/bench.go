package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// bench is one run: its options, its data and the report that it fills.
type bench struct {
	options
	out     report.Report
	binary  string // the server
	keep    bool
	state   runState
	started time.Time
	running *measuredServer // one at a time

	postgres, kafka string  // URL and brokers; empty on SQLite
	httpCPU         float64 // us/event of all processes, HTTP batches on the empty database
}

// runState describes the data of a folder that a later run reuses.
type runState struct {
	Engine    string
	Database  string // PostgreSQL: the name of the run's own database
	MasterKey string
	Token     string
	One       string            // the account that holds the resident events
	Accounts  []string          // the others
	Tokens    map[string]string // by account: of those that publish by themselves
	Loaded    bool
	Made      uint64 // events generated so far: ids and times go on from here
}

// open prepares the folder, the database and the binary, and makes the accounts.
func open(ctx context.Context, o options) (*bench, error) {
	b := &bench{options: o, keep: o.dir != "", started: time.Now()}
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "belfry-bench")
		if err != nil {
			return nil, err
		}
		b.dir = dir
	}
	if o.engine != "sqlite" && o.engine != "postgres" {
		return nil, errors.New("-engine must be sqlite or postgres")
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, err
	}
	if err := b.loadState(); err != nil {
		return nil, err
	}
	if o.engine == "postgres" {
		if err := b.openPostgres(ctx); err != nil {
			return nil, err
		}
	}
	b.say("building the server")
	var err error
	if b.binary, err = process.Build(ctx, b.dir); err != nil {
		return nil, err
	}
	if err := b.save(); err != nil {
		return nil, err
	}
	return b, nil
}

// loadState reads what an earlier run left in the folder, or begins a new one.
func (b *bench) loadState() error {
	text, err := os.ReadFile(b.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		b.state = runState{
			Engine:    b.engine,
			MasterKey: base64.StdEncoding.EncodeToString(key),
			Token:     rand.Text() + rand.Text(),
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &b.state); err != nil {
		return err
	}
	if b.state.Engine != b.engine {
		return fmt.Errorf("%s holds the data of a run with -engine %s", b.dir, b.state.Engine)
	}
	return nil
}

// openPostgres makes the run's own database, which a kept folder finds again.
func (b *bench) openPostgres(ctx context.Context) error {
	server := os.Getenv("BELFRY_TEST_POSTGRES")
	b.kafka = os.Getenv("BELFRY_TEST_KAFKA")
	if server == "" || b.kafka == "" {
		return errors.New("-engine postgres needs BELFRY_TEST_POSTGRES and BELFRY_TEST_KAFKA; " +
			"`make engines` starts both and prints them")
	}
	u, err := url.Parse(server)
	if err != nil {
		return errors.New("BELFRY_TEST_POSTGRES is not a URL")
	}
	if b.state.Database == "" {
		if err := b.emptyBus(ctx); err != nil {
			return err
		}
		b.state.Database = fmt.Sprintf("belfry_bench_%d", time.Now().Unix())
		admin, err := sql.Open("pgx", server)
		if err != nil {
			return err
		}
		defer admin.Close()
		create := `CREATE DATABASE ` + b.state.Database + ` TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'`
		if _, err := admin.ExecContext(ctx, create); err != nil {
			return err
		}
	}
	u.Path = "/" + b.state.Database
	b.postgres = u.String()
	return nil
}

// emptyBus refuses a cluster that holds the events of an earlier run: a new
// database would begin with reading and rejecting them.
func (b *bench) emptyBus(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.kafka), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer cl.Close()
	answer, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("BELFRY_TEST_KAFKA: %w", err)
	}
	for _, t := range answer.Topics {
		if t.Topic != nil && *t.Topic == event.TopicAuditEvents {
			return errors.New("BELFRY_TEST_KAFKA has Belfry's topics already, and a new database would begin with rejecting " +
				"what is in them: start a fresh cluster (scripts/kafka.sh stop, scripts/kafka.sh start), or use the -dir of " +
				"the run that made them")
		}
	}
	return nil
}

func (b *bench) stateFile() string { return filepath.Join(b.dir, "bench.json") }

func (b *bench) save() error {
	text, err := json.Marshal(b.state, jsontext.WithIndent(" "))
	if err != nil {
		return err
	}
	return os.WriteFile(b.stateFile(), text, 0o600)
}

// close ends the server after an error and removes the data unless -dir keeps them.
func (b *bench) close() {
	if b.running != nil {
		if err := b.running.stop(); err != nil {
			b.say("the server: %v", err)
		}
	}
	if b.keep {
		return
	}
	os.RemoveAll(b.dir)
	if b.state.Database == "" {
		return
	}
	if admin, err := sql.Open("pgx", os.Getenv("BELFRY_TEST_POSTGRES")); err == nil {
		defer admin.Close()
		if _, err := admin.ExecContext(context.Background(),
			`DROP DATABASE IF EXISTS `+b.state.Database+` WITH (FORCE)`); err != nil {
			b.say("%v", err)
		}
	}
}

// say prints the progress to standard error.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(b.started).Seconds(), fmt.Sprintf(format, args...))
}

// settings are the server's, by name.
func (b *bench) settings() map[string]string {
	extra := map[string]string{"BELFRY_LOG_FORMAT": "text", "BELFRY_MASTER_KEY": b.state.MasterKey}
	if b.postgres != "" {
		extra["BELFRY_DATABASE_URL"] = b.postgres
		extra["BELFRY_KAFKA_BROKERS"] = b.kafka
	}
	return process.Settings(filepath.Join(b.dir, "data"), b.state.Token, extra)
}

// inProcess wires the server's parts in this process, for the loader.
func (b *bench) inProcess(ctx context.Context) (*app.App, error) {
	settings := b.settings()
	cfg, err := app.LoadConfig("", func(name string) (string, bool) { v, ok := settings[name]; return v, ok })
	if err != nil {
		return nil, err
	}
	return app.Setup(ctx, cfg, "bench", os.Stderr)
}

// makeAccounts makes the accounts that are missing.
func (b *bench) makeAccounts(ctx context.Context) error {
	if len(b.state.Accounts) >= b.accounts && b.state.One != "" {
		return nil
	}
	b.say("making %d accounts", b.accounts)
	a, err := b.inProcess(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	account := func(external string) (string, error) {
		id, err := a.Account.ResolveAccount(ctx, "ext:"+external)
		if errs.KindOf(err) != errs.NotFound {
			return id, err
		}
		made, err := a.Account.CreateAccount(ctx, app.Console(), external, external)
		return made.ID, err
	}
	if b.state.One, err = account("bench-one"); err != nil {
		return err
	}
	for i := len(b.state.Accounts); i < b.accounts; i++ {
		id, err := account(fmt.Sprintf("bench-%d", i))
		if err != nil {
			return err
		}
		b.state.Accounts = append(b.state.Accounts, id)
	}
	return b.save()
}
