package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/belfryhq/belfry/internal/app"
)

func serveCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("serve", "serve [flags]",
		"Runs Belfry. Settings come from the environment (BELFRY_LISTEN, BELFRY_DATA_DIR, ...) and the config "+
			"file;\ndocs/guide/configure.md lists them.",
		"BELFRY_DATA_DIR=/var/lib/belfry belfry serve", stderr)
	file := f.String("config", "", "config `file` (YAML: the settings' names in lower case without BELFRY_)")
	roles := f.String("roles", "", "what this process does: all, or some of "+strings.Join(app.RoleNames(), ","))
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	cfg, err := loadConfig(*file, *roles, stderr)
	if err != nil {
		return fail(stderr, "serve", err)
	}
	a, err := app.Setup(ctx, cfg, buildVersion(), stderr)
	if err != nil {
		return fail(stderr, "serve", err)
	}
	defer a.Close()
	err = a.Run(ctx, func() {
		scheme := "http"
		if cfg.TLSCert != "" {
			scheme = "https"
		}
		printf(stdout, "belfry: ready on %s://%s\n", scheme, a.Addr())
		if k := a.KafkaAddr(); k != "" {
			printf(stdout, "belfry: kafka on %s\n", k)
		}
		link, err := a.SetupLink(ctx)
		if err != nil {
			a.Log.Error("no setup link could be made", "error", err)
		} else if link != "" {
			printf(stdout, "belfry: nobody can sign in yet; open this link once to become the operator: %s\n", link)
		}
	})
	if err != nil {
		return fail(stderr, "serve", err)
	}
	return 0
}

// loadConfig reads the settings for a command that works on the installation.
func loadConfig(file, roles string, stderr io.Writer) (app.Config, error) {
	cfg, err := app.LoadConfig(file, os.LookupEnv)
	if err != nil {
		return cfg, err
	}
	if roles != "" {
		cfg.Roles = strings.Split(roles, ",")
		for _, r := range cfg.Roles {
			if r != "all" && !strings.Contains(","+strings.Join(app.RoleNames(), ",")+",", ","+r+",") {
				return cfg, fmt.Errorf("--roles: %q is not a role; there are all, %s", r, strings.Join(app.RoleNames(), ", "))
			}
		}
	}
	if cfg.LogFormat == "" && isTerminal(stderr) {
		cfg.LogFormat = "text"
	}
	return cfg, nil
}
