package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// unsent returns which types no producer sends yet: their catalogue says so, and the
// account has no alert of them.
func (n *Feature) unsent(ctx context.Context, accountID string, types []*AlertType) (map[string]bool, error) {
	unsent := map[string]bool{}
	var rows [][]any
	for _, t := range types {
		if t.Unsent {
			unsent[t.Type] = true
			rows = append(rows, []any{accountID, t.Type})
		}
	}
	if len(rows) == 0 {
		return unsent, nil
	}
	err := n.DB.View(ctx, func(tx *db.Tx) error {
		return tx.Join(ctx, []string{"account_id", "type"}, rows, `SELECT input.type FROM input WHERE EXISTS (
			SELECT 1 FROM alert a WHERE a.account_id = input.account_id AND a.type = input.type AND a.state <> 'part')`,
			func(row db.Row) error {
				sent, err := db.ScanText(row)
				delete(unsent, sent)
				return err
			})
	})
	return unsent, err
}
