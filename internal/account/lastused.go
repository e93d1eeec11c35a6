package account

import (
	"context"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// useInterval is how often the use of one credential is written at most.
const useInterval = time.Minute

// uses gathers when tokens and sessions were last used, to be written together.
type uses struct {
	mu       sync.Mutex // guards what follows
	tokens   map[string]int64
	sessions map[Hash]int64
}

const (
	maxUses  = 100_000 // waiting to be written; past it a use is not noted
	useBatch = 500     // in one transaction, so that other writers have their turn
)

func newUses() *uses {
	return &uses{tokens: map[string]int64{}, sessions: map[Hash]int64{}}
}

func (u *uses) token(id string, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	note(u.tokens, id, at)
}

func (u *uses) session(h Hash, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	note(u.sessions, h, at)
}

func note[K comparable](m map[K]int64, key K, at int64) {
	if last, ok := m[key]; ok || len(m) < maxUses {
		m[key] = max(last, at)
	}
}

// use is one line to write.
type use struct {
	token   string // or
	session Hash
	at      int64
}

func (u *uses) take() []use {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := make([]use, 0, len(u.tokens)+len(u.sessions))
	for id, at := range u.tokens {
		list = append(list, use{token: id, at: at})
	}
	for h, at := range u.sessions {
		list = append(list, use{session: h, at: at})
	}
	clear(u.tokens)
	clear(u.sessions)
	return list
}

func (u *uses) giveBack(list []use) {
	for _, one := range list {
		if one.token != "" {
			u.token(one.token, one.at)
		} else {
			u.session(one.session, one.at)
		}
	}
}

// flushUses writes what was gathered; what could not be written is kept.
func (d *Directory) flushUses(ctx context.Context) error {
	list := d.uses.take()
	for len(list) > 0 {
		batch := list[:min(useBatch, len(list))]
		err := d.db.Tx(ctx, func(tx *db.Tx) error {
			for _, one := range batch {
				var err error
				if one.token != "" {
					_, err = tx.Exec(ctx, `UPDATE api_token SET last_used_at = $2
						WHERE id = $1 AND last_used_at < $2`, one.token, one.at)
				} else {
					_, err = tx.Exec(ctx, `UPDATE session SET seen_at = $2 WHERE hash = $1 AND seen_at < $2`, one.session[:], one.at)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			d.uses.giveBack(list)
			return err
		}
		list = list[len(batch):]
	}
	return nil
}
