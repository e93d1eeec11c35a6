package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestTheScrubFindsWhatTheSignerTrusts(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.FillTo(accountA, 256*256+300) // a tile of the second level, one of the first behind it, and a tail
		w.FillTo(accountB, 3)
		s := w.Signer(w.DB, w.Memory())
		if found, err := ledger.ScrubRound(t.Context(), w.DB, s); err != nil || len(found) != 0 {
			t.Fatal(found, err)
		}
		w.Checkpoint(s, accountA)
		w.Unprotect()
		id := `(SELECT key FROM account WHERE id = '` + accountA + `')`
		pos := func(seq int) string {
			return fmt.Sprintf(`(SELECT pos FROM leaf WHERE account = %s AND seq = %d)`, id, seq)
		}
		for name, c := range map[string]struct{ change, restore, says string }{
			"an envelope in a full tile": {`UPDATE entry SET envelope = 'x' WHERE pos = ` + pos(1000),
				`UPDATE entry SET envelope = $1 WHERE pos = ` + pos(1000), "event 1000 "},
			"an envelope in the tail": {`UPDATE entry SET envelope = 'x' WHERE pos = ` + pos(65800),
				`UPDATE entry SET envelope = $1 WHERE pos = ` + pos(65800), "event 65800 "},
			"a leaf": {`UPDATE leaf SET hash = 'x' WHERE account = ` + id + ` AND seq = 70`,
				`UPDATE leaf SET hash = $1 WHERE account = ` + id + ` AND seq = 70`, "event 70 "},
			"the hashes of a tile": {`UPDATE tile SET hashes = 'x' WHERE account = ` + id + ` AND level = 0 AND n = 5`,
				`UPDATE tile SET hashes = $1 WHERE account = ` + id + ` AND level = 0 AND n = 5`, "tile 0/5"},
			"the root of a tile": {`UPDATE tile SET root = (SELECT root FROM tile WHERE account = ` + id +
				` AND level = 0 AND n = 8) WHERE account = ` + id + ` AND level = 0 AND n = 7`,
				`UPDATE tile SET root = $1 WHERE account = ` + id + ` AND level = 0 AND n = 7`, "tile 0/7"},
			"the hashes of a tile above": {`UPDATE tile SET hashes = 'x' WHERE account = ` + id + ` AND level = 1 AND n = 0`,
				`UPDATE tile SET hashes = $1 WHERE account = ` + id + ` AND level = 1 AND n = 0`, "tile 1/0"},
		} {
			var before []byte
			column := strings.Fields(c.restore)[3]
			from := strings.Replace(strings.SplitN(c.restore, " WHERE ", 2)[0], "UPDATE ", "", 1)
			table := strings.Fields(from)[0]
			w.Scan(`SELECT `+column+` FROM `+table+` WHERE `+strings.SplitN(c.restore, " WHERE ", 2)[1], nil, &before)
			w.Exec(c.change)
			found, err := ledger.ScrubRound(t.Context(), w.DB, s)
			if err != nil || len(found) != 1 || !strings.Contains(found[accountA], c.says) {
				t.Errorf("%s: %v %v", name, found, err)
			}
			if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s: ready says %v", name, err)
			}
			w.Clock.Add(2 * time.Second)
			if _, err := s.Checkpoint(t.Context(), accountA); !errs.Is(err, errs.CodeSigningStopped) {
				t.Errorf("%s: signed (%v)", name, err)
			}
			w.Checkpoint(s, accountB)
			w.Exec(c.restore, before)
			if found, err := ledger.ScrubRound(t.Context(), w.DB, s); err != nil || len(found) != 0 {
				t.Fatalf("%s, put back: %v %v", name, found, err)
			}
			w.Checkpoint(s, accountA)
			if err := s.Ready(); err != nil {
				t.Errorf("%s, put back: %v", name, err)
			}
		}
	})
}

func TestARollbackIsNoticedAtTheStart(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		memory := w.Memory()
		w.FillTo(accountA, 5)
		w.rollBack(func(*db.DB) {
			w.FillTo(accountA, 6)
			w.FillTo(accountB, 2)
			s := w.Signer(w.DB, memory)
			w.Checkpoint(s, accountA)
			w.Checkpoint(s, accountB)
		})
		s := w.Signer(w.DB, memory)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		deadline := time.Now().Add(20 * time.Second)
		for s.Ready() == nil && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "2 account(s)") ||
			!strings.Contains(err.Error(), "rolled back") {
			t.Errorf("ready: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
