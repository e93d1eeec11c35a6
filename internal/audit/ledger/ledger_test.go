package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestTheSameIDAgainIsADuplicateOrAConflict(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		same := complete("e-1", nil)
		reordered := strings.Replace(same, `"interface":"API",`, "", 1)
		reordered = `{ "interface" : "API", ` + reordered[1:]
		other := complete("e-1", members{"reason": members{"text": "another reason"}})
		personal := complete("e-1", members{"actor": members{"type": "staff", "id": "s-8"}})
		check := func(name string, p *ledger.Pending, status ledger.Status, seq int64) {
			t.Helper()
			if p.Status != status || p.Seq != seq {
				t.Errorf("%s: %s at %d, want %s at %d", name, p.Status, p.Seq, status, seq)
			}
			if conflict := errs.Is(p.Faults.Or(), errs.CodeEventConflict) &&
				len(p.Faults) > 0; conflict != (status == ledger.Conflict) {
				t.Errorf("%s: faults %+v", name, p.Faults)
			}
		}
		w.Append(accountA, complete("first", nil))
		// In one batch.
		batch := w.Append(accountA, same, reordered, other, personal, complete("e-2", nil), same)
		for i, want := range []ledger.Status{ledger.Accepted, ledger.Duplicate, ledger.Conflict, ledger.Conflict,
			ledger.Accepted, ledger.Duplicate} {
			seq := int64(1)
			if i == 4 {
				seq = 2
			}
			check(fmt.Sprintf("in the batch, %d", i), batch[i], want, seq)
		}
		if batch[1].Leaf != batch[0].Leaf || batch[1].RecordedAt != batch[0].RecordedAt {
			t.Error("the duplicate does not name what is stored")
		}
		// In another batch, later, from another sender.
		w.Clock.Add(time.Hour)
		again := w.Append(accountA, same, other, personal, reordered)
		for i, want := range []ledger.Status{ledger.Duplicate, ledger.Conflict, ledger.Conflict, ledger.Duplicate} {
			check(fmt.Sprintf("in the next batch, %d", i), again[i], want, 1)
		}
		if again[0].Leaf != batch[0].Leaf || again[0].RecordedAt != batch[0].RecordedAt {
			t.Error("the duplicate does not name what is stored")
		}
		// The same id belongs to another event in another account.
		check("another account", w.Append(accountB, same)[0], ledger.Accepted, 0)
		// In two calls of one flush.
		one := w.Prepare(accountA, complete("e-3", nil))
		two := w.Prepare(accountA, complete("e-3", nil))
		three := w.Prepare(accountA, complete("e-3", members{"reason": nil}))
		if err := errors.Join(ledger.FlushTogether(t.Context(), w.Ledger, ledger.Call{Events: one}, ledger.Call{Events: two},
			ledger.Call{Events: three})...); err != nil {
			t.Fatal(err)
		}
		check("first call of the flush", one[0], ledger.Accepted, 3)
		check("second call of the flush", two[0], ledger.Duplicate, 3)
		check("third call of the flush", three[0], ledger.Conflict, 3)
		if size, err := w.Reader.Size(t.Context(), accountA); err != nil || size != 4 {
			t.Errorf("%d events, %v", size, err)
		}
	})
}

func TestWhatBelfryFilledDoesNotMakeAConflict(t *testing.T) {
	w := newWorld(t, "")
	text := `{"id":"e-1","action":{"type":"a"},"actor":{"type":"user","id":"u"},` +
		`"resource":{"product":"p","type":"t","id":"r"}}`
	w.Append(accountA, text)
	w.Clock.Add(time.Minute)
	again := w.Append(accountA, text, strings.Replace(text, `"type":"a"`, `"type":"a","result":"success"`, 1),
		strings.Replace(text, `"id":"e-1",`, `"id":"e-1","interface":"CLI",`, 1))
	for i, want := range []ledger.Status{ledger.Duplicate, ledger.Duplicate, ledger.Conflict} {
		if again[i].Status != want {
			t.Errorf("%d: %s, want %s", i, again[i].Status, want)
		}
	}
}

func TestAZoneThatNobodyKnowsIsComparedByName(t *testing.T) {
	w := newWorld(t, "")
	w.Append(accountA, complete("e-1", members{"zone": "one.example"}))
	again := w.Append(accountA, complete("e-1", members{"zone": "two.example"}),
		complete("e-1", members{"zone": "one.example"}), complete("e-1", members{"zone": nil}))
	for i, want := range []ledger.Status{ledger.Conflict, ledger.Duplicate, ledger.Conflict} {
		if again[i].Status != want {
			t.Errorf("%d: %s, want %s", i, again[i].Status, want)
		}
	}
}

