package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// accountsAtOnce is the most accounts at whose policies one call looks.
const accountsAtOnce = 5000

// AccountsWithPolicy lists accounts with an enabled policy for a type of alerts, at most limit after an account. next
// is the account to go on after; "" at the end. A call looks at a bounded number of accounts, so its list may be short
// or empty before the end.
func (n *Feature) AccountsWithPolicy(
	ctx context.Context, alertType, after string, limit int,
) (accounts []string, next string, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		// The accounts that have a policy of any type are walked by the index policy_account.
		read := 0
		last := ""
		err := db.Each(ctx, tx, func(row db.Row) error {
			var accountID string
			var fits bool
			if err := row.Scan(&accountID, &fits); err != nil {
				return err
			}
			read++
			last = accountID
			if fits && len(accounts) < limit {
				accounts = append(accounts, accountID)
				next = accountID
			}
			return nil
		}, `SELECT account_id, max(CASE WHEN enabled AND alert_type = $1 THEN 1 ELSE 0 END) = 1
			FROM policy WHERE account_id > $2 GROUP BY account_id ORDER BY account_id LIMIT $3`,
			alertType, after, accountsAtOnce)
		switch {
		case err != nil:
			return err
		case len(accounts) == limit: // next is the last of them
		case read == accountsAtOnce:
			next = last
		default:
			next = ""
		}
		return nil
	})
	return accounts, next, err
}
