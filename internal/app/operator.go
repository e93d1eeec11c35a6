package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Console is the principal of the machine's console: a user who may read the data accounts may change everything in
// it.
func Console() *web.Principal {
	return &web.Principal{Kind: web.KindSystem, ID: "console", Name: "the console", Superoperator: true}
}

// SetupLink makes the one-time link of a first start without a bootstrap token;
// "" if there is an operator or a token.
func (a *App) SetupLink(ctx context.Context) (string, error) {
	if a.Config.BootstrapToken != "" || !a.Config.Has("api") {
		return "", nil
	}
	if has, err := a.Account.HasOperators(ctx); err != nil || has {
		return "", err
	}
	return a.LoginLink(ctx, "")
}

// LoginLink makes a one-time sign-in link for the person with an address; "" is the
// first operator, who is created if there is none.
func (a *App) LoginLink(ctx context.Context, email string) (string, error) {
	return loginLink(ctx, a.Account, a.URL(), email)
}

// URL is the public URL of the server.
func (a *App) URL() string { return a.Config.ExternalURL }

func loginLink(ctx context.Context, accounts *account.Feature, base, email string) (string, error) {
	has, err := accounts.HasOperators(ctx)
	if err != nil {
		return "", err
	}
	if !has && (email == "" || email == account.FirstOperator) {
		_, link, err := accounts.AddOperator(ctx, Console(), account.FirstOperator, "Operator")
		return link, err
	}
	path, err := accounts.NewLoginLink(ctx, email)
	return base + path, err
}

// LoginLink makes a sign-in link while a server runs. It fails where there is no installation.
func LoginLink(ctx context.Context, cfg Config, email string) (string, error) {
	var link string
	err := withAccounts(ctx, cfg, func(accounts *account.Feature) (err error) {
		link, err = loginLink(ctx, accounts, cfg.ExternalURL, email)
		return err
	})
	return link, err
}

// AddOperator makes a person one of the operators, while a server runs, and returns a one-time sign-in link.
func AddOperator(ctx context.Context, cfg Config, email, name string) (string, error) {
	var link string
	err := withAccounts(ctx, cfg, func(accounts *account.Feature) (err error) {
		if name == "" {
			name = email
		}
		if _, link, err = accounts.AddOperator(ctx, Console(), email, name); err != nil || link != "" {
			return err
		}
		link, err = loginLink(ctx, accounts, cfg.ExternalURL, email) // they had signed in before
		return err
	})
	return link, err
}

// withAccounts opens the accounts of an existing installation.
func withAccounts(ctx context.Context, cfg Config, fn func(*account.Feature) error) error {
	if err := requireData(ctx, cfg); err != nil {
		return err
	}
	d, err := openDB(ctx, cfg, account.Manifest)
	if err != nil {
		return err
	}
	defer d.Close()
	accounts, err := account.New(account.Config{Env: feature.Env{DB: d, URL: cfg.ExternalURL}})
	if err != nil {
		return err
	}
	return fn(accounts)
}
