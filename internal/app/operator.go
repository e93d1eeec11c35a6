package app

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// firstOperator is who the setup link signs in; the person changes the name and
// adds the others.
const firstOperator = "operator@localhost"

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
	return a.LoginLink(ctx, firstOperator)
}

// LoginLink makes a one-time sign-in link for a person, who is made an operator
// when nobody is one yet.
func (a *App) LoginLink(ctx context.Context, email string) (string, error) {
	return loginLink(ctx, a.Account, a.URL(), email)
}

// URL is how a browser reaches the server.
func (a *App) URL() string { return a.Config.ExternalURL }

func loginLink(ctx context.Context, d *account.Directory, base, email string) (string, error) {
	if email == "" {
		email = firstOperator
	}
	if email == firstOperator {
		if has, err := d.HasOperators(ctx); err != nil {
			return "", err
		} else if !has {
			if _, err := d.AddOperator(ctx, Console(), email, "Operator"); err != nil {
				return "", err
			}
		}
	}
	path, err := d.NewLoginLink(ctx, email)
	return base + path, err
}

// LoginLink makes a sign-in link beside a running server.
func LoginLink(ctx context.Context, cfg Config, email string) (string, error) {
	d, err := openDB(ctx, cfg, "account", account.Schema())
	if err != nil {
		return "", err
	}
	defer d.Close()
	directory, err := account.New(account.Config{DB: d, ExternalURL: cfg.ExternalURL})
	if err != nil {
		return "", err
	}
	return loginLink(ctx, directory, cfg.ExternalURL, email)
}

// openDB opens one feature's database.
func openDB(ctx context.Context, cfg Config, feature string, own db.Schema) (*db.DB, error) {
	schemas := []db.Schema{bus.Schema(), own}
	if feature == "web" {
		schemas = []db.Schema{own}
	}
	return db.Open(ctx, db.Config{Feature: feature, DataDir: filepath.Join(cfg.DataDir, "db"), URL: cfg.DatabaseURL, Schemas: schemas,
		Cache: cacheOf(feature, cfg.SQLiteCacheMB)})
}

// Migrate brings every database up to this version and lists what is applied.
func Migrate(ctx context.Context, cfg Config, tell func(feature string, applied []db.Applied)) error {
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
