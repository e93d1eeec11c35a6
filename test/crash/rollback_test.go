package crash_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/conformance/verifier"
	"github.com/belfryhq/belfry/test/poll"
)

// codeSigningStopped is the error that a customer gets when the log does not reproduce the signed tree.
const codeSigningStopped = 12006

func TestAnOldCopyOfTheDatabaseIsNotSigned(t *testing.T) {
	t.Parallel()
	for _, more := range []int{0, 3, 12} { // events after the restore: fewer than were lost, and more
		t.Run(fmt.Sprintf("and %d events more", more), func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			token := id.Secret(40)
			p := newProcess(t, token, "BELFRY_DATA_DIR="+data, "BELFRY_KAFKA_LISTEN=127.0.0.1:0")
			c := newClient(token, p)
			p.start()
			p.waitReady()
			account := newAccounts(t, c, 1)[0]
			publish(t, c, account, "before", 5)
			p.stop()
			backup := t.TempDir()
			if err := os.CopyFS(backup, os.DirFS(filepath.Join(data, "db"))); err != nil {
				t.Fatal(err)
			}

			p.start()
			p.waitReady()
			publish(t, c, account, "lost", 7)
			signed(t, c, account, 12)
			p.stop()
			if err := os.RemoveAll(filepath.Join(data, "db")); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(data, "db"), os.DirFS(backup)); err != nil {
				t.Fatal(err)
			}

			p.start()
			p.waitReady()
			if more > 0 {
				publish(t, c, account, "after", more)
			}
			refuses(t, c, account)
			p.stop()
			p.start() // it does not forget
			p.waitReady()
			refuses(t, c, account)
			p.stop()
		})
	}
}

// publish appends n events to a log.
func publish(t *testing.T, c *client, account, name string, n int) {
	t.Helper()
	for i := range n {
		e := newEvent(fmt.Sprintf("%s%s.%d", idPrefix, name, i))
		a, err := c.send(t.Context(), "POST", "/client/v4/accounts/"+account+"/audit/events", "application/json", e.encode())
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("publish: %v, status %d: %.300s", err, a.status, a.body)
		}
	}
}

// signed waits for a checkpoint of at least this size.
func signed(t *testing.T, c *client, account string, size int64) {
	t.Helper()
	key := verifierKey(t, c)
	poll.Until(t, fmt.Sprintf("a checkpoint of size %d", size), func() bool {
		text, err := c.get(t.Context(), "/client/v4/accounts/"+account+"/audit/log/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		checkpoint, err := verifier.OpenCheckpoint(text, key)
		if err != nil {
			t.Fatal(err)
		}
		return checkpoint.Size >= size
	})
}

// refuses checks that nothing is signed for the account, that customers and operators are
// shown why, and that the record can still be read.
func refuses(t *testing.T, c *client, account string) {
	t.Helper()
	for _, path := range []string{"checkpoint", "proof?event_id=" + idPrefix + "before.0"} {
		a, err := c.send(t.Context(), "GET", "/client/v4/accounts/"+account+"/audit/log/"+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct {
			Errors []struct{ Code int }
		}
		if err := json.Unmarshal(a.body, &envelope); err != nil || a.status != http.StatusServiceUnavailable ||
			len(envelope.Errors) != 1 || envelope.Errors[0].Code != codeSigningStopped {
			t.Errorf("%s of a log that was rolled back: status %d, want 503 with code %d: %.500s", path, a.status,
				codeSigningStopped, a.body)
		}
	}
	r, status := c.readiness(t)
	if reason := r.reasons(); status != http.StatusServiceUnavailable || !strings.Contains(reason, account) ||
		!strings.Contains(reason, "signing stopped") {
		t.Errorf("/readyz: status %d, %q; want 503 and that signing stopped for the account", status, reason)
	}
	if _, err := c.get(t.Context(), "/client/v4/accounts/"+account+"/audit/events/"+idPrefix+"before.0"); err != nil {
		t.Errorf("an event that is there cannot be read: %v", err)
	}
	began := time.Now()
	if a, err := c.send(t.Context(), "GET", "/healthz", "", nil); err != nil || a.status != http.StatusOK ||
		time.Since(began) > 10*time.Second {
		t.Errorf("/healthz: %v, status %d: a restart would cure nothing", err, a.status)
	}
}
