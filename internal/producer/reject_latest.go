package producer

import (
	"context"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// maxScopes is the number of owners for whom one refused event is stored at most: its team and its account.
const maxScopes = 2

// LatestRejects returns the newest refused events of the whole installation, for its operators. Each is listed once,
// also when it is stored for its team and for its account.
func (f *Feature) LatestRejects(ctx context.Context, limit int) (list []Reject, err error) {
	scan := func(row db.Row) (one Reject, err error) {
		var content []byte
		if err := row.Scan(&one.ID, &content); err != nil {
			return one, err
		}
		return one, json.Unmarshal(content, &one.Reject)
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		all, err := db.Collect(ctx, tx, scan, `SELECT id, content FROM reject ORDER BY at DESC, id DESC LIMIT $1`,
			maxScopes*limit)
		seen := map[string]bool{}
		for _, one := range all {
			if !seen[one.ID] && len(list) < limit {
				seen[one.ID] = true
				list = append(list, one)
			}
		}
		return err
	})
	return list, err
}
