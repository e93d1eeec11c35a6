package producer_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/producer"
)

func TestAnErasureTakesThePayloadsOfTheAccountsRejects(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		b := consuming(t, w)
		team := w.team("tls")
		const another = "0192f7c417d17000800000000000beef"
		b.send(b.reject(team, account, "old"), b.reject(team, another, "of another"))
		e := event.Erasure{Account: account, At: b.Now().Format(time.RFC3339Nano), Events: []string{"e"}}
		for range 2 { // an erasure may come twice
			if err := w.r.Erased(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		b.send(b.reject(team, account, "late")) // refused before, read from the bus after
		w.Pass(time.Minute)
		b.send(b.reject(team, account, "new"))
		const whole = `{"id":1}`
		want := map[string]string{"old": `"erased on request"`, "late": `"erased on request"`, "new": whole,
			"of another": whole}
		seen := 0
		for _, of := range []producer.Rejects{{Team: team}, {Account: account}, {Account: another}} {
			for _, one := range b.list(of) {
				seen++
				if one.Payload != want[one.EventID] {
					t.Errorf("%+v: the payload of %s is %s", of, one.EventID, one.Payload)
				}
			}
		}
		if seen != 8 {
			t.Errorf("%d rejects", seen)
		}
	})
}
