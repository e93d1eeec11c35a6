package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Console is the principal of somebody at the machine's own console: whoever
// may read the data directory may do everything with it.
func Console() *web.Principal {
	return &web.Principal{Kind: web.KindSystem, ID: "console", Name: "the console", Superoperator: true}
}

// SetupLink makes the one-time link of a first start without a bootstrap token:
// "" when there is an operator or a token already.
func (a *App) SetupLink(ctx context.Context) (string, error) {
	if a.Config.BootstrapToken != "" || !a.Config.Has("api") {
		return "", nil
	}
	if has, err := a.Account.HasOperators(ctx); err != nil || has {
		return "", err
	}
	return a.LoginLink(ctx, "")
}

// LoginLink makes a one-time sign-in link for a person; "" is the first of the
// operators, who is made when there is none.
func (a *App) LoginLink(ctx context.Context, email string) (string, error) {
	return loginLink(ctx, a.Account, a.URL(), email)
}

// URL is how a browser reaches the server.
func (a *App) URL() string { return a.Config.ExternalURL }

func loginLink(ctx context.Context, d *account.Directory, base, email string) (string, error) {
	has, err := d.HasOperators(ctx)
	if err != nil {
		return "", err
	}
	if !has && (email == "" || email == account.FirstOperator) {
		_, link, err := d.AddOperator(ctx, Console(), account.FirstOperator, "Operator")
		return link, err
	}
	path, err := d.NewLoginLink(ctx, email)
	return base + path, err
}

// LoginLink makes a sign-in link beside a running server. It fails where there
// is no installation.
func LoginLink(ctx context.Context, cfg Config, email string) (string, error) {
	var link string
	err := withAccounts(ctx, cfg, func(d *account.Directory) (err error) {
		link, err = loginLink(ctx, d, cfg.ExternalURL, email)
		return err
	})
	return link, err
}

// AddOperator makes a person one of the operators, beside a running server, and
// gives a one-time sign-in link.
func AddOperator(ctx context.Context, cfg Config, email, name string) (string, error) {
	var link string
	err := withAccounts(ctx, cfg, func(d *account.Directory) (err error) {
		if name == "" {
			name = email
		}
		if _, link, err = d.AddOperator(ctx, Console(), email, name); err != nil || link != "" {
			return err
		}
		link, err = loginLink(ctx, d, cfg.ExternalURL, email) // they had signed in before
		return err
	})
	return link, err
}

// withAccounts opens the accounts of an installation that is there.
func withAccounts(ctx context.Context, cfg Config, fn func(*account.Directory) error) error {
	if err := requireData(ctx, cfg); err != nil {
		return err
	}
	d, err := openDB(ctx, cfg, "account", account.Schema())
	if err != nil {
		return err
	}
	defer d.Close()
	directory, err := account.New(account.Config{DB: d, ExternalURL: cfg.ExternalURL})
	if err != nil {
		return err
	}
	return fn(directory)
}

// requireData refuses to go on where there is no installation: only serve and
// demo make one. A command in the wrong folder would make a second.
func requireData(ctx context.Context, cfg Config) error {
	there, err := db.Exists(ctx, dbConfig(cfg, "account"))
	if err != nil || there {
		return err
	}
	if cfg.DatabaseURL != "" {
		return errors.New("no Belfry data in the database of BELFRY_DATABASE_URL: start belfry serve with it first, or set the URL of the one that is meant")
	}
	return fmt.Errorf("no Belfry data in %s: set BELFRY_DATA_DIR or --config to those of the server", cfg.DataDir)
}

// openDB opens one feature's database.
func openDB(ctx context.Context, cfg Config, feature string, own db.Schema) (*db.DB, error) {
	schemas := []db.Schema{bus.Schema(), own}
	switch feature {
	case "web":
		schemas = []db.Schema{own}
	case "notify":
		schemas = append(schemas, delivery.Schema())
	}
	c := dbConfig(cfg, feature)
	c.Schemas = schemas
	c.Cache = cacheOf(feature, cfg.SQLiteCacheMB)
	return db.Open(ctx, c)
}

// dbConfig says where a feature's database is.
func dbConfig(cfg Config, feature string) db.Config {
	return db.Config{Feature: feature, DataDir: filepath.Join(cfg.DataDir, "db"), URL: cfg.DatabaseURL}
}

// Migrate brings every database up to this version and lists what is applied.
// An empty PostgreSQL database is filled; an empty folder is most likely the
// wrong one, and is left alone.
func Migrate(ctx context.Context, cfg Config, tell func(feature string, applied []db.Applied)) error {
	if cfg.DatabaseURL == "" {
		if err := requireData(ctx, cfg); err != nil {
			return err
		}
	}
	for _, f := range features {
		d, err := openDB(ctx, cfg, f.name, f.schema())
		if err != nil {
			return err
		}
		list, err := d.Migrations(ctx)
		if err = errors.Join(err, d.Close()); err != nil {
			return err
		}
		tell(f.name, list)
	}
	return nil
}

// names remembers accounts' names for a short time: lists show one per event.
type names struct {
	ask func(ctx context.Context, id string) (string, error)

	mu    sync.Mutex // guards what follows
	known map[string]knownName
}

type knownName struct {
	name string
	at   time.Time
}

const (
	nameTime = 10 * time.Second
	maxNames = 10_000
)

// of gives the name; empty when it cannot be found.
func (n *names) of(ctx context.Context, id string) string {
	n.mu.Lock()
	k, ok := n.known[id]
	n.mu.Unlock()
	if ok && time.Since(k.at) < nameTime {
		return k.name
	}
	name, err := n.ask(ctx, id)
	if err != nil {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= maxNames {
		clear(n.known)
	}
	n.known[id] = knownName{name, time.Now()}
	return name
}
