package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/internal/platform/seal"
)

// Signed is a statement that was signed: the account's log of this size has
// this root.
type Signed struct {
	Account string
	Size    uint64
	Root    merkle.Hash
}

// SignedLog keeps the signed statements where a restore of the database does not
// rewind them: in a file next to the key, or in a Kafka topic.
type SignedLog interface {
	// Refresh reads the statements that other processes recorded before the call.
	Refresh(ctx context.Context) error
	// Last returns the largest statement of an account, as of the last Refresh.
	Last(ctx context.Context, account string) (Signed, bool, error)
	// All returns the largest statement of every account, as of the last Refresh.
	All(ctx context.Context) ([]Signed, error)
	// Record makes statements durable before their signatures are given out. It
	// refuses one that is smaller than, or contradicts, a recorded one.
	Record(ctx context.Context, list []Signed) error
}

// Key is a published signing key.
type Key struct {
	ID        string `json:"id"`
	Name      string `json:"-"`
	VKey      string `json:"vkey" doc:"The verifier key in the note format: NAME+HASH+BASE64"`
	CreatedAt string `json:"created_at"`
}

// Signer signs checkpoints, and only of a log that still begins with everything
// it signed before: it first reproduces the last signed root, at its size, from
// the leaves and tiles that the database has now. If that fails, the account is
// not signed for any more, readiness fails, and the error says what to do: the
// database was rolled back or changed, and a signature would show customers
// two histories.
type Signer struct {
	db        *db.DB
	signedLog SignedLog
	signer    note.Signer
	key       Key
	log       *slog.Logger
	now       func() time.Time
	epoch     time.Duration

	mu      sync.Mutex // guards the fields below
	grown   map[string]struct{}
	recent  map[string]cachedCheckpoint
	stopped map[string]string // account -> why
	damaged map[string]string // account -> what the scrub found
}

type cachedCheckpoint struct {
	at   time.Time
	text []byte
	size uint64
}

// SignerConfig names what a Signer needs.
type SignerConfig struct {
	DB        *db.DB
	Box       *seal.Box
	SignedLog SignedLog
	Name      string // of a key that is made now; an existing key keeps its own
	Epoch     time.Duration
	Log       *slog.Logger
	Now       func() time.Time
}

const keyPurpose = "audit signing key"

