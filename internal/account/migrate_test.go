package account_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/test/engines"
)

// TestPeopleFromBeforeConsentWasAskedKeepTheirAccounts opens what an older
// version has written.
func TestPeopleFromBeforeConsentWasAskedKeepTheirAccounts(t *testing.T) {
	test := func(t *testing.T, cfg db.Config) {
		cfg.Feature = "account"
		old := fstest.MapFS{}
		for _, name := range []string{"0001_account.sql", "0002_token_creator.sql"} {
			text, err := os.ReadFile(filepath.Join("schema", name))
			if err != nil {
				t.Fatal(err)
			}
			old[name] = &fstest.MapFile{Data: text}
		}
		before := cfg
		before.Schemas = []db.Schema{bus.Schema(), {Source: "account", Files: old}, web.Schema()}
		d, err := db.Open(t.Context(), before)
		if err != nil {
			t.Fatal(err)
		}
		acme, globex := "01a200000000700080000000000000a1", "01a200000000700080000000000000a2"
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			for _, statement := range []string{
				`INSERT INTO account (id, name, created_at, modified_at) VALUES
					('` + acme + `', 'Acme', 1, 1),
					('` + globex + `', 'Globex', 1, 1)`,
				`INSERT INTO person (id, email, name, password, staff, home, created_at, signed_in_at) VALUES
					('p1', 'ana@example.com', 'Ana', '', FALSE, '', 1, 5),
					('p2', 'bo@example.com', 'Bo', '', FALSE, '` + acme + `', 1, 5)`,
				`INSERT INTO member (account_id, person_id, role, created_at) VALUES
					('` + acme + `', 'p1', 'owner', 3),
					('` + globex + `', 'p1', 'viewer', 4),
					('` + acme + `', 'p2', 'viewer', 3)`,
				`INSERT INTO zone (id, account_id, name, environment, created_at, modified_at) VALUES
					('01a200000000700080000000000000f1', '` + acme + `', 'bücher.example', 'production', 1, 1)`,
				`INSERT INTO zone_ref (account_id, ref, zone_id, position) VALUES
					('` + acme + `', 'bücher.example', '01a200000000700080000000000000f1', 0)`,
			} {
				if _, err := tx.Exec(t.Context(), statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err = errors.Join(err, d.Close()); err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, cfg)
		for accountID, members := range map[string]int{acme: 2, globex: 1} {
			list := f.call(root, "GET", "/accounts/"+accountID+"/members", nil).ok().List
			if len(list) != members {
				t.Fatalf("%v", list)
			}
			for _, member := range list {
				if member["status"] != account.StatusActive {
					t.Errorf("%v", member)
				}
			}
		}
		ana := f.signIn(f.call(root, "POST", "/accounts/"+acme+"/members/p1/sign_in_link", nil).ok().text("url"))
		f.call(ana, "GET", "/accounts/"+globex, nil).ok()
		f.call(root, "DELETE", "/accounts/"+acme+"/members/p2", nil).ok()
		z := f.call(root, "GET", "/accounts/"+acme+"/zones/xn--bcher-kva.example", nil).ok()
		if z.text("name") != "bücher.example" || z.Result["verified"] != true {
			t.Error(z.Body)
		}
	}
	t.Run("sqlite", func(t *testing.T) { test(t, db.Config{DataDir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { test(t, db.Config{URL: engines.Postgres(t)}) })
}
