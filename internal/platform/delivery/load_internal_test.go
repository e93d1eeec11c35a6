package delivery

import (
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// Under load the poll would otherwise read each waiting delivery twice a second.
func TestThePollReadsADeliveryOnce(t *testing.T) {
	q := newQueue(Config{DB: &db.DB{Engine: db.Postgres}, Name: "test", Limits: Limits{}.WithDefaults()})
	stored := []string{"1", "2", "3"}
	q.Offer([]*Item{{ID: "1", State: StateWaiting}})
	if unseen := q.unseen(stored); !slices.Equal(unseen, stored) {
		t.Errorf("a delivery that is offered before the queue runs is not read: %v", unseen)
	}
	q.open = true
	q.Offer([]*Item{{ID: "1", State: StateWaiting}, {ID: "2", State: StateNotSent}})
	unseen := q.unseen(stored)
	if !slices.Equal(unseen, []string{"2", "3"}) {
		t.Errorf("unseen are %v", unseen)
	}
	q.see(unseen)
	if unseen := q.unseen(stored); len(unseen) > 0 {
		t.Errorf("read again: %v", unseen)
	}
}
