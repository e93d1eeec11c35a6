package audit

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// Searcher searches a log, and counts the events that it decodes.
type Searcher struct{ s *searcher }

// NewSearcher makes a Searcher with a budget for the digests.
func NewSearcher(d *db.DB, now func() time.Time, budget time.Duration) Searcher {
	s := newSearcher(&Feature{db: d, now: now, words: Words{
		Sentence: func(string, string, string, string) (string, bool) { return "", false },
		Products: func(context.Context) ([]ProductCategory, error) { return nil, nil },
	}})
	s.reader = ledger.NewReader(d, budget)
	return Searcher{s}
}

// Find asks the finder of a kind.
func (t Searcher) Find(ctx context.Context, kind, account, text string) ([]feature.Match, error) {
	find := map[string]func(context.Context, string, string, int) ([]feature.Match, error){
		"event": t.s.findEvents, "actor": t.s.findActors, "resource": t.s.findResources,
		"product": t.s.findProducts, "action": t.s.findActions,
	}
	return find[kind](ctx, account, text, feature.MaxMatches)
}

// Opened is the number of events that were decoded so far.
func (t Searcher) Opened() int64 { return t.s.reader.Opened() }
