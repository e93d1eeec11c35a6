package auditimport

import (
	"context"
	"errors"
	"iter"

	"github.com/belfryhq/belfry/internal/history"
)

// FromGit returns the events of a repository's history: one for each changed file.
// Merge commits are left out.
func FromGit(ctx context.Context, dir string, s history.Source) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for c, err := range history.FromGit(ctx, dir) {
			var list [][]byte
			if err == nil {
				list, err = s.Events(c)
			}
			var bad *history.CommitError
			if errors.As(err, &bad) {
				if !yield(Item{place: "commit " + bad.Hash, fault: bad.Why}, nil) {
					return
				}
				continue
			}
			if err != nil {
				yield(Item{}, err)
				return
			}
			for i, e := range list {
				if !yield(Item{place: "commit " + c.Hash + ", " + c.Files[i].Path, event: e}, nil) {
					return
				}
			}
		}
	}
}
