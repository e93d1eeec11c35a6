package main

import (
	"context"
	"io"

	"github.com/belfryhq/belfry/internal/app"
)

func loginLinkCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("login-link", "login-link [flags]",
		"Prints a fresh one-time sign-in link (15 minutes). Works beside a running server, on its data directory or "+
			"database;\nset BELFRY_DATA_DIR or --config as for serve. With --operator the address becomes an operator first.",
		"BELFRY_DATA_DIR=/var/lib/belfry belfry login-link --email ana@example.com", stderr)
	file := f.String("config", "", "config `file`, as for serve")
	email := f.String("email", "", "who signs in: the `address` of a known person; the default is the first operator")
	operator := f.Bool("operator", false, "make the address of --email an operator, who may do everything")
	name := f.String("name", "", "the new operator's `name`, with --operator")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	switch {
	case f.NArg() > 0:
		return usageError(f, stderr, "unexpected argument %q", f.Arg(0))
	case *operator && *email == "":
		return usageError(f, stderr, "--operator needs --email, the address of the new operator")
	case *name != "" && !*operator:
		return usageError(f, stderr, "--name goes with --operator")
	}
	cfg, err := loadConfig(*file, "", stderr)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	var link string
	if *operator {
		link, err = app.AddOperator(ctx, cfg, *email, *name)
	} else {
		link, err = app.LoginLink(ctx, cfg, *email)
	}
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	printf(stdout, "%s\n", link)
	return 0
}