func TestTheOrderWithinAnAccountIsTheCallers(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var mixed []*ledger.Pending
		for i := range 600 {
			mixed = append(mixed, w.Prepare([]string{accountB, accountA, "0192f7c417d170008000000000000000"}[i%3],
				minimal(members{"id": fmt.Sprintf("e-%03d", i)}))...)
		}
		if err := w.Ledger.Append(t.Context(), mixed, nil); err != nil {
			t.Fatal(err)
		}
		next := map[string]int64{}
		for i, p := range mixed {
			if p.Seq != next[p.Account] || p.Status != ledger.Accepted {
				t.Fatalf("event %d: %s at %d, want %d", i, p.Status, p.Seq, next[p.Account])
			}
			next[p.Account]++
		}
		list, err := w.Reader.Range(t.Context(), accountA, 0, 1000, 1000)
		if err != nil || len(list) != 200 || list[199].Event.ID != "e-598" {
			t.Fatalf("%d %v", len(list), err)
		}
	})
}

func TestRecordedAtNeverDecreases(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		last := int64(0)
		for i, back := range []time.Duration{0, time.Second, -time.Hour, 30 * time.Minute, time.Hour} {
			w.Clock.Add(back)
			p := w.Append(accountA, minimal(members{"id": fmt.Sprint("e-", i)}))[0]
			if p.RecordedAt < last {
				t.Fatalf("event %d was recorded at %s, the one before at %s", i, record.FormatTime(p.RecordedAt),
					record.FormatTime(last))
			}
			last = p.RecordedAt
			rec, err := w.Reader.Get(t.Context(), accountA, p.Event.ID)
			if err != nil || rec.RecordedAt != record.FormatTime(p.RecordedAt) {
				t.Fatalf("%v %v", err, rec)
			}
		}
		if last != start.Add(30*time.Minute+time.Second).UnixMicro() {
			t.Fatalf("the clock caught up, and the event was recorded at %s", record.FormatTime(last))
		}
	})
}

func TestAFencedCallStoresNothingAndTheOthersDo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		ran := 0
		mine := w.Prepare(accountA, minimal(members{"id": "mine"}))
		fenced := w.Prepare(accountA, minimal(members{"id": "fenced"}))
		theirs := w.Prepare(accountB, minimal(members{"id": "theirs"}))
		failed := ledger.FlushTogether(t.Context(), w.Ledger,
			ledger.Call{Events: mine, Before: func(context.Context, *db.Tx) error { ran++; return nil }},
			ledger.Call{Events: fenced, Before: func(context.Context, *db.Tx) error { return bus.ErrFenced }},
			ledger.Call{Events: theirs},
		)
		if failed[0] != nil || !errors.Is(failed[1], bus.ErrFenced) || failed[2] != nil {
			t.Fatal(failed)
		}
		if mine[0].Status != ledger.Accepted || theirs[0].Status != ledger.Accepted || fenced[0].Status != "" || ran != 1 {
			t.Fatalf("%s %s %q, ran %d times", mine[0].Status, theirs[0].Status, fenced[0].Status, ran)
		}
		if _, err := w.Reader.Get(t.Context(), accountA, "fenced"); !errs.Is(err, errs.CodeNotFound) {
			t.Fatal(err)
		}
		if n := w.Count(`SELECT COUNT(*) FROM leaf`); n != 2 {
			t.Fatalf("%d leaves", n)
		}
	})
}

