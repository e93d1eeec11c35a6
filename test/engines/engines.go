// Package engines gives tests the real servers and programs they need.
//
// The variables BELFRY_TEST_POSTGRES, BELFRY_TEST_KAFKA, BELFRY_TEST_CHROMIUM,
// BELFRY_TEST_NODE, BELFRY_TEST_PYTHON and BELFRY_TEST_PROMETHEUS name what exists ("make test" sets them all). A test
// that asks for one that is not named is skipped, and fails where BELFRY_TEST_ALL=1 promises everything.
package engines

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
)

// patience bounds one administrative statement on a loaded machine.
const patience = time.Minute

// Postgres returns the URL of a fresh, empty database with collation C. The database is
// dropped when the test ends, with all of its connections.
func Postgres(t testing.TB) string {
	t.Helper()
	server := named(t, "BELFRY_TEST_POSTGRES", "PostgreSQL")
	return freshDatabase(t, server)
}

// Kafka returns the bootstrap brokers ("host:port,host:port") of a cluster that other
// tests use at the same time: topics and groups need names of their own.
func Kafka(t testing.TB) string {
	t.Helper()
	return named(t, "BELFRY_TEST_KAFKA", "Apache Kafka")
}

// Chromium returns the path of the browser.
func Chromium(t testing.TB) string {
	t.Helper()
	path := named(t, "BELFRY_TEST_CHROMIUM", "Chromium")
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("BELFRY_TEST_CHROMIUM: %v", err)
	}
	return path
}

// Node returns the folder whose node_modules hold the npm packages of the tests: scripts
// run with it as their working directory find them.
func Node(t testing.TB) string {
	t.Helper()
	folder := named(t, "BELFRY_TEST_NODE", "Node clients")
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
		t.Fatalf("BELFRY_TEST_NODE: %v (scripts/tools.sh node installs it)", err)
	}
	return folder
}

// Python returns the interpreter that has the packages of test/conformance/verify/python.
func Python(t testing.TB) string {
	t.Helper()
	path := named(t, "BELFRY_TEST_PYTHON", "Python")
	if out, err := exec.Command(path, "-c", "import cryptography").CombinedOutput(); err != nil {
		t.Fatalf("BELFRY_TEST_PYTHON: %v: %s (scripts/tools.sh python installs it)", err, out)
	}
	return path
}

// Prometheus returns the path of Prometheus.
func Prometheus(t testing.TB) string {
	t.Helper()
	path := named(t, "BELFRY_TEST_PROMETHEUS", "Prometheus")
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("BELFRY_TEST_PROMETHEUS: %v (scripts/tools.sh prometheus installs it)", err)
	}
	return path
}

// Promtool returns the path of promtool, which comes with Prometheus.
func Promtool(t testing.TB) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(Prometheus(t)), "promtool")
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("beside BELFRY_TEST_PROMETHEUS: %v", err)
	}
	return path
}

// Alertmanager returns the path of Alertmanager.
func Alertmanager(t testing.TB) string {
	t.Helper()
	path := named(t, "BELFRY_TEST_ALERTMANAGER", "Alertmanager")
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("BELFRY_TEST_ALERTMANAGER: %v (scripts/tools.sh alertmanager installs it)", err)
	}
	return path
}

// Missing ends a test for want of an engine: it skips, or fails where everything is
// promised. why says what is not there.
func Missing(t testing.TB, engine, why string) {
	t.Helper()
	if os.Getenv("BELFRY_TEST_ALL") == "1" {
		t.Fatalf("%s is missing though BELFRY_TEST_ALL=1: %s", engine, why)
	}
	t.Skipf("%s left out: %s", engine, why)
}

// named returns the value of variable, or ends the test for want of it.
func named(t testing.TB, variable, engine string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		Missing(t, engine, variable+" is not set")
	}
	t.Logf("engine: %s", engine) // counted by the command summary
	return value
}

func freshDatabase(t testing.TB, server string) string {
	t.Helper()
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal("BELFRY_TEST_POSTGRES is no URL of the form postgres://user:password@host:port/database")
	}
	name := "belfry_test_" + randomHex(8)
	// template0, so that neither the server's locale nor a changed template has an effect.
	execute(t, server, `CREATE DATABASE `+name+` TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`)
	t.Cleanup(func() { execute(t, server, `DROP DATABASE `+name+` WITH (FORCE)`) })
	address.Path = "/" + name
	return address.String()
}

// execute runs one statement on a connection of its own. It does not use t.Context, which
// has ended when cleanups run.
func execute(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatalf("PostgreSQL: %v", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		t.Fatalf("PostgreSQL: %s: %v", statement, err)
	}
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
