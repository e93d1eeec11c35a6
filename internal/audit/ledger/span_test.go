package ledger_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
)

func TestSpansNeverHideAnEvent(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := rand.New(rand.NewPCG(7, 8))
		o := w.fillRandom(r, accountA, 4096+700)
		w.CheckDigests(accountA)
		var queries []ledger.Query
		for len(queries) < thorough(25, 6) {
			if q := o.randomQuery(r); slices.ContainsFunc(q.Filters, func(c record.Filter) bool {
				return len(c.Values) > 0 && !c.Not
			}) {
				queries = append(queries, q)
			}
		}
		check := func(when string) {
			t.Helper()
			for i, q := range queries {
				const most = 100
				want := o.list(q)
				got := w.walk(accountA, q, most)
				if len(got) < min(len(want), most) || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
					t.Fatalf("%s, query %d %+v: %d events, want %d", when, i, q, len(got), len(want))
				}
			}
		}
		check("with the spans")
		// A log that grew before there were spans is searched without, until they are made.
		w.Exec(`DELETE FROM span`)
		check("without spans")
		w.Append(accountA, minimal(members{"id": "later"}))
		if n := w.Count(`SELECT COUNT(*) FROM span`); n != 0 {
			t.Fatalf("%d spans without those before them", n)
		}
		if err := ledger.BuildSpans(t.Context(), w.Ledger); err != nil {
			t.Fatal(err)
		}
		w.CheckDigests(accountA)
		w.FillTo(accountA, 2*4096+1)
		w.CheckDigests(accountA)
		// What is erased is not to be guessed from a digest.
		stranger := record.FacetKeys(&record.Event{Actor: record.Actor{ID: "only here"}})[0]
		w.Append(accountB, minimal(members{"id": "x", "actor": members{"type": "user", "id": "only here"}}))
		w.FillTo(accountB, 4096)
		held := func() (yes bool) {
			var bloom []byte
			w.Scan(`SELECT s.bloom FROM span s JOIN account a ON a.key = s.account WHERE a.id = $1`, []any{accountB}, &bloom)
			return record.BloomMayHold(bloom, stranger)
		}
		if !held() {
			t.Fatal("the span denies what is in it")
		}
		if n, err := w.Erase(accountB, []int64{0}, []string{"/actor/id"}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if held() {
			t.Error("the span still holds who was erased")
		}
	})
}
