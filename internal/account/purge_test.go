package account

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

func TestExpiredLinksAndSessionsAreDeleted(t *testing.T) {
	store, err := db.Open(t.Context(), db.Config{
		Feature: "account",
		DataDir: t.TempDir(),
		Schemas: []db.Schema{bus.Schema(), Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Now()
	f, err := New(Config{Env: feature.Env{DB: store, Now: func() time.Time { return now }}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(from time.Duration) int64 { return now.Add(from).UnixMicro() }
	err = store.Tx(t.Context(), func(tx *db.Tx) error {
		for i, ends := range []time.Duration{-time.Second, time.Second} {
			l := signInLink{personID: "p"}
			if err := insertLink(t.Context(), tx, Hash{byte(i)}, l, at(-time.Minute), at(ends)); err != nil {
				return err
			}
		}
		for i, s := range []struct{ used, ends time.Duration }{
			{-time.Hour, time.Hour},
			{-13 * time.Hour, time.Hour},
			{-time.Hour, -time.Second},
		} {
			one := Session{
				ID:         string(rune('a' + i)),
				PersonID:   "p",
				hash:       Hash{byte(i)},
				CreatedOn:  moment(at(-24 * time.Hour)),
				LastUsedOn: moment(at(s.used)),
				ExpiresOn:  moment(at(s.ends)),
			}
			if err := insertSession(t.Context(), tx, one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = store.View(t.Context(), func(tx *db.Tx) error {
		var links, sessions int
		err := tx.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM link), (SELECT count(*) FROM session)`).
			Scan(&links, &sessions)
		if err != nil {
			return err
		}
		if links != 1 || sessions != 1 {
			t.Errorf("%d links and %d sessions are left", links, sessions)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