// NewSigner loads the installation's key, or makes it at the first start.
func NewSigner(ctx context.Context, cfg SignerConfig) (*Signer, error) {
	s := &Signer{
		db:        cfg.DB,
		signedLog: cfg.SignedLog,
		log:       cfg.Log,
		now:       cfg.Now,
		epoch:     cfg.Epoch,
		grown:     map[string]struct{}{},
		recent:    map[string]cachedCheckpoint{},
		stopped:   map[string]string{},
		damaged:   map[string]string{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	err := cfg.DB.Tx(ctx, func(tx *db.Tx) error {
		if tx.Engine == db.Postgres { // two processes at their first start
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(4207102, 2)`); err != nil {
				return err
			}
		}
		var sealed []byte
		var created int64
		err := tx.QueryRow(ctx, `SELECT id, name, vkey, sealed, created_at FROM signing_key ORDER BY created_at LIMIT 1`).
			Scan(&s.key.ID, &s.key.Name, &s.key.VKey, &sealed, &created)
		var seed []byte
		if errors.Is(err, sql.ErrNoRows) {
			seed, created, err = s.create(ctx, tx, cfg)
		} else if err == nil {
			seed, err = cfg.Box.Open(sealed, keyPurpose)
		}
		if err != nil {
			return err
		}
		s.key.CreatedAt = record.FormatTime(created)
		s.signer, err = merkle.NewSigner(s.key.Name, seed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return s, nil
}

func (s *Signer) create(ctx context.Context, tx *db.Tx, cfg SignerConfig) (seed []byte, created int64, err error) {
	seed = make([]byte, 32)
	rand.Read(seed)
	s.key.Name = cfg.Name
	if s.key.Name == "" {
		s.key.Name = "belfry-" + randomHex(4)
	}
	if _, s.key.VKey, err = merkle.EncodeKey(s.key.Name, seed); err != nil {
		return nil, 0, err
	}
	s.key.ID = strings.Split(s.key.VKey, "+")[1]
	created = cfg.Now().UnixMicro()
	_, err = tx.Exec(ctx, `INSERT INTO signing_key (id, name, vkey, sealed, created_at) VALUES ($1, $2, $3, $4, $5)`,
		s.key.ID, s.key.Name, s.key.VKey, cfg.Box.Seal(seed, keyPurpose), created)
	return seed, created, err
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// Keys are the published keys.
func (s *Signer) Keys() []Key { return []Key{s.key} }

// Origin is the first line of an account's checkpoints.
func (s *Signer) Origin(account string) string { return s.key.Name + "/" + account }

// Grown notes accounts that have new events, to be signed at the next epoch.
func (s *Signer) Grown(accounts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range accounts {
		s.grown[a] = struct{}{}
	}
}

// Ready returns why signing has stopped or which record is damaged; nil when neither is
// the case.
func (s *Signer) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for account, why := range s.damaged {
		return fmt.Errorf("the record of %d account(s) is damaged, such as of %s: %s", len(s.damaged), account, why)
	}
	for account, why := range s.stopped {
		return fmt.Errorf("signing stopped for %d account(s), such as %s: %s", len(s.stopped), account, why)
	}
	return nil
}

// Run compares the signed statements with the database, then signs, once an epoch,
// the accounts that grew.
func (s *Signer) Run(ctx context.Context) error {
	compared := s.compare(ctx) == nil
	tick := time.NewTicker(s.epoch)
	defer tick.Stop()
	recovered := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !compared {
			if err := s.compare(ctx); err != nil {
				s.log.Warn("what was signed is not compared with the database yet", "error", err)
			} else {
				compared = true
			}
		}
		if !recovered {
			if err := s.recover(ctx); err != nil {
				s.log.Warn("the accounts that were not signed before the start are not known yet", "error", err)
			} else {
				recovered = true
			}
		}
		s.mu.Lock()
		accounts := make([]string, 0, len(s.grown))
		for a := range s.grown {
			accounts = append(accounts, a)
		}
		s.grown = map[string]struct{}{}
		now := s.now()
		for a, c := range s.recent { // the cache serves a second; an epoch bounds it
			if now.Sub(c.at) > time.Second {
				delete(s.recent, a)
			}
		}
		s.mu.Unlock()
		sort.Strings(accounts)
		for chunk := range slices.Chunk(accounts, signChunk) {
			if ctx.Err() != nil {
				return nil
			}
			_, failed, err := s.sign(ctx, chunk)
			if err != nil {
				s.log.Warn("checkpoints not signed in this epoch", "accounts", len(chunk), "error", err)
				s.Grown(chunk)
			}
			for a, err := range failed {
				s.log.Error("signing stopped", "account", a, "error", err)
			}
		}
	}
}

// signChunk bounds the transaction in which an epoch signs.
const signChunk = 256

// Checkpoint returns the account's signed checkpoint: at most a second old, else
// made for the present size.
func (s *Signer) Checkpoint(ctx context.Context, account string) ([]byte, error) {
	s.mu.Lock()
	c, ok := s.recent[account]
	s.mu.Unlock()
	if ok && s.now().Sub(c.at) < time.Second {
		return c.text, nil
	}
	return s.signOne(ctx, account)
}

// Covering returns a checkpoint of at least this size: for the proof of an event
// that was stored a moment ago.
func (s *Signer) Covering(ctx context.Context, account string, size uint64) ([]byte, error) {
	s.mu.Lock()
	c, ok := s.recent[account]
	s.mu.Unlock()
	if ok && c.size >= size {
		return c.text, nil
	}
	return s.signOne(ctx, account)
}

func (s *Signer) signOne(ctx context.Context, account string) ([]byte, error) {
	notes, failed, err := s.sign(ctx, []string{account})
	if err != nil {
		return nil, err
	}
	if err := failed[account]; err != nil {
		return nil, errs.New(errs.CodeSigningStopped, "signing has stopped for this account: %v", err)
	}
	return notes[account].text, nil
}

// SignBatch signs the root of the batch tree of one commit, for receipts.
func (s *Signer) SignBatch(size uint64, root merkle.Hash) ([]byte, error) {
	return merkle.SignCheckpoint(merkle.Checkpoint{Origin: s.Origin(receiptLog), Size: size, Root: root}, s.signer)
}
