package notify

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

const (
	mostCached = 10_000 // accounts with their policies; destinations
	policyTTL  = time.Minute
)

// cachedPolicies are the policies of an account. The list is never changed.
type cachedPolicies struct {
	stamp policyStamp
	list  []Policy
	// silences that have not ended.
	silences []Silence
}

// policyStamp differs when a policy or silence of the account was added, changed or deleted.
type policyStamp struct{ count, modified, silences, silenceModified int64 }

// policies returns the policies and silences of an account, for a decision; the lists are the
// caller's. With one process, a change evicts them from the cache. With several,
// the stamp shows whether another process has changed them: the decision on an
// alert uses the policies of that moment.
func (n *Feature) policies(ctx context.Context, account string) (cachedPolicies, error) {
	fetch := func(ctx context.Context) (cachedPolicies, error) { return n.readPolicies(ctx, account) }
	found, err := n.policyCache.Get(ctx, account, fetch)
	if err == nil && n.shared() {
		var current policyStamp
		err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
			current, err = policyStampOf(ctx, tx, account)
			return err
		})
		if err == nil && current != found.stamp {
			n.policyCache.Evict(account)
			found, err = n.policyCache.Get(ctx, account, fetch)
		}
	}
	found.list = slices.Clone(found.list)
	found.silences = slices.Clone(found.silences)
	return found, err
}

func (n *Feature) readPolicies(ctx context.Context, account string) (found cachedPolicies, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		if found.stamp, err = policyStampOf(ctx, tx, account); err != nil {
			return err
		}
		if found.list, err = policiesOf(ctx, tx, account); err != nil {
			return err
		}
		found.silences, err = db.Collect(ctx, tx, scanSilence,
			selectSilence+` AND ends_at > $2 ORDER BY ends_at DESC LIMIT $3`, account, n.Now().UnixMicro(), maxSilences)
		return err
	})
	return found, err
}

func policyStampOf(ctx context.Context, tx *db.Tx, account string) (s policyStamp, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*), COALESCE(max(modified_at), 0),
			(SELECT count(*) FROM silence WHERE account_id = $1),
			(SELECT COALESCE(max(modified_at), 0) FROM silence WHERE account_id = $1)
		FROM policy WHERE account_id = $1`, account).
		Scan(&s.count, &s.modified, &s.silences, &s.silenceModified)
	return s, err
}
