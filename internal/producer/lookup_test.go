package producer_test

import (
	"context"
	"testing"

	"github.com/belfryhq/belfry/internal/catalogue"
)

func TestAnUndeclaredProductHasNoRules(t *testing.T) {
	w := newWorld(t, "")
	c, err := w.r.Lookup(t.Context(), "dns")
	if c != nil || err != nil {
		t.Error(c, err)
	}
	own, err := w.r.Lookup(t.Context(), catalogue.Reserved)
	if err != nil || own == nil || own.Team != "" {
		t.Error(own, err)
	}
}

func BenchmarkLookup(b *testing.B) {
	w := benchWorld(b)
	ctx := context.Background()
	for b.Loop() {
		if c, err := w.Lookup(ctx, "tls"); c == nil || err != nil {
			b.Fatal(err)
		}
	}
}
