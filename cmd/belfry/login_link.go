package main

import (
	"context"
	"io"

	"github.com/belfryhq/belfry/internal/app"
)

func loginLinkCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("login-link", "login-link [flags]", "Prints a fresh one-time sign-in link (15 minutes). Works beside a running server, on its data directory or database.",
		"BELFRY_DATA_DIR=/var/lib/belfry belfry login-link --email ana@example.com", stderr)
	file := f.String("config", "", "config `file`, as for serve")
	email := f.String("email", "", "who signs in: the `address` of a known person; the default is the first operator")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	cfg, err := loadConfig(*file, "", stderr)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	link, err := app.LoginLink(ctx, cfg, *email)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	printf(stdout, "%s\n", link)
	return 0
}
