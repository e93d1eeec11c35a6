package audit

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// NewActivity makes a Feature that answers Activity, with a budget for the digests. opened counts the events that it
// decodes.
func NewActivity(d *db.DB, budget time.Duration) (f *Feature, opened func() int64) {
	f = &Feature{db: d, quick: ledger.NewReader(d, budget), words: Words{
		Sentence: func(string, string, string, string) (string, bool) { return "", false },
		Products: func(context.Context) ([]ProductCategory, error) { return nil, nil },
	}}
	return f, f.quick.Opened
}