func TestOneCallThatFailsDoesNotTakeTheOthersWithIt(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		mine := w.Prepare(accountA, minimal(members{"id": "mine"}))
		bad := w.Prepare(accountB, minimal(members{"id": "bad"}))
		failed := ledger.FlushTogether(t.Context(), w.Ledger, ledger.Call{Events: mine},
			ledger.Call{Events: bad, Before: func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO counter (name, next) VALUES ('pos', 1)`) // is there already
				return err
			}},
		)
		if failed[0] != nil || failed[1] == nil {
			t.Fatal(failed)
		}
		if mine[0].Status != ledger.Accepted || mine[0].Seq != 0 {
			t.Fatalf("%s at %d", mine[0].Status, mine[0].Seq)
		}
		if n := w.Count(`SELECT COUNT(*) FROM leaf`); n != 1 {
			t.Fatalf("%d leaves", n)
		}
	})
}

func TestAFailedTransactionLeavesNoAnswerAndNoRows(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Append(accountA, minimal(members{"id": "before"}))
		grew := false
		w.Grown = func([]string) { grew = true }
		list := w.Prepare(accountA, minimal(members{"id": "lost"}))
		cause := errors.New("beside fails")
		if err := w.Ledger.Append(t.Context(), list, func(context.Context, *db.Tx) error { return cause }); !errors.Is(err,
			cause) {
			t.Fatal(err)
		}
		if list[0].Status != "" || grew {
			t.Fatalf("answered %q, grown %v", list[0].Status, grew)
		}
		for _, table := range []string{"leaf", "entry", "reading", "head"} {
			if n := w.Count(`SELECT COUNT(*) FROM ` + table); n != 1 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
		// The same event can be sent again, and is new.
		if p := w.Append(accountA, minimal(members{"id": "lost"}))[0]; p.Status != ledger.Accepted || p.Seq != 1 {
			t.Fatalf("%s at %d", p.Status, p.Seq)
		}
	})
}

func TestTheRecordRefusesChanges(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Append(accountA, complete("e-1", nil))
		statements := []string{`UPDATE leaf SET hash = hash`, `DELETE FROM leaf`, `UPDATE entry SET envelope = envelope`,
			`DELETE FROM entry`}
		if w.URL != "" {
			statements = append(statements, `TRUNCATE leaf`, `TRUNCATE entry`)
		}
		for _, s := range statements {
			if err := w.Try(s); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v", s, err)
			}
		}
		if n := w.Count(`SELECT COUNT(*) FROM leaf`) + w.Count(`SELECT COUNT(*) FROM entry`); n != 2 {
			t.Errorf("%d rows", n)
		}
		// What opens the record may go.
		if err := w.Try(`UPDATE reading SET openings = openings`); err != nil {
			t.Error(err)
		}
	})
}

func TestARollupEqualsACount(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		want := map[string]int64{}
		for round := range 3 {
			var list []string
			for i := range 300 {
				day := time.Date(2026, 11, 1+i%5, 23, 59, 59, 999_999_000, time.UTC)
				product := fmt.Sprint("p", i%3)
				action := fmt.Sprint("a", i%2)
				actor := []string{"user", "system"}[i%2]
				// two thirds are new, the ids of the others too
				list = append(list, minimal(members{
					"id":          fmt.Sprint(round, "-", i-round*100),
					"occurred_at": day.Format(time.RFC3339Nano),
					"resource":    members{"product": product, "type": "t", "id": "r"},
					"action":      members{"type": action},
					"actor":       members{"type": actor, "id": "u"},
				}))
			}
			for _, p := range w.Append(accountA, append(list, list[:50]...)...) {
				if p.Status == ledger.Accepted {
					want[fmt.Sprintf("%s/%s/%s/%s", p.Event.OccurredAt[:10], p.Event.Resource.Product, p.Event.Action.Type,
						p.Event.Actor.Type)]++
				}
			}
		}
		if got := w.Count(`SELECT COUNT(*) FROM rollup`); got != int64(len(want)) {
			t.Errorf("%d rows, want %d", got, len(want))
		}
		for k, n := range want {
			part := strings.Split(k, "/")
			day, _ := time.Parse(time.DateOnly, part[0])
			got := w.Count(`SELECT COALESCE(SUM(n), 0)
				FROM rollup WHERE day = $1 AND product = $2 AND action = $3 AND actor_type = $4`, day.Unix()/86400, part[1],
				part[2], part[3])
			if got != n {
				t.Errorf("%s: %d, want %d", k, got, n)
			}
		}
	})
}

func TestAFilledIDIsNotLookedUp(t *testing.T) {
	w := newWorld(t, "")
	filled := w.Append(accountA, minimal(nil))
	given := w.Append(accountA, minimal(members{"id": "given"}))
	for _, c := range []struct {
		list []*ledger.Pending
		want int
	}{{filled, 0}, {given, 1}} {
		if got, err := ledger.LookedUp(t.Context(), w.DB, w.Clock.Now, c.list); err != nil || got != c.want {
			t.Errorf("%s: found %d (%v), want %d", c.list[0].Event.ID, got, err, c.want)
		}
	}
}

func TestIDsThatLookAlikeAreDifferentEvents(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		ids := []string{"0192f0c1a2b37c4d8e5f60718293a4b5", "0192f0c1-a2b3-7c4d-8e5f-60718293a4b5",
			"0192F0C1A2B37C4D8E5F60718293A4B5", "0192f0c1-a2b37c4d-8e5f-60718293a4b5", "0192f0c1a2b37c4d8e5f60718293a4b", "a",
			"A"}
		for i, id := range ids {
			if p := w.Append(accountA, complete(id, members{"change_set": id}))[0]; p.Status != ledger.Accepted ||
				p.Seq != int64(i) {
				t.Fatalf("%s: %s", id, p.Status)
			}
		}
		for _, id := range ids {
			if rec, err := w.Reader.Get(t.Context(), accountA, id); err != nil || rec.Event.ID != id ||
				rec.Event.ChangeSet != id {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

// BenchmarkAppend stores batches of 4,000 events of 3,000 accounts; the time is
// that of one event, without its preparation.
func BenchmarkAppend(b *testing.B) {
	w := newWorld(b, "")
	n := 0
	for b.Loop() {
		b.StopTimer()
		var list []*ledger.Pending
		for i := range 4000 {
			list = append(list, w.Prepare(fmt.Sprintf("0192f7c417d17000800000000000%04x", i*i%3000),
				complete(fmt.Sprint("e-", n), members{
					"resource": members{"product": "dns", "type": "record", "id": fmt.Sprint(i)},
				}))...)
			n++
		}
		b.StartTimer()
		if err := w.Ledger.Append(b.Context(), list, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}
