package notify_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/test/engines"
)

// What an older version stored as open stays open: Belfry's own alert under its
// own correlation id, a team's under the team's.
func TestOpenAlertsOfAnOlderVersionKeepTheirOwner(t *testing.T) {
	test := func(t *testing.T, url string) {
		cfg := db.Config{Feature: "notify", DataDir: t.TempDir(), URL: url}
		current := notify.Schema()
		cfg.Schemas = []db.Schema{bus.Schema(), schemaUpTo(t, "0002_order.sql")}
		d, err := db.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		const columns = `INSERT INTO alert (alert_key, account_id, id, root_key, type, event, state, correlation_id,
			severity, summary, zone_id, zone_name, environment, occurred_at, began_at, received_at, ended_at, digest,
			content, decision, unmatched, changes, changes_more, changes_state, told_at, acked_at, acked_by, submitted_by)
			VALUES `
		row := func(key, kind string) string {
			return columns + `('` + key + `', '` + acme + `', '` + key + `', '` + key + `', '` + kind +
				`', 'start', 'firing', '` + key + `', 'critical', '', '', '',
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
		cfg.Schemas = []db.Schema{bus.Schema(), current, delivery.Schema()}
		if d, err = db.Open(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for correlation, own := range map[string]bool{"burn": true, "down": false, "none": false} {
			var inCause, inAlert bool
			err := d.View(t.Context(), func(tx *db.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT c.own, COALESCE(a.own, FALSE)
					FROM cause c LEFT JOIN alert a ON a.alert_key = c.open_key
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

// oldDelivery is a row of the table of deliveries before the engine owned it.
func oldDelivery(id, state, heldFor, destination string, nextAt int64) []any {
	return []any{
		id,
		acme,
		3,
		"alert",
		"root",
		"correlation",
		"start",
		"policy",
		`The "shop" \ team`,
		destination,
		"webhook",
		"hook",
		"",
		state,
		"why",
		0,
		0,
		nextAt,
		1,
		0,
		heldFor,
	}
}

// TestDeliveriesOfAnOlderVersionAreKept upgrades a database from before the
// delivery engine.
func TestDeliveriesOfAnOlderVersionAreKept(t *testing.T) {
	test := func(t *testing.T, url string) {
		cfg := db.Config{Feature: "notify", DataDir: t.TempDir(), URL: url}
		cfg.Schemas = []db.Schema{bus.Schema(), schemaUpTo(t, "0004_own.sql")}
		d, err := db.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Hour).UnixMicro()
		columns := strings.Fields("id account_id shard alert_key root_key correlation_id event policy_id policy_name " +
			"destination_id kind mechanism replay_of state why attempts failures next_at created_at ended_at held_for")
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			for _, row := range [][]any{
				oldDelivery("d1", "waiting", "", "gone", 1),
				oldDelivery("d2", "waiting", `shop_down "x"`, "gone", later),
				oldDelivery("d3", "failed", "", "gone", 1),
			} {
				if err := tx.Insert(t.Context(), "delivery", columns, "", [][]any{row}); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), `INSERT INTO attempt
					(delivery_id, n, account_id, at, took, status, outcome, error, request, body, response, answer)
				VALUES ('d3', 1, $1, 1, 2, 500, 'failed', '', $2, $3, $2, $3)`, acme, []byte("[]"), []byte("body"))
			return err
		})
		if err == nil {
			err = d.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		w := newWorldIn(t, cfg, nil)
		until(t, "the waiting delivery is decided", func() bool {
			return w.count(`SELECT count(*) FROM delivery WHERE state = 'not_sent' AND id = 'd1'`) == 1
		})
		if n := w.count(`SELECT count(*) FROM delivery WHERE state = 'waiting' AND id = 'd2' AND hold_until > 1`); n != 1 {
			t.Error("what an interval held back is not held any more")
		}
		var one notify.Delivery
		w.must("GET", "/history/d3", nil, &one)
		if one.Policy != `The "shop" \ team` || one.Event != "start" || one.Mechanism != "hook" || one.State != "failed" ||
			len(one.Attempts) != 1 || one.Attempts[0].Body != "body" {
			t.Errorf("%+v", one)
		}
	}
	t.Run("sqlite", func(t *testing.T) { test(t, "") })
	t.Run("postgres", func(t *testing.T) { test(t, engines.Postgres(t)) })
}

// TestAnUpgradedDatabaseHasTheShapeOfANewOne compares the engine's tables of an
// upgraded database of notifications with those of a database that only the
// engine made.
func TestAnUpgradedDatabaseHasTheShapeOfANewOne(t *testing.T) {
	shape := func(schemas ...db.Schema) (tables []string) {
		d, err := db.Open(t.Context(), db.Config{Feature: "shape", DataDir: t.TempDir(), Schemas: schemas})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, table := range []string{"delivery", "attempt", "shard_owner", "node"} {
			err := d.View(t.Context(), func(tx *db.Tx) error {
				rows, err := tx.Query(t.Context(), `SELECT * FROM `+table)
				if err != nil {
					return err
				}
				defer rows.Close()
				columns, err := rows.ColumnTypes()
				for _, c := range columns {
					tables = append(tables, table+" "+c.Name()+" "+c.DatabaseTypeName())
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return tables
	}
	upgraded := shape(bus.Schema(), notify.Schema(), delivery.Schema())
	made := shape(delivery.Schema())
	if !slices.Equal(upgraded, made) {
		t.Errorf("upgraded %v\nmade %v", upgraded, made)
	}
}

// schemaUpTo is the feature's schema as it was when a migration was the last.
func schemaUpTo(t *testing.T, last string) db.Schema {
	t.Helper()
	current := notify.Schema()
	names, err := fs.Glob(current.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{}
	for _, name := range names {
		if name > last {
			continue
		}
		text, err := fs.ReadFile(current.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		old[name] = &fstest.MapFile{Data: text}
	}
	return db.Schema{Source: current.Source, Files: old}
}
