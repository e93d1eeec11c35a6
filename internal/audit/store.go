package audit

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the audit feature's tables.
func Schema() db.Schema {
	files, _ := fs.Sub(schemaFiles, "schema")
	return db.Schema{Source: "audit", Files: files}
}

// head is the state of one account's log. frontier's size is the log's size.
type head struct {
	frontier   *merkle.Frontier
	recordedAt int64 // of the newest event; never decreases
}

// appended is one event as the three tables keep it.
type appended struct {
	pos, account, seq, at int64
	id                    []byte
	hash                  merkle.Hash
	keys                  [facets]int64
	envelope, openings    []byte
	seed                  []byte
	salts                 []byte // after an erasure, instead of the seed
}

// accountKeys gives the store's small integers for accounts, making new ones.
func accountKeys(ctx context.Context, tx *db.Tx, ids []string) (map[string]int64, error) {
	keys := make(map[string]int64, len(ids))
	for _, id := range ids {
		var key int64
		err := tx.QueryRow(ctx, `SELECT key FROM account WHERE id = $1`, id).Scan(&key)
		if errors.Is(err, sql.ErrNoRows) {
			// Two processes may meet here: the update returns the other's key.
			err = tx.QueryRow(ctx, `INSERT INTO account (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING key`, id).Scan(&key)
		}
		if err != nil {
			return nil, err
		}
		keys[id] = key
	}
	return keys, nil
}

// accountKey gives the key of one account; 0 when nothing was ever appended.
func accountKey(ctx context.Context, tx *db.Tx, id string) (int64, error) {
	var key int64
	err := tx.QueryRow(ctx, `SELECT key FROM account WHERE id = $1`, id).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return key, err
}

// lockHead reads an account's head and, on PostgreSQL, holds its row until the
// transaction ends: callers go through accounts in the order of their keys, so
// that two of them cannot wait for each other. SQLite has one writer anyway.
func lockHead(ctx context.Context, tx *db.Tx, account int64) (*head, error) {
	text := `SELECT size, recorded_at, frontier FROM head WHERE account = $1`
	if tx.Engine == db.Postgres {
		text += ` FOR UPDATE`
	}
	h, err := scanHead(tx.QueryRow(ctx, text, account))
	if !errors.Is(err, sql.ErrNoRows) {
		return h, err
	}
	if tx.Engine == db.Postgres {
		// Make the row first, so that there is something to lock.
		if _, err := tx.Exec(ctx, `INSERT INTO head (account, size, recorded_at, frontier) VALUES ($1, 0, 0, $2) ON CONFLICT (account) DO NOTHING`, account, []byte{}); err != nil {
			return nil, err
		}
		return scanHead(tx.QueryRow(ctx, text, account))
	}
	return &head{frontier: &merkle.Frontier{}}, nil
}

func readHead(ctx context.Context, tx *db.Tx, account int64) (*head, error) {
	h, err := scanHead(tx.QueryRow(ctx, `SELECT size, recorded_at, frontier FROM head WHERE account = $1`, account))
	if errors.Is(err, sql.ErrNoRows) {
		return &head{frontier: &merkle.Frontier{}}, nil
	}
	return h, err
}

func scanHead(r *sql.Row) (*head, error) {
	var size uint64
	var frontier []byte
	h := &head{}
	if err := r.Scan(&size, &h.recordedAt, &frontier); err != nil {
		return nil, err
	}
	var err error
	h.frontier, err = merkle.ParseFrontier(size, frontier)
	return h, err
}

// knownChunk is how many ids one query asks for.
const knownChunk = 32

var knownText = `SELECT account, id, seq, pos FROM leaf WHERE account = $1 AND id = $2` +
	func() string {
		var b strings.Builder
		for i := 1; i < knownChunk; i++ {
			b.WriteString(" OR account = $" + strconv.Itoa(2*i+1) + " AND id = $" + strconv.Itoa(2*i+2))
		}
		return b.String()
	}()

