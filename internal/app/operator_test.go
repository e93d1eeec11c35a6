package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// testConfig has the settings of an installation in a folder.
func testConfig(t *testing.T, dir string) app.Config {
	t.Helper()
	cfg, err := app.LoadConfig("", env(map[string]string{
		"BELFRY_LISTEN":       "127.0.0.1:0",
		"BELFRY_KAFKA_LISTEN": "127.0.0.1:0",
		"BELFRY_DATA_DIR":     dir,
		"BELFRY_LOG_LEVEL":    "error",
	}))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func install(t *testing.T, dir string) error {
	t.Helper()
	a, err := app.Setup(t.Context(), testConfig(t, dir), "test", t.Output())
	if err != nil {
		return err
	}
	return a.Close()
}

// What works beside a server never makes a second installation in a folder that
// is the wrong one.
func TestACommandInTheWrongFolderMakesNoInstallation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "belfry-data")
	cfg := testConfig(t, dir)
	for name, command := range map[string]func() error{
		"login-link": func() error { _, err := app.LoginLink(t.Context(), cfg, ""); return err },
		"login-link --email": func() error {
			_, err := app.LoginLink(t.Context(), cfg, "ana@example.com")
			return err
		},
		"login-link --operator": func() error {
			_, err := app.AddOperator(t.Context(), cfg, "ana@example.com", "")
			return err
		},
		"migrate": func() error { return app.Migrate(t.Context(), cfg, func(string, []db.Applied) {}) },
	} {
		err := command()
		if err == nil || !strings.Contains(err.Error(), "no Belfry data in "+dir) ||
			!strings.Contains(err.Error(), "BELFRY_DATA_DIR") || !strings.Contains(err.Error(), "--config") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Fatalf("%s has made %s: %v", name, dir, err)
		}
	}
	if err := install(t, dir); err != nil {
		t.Fatal(err)
	}
	link, err := app.LoginLink(t.Context(), cfg, "")
	if err != nil || !strings.Contains(link, "/sign-in#link=") {
		t.Fatal(link, err)
	}
	if link, err = app.AddOperator(t.Context(), cfg, "ana@example.com", "Ana"); err != nil ||
		!strings.Contains(link, "/sign-in#link=") {
		t.Fatal(link, err)
	}
	if link, err = app.LoginLink(t.Context(), cfg, "ana@example.com"); err != nil || link == "" {
		t.Fatal(link, err)
	}
	if err := app.Migrate(t.Context(), cfg, func(string, []db.Applied) {}); err != nil {
		t.Fatal(err)
	}
}

func TestAMissingMasterKeyNeverHidesBehindANewOne(t *testing.T) {
	dir := t.TempDir()
	if err := install(t, dir); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "keys", "master.key")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if err := install(t, dir); err == nil || !strings.Contains(err.Error(), key+" is missing") {
		t.Fatal(err)
	}
	if _, err := os.Stat(key); !os.IsNotExist(err) {
		t.Fatalf("a new key was made: %v", err)
	}
	if err := os.WriteFile(key, text, 0o644); err != nil { //nolint:gosec // what the test is about
		t.Fatal(err)
	}
	if err := install(t, dir); err == nil || !strings.Contains(err.Error(), "chmod 600 "+key) {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := install(t, dir); err != nil {
		t.Fatal(err)
	}
}
