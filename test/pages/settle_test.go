package pages_test

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"github.com/belfryhq/belfry/test/poll"
)

// later is ago, once everything of the time before is stored.
func (i *installation) later(ago time.Duration) {
	i.t.Helper()
	i.relayed()
	i.ago(ago)
}

// settle waits until no alert waits to be delivered, and nothing is in an outbox: Belfry's own events are in the audit
// log then, with the time of the clock before it goes on.
func (i *installation) settle() {
	i.t.Helper()
	poll.Until(i.t, "nothing waits to be delivered", func() bool {
		var list []struct{ State string }
		if err := json.Unmarshal(i.read("/accounts/"+i.full+"/alerting/v3/history"), &list); err != nil {
			i.t.Fatal(err)
		}
		for _, d := range list {
			if d.State == "waiting" || d.State == "sending" {
				return false
			}
		}
		return len(list) > 0
	})
	i.relayed()
}

// relayed waits until the outboxes of all features are empty.
func (i *installation) relayed() {
	i.t.Helper()
	files, err := filepath.Glob(filepath.Join(i.data, "db", "*.db"))
	if err != nil || len(files) == 0 {
		i.t.Fatalf("no databases in %s: %v", i.data, err)
	}
	poll.Until(i.t, "the outboxes are empty", func() bool {
		return !slices.ContainsFunc(files, func(file string) bool { return i.waiting(file) > 0 })
	})
}

// waiting is the number of messages in the outbox of a database.
func (i *installation) waiting(file string) int {
	i.t.Helper()
	d, err := sql.Open("sqlite", "file:"+file+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		i.t.Fatal(err)
	}
	defer d.Close()
	count := func(query string) (n int) {
		if err := d.QueryRowContext(i.t.Context(), query).Scan(&n); err != nil {
			i.t.Fatal(err)
		}
		return n
	}
	if count("SELECT count(*) FROM sqlite_schema WHERE name = 'outbox'") == 0 {
		return 0
	}
	return count("SELECT count(*) FROM outbox")
}
