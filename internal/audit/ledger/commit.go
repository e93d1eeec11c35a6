package ledger

import (
	"context"
	"maps"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// What one commit of the ledger reads first and writes last: accounts, heads, known
// ids; heads, tiles, digests and roll-ups.

// writing is the state of one append transaction.
type writing struct {
	now     int64
	pos     int64
	zoneKey func(string) string
	keys    map[string]int64
	heads   map[int64]*head
	known   map[idKey]storedPlace
	batch   map[idKey]*Pending // accepted in this very transaction
	rows    []*appended
	saved   [][]any // heads
	tiles   [][]any
	digest  [][]any
	spans   []grownSpans
	counts  map[rollupKey]int64
}

// open locks the heads of the accounts, in the order of their keys, and finds
// which ids are stored already. Heads first: only then is "known" final.
func (l *Ledger) open(ctx context.Context, tx *db.Tx, events []*Pending) (*writing, error) {
	w := &writing{
		zoneKey: l.zoneKey,
		now:     l.now().UnixMicro(),
		batch:   make(map[idKey]*Pending, len(events)),
		counts:  map[rollupKey]int64{},
	}
	var accounts []string
	for i, p := range events {
		if i == 0 || p.Account != events[i-1].Account {
			accounts = append(accounts, p.Account)
		}
	}
	var err error
	if w.keys, err = accountKeys(ctx, tx, accounts); err != nil {
		return nil, err
	}
	if w.heads, err = lockHeads(ctx, tx, slices.Sorted(maps.Values(w.keys))); err != nil {
		return nil, err
	}
	var ids []idKey
	for _, p := range events {
		// An id that was made here a moment ago cannot be known.
		if !p.Event.IDMadeHere() {
			ids = append(ids, idKey{w.keys[p.Account], string(compactID(p.Event.ID))})
		}
	}
	w.known, err = findKnown(ctx, tx, ids)
	return w, err
}

// account appends the new events of one account to its log.
func (w *writing) account(ctx context.Context, tx *db.Tx, events []*Pending) error {
	key := w.keys[events[0].Account]
	h := w.heads[key]
	oldSize := h.frontier.Size()
	first := len(w.rows)
	var full []fullTile // completed by these events
	for _, p := range events {
		id := idKey{key, string(compactID(p.Event.ID))}
		if at, ok := w.known[id]; ok {
			if err := w.resolveDuplicate(ctx, tx, p, at); err != nil {
				return err
			}
			continue
		}
		if other, ok := w.batch[id]; ok {
			p.answerStored(other.sealed, other.Seq, other.RecordedAt, other.Leaf, w.zoneKey)
			continue
		}
		h.recordedAt = max(h.recordedAt, w.now)
		p.sealed.Stamp(h.recordedAt)
		p.Status = Accepted
		p.Seq = int64(h.frontier.Size())
		p.RecordedAt = h.recordedAt
		p.Faults = nil
		p.Leaf = merkle.LeafHash(p.sealed.Envelope)
		h.frontier.AppendVisit(p.Leaf, func(level uint, index uint64, root merkle.Hash) {
			if level%8 == 0 {
				full = append(full, fullTile{merkle.Node{Level: level, Index: index}, root})
			}
		})
		w.batch[id] = p
		w.rows = append(w.rows, &appended{
			pos:      w.pos,
			account:  key,
			seq:      p.Seq,
			at:       p.Event.Micros(),
			id:       []byte(id.id),
			hash:     p.Leaf,
			keys:     p.keys,
			envelope: p.sealed.Envelope,
			openings: p.sealed.Openings(),
			seed:     p.sealed.Seed[:],
		})
		w.pos++
		w.counts[rollupKey{
			account:   key,
			day:       p.Event.Micros() / dayMicros,
			product:   p.Event.Resource.Product,
			action:    p.Event.Action.Type,
			actorType: p.Event.Actor.Type,
		}]++
	}
	if len(w.rows) == first {
		return nil
	}
	frontier, _ := h.frontier.MarshalBinary() // of a valid frontier: no error
	w.saved = append(w.saved, savedHead{key, int64(h.frontier.Size()), h.recordedAt, frontier}.row())
	if len(full) == 0 {
		return nil
	}
	if first, end := int64(oldSize/spanEvents), int64(h.frontier.Size()/spanEvents); first < end {
		w.spans = append(w.spans, grownSpans{key, first, end})
	}
	return w.completeTiles(ctx, tx, key, oldSize, w.rows[first:], full)
}

// save writes everything that the accounts' turns gathered.
func (w *writing) save(ctx context.Context, tx *db.Tx) error {
	if err := insertRows(ctx, tx, w.rows); err != nil {
		return err
	}
	if err := saveHeads(ctx, tx, w.saved); err != nil {
		return err
	}
	if err := tx.Insert(ctx, "tile", tileColumns, "", w.tiles); err != nil {
		return err
	}
	if err := tx.Insert(ctx, "digest", digestColumns, "", w.digest); err != nil {
		return err
	}
	if err := w.saveSpans(ctx, tx); err != nil {
		return err
	}
	counts := make([][]any, 0, len(w.counts))
	for k, n := range w.counts {
		counts = append(counts, k.row(n))
	}
	return tx.Insert(ctx, "rollup", rollupColumns,
		`ON CONFLICT (account, day, product, action, actor_type) DO UPDATE SET n = rollup.n + excluded.n`, counts)
}

// resolveDuplicate answers an event whose id is in the record. The comparison seals
// the event again with the stored salts; no digest of its content is kept that could
// be guessed from.
func (w *writing) resolveDuplicate(ctx context.Context, tx *db.Tx, p *Pending, at storedPlace) error {
	stored, err := readStored(ctx, tx, at.pos)
	if err != nil {
		return err
	}
	if stored == nil || stored.Seed == nil {
		// Dropped by retention, or erased: nothing is left to compare with.
		p.Status = Duplicate
		p.Seq = at.seq
		p.Faults = nil
		if stored != nil {
			p.RecordedAt = stored.RecordedAt()
			p.Leaf = merkle.LeafHash(stored.Envelope)
		}
		return nil
	}
	p.answerStored(stored.Sealed(), at.seq, stored.RecordedAt(), merkle.LeafHash(stored.Envelope), w.zoneKey)
	return nil
}
