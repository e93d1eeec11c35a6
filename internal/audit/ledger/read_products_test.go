package ledger_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
)

func TestEventsOfAllAccountsAreCountedByProductAndDay(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		today := start.UTC().Truncate(24 * time.Hour)
		add := func(account, id, product string, daysAgo int) {
			w.Append(account, minimal(members{
				"id":          id,
				"occurred_at": today.AddDate(0, 0, -daysAgo).Add(time.Hour).Format(time.RFC3339),
				"resource":    members{"product": product, "type": "record", "id": "r"},
			}))
		}
		r := ledger.NewReader(w.DB, ledger.SearchBudget)
		if list, err := r.ProductDays(t.Context(), today); err != nil || len(list) != 0 {
			t.Fatalf("%v %v", list, err)
		}
		if day, err := r.FirstDay(t.Context(), accountA); err != nil || !day.IsZero() {
			t.Fatalf("%v %v", day, err)
		}
		add(accountA, "a", "dns", 0)
		add(accountA, "b", "dns", 0)
		add(accountB, "c", "dns", 0)
		add(accountB, "d", "shop", 0)
		add(accountB, "e", "dns", 2)
		add(accountB, "old", "dns", 3)
		list, err := r.ProductDays(t.Context(), today.AddDate(0, 0, -2).Add(5*time.Hour))
		want := []ledger.ProductDay{{"dns", today, 3}, {"shop", today, 1}, {"dns", today.AddDate(0, 0, -2), 1}}
		if err != nil || len(list) != len(want) {
			t.Fatalf("%v %v", list, err)
		}
		for i := range want {
			if list[i] != want[i] {
				t.Errorf("%d: %v, want %v", i, list[i], want[i])
			}
		}
		for account, day := range map[string]time.Time{accountA: today, accountB: today.AddDate(0, 0, -3)} {
			if got, err := r.FirstDay(t.Context(), account); err != nil || !got.Equal(day) {
				t.Errorf("the log of %s begins on %v, %v", account, got, err)
			}
		}
	})
}
