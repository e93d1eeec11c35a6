package ledger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/audit/verify"
)

func TestAnErasureTakesThePersonAwayAndLeavesEveryProof(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var events []string
		for i := range 300 { // a full tile and a tail
			actor := "ana"
			if i%3 == 0 {
				actor = "jo"
			}
			events = append(events, minimal(members{
				"id": fmt.Sprintf("e%d", i), "actor": members{
					"type":       "user",
					"id":         actor,
					"email":      actor + "@example.com",
					"ip_address": "192.0.2.7",
				},
				"after": members{"n": i},
			}))
		}
		w.Append(accountA, events...)
		signer := w.Signer(w.DB, w.Memory())
		_, before := w.Checkpoint(signer, accountA)

		byActor := func(id string) []*record.Record {
			t.Helper()
			page, err := w.Reader.List(t.Context(), accountA, ledger.Query{
				Limit:   1000,
				Filters: []record.Filter{{Field: "actor_id", Values: []string{id}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			return page.Records
		}
		var seqs []int64
		for _, r := range byActor("jo") {
			seqs = append(seqs, r.Seq)
		}
		if len(seqs) != 100 {
			t.Fatalf("%d events of jo before the erasure", len(seqs))
		}
		pointers := []string{"/actor/id", "/actor/email", "/actor/ip_address"}
		if n, err := w.Erase(accountA, seqs, pointers); err != nil || n != 100 {
			t.Fatal(n, err)
		}
		if n, err := w.Erase(accountA, seqs, pointers); err != nil || n != 0 {
			t.Fatalf("a second erasure found %d events (%v)", n, err)
		}
		if found := byActor("jo"); len(found) != 0 {
			t.Fatalf("%d events are still found by the erased actor", len(found))
		}
		if found := byActor("ana"); len(found) != 200 {
			t.Fatalf("%d events of ana are found after the erasure of another", len(found))
		}
		if n := w.Count(`SELECT COUNT(*) FROM reading WHERE seed IS NULL`); n != 100 {
			t.Fatalf("%d seeds were deleted", n)
		}

		var export bytes.Buffer
		if err := w.Reader.ExportRange(t.Context(), &export, accountA, ledger.LogRange{To: 300, Size: 300}, nil); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(export.String(), "jo@example.com") {
			t.Fatal("the export still shows the erased address")
		}
		report, err := verify.Export(bytes.NewReader(export.Bytes()), before, signer.Keys()[0].VKey, nil, nil)
		if err != nil || report.Erased != 300 {
			t.Fatalf("%+v %v", report, err)
		}

		// Nothing is left to compare with: the same id is a duplicate, whatever it says.
		again := w.Append(accountA, minimal(members{"id": "e0", "actor": members{"type": "user", "id": "somebody else"}}))
		if again[0].Status != ledger.Duplicate || again[0].Seq != 0 {
			t.Fatalf("%v %d", again[0].Status, again[0].Seq)
		}
		if other := w.Append(accountA, minimal(members{
			"id":    "e1",
			"after": members{"n": -1},
		})); other[0].Status != ledger.Conflict {
			t.Fatalf("an event that was not erased: %v", other[0].Status)
		}
	})
}

func TestAnErasureOfAPersonReachesWhatOthersDidOnTheirBehalf(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		actor := func(id, behalf string) members {
			a := members{"type": "user", "id": id, "email": id + "@example.com"}
			if behalf != "" {
				a["on_behalf_of"] = members{"type": "user", "id": behalf, "email": behalf + "@example.com"}
			}
			return a
		}
		for i, a := range []members{actor("jo", ""), actor("ana", "jo"), actor("ana", "bo"), actor("jo", "bo"),
			actor("ana", "")} {
			w.Append(accountA, minimal(members{"id": fmt.Sprint("e", i), "actor": a}))
		}
		w.Append(accountB, minimal(members{"id": "e0", "actor": actor("jo", "")}))
		fields := []string{"/actor/email", "/actor/id", "/actor/on_behalf_of/email", "/actor/on_behalf_of/id"}
		w.Reader.SetBudget(0) // a long search goes on where it stopped
		if n, err := ledger.ErasePerson(t.Context(), w.Reader, w.Ledger, accountA, "jo", fields); err != nil || n != 3 {
			t.Fatal(n, err)
		}
		for i, want := range []string{" ", "ana ", "ana bo", " ", "ana "} {
			r, err := w.Reader.Get(t.Context(), accountA, fmt.Sprint("e", i))
			if err != nil {
				t.Fatal(err)
			}
			got := r.Event.Actor.ID + " "
			if o := r.Event.Actor.OnBehalfOf; o != nil {
				got += o.ID
			}
			if got != want || strings.Contains(fmt.Sprint(r.Event.Actor.Email, r.Event.Actor.OnBehalfOf), "jo@") {
				t.Errorf("event %d: by and for %q, want %q", i, got, want)
			}
		}
		if r, err := w.Reader.Get(t.Context(), accountB, "e0"); err != nil || r.Event.Actor.ID != "jo" {
			t.Errorf("another account's event: %v", err)
		}
	})
}
