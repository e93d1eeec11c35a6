package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/audit/record"
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
	keys                  record.Keys
	envelope, openings    []byte
	seed                  []byte
}

// accountKeys returns the store's small integers for accounts, making new ones,
// each with its empty head.
func accountKeys(ctx context.Context, tx *db.Tx, ids []string) (map[string]int64, error) {
	keys := make(map[string]int64, len(ids))
	err := keysLookup.run(ctx, tx, len(ids), func(i int, args []any) {
		args[0] = ids[i]
	}, func(rows *sql.Rows) error {
		var id string
		var key int64
		err := rows.Scan(&id, &key)
		keys[id] = key
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, ok := keys[id]; ok {
			continue
		}
		// Two processes may meet here: the update returns the other's key.
		var key int64
		if err := tx.QueryRow(ctx, `INSERT INTO account (id)
			VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING key`, id).Scan(&key); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO head (account, size, recorded_at, frontier)
			VALUES ($1, 0, 0, $2) ON CONFLICT (account) DO NOTHING`, key, []byte{}); err != nil {
			return nil, err
		}
		keys[id] = key
	}
	return keys, nil
}

// accountKey returns the key of one account; 0 when nothing was ever appended.
func accountKey(ctx context.Context, tx *db.Tx, id string) (int64, error) {
	var key int64
	err := tx.QueryRow(ctx, `SELECT key FROM account WHERE id = $1`, id).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return key, err
}

// lockHeads reads the heads of accounts and, on PostgreSQL, holds their rows
// until the transaction ends, in the order of the keys, which must ascend: two
// appends cannot wait for each other. SQLite has one writer anyway.
func lockHeads(ctx context.Context, tx *db.Tx, accounts []int64) (map[int64]*head, error) {
	q := headsLookup
	if tx.Engine == db.Postgres {
		q.text += ` FOR UPDATE`
	}
	heads := make(map[int64]*head, len(accounts))
	err := q.run(ctx, tx, len(accounts), func(i int, args []any) {
		args[0] = accounts[i]
	}, func(rows *sql.Rows) error {
		var account int64
		var size uint64
		var frontier []byte
		h := &head{}
		if err := rows.Scan(&account, &size, &h.recordedAt, &frontier); err != nil {
			return err
		}
		var err error
		h.frontier, err = merkle.ParseFrontier(size, frontier)
		heads[account] = h
		return err
	})
	if err == nil && len(heads) != len(accounts) {
		err = fmt.Errorf("%d accounts have %d heads: the tables do not agree", len(accounts), len(heads))
	}
	return heads, err
}

func readHead(ctx context.Context, tx *db.Tx, account int64) (*head, error) {
	var size uint64
	var frontier []byte
	h := &head{}
	err := tx.QueryRow(ctx, `SELECT size, recorded_at, frontier FROM head WHERE account = $1`, account).
		Scan(&size, &h.recordedAt, &frontier)
	if errors.Is(err, sql.ErrNoRows) {
		return &head{frontier: &merkle.Frontier{}}, nil
	}
	if err != nil {
		return nil, err
	}
	h.frontier, err = merkle.ParseFrontier(size, frontier)
	return h, err
}

// lookupChunk is how many rows one query of an append asks for: one by one, the
// ways to the database and back would cost more than everything else.
const lookupChunk = 32

// lookup is a query of an append, for lookupChunk rows with width parameters each.
type lookup struct {
	text  string
	width int
}

var (
	keysLookup = lookup{`SELECT id, key FROM account WHERE id IN (` + repeat(lookupChunk, 1, "%s", ", ") + `)`, 1}

	headsLookup = lookup{`SELECT account, size, recorded_at, frontier FROM head WHERE account IN (` +
		repeat(lookupChunk, 1, "%s", ", ") + `) ORDER BY account`, 1}

	knownLookup = lookup{`SELECT account, id, seq, pos FROM leaf WHERE ` +
		repeat(lookupChunk, 2, "account = %s AND id = %s", " OR "), 2}
)

// repeat writes a term n times with its parameters numbered on.
func repeat(n, width int, term, between string) string {
	terms := make([]string, n)
	for i := range terms {
		names := make([]any, width)
		for j := range names {
			names[j] = "$" + strconv.Itoa(i*width+j+1)
		}
		terms[i] = fmt.Sprintf(term, names...)
	}
	return strings.Join(terms, between)
}

// run looks n rows up; arg sets the arguments of a row.
func (q lookup) run(
	ctx context.Context,
	tx *db.Tx,
	n int,
	arg func(i int, args []any),
	scan func(*sql.Rows) error,
) error {
	args := make([]any, lookupChunk*q.width)
	for first := 0; first < n; first += lookupChunk {
		last := min(first+lookupChunk, n) - 1
		for i := range lookupChunk {
			arg(min(first+i, last), args[i*q.width:(i+1)*q.width]) // the last row again fills the text
		}
		if err := q.chunk(ctx, tx, args, scan); err != nil {
			return err
		}
	}
	return nil
}

// chunk looks up the rows of one statement.
func (q lookup) chunk(ctx context.Context, tx *db.Tx, args []any, scan func(*sql.Rows) error) error {
	rows, err := tx.Query(ctx, q.text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// idKey names an event in the store.
type idKey struct {
	account int64
	id      string // compact
}

// storedPlace locates a stored event.
type storedPlace struct{ seq, pos int64 }

// findKnown finds which of the ids are in the record already.
func findKnown(ctx context.Context, tx *db.Tx, ids []idKey) (map[idKey]storedPlace, error) {
	found := map[idKey]storedPlace{}
	err := knownLookup.run(ctx, tx, len(ids), func(i int, args []any) {
		args[0] = ids[i].account
		args[1] = []byte(ids[i].id)
	}, func(rows *sql.Rows) error {
		var account int64
		var id []byte
		var p storedPlace
		err := rows.Scan(&account, &id, &p.seq, &p.pos)
		found[idKey{account, string(id)}] = p
		return err
	})
	return found, err
}

// The columns of an event in its three tables.
var (
	leafColumns    = []string{"pos", "account", "seq", "id", "hash"}
	entryColumns   = []string{"pos", "envelope"}
	readingColumns = []string{
		"pos", "account", "seq", "at",
		"actor", "resource", "product", "action", "zone",
		"seed", "openings",
	}
)

// leaf is the row of leafColumns.
func (a *appended) leaf() []any {
	return []any{
		a.pos,
		a.account,
		a.seq,
		a.id,
		a.hash[:],
	}
}

// entry is the row of entryColumns.
func (a *appended) entry() []any {
	return []any{
		a.pos,
		a.envelope,
	}
}

// reading is the row of readingColumns.
func (a *appended) reading() []any {
	return []any{
		a.pos,
		a.account,
		a.seq,
		a.at,
		a.keys[record.ByActor],
		a.keys[record.ByResource],
		a.keys[record.ByProduct],
		a.keys[record.ByAction],
		a.keys[record.ByZone],
		a.seed,
		a.openings,
	}
}

// insertRows writes the events; rows are sorted by account and seq.
func insertRows(ctx context.Context, tx *db.Tx, rows []*appended) error {
	leaves := make([][]any, len(rows))
	entries := make([][]any, len(rows))
	readings := make([][]any, len(rows))
	for i, r := range rows {
		leaves[i] = r.leaf()
		entries[i] = r.entry()
		readings[i] = r.reading()
	}
	if err := tx.Insert(ctx, "leaf", leafColumns, "", leaves); err != nil {
		return err
	}
	if err := tx.Insert(ctx, "entry", entryColumns, "", entries); err != nil {
		return err
	}
	return tx.Insert(ctx, "reading", readingColumns, "", readings)
}

// savedHead is a head that grew.
type savedHead struct {
	account, size, recordedAt int64
	frontier                  []byte
}

var headColumns = []string{"account", "size", "recorded_at", "frontier"}

// row is the row of headColumns.
func (h savedHead) row() []any {
	return []any{
		h.account,
		h.size,
		h.recordedAt,
		h.frontier,
	}
}

// saveHeads writes the heads that grew.
func saveHeads(ctx context.Context, tx *db.Tx, heads [][]any) error {
	return tx.Insert(ctx, "head", headColumns,
		`ON CONFLICT (account) DO UPDATE SET size = excluded.size, recorded_at = excluded.recorded_at,
			frontier = excluded.frontier`, heads)
}

// tailEntry is the part of an event from which a tile's hashes and digest are computed.
type tailEntry struct {
	hash merkle.Hash
	at   int64
	keys record.Keys
}

// readTail reads the events [from, to) of an account, as a tile needs them.
func readTail(ctx context.Context, tx *db.Tx, account int64, from, to uint64) ([]tailEntry, error) {
	if from >= to {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `SELECT l.hash, r.at, r.actor, r.resource, r.product, r.action, r.zone
		FROM leaf l JOIN reading r ON r.pos = l.pos
		WHERE l.account = $1 AND l.seq >= $2 AND l.seq < $3 ORDER BY l.seq`, account, int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := make([]tailEntry, 0, to-from)
	for rows.Next() {
		var e tailEntry
		var hash []byte
		if err := rows.Scan(&hash, &e.at, &e.keys[record.ByActor], &e.keys[record.ByResource], &e.keys[record.ByProduct],
			&e.keys[record.ByAction], &e.keys[record.ByZone]); err != nil {
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

// readStored reads an event by its place; nil when retention has dropped it.
func readStored(ctx context.Context, tx *db.Tx, pos int64) (*record.Stored, error) {
	s := &record.Stored{}
	err := tx.QueryRow(ctx, `SELECT r.seq, r.at, e.envelope, r.seed, r.salts, r.openings
		FROM entry e JOIN reading r ON r.pos = e.pos WHERE e.pos = $1`, pos).
		Scan(&s.Seq, &s.At, &s.Envelope, &s.Seed, &s.Salts, &s.Openings)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return s, err
}
