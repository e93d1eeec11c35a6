// Package conformance_test runs the real server and lets clients that others wrote use it:
// the official API clients in Go and JavaScript, kcat and kafkajs, and a verifier that
// shares no code with Belfry. It compares content field by field, pages to the end and
// provokes the errors; that a call succeeds proves little.
package conformance_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/engines"
)

// A server is a running belfry and the account that the tests share.
type server struct {
	*live.Server
	account account
}

type account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// binary is the program under test, built once; TestMain sets it.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "belfry-conformance")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = live.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func TestTheEmbeddedServerKeepsItsContracts(t *testing.T) {
	contracts(t, start(t))
}

func TestTheServerOnPostgresAndKafkaKeepsItsContracts(t *testing.T) {
	database := engines.Postgres(t)
	brokers := engines.StartKafka(t).URL() // of its own: the topics' names are fixed
	key := make([]byte, 32)
	rand.Read(key) // never fails, see crypto/rand
	contracts(t, start(t,
		"BELFRY_DATABASE_URL="+database,
		"BELFRY_KAFKA_BROKERS="+brokers,
		"BELFRY_MASTER_KEY="+base64.StdEncoding.EncodeToString(key)))
}

func contracts(t *testing.T, s *server) {
	f := seed(t, s)
	t.Run("the official Go client reads what was written", func(t *testing.T) { goClient(t, s, f) })
	t.Run("the official JavaScript client reads what was written", func(t *testing.T) { nodeClient(t, s, f) })
	t.Run("the official JavaScript client works with accounts and zones", func(t *testing.T) {
		runScript(t, "accounts.mjs", clientEnvironment(s, f))
	})
	t.Run("Kafka clients of others publish", func(t *testing.T) { kafkaClients(t, s) })
	t.Run("every intake answer is final", func(t *testing.T) { intake(t, s, f) })
	t.Run("every error is an envelope that is not retried", func(t *testing.T) { failures(t, s, f) })
	t.Run("an independent verifier accepts the record", func(t *testing.T) { proofs(t, s, f) })
}

// start starts belfry with a fresh data directory. It is stopped when the test ends, and
// must then end well.
func start(t *testing.T, settings ...string) *server {
	t.Helper()
	settings = append(settings, "BELFRY_ALLOW_NETWORKS=127.0.0.0/8") // the receivers of webhooks
	s, err := live.Start(binary, t.TempDir(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if defects := s.Defects(); len(defects) > 0 {
			t.Errorf("belfry reported defects of its own:\n%s", strings.Join(defects, "\n"))
		}
		if t.Failed() {
			t.Logf("the last of what belfry printed:\n%s", s.Tail())
		}
	})
	return &server{Server: s}
}

func (s *server) accountPath(rest string) string { return "/accounts/" + s.account.ID + rest }
