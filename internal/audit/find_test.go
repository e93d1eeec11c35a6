package audit_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
)

func TestASearchDecodesFewEventsWhateverTheLogHolds(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Append(accountA, minimal(members{"id": "oldest-1", "actor": members{"type": "user", "id": "only-actor-1"}}))
		w.FillTo(accountA, 9000)
		w.Append(accountA, minimal(members{
			"id":    "newest-1",
			"actor": members{"type": "user", "id": "u-new", "name": "Ana Lima"},
		}))
		w.Append(accountB, minimal(members{"id": "foreign-1"}))
		s := audit.NewSearcher(w.DB, w.Clock.Now, 10*time.Second)
		for _, c := range []struct {
			kind, text string
			most       int64 // events that may be decoded
			want       string
		}{
			{"event", "oldest-1", 0, "oldest-1"},
			{"event", "fill-4000", 0, "fill-4000"},
			{"event", "foreign-1", 0, ""},
			{"event", "nothing", 0, ""}, // a word, not an id
			{"event", "only-actor-1", 5, "oldest-1"},
			{"actor", "ana", 1001, "u-new"},
			{"actor", "lim", 0, "u-new"}, // the census is kept
			{"actor", "only-actor-1", 0, ""},
			{"product", "dn", 0, "dns"},
			{"action", "a1", 0, "a1"},
			{"resource", "r-1", 0, "r-1"},
		} {
			before := s.Opened()
			list, err := s.Find(t.Context(), c.kind, accountA, c.text)
			if err != nil {
				t.Fatalf("%s %s: %v", c.kind, c.text, err)
			}
			got := ""
			if len(list) > 0 {
				got = list[0].ID
			}
			if opened := s.Opened() - before; got != c.want || opened > c.most {
				t.Errorf("%s %s finds %q and decodes %d events; want %q and at most %d",
					c.kind, c.text, got, opened, c.want, c.most)
			}
		}
		list, err := s.Find(t.Context(), "product", accountA, "")
		if err != nil || list[0].ID != "p" || list[0].Count != 8999 {
			t.Errorf("products are counted as %v, %v", list, err)
		}
	})
}
