package conformance_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/engines"
)

const (
	eventTopic  = "belfry.audit.events"
	rejectTopic = "belfry.audit.rejects"
)

// kafkaClients publishes with clients that share no code with Belfry's bus.
func kafkaClients(t *testing.T, s *server) {
	t.Run("kcat", func(t *testing.T) {
		kcat := kcatPath(t)
		publish := exec.CommandContext(t.Context(), kcat, "-b", s.Brokers, "-P", "-t", eventTopic, "-k", s.account.ID, "-X",
			"acks=all")
		publish.Stdin = strings.NewReader(kafkaEvent(t, s, "kcat-1", nil) + "\n" + kafkaEvent(t, s, "kcat-2", nil) + "\n" +
			kafkaEvent(t, s, "kcat-bad", map[string]any{"colour": "red"}) + "\n")
		if out, err := publish.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		arrives(t, s, "kcat-1", "kcat-2")
		live.Eventually(t, "the refused event on "+rejectTopic, func() bool {
			out, err := exec.CommandContext(t.Context(), kcat, "-b", s.Brokers, "-C", "-t", rejectTopic, "-o", "beginning",
				"-e", "-q").CombinedOutput()
			return err == nil && strings.Contains(string(out), "colour")
		})
		live.Eventually(t, "the refused event among the account's rejects", func() bool {
			a := s.Call(t, s.Token, "GET", s.accountPath("/audit/rejects"), nil)
			return a.Status == http.StatusOK && strings.Contains(string(a.Result), "colour")
		})
	})
	t.Run("kafkajs", func(t *testing.T) {
		events := kafkaEvent(t, s, "kafkajs-1", nil) + "\n" + kafkaEvent(t, s, "kafkajs-2", nil)
		runScript(t, "publish.mjs", live.Environment(), s.Brokers, eventTopic, s.account.ID, events)
		arrives(t, s, "kafkajs-1", "kafkajs-2")
		// A refusal is read by the client as it comes: kafkajs has no codec but gzip.
		bad := kafkaEvent(t, s, "kafkajs-bad", map[string]any{"colour": "green"})
		runScript(t, "publish.mjs", live.Environment(), s.Brokers, eventTopic, s.account.ID, bad)
		runScript(t, "read.mjs", live.Environment(), s.Brokers, rejectTopic, "team-"+s.account.ID, "kafkajs-bad")
	})
}

// kcatPath is the path of kcat. It is an engine like the others: where all are promised
// its absence fails.
func kcatPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("kcat")
	if err != nil {
		engines.Missing(t, "kcat", "it is not installed")
	}
	return path
}

func kafkaEvent(t *testing.T, s *server, id string, more map[string]any) string {
	t.Helper()
	e := map[string]any{
		"account_id":  s.account.ID,
		"id":          id,
		"occurred_at": "2026-01-02T03:04:05.678901Z",
		"action":      map[string]string{"type": "update"},
		"actor":       map[string]string{"type": "system", "id": "kafka"},
		"interface":   "SYSTEM",
		"resource":    map[string]string{"product": "bus", "type": "message", "id": id},
	}
	for name, value := range more {
		e[name] = value
	}
	encoded, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// arrives waits until events that went over the bus are in the record, once each.
func arrives(t *testing.T, s *server, ids ...string) {
	t.Helper()
	for _, id := range ids {
		live.Eventually(t, "event "+id+" in the record", func() bool {
			return s.Call(t, s.Token, "GET", s.accountPath("/audit/events/"+id), nil).Status == http.StatusOK
		})
		a := s.Call(t, s.Token, "GET", s.accountPath("/audit_logs?id="+id), nil)
		items := decode[[]struct{ ID, When string }](t, a)
		if len(items) != 1 || items[0].ID != id || items[0].When != "2026-01-02T03:04:05.678901Z" {
			t.Errorf("event %s reads %.500s", id, a.Result)
		}
	}
}

// decode reads the result of an answer that must be a success.
func decode[T any](t *testing.T, a live.Answer) T {
	t.Helper()
	if !a.Success {
		t.Fatalf("status %d\n%.1000s", a.Status, a.Body)
	}
	return live.Decode[T](t, a.Result)
}
