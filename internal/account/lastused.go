package account

import (
	"context"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// useInterval is the minimum time between two writes of the last use of one credential.
const useInterval = time.Minute

// uses collects the last uses of tokens and sessions, to be written together.
type uses struct {
	mu       sync.Mutex // guards the fields below
	tokens   map[string]int64
	sessions map[Hash]int64
	members  map[membership]int64
}

// membership names a member of an account.
type membership struct{ accountID, personID string }

const (
	maxUses  = 100_000 // waiting to be written; further ones are dropped
	useBatch = 500     // in one transaction, so that other writers have their turn
)

func newUses() *uses {
	return &uses{tokens: map[string]int64{}, sessions: map[Hash]int64{}, members: map[membership]int64{}}
}

func (u *uses) token(id string, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	noteUse(u.tokens, id, at)
}

func (u *uses) session(h Hash, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	noteUse(u.sessions, h, at)
}

func (u *uses) member(m membership, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	noteUse(u.members, m, at)
}

func noteUse[K comparable](m map[K]int64, key K, at int64) {
	if last, ok := m[key]; ok || len(m) < maxUses {
		m[key] = max(last, at)
	}
}

// tokenUse is the last use of a credential.
type tokenUse struct {
	token   string // "" for a session or member
	session Hash
	member  membership // zero for a token or session
	at      int64
}

// drain returns the uses and removes them.
func (u *uses) drain() []tokenUse {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := make([]tokenUse, 0, len(u.tokens)+len(u.sessions)+len(u.members))
	for id, at := range u.tokens {
		list = append(list, tokenUse{token: id, at: at})
	}
	for h, at := range u.sessions {
		list = append(list, tokenUse{session: h, at: at})
	}
	for m, at := range u.members {
		list = append(list, tokenUse{member: m, at: at})
	}
	clear(u.tokens)
	clear(u.members)
	clear(u.sessions)
	return list
}

func (u *uses) restore(list []tokenUse) {
	for _, one := range list {
		switch {
		case one.token != "":
			u.token(one.token, one.at)
		case one.member.personID != "":
			u.member(one.member, one.at)
		default:
			u.session(one.session, one.at)
		}
	}
}

// flushUses writes the last uses. After a failure they stay in memory.
func (f *Feature) flushUses(ctx context.Context) error {
	list := f.uses.drain()
	for len(list) > 0 {
		batch := list[:min(useBatch, len(list))]
		err := f.db.Tx(ctx, func(tx *db.Tx) error {
			for _, one := range batch {
				var err error
				switch {
				case one.token != "":
					_, err = tx.Exec(ctx, `UPDATE api_token SET last_used_at = $2
						WHERE id = $1 AND last_used_at < $2`, one.token, one.at)
				case one.member.personID != "":
					_, err = tx.Exec(ctx, `UPDATE member SET active_at = $3
						WHERE account_id = $1 AND person_id = $2 AND active_at < $3`,
						one.member.accountID, one.member.personID, one.at)
				default:
					_, err = tx.Exec(ctx, `UPDATE session SET seen_at = $2
						WHERE hash = $1 AND seen_at < $2`, one.session[:], one.at)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			f.uses.restore(list)
			return err
		}
		list = list[len(batch):]
	}
	return nil
}
