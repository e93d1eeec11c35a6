package account

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
)

func TestRefusalsThatDoNotFitAreCountedNotKept(t *testing.T) {
	l := newDenials()
	l.limit = 2
	for i, want := range []bool{true, true, false} {
		if got := l.add(denialKey{principal: string(rune('a' + i))}, *feature.Belfry(), 1, time.Unix(1, 0)); got != want {
			t.Error(i, got)
		}
	}
	if !l.add(denialKey{principal: "a"}, *feature.Belfry(), 1, time.Unix(2, 0)) {
		t.Error("a known key has no room")
	}
	if got := l.drain(); len(got) != 2 || got[denialKey{principal: "a"}].count != 2 {
		t.Error(got)
	}
}
