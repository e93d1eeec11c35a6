package notify_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/test/engines"
)

// What an older version stored as open stays open: Belfry's own alert under its
// own correlation id, a team's under the team's.
func TestOpenAlertsOfAnOlderVersionKeepTheirOwner(t *testing.T) {
	test := func(t *testing.T, url string) {
		cfg := db.Config{Feature: "notify", DataDir: t.TempDir(), URL: url}
		old := fstest.MapFS{}
		for _, name := range []string{"0001_notify.sql", "0002_order.sql"} {
			text, err := os.ReadFile(filepath.Join("schema", name))
			if err != nil {
				t.Fatal(err)
			}
			old[name] = &fstest.MapFile{Data: text}
		}
		current := notify.Schema()
		cfg.Schemas = []db.Schema{bus.Schema(), {Source: current.Source, Files: old}}
		d, err := db.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		const columns = `INSERT INTO alert (alert_key, account_id, id, root_key, type, event, state, correlation_id, severity, summary, zone_id, zone_name,
			environment, occurred_at, began_at, received_at, ended_at, digest, content, decision, unmatched, changes, changes_more, changes_state,
			told_at, acked_at, acked_by, submitted_by) VALUES `
		row := func(key, kind string) string {
			return columns + `('` + key + `', '` + acme + `', '` + key + `', '` + key + `', '` + kind + `', 'start', 'firing', '` + key + `', 'critical', '', '', '',
				'', 1, 1, 1, 0, $1, $1, $1, '', $1, 0, 'none', 0, 0, '', '')`
		}
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			for _, statement := range []string{row("burn", "belfry_budget_burn"), row("down", "shop_down")} {
				if _, err := tx.Exec(t.Context(), statement, []byte("{}")); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), `INSERT INTO cause (account_id, correlation_id, open_key, last_key, started_at)
				VALUES ($1, 'burn', 'burn', '', 1), ($1, 'down', 'down', '', 1), ($1, 'none', '', '', 0)`, acme)
			return err
		})
		if err == nil {
			err = d.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		cfg.Schemas[1] = current
		if d, err = db.Open(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for correlation, own := range map[string]bool{"burn": true, "down": false, "none": false} {
			var inCause, inAlert bool
			err := d.View(t.Context(), func(tx *db.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT c.own, COALESCE(a.own, FALSE) FROM cause c LEFT JOIN alert a ON a.alert_key = c.open_key
					WHERE c.account_id = $1 AND c.correlation_id = $2`, acme, correlation).Scan(&inCause, &inAlert)
			})
			if err != nil || inCause != own || inAlert != own {
				t.Errorf("%s: own is %v and %v, want %v; %v", correlation, inCause, inAlert, own, err)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) { test(t, "") })
	t.Run("postgres", func(t *testing.T) { test(t, engines.Postgres(t)) })
}