// idKey names an event in the store.
type idKey struct {
	account int64
	id      string // compact
}

// place is where a stored event lies.
type place struct{ seq, pos int64 }

// known finds which of the ids are in the record already.
func known(ctx context.Context, tx *db.Tx, ids []idKey) (map[idKey]place, error) {
	found := map[idKey]place{}
	args := make([]any, 2*knownChunk)
	for len(ids) > 0 {
		n := min(len(ids), knownChunk)
		for i := range knownChunk {
			k := ids[min(i, n-1)] // the last one again fills the text
			args[2*i], args[2*i+1] = k.account, []byte(k.id)
		}
		ids = ids[n:]
		rows, err := tx.Query(ctx, knownText, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var account int64
			var id []byte
			var p place
			if err := rows.Scan(&account, &id, &p.seq, &p.pos); err != nil {
				rows.Close()
				return nil, err
			}
			found[idKey{account, string(id)}] = p
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// insertRows writes the events; rows are sorted by account and seq.
func insertRows(ctx context.Context, tx *db.Tx, rows []*appended) error {
	leaves, entries, readings := make([][]any, len(rows)), make([][]any, len(rows)), make([][]any, len(rows))
	for i, r := range rows {
		leaves[i] = []any{r.pos, r.account, r.seq, r.id, r.hash[:]}
		entries[i] = []any{r.pos, r.envelope}
		readings[i] = []any{r.pos, r.account, r.seq, r.at, r.keys[byActor], r.keys[byResource], r.keys[byProduct], r.keys[byAction], r.keys[byZone], r.seed, r.openings}
	}
	if err := tx.Insert(ctx, "leaf", []string{"pos", "account", "seq", "id", "hash"}, "", leaves); err != nil {
		return err
	}
	if err := tx.Insert(ctx, "entry", []string{"pos", "envelope"}, "", entries); err != nil {
		return err
	}
	return tx.Insert(ctx, "reading", []string{"pos", "account", "seq", "at", "actor", "resource", "product", "action", "zone", "seed", "openings"}, "", readings)
}

// saveHeads writes the heads that grew.
func saveHeads(ctx context.Context, tx *db.Tx, heads [][]any) error {
	return tx.Insert(ctx, "head", []string{"account", "size", "recorded_at", "frontier"},
		`ON CONFLICT (account) DO UPDATE SET size = excluded.size, recorded_at = excluded.recorded_at, frontier = excluded.frontier`, heads)
}

// tailEntry is what a tile's digest and hashes need of one event.
type tailEntry struct {
	hash merkle.Hash
	at   int64
	keys [facets]int64
}

// readTail reads the events [from, to) of an account, as a tile needs them.
func readTail(ctx context.Context, tx *db.Tx, account int64, from, to uint64) ([]tailEntry, error) {
	if from >= to {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `SELECT l.hash, r.at, r.actor, r.resource, r.product, r.action, r.zone FROM leaf l JOIN reading r ON r.pos = l.pos
		WHERE l.account = $1 AND l.seq >= $2 AND l.seq < $3 ORDER BY l.seq`, account, int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := make([]tailEntry, 0, to-from)
	for rows.Next() {
		var e tailEntry
		var hash []byte
		if err := rows.Scan(&hash, &e.at, &e.keys[byActor], &e.keys[byResource], &e.keys[byProduct], &e.keys[byAction], &e.keys[byZone]); err != nil {
			return nil, err
		}
		copy(e.hash[:], hash)
		list = append(list, e)
	}
	return list, rows.Err()
}

// takePositions reserves n places in the order of arrival. In a transaction of
// its own: inside that of an append, the row would make all appends wait for
// each other. Places that are never used do no harm.
func takePositions(ctx context.Context, d *db.DB, n int64) (first int64, err error) {
	err = d.Tx(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `UPDATE counter SET next = next + $1 WHERE name = 'pos' RETURNING next - $1`, n).Scan(&first)
	})
	return first, err
}
